//! Publishes what the linkage platform is told: looks at every community whenever something it depends on may have changed,
//! and writes down what is told anew. What is published is read from what was written, and computed nowhere else.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::SaidOnce;
use crate::clock::SharedClock;
use crate::store::linkage::{gone, publish, publish_gone};
use crate::store::sql::Connection;
use crate::store::{Store, StoreError, alarms, pictures, visits};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// It rests so many times as long as it worked: however many communities there are and however much comes in, it takes no
/// more than a small part of one core.
const REST: u32 = 10;
/// Local midnights lie on quarters of an hour, in every zone.
const CALENDAR_SECONDS: i64 = 15 * 60;

/// What pictures depend on, as far as it is cheap to say. Where none of it has changed no picture has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    registry: i64,
    ledger: i64,
    visits: i64,
    /// When the alarms of silent devices were raised.
    silent: Vec<(i64, i64)>,
    calendar: i64,
}

/// Runs until `stop`.
pub(super) async fn run(store: Store, clock: SharedClock, stop: CancellationToken) {
    let (mut seen, mut said) = (None, SaidOnce::default());
    loop {
        let began = Instant::now();
        said.of("linkage", &look_again(&store, clock.now(), &mut seen).await);
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY.max(began.elapsed() * REST)) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn look_again(store: &Store, now: DateTime<Utc>, seen: &mut Option<Stamp>) -> Result<(), StoreError> {
    let (registry, ledger) = (store.registry().revision, *store.committed().borrow());
    let stamp = store.read(move |connection| stamp(connection, (registry, ledger), now)).await?;
    if seen.as_ref() != Some(&stamp) {
        look(store, now).await?;
        *seen = Some(stamp);
    }
    Ok(())
}

fn stamp(connection: &Connection, (registry, ledger): (i64, i64), now: DateTime<Utc>) -> Result<Stamp, StoreError> {
    Ok(Stamp {
        registry,
        ledger,
        visits: visits::last(connection)?,
        silent: alarms::silent_since(connection)?,
        calendar: now.timestamp().div_euclid(CALENDAR_SECONDS),
    })
}

/// Looks at every community, and publishes what is new. How many revisions that takes.
pub async fn look(store: &Store, now: DateTime<Utc>) -> Result<usize, StoreError> {
    let (registry, at) = (store.registry(), now.timestamp_millis());
    let mut published = 0;
    for community in registry.communities.values() {
        let (read, community) = (Arc::clone(&registry), community.clone());
        let look = store.read(move |connection| pictures::look(connection, &read, &community, now)).await?;
        if look.is_new() {
            published += usize::from(store.write(move |session| publish(session.connection, &look, at)).await?);
        }
    }
    for community in store.read(move |connection| gone(connection, &registry)).await? {
        store.write(move |session| publish_gone(session.connection, &community, at)).await?;
        published += 1;
    }
    Ok(published)
}
