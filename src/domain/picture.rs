//! What the linkage platform is told of a community: its picture. Everything in it that concerns households is a [`Cell`],
//! told or withheld as [`published`] has it, and everything that is concluded (baselines, targets met, the trend, needs) is
//! concluded from cells alone, so that it can tell no more than they do.
//!
//! Only full weeks and months are told. The last [`WEEKS`] weeks and [`MONTHS`] months are kept right: an event comes at
//! most 90 days late, and these hold every day that it can be of. What is older is not told any more, so it is not revised.

use chrono::{Datelike, Days, Months, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::awareness::Awareness;
use super::needs::Need;
use super::period::{Period, Span};
use super::published::{Share, share, share_of_longer};
use super::registry::{OrganizationKind, SURVEYED_DAYS, Targets};
use super::statistics::{Counts, Participation};

/// Full weeks in a picture.
pub const WEEKS: u64 = 13;
/// Full months in a picture.
pub const MONTHS: u32 = 4;
/// Weeks that the last one is compared with, and weeks before a project that are its baseline.
const COMPARED: usize = 4;
/// By how many points, in percent, the last week must differ from those before to be a change.
const CHANGE: i64 = 5;

/// A share of households or deposits. Null where it is withheld, because fewer than 5 are counted, or fewer than 5 are not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub withheld: bool,
    /// A multiple of 5.
    #[schema(required = true, example = 65)]
    pub part: Option<u64>,
    /// A multiple of 5.
    #[schema(required = true, example = 105)]
    pub whole: Option<u64>,
    /// Of the two, in whole percent: 0 to 1.
    #[schema(required = true, example = 0.62)]
    pub rate: Option<f64>,
}

impl From<Option<Share>> for Cell {
    fn from(share: Option<Share>) -> Self {
        Self {
            withheld: share.is_none(),
            part: share.map(|share| share.part),
            whole: share.map(|share| share.whole),
            rate: share.map(|share| rate(share.percent)),
        }
    }
}

impl Cell {
    /// In whole percent; `None`: withheld.
    pub fn percent(&self) -> Option<i64> {
        self.rate.map(whole_percent)
    }
}

/// A rate as it is told, of whole percent.
#[expect(clippy::cast_precision_loss, reason = "percent are small")]
pub fn rate(percent: u64) -> f64 {
    percent as f64 / 100.0
}

#[expect(clippy::cast_possible_truncation, reason = "rates are 0 to 1")]
fn whole_percent(rate: f64) -> i64 {
    (rate * 100.0).round() as i64
}

/// The figures of a full week (Monday first) or a calendar month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkagePeriod)]
pub struct Told {
    pub from: NaiveDate,
    /// Included.
    pub to: NaiveDate,
    /// Households that took part, of all.
    pub participation: Cell,
    /// Households that took part with a deposit judged correct, of all.
    pub correct_participation: Cell,
    /// Deposits judged correct, of those judged. Of weeks only: months would give away the sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Cell>,
    /// Deposits outside all windows, of all deposits. Of weeks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off_hours: Option<Cell>,
}

/// Participation: the last full week and the last full month, and those before that may still be corrected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageParticipation)]
pub struct Taking {
    pub week: Told,
    pub month: Told,
    /// The 12 weeks before, the latest first.
    pub earlier_weeks: Vec<Told>,
    /// The 3 months before, the latest first.
    pub earlier_months: Vec<Told>,
}

impl Taking {
    /// All weeks, the latest first.
    pub fn weeks(&self) -> impl Iterator<Item = &Told> {
        std::iter::once(&self.week).chain(&self.earlier_weeks)
    }

    /// All months, the latest first.
    pub fn months(&self) -> impl Iterator<Item = &Told> {
        std::iter::once(&self.month).chain(&self.earlier_months)
    }
}

/// Households that know how to sort, of those that answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageAwareness)]
pub struct Knowing {
    pub from: NaiveDate,
    /// Included.
    pub to: NaiveDate,
    /// By what they said.
    pub claimed: Cell,
    /// By what they showed.
    pub tested: Cell,
}

impl Knowing {
    pub fn new(span: Span, figure: &Awareness) -> Self {
        Self {
            from: span.from,
            to: span.to,
            claimed: share(figure.claimed.aware, figure.claimed.respondents).into(),
            tested: share(figure.tested.aware, figure.tested.respondents).into(),
        }
    }

    /// What was shown says more than what was said.
    pub fn best(&self) -> Cell {
        if self.tested.withheld { self.claimed } else { self.tested }
    }
}

/// Whether the last week differs from the four before, by 5 points or more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageTrend)]
pub struct Trend {
    pub direction: Direction,
    /// The participation rate of the last full week; null: withheld.
    #[schema(required = true)]
    pub rate: Option<f64>,
    /// The mean of the rates told of the four weeks before, in whole percent; null: fewer than two are told.
    #[schema(required = true)]
    pub before: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = LinkageDirection)]
pub enum Direction {
    Rising,
    Steady,
    Falling,
    /// Too little is told.
    Unknown,
}

/// An organization as the platform meets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageOrganization)]
pub struct Party {
    pub id: String,
    pub name: String,
    pub kind: OrganizationKind,
}

/// A project, where it began, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageProject)]
pub struct Progress {
    pub id: String,
    pub organization: String,
    pub starts: NaiveDate,
    pub targets: Targets,
    /// Null: no full week is before its start yet.
    #[schema(required = true)]
    pub baseline: Option<Baseline>,
    pub met: Met,
}

/// What held before a project began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageBaseline)]
pub struct Baseline {
    /// Of the four full weeks before the week in which the project began,
    pub from: NaiveDate,
    /// included,
    pub to: NaiveDate,
    /// the mean of the participation rates told, in whole percent; null: none is told.
    #[schema(required = true)]
    pub participation_rate: Option<f64>,
    /// Of the year until then.
    pub awareness: Knowing,
}

/// Whether a project's targets are met, by what is told; null: it has no such target, or the figure is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageTargetsMet)]
pub struct Met {
    /// By the last full week.
    #[schema(required = true)]
    pub participation: Option<bool>,
    /// By what was shown, or where that is withheld by what was said.
    #[schema(required = true)]
    pub awareness: Option<bool>,
}

/// All that is told of a community.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageCommunity)]
pub struct Picture {
    /// The version of the definitions that the figures follow.
    pub definitions: u32,
    pub community: String,
    pub name: String,
    pub time_zone: String,
    /// The organization that is its residents' committee.
    pub committee: String,
    /// The committee and those that have a project, by id.
    pub organizations: Vec<Party>,
    pub projects: Vec<Progress>,
    pub participation: Taking,
    pub awareness: Knowing,
    pub trend: Trend,
    /// What the figures ask for.
    pub needs: Vec<Need>,
}

/// The last `count` full weeks before `today`, the latest first.
pub fn full_weeks(today: NaiveDate, count: u64) -> Vec<Span> {
    let week = |ago| {
        let from = monday(today) - Days::new(7 * ago);
        Span { from, to: from + Days::new(6) }
    };
    (1..=count).map(week).collect()
}

/// The last full months before `today`, the latest first.
pub fn full_months(today: NaiveDate) -> Vec<Span> {
    let first = today.with_day(1).unwrap_or(today);
    let month = |ago| Span { from: first - Months::new(ago), to: first - Months::new(ago - 1) - Days::new(1) };
    (1..=MONTHS).map(month).collect()
}

fn monday(date: NaiveDate) -> NaiveDate {
    date - Days::new(date.weekday().num_days_from_monday().into())
}

/// The days that the figures of a picture are of.
pub fn told_span(today: NaiveDate) -> Span {
    let periods = full_weeks(today, WEEKS).into_iter().chain(full_months(today));
    periods.fold(Span { from: today, to: today }, |all, period| Span { from: all.from.min(period.from), ..all })
}

/// The four full weeks before the week in which a project began, as far as they are over; `None`: they are not.
pub fn baseline_span(starts: NaiveDate, today: NaiveDate) -> Option<Span> {
    let (until, over) = (monday(starts), monday(today));
    (until <= over).then(|| Span { from: until - Days::new(7 * COMPARED as u64), to: until - Days::new(1) })
}

/// The days of the surveys that are told of a project's baseline.
pub fn surveyed_before(baseline: Span) -> Span {
    Span { from: baseline.to - Days::new(SURVEYED_DAYS - 1), ..baseline }
}

/// The last day of the last full week: up to it awareness is told.
pub fn last_full_day(today: NaiveDate) -> NaiveDate {
    monday(today) - Days::new(1)
}

/// The households that took part in a week, of all.
pub fn participation(figures: &Participation) -> Option<Share> {
    share(figures.participating, figures.households)
}

/// The figures of a full week.
pub fn week(counts: &Counts, span: Span, today: NaiveDate) -> Told {
    let figures = counts.participation(span, today);
    let (timing, verdict) = (figures.timing, figures.verdict);
    Told {
        from: span.from,
        to: span.to,
        participation: participation(&figures).into(),
        correct_participation: share(figures.correct_participating, figures.households).into(),
        accuracy: Some(share(verdict.correct, verdict.correct + verdict.incorrect).into()),
        off_hours: Some(share(timing.off_hours, timing.total()).into()),
    }
}

/// The figures of a full month.
pub fn month(counts: &Counts, span: Span, today: NaiveDate) -> Told {
    let figures = counts.participation(span, today);
    // Its weeks, cut at its ends: whoever took part in the month took part in one of them.
    let weeks: Vec<_> = Period::Week.cut(span).into_iter().map(|week| counts.participation(week, today)).collect();
    let of_weeks = |part: fn(&Participation) -> u64| {
        let within: Vec<_> = weeks.iter().map(|week| (part(week), week.households)).collect();
        share_of_longer(part(&figures), figures.households, &within).into()
    };
    Told {
        from: span.from,
        to: span.to,
        participation: of_weeks(|figures| figures.participating),
        correct_participation: of_weeks(|figures| figures.correct_participating),
        accuracy: None,
        off_hours: None,
    }
}

/// The mean in whole percent, and of how many that are told.
pub fn mean(percents: impl Iterator<Item = Option<i64>>) -> Option<(i64, usize)> {
    let told: Vec<i64> = percents.flatten().collect();
    let count = i64::try_from(told.len()).ok().filter(|count| *count > 0)?;
    Some(((told.iter().sum::<i64>() * 2 + count) / (2 * count), told.len()))
}

/// What the last week is compared with: the mean of those before, where at least two are told.
pub fn compared(taking: &Taking) -> Option<i64> {
    let before = taking.earlier_weeks.iter().take(COMPARED).map(|week| week.participation.percent());
    mean(before).filter(|(_, count)| *count >= 2).map(|(mean, _)| mean)
}

pub fn trend(taking: &Taking) -> Trend {
    let (last, before) = (taking.week.participation.percent(), compared(taking));
    let direction = match (last, before) {
        (Some(last), Some(before)) if last - before >= CHANGE => Direction::Rising,
        (Some(last), Some(before)) if before - last >= CHANGE => Direction::Falling,
        (Some(_), Some(_)) => Direction::Steady,
        _ => Direction::Unknown,
    };
    Trend {
        direction,
        rate: taking.week.participation.rate,
        before: before.map(|percent| rate(percent.unsigned_abs())),
    }
}

/// Whether targets are met by what is told.
pub fn met(targets: Targets, taking: &Taking, knowing: &Knowing) -> Met {
    // A target of 0.8 is met by 80 %, however either was written.
    let reached = |target: Option<f64>, cell: Cell| Some(cell.rate? + 1e-9 >= target?);
    Met {
        participation: reached(targets.participation, taking.week.participation),
        awareness: reached(targets.awareness, knowing.best()),
    }
}
