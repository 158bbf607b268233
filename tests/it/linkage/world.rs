//! A neighbourhood whose feed is looked at when a test says so.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use fenlei::clock::Clock;
use fenlei::domain::registry::Role;
use fenlei::jobs::linkage;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Api, instant};

/// Brings the feed up to date; says how many revisions that took.
pub async fn look(api: &Api) -> usize {
    linkage::look(&api.store, api.clock.now()).await.unwrap()
}

pub fn pass(api: &Api, hours: i64) {
    api.clock.set(api.clock.now() + TimeDelta::hours(hours));
}

pub fn at(date: &str, time: &str) -> DateTime<Utc> {
    instant(&format!("{date}T{time}+08:00"))
}

/// Enrols households `h0…` of the garden since the beginning of the year, with the cards `c0…`.
pub async fn enrol(api: &Api, households: usize) {
    let row = |number| json!({"household": format!("h{number}"), "enrolled_from": "2026-01-01", "cards": [format!("c{number}")]});
    let rows: Value = (0..households).map(row).collect();
    let answer = api.post("communities/garden/households", rows).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// Deposits at the gate, each by the household of this number.
#[derive(Debug, Default)]
pub struct Bin {
    seq: u64,
}

impl Bin {
    pub fn event(&mut self, household: usize, time: DateTime<Utc>, verdict: Option<&str>) -> Value {
        self.seq += 1;
        let mut event = json!({"boot": 1, "seq": self.seq, "time": time.to_rfc3339(), "type": "deposit", "stream": "food",
                               "grams": 800, "card": format!("c{household}")});
        if let Some(verdict) = verdict {
            event["verdict"] = verdict.into();
        }
        event
    }

    /// The first so many households bring something at that time.
    pub async fn deposits(
        &mut self,
        api: &Api,
        households: std::ops::Range<usize>,
        time: DateTime<Utc>,
        verdict: &str,
    ) {
        let events: Vec<_> = households.map(|household| self.event(household, time, Some(verdict))).collect();
        for events in events.chunks(400) {
            api.publish("gate/bin/bin-1", events.into()).await.unwrap();
        }
    }
}

pub async fn survey(api: &Api, answers: impl Iterator<Item = (usize, &str, bool)>) {
    let visit = |(household, date, aware): (usize, &str, bool)| {
        json!({"household": format!("h{household}"), "date": date,
        "kind": "survey", "outcome": "answered", "claimed": aware, "tested": aware})
    };
    let visits: Value = answers.map(visit).collect();
    let answer = api.post("communities/garden/visits", visits).await;
    assert!(answer.status.is_success(), "{answer:?}");
}

/// All pages of a list.
pub async fn pages(api: &Api, token: &str, path: &str) -> (Vec<Value>, String) {
    let (mut items, mut cursor, mut next) = (Vec::new(), None, None::<String>);
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = next.map_or_else(|| path.to_owned(), |next| format!("{path}{joint}cursor={next}"));
        let answer = api.call(token, Method::GET, &page, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        items.extend(answer.body["items"].as_array().unwrap().iter().cloned());
        let told = answer.body["cursor"].as_str().unwrap().to_owned();
        next = answer.body["next"].as_str().map(str::to_owned);
        // Of a snapshot the first page's; of changes the last one's.
        let first = cursor.is_none() || path.starts_with("linkage/changes");
        cursor = if first { Some(told) } else { cursor };
        if next.is_none() {
            return (items, cursor.unwrap());
        }
    }
}

/// The picture of the garden in the present snapshot.
pub async fn garden(api: &Api) -> Value {
    let (items, _) = pages(api, &api.admin, "linkage/communities").await;
    items.into_iter().find(|item| item["community"] == "garden").expect("the garden is told of")
}

/// All revisions after a cursor, or all.
pub async fn changes(api: &Api, token: &str, cursor: Option<&str>) -> Vec<Value> {
    let (items, _) = pages_from(api, token, cursor).await;
    items
}

pub async fn pages_from(api: &Api, token: &str, cursor: Option<&str>) -> (Vec<Value>, String) {
    let (mut items, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let from = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let answer = api.call(token, Method::GET, &format!("linkage/changes?limit=7{from}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        items.extend(answer.body["items"].as_array().unwrap().iter().cloned());
        let told = answer.body["cursor"].as_str().unwrap().to_owned();
        if answer.body["next"].is_null() {
            return (items, told);
        }
        assert_eq!(answer.body["next"], told.as_str());
        cursor = Some(told);
    }
}

/// `(what, reasons)` of the changes of a revision.
pub fn told(revision: &Value) -> Vec<(String, String)> {
    let changes = revision["changes"].as_array().unwrap().iter();
    let words = |change: &Value| {
        let reasons: Vec<_> = change["reasons"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        (change["what"].as_str().unwrap().to_owned(), reasons.join("+"))
    };
    changes.map(words).collect()
}

/// A program that follows the feed: what it knows, how far it has come, and what of that it has kept on its disk.
#[derive(Clone, Debug, Default)]
pub struct Consumer {
    pub knows: BTreeMap<String, Value>,
    pub cursor: Option<String>,
    kept: Option<(BTreeMap<String, Value>, String)>,
}

impl Consumer {
    /// Takes a snapshot, page by page.
    pub async fn begin(&mut self, api: &Api, token: &str) {
        let (items, cursor) = pages(api, token, "linkage/communities?limit=1").await;
        self.knows = items.into_iter().map(|item| (item["community"].as_str().unwrap().to_owned(), item)).collect();
        self.cursor = Some(cursor);
    }

    pub fn apply(&mut self, revision: &Value) {
        let community = revision["community"].as_str().unwrap().to_owned();
        match &revision["picture"] {
            Value::Null => self.knows.remove(&community),
            picture => self.knows.insert(community, picture.clone()),
        };
    }

    /// Follows to the end. How many revisions that took.
    pub async fn follow(&mut self, api: &Api, token: &str) -> usize {
        let (items, cursor) = pages_from(api, token, self.cursor.as_deref()).await;
        items.iter().for_each(|revision| self.apply(revision));
        self.cursor = Some(cursor);
        items.len()
    }

    pub fn keep(&mut self) {
        self.kept = Some((self.knows.clone(), self.cursor.clone().unwrap()));
    }

    /// Goes on from what was kept, or from nothing.
    pub async fn restart(&mut self, api: &Api, token: &str) {
        match self.kept.clone() {
            Some((knows, cursor)) => (self.knows, self.cursor) = (knows, Some(cursor)),
            None => self.begin(api, token).await,
        }
    }

    pub async fn assert_right(&self, api: &Api, token: &str) {
        let mut fresh = Self::default();
        fresh.begin(api, token).await;
        assert_eq!(self.knows, fresh.knows);
    }
}

pub async fn linkage(api: &Api, organization: Option<&str>) -> String {
    api.token(organization, &[Role::Linkage]).await
}
