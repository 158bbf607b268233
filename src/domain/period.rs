//! Spans of local days, and how a span is cut into the periods that a figure is stated for.

use chrono::{Datelike, Duration, NaiveDate};

use super::zone::Day;

/// Days from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: NaiveDate,
    pub to: NaiveDate,
}

/// The longest span one question may cover; more is a slip of the keyboard, not a statistic.
pub const MAX_DAYS: u64 = 3_660;

/// Why two dates are no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    #[error("`from` is after `to`: give the earlier date first")]
    Reversed,
    #[error("`from` and `to` are more than {MAX_DAYS} days apart: ask for a shorter period")]
    TooLong,
}

impl Span {
    pub fn new(from: NaiveDate, to: NaiveDate) -> Result<Self, SpanError> {
        if from > to {
            Err(SpanError::Reversed)
        } else if (to - from).num_days() >= MAX_DAYS.cast_signed() {
            Err(SpanError::TooLong)
        } else {
            Ok(Self { from, to })
        }
    }

    pub fn contains(&self, date: NaiveDate) -> bool {
        self.from <= date && date <= self.to
    }

    pub fn first_day(&self) -> Day {
        Day::of(self.from)
    }

    pub fn last_day(&self) -> Day {
        Day::of(self.to)
    }

    pub fn dates(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        let to = self.to;
        self.from.iter_days().take_while(move |date| *date <= to)
    }
}

/// Reads a date written `YYYY-MM-DD`, and nothing else: years beyond four digits are slips, and overflow calendars.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    let fits = |(at, byte): (usize, &u8)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() };
    let written = bytes.len() == 10 && bytes.iter().enumerate().all(fits);
    written.then(|| text.parse().ok()).flatten()
}

/// The length of the periods that a span is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
    /// The whole span as one period.
    Range,
}

impl Period {
    /// The periods of `span`, the first and the last cut at its ends.
    pub fn cut(self, span: Span) -> Vec<Span> {
        let mut periods = Vec::new();
        let mut from = span.from;
        loop {
            let to = self.last_day_of_period(from).unwrap_or(span.to).min(span.to);
            periods.push(Span { from, to });
            match to.succ_opt() {
                Some(next) if next <= span.to => from = next,
                _ => return periods,
            }
        }
    }

    fn last_day_of_period(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => Some(date),
            Self::Week => {
                let left = 6 - date.weekday().num_days_from_monday();
                date.checked_add_signed(Duration::days(left.into()))
            }
            Self::Month => {
                let (year, month) = (date.year(), date.month());
                let next = if month == 12 {
                    NaiveDate::from_ymd_opt(year + 1, 1, 1)
                } else {
                    NaiveDate::from_ymd_opt(year, month + 1, 1)
                };
                next.and_then(|first| first.pred_opt())
            }
            Self::Range => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: &str, to: &str) -> Span {
        Span::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
    }

    #[test]
    fn weeks_begin_on_monday_and_are_cut_at_both_ends() {
        let weeks = Period::Week.cut(span("2026-11-19", "2026-12-01"));
        assert_eq!(
            weeks,
            [span("2026-11-19", "2026-11-22"), span("2026-11-23", "2026-11-29"), span("2026-11-30", "2026-12-01")]
        );
    }

    #[test]
    fn a_date_has_one_spelling() {
        assert_eq!(parse_date("2026-11-19"), "2026-11-19".parse().ok());
        for wrong in ["2026-11-31", "2026-1-01", "+12026-11-19", "20261119", "2026-11-19T00", "2026/11/19"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn months_days_and_the_range() {
        assert_eq!(
            Period::Month.cut(span("2026-12-31", "2027-01-01")),
            [span("2026-12-31", "2026-12-31"), span("2027-01-01", "2027-01-01")]
        );
        assert_eq!(Period::Day.cut(span("2026-11-19", "2026-11-21")).len(), 3);
        assert_eq!(Period::Range.cut(span("2026-11-19", "2026-11-21")), [span("2026-11-19", "2026-11-21")]);
        let reversed = Span::new("2026-11-20".parse().unwrap(), "2026-11-19".parse().unwrap());
        assert_eq!(reversed, Err(SpanError::Reversed));
    }
}
