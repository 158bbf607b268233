//! Sends commands when they are due, and again until their device answers or they expire; takes the answers from the
//! ledger.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fenlei_wire::command::EVENING;
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::{Channel, DisplayStatus, EventType, ExecutedStatus};
use tokio_util::sync::CancellationToken;

use super::SaidOnce;
use super::follow::Follower;
use crate::clock::SharedClock;
use crate::domain::event::{Body, Display};
use crate::domain::projection_text::fill;
use crate::mqtt::{Lifetime, Message, Publisher};
use crate::store::commands::{self, Due, Order};
use crate::store::sql::Connection;
use crate::store::writer::Session;
use crate::store::{Store, StoreError, campaigns, displays, fillings, lids, messages};

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What devices say of their commands, and of their lids.
pub(super) const ANSWERS: Follower = Follower {
    name: "answers",
    types: &[EventType::Display, EventType::Executed, EventType::Door],
    apply: take_answers,
};

fn take_answers(session: &mut Session<'_>, found: &[crate::store::events::Listed]) -> Result<(), StoreError> {
    for listed in found {
        let Some((device, site, _)) = session.registry.place(&listed.device) else { continue };
        let (connection, at) = (session.connection, listed.event.time);
        match &listed.event.body {
            Body::Display(display) => shown(connection, device.key, display, at)?,
            Body::Executed(executed) => {
                let (command, status) = ((device.key, executed.command.as_str()), executed.status.as_str());
                let answered = commands::answered(connection, command, status, at, executed.detail.as_deref())?;
                let lid =
                    answered.filter(|_| executed.status == ExecutedStatus::Done).and_then(|done| done.order.lid());
                if let Some(lid) = lid {
                    lids::report(connection, device.key, lid, at)?;
                }
            }
            Body::Door(door) => lids::door(connection, site, device, door, at)?,
            _ => {}
        }
    }
    Ok(())
}

fn shown(connection: &Connection, device: i64, display: &Display, at: i64) -> Result<(), StoreError> {
    let displayed = display.status == DisplayStatus::Displayed;
    if display.command == EVENING {
        return if displayed { displays::note_evening(connection, device, at) } else { Ok(()) };
    }
    let (command, status) = ((device, display.command.as_str()), display.status.as_str());
    match commands::answered(connection, command, status, at, display.detail.as_deref())? {
        Some(answered) if displayed => {
            let until = if answered.order == Order::Display { answered.expires } else { at };
            displays::note(connection, device, (at, until), answered.message)
        }
        _ => Ok(()),
    }
}

/// Runs until `stop`. While no broker is reached nothing is sent, and what expires meanwhile never is.
pub(super) async fn run(store: Store, publisher: Publisher, clock: SharedClock, stop: CancellationToken) {
    let mut connection = publisher.connection();
    let (mut planned, mut planning, mut sending) = (None, SaidOnce::default(), SaidOnce::default());
    loop {
        // Until it works lids keep their hours by themselves.
        planning.of("lids", &plan_lids(&store, clock.now(), &mut planned).await);
        let reached = connection.number().is_some();
        let outgoing = look(&store, clock.now(), reached).await;
        sending.of("commands", &outgoing);
        for message in outgoing.into_iter().flatten() {
            publisher.publish(message).await;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Plans for the lids each minute, on which every edge lies, and whenever the registry changed.
async fn plan_lids(store: &Store, now: DateTime<Utc>, planned: &mut Option<(i64, i64)>) -> Result<(), StoreError> {
    let (registry, minute) = (store.registry(), now.timestamp().div_euclid(60));
    let current = Some((registry.revision, minute));
    if *planned != current {
        let plan = store.read(move |connection| lids::plan(connection, &registry, None, now)).await?;
        if !plan.is_empty() {
            store.write(move |session| lids::apply(session.connection, &plan, now.timestamp_millis())).await?;
        }
        *planned = current;
    }
    Ok(())
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
        (None, Some(message)) if due.order == Order::Display => {
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
    let mut command = serde_json::json!({"id": due.id, "expires": expires});
    let (name, lasts) = match due.order {
        Order::Display => ("display", true),
        Order::Clear => ("clear", false),
        Order::Lock => ("lock", false),
        Order::Unlock => ("unlock", false),
        Order::Open => ("unlock", true),
    };
    command["type"] = name.into();
    if let Some(text) = &text {
        command["text"] = text.as_str().into();
    }
    if lasts {
        command["seconds"] = seconds.into();
    }
    let topic = Topic { site: &site.id, kind: device.kind, device: &device.id, channel: Channel::Command }.to_string();
    commands::sent(session.connection, due, text.as_deref(), now.timestamp_millis())?;
    let lifetime = Some(Lifetime { until: due.expires, seconds });
    Ok(Some(Message { topic, payload: command.to_string().into_bytes(), retain: false, lifetime }))
}
