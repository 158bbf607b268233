//! What volunteers of the sample neighbourhood heard at the doors since its project began.

use chrono::{Days, NaiveDate};

use super::neighbourhood::{Estate, Neighbourhood};
use crate::domain::awareness::{Outcome, Visit, VisitKind};

/// Over how many days after its start a project goes from door to door.
const DAYS: u64 = 14;

/// The surveys of a community, the same every time: every third household was asked, most of them answered.
pub(super) fn surveys(neighbourhood: &Neighbourhood, community: &Estate) -> Vec<Visit> {
    let project = neighbourhood.projects.iter().find(|project| project.community == community.id);
    let Some(project) = project else { return Vec::new() };
    let asked = neighbourhood.active(community).step_by(3);
    (0u64..).zip(asked).map(|(number, home)| survey(number, home.row.household.clone(), project.starts)).collect()
}

fn survey(number: u64, household: String, starts: NaiveDate) -> Visit {
    let outcome = match number % 14 {
        5 => Outcome::Refused,
        11 => Outcome::Absent,
        _ => Outcome::Answered,
    };
    let answered = outcome == Outcome::Answered;
    Visit {
        household,
        date: starts + Days::new(number % DAYS),
        kind: VisitKind::Survey,
        outcome,
        claimed: answered.then_some(number % 17 != 3),
        // Not everybody is asked to show it.
        tested: (answered && number % 4 != 2).then_some(number % 8 != 1),
    }
}
