//! What changed between two pictures of a community, and why.
//!
//! The reasons are those that may be told: what is registered, the calendar, a schedule or a roster that changed. That late
//! events came is concluded where nothing else can be the cause. Whether they came is never looked up: beside another cause
//! it would tell of a single deposit.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::needs::{Need, NeedKind};
use super::picture::{Party, Picture, Progress, Told};

/// Why something that was told is told anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkageReason)]
pub enum Reason {
    /// A week, a month or a day is over.
    Calendar,
    /// Events came late: deposits, or judgements of them.
    LateEvents,
    /// A schedule was corrected for days that have passed.
    Schedule,
    /// Households or cards were imported, changed or erased.
    Roster,
    /// Visits or surveys were recorded.
    Surveys,
    /// Somebody changed what is registered: the community, its organizations, its projects.
    Registry,
    /// Devices fell silent, or were heard again.
    Devices,
    /// The figures follow another version of the definitions.
    Definitions,
}

/// What is told anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkageSubject)]
pub enum Subject {
    /// The community itself: it is new, or its name, zone, committee or organizations changed.
    Community,
    Project,
    Week,
    Month,
    Awareness,
    Trend,
    NeedOpened,
    NeedClosed,
    /// The evidence of a need that stays open.
    Need,
}

/// One thing that is told anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = LinkageChange)]
pub struct Change {
    pub what: Subject,
    /// The first day of a week or a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    /// A project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<NeedKind>,
    pub reasons: BTreeSet<Reason>,
}

impl Change {
    fn new(what: Subject, reasons: BTreeSet<Reason>) -> Self {
        Self { what, from: None, project: None, need: None, reasons }
    }
}

/// The name of a revision: the cursor behind which whoever has it goes on.
pub fn name(number: i64) -> String {
    format!("{NAMED}{number}")
}

/// The number of the revision of this name, which has one spelling.
pub fn number(text: &str) -> Option<i64> {
    let number = text.strip_prefix(NAMED)?.parse().ok()?;
    (number >= 0 && name(number) == text).then_some(number)
}

const NAMED: &str = "rev-";

/// A revision as it is told: all of a community from now on.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = LinkageRevision)]
pub struct RevisionView {
    /// Names it for good, and is the `cursor` behind which to go on.
    #[schema(example = "rev-17")]
    pub id: String,
    #[schema(format = DateTime)]
    pub time: String,
    pub community: String,
    /// What is told anew, and why; empty where the community is no longer to be seen.
    pub changes: Vec<Change>,
    /// All that is told of the community from now on; null: it is gone, or it is no longer one that the token sees.
    #[schema(value_type = Option<Picture>, required = true)]
    pub picture: Option<Box<RawValue>>,
}

/// What a webhook is posted.
#[derive(Clone, Debug, Serialize)]
pub struct Message<'a> {
    pub r#type: &'static str,
    /// When it was published: it is the same however often it is sent.
    pub timestamp: &'a str,
    pub data: &'a RevisionView,
}

impl<'a> Message<'a> {
    pub fn new(data: &'a RevisionView) -> Self {
        Self { r#type: "linkage.revision", timestamp: &data.time, data }
    }
}

/// What figures depend on, beside events, that changed since somebody last looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub schedules: bool,
    pub roster: bool,
}

impl Moved {
    /// Why a figure that was told is another now; `otherwise` where neither explains it.
    fn correction(self, otherwise: Reason) -> BTreeSet<Reason> {
        let schedules = self.schedules.then_some(Reason::Schedule);
        let roster = self.roster.then_some(Reason::Roster);
        let known: BTreeSet<_> = schedules.into_iter().chain(roster).collect();
        if known.is_empty() { [otherwise].into() } else { known }
    }
}

/// What `after` tells that `before` did not.
pub fn changes(before: Option<&Picture>, after: &Picture, moved: Moved) -> Vec<Change> {
    let registry = || BTreeSet::from([Reason::Registry]);
    let Some(before) = before else { return vec![Change::new(Subject::Community, registry())] };
    let mut changes = Vec::new();
    if before.definitions != after.definitions {
        changes.push(Change::new(Subject::Community, [Reason::Definitions].into()));
    } else if head(before) != head(after) {
        changes.push(Change::new(Subject::Community, registry()));
    }
    let (was, is) = (&before.participation, &after.participation);
    changes.extend(periods(Subject::Week, was.weeks(), is.weeks(), moved));
    changes.extend(periods(Subject::Month, was.months(), is.months(), moved));
    changes.extend(awareness(before, after, moved));
    changes.extend(projects(before, after, &reasons(&changes), moved));
    // What is concluded follows from what it is concluded from.
    let reasons = reasons(&changes);
    if before.trend != after.trend {
        changes.push(Change::new(Subject::Trend, reasons.clone()));
    }
    changes.extend(needs(before, after, &reasons));
    changes
}

/// What nobody but the registry says of a community.
fn head(picture: &Picture) -> (&str, &str, &str, &[Party]) {
    (&picture.name, &picture.time_zone, &picture.committee, &picture.organizations)
}

fn reasons(changes: &[Change]) -> BTreeSet<Reason> {
    changes.iter().flat_map(|change| change.reasons.iter().copied()).collect()
}

fn periods<'a>(
    what: Subject,
    before: impl Iterator<Item = &'a Told>,
    after: impl Iterator<Item = &'a Told>,
    moved: Moved,
) -> Vec<Change> {
    let before: Vec<_> = before.collect();
    let change = |period: &Told| {
        let reasons = match before.iter().find(|known| known.from == period.from) {
            Some(known) if *known == period => return None,
            Some(_) => moved.correction(Reason::LateEvents),
            None => [Reason::Calendar].into(),
        };
        Some(Change { from: Some(period.from), ..Change::new(what, reasons) })
    };
    after.filter_map(change).collect()
}

fn awareness(before: &Picture, after: &Picture, moved: Moved) -> Option<Change> {
    let (before, after) = (&before.awareness, &after.awareness);
    let reasons = if before.to != after.to {
        [Reason::Calendar].into()
    } else if before.from != after.from {
        [Reason::Registry].into()
    } else {
        Moved { schedules: false, ..moved }.correction(Reason::Surveys)
    };
    (before != after).then(|| Change::new(Subject::Awareness, reasons))
}

fn projects(before: &Picture, after: &Picture, reasons: &BTreeSet<Reason>, moved: Moved) -> Vec<Change> {
    let change = |id: &str, reasons| Change { project: Some(id.to_owned()), ..Change::new(Subject::Project, reasons) };
    let registry = || BTreeSet::from([Reason::Registry]);
    let fields = |of: &Progress| (of.organization.clone(), of.starts, of.targets);
    let find = |projects: &[Progress], id: &str| projects.iter().find(|project| project.id == id).cloned();
    let changed = after.projects.iter().filter_map(|project| match find(&before.projects, &project.id) {
        Some(known) if known == *project => None,
        // Surveys of the time before it may be all that changed.
        Some(known) if fields(&known) == fields(project) && reasons.is_empty() => {
            Some(change(&project.id, moved.correction(Reason::Surveys)))
        }
        Some(known) if fields(&known) == fields(project) => Some(change(&project.id, reasons.clone())),
        _ => Some(change(&project.id, registry())),
    });
    let gone = before.projects.iter().filter(|project| find(&after.projects, &project.id).is_none());
    changed.chain(gone.map(|project| change(&project.id, registry()))).collect()
}

fn needs(before: &Picture, after: &Picture, reasons: &BTreeSet<Reason>) -> Vec<Change> {
    let find = |needs: &[Need], kind| needs.iter().find(|need| need.evidence.kind() == kind).cloned();
    let closed = before.needs.iter().filter(|need| find(&after.needs, need.evidence.kind()).is_none());
    let closed = closed.map(|need| (Subject::NeedClosed, need));
    let open = after.needs.iter().filter_map(|need| match find(&before.needs, need.evidence.kind()) {
        Some(known) if known == *need => None,
        Some(_) => Some((Subject::Need, need)),
        None => Some((Subject::NeedOpened, need)),
    });
    let change = |(what, need): (Subject, &Need)| {
        let kind = need.evidence.kind();
        let reasons = match kind {
            NeedKind::DevicesSilent => [Reason::Devices].into(),
            // Its project is old enough by now.
            _ if reasons.is_empty() => [Reason::Calendar].into(),
            _ => reasons.clone(),
        };
        Change { need: Some(kind), ..Change::new(what, reasons) }
    };
    closed.chain(open).map(change).collect()
}
