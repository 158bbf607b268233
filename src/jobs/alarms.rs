//! Keeps what devices measure of themselves, and raises alarms by what they say, as the ledger has it, and by what they
//! do not say, as time tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fenlei_wire::vocabulary::{EventType, Timing};
use tokio_util::sync::CancellationToken;

use super::every;
use super::follow::Follower;
use crate::clock::{SharedClock, Watch};
use crate::domain::alarms::{Kind, of_device, of_fill, of_sighting};
use crate::domain::event::Body;
use crate::mqtt::Publisher;
use crate::store::events::Listed;
use crate::store::writer::Session;
use crate::store::{Store, StoreError, alarm_causes, alarm_notices, alarms, habits, vitals};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What devices say.
pub(super) const SAID: Follower = Follower {
    name: "alarms",
    types: &[EventType::Alarm, EventType::Fill, EventType::Emptied, EventType::Sighting, EventType::Heartbeat],
    apply: hear,
};

fn hear(session: &mut Session<'_>, found: &[Listed]) -> Result<(), StoreError> {
    // Here, and not as a job of its own: both want the same events, and each job's transactions cost the others.
    vitals::hear(session.connection, &session.registry, found)?;
    for listed in found {
        let Some((device, site, _)) = session.registry.place(&listed.device) else { continue };
        let time = listed.event.time;
        let cause = match &listed.event.body {
            Body::Alarm(alarm) => Some(of_device(alarm.alarm, alarm.active)),
            Body::Fill(fill) => of_fill(fill.percent),
            Body::Sighting(sighting) => {
                let streams = fenlei_wire::vocabulary::Stream::ALL.iter();
                let mut timings = streams.map(|stream| site.timetable.classify(time, *stream).timing);
                let open = timings.any(|timing| timing != Timing::OffHours);
                of_sighting(sighting.what, sighting.confidence, open)
            }
            Body::Heartbeat(_) => {
                habits::heard(session.connection, device.key, time)?;
                None
            }
            _ => None,
        };
        if let Some(cause) = cause {
            alarms::note(session.connection, (site.key, Some(device.key)), cause, time)?;
        }
    }
    Ok(())
}

/// What nobody says. While no broker is reached nobody is missed.
pub(super) async fn look(store: Store, publisher: Publisher, clock: SharedClock, stop: CancellationToken) {
    let mut connection = publisher.connection();
    let (mut listening, mut watch) = (None, None);
    // After a start too: the clock may have been set meanwhile.
    let unsettled = Arc::new(AtomicBool::new(true));
    let looking = every(LOOK_EVERY, &stop, "missed", || {
        let now = clock.now().timestamp_millis();
        if watch.get_or_insert_with(|| Watch::begin(&*clock)).leapt(&*clock).is_some() {
            // Whoever was heard a moment ago by the clock before is not to be missed by this one.
            listening = None;
            unsettled.store(true, Ordering::Relaxed);
        }
        listening = connection.number().map(|_| listening.unwrap_or(now));
        let (store, listening, unsettled) = (store.clone(), listening, Arc::clone(&unsettled));
        async move {
            let settling = unsettled.load(Ordering::Relaxed);
            let counted = store.write(move |session| {
                if settling {
                    alarms::set_right(session.connection, now)?;
                }
                alarm_causes::look(session.connection, &session.registry, listening, now)?;
                Ok::<_, StoreError>((alarms::open(session.connection)?, alarm_notices::count(session.connection)?))
            });
            let (open, waiting) = counted.await?;
            if settling {
                unsettled.store(false, Ordering::Relaxed);
            }
            for kind in Kind::ALL {
                let count = open.iter().find(|(of, _)| *of == kind).map_or(0, |(_, count)| *count);
                let labels = [("kind", kind.as_str())];
                metrics::gauge!("fenlei_alarms_open", &labels).set(approximate(count));
            }
            metrics::gauge!("fenlei_alarm_notices_waiting").set(approximate(waiting));
            Ok(())
        }
    });
    looking.await;
}

#[expect(clippy::cast_precision_loss, reason = "counts of alarms stay far below 2^53")]
fn approximate(count: i64) -> f64 {
    count as f64
}
