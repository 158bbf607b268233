//! A backend with its jobs on a clock that stands still until it is set.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use fenlei::clock::Clock;
use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::store::{alarm_causes, followers};
use serde_json::{Value, json};

use crate::projectors::line::Line;
use crate::support::api::{Api, instant};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) struct World {
    pub api: Api,
    began: i64,
    seqs: HashMap<String, u64>,
    line: Option<Line>,
}

impl World {
    /// It is noon in Shanghai, outside all windows.
    pub async fn start() -> Self {
        let api = Api::with_registry().await;
        let (line, began) = (Some(Line::start(&api)), api.clock.now().timestamp_millis());
        Self { api, began, seqs: HashMap::new(), line }
    }

    /// Ends the jobs.
    pub async fn stop_jobs(&mut self) {
        self.line.take().unwrap().stop().await;
    }

    pub fn start_jobs(&mut self) {
        self.line = Some(Line::start(&self.api));
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.api.clock.now()
    }

    pub fn wait(&self, minutes: i64) {
        self.wait_seconds(minutes * 60);
    }

    pub fn wait_seconds(&self, seconds: i64) {
        self.api.clock.set(self.now() + TimeDelta::seconds(seconds));
    }

    /// Of the day on which it begins or the next, on the site's clock.
    pub fn set(&self, time: &str) {
        self.api.clock.set(instant(&format!("2026-11-{time}:00+08:00")));
    }

    /// The seq of the device's latest event.
    pub fn seq(&mut self, device: &str) -> &mut u64 {
        self.seqs.entry(device.to_owned()).or_default()
    }

    /// An event that happens now; `device` as `site/kind/id`, of the gate where it has no site.
    pub async fn says(&mut self, device: &str, event: Value) {
        self.says_at(device, self.now(), event).await;
    }

    /// An event that happened at `time` by the device's clock and arrives now.
    pub async fn says_at(&mut self, device: &str, time: DateTime<Utc>, mut event: Value) {
        let topic = if device.matches('/').count() == 2 { device.to_owned() } else { format!("gate/{device}") };
        let seq = self.seq(topic.rsplit('/').next().unwrap());
        *seq += 1;
        event["boot"] = 1.into();
        event["seq"] = (*seq).into();
        event["time"] = time.to_rfc3339().into();
        self.api.publish(&topic, event).await.unwrap();
    }

    pub async fn state(&self, device: &str, payload: Value) {
        let (topic, now) = (format!("fenlei/v1/gate/{device}/state"), self.now().timestamp_millis());
        let said = Inbound::read(&topic, payload.to_string().as_bytes(), now, &CardKey::new([7; 32]));
        self.api.store.commit(said).await.unwrap();
    }

    /// Looks for what nobody says, as the job does every two seconds: for tests of what is not found.
    pub async fn look(&self) {
        self.look_since(Some(self.began)).await;
    }

    /// Looks, as a backend that has heard devices since then, or hears none.
    pub async fn look_since(&self, listening: Option<i64>) {
        let now = self.now().timestamp_millis();
        let look = self
            .api
            .store
            .write(move |session| alarm_causes::look(session.connection, &session.registry, listening, now));
        look.await.unwrap();
    }

    /// Comes back once the job has heard everything; the latest event must be one that it listens to.
    pub async fn heard(&self) {
        let last = *self.api.store.committed().borrow();
        let hearing = async {
            loop {
                let position = self.api.store.read(|connection| followers::position(connection, "alarms"));
                if position.await.unwrap() >= last {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, hearing).await.expect("it hears everything");
    }

    pub async fn alarms(&self, query: &str) -> Vec<Value> {
        self.api.get(&format!("alarms?{query}")).await.body["items"].as_array().unwrap().clone()
    }

    /// Comes back with the alarms once they are as wanted.
    pub async fn until(&self, query: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let looking = async {
            loop {
                let alarms = self.alarms(query).await;
                if wanted(&alarms) {
                    return alarms;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never so: {query}"))
    }

    /// Looks now, and says how many such alarms are open.
    pub async fn open(&self, kind: &str) -> usize {
        self.look().await;
        self.alarms(&format!("kind={kind}&state=open")).await.len()
    }

    /// Lets ten quiet minutes pass, after which the alarm, whose cause is gone, is over.
    pub async fn clears(&self, kind: &str) {
        assert_eq!(self.open(kind).await, 1, "its cause must stay away for a while");
        self.wait(11);
        assert_eq!(self.open(kind).await, 0, "its cause is gone");
    }

    /// Stores a webhook for alarms and gives its id.
    pub async fn hook(&self, body: Value) -> String {
        let answer = self.api.post("alarms/webhooks", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Comes back with what became of telling a webhook once it is as wanted.
    pub async fn delivery(&self, hook: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut seen = Value::Null;
        let looking = async {
            loop {
                let delivery = self.api.get(&format!("alarms/webhooks/{hook}")).await.body["delivery"].clone();
                if wanted(&delivery) {
                    return delivery;
                }
                seen = delivery;
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, looking).await;
        waited.unwrap_or_else(|_| panic!("never so: {seen}"))
    }

    /// A webhook that has taken all that it was to be told.
    pub async fn told(&self, hook: &str) -> Value {
        self.delivery(hook, |delivery| delivery["waiting"] == 0 && delivery["last_status"] == "ok").await
    }
}

pub(crate) fn alarm(what: &str, active: bool) -> Value {
    json!({"type": "alarm", "alarm": what, "active": active})
}
