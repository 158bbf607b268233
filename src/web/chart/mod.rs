//! Charts drawn on the server: pure functions from numbers to SVG, without a script.
//!
//! Every chart is as wide as the column it stands in: across, it counts in percent, so that its text keeps its size on a
//! phone as on a desk; down, in pixels. Looks are classes out of `chart.css`, because the pages allow no style of their
//! own; no difference is one of colour alone. Each chart is one image with a name: its figures are read from the
//! table that a page puts beside it.
//!
//! Ours, because what charts-rs and plotters draw has fixed sizes and carries colours and fonts instead of class names.

mod bars;
mod hours;
mod interval;
mod trend;

use std::fmt;

use maud::{Markup, html};

pub(super) use bars::{Bar, Bars, Fill, Part};
pub(super) use hours::{Hours, HoursWords, Opening};
pub(super) use interval::Interval;
pub(super) use trend::{Form, Mark, Period, Target, Trend};

/// The rules that the charts' classes need.
pub(super) const STYLE: &str = include_str!("chart.css");

/// A number as it stands in an attribute: finite, and with two decimals at most.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Px(f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounded = (self.0 * 100.0).round() / 100.0;
        // Neither `-0` nor `NaN` means anything in a drawing.
        write!(f, "{}", if rounded.is_finite() && rounded != 0.0 { rounded } else { 0.0 })
    }
}

/// A place or a width across the chart, in hundredths of it.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Across(f64);

impl fmt::Display for Across {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", Px(self.0.clamp(0.0, 100.0)))
    }
}

/// The frame of every chart: a figure with the drawing, named for those who do not see it, and the legend below.
fn figure(class: &str, id: &str, title: &str, height: f64, drawing: &Markup, legend: &Markup) -> Markup {
    html! {
        figure class={ "chart " (class) } {
            svg id=(id) width="100%" height=(Px(height)) role="img" aria-labelledby={ (id) "-title" } {
                title id={ (id) "-title" } { (title) }
                (drawing)
            }
            (legend)
        }
    }
}

/// What a sign in the chart means; the sign is drawn into 28 by 14 pixels.
fn key(sign: &Markup, meaning: &str) -> Markup {
    html! {
        li { svg.sign width="28" height="14" aria-hidden="true" { (sign) } (meaning) }
    }
}

/// A pattern that is laid over an area, so that it is told apart without its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern {
    Slanted,
    Dotted,
    Upright,
}

impl Pattern {
    fn name(self) -> &'static str {
        match self {
            Self::Slanted => "slanted",
            Self::Dotted => "dotted",
            Self::Upright => "upright",
        }
    }

    /// The definition, under an id that begins with the chart's.
    fn definition(self, id: &str) -> Markup {
        html! {
            pattern id={ (id) "-" (self.name()) } width="6" height="6" patternUnits="userSpaceOnUse" {
                @match self {
                    Self::Slanted => path.stroke d="M-1 1l2-2M0 6l6-6M5 7l2-2" {},
                    Self::Dotted => circle.dot cx="3" cy="3" r="1.3" {},
                    Self::Upright => path.stroke d="M3 0v6" {},
                }
            }
        }
    }

    fn fill(self, id: &str) -> String {
        format!("url(#{id}-{})", self.name())
    }
}

#[cfg(test)]
mod drawn {
    //! What must hold for every chart, read from its markup.

    use maud::Markup;

    /// The values of an attribute, in order.
    pub(super) fn values<'a>(svg: &'a str, name: &str) -> Vec<&'a str> {
        let start = format!(" {name}=\"");
        svg.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
    }

    fn number(text: &str) -> f64 {
        text.trim_end_matches('%').parse().unwrap_or_else(|_| panic!("{text} is no number"))
    }

    /// Every coordinate is a number inside of the drawing, and nothing would be refused by the policy of the pages.
    pub(super) fn check(markup: &Markup, height: f64) {
        let svg = markup.0.as_str();
        assert!(svg.contains("role=\"img\"") && svg.contains("</title>"), "{svg}");
        for never in ["NaN", "inf", " style=", "<style", "<script"] {
            assert!(!svg.contains(never), "{never} in {svg}");
        }
        let drawing = svg.split("</figure>").next().and_then(|figure| figure.split("<ul").next()).unwrap_or_default();
        let (body, patterns): (String, bool) = match drawing.split_once("</defs>") {
            Some((_, body)) => (body.to_owned(), true),
            None => (drawing.to_owned(), false),
        };
        assert_eq!(patterns, drawing.contains("<defs>"));
        for name in ["x", "x1", "x2", "cx", "width"] {
            for value in values(&body, name) {
                assert!((0.0..=100.0).contains(&number(value)) && value.ends_with('%'), "{name}={value} in {svg}");
            }
        }
        for name in ["y", "y1", "y2", "cy", "height"] {
            for value in values(&body, name) {
                assert!((0.0..=height).contains(&number(value)), "{name}={value} in {svg}");
            }
        }
        for rect in body.split("<rect").skip(1).filter_map(|rest| rest.split('>').next()) {
            let rect = format!("{rect} ");
            let edge = |at: &str, size: &str| number(values(&rect, at)[0]) + number(values(&rect, size)[0]);
            assert!(edge("x", "width") <= 100.02 && edge("y", "height") <= height + 0.02, "{rect}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_drawable() {
        for (number, written) in
            [(f64::NAN, "0"), (f64::INFINITY, "0"), (-0.001, "0"), (1.0 / 3.0, "0.33"), (12.0, "12")]
        {
            assert_eq!(Px(number).to_string(), written);
        }
        assert_eq!((Across(101.0).to_string(), Across(f64::NAN).to_string()), ("100%".to_owned(), "0%".to_owned()));
    }
}
