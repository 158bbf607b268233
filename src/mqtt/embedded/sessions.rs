//! The sessions of all devices, which of their connections holds each, and what is retained for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use fenlei_wire::topic::Topic;
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};

use super::messages::Outbound;
use super::session::Session;

/// Why a connection is to end, where it is not by its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The device has connected anew.
    TakenOver,
    /// It may no longer be connected as it is.
    ByOrder,
    /// The broker stops.
    Stopping,
}

#[derive(Default)]
pub(super) struct Sessions {
    devices: Mutex<HashMap<String, Arc<Device>>>,
    retained: Mutex<HashMap<Arc<str>, Outbound>>,
}

/// A device's session, and the connection that it is used by.
#[derive(Default)]
pub(super) struct Device {
    session: Mutex<Session>,
    /// Told when there is something for it.
    pub(super) wake: Notify,
    /// Held by one connection, to its very end: its will included.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// The newest connection, which waits for its turn or has it.
    newest: Mutex<Option<oneshot::Sender<Ending>>>,
    /// Its number.
    number: AtomicU64,
    /// Told when there is another.
    anew: Notify,
}

/// A connection's claim on its device's session.
pub(super) struct Claim {
    pub(super) tenure: Tenure,
    pub(super) ending: oneshot::Receiver<Ending>,
}

/// The time until the device connects anew.
#[derive(Clone)]
pub(super) struct Tenure {
    pub(super) device: Arc<Device>,
    number: u64,
}

impl Sessions {
    /// Has the device's other connections end.
    pub(super) fn claim(&self, id: &str) -> Claim {
        let device = Arc::clone(lock(&self.devices).entry(id.to_owned()).or_default());
        let (sender, ending) = oneshot::channel();
        let mut newest = lock(&device.newest);
        let number = device.number.fetch_add(1, Ordering::Relaxed) + 1;
        end(newest.replace(sender), Ending::TakenOver);
        drop(newest);
        device.anew.notify_waiters();
        Claim { tenure: Tenure { device, number }, ending }
    }

    /// Ends a device's connection, if it has one.
    pub(super) fn end(&self, id: &str, ending: Ending) {
        if let Some(device) = lock(&self.devices).get(id) {
            end(lock(&device.newest).take(), ending);
        }
    }

    /// And those of all.
    pub(super) fn end_all(&self, ending: Ending) {
        lock(&self.devices).values().for_each(|device| end(lock(&device.newest).take(), ending));
    }

    /// Has it be sent to the device that its topic names, and kept for it.
    pub(super) fn publish(&self, message: Outbound) {
        if message.retain {
            let mut retained = lock(&self.retained);
            if message.payload.is_empty() {
                retained.remove(&message.topic);
            } else {
                retained.insert(Arc::clone(&message.topic), message.clone());
            }
        }
        let id = Topic::parse(&message.topic).map(|topic| topic.device);
        let device = id.and_then(|id| lock(&self.devices).get(id).cloned());
        if let (Some(device), Some(id)) = (device, id) {
            let dropped = device.session().offer(&message);
            tell_dropped(id, dropped);
            device.wake.notify_one();
        }
    }

    /// Has what is retained under a filter be sent to the device that just subscribed by it.
    pub(super) fn tell_retained(&self, id: &str, device: &Device, filter: &str) {
        // Whoever publishes a newer one meanwhile waits, so that it comes after.
        let mut session = device.session();
        // What is shared has a filter that is no topic, and nothing retained.
        let retained = lock(&self.retained).get(filter).cloned();
        let dropped = retained.is_some_and(|message| session.offer_retained(filter, &message));
        drop(session);
        tell_dropped(id, dropped);
    }

    /// Forgets the sessions that are over.
    pub(super) fn sweep(&self, now: Instant) {
        // Whoever connects or publishes holds the device beside this map.
        lock(&self.devices)
            .retain(|_, device| Arc::strong_count(device) > 1 || device.session().over.is_some_and(|over| now < over));
    }
}

impl Device {
    /// Comes back when no connection has it.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    pub(super) fn session(&self) -> MutexGuard<'_, Session> {
        lock(&self.session)
    }
}

impl Claim {
    /// Comes back when the device's other connections have ended; `None` if this one is to end before.
    pub(super) async fn turn(&mut self) -> Option<OwnedMutexGuard<()>> {
        tokio::select! {
            turn = self.tenure.device.turn() => Some(turn),
            _ = &mut self.ending => None,
        }
    }
}

impl Tenure {
    /// Comes back when it is over.
    pub(super) async fn over(&self) {
        let anew = self.device.anew.notified();
        if !self.is_over() {
            anew.await;
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.device.number.load(Ordering::Relaxed) != self.number
    }
}

fn tell_dropped(id: &str, dropped: bool) {
    if dropped {
        tracing::warn!(device = id, "too much waits for a device: what more comes for it is dropped");
    }
}

fn end(connection: Option<oneshot::Sender<Ending>>, ending: Ending) {
    // One that has ended by itself hears it no more.
    let _ = connection.map(|connection| connection.send(ending));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;
    use mqtt5_protocol::packet::subscribe_options::SubscriptionOptions;

    use super::*;

    const TOPIC: &str = "fenlei/v1/north/bin/one/config";

    fn config(payload: &'static str) -> Outbound {
        Outbound { topic: TOPIC.into(), payload: Bytes::from(payload), retain: true, until: None }
    }

    #[test]
    fn the_newest_connection_has_the_session_when_the_one_before_is_done() {
        let sessions = Sessions::default();
        let mut first = sessions.claim("one");
        let turn = first.turn().now_or_never().flatten().unwrap();
        let (mut second, other) = (sessions.claim("one"), sessions.claim("two"));
        assert_eq!(first.ending.try_recv(), Ok(Ending::TakenOver));
        assert!(first.tenure.is_over() && !second.tenure.is_over() && !other.tenure.is_over());
        assert!(second.turn().now_or_never().is_none(), "the first one is not done");
        let superseded = second.tenure.clone();
        let mut third = sessions.claim("one");
        assert!(superseded.over().now_or_never().is_some() && third.tenure.over().now_or_never().is_none());
        assert!(matches!(second.turn().now_or_never(), Some(None)), "it waits no more");
        drop(turn);
        let _turn = third.turn().now_or_never().flatten().unwrap();
        sessions.end("one", Ending::ByOrder);
        assert_eq!(third.ending.try_recv(), Ok(Ending::ByOrder));
    }

    #[test]
    fn what_is_retained_is_the_newest_and_can_be_cleared() {
        let sessions = Sessions::default();
        let told = || {
            let claim = sessions.claim("one");
            claim.tenure.device.session().begin(true, Instant::now());
            claim.tenure.device.session().subscribe(TOPIC, SubscriptionOptions::default(), None, 1).unwrap();
            sessions.tell_retained("one", &claim.tenure.device, TOPIC);
            claim.tenure.device.session().next(1, Instant::now()).map(|delivery| delivery.payload)
        };
        assert_eq!(told(), None);
        for payload in ["old", "new"] {
            sessions.publish(config(payload));
        }
        assert_eq!(told(), Some(Bytes::from("new")));
        sessions.publish(config(""));
        assert_eq!(told(), None);
    }

    #[test]
    fn a_session_is_forgotten_when_it_is_over() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let second = std::time::Duration::from_secs(1);
        let claim = sessions.claim("one");
        claim.tenure.device.session().begin(false, now);
        claim.tenure.device.session().subscribe(TOPIC, SubscriptionOptions::default(), None, 1).unwrap();
        sessions.sweep(now);
        assert_eq!(sessions.devices.lock().unwrap().len(), 1, "it is connected");
        claim.tenure.device.session().end(second, now);
        drop(claim);
        sessions.sweep(now);
        sessions.publish(config("new"));
        let again = sessions.claim("one");
        assert!(again.tenure.device.session().begin(false, now));
        assert!(again.tenure.device.session().next(1, now).is_some());
        again.tenure.device.session().end(second, now);
        drop(again);
        sessions.sweep(now + second);
        assert!(sessions.devices.lock().unwrap().is_empty());
    }
}
