//! A backend that exports to a server of the test's own.

use std::collections::BTreeMap;
use std::time::Duration;

use fenlei::store::export::{self, Progress};
use serde_json::{Value, json};

use super::ledger::{Points, events, options, points};
use super::server::{Influx, TOKEN, Write};
use crate::projectors::line::Line;
use crate::support::api::Api;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub api: Api,
    pub influx: Influx,
    line: Option<Line>,
    seqs: BTreeMap<&'static str, u64>,
}

impl World {
    /// Nothing is exported yet.
    pub async fn start() -> Self {
        let (api, influx) = (Api::with_registry().await, Influx::start().await);
        api.put("devices/beam-1", json!({"site": "gate", "kind": "projector"})).await;
        Self { api, influx, line: None, seqs: BTreeMap::new() }
    }

    /// Begins to export, or goes on, so many events at once.
    pub fn export(&mut self, batch: usize) {
        self.line = Some(Line::exporting(&self.api, Some(options(&self.influx.url(), batch))));
    }

    pub async fn pause(&mut self) {
        self.line.take().unwrap().stop().await;
    }

    /// Events of a device under its next numbers, each a minute after the one before, on the day of the test.
    pub async fn says(&mut self, device: &'static str, events: impl IntoIterator<Item = Value>) {
        let seq = self.seqs.entry(device).or_default();
        let mut numbered = Vec::new();
        for mut event in events {
            *seq += 1;
            event["boot"] = 1.into();
            event["seq"] = (*seq).into();
            if event.get("time").is_none() {
                event["time"] = format!("2026-11-23T{:02}:{:02}:30.125+08:00", 7 + *seq / 60, *seq % 60).into();
            }
            numbered.push(event);
        }
        for batch in numbered.chunks(500) {
            self.api.publish(device, batch.into()).await.unwrap();
        }
    }

    /// What the ledger says that the server must hold.
    pub async fn expected(&self) -> Points {
        points(&events(&self.api).await, |site| if site == "gate" { "garden" } else { "river" })
    }

    /// Comes back once the server holds the ledger.
    pub async fn until_equal(&self) {
        let expected = self.expected().await;
        self.influx.until(&expected).await;
        for Write { uri, lines, .. } in self.influx.writes() {
            assert_eq!(uri, "/api/v2/write?bucket=fenlei&org=%E5%B1%85%E5%A7%94%E4%BC%9A+%26+co&precision=ns");
            assert!(!lines.contains(TOKEN));
        }
    }

    /// Comes back once the store says of the export what is wanted.
    pub async fn until_progress(&self, wanted: impl Fn(&Progress) -> bool) -> Progress {
        let looking = async {
            loop {
                let progress = self.api.store.read(export::progress).await.unwrap();
                if wanted(&progress) {
                    return progress;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.expect("the export gets on")
    }
}

pub(crate) fn deposit(grams: u32) -> Value {
    json!({"type": "deposit", "stream": "food", "grams": grams})
}
