//! Sends commands when they are due, and again until their device answers or they expire; takes the answers from the
//! ledger.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::{Channel, EventType};
use tokio_util::sync::CancellationToken;

use super::follow::Follower;
use crate::clock::SharedClock;
use crate::domain::event::Body;
use crate::domain::projection::fill;
use crate::mqtt::{Lifetime, Message, Publisher};
use crate::store::commands::{self, Due};
use crate::store::writer::Session;
use crate::store::{Store, StoreError, campaigns, fillings, messages};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What devices say of their commands.
pub(super) const ANSWERS: Follower =
    Follower { name: "answers", types: &[EventType::Display, EventType::Executed], apply: take_answers };

fn take_answers(session: &mut Session<'_>, found: &[crate::store::events::Listed]) -> Result<(), StoreError> {
    for listed in found {
        let Some(device) = session.registry.devices.get(&listed.device) else { continue };
        if let Body::Display(display) = &listed.event.body {
            let command = (device.key, display.command.as_str());
            let detail = display.detail.as_deref();
            commands::answered(session.connection, command, display.status, listed.event.time, detail)?;
        }
    }
    Ok(())
}

/// Runs until `stop`. While no broker is reached nothing is sent, and what expires meanwhile never is.
pub(super) async fn run(store: Store, publisher: Publisher, clock: SharedClock, stop: CancellationToken) {
    let connection = publisher.connection();
    loop {
        let reached = connection.borrow().is_some();
        match look(&store, clock.now(), reached).await {
            Ok(outgoing) => {
                for message in outgoing {
                    publisher.publish(message).await;
                }
            }
            Err(error) => tracing::warn!(%error, "commands could not be sent; they will be"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Plans, expires, and notes as sent what is given back to be published: a command that was noted and not published is
/// sent again.
async fn look(store: &Store, now: DateTime<Utc>, reached: bool) -> Result<Vec<Message>, StoreError> {
    let write = store.write(move |session| {
        campaigns::plan(session.connection, &session.registry, now)?;
        let millis = now.timestamp_millis();
        commands::expire(session.connection, millis)?;
        if !reached {
            return Ok(Vec::new());
        }
        let due = commands::due(session.connection, millis)?;
        let outgoing = due.iter().map(|due| outgoing(session, due, now)).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(outgoing.into_iter().flatten().collect())
    });
    write.await
}

fn outgoing(session: &mut Session<'_>, due: &Due, now: DateTime<Utc>) -> Result<Option<Message>, StoreError> {
    let registry = &session.registry;
    let Some(device) = registry.devices.values().find(|device| device.key == due.device) else { return Ok(None) };
    let Some(site) = registry.sites.get(&device.site) else { return Ok(None) };
    let text = match (&due.text, due.message) {
        (None, Some(message)) => {
            let text = messages::text(session.connection, message)?;
            let filled = fillings::read(session.connection, registry, site, now, &text)?;
            let filled = fill(&text, |name| filled.value(name)).unwrap_or(text);
            let end = filled.floor_char_boundary(fenlei_wire::limits::MAX_TEXT_BYTES);
            Some(filled[..end].to_owned())
        }
        (text, _) => text.clone(),
    };
    let left = due.expires - now.timestamp_millis();
    let seconds = u32::try_from((left + 999) / 1000).unwrap_or(u32::MAX);
    let expires = DateTime::from_timestamp_millis(due.expires).unwrap_or(now);
    let expires = expires.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let command = match text.as_ref().filter(|_| !due.clear) {
        Some(text) => {
            serde_json::json!({"id": due.id, "expires": expires, "type": "display", "text": text, "seconds": seconds})
        }
        None => serde_json::json!({"id": due.id, "expires": expires, "type": "clear"}),
    };
    let topic = Topic { site: &site.id, kind: device.kind, device: &device.id, channel: Channel::Command }.to_string();
    commands::sent(session.connection, due, text.as_deref(), now.timestamp_millis())?;
    let lifetime = Some(Lifetime { until: due.expires, seconds });
    Ok(Some(Message { topic, payload: command.to_string().into_bytes(), retain: false, lifetime }))
}
