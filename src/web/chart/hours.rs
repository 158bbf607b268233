//! When deposits come: hour by weekday, with the hours of the site drawn in, and beside them those of a what-if.

use maud::{Markup, html};

use super::{Across, Px, figure, key};

const TOP: f64 = 20.0;
const ROW: f64 = 30.0;
const HEIGHT: f64 = TOP + 7.0 * ROW + 2.0;
/// The minutes of a day.
const DAY: u16 = 24 * 60;
/// Shades for what is not nothing.
const STEPS: u64 = 5;

pub(in crate::web) struct Hours<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// What is drawn, for those who do not see it.
    pub title: &'a str,
    /// Monday first.
    pub days: [&'a str; 7],
    /// Deposits by weekday and hour of the local clock, Monday first.
    pub deposits: &'a [[u64; 24]; 7],
    /// The windows in force.
    pub windows: &'a [Opening],
    /// Other windows; empty where nothing is compared.
    pub what_if: &'a [Opening],
    pub words: HoursWords<'a>,
}

/// A window on one weekday, in minutes after midnight; what is no such span is not drawn.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Opening {
    /// 0 is Monday.
    pub day: usize,
    pub open: u16,
    /// 1440 is midnight.
    pub close: u16,
    pub makeup: bool,
}

/// What the legend says.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct HoursWords<'a> {
    pub deposits: &'a str,
    pub open: &'a str,
    pub makeup: &'a str,
    pub what_if_open: &'a str,
    pub what_if_makeup: &'a str,
}

impl Hours<'_> {
    pub(in crate::web) fn draw(&self) -> Markup {
        let most = self.deposits.iter().flatten().copied().max().unwrap_or_default();
        let drawing = html! {
            @for hour in (0..=24_u16).step_by(3) {
                @let anchor = match hour { 0 => "start", 24 => "end", _ => "middle" };
                text.label.wide[hour % 6 != 0] x=(across(hour * 60)) y="14" text-anchor=(anchor) { (hour) ":00" }
            }
            @for ((day, hours), row) in self.days.iter().zip(self.deposits).zip(0_u8..) {
                @let top = TOP + f64::from(row) * ROW;
                text.label x="0%" dx="-6" y=(Px(top + ROW / 2.0 + 4.0)) text-anchor="end" { (day) }
                @for (deposits, hour) in hours.iter().zip(0_u16..) {
                    @let step = step(*deposits, most);
                    rect.cell.{ "step-" (step) } x=(across(hour * 60)) width=(across(60)) y=(Px(top)) height=(Px(ROW)) {
                        title { (day) " " (hour) ":00–" (hour + 1) ":00: " (deposits) }
                    }
                }
            }
            (spans(self.windows, "window", 2.0))
            (spans(self.what_if, "what-if", 6.0))
            (self.counts(most))
        };
        let legend = html! {
            ul.legend {
                @for step in 0..=STEPS {
                    @if let Some(range) = range(step, most) {
                        (key(&html! { rect.cell.{ "step-" (step) } x="0" y="0" width="28" height="14" {} },
                            &if step == 0 { format!("{} {range}", self.words.deposits) } else { range }))
                    }
                }
                (outlined(self.windows, "window", [self.words.open, self.words.makeup]))
                (outlined(self.what_if, "what-if", [self.words.what_if_open, self.words.what_if_makeup]))
            }
        };
        figure("hours", self.id, self.title, HEIGHT, &drawing, &legend)
    }
}

impl Hours<'_> {
    /// The numbers, on top of the outlines.
    fn counts(&self, most: u64) -> Markup {
        html! {
            @for (hours, row) in self.deposits.iter().zip(0_u8..) {
                @for (deposits, hour) in hours.iter().zip(0_u16..).filter(|(deposits, _)| **deposits > 0) {
                    text.count.wide.{ "on-" (step(*deposits, most)) } x=(across(hour * 60 + 30))
                        y=(Px(TOP + f64::from(row) * ROW + ROW / 2.0 + 4.0)) text-anchor="middle" { (short(*deposits)) }
                }
            }
        }
    }
}

/// Outlines, so far inside of their rows.
fn spans(windows: &[Opening], class: &str, inside: f64) -> Markup {
    html! {
        @for window in windows.iter().filter(|window| window.day < 7 && window.open < window.close && window.close <= DAY) {
            rect.(class).(kind(window.makeup)) x=(across(window.open)) width=(across(window.close - window.open))
                y=(Px(TOP + window.day as f64 * ROW + inside)) height=(Px(ROW - 2.0 * inside)) {}
        }
    }
}

fn outlined(windows: &[Opening], class: &str, words: [&str; 2]) -> Markup {
    html! {
        @for (makeup, meaning) in [false, true].into_iter().zip(words) {
            @if windows.iter().any(|window| window.makeup == makeup) {
                (key(&html! { rect.(class).(kind(makeup)) x="1" y="1" width="26" height="12" {} }, meaning))
            }
        }
    }
}

fn kind(makeup: bool) -> &'static str {
    if makeup { "makeup" } else { "open" }
}

fn across(minutes: u16) -> Across {
    Across(f64::from(minutes) * 100.0 / f64::from(DAY))
}

/// The shade of a number: 0 for nothing, the last for the fifth of the scale that ends with the most.
fn step(deposits: u64, most: u64) -> u64 {
    if most == 0 { 0 } else { (u128::from(deposits) * u128::from(STEPS)).div_ceil(u128::from(most)).min(5) as u64 }
}

/// The numbers of a shade; `None`: there are none.
fn range(step: u64, most: u64) -> Option<String> {
    if step == 0 {
        return Some("0".to_owned());
    }
    let upto = |step: u64| (u128::from(most) * u128::from(step) / u128::from(STEPS)) as u64;
    let (first, last) = (upto(step - 1).saturating_add(1), upto(step));
    match first.cmp(&last) {
        std::cmp::Ordering::Less => Some(format!("{first}–{last}")),
        std::cmp::Ordering::Equal => Some(first.to_string()),
        std::cmp::Ordering::Greater => None,
    }
}

/// A number that fits into a cell.
fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{}k", number / 1_000),
        _ => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawn::{check, values};
    use super::*;

    const WORDS: HoursWords<'_> = HoursWords {
        deposits: "投放次数",
        open: "开放",
        makeup: "补投",
        what_if_open: "假设开放",
        what_if_makeup: "假设补投",
    };

    fn hours<'a>(deposits: &'a [[u64; 24]; 7], windows: &'a [Opening], what_if: &'a [Opening]) -> Hours<'a> {
        let days = ["周一", "周二", "周三", "周四", "周五", "周六", "周日"];
        Hours { id: "h", title: "投放时间", days, deposits, windows, what_if, words: WORDS }
    }

    fn opening(day: usize, open: u16, close: u16, makeup: bool) -> Opening {
        Opening { day, open, close, makeup }
    }

    #[test]
    fn a_small_picture() {
        let mut deposits = [[0; 24]; 7];
        (deposits[0][7], deposits[0][8], deposits[6][19]) = (12, 40, 7);
        let windows = [opening(0, 450, 570, false), opening(6, 1410, 1440, true)];
        let drawn = hours(&deposits, &windows, &[opening(0, 465, 585, false)]).draw();
        check(&drawn, HEIGHT);
        // The empty cells say nothing that the others do not.
        let told: Vec<_> =
            drawn.0.split("><").filter(|part| !part.contains("step-0") && !part.ends_with(": 0</title")).collect();
        let told: Vec<_> = told.into_iter().filter(|part| *part != "/rect").collect();
        insta::assert_snapshot!(told.join(">\n<"));
    }

    #[test]
    fn a_window_stands_at_its_minutes() {
        let deposits = [[0; 24]; 7];
        let drawn = hours(&deposits, &[opening(2, 450, 571, false)], &[]).draw().0;
        let window = drawn.split("<rect class=\"window open\"").nth(1).unwrap();
        assert_eq!(
            (values(window, "x")[0], values(window, "width")[0], values(window, "y")[0]),
            ("31.25%", "8.4%", "82")
        );
        for (day, open, close) in [(7, 0, 60), (0, 60, 60), (0, 90, 60), (0, 0, 1441)] {
            let drawn = hours(&deposits, &[opening(day, open, close, false)], &[]).draw().0;
            assert_eq!(drawn.split("<ul").next().unwrap().matches("class=\"window").count(), 0);
        }
    }

    proptest! {
        #[test]
        fn every_number_stands_in_the_range_of_its_shade(most in 1..u64::MAX, part in 0.0..1.0_f64) {
            let deposits = ((most as f64 * part) as u64).min(most);
            let step = step(deposits, most);
            let range = range(step, most).unwrap();
            let (first, last) = range.split_once('–').unwrap_or((&range, &range));
            let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
            prop_assert!((first..=last).contains(&deposits), "{deposits} of {most}: {range}");
        }

        #[test]
        fn whatever_the_numbers_are_it_can_be_drawn(
            cells in prop::collection::vec(prop_oneof![0..20_u64, any::<u64>()], 168),
            windows in prop::collection::vec((0..9_usize, 0..1500_u16, 0..1500_u16, any::<bool>()), 0..20),
        ) {
            let mut deposits = [[0; 24]; 7];
            for (index, cell) in cells.into_iter().enumerate() {
                deposits[index / 24][index % 24] = cell;
            }
            let windows: Vec<_> = windows.into_iter().map(|(day, open, close, makeup)| opening(day, open, close, makeup)).collect();
            check(&hours(&deposits, &windows, &windows).draw(), HEIGHT);
        }
    }
}
