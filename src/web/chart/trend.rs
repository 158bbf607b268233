//! A rate over time: days, weeks or months, its target, what was not observed, and when a project began.

use maud::{Markup, html};

use super::{Across, Pattern, Px, figure, key};

/// The strip above 100 %, for the values and the words beside the mark.
const TOP: f64 = 34.0;
/// From 100 % to 0 %.
const PLOT: f64 = 150.0;
const BOTTOM: f64 = TOP + PLOT;
const HEIGHT: f64 = BOTTOM + 24.0;
/// How wide the labels together may get at the width of a phone and of a desk, where two charts stand side by side, in
/// pixels.
const ROOM: [f64; 2] = [270.0, 480.0];
/// A letter's height in pixels, as `chart.css` sets it.
const LETTER: f64 = 12.0;
/// Where the words beside the mark find room, in hundredths of the width.
const BESIDE: f64 = 20.0;

pub(in crate::web) struct Trend<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// What is drawn, for those who do not see it.
    pub title: &'a str,
    pub form: Form,
    /// What the values are, for the legend.
    pub series: &'a str,
    pub periods: &'a [Period],
    pub target: Option<Target<'a>>,
    pub mark: Option<Mark<'a>>,
    /// What the hatching means, such as “not observed”.
    pub unobserved: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Form {
    Line,
    Columns,
}

#[derive(Clone, Debug)]
pub(in crate::web) struct Period {
    pub label: String,
    /// 0 to 100. `None`: there is no value or it is withheld, which leaves a gap.
    pub percent: Option<f64>,
    /// Some of it or all of it was not observed, which is hatched.
    pub unobserved: bool,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Target<'a> {
    /// 0 to 100.
    pub percent: f64,
    pub label: &'a str,
}

/// An upright line: a project's start.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Mark<'a> {
    /// Counted in periods: 4.0 is where the fifth begins, 4.5 its middle. Not drawn outside of the chart.
    pub at: f64,
    pub label: &'a str,
    /// Short words on its two sides; one for which there is no room is left out.
    pub before: &'a str,
    pub after: &'a str,
}

impl Trend<'_> {
    pub(in crate::web) fn draw(&self) -> Markup {
        let hatched = self.periods.iter().any(|period| period.unobserved);
        let drawing = html! {
            @if hatched { defs { (Pattern::Slanted.definition(self.id)) } }
            (self.bands())
            (grid())
            @match self.form { Form::Line => (self.line()), Form::Columns => (self.columns()) }
            @if let Some(percent) = self.target.and_then(|target| place(target.percent)) {
                line.target x1="0%" x2="100%" y1=(Px(percent)) y2=(Px(percent)) {}
            }
            (self.mark())
            (self.labels())
        };
        let legend = html! {
            ul.legend {
                (key(&html! { @match self.form {
                    Form::Line => { line.series x1="0" x2="28" y1="7" y2="7" {} circle.series cx="14" cy="7" r="3.5" {} }
                    Form::Columns => rect.series x="8" y="1" width="12" height="13" {},
                } }, self.series))
                @if let Some(target) = self.target {
                    (key(&html! { line.target x1="0" x2="28" y1="7" y2="7" {} }, target.label))
                }
                @if let Some(mark) = self.mark.filter(|mark| self.at(mark.at).is_some()) {
                    (key(&html! { line.mark x1="14" x2="14" y1="0" y2="14" {} }, mark.label))
                }
                @if hatched {
                    (key(&html! { rect.unobserved x="0" y="0" width="28" height="14" fill=(Pattern::Slanted.fill(self.id)) {} }, self.unobserved))
                }
            }
        };
        figure("trend", self.id, self.title, HEIGHT, &drawing, &legend)
    }

    /// The width of a period, in hundredths.
    fn step(&self) -> f64 {
        100.0 / self.periods.len().max(1) as f64
    }

    fn middle(&self, index: usize) -> f64 {
        (index as f64 + 0.5) * self.step()
    }

    fn at(&self, periods: f64) -> Option<f64> {
        (0.0..=self.periods.len() as f64).contains(&periods).then(|| periods * self.step())
    }

    /// The periods with a value: index, value and height.
    fn valued(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        let valued = self.periods.iter().enumerate();
        valued.filter_map(|(index, period)| {
            let percent = period.percent?;
            Some((index, percent, place(percent)?))
        })
    }

    /// Neighbours that were not observed share one band.
    fn bands(&self) -> Markup {
        let fill = Pattern::Slanted.fill(self.id);
        let (mut bands, mut first) = (Vec::new(), 0);
        for run in self.periods.chunk_by(|one, next| one.unobserved == next.unobserved) {
            if run.iter().any(|period| period.unobserved) {
                bands.push((Across(first as f64 * self.step()), Across(run.len() as f64 * self.step())));
            }
            first += run.len();
        }
        html! {
            @for (x, width) in bands {
                rect.unobserved x=(x) width=(width) y=(Px(TOP)) height=(Px(PLOT)) fill=(fill) {}
            }
        }
    }

    fn columns(&self) -> Markup {
        let width = self.step() * 0.7;
        html! {
            @for (index, percent, y) in self.valued() {
                rect.series x=(Across(self.middle(index) - width / 2.0)) width=(Across(width)) y=(Px(y)) height=(Px(BOTTOM - y)) {
                    title { (self.told(index, percent)) }
                }
            }
        }
    }

    fn line(&self) -> Markup {
        let valued: Vec<_> = self.valued().collect();
        let radius = if self.periods.len() > 40 { 2.0 } else { 3.5 };
        html! {
            @for pair in valued.windows(2) {
                @if let [(one, _, from), (next, _, to)] = pair && one + 1 == *next {
                    line.series x1=(Across(self.middle(*one))) y1=(Px(*from)) x2=(Across(self.middle(*next))) y2=(Px(*to)) {}
                }
            }
            @for (index, percent, y) in &valued {
                circle.series cx=(Across(self.middle(*index))) cy=(Px(*y)) r=(Px(radius)) { title { (self.told(*index, *percent)) } }
            }
        }
    }

    fn told(&self, index: usize, percent: f64) -> String {
        let label = self.periods.get(index).map_or("", |period| period.label.as_str());
        format!("{label}: {}%", written(percent))
    }

    fn mark(&self) -> Markup {
        let Some((mark, x)) = self.mark.and_then(|mark| Some((mark, self.at(mark.at)?))) else { return html! {} };
        html! {
            line.mark x1=(Across(x)) x2=(Across(x)) y1="0" y2=(Px(BOTTOM)) {}
            @if x >= BESIDE { text.side x=(Across(x)) dx="-6" y="11" text-anchor="end" { (mark.before) } }
            @if x <= 100.0 - BESIDE { text.side x=(Across(x)) dx="6" y="11" { (mark.after) } }
        }
    }

    /// Labels below and values above as far as they fit: those that fit only on a desk have a class of their own. They
    /// are counted from the end, because the last period is the one that people look for.
    fn labels(&self) -> Markup {
        let longest = self.periods.iter().map(|period| width(&period.label)).fold(0.0, f64::max);
        // The last of many stands to the left of its place, nearer to its neighbour.
        let each = longest * if self.step() < 8.0 { 1.5 } else { 1.0 } + 8.0;
        let [phone, desk] = ROOM.map(|room| (self.periods.len() as f64 * each / room).ceil().max(1.0) as usize);
        // A label on the phone is one on the desk too.
        let phone = phone.next_multiple_of(desk);
        html! {
            @for (index, period) in self.periods.iter().enumerate() {
                @let (from_end, x) = (self.periods.len() - 1 - index, self.middle(index));
                @if from_end % desk == 0 {
                    @let wide = from_end % phone != 0;
                    @let anchor = if x < 4.0 { "start" } else if x > 96.0 { "end" } else { "middle" };
                    text.label.wide[wide] x=(Across(x)) y=(Px(BOTTOM + 17.0)) text-anchor=(anchor) { (period.label) }
                    @if let Some((percent, y)) = period.percent.and_then(|percent| Some((percent, place(percent)?))) {
                        text.value.wide[wide] x=(Across(x)) y=(Px(y - 7.0)) text-anchor=(anchor) { (written(percent)) }
                    }
                }
            }
        }
    }
}

fn grid() -> Markup {
    html! {
        @for percent in [0, 25, 50, 75, 100] {
            @let y = BOTTOM - f64::from(percent) * PLOT / 100.0;
            line.grid x1="0%" x2="100%" y1=(Px(y)) y2=(Px(y)) {}
            @if percent % 50 == 0 { text.label x="0%" dx="-6" y=(Px(y + 4.0)) text-anchor="end" { (percent) "%" } }
        }
    }
}

/// How far down a value stands; nothing for what is no number.
fn place(percent: f64) -> Option<f64> {
    percent.is_finite().then(|| BOTTOM - percent.clamp(0.0, 100.0) * PLOT / 100.0)
}

fn written(percent: f64) -> String {
    let tenths = format!("{:.1}", percent.clamp(0.0, 100.0));
    tenths.strip_suffix(".0").map_or_else(|| tenths.clone(), str::to_owned)
}

/// About how wide a text is, in pixels: a Chinese character is as wide as it is high.
fn width(text: &str) -> f64 {
    text.chars().map(|letter| if u32::from(letter) < 0x2e80 { 0.56 } else { 1.0 }).sum::<f64>() * LETTER
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawn::{check, values};
    use super::*;

    fn period(label: &str, percent: Option<f64>, unobserved: bool) -> Period {
        Period { label: label.to_owned(), percent, unobserved }
    }

    fn trend(periods: &[Period], form: Form) -> Trend<'_> {
        Trend {
            id: "t",
            title: "参与率",
            form,
            series: "参与率",
            periods,
            target: Some(Target { percent: 80.0, label: "目标 80%" }),
            mark: Some(Mark { at: 2.0, label: "项目开始", before: "之前", after: "之后" }),
            unobserved: "未观测",
        }
    }

    #[test]
    fn a_small_trend() {
        let periods = [
            period("9月", Some(62.0), false),
            period("10月", None, false),
            period("11月", Some(81.25), true),
            period("<12月>", Some(84.0), false),
        ];
        insta::assert_snapshot!(pretty(&trend(&periods, Form::Line)));
        insta::assert_snapshot!(pretty(&trend(&periods, Form::Columns)));
    }

    fn pretty(trend: &Trend<'_>) -> String {
        trend.draw().0.replace("><", ">\n<")
    }

    #[test]
    fn a_gap_is_not_bridged() {
        let periods = [Some(50.0), None, Some(60.0), Some(70.0)].map(|percent| period("x", percent, false));
        let markup = trend(&periods, Form::Line).draw().0;
        let drawing = markup.split("<ul").next().unwrap();
        assert_eq!(drawing.matches("<line class=\"series\"").count(), 1);
        assert_eq!(drawing.matches("<circle class=\"series\"").count(), 3);
    }

    #[test]
    fn the_last_period_has_its_label_at_every_width() {
        let periods: Vec<_> = (1..=90).map(|day| period(&format!("11月{day}日"), Some(50.0), false)).collect();
        let markup = trend(&periods, Form::Line).draw().0;
        let labels = markup.matches("class=\"label\" x").count() - 3;
        let wide = markup.matches("class=\"label wide\"").count();
        assert!((2..=5).contains(&labels) && (3..=8).contains(&(labels + wide)), "{labels} and {wide}");
        assert!(markup.contains(">11月90日</text>"));
        assert_eq!(values(&markup, "id").len(), 2);
    }

    fn any_percent() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![Just(None), (0.0..100.0).prop_map(Some), any::<f64>().prop_map(Some)]
    }

    proptest! {
        #[test]
        fn whatever_the_numbers_are_it_can_be_drawn(
            values in prop::collection::vec((any_percent(), any::<bool>()), 0..120),
            target in any::<f64>(), at in prop_oneof![any::<f64>(), -1.0..130.0], columns: bool,
        ) {
            let periods: Vec<_> = values.iter().map(|(percent, unobserved)| period("11月", *percent, *unobserved)).collect();
            let mut trend = trend(&periods, if columns { Form::Columns } else { Form::Line });
            trend.target = Some(Target { percent: target, label: "t" });
            trend.mark = Some(Mark { at, label: "m", before: "b", after: "a" });
            check(&trend.draw(), HEIGHT);
        }
    }
}
