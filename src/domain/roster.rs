//! Who lives in a community, and which card is whose on a day.
//!
//! Identification follows the roster as it stands now: nothing here is copied into a deposit.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;

use super::rows::BadRow;
use super::zone::Day;

/// A household's stay: first and last day, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolment {
    pub from: Day,
    pub until: Option<Day>,
}

impl Enrolment {
    pub fn covers(&self, day: Day) -> bool {
        self.from <= day && self.until.is_none_or(|until| day <= until)
    }

    /// Whether a card held through both would belong to two households on a day.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.until.is_none_or(|until| other.from <= until) && other.until.is_none_or(|until| self.from <= until)
    }
}

/// A household within the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HouseholdKey(pub i64);

/// A household within one reading of a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HouseholdIndex(pub u32);

/// A card within the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardId(pub i64);

/// A community's households and their cards.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    households: Vec<(HouseholdKey, Enrolment)>,
    holders: HashMap<CardId, Vec<HouseholdIndex>>,
}

impl Roster {
    pub fn add(&mut self, key: HouseholdKey, enrolment: Enrolment) -> HouseholdIndex {
        let index = HouseholdIndex(u32::try_from(self.households.len()).unwrap_or(u32::MAX));
        self.households.push((key, enrolment));
        index
    }

    pub fn give(&mut self, card: CardId, household: HouseholdIndex) {
        self.holders.entry(card).or_default().push(household);
    }

    /// The household that holds `card` and is enrolled on `day`.
    pub fn holder(&self, card: CardId, day: Day) -> Option<HouseholdIndex> {
        let holders = self.holders.get(&card)?;
        holders.iter().copied().find(|holder| self.is_enrolled(*holder, day))
    }

    pub fn is_enrolled(&self, household: HouseholdIndex, day: Day) -> bool {
        self.households.get(household.0 as usize).is_some_and(|(_, enrolment)| enrolment.covers(day))
    }

    /// The households enrolled on `day`: the H of the definitions.
    pub fn enrolled(&self, day: Day) -> impl Iterator<Item = (HouseholdIndex, HouseholdKey)> {
        let of_day = move |(_, (_, enrolment)): &(u32, &(HouseholdKey, Enrolment))| enrolment.covers(day);
        (0..).zip(&self.households).filter(of_day).map(|(index, (key, _))| (HouseholdIndex(index), *key))
    }
}

/// A row of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HouseholdRow {
    pub household: String,
    pub building: Option<String>,
    pub enrolled_from: NaiveDate,
    pub enrolled_until: Option<NaiveDate>,
    pub cards: Vec<String>,
}

impl HouseholdRow {
    pub fn enrolment(&self) -> Enrolment {
        Enrolment { from: Day::of(self.enrolled_from), until: self.enrolled_until.map(Day::of) }
    }
}

/// What each row says for itself, and whether two rows of one import contradict each other.
pub fn check_rows(rows: &[(usize, HouseholdRow)]) -> Vec<BadRow> {
    let mut bad = Vec::new();
    let mut households = BTreeMap::new();
    let mut cards: HashMap<&str, Vec<(usize, Enrolment)>> = HashMap::new();
    for (number, row) in rows {
        let number = *number;
        if !fenlei_wire::limits::is_id(&row.household) {
            bad.push(BadRow::new(number, "`household` must match [a-z0-9][a-z0-9_-]{0,47}"));
        }
        if let Some(first) = households.insert(row.household.as_str(), number) {
            bad.push(BadRow::new(number, format!("the household stands in row {first} too: give it once")));
        }
        if row.enrolled_until.is_some_and(|until| until < row.enrolled_from) {
            bad.push(BadRow::new(number, "`enrolled_until` is before `enrolled_from`"));
        }
        if row.building.as_ref().is_some_and(|building| building.len() > 200) {
            bad.push(BadRow::new(number, "`building` is longer than 200 bytes"));
        }
        for card in &row.cards {
            if card.is_empty() || card.len() > fenlei_wire::limits::MAX_CARD_BYTES {
                bad.push(BadRow::new(number, "a card must be a text of 1 to 64 bytes"));
                continue;
            }
            let held = cards.entry(card).or_default();
            let other = held.iter().find(|(other, held)| *other != number && held.overlaps(&row.enrolment()));
            if let Some((other, _)) = other {
                bad.push(BadRow::new(number, format!("shares a card with row {other} on the same days")));
            }
            held.push((number, row.enrolment()));
        }
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::super::rows::Rows;
    use super::*;

    fn row(household: &str, from: &str, until: Option<&str>, cards: &[&str]) -> HouseholdRow {
        HouseholdRow {
            household: household.into(),
            building: None,
            enrolled_from: from.parse().unwrap(),
            enrolled_until: until.map(|until| until.parse().unwrap()),
            cards: cards.iter().map(|card| (*card).to_owned()).collect(),
        }
    }

    #[test]
    fn a_card_passes_on_when_a_household_moves_out_but_is_never_shared() {
        let check = |rows: Vec<HouseholdRow>| check_rows(&Rows::from(rows).readable);
        let moved = vec![row("a", "2026-01-01", Some("2026-06-30"), &["c"]), row("b", "2026-07-01", None, &["c"])];
        assert_eq!(check(moved), []);
        let shared = vec![row("a", "2026-01-01", Some("2026-07-01"), &["c"]), row("b", "2026-07-01", None, &["c"])];
        assert_eq!(check(shared), [BadRow::new(2, "shares a card with row 1 on the same days")]);
    }

    #[test]
    fn every_bad_row_is_named_without_its_card() {
        let long = "x".repeat(65);
        let rows = vec![row("A", "2026-01-01", None, &[]), row("b", "2026-02-01", Some("2026-01-01"), &[&long])];
        let bad = check_rows(&Rows::from(rows).readable);
        assert_eq!(bad.iter().map(|bad| bad.row).collect::<Vec<_>>(), [1, 2, 2]);
        assert!(bad.iter().all(|bad| !bad.error.contains("xxx")));
    }

    #[test]
    fn the_holder_of_a_card_depends_on_the_day() {
        let day = |text: &str| Day::of(text.parse().unwrap());
        let mut roster = Roster::default();
        let first = roster.add(HouseholdKey(1), Enrolment { from: day("2026-01-01"), until: Some(day("2026-06-30")) });
        let second = roster.add(HouseholdKey(2), Enrolment { from: day("2026-07-01"), until: None });
        roster.give(CardId(1), first);
        roster.give(CardId(1), second);
        assert_eq!(roster.holder(CardId(1), day("2026-06-30")), Some(first));
        assert_eq!(roster.holder(CardId(1), day("2026-07-01")), Some(second));
        assert_eq!(roster.holder(CardId(1), day("2025-12-31")), None);
        let enrolled: Vec<_> = roster.enrolled(day("2026-07-01")).collect();
        assert_eq!(enrolled, [(second, HouseholdKey(2))]);
    }
}
