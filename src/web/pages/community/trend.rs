//! The charts of the chosen periods. What they draw is in the tables below them.

use chrono::NaiveDate;
use maud::{Markup, html};

use super::reading::Reading;
use crate::domain::period;
use crate::domain::statistics::Participation;
use crate::web::chart::{Form, Mark, Period, Target, Trend};
use crate::web::language::Language;
use crate::web::pages::figure::Figure;

pub(super) fn charts(reading: &Reading, lang: Language) -> Markup {
    let target = reading.standing.targets.participation;
    let starts = reading.comparison.as_ref().map(|comparison| comparison.starts);
    html! {
        div.two {
            div { h3 { (Figure::Participation.name(lang)) } (chart(lang, Figure::Participation, &reading.periods, reading.chosen.period, target, starts)) }
            div { h3 { (Figure::Accuracy.name(lang)) } (chart(lang, Figure::Accuracy, &reading.periods, reading.chosen.period, None, starts)) }
        }
    }
}

/// One figure over the periods, with its target and the project's start where these are known.
pub(super) fn chart(
    lang: Language,
    figure: Figure,
    periods: &[Participation],
    cut: period::Period,
    target: Option<f64>,
    starts: Option<NaiveDate>,
) -> Markup {
    let drawn: Vec<_> = periods
        .iter()
        .map(|period| Period {
            label: label(lang, cut, period.span.from),
            percent: figure.known(period).map(|rate| rate * 100.0),
            unobserved: period.windows_observed < period.windows_scheduled,
        })
        .collect();
    let told = target.map(|target| format!("{}{}", lang.t("目标 ", "target "), lang.percent(Some(target))));
    let begun = starts.map(|starts| format!("{}{}", lang.t("项目开始 ", "project's start "), lang.date(starts)));
    let mark = starts.and_then(|starts| at(periods, starts)).zip(begun.as_ref());
    let id = match figure {
        Figure::Participation => "participation",
        Figure::Correct => "correct",
        Figure::Accuracy => "accuracy",
        Figure::OffHours => "off-hours",
    };
    Trend {
        id,
        title: figure.name(lang),
        form: if drawn.len() > 16 { Form::Line } else { Form::Columns },
        series: figure.name(lang),
        periods: &drawn,
        target: target.zip(told.as_ref()).map(|(target, label)| Target { percent: target * 100.0, label }),
        mark: mark.map(|(at, label)| Mark {
            at,
            label,
            before: lang.t("开始前", "before"),
            after: lang.t("开始后", "after"),
        }),
        unobserved: lang.t("部分或全部开放时段未观测(含未结束的)", "not all windows observed, or not over yet"),
    }
    .draw()
}

fn label(lang: Language, cut: period::Period, from: NaiveDate) -> String {
    match cut {
        period::Period::Month => from.format(lang.t("%-m月", "%b")).to_string(),
        _ => lang.short(from),
    }
}

/// Where a day lies among the periods, counted in periods.
#[expect(clippy::cast_precision_loss, reason = "there are few periods, of few days")]
fn at(periods: &[Participation], day: NaiveDate) -> Option<f64> {
    let index = periods.iter().position(|period| period.span.contains(day))?;
    let span = periods.get(index)?.span;
    let within = (day - span.from).num_days() as f64 / ((span.to - span.from).num_days() + 1) as f64;
    Some(index as f64 + within)
}
