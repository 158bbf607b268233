//! Whoever takes the snapshot and follows the changes has what a fresh snapshot says, whatever happens to both sides.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use fastrand::Rng;
use fenlei::clock::Clock;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::world::{Consumer, changes, linkage, look, pass, told};
use crate::support::api::Api;

const EVENTS: usize = 10_000;
const HOUSEHOLDS: usize = 60;
const BINS: [(&str, &str, &str); 2] = [("gate/bin/bin-1", "garden", "g"), ("quay/bin/bin-2", "river", "r")];

struct Chance {
    rng: Rng,
    seqs: [u64; 2],
    events: usize,
}

impl Chance {
    fn event(&mut self, api: &Api, bin: usize) -> Value {
        self.seqs[bin] += 1;
        self.events += 1;
        // Most of what comes late is of the last weeks; what is 90 days old and more is refused.
        let days = if self.rng.bool() { self.rng.i64(0..9) } else { self.rng.i64(0..95) };
        let time = api.clock.now() - TimeDelta::days(days) - TimeDelta::minutes(self.rng.i64(0..1_440));
        let card = format!("{}{}", BINS[bin].2, self.rng.usize(0..HOUSEHOLDS + 5));
        let mut event = json!({"boot": 1, "seq": self.seqs[bin], "time": time.to_rfc3339(), "type": "deposit",
                               "stream": "food", "grams": 500, "card": card});
        match self.rng.usize(0..3) {
            0 => event["verdict"] = "correct".into(),
            1 => event["verdict"] = "incorrect".into(),
            _ => {}
        }
        event
    }

    async fn happens(&mut self, api: &Api) {
        for _ in 0..self.rng.usize(1..4) {
            let bin = self.rng.usize(0..2);
            let events: Vec<_> = (0..self.rng.usize(1..90)).map(|_| self.event(api, bin)).collect();
            api.publish(BINS[bin].0, events.into()).await.unwrap();
        }
        if self.rng.usize(0..3) == 0 {
            self.somebody_acts(api).await;
        }
        pass(api, self.rng.i64(0..12));
    }

    async fn somebody_acts(&mut self, api: &Api) {
        let today = api.clock.now().date_naive();
        let (_, community, prefix) = BINS[self.rng.usize(0..2)];
        let site = if community == "garden" { "gate" } else { "quay" };
        let ago = |days: i64| (today - TimeDelta::days(days)).to_string();
        match self.rng.usize(0..6) {
            0 => {
                let open = self.rng.u32(5..18);
                let window = json!({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                                    "open": format!("{open:02}:00"), "close": format!("{:02}:00", open + 4)});
                let schedule = json!({"valid_from": ago(self.rng.i64(0..60)), "weekly": [window]});
                assert_eq!(api.put(&format!("sites/{site}/schedule"), schedule).await.status, StatusCode::OK);
            }
            1 => {
                let row = |number: usize, from: String| {
                    json!({"household": format!("{prefix}{number}"), "enrolled_from": from,
                                                               "cards": [format!("{prefix}{number}")]})
                };
                let rows: Vec<_> = (0..8)
                    .map(|_| self.rng.usize(0..HOUSEHOLDS))
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .map(|number| row(number, ago(self.rng.i64(0..200))))
                    .collect();
                let answer = api.post(&format!("communities/{community}/households"), rows.into()).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            }
            2 => {
                let visit = |number: usize, date: String, aware: bool| {
                    json!({"household": format!("{prefix}{number}"), "date": date,
                    "kind": "survey", "outcome": "answered", "claimed": aware, "tested": !aware})
                };
                let visits: Vec<_> = (0..15)
                    .map(|_| visit(self.rng.usize(0..HOUSEHOLDS), ago(self.rng.i64(1..40)), self.rng.bool()))
                    .collect();
                let answer = api.post(&format!("communities/{community}/visits"), visits.into()).await;
                assert!(answer.status.is_success(), "{answer:?}");
            }
            3 => {
                let project = json!({"community": community, "organization": "helpers", "starts": ago(self.rng.i64(0..80)),
                                     "targets": {"participation": 0.1 + 0.8 * self.rng.f64()}});
                let answer = api.put(&format!("projects/p{}", self.rng.usize(0..2)), project).await;
                assert!(answer.status.is_success(), "{answer:?}");
            }
            4 => {
                api.delete(&format!("projects/p{}", self.rng.usize(0..2))).await;
            }
            _ => {
                let name = format!("小区 {}", self.rng.u32(0..9));
                let committee = if community == "garden" { "north" } else { "south" };
                api.put(&format!("communities/{community}"), json!({"name": name, "committee": committee})).await;
            }
        }
    }
}

#[tokio::test]
async fn a_consumer_is_right_after_ten_thousand_events_and_restarts_of_both_sides() {
    let mut api = Api::with_registry().await;
    api.put("organizations/helpers", json!({"name": "志愿者", "kind": "volunteer_group"})).await;
    for (_, community, prefix) in BINS {
        let row = |number| json!({"household": format!("{prefix}{number}"), "enrolled_from": "2026-06-01", "cards": [format!("{prefix}{number}")]});
        let rows: Value = (0..HOUSEHOLDS).map(row).collect();
        api.post(&format!("communities/{community}/households"), rows).await;
    }
    let mut chance = Chance { rng: Rng::with_seed(6), seqs: [0; 2], events: 0 };
    // One that sees all, one that gains and loses communities with its projects.
    let tokens = [linkage(&api, None).await, linkage(&api, Some("helpers")).await];
    let mut consumers = [Consumer::default(), Consumer::default()];
    for (consumer, token) in consumers.iter_mut().zip(&tokens) {
        consumer.begin(&api, token).await;
    }
    let (mut restarts, mut followed) = (0, [0; 2]);
    while chance.events < EVENTS {
        chance.happens(&api).await;
        if chance.rng.usize(0..3) > 0 {
            look(&api).await;
        }
        if chance.rng.usize(0..12) == 0 {
            api = api.restart().await;
            restarts += 1;
        }
        for ((consumer, token), followed) in consumers.iter_mut().zip(&tokens).zip(&mut followed) {
            match chance.rng.usize(0..6) {
                0 => consumer.keep(),
                1 => consumer.restart(&api, token).await,
                2 | 3 => *followed += consumer.follow(&api, token).await,
                _ => {}
            }
        }
    }
    look(&api).await;
    assert_eq!(look(&api).await, 0, "looking again finds nothing new");
    for (consumer, token) in consumers.iter_mut().zip(&tokens) {
        consumer.follow(&api, token).await;
        consumer.assert_right(&api, token).await;
    }
    let mut beginner = Consumer::default();
    beginner.follow(&api, &tokens[0]).await;
    assert_eq!(beginner.knows, consumers[0].knows, "who follows from the first revision on needs no snapshot");
    assert!(restarts > 3 && followed.iter().all(|followed| *followed > 10), "{restarts} {followed:?}");
    nothing_is_told_twice(&api).await;
}

async fn nothing_is_told_twice(api: &Api) {
    let all = changes(api, &api.admin, None).await;
    let (mut known, mut reasons) = (Consumer::default(), BTreeSet::new());
    for revision in &all {
        let community = revision["community"].as_str().unwrap();
        assert_ne!(known.knows.get(community), Some(&revision["picture"]), "a revision that changes nothing");
        assert_ne!(revision["changes"], json!([]), "and one that says nothing: {revision}");
        known.apply(revision);
        reasons.extend(told(revision).into_iter().map(|(_, reasons)| reasons));
    }
    for reason in ["calendar", "late_events", "schedule", "roster", "surveys", "registry"] {
        assert!(reasons.contains(reason), "{reason} is never told: {reasons:?}");
    }
}
