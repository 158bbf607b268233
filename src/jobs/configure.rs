//! Tells every device what to keep to, on its retained `config` channel, and again whenever that changes: with the
//! registry, with the calendar, and with a broker that may have forgotten.
//!
//! A backend that lost its turn may have published, late, what held before. So whose turn it is hears what the broker
//! keeps, and puts right what is not as the store says: whoever comes last, that is what remains.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::Channel;
use tokio_util::sync::CancellationToken;

use super::SaidOnce;
use crate::clock::SharedClock;
use crate::domain::device_config::{EveningMessage, config_of};
use crate::domain::registry::{Device, Registry};
use crate::mqtt::wished::Kept;
use crate::mqtt::{Message, Publisher};
use crate::store::device_configs::{self, Told};
use crate::store::{Store, StoreError};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Local midnights lie on quarters of an hour, in every zone.
const CALENDAR_SECONDS: i64 = 15 * 60;

/// Runs until `stop`.
pub(super) async fn run(
    store: Store,
    publisher: Publisher,
    kept: Kept,
    evening: EveningMessage,
    clock: SharedClock,
    stop: CancellationToken,
) {
    let mut connection = publisher.connection();
    let (mut told, mut said, mut said_of_kept) = (None, SaidOnce::default(), SaidOnce::default());
    if store.is_shared() {
        kept.wish.begin();
    }
    loop {
        let (registry, now, connections) = (store.registry(), clock.now(), connection.number());
        let seen = (registry.revision, now.timestamp().div_euclid(CALENDAR_SECONDS), connections);
        if connections.is_some() && told != Some(seen) {
            let everything = told.is_none_or(|(_, _, before)| before != connections);
            let outcome = tell(&store, &publisher, &evening, registry, now, everything).await;
            said.of("configs", &outcome);
            told = outcome.ok().map(|()| seen).or(told);
        }
        let heard = if connections.is_some() { kept.take() } else { HashMap::new() };
        if !heard.is_empty() {
            let outcome = put_right(&store, &publisher, heard).await;
            said_of_kept.of("kept_configs", &outcome);
            // What was to be compared is forgotten: everything is told again.
            told = outcome.ok().and(told);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = connection.changed() => {}
            () = stop.cancelled() => break,
        }
    }
    kept.wish.end();
}

/// Publishes again what came from the broker and is another one than the device was told last.
async fn put_right(store: &Store, publisher: &Publisher, heard: HashMap<String, Vec<u8>>) -> Result<(), StoreError> {
    for told in store.read(device_configs::all).await? {
        if heard.get(&told.topic).is_some_and(|payload| payload != told.document.as_bytes()) {
            publisher.publish(retained(told.topic, told.document.into_bytes())).await;
        }
    }
    Ok(())
}

fn retained(topic: String, payload: Vec<u8>) -> Message {
    Message { topic, payload, retain: true, lifetime: None }
}

async fn tell(
    store: &Store,
    publisher: &Publisher,
    evening: &EveningMessage,
    registry: Arc<Registry>,
    now: DateTime<Utc>,
    everything: bool,
) -> Result<(), StoreError> {
    let (told, made) =
        store.read(|connection| Ok((device_configs::all(connection)?, device_configs::revision(connection)?))).await?;
    let mut before: HashMap<i64, Told> = told.into_iter().map(|told| (told.device, told)).collect();
    let (mut changed, mut unchanged, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for device in registry.devices.values() {
        let known = before.remove(&device.key);
        let Some(next) = next(&registry, device, evening, known.as_ref(), now) else { continue };
        if known.as_ref() == Some(&next) {
            unchanged.push(next);
        } else {
            gone.extend(known.filter(|known| known.topic != next.topic).map(|known| known.topic));
            changed.push(next);
        }
    }
    let removed: Vec<i64> = before.keys().copied().collect();
    gone.extend(before.into_values().map(|told| told.topic));
    if !changed.is_empty() || !removed.is_empty() || made != registry.revision {
        let (changed, revision, now) = (changed.clone(), registry.revision, now.timestamp_millis());
        let write = store.write(move |session| -> Result<(), StoreError> {
            changed.iter().try_for_each(|told| device_configs::put(session.connection, told, now))?;
            removed.iter().try_for_each(|device| device_configs::remove(session.connection, *device))?;
            device_configs::set_revision(session.connection, revision)
        });
        write.await?;
    }
    let again = if everything { unchanged } else { Vec::new() };
    let told = changed.into_iter().chain(again).map(|told| (told.topic, told.document.into_bytes()));
    for (topic, payload) in gone.into_iter().map(|topic| (topic, Vec::new())).chain(told) {
        publisher.publish(retained(topic, payload)).await;
    }
    Ok(())
}

/// What a device is to be told now: as it was told before, or under the next version.
fn next(
    registry: &Registry,
    device: &Device,
    evening: &EveningMessage,
    before: Option<&Told>,
    now: DateTime<Utc>,
) -> Option<Told> {
    let site = registry.sites.get(&device.site)?;
    let mut config = match config_of(site, device, evening, now) {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(device = %device.id, %error, "a device keeps its old config");
            return None;
        }
    };
    let topic = Topic { site: &site.id, kind: device.kind, device: &device.id, channel: Channel::Config }.to_string();
    config.version = before.map_or(1, |before| before.version);
    let mut document = serde_json::to_string(&config).ok()?;
    if before.is_some_and(|before| before.document != document) {
        config.version = config.version.wrapping_add(1);
        document = serde_json::to_string(&config).ok()?;
    }
    Some(Told { device: device.key, topic, version: config.version, document })
}
