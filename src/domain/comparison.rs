//! Before and after a project's start, as means of full weeks.
//!
//! Weeks are told, not days: the days of a week differ too much. A week in which no window was observed says nothing and is
//! left out; the week in which the project began belongs to neither side unless it began on its Monday.

use chrono::{Datelike, Days, NaiveDate};

use super::period::Span;
use super::statistics::Participation;

/// The most weeks that are told of either side: the last before the start, the latest since.
pub const WEEKS: u64 = 12;

/// The Monday of the week of a day; `None`: calendars do not reach back so far.
pub fn monday(day: NaiveDate) -> Option<NaiveDate> {
    day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into()))
}

/// The last full week before a day.
pub fn last_week(today: NaiveDate) -> Option<Span> {
    let monday = monday(today)?;
    Some(Span { from: monday.checked_sub_days(Days::new(7))?, to: monday.pred_opt()? })
}

/// The full weeks of the two sides of `starts` that are over by `today`, the earliest first.
pub fn sides(starts: NaiveDate, today: NaiveDate) -> (Vec<Span>, Vec<Span>) {
    let weeks = |end: NaiveDate, since: NaiveDate| {
        let mut weeks: Vec<_> = std::iter::successors(last_week(end), |week| last_week(week.from))
            .take_while(|week| week.from >= since)
            .take(usize::try_from(WEEKS).unwrap_or(usize::MAX))
            .collect();
        weeks.reverse();
        weeks
    };
    (weeks(starts.min(today), NaiveDate::MIN), weeks(today, starts))
}

/// What the weeks of a side were like on the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    /// The weeks that were counted, and the days they lie within.
    pub weeks: u64,
    pub span: Option<Span>,
    pub participation: Option<f64>,
    pub correct_participation: Option<f64>,
    pub accuracy: Option<f64>,
    pub off_hours: Option<f64>,
}

/// The means of `weeks`, each rate over the weeks that have it.
pub fn means(weeks: &[Participation]) -> Means {
    let observed: Vec<_> = weeks.iter().filter(|week| week.windows_observed > 0 && week.households > 0).collect();
    let mean = |rate: fn(&Participation) -> Option<f64>| {
        let rates: Vec<f64> = observed.iter().filter_map(|week| rate(week)).collect();
        #[expect(clippy::cast_precision_loss, reason = "there are a few weeks")]
        (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    };
    Means {
        weeks: observed.len() as u64,
        span: observed
            .first()
            .zip(observed.last())
            .map(|(first, last)| Span { from: first.span.from, to: last.span.to }),
        participation: mean(Participation::participation_rate),
        correct_participation: mean(Participation::correct_participation_rate),
        accuracy: mean(Participation::accuracy),
        off_hours: mean(Participation::off_hours_share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::statistics::{TimingCounts, VerdictCounts};

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_week_of_the_start_is_on_neither_side() {
        let (before, after) = sides(day("2026-10-14"), day("2026-11-02"));
        assert_eq!(before.len(), 12);
        assert_eq!(before[11], Span { from: day("2026-10-05"), to: day("2026-10-11") });
        let mondays: Vec<_> = after.iter().map(|week| week.from).collect();
        assert_eq!(mondays, [day("2026-10-19"), day("2026-10-26")]);
        let (before, after) = sides(day("2026-10-12"), day("2026-10-20"));
        assert_eq!(before[11].to, day("2026-10-11"));
        assert_eq!(after, [Span { from: day("2026-10-12"), to: day("2026-10-18") }]);
        let (before, after) = sides(day("2027-01-01"), day("2026-10-20"));
        assert_eq!((before[11].to, after), (day("2026-10-18"), vec![]), "what is to come is on neither side");
        assert!(sides(NaiveDate::MIN, NaiveDate::MIN).0.is_empty());
    }

    #[test]
    fn a_week_that_nobody_observed_is_no_week_without_participation() {
        let week = |participating, windows_observed, correct| Participation {
            span: Span { from: day("2026-10-05"), to: day("2026-10-11") },
            households: 10,
            participating,
            correct_participating: 0,
            set_out_rate: None,
            timing: TimingCounts::default(),
            identified: 0,
            verdict: VerdictCounts { correct, incorrect: 1, unjudged: 0 },
            grams: std::collections::BTreeMap::default(),
            windows_scheduled: 14,
            windows_observed,
        };
        let means = means(&[week(4, 14, 1), week(0, 0, 0), week(8, 1, 3)]);
        assert_eq!((means.weeks, means.accuracy), (2, Some(0.625)));
        assert!(means.participation.is_some_and(|mean| (mean - 0.6).abs() < 1e-12), "{means:?}");
        assert_eq!(means.off_hours, None);
        assert_eq!(super::means(&[]), Means::default());
    }
}
