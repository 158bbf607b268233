//! Visits and surveys at the door, and the awareness figure (知晓率) that comes of them.
//!
//! The figure follows the public contract, section 3. Its interval is E. B. Wilson's (“Probable inference, the law of
//! succession, and statistical inference”, J. Am. Stat. Assoc. 22, 1927), with the variance reduced by the finite
//! population correction (N − n) ÷ (N − 1): a survey of everybody leaves nothing uncertain.

use std::collections::HashMap;

use chrono::NaiveDate;
use fenlei_wire::limits::is_id;

use super::period::Span;
use super::roster::{HouseholdKey, Roster};
use super::rows::BadRow;
use super::statistics::{rate, roll_call};

/// Why somebody went to the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitKind {
    Visit,
    Survey,
}

impl VisitKind {
    pub const ALL: &'static [Self] = &[Self::Visit, Self::Survey];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Visit => "visit",
            Self::Survey => "survey",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Answered,
    Refused,
    Absent,
}

impl Outcome {
    pub const ALL: &'static [Self] = &[Self::Answered, Self::Refused, Self::Absent];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Absent => "absent",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|outcome| outcome.as_str() == text)
    }
}

/// A record of a visit or a survey. There is one for each household, day and kind: a later one replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    pub household: String,
    pub date: NaiveDate,
    pub kind: VisitKind,
    pub outcome: Outcome,
    /// Whether it says that it knows how to sort; `None`: not asked, or no answer.
    pub claimed: Option<bool>,
    /// Whether it showed that it does.
    pub tested: Option<bool>,
}

/// What each record says for itself; `today` is that of the community.
pub fn check_visits(rows: &[(usize, Visit)], today: NaiveDate) -> Vec<BadRow> {
    let mut bad = Vec::new();
    for (number, visit) in rows {
        if !is_id(&visit.household) {
            bad.push(BadRow::new(*number, "`household` must match [a-z0-9][a-z0-9_-]{0,47}"));
        }
        if visit.date > today {
            bad.push(BadRow::new(*number, "`date` is in the future: give the day of the visit"));
        }
        if visit.outcome != Outcome::Answered && (visit.claimed.is_some() || visit.tested.is_some()) {
            bad.push(BadRow::new(
                *number,
                "`claimed` and `tested` are answers: they go with the outcome `answered` only",
            ));
        }
    }
    bad
}

/// What a record says to the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub household: HouseholdKey,
    pub outcome: Outcome,
    pub claimed: Option<bool>,
    pub tested: Option<bool>,
}

/// One of the two ways of asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub respondents: u64,
    pub aware: u64,
}

impl Answers {
    fn count(&mut self, answer: Option<bool>) {
        self.respondents += u64::from(answer.is_some());
        self.aware += u64::from(answer == Some(true));
    }

    pub fn rate(&self) -> Option<f64> {
        rate(self.aware, self.respondents)
    }

    /// The ends of the 95 % interval for the share of all `population` households.
    pub fn interval(&self, population: u64) -> Option<(f64, f64)> {
        interval(self.aware, self.respondents, population)
    }
}

/// Awareness in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Awareness {
    /// Households enrolled at the roll call of the period.
    pub population: u64,
    pub claimed: Answers,
    pub tested: Answers,
    /// Households that gave no answer in the period and last refused one.
    pub refused: u64,
    /// Households that gave no answer in the period and were last not met.
    pub absent: u64,
}

/// The figure of `span`: `said` are its records in the order of their days, those of one day as they were recorded.
pub fn awareness(roster: &Roster, said: &[Said], span: Span, today: NaiveDate) -> Awareness {
    let mut latest: HashMap<HouseholdKey, Said> = HashMap::new();
    for said in said {
        let known = latest.entry(said.household).or_insert(*said);
        let (claimed, tested) = (said.claimed.or(known.claimed), said.tested.or(known.tested));
        *known = Said { claimed, tested, ..*said };
    }
    let mut figure = Awareness::default();
    for (_, household) in roster.enrolled(roll_call(span, today)) {
        figure.population += 1;
        let Some(said) = latest.get(&household) else { continue };
        figure.claimed.count(said.claimed);
        figure.tested.count(said.tested);
        let silent = said.claimed.is_none() && said.tested.is_none();
        figure.refused += u64::from(silent && said.outcome == Outcome::Refused);
        figure.absent += u64::from(silent && said.outcome == Outcome::Absent);
    }
    figure
}

/// The normal distribution leaves 2.5 % beyond it.
const Z: f64 = 1.959_964;

/// Of `aware` among `n` respondents out of `population`: [(p+ψ) ± √(2ψp(1−p)+ψ²)] ÷ (1+2ψ) with
/// ψ = ((N−n)/(N−1))·z²/(2n). Exactly p where everybody was asked, nothing where nobody was.
fn interval(aware: u64, n: u64, population: u64) -> Option<(f64, f64)> {
    let p = rate(aware, n)?;
    if population <= n.max(1) {
        return Some((p, p));
    }
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let (n, population) = (n as f64, population as f64);
    let psi = (population - n) / (population - 1.0) * Z * Z / (2.0 * n);
    let half = (2.0 * psi * p * (1.0 - p) + psi * psi).sqrt();
    let end = |half: f64| (p + psi + half) / (1.0 + 2.0 * psi);
    // Of floating-point numbers the last digit may lie beyond.
    Some((end(-half).clamp(0.0, p), end(half).clamp(p, 1.0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::roster::Enrolment;
    use super::super::zone::Day;
    use super::*;

    fn rounded(aware: u64, n: u64, population: u64) -> (f64, f64) {
        let (low, high) = interval(aware, n, population).unwrap();
        ((low * 1e4).round() / 1e4, (high * 1e4).round() / 1e4)
    }

    #[test]
    fn the_worked_examples_of_the_contract() {
        assert_eq!(rounded(60, 60, 400), (0.9483, 1.0));
        assert_eq!(rounded(70, 100, 400), (0.6174, 0.7714));
        assert_eq!(rounded(29, 30, 120), (0.8581, 0.9929));
    }

    #[test]
    fn nobody_asked_everybody_asked_and_one_household() {
        assert_eq!(interval(0, 0, 400), None);
        assert_eq!(interval(0, 0, 0), None);
        assert_eq!(interval(1, 3, 3), Some((1.0 / 3.0, 1.0 / 3.0)));
        assert_eq!(interval(0, 1, 1), Some((0.0, 0.0)));
        assert_eq!(interval(1, 1, 1), Some((1.0, 1.0)));
    }

    /// (aware, n, N) with aware ≤ n ≤ N and n ≥ 1.
    fn survey() -> impl Strategy<Value = (u64, u64, u64)> {
        let population = prop_oneof![1u64..12, 1u64..5_000, 1u64..1_000_000];
        population
            .prop_flat_map(|population| (1..=population, Just(population)))
            .prop_flat_map(|(n, population)| (0..=n, Just(n), Just(population)))
    }

    proptest! {
        #[test]
        fn the_interval_lies_within_0_and_1_and_around_the_rate((aware, n, population) in survey()) {
            let (p, (low, high)) = (rate(aware, n).unwrap(), interval(aware, n, population).unwrap());
            prop_assert!(0.0 <= low && low <= p && p <= high && high <= 1.0, "{low} {p} {high}");
            prop_assert_eq!(low == high, n == population);
        }

        /// Wilson's ends are the shares from which the rate lies z standard errors away: (p − x)² = z²·fpc·x(1 − x) ÷ n.
        #[test]
        fn its_ends_are_the_shares_that_the_rate_can_just_come_from((aware, n, population) in survey()) {
            let (p, (low, high)) = (aware as f64 / n as f64, interval(aware, n, population).unwrap());
            let correction = if population == 1 { 0.0 } else { (population - n) as f64 / (population - 1) as f64 };
            for end in [low, high] {
                let variance = correction * end * (1.0 - end) / n as f64;
                prop_assert!(((p - end).powi(2) - 1.959_964_f64.powi(2) * variance).abs() < 1e-12);
            }
        }

        /// Asking more households of the same mind never widens it; a greater population never narrows it.
        #[test]
        fn it_narrows_with_the_survey_and_widens_with_the_population((aware, n, population) in survey()) {
            let width = |aware, n, population| interval(aware, n, population).map(|(low, high)| high - low).unwrap();
            let here = width(aware, n, population);
            prop_assert!(here <= width(aware, n, population + 1) + 1e-12);
            if 2 * n <= population {
                prop_assert!(width(2 * aware, 2 * n, population) <= here + 1e-12);
            }
        }
    }

    const FIRST: &str = "2026-11-01";
    const LAST: &str = "2026-11-28";

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn figure(households: &[Option<&str>], said: &[Said]) -> Awareness {
        let mut roster = Roster::default();
        for (key, until) in (1..).zip(households) {
            let until = until.map(|until| Day::of(date(until)));
            roster.add(HouseholdKey(key), Enrolment { from: Day::of(date("2026-11-10")), until });
        }
        awareness(&roster, said, Span::new(date(FIRST), date(LAST)).unwrap(), date("2026-12-31"))
    }

    fn said(household: i64, outcome: Outcome, claimed: Option<bool>, tested: Option<bool>) -> Said {
        Said { household: HouseholdKey(household), outcome, claimed, tested }
    }

    #[test]
    fn of_each_household_the_latest_answer_of_each_kind() {
        use Outcome::{Absent, Answered, Refused};
        let records = [
            said(1, Answered, Some(false), Some(true)),
            said(2, Absent, None, None),
            said(3, Refused, None, None),
            said(4, Answered, Some(true), None),
            // Its later claim stands beside its earlier test; what it refuses later takes nothing back.
            said(1, Answered, Some(true), None),
            said(1, Refused, None, None),
            // Not met, then it refused: once, as it last was.
            said(2, Refused, None, None),
            // Met, and not asked: neither.
            said(5, Absent, None, None),
            said(5, Answered, None, None),
            // Moved out, and never enrolled.
            said(6, Answered, Some(true), Some(true)),
            said(99, Answered, Some(true), Some(true)),
        ];
        let households = [None, None, None, None, None, Some("2026-11-27"), None];
        let found = figure(&households, &records);
        assert_eq!(found.population, 6);
        assert_eq!(found.claimed, Answers { respondents: 2, aware: 2 });
        assert_eq!(found.tested, Answers { respondents: 1, aware: 1 });
        assert_eq!((found.refused, found.absent), (2, 0));
        assert_eq!(figure(&[], &records), Awareness::default());
    }

    proptest! {
        #[test]
        fn nobody_is_counted_twice_or_from_outside(
            records in prop::collection::vec((1i64..9, 0usize..3, any::<Option<bool>>(), any::<Option<bool>>()), 0..40),
        ) {
            let records: Vec<_> = records
                .into_iter()
                .map(|(household, outcome, claimed, tested)| {
                    let answered = Outcome::ALL[outcome] == Outcome::Answered;
                    said(household, Outcome::ALL[outcome], claimed.filter(|_| answered), tested.filter(|_| answered))
                })
                .collect();
            let found = figure(&[None; 6], &records);
            prop_assert_eq!(found.population, 6);
            let most = found.claimed.respondents.max(found.tested.respondents);
            prop_assert!(most + found.refused + found.absent <= found.population);
            for answers in [found.claimed, found.tested] {
                prop_assert!(answers.aware <= answers.respondents);
            }
        }
    }

    #[test]
    fn every_bad_record_is_named() {
        let visit = |household: &str, on: &str, outcome, claimed| Visit {
            household: household.into(),
            date: date(on),
            kind: VisitKind::Survey,
            outcome,
            claimed,
            tested: None,
        };
        let rows = [
            (1, visit("h1", "2026-11-23", Outcome::Answered, Some(true))),
            (2, visit("H 2", "2026-11-24", Outcome::Absent, Some(false))),
            (3, visit("h3", "2026-11-23", Outcome::Refused, None)),
        ];
        let named: Vec<_> = check_visits(&rows, date("2026-11-23")).iter().map(|bad| bad.row).collect();
        assert_eq!(named, [2, 2, 2]);
    }
}
