//! What a community's figures ask for, in the linkage platform's terms: who is needed, and by what evidence.
//!
//! A need is one for each kind. It is opened and closed by what is told, never by an exact count, so a need tells no more
//! than its evidence does. The limits for closing lie apart from those for opening: a figure on the edge does not open and
//! close its need with every correction. A figure that is withheld closes its need: what cannot be told cannot be asked for.
//!
//! | kind | opens | closes | concerns |
//! |---|---|---|---|
//! | `participation_falling` | the last week is 10 points or more below the mean of the four before | less than 5 points below the mean it was opened with | volunteer groups |
//! | `awareness_low` | below the highest target of a project, 60 % without one | not below it | social organizations |
//! | `awareness_unknown` | nothing is told 28 days after a project began | something is told | social organizations |
//! | `off_hours` | in the last week 20 % of the deposits or more | less than 15 % | the committee |
//! | `low_accuracy` | in the last week less than 70 % of the judged deposits are correct | 75 % or more | volunteer groups |
//! | `devices_silent` | a device is silent for a day | none is | the committee |

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::picture::{Cell, Knowing, Party, Progress, Taking, compared, rate};
use super::published::share;
use super::registry::OrganizationKind;
use super::statistics::TimingCounts;

/// By how many points participation must fall,
const FALLEN: i64 = 10;
/// and how many may be left when it has come back.
const RECOVERED: i64 = 5;
/// What awareness is held against where no project has a target.
const AWARE: f64 = 0.6;
/// How long after its beginning a project must have told something of awareness, in days.
const SURVEY_WITHIN: u64 = 28;
/// Percent of deposits outside the hours that open and that close.
const OFF_HOURS: (i64, i64) = (20, 15);
/// Percent of judged deposits that are correct that open and that close.
const ACCURATE: (i64, i64) = (70, 75);
/// How long a device is silent before it is told of, in milliseconds.
pub const SILENT_MS: i64 = 24 * 60 * 60 * 1000;
/// Hours in the span of the day that a cluster is told of.
const CLUSTER_HOURS: usize = 3;

/// What is asked for, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "evidence", rename_all = "snake_case")]
#[schema(as = LinkageEvidence)]
pub enum Evidence {
    ParticipationFalling {
        from: NaiveDate,
        to: NaiveDate,
        participation: Cell,
        /// The rate from which it fell.
        before: f64,
    },
    AwarenessLow {
        #[serde(flatten)]
        awareness: Knowing,
        /// What it is held against.
        target: f64,
    },
    AwarenessUnknown(Knowing),
    OffHours {
        from: NaiveDate,
        to: NaiveDate,
        off_hours: Cell,
        /// Three hours in which half of them or more lie; null: there are none, or it is withheld.
        #[schema(required = true)]
        cluster: Option<Cluster>,
    },
    LowAccuracy {
        from: NaiveDate,
        to: NaiveDate,
        accuracy: Cell,
    },
    DevicesSilent {
        devices: Vec<Silent>,
    },
}

/// Hours of the day, local, in which deposits outside the windows gather.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageCluster)]
pub struct Cluster {
    #[schema(example = "06:00")]
    pub from: String,
    #[schema(example = "09:00")]
    pub to: String,
    /// Of the deposits outside the windows.
    pub share: Cell,
}

/// A device that is not heard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageSilentDevice)]
pub struct Silent {
    pub site: String,
    pub device: String,
    /// When its silence was noticed.
    #[schema(format = DateTime)]
    pub since: String,
}

/// A need as it is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageNeed)]
pub struct Need {
    #[serde(flatten)]
    pub evidence: Evidence,
    /// Whom it concerns.
    pub group: OrganizationKind,
    /// Organizations of that kind that work in the community; none: one is looked for.
    pub organizations: Vec<String>,
    /// The local date on which it was opened.
    pub opened: NaiveDate,
}

/// What a need is told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkageNeedKind)]
pub enum NeedKind {
    ParticipationFalling,
    AwarenessLow,
    AwarenessUnknown,
    OffHours,
    LowAccuracy,
    DevicesSilent,
}

impl Evidence {
    pub const fn kind(&self) -> NeedKind {
        match self {
            Self::ParticipationFalling { .. } => NeedKind::ParticipationFalling,
            Self::AwarenessLow { .. } => NeedKind::AwarenessLow,
            Self::AwarenessUnknown(_) => NeedKind::AwarenessUnknown,
            Self::OffHours { .. } => NeedKind::OffHours,
            Self::LowAccuracy { .. } => NeedKind::LowAccuracy,
            Self::DevicesSilent { .. } => NeedKind::DevicesSilent,
        }
    }
}

impl NeedKind {
    const fn group(self) -> OrganizationKind {
        match self {
            Self::ParticipationFalling | Self::LowAccuracy => OrganizationKind::VolunteerGroup,
            Self::AwarenessLow | Self::AwarenessUnknown => OrganizationKind::SocialOrganization,
            Self::OffHours | Self::DevicesSilent => OrganizationKind::Committee,
        }
    }
}

/// What needs are concluded from, all of it as it is told.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub participation: &'a Taking,
    pub awareness: &'a Knowing,
    pub projects: &'a [Progress],
    pub organizations: &'a [Party],
    /// Of the last full week.
    pub cluster: Option<&'a Cluster>,
    /// By site and id.
    pub silent: &'a [Silent],
    pub today: NaiveDate,
}

/// The needs that hold now; `before`: those that held until now.
pub fn needs(before: &[Need], seen: Seen<'_>) -> Vec<Need> {
    let was = |kind| before.iter().find(|need| need.evidence.kind() == kind);
    let opened = |kind| was(kind).map_or(seen.today, |need| need.opened);
    let found = [
        falling(was(NeedKind::ParticipationFalling), seen),
        unaware(seen),
        off_hours(was(NeedKind::OffHours).is_some(), seen),
        inaccurate(was(NeedKind::LowAccuracy).is_some(), seen),
        (!seen.silent.is_empty()).then(|| Evidence::DevicesSilent { devices: seen.silent.to_vec() }),
    ];
    let need = |evidence: Evidence| {
        let kind = evidence.kind();
        let group = kind.group();
        let concerned = seen.organizations.iter().filter(|party| party.kind == group);
        let organizations = concerned.map(|party| party.id.clone()).collect();
        Need { evidence, group, organizations, opened: opened(kind) }
    };
    found.into_iter().flatten().map(need).collect()
}

fn falling(was: Option<&Need>, seen: Seen<'_>) -> Option<Evidence> {
    let week = &seen.participation.week;
    let last = week.participation.percent()?;
    let before = match was.map(|need| &need.evidence) {
        Some(Evidence::ParticipationFalling { before, .. }) => {
            let before = Cell { withheld: false, part: None, whole: None, rate: Some(*before) }.percent()?;
            (before - last >= RECOVERED).then_some(before)
        }
        _ => compared(seen.participation).filter(|before| before - last >= FALLEN),
    };
    let before = rate(before?.unsigned_abs());
    Some(Evidence::ParticipationFalling { from: week.from, to: week.to, participation: week.participation, before })
}

fn unaware(seen: Seen<'_>) -> Option<Evidence> {
    let awareness = seen.awareness.clone();
    let Some(aware) = awareness.best().rate else {
        let due = seen.today - Days::new(SURVEY_WITHIN);
        let begun = seen.projects.iter().any(|project| project.starts <= due);
        return begun.then_some(Evidence::AwarenessUnknown(awareness));
    };
    let targets = seen.projects.iter().filter_map(|project| project.targets.awareness);
    let target = targets.reduce(f64::max).unwrap_or(AWARE);
    (aware + 1e-9 < target).then_some(Evidence::AwarenessLow { awareness, target })
}

fn off_hours(was: bool, seen: Seen<'_>) -> Option<Evidence> {
    let week = &seen.participation.week;
    let off_hours = week.off_hours?;
    let limit = if was { OFF_HOURS.1 } else { OFF_HOURS.0 };
    let cluster = seen.cluster.cloned();
    (off_hours.percent()? >= limit).then_some(Evidence::OffHours { from: week.from, to: week.to, off_hours, cluster })
}

fn inaccurate(was: bool, seen: Seen<'_>) -> Option<Evidence> {
    let week = &seen.participation.week;
    let accuracy = week.accuracy?;
    let limit = if was { ACCURATE.1 } else { ACCURATE.0 };
    (accuracy.percent()? < limit).then_some(Evidence::LowAccuracy { from: week.from, to: week.to, accuracy })
}

/// Where deposits outside the windows gather: the first three hours (from midnight, 3:00, 6:00, …) whose share of them is
/// told and is half or more.
pub fn cluster(hours: &[TimingCounts; 24]) -> Option<Cluster> {
    let all: u64 = hours.iter().map(|hour| hour.off_hours).sum();
    let spans = hours.chunks(CLUSTER_HOURS).enumerate();
    let mut told = spans.filter_map(|(number, hours)| {
        let share = share(hours.iter().map(|hour| hour.off_hours).sum(), all)?;
        let hour = |number: usize| format!("{:02}:00", number * CLUSTER_HOURS);
        (share.percent >= 50).then(|| Cluster { from: hour(number), to: hour(number + 1), share: Some(share).into() })
    });
    told.next()
}

#[cfg(test)]
mod tests {
    use super::super::picture::{Baseline, Met, Told};
    use super::super::published::Share;
    use super::super::registry::Targets;
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn cell(percent: Option<u64>) -> Cell {
        percent.map(|percent| Share { part: percent, whole: 100, percent }).into()
    }

    fn week(participation: Option<u64>) -> Told {
        let (from, to) = (date("2026-11-16"), date("2026-11-22"));
        let (accuracy, off_hours) = (Some(cell(Some(90))), Some(cell(Some(10))));
        Told { from, to, participation: cell(participation), correct_participation: cell(None), accuracy, off_hours }
    }

    /// The last week first.
    fn weeks(participation: &[Option<u64>]) -> Taking {
        let mut weeks = participation.iter().map(|percent| week(*percent));
        Taking {
            week: weeks.next().unwrap(),
            earlier_weeks: weeks.collect(),
            month: week(None),
            earlier_months: vec![],
        }
    }

    fn knowing(percent: Option<u64>) -> Knowing {
        Knowing { from: date("2026-01-01"), to: date("2026-11-22"), claimed: cell(percent), tested: cell(None) }
    }

    fn project(starts: &str, awareness: Option<f64>) -> Progress {
        let baseline: Option<Baseline> = None;
        let targets = Targets { participation: None, awareness };
        let met = Met { participation: None, awareness: None };
        Progress { id: "p".into(), organization: "o".into(), starts: date(starts), targets, baseline, met }
    }

    fn kinds(before: &[Need], participation: &Taking, awareness: &Knowing, projects: &[Progress]) -> Vec<Need> {
        let seen = Seen {
            participation,
            awareness,
            projects,
            organizations: &[],
            cluster: None,
            silent: &[],
            today: date("2026-11-23"),
        };
        needs(before, seen)
    }

    fn of(needs: &[Need]) -> Vec<NeedKind> {
        needs.iter().map(|need| need.evidence.kind()).collect()
    }

    #[test]
    fn participation_falls_by_ten_points_and_has_recovered_within_five_of_where_it_was() {
        let aware = knowing(Some(90));
        let look = |before: &[Need], percents: &[Option<u64>]| kinds(before, &weeks(percents), &aware, &[]);
        assert_eq!(look(&[], &[Some(61), Some(70), Some(70)]), []);
        assert_eq!(look(&[], &[Some(60), Some(70), None]), [], "one week says nothing");
        let fallen = look(&[], &[Some(60), Some(70), Some(70)]);
        assert_eq!(of(&fallen), [NeedKind::ParticipationFalling]);
        assert_eq!(fallen[0].group, OrganizationKind::VolunteerGroup);
        // The weeks before are low themselves by now: what it fell from stands.
        let still = look(&fallen, &[Some(65), Some(60), Some(60)]);
        let Evidence::ParticipationFalling { before, .. } = still[0].evidence else { panic!("{still:?}") };
        assert_eq!((before, still[0].opened), (0.7, fallen[0].opened));
        assert_eq!(look(&still, &[Some(66), Some(60), Some(60)]), []);
        assert_eq!(look(&still, &[None, Some(60), Some(60)]), [], "what cannot be told cannot be asked for");
    }

    #[test]
    fn awareness_is_held_against_the_highest_target() {
        let steady = weeks(&[Some(70)]);
        let look = |percent, projects: &[Progress]| of(&kinds(&[], &steady, &knowing(percent), projects));
        assert_eq!(look(Some(59), &[]), [NeedKind::AwarenessLow]);
        assert_eq!(look(Some(60), &[]), []);
        let projects = [project("2026-11-01", Some(0.7)), project("2026-11-20", Some(0.8))];
        assert_eq!((look(Some(79), &projects), look(Some(80), &projects)), (vec![NeedKind::AwarenessLow], vec![]));
        assert_eq!(look(None, &[]), [], "nobody asked for it");
        assert_eq!(look(None, &projects), [], "22 days after the first began");
        assert_eq!(look(None, &[project("2026-10-26", None)]), [NeedKind::AwarenessUnknown]);
    }

    #[test]
    fn hours_and_accuracy_open_at_one_limit_and_close_at_another() {
        let aware = knowing(Some(90));
        let look = |before: &[Need], off_hours, accuracy| {
            let mut weeks = weeks(&[Some(70)]);
            weeks.week.off_hours = Some(cell(off_hours));
            weeks.week.accuracy = Some(cell(accuracy));
            kinds(before, &weeks, &aware, &[])
        };
        assert_eq!(look(&[], Some(19), Some(70)), []);
        let both = look(&[], Some(20), Some(69));
        assert_eq!(of(&both), [NeedKind::OffHours, NeedKind::LowAccuracy]);
        assert_eq!(of(&look(&both, Some(15), Some(74))), [NeedKind::OffHours, NeedKind::LowAccuracy]);
        assert_eq!(look(&both, Some(14), Some(75)), []);
        assert_eq!(look(&both, None, None), []);
    }

    #[test]
    fn a_cluster_is_three_hours_that_hold_half_of_what_is_off_hours() {
        let mut hours = [TimingCounts::default(); 24];
        hours[6].off_hours = 6;
        hours[8].off_hours = 6;
        hours[20].off_hours = 10;
        let found = cluster(&hours).unwrap();
        assert_eq!((found.from.as_str(), found.to.as_str(), found.share.part), ("06:00", "09:00", Some(10)));
        hours[20].off_hours = 4;
        assert_eq!(cluster(&hours), None, "of all but four it would be told who the four are not");
        hours[20].off_hours = 30;
        assert_eq!(cluster(&hours).unwrap().from, "18:00");
    }

    #[test]
    fn a_need_is_written_and_read_again() {
        let aware = knowing(Some(30));
        let mut weeks = weeks(&[Some(50), Some(70), Some(70)]);
        weeks.week.off_hours = Some(cell(Some(40)));
        weeks.week.accuracy = Some(cell(Some(40)));
        let silent = [Silent { site: "gate".into(), device: "bin-1".into(), since: "2026-11-20T00:00:00.000Z".into() }];
        let organizations = [Party { id: "north".into(), name: "北".into(), kind: OrganizationKind::Committee }];
        let seen = Seen {
            participation: &weeks,
            awareness: &aware,
            projects: &[],
            organizations: &organizations,
            cluster: None,
            silent: &silent,
            today: date("2026-11-23"),
        };
        let needs = needs(&[], seen);
        assert_eq!(needs.len(), 5);
        assert_eq!(needs[4].organizations, ["north"]);
        let text = serde_json::to_string(&needs).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Need>>(&text).unwrap(), needs);
    }
}
