//! Lying bars cut into parts: when deposits came (within the hours, made up, outside), and the streams by weight.

use maud::{Markup, html};

use super::{Across, Pattern, Px, figure, key};

const LABEL: f64 = 18.0;
const BAR: f64 = 20.0;
const ROW: f64 = LABEL + BAR + 12.0;

pub(in crate::web) struct Bars<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// What is drawn, for those who do not see it.
    pub title: &'a str,
    pub bars: &'a [Bar],
    /// What the fills mean, in the order of the legend.
    pub legend: &'a [(Fill, &'a str)],
    /// `true`: every bar is a whole, and its parts are shares of it. `false`: the longest bar takes the whole width, and the
    /// others are as long as their sums are to it.
    pub shares: bool,
}

#[derive(Clone, Debug)]
pub(in crate::web) struct Bar {
    pub label: String,
    /// What stands at its other end, such as its sum with the unit.
    pub value: String,
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(in crate::web) struct Part {
    pub fill: Fill,
    /// In any unit that is the same throughout the chart; what is not above zero is not drawn.
    pub amount: f64,
    /// Said when it is pointed at.
    pub told: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Fill {
    InWindow,
    Makeup,
    OffHours,
    Food,
    Residual,
    Recyclable,
    Hazardous,
}

impl Fill {
    fn class(self) -> &'static str {
        match self {
            Self::InWindow => "in-window",
            Self::Makeup => "makeup",
            Self::OffHours => "off-hours",
            Self::Food => "food",
            Self::Residual => "residual",
            Self::Recyclable => "recyclable",
            Self::Hazardous => "hazardous",
        }
    }

    /// Fills that stand in one chart have different ones.
    fn pattern(self) -> Option<Pattern> {
        match self {
            Self::InWindow | Self::Residual => None,
            Self::Makeup | Self::Food => Some(Pattern::Slanted),
            Self::OffHours | Self::Recyclable => Some(Pattern::Dotted),
            Self::Hazardous => Some(Pattern::Upright),
        }
    }
}

impl Bars<'_> {
    pub(in crate::web) fn draw(&self) -> Markup {
        let longest = self.bars.iter().map(Bar::sum).fold(0.0, f64::max);
        let drawing = html! {
            defs { @for pattern in [Pattern::Slanted, Pattern::Dotted, Pattern::Upright] { (pattern.definition(self.id)) } }
            @for (bar, row) in self.bars.iter().zip(0_u32..) {
                @let top = f64::from(row) * ROW;
                text.label x="0%" y=(Px(top + LABEL - 5.0)) { (bar.label) }
                text.value x="100%" y=(Px(top + LABEL - 5.0)) text-anchor="end" { (bar.value) }
                rect.bed x="0%" width="100%" y=(Px(top + LABEL)) height=(Px(BAR)) {}
                @for (part, from, upto) in bar.places(if self.shares { bar.sum() } else { longest }) {
                    @let (x, width, y) = (Across(from), Across(upto - from), Px(top + LABEL));
                    rect.part.(part.fill.class()) x=(x) width=(width) y=(y) height=(Px(BAR)) { title { (part.told) } }
                    @if let Some(pattern) = part.fill.pattern() {
                        rect.over x=(x) width=(width) y=(y) height=(Px(BAR)) fill=(pattern.fill(self.id)) {}
                    }
                }
            }
        };
        let legend = html! {
            ul.legend {
                @for (fill, meaning) in self.legend {
                    (key(&html! {
                        rect.part.(fill.class()) x="0" y="0" width="28" height="14" {}
                        @if let Some(pattern) = fill.pattern() {
                            rect.over x="0" y="0" width="28" height="14" fill=(pattern.fill(self.id)) {}
                        }
                    }, meaning))
                }
            }
        };
        figure("bars", self.id, self.title, self.height(), &drawing, &legend)
    }

    fn height(&self) -> f64 {
        self.bars.len() as f64 * ROW
    }
}

impl Bar {
    fn drawn(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.amount.is_finite() && part.amount > 0.0)
    }

    fn sum(&self) -> f64 {
        self.drawn().map(|part| part.amount).sum()
    }

    /// Its parts, from where to where, in hundredths, if `whole` is all of the width.
    fn places(&self, whole: f64) -> Vec<(&Part, f64, f64)> {
        let mut from = 0.0;
        let places = self.drawn().map(|part| {
            let upto = from + part.amount / whole * 100.0;
            (part, std::mem::replace(&mut from, upto), upto)
        });
        places.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawn::{check, values};
    use super::*;

    fn bar(label: &str, parts: &[(Fill, f64)]) -> Bar {
        let part =
            |(fill, amount): &(Fill, f64)| Part { fill: *fill, amount: *amount, told: format!("{fill:?} {amount}") };
        Bar { label: label.to_owned(), value: "100".to_owned(), parts: parts.iter().map(part).collect() }
    }

    fn bars(bars: &[Bar], shares: bool) -> Bars<'_> {
        Bars {
            id: "b",
            title: "投放时段",
            bars,
            legend: &[(Fill::InWindow, "时段内"), (Fill::OffHours, "时段外")],
            shares,
        }
    }

    #[test]
    fn small_bars() {
        let rows =
            [bar("1号点", &[(Fill::InWindow, 30.0), (Fill::OffHours, 10.0)]), bar("2号点", &[(Fill::InWindow, 20.0)])];
        insta::assert_snapshot!(bars(&rows, true).draw().0.replace("><", ">\n<"));
        let widths = |shares| {
            let drawn = bars(&rows, shares).draw().0;
            let parts = drawn.split("<ul").next().unwrap().split("<rect class=\"part").skip(1);
            parts.map(|part| values(part, "width")[0].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(widths(true), ["75%", "25%", "100%"]);
        assert_eq!(widths(false), ["75%", "25%", "50%"]);
    }

    #[test]
    fn fills_of_one_chart_are_told_apart_without_colour() {
        for chart in [
            &[Fill::InWindow, Fill::Makeup, Fill::OffHours][..],
            &[Fill::Food, Fill::Residual, Fill::Recyclable, Fill::Hazardous],
        ] {
            for (index, fill) in chart.iter().enumerate() {
                assert!(chart[..index].iter().all(|other| other.pattern() != fill.pattern()), "{fill:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_the_numbers_are_it_can_be_drawn(
            rows in prop::collection::vec(prop::collection::vec(prop_oneof![0.0..1e6, any::<f64>()], 0..5), 0..6), shares: bool,
        ) {
            let fills = [Fill::Food, Fill::Residual, Fill::Recyclable, Fill::Hazardous];
            let rows: Vec<_> = rows.into_iter().map(|row| bar("x", &fills.into_iter().zip(row).collect::<Vec<_>>())).collect();
            let bars = bars(&rows, shares);
            check(&bars.draw(), bars.height());
        }
    }
}
