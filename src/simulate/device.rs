//! A simulated device: the driver that `fenlei_logic::Session` asks for, with rumqttc as its line and memory as its flash.
//!
//! Whatever the session accepts is delivered, however often the line breaks, as long as the device runs. It takes no more
//! than its queue holds, so a history of any length flows through as receipts make room.

use std::collections::VecDeque;
use std::time::Duration;

use fenlei_logic::role::{Report, Role};
use fenlei_logic::{Action, Input, Millis, RamQueue, Session};
use fenlei_wire::command::Command;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::Channel;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fleet::{Broker, Counts, Credential};
use super::link::{Heard, Link};
use super::occurrence::{OFFSET_MINUTES, Occurrence, What};
use crate::clock::SharedClock;

/// What a device holds until it is receipted.
type Memory = RamQueue<2_048, { 384 * 1024 }>;
/// Largest publish: some 400 events, and far below what any broker takes.
const SCRATCH: usize = 64 * 1024;
/// Occurrences taken at once: enough to fill a publish.
const CHUNK: usize = 500;
/// How long a device that stops waits for the broker.
const LEAVING: Duration = Duration::from_secs(3);

/// A device before it runs.
pub(super) struct Device {
    pub(super) broker: Broker,
    pub(super) credential: Credential,
    pub(super) boot: u32,
    pub(super) seed: u64,
    pub(super) clock: SharedClock,
    pub(super) counts: watch::Sender<Counts>,
    pub(super) stop: CancellationToken,
}

impl Device {
    /// Lives through `occurrences`, and stops in order once they are over and receipted, or when told to.
    pub(super) async fn run(self, occurrences: BoxStream<'static, Occurrence>) {
        let mut memory = Box::new(Memory::new());
        let firmware = env!("CARGO_PKG_VERSION").try_into().unwrap_or_default();
        let session = Session::new(self.boot, &mut *memory, self.seed).with_firmware(firmware);
        let stop = self.stop.clone();
        let mut driver = Driver {
            role: Role::new(self.credential.kind),
            device: self,
            session,
            scratch: vec![0; SCRATCH],
            begun: Instant::now(),
            due: VecDeque::new(),
            link: None,
            ready: false,
            locked_since: None,
        };
        let mut occurrences = occurrences.ready_chunks(CHUNK).fuse();
        loop {
            let change = driver.keep();
            driver.accept();
            let wake = [driver.act(), change].into_iter().flatten().min();
            if occurrences.is_done() && driver.due.is_empty() && driver.session.waiting() == 0 {
                break;
            }
            let hear = async {
                match &mut driver.link {
                    Some(link) => link.hear().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                heard = hear => driver.heard(heard),
                chunk = occurrences.next(), if driver.due.is_empty() && !occurrences.is_done() => {
                    driver.due.extend(chunk.into_iter().flatten());
                }
                () = sleep_until(wake) => {}
            }
        }
        driver.leave().await;
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

struct Driver<'q> {
    device: Device,
    session: Session<&'q mut Memory>,
    scratch: Vec<u8>,
    begun: Instant,
    /// What has happened and found no room in the queue yet.
    due: VecDeque<Occurrence>,
    link: Option<Link>,
    ready: bool,
    role: Role,
    /// Since when a bin's lid is locked; absent while it is not.
    locked_since: Option<UnixMillis>,
}

impl Driver<'_> {
    /// Takes into the queue what it has room for.
    fn accept(&mut self) {
        let mut accepted = 0;
        while let Some(Occurrence { time, what }) = self.due.front() {
            let refused = matches!(what, What::Deposit { .. }) && self.locked_since.is_some_and(|since| since <= *time);
            if !refused {
                if self.session.accept(what.body(), *time, OFFSET_MINUTES, false).is_err() {
                    break;
                }
                accepted += 1;
            }
            self.due.pop_front();
        }
        if accepted > 0 {
            self.device.counts.send_modify(|counts| counts.accepted += accepted);
        }
    }

    /// Does what the session asks for, until it has nothing more; says when to ask again.
    fn act(&mut self) -> Option<Instant> {
        let now = self.now();
        self.session.on(Input::Clock(now));
        loop {
            let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match self.session.poll(Millis(since), &mut self.scratch) {
                Action::Connect => {
                    let Device { broker, credential, .. } = &self.device;
                    self.link = Some(Link::open(broker, credential, &self.session.will()));
                }
                Action::Publish { channel, retained, payload } => {
                    let topic = self.device.credential.topic(channel);
                    let sent = self.link.as_mut().map(|link| link.publish(topic, retained, payload));
                    if let Some(Err(broken)) = sent {
                        self.heard(Heard::Broken(broken));
                    }
                }
                // Memory is all the storage a simulated device has: it keeps the session itself.
                Action::Command(command) => self.obey(&command),
                Action::Configured => self.role.reconfigured(),
                Action::Wait { until } => return Some(self.begun + Duration::from_millis(until.0)),
                Action::Idle => return None,
            }
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Ready => {
                self.set_ready(true);
                self.session.on(Input::Connected);
            }
            Heard::Acked => self.session.on(Input::PublishAcked),
            Heard::Message(channel, payload) => {
                let waiting = self.session.waiting();
                self.session.on(Input::Received { channel, payload: &payload });
                let receipted = (waiting - self.session.waiting()) as u64;
                if receipted > 0 {
                    self.device.counts.send_modify(|counts| counts.receipted += receipted);
                }
            }
            Heard::Other => {}
            Heard::Broken(broken) => {
                tracing::debug!(device = %self.device.credential.device, error = %broken, "a simulated device lost its connection");
                self.set_ready(false);
                self.link = None;
                self.session.on(Input::Disconnected);
            }
        }
    }

    fn set_ready(&mut self, ready: bool) {
        if std::mem::replace(&mut self.ready, ready) != ready {
            self.device.counts.send_modify(|counts| {
                counts.connected = if ready { counts.connected + 1 } else { counts.connected.saturating_sub(1) };
            });
        }
    }

    /// Carries a command out, if it is one for this kind of device, and says so before anything else.
    fn obey(&mut self, command: &Command) {
        let time = self.now();
        let reports = self.role.obey(command, self.session.config(), Some(time));
        for report in reports.into_iter().rev() {
            self.due.push_front(Occurrence { time, what: What::Reported(report) });
        }
    }

    /// Keeps lid and picture to config, orders and time, and says what changed; says when that may be next.
    fn keep(&mut self) -> Option<Instant> {
        let (now, config) = (self.now(), self.session.config());
        if let Some(report) = self.role.keep(config, Some(now)) {
            if let Report::Door { open, .. } = report {
                self.locked_since = (!open).then_some(now);
            }
            self.due.push_back(Occurrence { time: now, what: What::Reported(report) });
        }
        let change = self.role.next_change(config, now)?;
        let left = u64::try_from(change.0 - now.0).unwrap_or(0);
        Some(Instant::now() + Duration::from_millis(left))
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.device.clock.now().timestamp_millis())
    }

    /// Stops in order: says itself what its will would say.
    async fn leave(mut self) {
        let ready = self.ready;
        self.set_ready(false);
        let Some(mut link) = self.link.take().filter(|_| ready) else { return };
        let topic = self.device.credential.topic(Channel::State);
        if link.publish(topic, true, &self.session.will()).is_ok()
            && tokio::time::timeout(LEAVING, link.close()).await.is_err()
        {
            tracing::debug!(device = %self.device.credential.device, "a simulated device left without an answer");
        }
    }
}
