//! The figures of definitions version 1: participation, set-out, timing, accuracy.
//!
//! They are computed from what the store has counted (rows by day, card and window; rows by day and
//! stream) and from the roster as it stands now, so a late event or a late import is right at the next
//! read. Sources: `H` and the rates follow the public contract, section 3; a rate without a
//! denominator is `None`, never 0.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use fenlei_wire::vocabulary::{Stream, Timing};

use super::period::Span;
use super::roster::{CardId, HouseholdIndex, Roster};
use super::timetable::Opening;
use super::zone::Day;

/// Deposits of one card in one place of the schedule on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardCount {
    pub day: Day,
    pub card: CardId,
    pub place: Place,
    pub deposits: u64,
    pub correct: u64,
}

/// Where in the schedule a card was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In an open window: the deposit counts here.
    Window(Opening),
    /// In a further window that overlaps the one where the deposit counts: a set-out there, but no second deposit.
    AlsoIn(Opening),
    Makeup,
    OffHours,
}

/// Deposits of one stream on one day, whoever brought them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamCount {
    pub day: Day,
    pub stream: Stream,
    pub timing: TimingCounts,
    pub verdict: VerdictCounts,
    pub grams: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimingCounts {
    pub in_window: u64,
    pub makeup: u64,
    pub off_hours: u64,
}

impl TimingCounts {
    pub fn total(&self) -> u64 {
        self.in_window + self.makeup + self.off_hours
    }

    pub fn add(&mut self, other: &Self) {
        self.in_window += other.in_window;
        self.makeup += other.makeup;
        self.off_hours += other.off_hours;
    }

    pub fn count(&mut self, timing: Timing) {
        match timing {
            Timing::InWindow => self.in_window += 1,
            Timing::Makeup => self.makeup += 1,
            Timing::OffHours => self.off_hours += 1,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    pub correct: u64,
    pub incorrect: u64,
    pub unjudged: u64,
}

impl VerdictCounts {
    pub fn judged(&self) -> u64 {
        self.correct + self.incorrect
    }

    pub fn add(&mut self, other: &Self) {
        self.correct += other.correct;
        self.incorrect += other.incorrect;
        self.unjudged += other.unjudged;
    }
}

/// The deposits of one stream in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTotal {
    pub timing: TimingCounts,
    pub verdict: VerdictCounts,
    pub grams: u64,
}

/// A scheduled opportunity of a community: a window by date and span, however many sites have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opportunity {
    pub day: Day,
    pub opening: Opening,
}

/// All that a community's figures are computed from.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub roster: Roster,
    /// Sorted by day.
    pub cards: Vec<CardCount>,
    /// Sorted by day.
    pub streams: Vec<StreamCount>,
    /// The scheduled opportunities, and whether each was observed.
    pub opportunities: BTreeMap<Opportunity, bool>,
}

/// Who took part in a period.
#[derive(Clone, Debug, Default)]
pub struct Attendance {
    /// At least one deposit in an open or a makeup window.
    pub participating: HashSet<HouseholdIndex>,
    /// The same, with the verdict `correct`.
    pub correct: HashSet<HouseholdIndex>,
    /// Deposits whose card belongs to a household enrolled that day, whether or not it is at the roll call.
    pub identified: u64,
    pub set_out: HashMap<Opportunity, BTreeSet<HouseholdIndex>>,
}

/// The day by whose enrolments the households of a period are counted: its last, today at the latest.
pub fn roll_call(span: Span, today: NaiveDate) -> Day {
    span.last_day().min(Day::of(today))
}

/// The figures of one period.
#[derive(Clone, Debug, PartialEq)]
pub struct Participation {
    pub span: Span,
    pub households: u64,
    pub participating: u64,
    pub correct_participating: u64,
    pub set_out_rate: Option<f64>,
    pub timing: TimingCounts,
    pub identified: u64,
    pub verdict: VerdictCounts,
    pub grams: BTreeMap<Stream, u64>,
    pub windows_scheduled: u64,
    pub windows_observed: u64,
}

impl Participation {
    pub fn participation_rate(&self) -> Option<f64> {
        rate(self.participating, self.households)
    }

    pub fn correct_participation_rate(&self) -> Option<f64> {
        rate(self.correct_participating, self.households)
    }

    pub fn accuracy(&self) -> Option<f64> {
        rate(self.verdict.correct, self.verdict.judged())
    }

    /// Whether anything is known of its open windows, or there were none to observe.
    pub fn is_observed(&self) -> bool {
        self.windows_observed > 0 || self.windows_scheduled == 0
    }

    pub fn off_hours_share(&self) -> Option<f64> {
        rate(self.timing.off_hours, self.timing.total())
    }

    /// Share of deposits that have a verdict: how much the accuracy speaks for.
    pub fn judged_coverage(&self) -> Option<f64> {
        rate(self.verdict.judged(), self.timing.total())
    }

    /// Share of deposits whose card is known: when low, participation is a lower bound.
    pub fn identified_coverage(&self) -> Option<f64> {
        rate(self.identified, self.timing.total())
    }
}

/// `numerator ÷ denominator`, and nothing where there is no denominator.
pub fn rate(numerator: u64, denominator: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    (denominator > 0).then(|| numerator as f64 / denominator as f64)
}

/// A rate as it is published: rounded to 6 places.
pub fn rounded(rate: Option<f64>) -> Option<f64> {
    rate.map(|rate| (rate * 1e6).round() / 1e6)
}

impl Counts {
    /// Who took part in `span`, of the households enrolled at its roll call.
    pub fn attendance(&self, span: Span, today: NaiveDate) -> Attendance {
        let roll_call = roll_call(span, today);
        let mut attendance = Attendance::default();
        for count in within(&self.cards, span.first_day(), span.last_day(), |count| count.day) {
            let Some(holder) = self.roster.holder(count.card, count.day) else { continue };
            if !matches!(count.place, Place::AlsoIn(_)) {
                attendance.identified += count.deposits;
            }
            if count.deposits == 0 || !self.roster.is_enrolled(holder, roll_call) {
                continue;
            }
            if matches!(count.place, Place::Window(_) | Place::Makeup) {
                attendance.participating.insert(holder);
                if count.correct > 0 {
                    attendance.correct.insert(holder);
                }
            }
            if let Place::Window(opening) | Place::AlsoIn(opening) = count.place {
                attendance.set_out.entry(Opportunity { day: count.day, opening }).or_default().insert(holder);
            }
        }
        attendance
    }

    /// What each stream brought in `span`; a stream without deposits is absent.
    pub fn streams(&self, span: Span) -> BTreeMap<Stream, StreamTotal> {
        let mut streams: BTreeMap<Stream, StreamTotal> = BTreeMap::new();
        for count in within(&self.streams, span.first_day(), span.last_day(), |count| count.day) {
            let total = streams.entry(count.stream).or_default();
            total.timing.add(&count.timing);
            total.verdict.add(&count.verdict);
            total.grams += count.grams;
        }
        streams
    }

    /// The figures of `span`; `today` bounds the day by which households are counted.
    pub fn participation(&self, span: Span, today: NaiveDate) -> Participation {
        let (first, last) = (span.first_day(), span.last_day());
        let households = self.roster.enrolled(roll_call(span, today)).count() as u64;
        let Attendance { participating, correct, identified, set_out } = self.attendance(span, today);
        let mut figures = Participation {
            span,
            households,
            participating: participating.len() as u64,
            correct_participating: correct.len() as u64,
            set_out_rate: None,
            timing: TimingCounts::default(),
            identified,
            verdict: VerdictCounts::default(),
            grams: BTreeMap::new(),
            windows_scheduled: 0,
            windows_observed: 0,
        };
        let mut set_outs = 0;
        let earliest = Opportunity { day: first, opening: Opening { open: 0, close: 0 } };
        let after = Opportunity { day: last.next(), opening: Opening { open: 0, close: 0 } };
        for (opportunity, observed) in self.opportunities.range(earliest..after) {
            figures.windows_scheduled += 1;
            if *observed {
                figures.windows_observed += 1;
                set_outs += set_out.get(opportunity).map_or(0, |holders| holders.len() as u64);
            }
        }
        figures.set_out_rate = rate(set_outs, households * figures.windows_observed);
        for count in within(&self.streams, first, last, |count| count.day) {
            figures.timing.add(&count.timing);
            figures.verdict.add(&count.verdict);
            *figures.grams.entry(count.stream).or_default() += count.grams;
        }
        figures
    }
}

/// The part of `rows`, sorted by day, that lies in `first..=last`.
fn within<T>(rows: &[T], first: Day, last: Day, day: impl Fn(&T) -> Day) -> &[T] {
    let from = rows.partition_point(|row| day(row) < first);
    let to = rows.partition_point(|row| day(row) <= last);
    rows.get(from..to).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::roster::{Enrolment, HouseholdKey};

    fn day(text: &str) -> Day {
        Day::of(text.parse().unwrap())
    }

    const MORNING: Opening = Opening { open: 480, close: 540 };

    #[test]
    fn a_week_of_three_households() {
        let mut roster = Roster::default();
        for (card, until) in [(1, None), (2, None), (3, Some(day("2026-11-18")))] {
            let household = roster.add(HouseholdKey(card), Enrolment { from: day("2026-01-01"), until });
            roster.give(CardId(card), household);
        }
        let count =
            |date, card, place, correct| CardCount { day: day(date), card: CardId(card), place, deposits: 1, correct };
        let counts = Counts {
            roster,
            cards: vec![
                count("2026-11-16", 1, Place::Window(MORNING), 1),
                count("2026-11-16", 3, Place::Window(MORNING), 1),
                count("2026-11-17", 2, Place::OffHours, 1),
                count("2026-11-17", 99, Place::Window(MORNING), 1),
            ],
            streams: vec![],
            opportunities: [("2026-11-16", true), ("2026-11-17", true), ("2026-11-18", false)]
                .map(|(date, observed)| (Opportunity { day: day(date), opening: MORNING }, observed))
                .into(),
        };
        let week = Span::new("2026-11-16".parse().unwrap(), "2026-11-22".parse().unwrap()).unwrap();
        let figures = counts.participation(week, "2026-12-01".parse().unwrap());
        // The third household moved out: not in H, but its deposit of a day on which it was enrolled is identified.
        assert_eq!((figures.households, figures.participating, figures.correct_participating), (2, 1, 1));
        assert_eq!(figures.identified, 3);
        assert_eq!((figures.windows_scheduled, figures.windows_observed), (3, 2));
        assert_eq!(figures.set_out_rate, Some(0.25));
        assert_eq!(figures.accuracy(), None);
        let early = counts.participation(week, "2026-11-17".parse().unwrap());
        assert_eq!((early.households, early.participating), (3, 2), "today bounds the day of the roll call");
    }
}
