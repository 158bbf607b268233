//! A rate from a sample, with the interval in which the rate of all of them lies.

use maud::{Markup, html};

use super::{Across, Px, figure, key};

const TOP: f64 = 8.0;
const BAR: f64 = 16.0;
const SCALE: f64 = TOP + BAR + 16.0;

pub(in crate::web) struct Interval<'a> {
    /// Unique on the page.
    pub id: &'a str,
    /// What is drawn, for those who do not see it.
    pub title: &'a str,
    /// 0 to 1, as are the others.
    pub rate: f64,
    pub low: f64,
    pub high: f64,
    pub target: Option<f64>,
    /// What the signs mean: the rate, the interval, the target.
    pub legend: [&'a str; 3],
}

impl Interval<'_> {
    pub(in crate::web) fn draw(&self) -> Markup {
        let [rate, interval, target] = self.legend;
        let across = |share: f64| Across(share * 100.0);
        let middle = Px(TOP + BAR / 2.0);
        let drawing = html! {
            rect.bed x="0%" width="100%" y=(Px(TOP)) height=(Px(BAR)) {}
            rect.band x=(across(self.low)) width=(across(self.high - self.low)) y=(Px(TOP)) height=(Px(BAR)) {}
            @if let Some(target) = self.target {
                line.target x1=(across(target)) x2=(across(target)) y1="0" y2=(Px(TOP + BAR + 4.0)) {}
            }
            circle.series cx=(across(self.rate)) cy=(middle) r="6" {}
            @for (at, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
                text x=(across(at)) y=(Px(SCALE)) text-anchor=(anchor) { (at * 100.0) "%" }
            }
        };
        let legend = html! {
            ul.legend {
                (key(&html! { circle.series cx="14" cy="7" r="6" {} }, rate))
                (key(&html! { rect.band x="0" y="0" width="28" height="14" {} }, interval))
                @if self.target.is_some() { (key(&html! { line.target x1="0" x2="28" y1="7" y2="7" {} }, target)) }
            }
        };
        figure("interval", self.id, self.title, SCALE + 4.0, &drawing, &legend)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::drawn::{check, values};
    use super::*;

    fn drawn(rate: f64, low: f64, high: f64, target: Option<f64>) -> Markup {
        Interval { id: "i", title: "知晓率", rate, low, high, target, legend: ["r", "i", "t"] }.draw()
    }

    #[test]
    fn the_band_reaches_from_low_to_high_and_the_point_is_the_rate() {
        let svg = drawn(0.7, 0.6, 0.8, Some(0.75)).0;
        assert!(values(&svg, "x").contains(&"60%") && values(&svg, "width").contains(&"20%"), "{svg}");
        assert_eq!(values(&svg, "cx")[0], "70%");
        assert!(values(&svg, "x1").contains(&"75%"));
        assert!(!drawn(0.7, 0.6, 0.8, None).0.contains("target"));
    }

    proptest! {
        #[test]
        fn whatever_the_rate_it_can_be_drawn(rate in 0.0..=1.0, below in 0.0..=1.0, above in 0.0..=1.0, target: Option<f64>) {
            check(&drawn(rate, rate * below, rate + (1.0 - rate) * above, target), SCALE + 4.0);
        }
    }
}
