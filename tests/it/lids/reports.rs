//! What a bin says of its lid, held against what is expected of it.

use chrono::TimeDelta;
use fenlei::clock::Clock;
use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use serde_json::{Value, json};

use crate::projectors::line::Line;
use crate::support::api::Api;

struct Bin {
    api: Api,
    seq: u64,
    _line: Line,
}

impl Bin {
    async fn start() -> Self {
        let api = Api::with_registry().await;
        let line = Line::start(&api);
        Self { api, seq: 0, _line: line }
    }

    async fn door(&mut self, open: bool, by: &str) {
        self.seq += 1;
        let event = json!({"boot": 1, "seq": self.seq, "time": self.api.clock.now().to_rfc3339(), "type": "door",
                           "open": open, "by": by});
        self.api.publish("gate/bin/bin-1", event).await.unwrap();
    }

    fn wait(&self, seconds: i64) {
        self.api.clock.set(self.api.clock.now() + TimeDelta::seconds(seconds));
    }

    /// Comes back with the alarm of the lid once it is in this state.
    async fn alarm(&self, state: &str) -> Value {
        let looking = async {
            loop {
                let alarms = self.api.get(&format!("alarms?kind=lid&state={state}")).await.body["items"].clone();
                if let Some(alarm) = alarms.get(0) {
                    return alarm.clone();
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("it is so in the end")
    }

    /// Comes back once the cause of the alarm has been found gone.
    async fn gone(&self) {
        let sql = "SELECT gone IS NOT NULL FROM alarm WHERE kind = 'lid'";
        let looking = async {
            while !self
                .api
                .store
                .read(|connection| Ok(connection.query_row(sql, [], |row| row.get::<_, bool>(0))?))
                .await
                .unwrap()
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("it is so in the end");
    }

    /// Comes back once what the bin said at this instant has been taken in.
    async fn told(&self, at: i64) {
        let told = || {
            let select = "SELECT told FROM lid";
            self.api.store.read(move |connection| Ok(connection.query_row(select, [], |row| row.get::<_, i64>(0))?))
        };
        let looking = async {
            while told().await.unwrap() < at {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("it is taken in in the end");
    }

    /// Comes back with the lid once it is as wanted.
    async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                let lid = self.api.get("devices/bin-1").await.body["lid"].clone();
                if wanted(&lid) {
                    return lid;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("it is so in the end")
    }
}

#[tokio::test]
async fn a_bin_that_does_not_follow_is_shown() {
    let mut bin = Bin::start().await;
    let unknown = bin.until(|_| true).await;
    assert_eq!(
        unknown,
        json!({"expected": "locked", "reported": null, "since": null, "follows": null, "next": "2026-11-23T09:00:00.000Z"})
    );
    bin.door(false, "schedule").await;
    let locked = bin.until(|lid| lid["follows"] == true).await;
    assert_eq!((&locked["reported"], &locked["since"]), (&json!("locked"), &json!("2026-11-23T04:00:00.000Z")));
    // A resident who gets in shows that it is not locked, whatever it said; closing it behind them shows nothing.
    bin.wait(60);
    bin.door(true, "resident").await;
    bin.until(|lid| lid["reported"] == "unlocked" && lid["follows"] == false).await;
    bin.door(false, "resident").await;
    bin.door(false, "staff").await;
    bin.until(|lid| lid["reported"] == "locked").await;
    // At 17:00 it has a minute to follow.
    bin.api.clock.set("2026-11-23T17:00:59+08:00".parse().unwrap());
    bin.until(|lid| lid["expected"] == "unlocked" && lid["follows"].is_null()).await;
    bin.wait(1);
    bin.until(|lid| lid["follows"] == false).await;
    let alarm = bin.alarm("open").await;
    assert_eq!((&alarm["device"], &alarm["severity"]), (&json!("bin-1"), &json!("warning")));
    bin.door(true, "schedule").await;
    bin.until(|lid| lid["follows"] == true).await;
    // Found at the next minute, and over when it has lasted for ten.
    bin.wait(60);
    bin.gone().await;
    bin.wait(600);
    bin.alarm("cleared").await;
}

#[tokio::test]
async fn staff_who_empty_a_bin_in_its_open_hours_have_not_locked_it() {
    let mut bin = Bin::start().await;
    bin.api.clock.set("2026-11-23T17:10:00+08:00".parse().unwrap());
    bin.door(true, "schedule").await;
    let opened = bin.until(|lid| lid["reported"] == "unlocked").await["since"].clone();
    bin.wait(60);
    bin.door(true, "staff").await;
    bin.door(false, "staff").await;
    bin.wait(60);
    bin.door(true, "resident").await;
    bin.told(bin.api.clock.now().timestamp_millis()).await;
    let lid = bin.until(|_| true).await;
    assert_eq!((&lid["follows"], &lid["since"]), (&json!(true), &opened), "it was never locked in between: {lid}");
}

#[tokio::test]
async fn of_a_bin_that_is_offline_nobody_knows() {
    let mut bin = Bin::start().await;
    bin.door(true, "staff").await;
    bin.until(|lid| lid["follows"] == false).await;
    for (online, follows) in [(true, json!(false)), (false, json!(null))] {
        let state = json!({"online": online, "boot": 1}).to_string();
        let now = bin.api.clock.now().timestamp_millis();
        let said = Inbound::read("fenlei/v1/gate/bin/bin-1/state", state.as_bytes(), now, &CardKey::new([7; 32]));
        bin.api.store.commit(said).await.unwrap();
        bin.until(|lid| lid["follows"] == follows).await;
    }
}

#[tokio::test]
async fn words_that_come_late_do_not_undo_later_ones() {
    let mut bin = Bin::start().await;
    bin.door(true, "staff").await;
    bin.until(|lid| lid["reported"] == "unlocked").await;
    bin.wait(-600);
    bin.door(false, "schedule").await;
    bin.wait(1200);
    bin.door(true, "staff").await;
    // The second of the two later words was taken in after the late one.
    let lid = bin.until(|lid| lid["reported"] == "unlocked").await;
    assert_eq!(lid["since"], "2026-11-23T04:00:00.000Z");
}

#[tokio::test]
async fn a_word_said_again_keeps_its_beginning_and_is_newer_than_what_came_between() {
    let mut bin = Bin::start().await;
    bin.door(true, "staff").await;
    bin.until(|lid| lid["reported"] == "unlocked").await;
    bin.wait(120);
    bin.door(true, "staff").await;
    bin.wait(-60);
    bin.door(false, "schedule").await;
    bin.wait(120);
    // Had the late word passed for the newest, this one would begin anew.
    bin.door(true, "staff").await;
    bin.told(bin.api.clock.now().timestamp_millis()).await;
    let lid = bin.until(|lid| lid["reported"] == "unlocked").await;
    assert_eq!(lid["since"], "2026-11-23T04:00:00.000Z");
}
