//! Somebody who reads everything that is published and works out between which bounds each exact count must lie.
//!
//! What it knows: how counts are rounded and when they are withheld; that whoever took part in a month took part in one of
//! its weeks, and whoever took part in a week inside a month took part in the month; that whoever sorted right took part;
//! that nobody takes part without a deposit. It tries a value for a withheld count, narrows all others to what that leaves
//! them, and rejects the value once some count has no value left.

use std::collections::BTreeMap;

use serde_json::Value;

/// A count that is not told exactly: its period (with `month` before a month's first day) and what it counts.
pub type Name = (String, &'static str);

const UNBOUNDED: i64 = 1_000_000;
const HOUSEHOLDS: &str = "households";

/// They are the same at all times: nobody moves in the histories that are read here.
fn households() -> Name {
    (String::new(), HOUSEHOLDS)
}

/// Everything that one picture says of exact counts.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    bounds: BTreeMap<Name, (i64, i64)>,
    /// Counts of which the first is no more than the sum of the others.
    sums: Vec<(Name, Vec<Name>)>,
    /// What is withheld, and of which whole.
    pub withheld: Vec<(Name, Name)>,
}

impl Knowledge {
    pub fn of(picture: &Value) -> Self {
        let mut known = Self::default();
        let taking = &picture["participation"];
        let list = |latest: &str, earlier: &str| {
            let earlier = taking[earlier].as_array().unwrap().iter();
            std::iter::once(&taking[latest]).chain(earlier).cloned().collect::<Vec<_>>()
        };
        let (weeks, months) = (list("week", "earlier_weeks"), list("month", "earlier_months"));
        for week in &weeks {
            let from = week["from"].as_str().unwrap().to_owned();
            let name = |what| (from.clone(), what);
            for (cell, part, whole) in [
                ("participation", "participating", "households"),
                ("correct_participation", "correctly", "households"),
                ("accuracy", "correct", "judged"),
                ("off_hours", "off_hours", "deposits"),
            ] {
                let whole = if whole == HOUSEHOLDS { households() } else { name(whole) };
                known.learn(&week[cell], name(part), whole);
            }
            known.sums.push((name("correctly"), vec![name("participating")]));
            known.sums.push((name("participating"), vec![households()]));
            known.sums.push((name("correctly"), vec![name("correct")]));
            known.sums.push((name("correct"), vec![name("judged")]));
            known.sums.push((name("judged"), vec![name("deposits")]));
            known.sums.push((name("off_hours"), vec![name("deposits")]));
        }
        for month in &months {
            known.month(month, &weeks);
        }
        known
    }

    fn month(&mut self, month: &Value, weeks: &[Value]) {
        let (from, to) = (month["from"].as_str().unwrap(), month["to"].as_str().unwrap());
        let name = |what| (format!("month {from}"), what);
        let date = |week: &Value, end: &str| week[end].as_str().unwrap().to_owned();
        let of_it: Vec<_> = weeks
            .iter()
            .filter(|week| date(week, "to").as_str() >= from && date(week, "from").as_str() <= to)
            .collect();
        let all_told = weeks.iter().any(|week| date(week, "from").as_str() <= from)
            && weeks.iter().any(|week| date(week, "to").as_str() >= to);
        for (cell, part) in [("participation", "participating"), ("correct_participation", "correctly")] {
            self.learn(&month[cell], name(part), households());
            if all_told {
                self.sums.push((name(part), of_it.iter().map(|week| (date(week, "from"), part)).collect()));
            }
            for week in
                of_it.iter().filter(|week| date(week, "from").as_str() >= from && date(week, "to").as_str() <= to)
            {
                self.sums.push(((date(week, "from"), part), vec![name(part)]));
            }
        }
        self.sums.push((name("correctly"), vec![name("participating")]));
        self.sums.push((name("participating"), vec![households()]));
    }

    fn learn(&mut self, cell: &Value, part: Name, whole: Name) {
        if cell["withheld"] == true {
            self.withheld.push((part, whole));
            return;
        }
        let (told, of) = (cell["part"].as_i64().unwrap(), cell["whole"].as_i64().unwrap());
        self.narrow(&whole, of - 2, of + 2);
        // Five are counted at least. Of a month's it knows that they may be told as a step less than they are.
        let most = if part.0.starts_with("month") { told + 7 } else { told + 2 };
        self.narrow(&part, (told - 2).max(5), most.min(of + 2 - 5));
    }

    fn narrow(&mut self, name: &Name, least: i64, most: i64) -> bool {
        let bounds = self.bounds.entry(name.clone()).or_insert((0, UNBOUNDED));
        let narrowed = (bounds.0.max(least), bounds.1.min(most));
        std::mem::replace(bounds, narrowed) != narrowed
    }

    fn bounds(&self, name: &Name) -> (i64, i64) {
        self.bounds.get(name).copied().unwrap_or((0, UNBOUNDED))
    }

    /// How many values of either size a withheld count may have: of few, and of nearly all of its whole.
    pub fn values(&self, part: &Name, whole: &Name) -> (usize, usize) {
        let (least, most) = self.bounds(whole);
        let may_be = |counts: std::ops::RangeInclusive<i64>| counts.filter(|count| self.may_be(part, *count)).count();
        // Of a whole that is told nowhere nothing is known.
        (may_be(0..=4), if most == UNBOUNDED { 5 } else { may_be(5.max(least - 4)..=most) })
    }

    /// Whether a count may be this.
    pub fn may_be(&self, name: &Name, count: i64) -> bool {
        let mut tried = self.clone();
        tried.narrow(name, count, count);
        // What else is withheld and cannot be nearly all of its whole is nearly nobody of it.
        while tried.step() {}
        tried.bounds.values().all(|(least, most)| least <= most)
    }

    fn step(&mut self) -> bool {
        let mut changed = false;
        for (part, whole) in self.withheld.clone() {
            let ((least, most), (whole_least, whole_most)) = (self.bounds(&part), self.bounds(&whole));
            if most < whole_least - 4 {
                changed |= self.narrow(&part, 0, 4);
            } else if least > 4 {
                changed |= self.narrow(&part, whole_least - 4, whole_most);
                changed |= self.narrow(&whole, least, most.saturating_add(4));
            }
        }
        for (less, terms) in self.sums.clone() {
            let sum: i64 = terms.iter().map(|term| self.bounds(term).1).sum();
            let least = self.bounds(&less).0;
            changed |= self.narrow(&less, 0, sum);
            for term in &terms {
                let others = sum - self.bounds(term).1;
                changed |= self.narrow(term, least - others, UNBOUNDED);
            }
        }
        changed
    }
}

#[test]
fn it_finds_what_a_month_would_give_away_that_was_rounded_like_a_week() {
    let told = |part: i64| serde_json::json!({"withheld": false, "part": part, "whole": 100});
    let few = serde_json::json!({"withheld": true});
    let week = |from: &str, to: &str, participation: &Value| {
        serde_json::json!({"from": from, "to": to, "participation": participation, "correct_participation": told(5),
                           "accuracy": few, "off_hours": few})
    };
    let mut weeks = vec![
        week("2026-06-01", "2026-06-07", &few),
        week("2026-06-08", "2026-06-14", &few),
        week("2026-06-15", "2026-06-21", &few),
        week("2026-06-22", "2026-06-28", &few),
        week("2026-06-29", "2026-07-05", &told(5)),
    ];
    for week in &mut weeks {
        week["correct_participation"] = few.clone();
    }
    let picture = |part| {
        let month = serde_json::json!({"from": "2026-06-01", "to": "2026-06-30", "participation": told(part), "correct_participation": few});
        serde_json::json!({"participation": {"week": weeks[4], "earlier_weeks": weeks[..4], "month": month, "earlier_months": []}})
    };
    let second = ("2026-06-08".to_owned(), "participating");
    let (given_away, safe) = (Knowledge::of(&picture(25)), Knowledge::of(&picture(20)));
    assert!((0..4).all(|count| !given_away.may_be(&second, count)) && given_away.may_be(&second, 4));
    assert!((0..5).all(|count| safe.may_be(&second, count)));
}
