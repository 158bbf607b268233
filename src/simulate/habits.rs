//! How the households of the sample neighbourhood go about their waste: who comes in the open windows, from when on, how
//! often and how well they sort.

use chrono::{Days, NaiveDate};
use fastrand::Rng;
use fenlei_wire::vocabulary::{Reason, Stream};

use super::neighbourhood::{Home, Neighbourhood};

/// A household's ways. All but `begins` are probabilities.
#[derive(Clone, Debug)]
pub struct Habit<'a> {
    pub home: &'a Home,
    /// From when on it keeps to the open windows; `None`: it never does.
    pub begins: Option<NaiveDate>,
    pub morning: f64,
    pub evening: f64,
    /// That it comes when nothing is open, on a day on which it does not keep to the windows.
    pub off_hours: f64,
    pub sorts_well: f64,
}

/// Shares of the households. Fixed shares rather than dice for each, so that the figures of a small neighbourhood do not
/// depend on luck: 72 % keep to the windows in the end.
const FROM_THE_START: f64 = 0.45;
const WON_BY_PROJECT: f64 = 0.27;
const AT_ANY_HOUR: f64 = 0.16;
/// Over how many days after its start a project wins its households.
const WINNING_DAYS: f64 = 18.0;

/// The habits of everybody who lives their life; the same for the same `seed`.
pub fn habits(neighbourhood: &Neighbourhood, seed: u64) -> Vec<Habit<'_>> {
    let mut rng = Rng::with_seed(seed);
    let mut habits = Vec::new();
    for community in &neighbourhood.communities {
        let project = neighbourhood.projects.iter().find(|project| project.community == community.id);
        let starts = project.map_or(NaiveDate::MAX, |project| project.starts);
        let mut homes: Vec<_> = neighbourhood.active(community).collect();
        rng.shuffle(&mut homes);
        let count = homes.len() as f64;
        habits.extend(
            homes.into_iter().enumerate().map(|(index, home)| habit(home, index as f64 / count, starts, &mut rng)),
        );
    }
    habits
}

fn habit<'a>(home: &'a Home, share: f64, starts: NaiveDate, rng: &mut Rng) -> Habit<'a> {
    let won = share - FROM_THE_START;
    let begins = if won < 0.0 {
        Some(NaiveDate::MIN)
    } else if won < WON_BY_PROJECT {
        starts.checked_add_days(Days::new((won / WON_BY_PROJECT * WINNING_DAYS) as u64))
    } else {
        None
    };
    let comes_at_all = begins.is_some() || won < WON_BY_PROJECT + AT_ANY_HOUR;
    Habit {
        home,
        begins,
        morning: 0.3 + 0.45 * rng.f64(),
        evening: 0.25 + 0.4 * rng.f64(),
        off_hours: if comes_at_all { 0.2 + 0.2 * rng.f64() } else { 0.0 },
        sorts_well: 0.72 + 0.26 * rng.f64(),
    }
}

impl Habit<'_> {
    pub fn keeps_to_windows(&self, date: NaiveDate) -> bool {
        self.begins.is_some_and(|begins| begins <= date)
    }

    /// What it brings when it comes: streams and grams.
    pub fn brings(&self, rng: &mut Rng) -> Vec<(Stream, u32)> {
        let mut bags = vec![(Stream::Food, rng.u32(300..2_200))];
        for (stream, share, grams) in [
            (Stream::Residual, 0.55, 150..1_400),
            (Stream::Recyclable, 0.06, 200..5_000),
            (Stream::Hazardous, 0.01, 20..400),
        ] {
            if rng.f64() < share {
                bags.push((stream, rng.u32(grams)));
            }
        }
        bags
    }
}

/// What may be wrong with a deposit of a stream.
pub fn mistake(stream: Stream, rng: &mut Rng) -> Reason {
    let likely: &[Reason] = match stream {
        Stream::Food => &[Reason::Bagged, Reason::Bagged, Reason::Mixed, Reason::WrongStream],
        Stream::Residual => &[Reason::Mixed, Reason::Mixed, Reason::WrongStream],
        Stream::Recyclable => &[Reason::Contaminated, Reason::WrongStream],
        Stream::Hazardous => &[Reason::WrongStream],
    };
    rng.choice(likely).copied().unwrap_or(Reason::Mixed)
}
