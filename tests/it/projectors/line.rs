//! The jobs of a backend, with a broker's place taken by whoever reads what they publish.

use std::time::Duration;

use fenlei::clock::SharedClock;
use fenlei::domain::device_config::EveningMessage;
use fenlei::influx;
use fenlei::jobs::Jobs;
use fenlei::mqtt::wished::{Kept, Wish};
use fenlei::mqtt::{Message, Publisher};
use fenlei::store::retention::Retention;
use fenlei::webhook::Reach;
use fenlei_wire::schedule::Minute;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::api::{Answer, Api, instant};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Line {
    published: mpsc::Receiver<Message>,
    /// Whether the broker is reached, and which connection that is.
    pub connection: watch::Sender<Option<u64>>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Line {
    pub fn start(api: &Api) -> Self {
        Self::exporting(api, None)
    }

    /// One that exports the ledger too.
    pub fn exporting(api: &Api, influx: Option<influx::Options>) -> Self {
        let (queue, published) = mpsc::channel(1_000);
        let (connection, connected) = watch::channel(Some(1));
        let clock: SharedClock = api.clock.clone();
        let evening = EveningMessage { text: "垃圾分类".into(), start: Minute::new(1110).unwrap(), seconds: 7200 };
        let publisher = Publisher::External(queue, connected);
        let (store, retention, webhooks) = (api.store.clone(), Retention::default(), Reach::Anywhere);
        let (states, kept, faults) = (Wish::default(), Kept::default(), api.faults.clone());
        let (_, receiving) = watch::channel(true);
        let jobs =
            Jobs { store, publisher, clock, evening, retention, webhooks, influx, receiving, states, kept, faults };
        let stop = CancellationToken::new();
        Self { published, connection, running: tokio::spawn(jobs.run(stop.clone())), stop }
    }

    /// Ends the jobs, as a backend that stops would.
    pub async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }

    /// The next publish on a channel: its device, and what it says.
    pub async fn next(&mut self, channel: &str) -> (String, Message) {
        let reading = async {
            loop {
                let message = self.published.recv().await.unwrap();
                let parts: Vec<_> = message.topic.split('/').collect();
                if parts[5] == channel {
                    return (parts[4].to_owned(), message);
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("something is published")
    }

    /// The next command, as its device reads it.
    pub async fn command(&mut self) -> (String, Value) {
        let (device, message) = self.next("command").await;
        assert!(!message.retain && message.lifetime.is_some());
        (device, serde_json::from_slice(&message.payload).unwrap())
    }

    /// Whether commands were published that nobody has read.
    pub fn silent(&mut self) -> bool {
        std::iter::from_fn(|| self.published.try_recv().ok()).all(|message| !message.topic.ends_with("/command"))
    }
}

/// Two projectors at the gate of the garden.
pub(crate) async fn neighbourhood() -> Api {
    let api = Api::with_registry().await;
    for projector in ["beam-1", "beam-2"] {
        api.put(&format!("devices/{projector}"), json!({"site": "gate", "kind": "projector"})).await;
    }
    api
}

pub(crate) fn set(api: &Api, time: &str) {
    api.clock.set(instant(&format!("2026-11-{time}:00+08:00")));
}

/// Comes back with the message once it is as wanted.
pub(crate) async fn until(api: &Api, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        loop {
            let Answer { body, .. } = api.get(&format!("projectors/messages/{id}")).await;
            if wanted(&body) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never so: {id}"))
}

/// The state of each command, with the minute of the day at which it was due.
pub(crate) fn states(message: &Value) -> Vec<(String, String)> {
    let commands = message["commands"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    commands.map(|command| (text(&command["device"]), text(&command["state"]))).collect()
}

/// What a projector says of a command.
pub(crate) async fn answer(api: &Api, device: &str, seq: u64, command: &Value, status: &str) {
    use fenlei::clock::Clock;
    let event = json!({"boot": 1, "seq": seq, "time": api.clock.now().to_rfc3339(), "type": "display",
                       "command": command["id"], "status": status});
    api.publish(&format!("gate/projector/{device}"), event).await.unwrap();
}
