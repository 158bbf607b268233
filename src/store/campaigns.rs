//! From messages to commands: what each projector is to show, planned anew whenever it may have changed.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use fenlei_wire::vocabulary::DeviceKind;

use super::commands::{self, NewCommand, Order};
use super::sql::Connection;
use super::{StoreError, messages};
use crate::domain::projection::{Message, Span, timeline};
use crate::domain::registry::{Device, Registry, Site};

/// How far ahead commands are queued.
const AHEAD: TimeDelta = TimeDelta::hours(24);

/// Queues what projectors are to show, and withdraws what they no longer are to.
pub fn plan(connection: &Connection, registry: &Registry, now: DateTime<Utc>) -> Result<(), StoreError> {
    let live = messages::live(connection, now)?;
    if live.is_empty() && !commands::any_open(connection)? {
        return Ok(());
    }
    let millis = now.timestamp_millis();
    for (device, site) in projectors(registry) {
        let spans = spans(&live, device, site, now);
        let occasions: HashSet<String> = spans.iter().map(commands::planned).collect();
        for open in commands::planned_and_open(connection, device.key)? {
            if !occasions.contains(&open.occasion) {
                commands::withdraw(connection, open.number, "it is no longer asked for at this time", millis)?;
            }
        }
        for span in spans {
            let (occasion, message) = (commands::planned(&span), Some(span.message));
            let (due, expires) = (span.start, span.end);
            let new = NewCommand { device: device.key, occasion, order: Order::Display, message, due, expires };
            commands::queue(connection, &new, millis)?;
        }
    }
    Ok(())
}

/// Deletes a message: what was not shown is withdrawn, and where it shows the projector goes on with what it would show
/// without it.
pub fn delete(
    connection: &Connection,
    registry: &Registry,
    message: i64,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let millis = now.timestamp_millis();
    let showing = commands::showing(connection, message, millis)?;
    messages::delete(connection, message, millis)?;
    plan(connection, registry, now)?;
    let live = messages::live(connection, now)?;
    for (device, site) in projectors(registry) {
        let Some((_, until)) = showing.iter().find(|(showing, _)| *showing == device.key) else { continue };
        let spans = spans(&live, device, site, now);
        let next = spans.into_iter().find(|span| span.start <= millis);
        let (order, message, expires) = match next {
            Some(span) => (Order::Display, Some(span.message), span.end),
            None => (Order::Clear, None, *until),
        };
        let occasion = format!("resume/{message:?}/{millis}");
        commands::queue(
            connection,
            &NewCommand { device: device.key, occasion, order, message, due: millis, expires },
            millis,
        )?;
    }
    Ok(())
}

fn projectors(registry: &Registry) -> impl Iterator<Item = (&Device, &Site)> {
    let projectors = registry.devices.values().filter(|device| device.kind == DeviceKind::Projector);
    projectors.filter_map(|device| Some((device, registry.sites.get(&device.site)?)))
}

/// What a projector is to show from now on.
fn spans(live: &[Message], device: &Device, site: &Site, now: DateTime<Utc>) -> Vec<Span> {
    let meant: Vec<_> = live.iter().filter(|message| message.target.means(device, site)).collect();
    let mut spans = timeline(&meant, site, now, now + AHEAD);
    spans.retain(|span| span.end > now.timestamp_millis());
    spans
}
