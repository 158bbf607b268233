//! How the writer stores publishes: many in one transaction, each answered once the disk has it.
//!
//! In a file the disk takes one transaction while the next is judged. So a commit leaves its answers to [`super::flush`],
//! and the next one waits for these: no more than one is ever under way.

use std::collections::BTreeMap;

use super::StoreError;
use super::announce::Announce;
use super::flush::{Durability, Flush};
use super::intake::{Committed, Intake};
use super::lanes::lane;
use super::leases;
use super::queue::{Asked, Batch};
use super::tally::Tally;
use super::writer::Writer;
use crate::domain::inbound::{Inbound, What};

/// What is committed, and may not be on the disk yet.
struct Stored {
    batch: Batch,
    committed: Vec<Committed>,
    tally: Tally,
    /// The ledger's last row.
    last: i64,
}

impl Stored {
    /// Answers those who wait.
    fn tell(self, announce: &Announce, durable: bool) {
        if !durable {
            return refuse(self.batch);
        }
        announce.tell(self.last);
        self.tally.publish_metrics(self.batch.len());
        self.batch.into_iter().zip(self.committed).for_each(|((_, asked), committed)| asked.answer(Ok(committed)));
    }
}

/// Nobody is told that anything was stored.
fn refuse(batch: Batch) {
    batch.into_iter().for_each(|(_, asked)| asked.answer(Err(StoreError::Closed)));
}

impl Writer {
    /// Stores publishes, in one transaction or, where several backends share the store, in one for each lane.
    pub(super) fn store_each(&mut self, batch: Batch) {
        if !self.place.shared {
            return self.store(None, batch);
        }
        let (mut waiting, mut wait) = (batch, false);
        while !waiting.is_empty() {
            let registry = self.registry.load_full();
            let mut lanes: BTreeMap<u8, Vec<_>> = BTreeMap::new();
            for (inbound, asked) in std::mem::take(&mut waiting) {
                lanes.entry(lane(&inbound, &registry)).or_default().push((inbound, asked));
            }
            for (lane, batch) in lanes {
                match self.enter(lane, wait, registry.revision) {
                    Ok(true) => self.store(Some(lane), batch),
                    Ok(false) => waiting.extend(batch),
                    Err(error) => {
                        self.failed(&error);
                        refuse(batch);
                    }
                }
            }
            // The lanes that are free come first; the others are waited for when there is nothing else to do.
            wait = true;
        }
    }

    /// Begins the transaction of a lane. `false`: another backend is in it, or changed the registry, by which a publish
    /// belongs to a lane.
    fn enter(&mut self, lane: u8, wait: bool, revision: i64) -> Result<bool, StoreError> {
        let entered = (|| {
            self.mend()?;
            let Some(session) = self.connection.postgres() else { return Err(StoreError::NotShareable) };
            if !session.begin_in(lane, wait)? {
                return Ok(false);
            }
            self.reload_registry()?;
            let entered = self.registry.load().revision == revision;
            if !entered {
                self.connection.rollback()?;
            }
            Ok(entered)
        })();
        if entered.is_ok() { entered } else { self.finish(entered) }
    }

    /// Stores publishes in one transaction, which is begun already where it is that of a lane.
    fn store(&mut self, lane: Option<u8>, mut batch: Batch) {
        let outcome: Result<_, StoreError> = (|| {
            if lane.is_none() {
                self.begin(Durability::Flushed)?;
            }
            self.leave_states_to_others(&mut batch)?;
            let registry = self.registry.load_full();
            let (connection, memory) = (&self.connection, &mut self.memory);
            let mut intake = Intake::begin(connection, &registry, &mut self.rollups, memory, self.quarantine_cap)?;
            intake.foresee(batch.iter().map(|(inbound, _)| inbound))?;
            let take_in = |(inbound, _): &mut (Inbound, Asked)| intake.take_in(inbound.take());
            let committed = batch.iter_mut().map(take_in).collect::<Result<Vec<_>, StoreError>>()?;
            let tally = intake.finish()?;
            let last = self.last_row()?;
            self.settle()?;
            self.connection.commit()?;
            Ok((committed, tally, last))
        })();
        match self.finish(outcome) {
            Ok((committed, tally, last)) => {
                let (stored, announce) = (Stored { batch, committed, tally, last }, self.announce.clone());
                match &mut self.flush {
                    Some(flush) => flush.begin(move |durable| stored.tell(&announce, durable)),
                    None => {
                        self.works();
                        stored.tell(&announce, true);
                    }
                }
            }
            Err(error) => {
                self.failed(&error);
                refuse(batch);
            }
        }
    }

    /// A state that is to be stored when another backend receives them is left to that one, which has it from the broker
    /// too, and may have stored a later one.
    fn leave_states_to_others(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let Announce::Cluster(cluster) = &self.announce else { return Ok(()) };
        let inbounds = batch.iter_mut().map(|(inbound, _)| inbound);
        let mut states = inbounds.filter(|inbound| matches!(inbound.what, What::State { .. })).peekable();
        if states.peek().is_some() && !cluster.turn(leases::Job::States).holds(&self.connection)? {
            states.for_each(|inbound| inbound.what = What::Nothing);
        }
        Ok(())
    }

    /// Waits until it is known whether the disk has what was committed last; those who wait for that are answered by then.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        match self.flush.as_mut().and_then(Flush::end) {
            None => Ok(()),
            Some(Ok(())) => {
                self.works();
                Ok(())
            }
            Some(Err(error)) => {
                let error = StoreError::from(error);
                self.failed(&error);
                Err(error)
            }
        }
    }

    fn failed(&mut self, error: &StoreError) {
        metrics::counter!("fenlei_store_failures_total").increment(1);
        self.fails(error);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use fenlei_wire::vocabulary::DeviceKind;
    use tokio::sync::{oneshot, watch};

    use super::super::announce::Health;
    use super::super::place::Place;
    use super::super::queue::{Job, Work, WriterHandle};
    use super::super::registry::{self, DeviceFields, SiteFields};
    use super::super::sql::Connection;
    use super::super::{connection, ledger};
    use super::*;
    use crate::domain::card::CardKey;
    use crate::domain::registry::{Organization, OrganizationKind};
    use crate::domain::zone::{DEFAULT_ZONE, rfc3339};

    const EVENTS: u64 = 20;
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Whether a flush succeeds; `None`: it takes its time.
    #[derive(Default)]
    struct Disk(Mutex<Option<bool>>, Condvar);

    impl Disk {
        fn flush(&self) -> io::Result<()> {
            let known = self.1.wait_while(self.0.lock().unwrap(), |flushes| flushes.is_none()).unwrap();
            if *known == Some(true) { Ok(()) } else { Err(io::Error::other("broken")) }
        }

        fn flushes(&self, so: bool) {
            *self.0.lock().unwrap() = Some(so);
            self.1.notify_all();
        }
    }

    struct OnDisk {
        _folder: tempfile::TempDir,
        file: PathBuf,
        disk: Arc<Disk>,
        writer: WriterHandle,
        committed: watch::Receiver<i64>,
    }

    impl OnDisk {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("fenlei.db");
            let place = Place { url: file.clone().into(), cache_mib: 8, shared: false };
            let connection = place.open().unwrap();
            register(&connection);
            let registry = Arc::new(ArcSwap::from_pointee(registry::load(&connection).unwrap()));
            let (announce, committed) = watch::channel(0);
            let mut writer = Writer::new(connection, place, registry, Announce::Here(announce), 1_000).unwrap();
            let disk = Arc::new(Disk::default());
            let flushed = Arc::clone(&disk);
            writer.flush = Some(Flush::by(folder.path().join("fenlei.db-wal"), move || flushed.flush()).unwrap());
            Self { _folder: folder, file, disk, writer: writer.start().unwrap(), committed }
        }

        /// Whether the log is being moved into the file.
        async fn is_moving(&self) -> bool {
            let (tell, told) = oneshot::channel();
            let look: Work = Box::new(move |writer| tell.send(writer.is_moving_the_log()).unwrap());
            self.writer.jobs.send(Job::Work(look)).await.unwrap();
            told.await.unwrap()
        }

        async fn other_work(&self) -> Result<i64, StoreError> {
            self.writer.write(|session| Ok(session.registry.revision)).await
        }
    }

    /// A site with one bin.
    fn register(connection: &Connection) {
        let id = "north";
        let committee = Organization { id: id.into(), name: id.into(), kind: OrganizationKind::Committee };
        registry::put_organization(connection, &committee).unwrap();
        registry::put_community(connection, id, id, id, DEFAULT_ZONE).unwrap();
        let (zone, latitude, longitude) = (DEFAULT_ZONE, None, None);
        let site = SiteFields { id, community: id, name: id, zone, latitude, longitude };
        registry::put_site(connection, &registry::load(connection).unwrap(), &site).unwrap();
        let (kind, name, streams, password) = (DeviceKind::Bin, None, None, "no login");
        let bin = DeviceFields { id: "bin", site: id, kind, name, streams, password };
        registry::put_device(connection, &registry::load(connection).unwrap(), &bin).unwrap();
    }

    fn rows(file: &Path) -> i64 {
        ledger::last_row(&connection::open_reader(file.to_owned()).unwrap()).unwrap()
    }

    fn events() -> Vec<Inbound> {
        let received = 1_790_000_000_000;
        let time = rfc3339(received);
        let read = |seq| {
            let event = format!(r#"{{"boot":1,"seq":{seq},"time":"{time}","type":"heartbeat"}}"#);
            Inbound::read("fenlei/v1/north/bin/bin/event", event.as_bytes(), received, &CardKey::new([7; 32]))
        };
        (1..=EVENTS).map(read).collect()
    }

    #[tokio::test]
    async fn nobody_is_told_of_what_the_disk_does_not_have_yet() {
        let store = OnDisk::new();
        let mut first = store.writer.submit_all(events()).await.unwrap();
        while rows(&store.file) < 20 {
            tokio::task::yield_now().await;
        }
        assert!(first.try_recv().is_err(), "it is committed, and not flushed");
        assert_eq!(*store.committed.borrow(), 0);
        store.disk.flushes(true);
        assert_eq!(first.await.unwrap().unwrap().len(), 20);
        assert_eq!(*store.committed.borrow(), 20);
    }

    #[tokio::test]
    async fn what_could_not_be_flushed_is_not_stored_until_it_is() {
        let store = OnDisk::new();
        store.disk.flushes(false);
        let first = store.writer.submit_all(events()).await.unwrap();
        assert!(first.await.unwrap().is_err());
        // What SQLite would flush by itself does not go before either: at first because of what has just failed, then
        // because it fails again.
        assert!(store.other_work().await.is_err());
        assert!(store.other_work().await.is_err());
        assert!(store.writer.scrub().await.is_err());
        assert_eq!(store.writer.health(), Health::Failing("the disk refuses to read or write".into()));
        assert_eq!(*store.committed.borrow(), 0);

        // The same again, as a device does that was not answered.
        store.disk.flushes(true);
        let again = store.writer.submit_all(events()).await.unwrap();
        assert_eq!(again.await.unwrap().unwrap().len(), 20);
        assert_eq!((*store.committed.borrow(), rows(&store.file)), (20, 20), "each once");
        store.other_work().await.unwrap();
    }

    #[tokio::test]
    async fn a_log_that_the_disk_may_lack_is_not_moved_into_the_file() {
        let store = OnDisk::new();
        store.disk.flushes(false);
        assert!(store.writer.submit_all(events()).await.unwrap().await.unwrap().is_err());
        // As much as is moved at the next opportunity.
        let beside = connection::open_writer(&store.file, 1).unwrap();
        beside.sqlite().unwrap().pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        beside.execute("INSERT INTO meta VALUES ('long', hex(zeroblob(40 << 20)))", []).unwrap();
        let to_move = || -> i64 {
            let mut pages = beside.prepare_cached("PRAGMA wal_checkpoint(NOOP)").unwrap();
            pages.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?)).unwrap()
        };
        let left = to_move();
        for _ in 0..3 {
            assert!(store.other_work().await.is_err());
            assert!(!store.is_moving().await);
        }
        assert_eq!(to_move(), left);
        store.disk.flushes(true);
        let moved = async {
            while to_move() > 0 {
                let _ = store.other_work().await;
            }
        };
        tokio::time::timeout(PATIENCE, moved).await.expect("it is moved once the disk has it");
    }
}
