//! Which days of a community are looked at, and cut into what.

use chrono::{Datelike, Days, Months, NaiveDate};
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::comparison::monday;
use crate::domain::period::{Period, Span, parse_date};
use crate::web::language::Language;

/// Full weeks that are told where nothing else is asked for, before the one under way.
const WEEKS: u64 = 8;
/// The same for months.
const MONTHS: u32 = 8;
/// The most periods of one page.
const MAX_PERIODS: usize = 120;

/// As the form sends it: a field may be empty.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::pages) struct ChosenQuery {
    period: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub period: Period,
    pub span: Span,
}

/// Why it cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    Period,
    Date,
    Span,
    TooMany,
}

impl Mistake {
    pub(super) fn told(self, lang: Language) -> &'static str {
        match self {
            Self::Period => lang.t("请选择按日、按周或按月。", "Choose days, weeks or months."),
            Self::Date => lang.t("请按“年-月-日”填写日期。", "Give dates as YYYY-MM-DD."),
            Self::Span => lang.t(
                "开始日期不能晚于结束日期,也不能相隔十年以上。",
                "The first day must not be after the last one, nor more than ten years before it.",
            ),
            Self::TooMany => lang.t(
                "选择的时间太长:请缩短时间,或改为按周、按月。",
                "Too many rows: choose fewer days, or weeks or months.",
            ),
        }
    }
}

impl ChosenQuery {
    pub(super) fn read(&self, today: NaiveDate) -> Result<Chosen, Mistake> {
        let period = match given(self.period.as_deref()) {
            None | Some("week") => Period::Week,
            Some("day") => Period::Day,
            Some("month") => Period::Month,
            Some(_) => return Err(Mistake::Period),
        };
        let span = span(self.from.as_deref(), self.to.as_deref(), today, |to| first_day(period, to))?;
        if period.cut(span).len() > MAX_PERIODS {
            return Err(Mistake::TooMany);
        }
        Ok(Chosen { period, span })
    }
}

/// The days from `from` to `to`; absent: up to `today`, from what `first` makes of the last.
pub(super) fn span(
    from: Option<&str>,
    to: Option<&str>,
    today: NaiveDate,
    first: impl Fn(NaiveDate) -> NaiveDate,
) -> Result<Span, Mistake> {
    let date = |text: &str| parse_date(text).ok_or(Mistake::Date);
    let to = given(to).map_or(Ok(today), date)?;
    let from = given(from).map_or_else(|| Ok(first(to)), date)?;
    Span::new(from, to).map_err(|_| Mistake::Span)
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn first_day(period: Period, to: NaiveDate) -> NaiveDate {
    let first = match period {
        Period::Month => to.with_day(1).and_then(|first| first.checked_sub_months(Months::new(MONTHS))),
        _ => monday(to).and_then(|monday| monday.checked_sub_days(Days::new(7 * WEEKS))),
    };
    first.unwrap_or(to)
}

impl Chosen {
    pub(super) fn default(today: NaiveDate) -> Self {
        Self { period: Period::Week, span: Span { from: first_day(Period::Week, today), to: today } }
    }

    /// As a query that asks for the same again.
    pub(super) fn query(self) -> String {
        let Span { from, to } = self.span;
        format!("?period={}&from={from}&to={to}", name(self.period))
    }

    /// The form by which another is chosen.
    pub(super) fn form(self, lang: Language) -> Markup {
        let periods =
            [(Period::Day, "按日", "Days"), (Period::Week, "按周", "Weeks"), (Period::Month, "按月", "Months")];
        html! {
            form.row.no-print method="get" {
                div.field {
                    label for="period" { (lang.t("分段", "Cut into")) }
                    select #period name="period" {
                        @for (period, zh, en) in periods {
                            option value=(name(period)) selected[period == self.period] { (lang.t(zh, en)) }
                        }
                    }
                }
                (dates(lang, self.span))
                button type="submit" { (lang.t("查看", "Show")) }
            }
        }
    }
}

/// The fields for a first and a last day.
pub(super) fn dates(lang: Language, span: Span) -> Markup {
    html! {
        div.field {
            label for="from" { (lang.t("从", "From")) }
            input #from type="date" name="from" value=(span.from);
        }
        div.field {
            label for="to" { (lang.t("到", "To")) }
            input #to type="date" name="to" value=(span.to);
        }
    }
}

fn name(period: Period) -> &'static str {
    match period {
        Period::Day => "day",
        Period::Month => "month",
        Period::Week | Period::Range => "week",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(period: &str, from: &str, to: &str) -> Result<(Period, String), Mistake> {
        let text = |text: &str| Some(text.to_owned());
        let query = ChosenQuery { period: text(period), from: text(from), to: text(to) };
        let chosen = query.read("2026-11-23".parse().unwrap());
        chosen.map(|chosen| (chosen.period, format!("{} {}", chosen.span.from, chosen.span.to)))
    }

    #[test]
    fn what_is_left_empty_is_the_last_eight_weeks_or_months() {
        assert_eq!(read("", "", ""), Ok((Period::Week, "2026-09-28 2026-11-23".to_owned())));
        assert_eq!(read("day", "", "2026-11-01"), Ok((Period::Day, "2026-08-31 2026-11-01".to_owned())));
        assert_eq!(read("month", "", ""), Ok((Period::Month, "2026-03-01 2026-11-23".to_owned())));
    }

    #[test]
    fn a_mistake_is_named() {
        assert_eq!(read("hour", "", ""), Err(Mistake::Period));
        assert_eq!(read("", "yesterday", ""), Err(Mistake::Date));
        assert_eq!(read("", "2026-11-24", "2026-11-23"), Err(Mistake::Span));
        assert_eq!(read("day", "2026-01-01", "2026-11-23"), Err(Mistake::TooMany));
    }
}
