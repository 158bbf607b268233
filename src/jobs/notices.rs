//! Tells webhooks of alarms: each hook by itself and in order, again until it takes what it is told, so that one that is
//! down delays no other.

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::courier::{self, ROUND, Teller};
use crate::clock::SharedClock;
use crate::domain::alarms::AlarmView;
use crate::domain::notice_text::{Generic, Told, message};
use crate::domain::notices::{BUNDLED, Format, ROBOT_PAUSE_MS, back_off, refused_by_robot, retry_after};
use crate::domain::registry::Registry;
use crate::store::alarm_hooks::{self, Asked, Hook};
use crate::store::alarm_notices::{self, Notice};
use crate::store::{Store, StoreError};
use crate::webhook::{Answer, Client, Reach, signature};

/// Runs until `stop`.
pub(super) async fn run(store: Store, clock: SharedClock, reach: Reach, stop: CancellationToken) {
    courier::run(Notices { store, clock, client: Client::new(reach) }, stop).await;
}

#[derive(Clone)]
struct Notices {
    store: Store,
    clock: SharedClock,
    client: Client,
}

/// What came of an attempt.
enum Outcome {
    Taken,
    Failed { status: String, retry_after: Option<i64> },
}

impl Teller for Notices {
    type Hook = Hook;

    const JOB: &str = "alarm_hooks";

    fn number(hook: &Hook) -> i64 {
        hook.number
    }

    async fn due(&self) -> Result<Vec<Hook>, StoreError> {
        let now = self.now();
        self.store.read(move |connection| alarm_hooks::due(connection, now)).await
    }

    async fn tell(self, mut hook: Hook) -> Result<(), StoreError> {
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
}

impl Notices {
    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
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
            (Format::Generic, secret) => {
                let keys: Vec<_> = secret.as_deref().and_then(signature::standard_key).into_iter().collect();
                headers = signature::standard_headers(&keys, id, now / 1000, &body);
            }
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
