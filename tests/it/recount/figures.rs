//! The figures of definitions version 1, counted from the events one by one, as the contract's section 3 words them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use chrono::{DateTime, Datelike, Duration, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;

use super::history::{Body, COMMUNITIES, DEVICES, History, SITES, Window};
use super::model::{Entry, Model};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timing {
    InWindow,
    Makeup,
    OffHours,
}

#[derive(Debug, PartialEq)]
pub struct Figures {
    pub households: u64,
    pub participating: u64,
    pub correct_participating: u64,
    pub set_out_rate: Option<f64>,
    pub total: u64,
    pub in_window: u64,
    pub makeup: u64,
    pub off_hours: u64,
    pub identified: u64,
    pub correct: u64,
    pub incorrect: u64,
    pub unjudged: u64,
    pub grams: [u64; 4],
    pub scheduled: u64,
    pub observed: u64,
}

pub struct Recount<'a> {
    pub history: &'a History,
    pub model: &'a Model,
}

pub struct Local {
    pub date: NaiveDate,
    pub minute: u32,
}

pub fn local(zone: Tz, millis: i64) -> Local {
    let wall = DateTime::from_timestamp_millis(millis).unwrap().with_timezone(&zone).naive_local();
    Local { date: wall.date(), minute: wall.hour() * 60 + wall.minute() }
}

impl Recount<'_> {
    /// The windows of a site on a day.
    pub fn windows(&self, site: usize, date: NaiveDate) -> Vec<Window> {
        let mut in_force = None;
        for version in self.model.schedules.get(&site).map_or(&[][..], Vec::as_slice) {
            let valid_from = self.history.day(version.valid_from);
            if valid_from <= date && in_force.is_none_or(|(best, _)| valid_from >= best) {
                in_force = Some((valid_from, version));
            }
        }
        let Some((_, version)) = in_force else {
            let window = |open, close| Window { open, close, streams: None, makeup: false };
            return vec![window(480, 540), window(1020, 1080)];
        };
        if let Some((_, windows)) = version.dates.iter().find(|(day, _)| self.history.day(*day) == date) {
            return windows.clone();
        }
        let weekday = date.weekday().num_days_from_monday();
        version.weekly.iter().filter(|(days, _)| days.contains(&weekday)).map(|(_, window)| window.clone()).collect()
    }

    /// The timing of a deposit, and the spans of the open windows that it lies in.
    pub fn timing(&self, entry: &Entry) -> (Timing, BTreeSet<(u32, u32)>) {
        let site = DEVICES[entry.device()].site;
        let Body::Deposit { stream, .. } = entry.body else { panic!("only deposits have a timing") };
        let at = local(SITES[site].zone, entry.time);
        let mut lies_in = self.windows(site, at.date);
        lies_in.retain(|window| {
            (window.open..window.close).contains(&at.minute)
                && window.streams.as_ref().is_none_or(|streams| streams.contains(&stream))
        });
        let open: BTreeSet<_> =
            lies_in.iter().filter(|window| !window.makeup).map(|window| (window.open, window.close)).collect();
        let timing = match (open.is_empty(), lies_in.is_empty()) {
            (false, _) => Timing::InWindow,
            (true, false) => Timing::Makeup,
            (true, true) => Timing::OffHours,
        };
        (timing, open)
    }

    fn enrolled(&self, community: usize, household: usize, date: NaiveDate) -> bool {
        let row = &self.model.rosters[community][&household];
        self.history.day(row.from) <= date && row.until.is_none_or(|until| date <= self.history.day(until))
    }

    fn household(&self, community: usize, entry: &Entry, date: NaiveDate) -> Option<usize> {
        if let Some((home, household)) = entry.erased {
            return Some(household).filter(|household| home == community && self.enrolled(community, *household, date));
        }
        let Body::Deposit { card: Some(card), .. } = entry.body else { return None };
        // The first four cards are of the first community's households, the next four of the second's.
        let own = card.checked_sub(community * 4).filter(|own| *own < 4)?;
        let roster = &self.model.rosters[community];
        let holders = roster.values().filter(|row| row.cards.contains(&own));
        holders.map(|row| row.household).find(|household| self.enrolled(community, *household, date))
    }

    fn observed(&self, site: usize, date: NaiveDate, (open, close): (u32, u32), now: i64) -> bool {
        let minutes = minutes_of(SITES[site].zone, date);
        let mut within = minutes.iter().filter(|(_, minute)| (open..close).contains(minute));
        let Some((first, _)) = within.next() else { return false };
        let end = within.next_back().map_or(*first, |(last, _)| *last) + 60_000;
        let bins = || (0..DEVICES.len()).filter(|device| DEVICES[*device].site == site && !DEVICES[*device].camera);
        let reported = || {
            self.model.ledger.iter().any(|entry| {
                let at = local(SITES[site].zone, entry.time);
                bins().any(|bin| bin == entry.device()) && at.date == date && (open..close).contains(&at.minute)
            })
        };
        let online = || {
            bins().any(|bin| {
                let spans = self.model.online.get(&bin).map_or(&[][..], Vec::as_slice);
                spans.iter().any(|(since, until)| since <= first && until.is_none_or(|until| end <= until))
            })
        };
        end <= now && (reported() || online())
    }

    pub fn figures(&self, community: usize, from: NaiveDate, to: NaiveDate, now: DateTime<Utc>) -> Figures {
        let today = now.with_timezone(&COMMUNITIES[community].1).date_naive();
        let roll_call = to.min(today);
        let all: BTreeSet<usize> = self.model.rosters[community].keys().copied().collect();
        let in_h: BTreeSet<usize> =
            all.into_iter().filter(|household| self.enrolled(community, *household, roll_call)).collect();

        let mut opportunities: BTreeMap<(NaiveDate, u32, u32), bool> = BTreeMap::new();
        for site in (0..SITES.len()).filter(|site| SITES[*site].community == community) {
            for date in days(from, to) {
                for window in self.windows(site, date).iter().filter(|window| !window.makeup) {
                    let observed = self.observed(site, date, (window.open, window.close), now.timestamp_millis());
                    *opportunities.entry((date, window.open, window.close)).or_default() |= observed;
                }
            }
        }

        let (mut participating, mut correct_participating) = (BTreeSet::new(), BTreeSet::new());
        let mut set_out: BTreeSet<((NaiveDate, u32, u32), usize)> = BTreeSet::new();
        let (mut timings, mut verdicts, mut grams, mut identified) = ([0; 3], [0; 3], [0; 4], 0);
        for entry in self.model.deposits(community) {
            let Body::Deposit { stream, grams: weight, .. } = entry.body else { continue };
            let date = local(SITES[DEVICES[entry.device()].site].zone, entry.time).date;
            if date < from || to < date {
                continue;
            }
            let (timing, open) = self.timing(entry);
            timings[timing as usize] += 1;
            verdicts[entry.verdict().unwrap_or(2)] += 1;
            grams[stream] += u64::from(weight);
            let Some(household) = self.household(community, entry, date) else { continue };
            identified += 1;
            if !in_h.contains(&household) {
                continue;
            }
            if timing != Timing::OffHours {
                participating.insert(household);
                if entry.verdict() == Some(0) {
                    correct_participating.insert(household);
                }
            }
            set_out.extend(open.into_iter().map(|(open, close)| ((date, open, close), household)));
        }
        let observed: Vec<_> = opportunities.iter().filter(|(_, observed)| **observed).map(|(name, _)| *name).collect();
        let shares = observed.iter().map(|name| set_out.iter().filter(|(at, _)| at == name).count() as f64);
        let mean = shares.sum::<f64>() / in_h.len() as f64 / observed.len() as f64;
        Figures {
            households: in_h.len() as u64,
            participating: participating.len() as u64,
            correct_participating: correct_participating.len() as u64,
            set_out_rate: (!in_h.is_empty() && !observed.is_empty()).then(|| (mean * 1e6).round() / 1e6),
            total: timings.iter().sum(),
            in_window: timings[0],
            makeup: timings[1],
            off_hours: timings[2],
            identified,
            correct: verdicts[0],
            incorrect: verdicts[1],
            unjudged: verdicts[2],
            grams,
            scheduled: opportunities.len() as u64,
            observed: observed.len() as u64,
        }
    }

    /// Population; respondents and aware as claimed and as tested; refused; absent.
    pub fn awareness(&self, community: usize, from: NaiveDate, to: NaiveDate, now: DateTime<Utc>) -> [u64; 7] {
        let roll_call = to.min(now.with_timezone(&COMMUNITIES[community].1).date_naive());
        let mut figure = [0; 7];
        for household in self.model.rosters[community].keys() {
            if !self.enrolled(community, *household, roll_call) {
                continue;
            }
            figure[0] += 1;
            let mut of_it: Vec<_> = self.model.visits[community]
                .iter()
                .filter(|visit| visit.household == *household)
                .filter(|visit| (from..=to).contains(&self.history.day(visit.day)))
                .collect();
            of_it.sort_by_key(|visit| visit.day);
            let claimed = of_it.iter().rev().find_map(|visit| visit.claimed);
            let tested = of_it.iter().rev().find_map(|visit| visit.tested);
            for (place, answer) in [(1, claimed), (3, tested)] {
                figure[place] += u64::from(answer.is_some());
                figure[place + 1] += u64::from(answer == Some(true));
            }
            if let (None, None, Some(last)) = (claimed, tested, of_it.last()) {
                figure[5] += u64::from(last.outcome == 1);
                figure[6] += u64::from(last.outcome == 2);
            }
        }
        figure
    }

    /// Deposits of a site by hour: in window, makeup, off hours.
    pub fn hours(&self, site: usize, from: NaiveDate, to: NaiveDate) -> [[u64; 3]; 24] {
        let mut hours = [[0; 3]; 24];
        for entry in self.model.deposits(SITES[site].community).filter(|entry| DEVICES[entry.device()].site == site) {
            let at = local(SITES[site].zone, entry.time);
            if from <= at.date && at.date <= to {
                hours[(at.minute / 60) as usize][self.timing(entry).0 as usize] += 1;
            }
        }
        hours
    }
}

pub fn days(from: NaiveDate, to: NaiveDate) -> Vec<NaiveDate> {
    from.iter_days().take_while(|date| *date <= to).collect()
}

type Minutes = Rc<Vec<(i64, u32)>>;

/// Every minute of a local day, in the order in which they pass: when it begins, and what the wall clock shows.
fn minutes_of(zone: Tz, date: NaiveDate) -> Minutes {
    thread_local! {
        static KNOWN: RefCell<HashMap<(Tz, NaiveDate), Minutes>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let minutes = known.entry((zone, date)).or_insert_with(|| {
            let begin = (date - Duration::days(1)).and_hms_opt(0, 0, 0).unwrap().and_utc();
            let all = (0..3 * 1440).map(|minute| begin + Duration::minutes(minute));
            let of_day = all.map(|instant| (instant, local(zone, instant.timestamp_millis())));
            let of_day = of_day.filter(|(_, at)| at.date == date);
            Rc::new(of_day.map(|(instant, at)| (instant.timestamp_millis(), at.minute)).collect())
        });
        Rc::clone(minutes)
    })
}
