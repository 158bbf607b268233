//! Tells webhooks of alarms: each hook by itself and in order, again until it takes what it is told, so that one that is
//! down delays no other.

use std::collections::HashMap;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use serde_json::value::RawValue;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::domain::alarms::AlarmView;
use crate::domain::notice_text::{Generic, Told, message};
use crate::domain::notices::{BUNDLED, Format, ROBOT_PAUSE_MS, back_off, refused_by_robot, retry_after};
use crate::domain::registry::Registry;
use crate::store::alarm_hooks::{self, Asked, Hook};
use crate::store::alarm_notices::{self, Notice};
use crate::store::{Store, StoreError};
use crate::webhook::{Answer, Client, signature};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Hooks that are told at once.
const MAX_AT_ONCE: usize = 16;
/// Notices that one generic hook is told between two looks: its bound is 20 a second.
const ROUND: usize = 20;
/// How long what is under way may take when the backend stops.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until `stop`.
pub(super) async fn run(store: Store, clock: SharedClock, stop: CancellationToken) {
    let told = Teller { store, clock, client: Client::new() };
    let (mut telling, mut busy) = (JoinSet::new(), HashMap::new());
    let mut timer = tokio::time::interval(LOOK_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => match told.due().await {
                Ok(due) => {
                    for hook in due {
                        let number = hook.number;
                        if busy.len() < MAX_AT_ONCE && !busy.values().any(|busy| *busy == number) {
                            let told = told.clone();
                            let task = telling.spawn(async move { told.tell(hook).await });
                            busy.insert(task.id(), number);
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "webhooks could not be looked for; it goes on"),
            },
            Some(ended) = telling.join_next_with_id() => match ended {
                Ok((task, outcome)) => {
                    busy.remove(&task);
                    if let Err(error) = outcome {
                        tracing::warn!(%error, "a notice could not be sent or settled; it will be");
                    }
                }
                Err(error) => {
                    busy.remove(&error.id());
                    tracing::error!(%error, "telling a webhook ended badly");
                }
            },
            () = stop.cancelled() => break,
        }
    }
    let finish = async { while telling.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, finish).await.is_err() {
        tracing::info!("a webhook was still being told: it is told again after the start");
    }
}

#[derive(Clone)]
struct Teller {
    store: Store,
    clock: SharedClock,
    client: Client,
}

/// What came of an attempt.
enum Outcome {
    Taken,
    Failed { status: String, retry_after: Option<i64> },
}

impl Teller {
    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    async fn due(&self) -> Result<Vec<Hook>, StoreError> {
        let now = self.now();
        self.store.read(move |connection| alarm_hooks::due(connection, now)).await
    }

    /// Tells a hook what waits for it, until it fails or has heard enough for now.
    async fn tell(&self, mut hook: Hook) -> Result<(), StoreError> {
        let robot = hook.asked.format.is_robot();
        let waiting = self.waiting(&hook, if robot { BUNDLED } else { ROUND }).await?;
        let mut waiting = waiting.as_slice();
        while !waiting.is_empty() {
            let Some((count, body)) = self.body(&hook.asked, waiting)? else { return Ok(()) };
            let (told, rest) = waiting.split_at(count);
            let outcome = self.post(&hook.asked, &told[0].id, body).await;
            let taken = matches!(outcome, Outcome::Taken);
            self.settle(&mut hook, told, outcome).await?;
            if robot || !taken {
                return Ok(());
            }
            waiting = rest;
        }
        Ok(())
    }

    async fn waiting(&self, hook: &Hook, limit: usize) -> Result<Vec<Notice>, StoreError> {
        let (number, quiet, now) = (hook.number, hook.asked.quiet, self.now());
        let registry = self.store.registry();
        let quiet: Vec<i64> = quiet.map_or_else(Vec::new, |quiet| {
            let sites = registry.sites.values().filter(|site| quiet.holds(site.zone, now));
            sites.map(|site| site.key).collect()
        });
        self.store.read(move |connection| alarm_notices::waiting(connection, number, &quiet, limit)).await
    }

    /// What is posted, and of how many of the notices it tells.
    fn body(&self, asked: &Asked, notices: &[Notice]) -> Result<Option<(usize, Vec<u8>)>, StoreError> {
        const BROKEN: StoreError = StoreError::Corrupt("a notice is unreadable");
        if asked.format == Format::Generic {
            let Some(notice) = notices.first() else { return Ok(None) };
            let alarm: &RawValue = serde_json::from_str(&notice.document).map_err(|_| BROKEN)?;
            let generic = Generic { id: &notice.id, event: notice.change, alarm };
            return Ok(Some((1, serde_json::to_vec(&generic).map_err(|_| BROKEN)?)));
        }
        let registry = self.store.registry();
        let alarms = notices.iter().map(|notice| serde_json::from_str(&notice.document).map_err(|_| BROKEN));
        let alarms = alarms.collect::<Result<Vec<AlarmView>, _>>()?;
        let told: Vec<_> = notices.iter().zip(&alarms).map(|(notice, alarm)| told(&registry, notice, alarm)).collect();
        let (count, message) = message(asked.format, &told);
        Ok(Some((count, message.to_string().into_bytes())))
    }

    async fn post(&self, asked: &Asked, id: &str, body: Vec<u8>) -> Outcome {
        let now = self.now();
        let mut url = asked.url.clone();
        let mut headers = Vec::new();
        match (asked.format, &asked.secret) {
            (Format::Dingtalk, Some(secret)) => url = signature::dingtalk(&url, secret, now),
            (Format::Generic, secret) => headers = standard_headers(secret.as_deref(), id, now / 1000, &body),
            _ => {}
        }
        match self.client.post(&url, &headers, body).await {
            Ok(answer) => judge(asked.format, &answer, now),
            Err(error) => Outcome::Failed { status: error.to_string(), retry_after: None },
        }
    }

    async fn settle(&self, hook: &mut Hook, told: &[Notice], outcome: Outcome) -> Result<(), StoreError> {
        let (number, now) = (hook.number, self.now());
        let notices: Vec<_> = told.iter().map(|notice| notice.number).collect();
        let pause = if hook.asked.format.is_robot() { ROBOT_PAUSE_MS } else { 0 };
        match outcome {
            Outcome::Taken => {
                count("delivered", notices.len());
                let settled = self.store.write(move |session| {
                    alarm_notices::delivered(session.connection, number, &notices, now + pause, now)
                });
                settled.await
            }
            Outcome::Failed { status, retry_after } => {
                count("failed", 1);
                let attempts = hook.delivery.attempts.saturating_add(1);
                let wait = back_off(attempts, fastrand::f64(), retry_after).max(pause);
                tracing::warn!(hook = %hook.id, attempts, %status, "a webhook did not take what it was told");
                let settled = self
                    .store
                    .write(move |session| alarm_notices::failed(session.connection, number, &status, now + wait, now));
                count("given_up", settled.await?);
                Ok(())
            }
        }
    }
}

fn told<'a>(registry: &'a Registry, notice: &Notice, alarm: &'a AlarmView) -> Told<'a> {
    let site = registry.sites.get(&alarm.site);
    let device = alarm.device.as_ref().map(|id| {
        let name = registry.devices.get(id).and_then(|device| device.name.as_deref());
        name.unwrap_or(id)
    });
    Told {
        change: notice.change,
        alarm,
        site: site.map_or(&alarm.site, |site| &site.name),
        device,
        zone: site.map_or(crate::domain::zone::DEFAULT_ZONE, |site| site.zone),
    }
}

/// The headers of Standard Webhooks; without a secret nothing is signed.
fn standard_headers(secret: Option<&str>, id: &str, timestamp: i64, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
    let key = secret.and_then(signature::standard_key);
    let signature = key.map(|key| signature::standard(&key, id, timestamp, body));
    let texts = [
        ("webhook-id", Some(id.to_owned())),
        ("webhook-timestamp", Some(timestamp.to_string())),
        ("webhook-signature", signature),
    ];
    let headers = texts
        .into_iter()
        .filter_map(|(name, text)| Some((HeaderName::from_static(name), HeaderValue::try_from(text?).ok()?)));
    headers.collect()
}

fn judge(format: Format, answer: &Answer, now: i64) -> Outcome {
    let asked = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
    if !(200..300).contains(&answer.status) {
        return Outcome::Failed { status: format!("HTTP {}", answer.status), retry_after: asked };
    }
    let refused = if format.is_robot() { refused_by_robot(&answer.body) } else { None };
    refused.map_or(Outcome::Taken, |status| Outcome::Failed { status, retry_after: asked })
}

fn count(outcome: &'static str, notices: usize) {
    metrics::counter!("fenlei_alarm_notices_total", "outcome" => outcome).increment(notices as u64);
}
