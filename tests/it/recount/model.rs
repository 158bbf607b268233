//! What must be true after a history, kept in plain lists and sets: no marks, no rollups, no caches.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Body, DEVICES, LATE, Row, SITES, Schedule, Visit};

/// (device, incarnation, boot).
pub type Boot = (usize, u32, u32);

/// One element of a publish, as it was sent.
#[derive(Clone, Debug)]
pub struct Element {
    pub boot: u32,
    pub seq: u64,
    /// By the device's clock.
    pub stamped: i64,
    pub unsynced: bool,
    pub body: Body,
    pub broken: bool,
}

impl Element {
    /// What must be the same when it comes again; of an erased card, that it is one.
    fn content(&self, erased: bool) -> String {
        let time = if self.unsynced { None } else { Some(self.stamped) };
        let mut body = self.body.clone();
        if let Body::Deposit { card: Some(card), .. } = &mut body
            && erased
        {
            *card = 0;
        }
        format!("{body:?} {time:?} {}", self.broken)
    }

    fn says(&self, again: &Self, erased: bool) -> bool {
        self.content(erased) == again.content(erased)
    }

    fn card(&self) -> Option<usize> {
        match self.body {
            Body::Deposit { card, .. } => card,
            _ => None,
        }
    }
}

/// An accepted event.
#[derive(Clone, Debug)]
pub struct Entry {
    pub boot: Boot,
    pub seq: u64,
    pub time: i64,
    pub received: i64,
    pub unsynced: bool,
    pub body: Body,
    /// Of a deposit: what the first camera found.
    pub camera: Option<usize>,
    /// Its card is nobody's any more, and the erased household, as the roster has it, whose it was.
    pub erased: Option<(usize, usize)>,
}

impl Entry {
    pub fn device(&self) -> usize {
        self.boot.0
    }

    pub fn verdict(&self) -> Option<usize> {
        match &self.body {
            Body::Deposit { verdict, .. } => self.camera.or(*verdict),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Came {
    Accepted(Element),
    /// And whether its card is erased.
    Refused(Element, bool),
    DeclaredLost,
}

#[derive(Default)]
pub struct Model {
    pub ledger: Vec<Entry>,
    came: BTreeMap<(Boot, u64), Came>,
    pub conflicts: BTreeMap<Boot, i64>,
    pub refusals: BTreeMap<usize, i64>,
    incarnations: BTreeMap<usize, u32>,
    /// Judgements without a deposit so far, by their place in the ledger; and the incarnation of the bin they speak of.
    waiting: Vec<(usize, u32)>,
    pub registered_late: bool,
    pub schedules: BTreeMap<usize, Vec<Schedule>>,
    /// Erased households are in it too, from [`ERASED`] on and without cards.
    pub rosters: [BTreeMap<usize, Row>; 2],
    /// In the order in which they were recorded.
    pub visits: [Vec<Visit>; 2],
    /// Spans in which each device was online.
    pub online: BTreeMap<usize, Vec<(i64, Option<i64>)>>,
    session: BTreeMap<usize, (bool, u32)>,
    alive: Option<i64>,
}

/// From this number on, the roster's households are erased ones.
pub const ERASED: usize = 1_000;

/// What a receipt says, as ranges of seqs that have come.
pub type Ranges = Vec<(u64, u64)>;

impl Model {
    pub fn incarnation(&self, device: usize) -> u32 {
        self.incarnations.get(&device).copied().unwrap_or(1)
    }

    /// Takes a publish in and says which boots must be receipted.
    pub fn publish(&mut self, device: usize, elements: &[Element], received: i64) -> BTreeSet<u32> {
        let mut receipted = BTreeSet::new();
        for element in elements {
            receipted.insert(element.boot);
            let boot = (device, self.incarnation(device), element.boot);
            match self.came.get(&(boot, element.seq)) {
                Some(Came::DeclaredLost) => {}
                Some(Came::Accepted(first)) => {
                    let entry = self.ledger.iter().find(|entry| (entry.boot, entry.seq) == (boot, element.seq));
                    if !first.says(element, entry.is_some_and(|entry| entry.erased.is_some())) {
                        *self.conflicts.entry(boot).or_default() += 1;
                    }
                }
                Some(Came::Refused(first, erased)) => {
                    if first.says(element, *erased) {
                        *self.refusals.entry(device).or_default() += 1;
                    } else {
                        *self.conflicts.entry(boot).or_default() += 1;
                    }
                }
                None if self.acceptable(device, element, received) => {
                    self.came.insert((boot, element.seq), Came::Accepted(element.clone()));
                    self.accept(boot, element, received);
                    if let Body::Lost { of_boot, from, to } = element.body {
                        receipted.insert(of_boot);
                        for seq in from..=to {
                            let name = ((device, boot.1, of_boot), seq);
                            self.came.entry(name).or_insert(Came::DeclaredLost);
                        }
                    }
                }
                None => {
                    self.came.insert((boot, element.seq), Came::Refused(element.clone(), false));
                    *self.refusals.entry(device).or_default() += 1;
                }
            }
        }
        receipted
    }

    fn acceptable(&self, device: usize, element: &Element, received: i64) -> bool {
        let known = device != LATE || self.registered_late;
        let in_time = element.unsynced
            || (element.stamped <= received + 5 * 60_000 && element.stamped >= received - 90 * 86_400_000);
        let target = |bin: usize| {
            !DEVICES[bin].camera && DEVICES[bin].site == DEVICES[device].site && (bin != LATE || self.registered_late)
        };
        let body = match element.body {
            Body::Deposit { .. } | Body::Fill { .. } => !DEVICES[device].camera,
            Body::Heartbeat => true,
            Body::JudgeBin { bin, .. } | Body::JudgeDeposit { bin, .. } => DEVICES[device].camera && target(bin),
            Body::Lost { of_boot, to, .. } => of_boot < element.boot || (of_boot == element.boot && to < element.seq),
        };
        known && in_time && body && !element.broken
    }

    fn accept(&mut self, boot: Boot, element: &Element, received: i64) {
        let time = if element.unsynced { received } else { element.stamped };
        let place = self.ledger.len();
        let (body, unsynced) = (element.body.clone(), element.unsynced);
        self.ledger.push(Entry { boot, seq: element.seq, time, received, unsynced, body, camera: None, erased: None });
        match element.body {
            Body::Deposit { .. } => {
                // Of the judgements that mean it, the first committed has it.
                let claimed = self.waiting.iter().position(|(judgement, incarnation)| {
                    let judgement = &self.ledger[*judgement];
                    match judgement.body {
                        Body::JudgeBin { bin, .. } => bin == boot.0 && (judgement.time - time).abs() <= 20_000,
                        Body::JudgeDeposit { bin, boot: of, seq, .. } => {
                            (bin, *incarnation, of) == boot && seq == element.seq
                        }
                        _ => false,
                    }
                });
                if let Some(claimed) = claimed {
                    let (judgement, _) = self.waiting.remove(claimed);
                    self.ledger[place].camera = judged_as(&self.ledger[judgement].body);
                }
            }
            Body::JudgeBin { bin, verdict } => {
                let nearest = self
                    .ledger
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| entry.device() == bin && matches!(entry.body, Body::Deposit { .. }))
                    .filter(|(_, entry)| entry.camera.is_none() && (entry.time - time).abs() <= 20_000)
                    .min_by_key(|(place, entry)| ((entry.time - time).abs(), entry.time, *place))
                    .map(|(place, _)| place);
                match nearest {
                    Some(deposit) => self.ledger[deposit].camera = Some(verdict),
                    None => self.waiting.push((place, 0)),
                }
            }
            Body::JudgeDeposit { bin, boot: of, seq, verdict } => {
                let name = (bin, self.incarnation(bin), of);
                let deposit = self.ledger[..place].iter_mut().find(|entry| entry.boot == name && entry.seq == seq);
                match deposit {
                    Some(Entry { body: Body::Deposit { .. }, camera, .. }) => *camera = camera.or(Some(verdict)),
                    Some(_) => {}
                    None => self.waiting.push((place, name.1)),
                }
            }
            _ => {}
        }
    }

    /// The seqs of a boot that are settled, as ranges.
    pub fn settled(&self, boot: Boot) -> Ranges {
        ranges(self.seqs(boot, |_| true))
    }

    pub fn lost(&self, boot: Boot) -> BTreeSet<u64> {
        self.seqs(boot, |came| matches!(came, Came::DeclaredLost)).collect()
    }

    pub fn boots(&self, device: usize) -> BTreeSet<u32> {
        let incarnation = self.incarnation(device);
        let names = self.came.keys().map(|(boot, _)| *boot);
        names.filter(|boot| (boot.0, boot.1) == (device, incarnation)).map(|boot| boot.2).collect()
    }

    /// The greatest boot that the device itself has spoken of.
    pub fn latest_boot(&self, device: usize) -> Option<u32> {
        let said = self.session.get(&device).map(|(_, boot)| *boot);
        said.max(self.boots(device).last().copied())
    }

    fn seqs(&self, boot: Boot, which: impl Fn(&Came) -> bool) -> impl Iterator<Item = u64> {
        self.came.iter().filter(move |((name, _), came)| *name == boot && which(came)).map(|((_, seq), _)| *seq)
    }

    pub fn replace(&mut self, device: usize, now: i64) {
        *self.incarnations.entry(device).or_insert(1) += 1;
        self.close(device, now);
        self.session.remove(&device);
    }

    /// Imports if every row can be, and says whether.
    pub fn import(&mut self, community: usize, rows: &[Row]) -> bool {
        let mut roster = self.rosters[community].clone();
        for row in rows {
            roster.insert(row.household, row.clone());
        }
        let once = rows.iter().map(|row| row.household).collect::<BTreeSet<_>>().len() == rows.len();
        let forward = rows.iter().all(|row| row.until.is_none_or(|until| row.from <= until));
        let possible = once && forward && !shares_a_card(&roster);
        if possible {
            self.rosters[community] = roster;
        }
        possible
    }

    /// Records if every household is there, and says whether.
    pub fn visit(&mut self, community: usize, visits: &[Visit]) -> bool {
        let possible = visits.iter().all(|visit| self.rosters[community].contains_key(&visit.household));
        if possible {
            for visit in visits {
                let name = |visit: &Visit| (visit.household, visit.day, visit.survey);
                self.visits[community].retain(|former| name(former) != name(visit));
                self.visits[community].push(visit.clone());
            }
        }
        possible
    }

    /// Erases if it is there, and says whether. `day` tells the day of an instant in a zone, counted as the history does;
    /// `today` is that of the community.
    pub fn erase(
        &mut self,
        community: usize,
        household: usize,
        today: i64,
        day: impl Fn(chrono_tz::Tz, i64) -> i64,
    ) -> bool {
        let Some(row) = self.rosters[community].remove(&household) else { return false };
        let stay = |day: i64| row.from <= day && row.until.is_none_or(|until| day <= until);
        let stand_in = (ERASED..).find(|number| !self.rosters[community].contains_key(number)).unwrap();
        for card in &row.cards {
            let shared = self.rosters[community].values().any(|other| other.cards.contains(card));
            // The first four cards are of the first community's households, the next four of the second's.
            let number = community * 4 + card;
            let here = |device: usize| SITES[DEVICES[device].site].community == community;
            for entry in self.ledger.iter_mut().filter(|entry| entry.erased.is_none()) {
                let Body::Deposit { card: Some(card), .. } = entry.body else { continue };
                let then = day(SITES[DEVICES[entry.device()].site].zone, entry.time);
                if card == number && (!shared || here(entry.device()) && stay(then)) {
                    entry.erased = Some((community, stand_in));
                }
            }
            for ((boot, _), came) in &mut self.came {
                let Came::Refused(element, erased) = came else { continue };
                let then = day(SITES[DEVICES[boot.0].site].zone, element.stamped);
                if element.card() == Some(number) && (!shared || here(boot.0) && stay(then)) {
                    *erased = true;
                }
            }
        }
        let until = Some(row.until.map_or(today, |until| until.min(today)));
        self.rosters[community].insert(stand_in, Row { household: stand_in, until, cards: vec![], ..row });
        for visit in self.visits[community].iter_mut().filter(|visit| visit.household == household) {
            visit.household = stand_in;
        }
        true
    }

    pub fn state(&mut self, device: usize, online: bool, boot: u32, at: i64) {
        let before = self.session.get(&device).copied();
        // A will without a birth is that of hardware replaced since.
        if before.map_or(!online, |(_, known)| boot < known) || before == Some((online, boot)) {
            return;
        }
        self.close(device, at);
        if online {
            self.online.entry(device).or_default().push((at, None));
        }
        self.session.insert(device, (online, boot));
    }

    fn close(&mut self, device: usize, at: i64) {
        for (since, until) in self.online.entry(device).or_default() {
            *until = until.or(Some(at.max(*since)));
        }
    }

    pub fn alive(&mut self, now: i64) {
        self.alive = Some(now);
    }

    pub fn begin(&mut self, now: i64) {
        let last = self.alive.unwrap_or(now).min(now);
        for device in 0..DEVICES.len() {
            self.close(device, last);
        }
        for session in self.session.values_mut() {
            session.0 = false;
        }
        self.alive = Some(now);
    }

    pub fn deposits(&self, community: usize) -> impl Iterator<Item = &Entry> {
        self.ledger.iter().filter(move |entry| {
            matches!(entry.body, Body::Deposit { .. }) && SITES[DEVICES[entry.device()].site].community == community
        })
    }
}

fn judged_as(body: &Body) -> Option<usize> {
    match body {
        Body::JudgeBin { verdict, .. } | Body::JudgeDeposit { verdict, .. } => Some(*verdict),
        _ => None,
    }
}

fn shares_a_card(roster: &BTreeMap<usize, Row>) -> bool {
    let end = |row: &Row| row.until.unwrap_or(i64::MAX);
    roster.values().any(|one| {
        roster.values().any(|other| {
            one.household < other.household
                && one.cards.iter().any(|card| other.cards.contains(card))
                && one.from <= end(other)
                && other.from <= end(one)
        })
    })
}

/// Ascending numbers as ranges, both ends included.
pub fn ranges(numbers: impl Iterator<Item = u64>) -> Ranges {
    let mut ranges: Ranges = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}
