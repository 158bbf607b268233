//! A write-ahead log whose end is not what was written, as a power cut leaves it where the disk lied about a flush.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fastrand::Rng;
use fenlei::store::events::{Filter, list};
use fenlei::store::sql::Connection;

use crate::crash::{Run, check, say};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::{Load, Told};
use crate::support::place::Place;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Torn copies that are looked at for each kill that is asked for.
const TEARS: u32 = 2;

#[derive(Clone, Copy, Debug)]
enum Tear {
    /// It ends here.
    Cut,
    /// From here on nothing was written, but the file is as long.
    Zeros,
    /// From here on stands something else.
    Garbage,
    /// One byte is another, and what comes after it is as it was.
    Byte,
}

const ALL: [Tear; 4] = [Tear::Cut, Tear::Zeros, Tear::Garbage, Tear::Byte];

impl Tear {
    fn apply(self, log: &mut Vec<u8>, at: usize, random: &mut Rng) {
        match self {
            Self::Cut => log.truncate(at),
            Self::Zeros => log[at..].fill(0),
            Self::Garbage => random.fill(&mut log[at..]),
            Self::Byte => log[at] ^= random.u8(1..),
        }
    }
}

/// Where a log can be cut without tearing anything: after its header, and after each commit.
fn whole(log: &[u8]) -> Vec<usize> {
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
    let frame = FRAME_HEADER + number(8);
    // Frames of an earlier round of the log have other salts.
    let is_of_this_round = |at: &usize| log[at + 8..at + 16] == log[16..24];
    let frames = (HEADER..).step_by(frame).take_while(|at| at + frame <= log.len()).take_while(is_of_this_round);
    let commits = frames.filter(|at| number(at + 4) > 0).map(|at| at + frame);
    std::iter::once(HEADER).chain(commits).collect()
}

/// A copy of a store whose log is this.
fn copy(from: &Path, log: &[u8]) -> Place {
    let place = Place::in_a_file();
    std::fs::copy(from, place.file()).unwrap();
    std::fs::write(log_of(&place.file()), log).unwrap();
    place
}

fn log_of(file: &Path) -> PathBuf {
    file.with_extension("db-wal")
}

/// Every row, as a text.
fn ledger(store: &Connection) -> Vec<String> {
    let listed = list(store, &Filter { limit: 10_000_000, ..Filter::default() }).unwrap();
    listed.iter().map(|event| format!("{event:?}")).collect()
}

/// A backend that was killed in the middle of its work, beside devices that go on.
async fn killed(seed: u64) -> (Folder, Backend, Load) {
    let folder = Folder::at(Place::in_a_file());
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let load = Load::start(&credentials, backend.mqtt, seed);
    for _ in 0..12 {
        load.flows().await;
    }
    assert!(backend.kill());
    (folder, backend, load)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_before_the_tear_is_there_whole() {
    let mut run = Run::begin("torn log");
    let (folder, _backend, _load) = killed(run.seed).await;
    let (file, log) = (folder.path("fenlei.db"), std::fs::read(log_of(&folder.path("fenlei.db"))).unwrap());
    let commits = whole(&log);
    assert!(commits.len() > 10, "there is something to tear: {} commits", commits.len());
    for round in 0..run.faults * TEARS {
        let tear = ALL[round as usize % ALL.len()];
        let at = run.random.usize(HEADER..log.len());
        let mut torn = log.clone();
        tear.apply(&mut torn, at, &mut run.random);
        let last = *commits.iter().rev().find(|commit| **commit <= at).unwrap();
        let expected = ledger(&fenlei::store::open_beside(copy(&file, &log[..last]).url()).unwrap());
        let place = copy(&file, &torn);
        let store = fenlei::store::open_beside(place.url()).unwrap();
        assert_eq!(ledger(&store), expected, "{tear:?} at {at}, after the commit that ends at {last}");
        check::integrity(&store);
    }
    run.end(commits.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disk_lied_about_shows_as_gaps_and_all_else_comes_again() {
    let mut run = Run::begin("torn log, devices go on");
    let (folder, mut backend, load) = killed(run.seed).await;
    let log = log_of(&folder.path("fenlei.db"));
    let mut bytes = std::fs::read(&log).unwrap();
    let commits = whole(&bytes);
    // Receipted long ago, all of it but the last.
    let at = commits[commits.len() - 8] + run.random.usize(1..1_000);
    Tear::Garbage.apply(&mut bytes, at, &mut run.random);
    std::fs::write(&log, &bytes).unwrap();
    backend.start_again();
    backend.ready().await;
    for _ in 0..3 {
        load.flows().await;
    }
    let told = load.finish().await;
    assert!(backend.kill());
    let store = folder.store();
    check::integrity(&store);
    assert!(folder.done(&["recount"]).len() > 1);
    let lost = missing(&store, &told);
    let count: usize = lost.values().map(BTreeSet::len).sum();
    assert!(count > 0, "what was torn away had been receipted");
    assert_eq!(lost, gaps(&store), "every event that is not there is told as a gap of its device");
    say(&format!("torn log: {count} events that were receipted are told as gaps"));
    run.end(ledger(&store).len());
}

/// What each device took in and the ledger has not. What it has it has once.
fn missing(store: &Connection, told: &Told) -> BTreeMap<String, BTreeSet<u64>> {
    let taken_in = |events: usize| (1..=events as u64).collect::<BTreeSet<_>>();
    let mut missing: BTreeMap<_, _> =
        told.iter().map(|(device, events)| ((*device).to_owned(), taken_in(events.lock().unwrap().len()))).collect();
    for stored in list(store, &Filter { limit: 10_000_000, ..Filter::default() }).unwrap() {
        let seqs = missing.get_mut(&stored.device).unwrap();
        assert!(
            seqs.remove(&stored.event.seq),
            "{} of {} was never sent, or is there twice",
            stored.event.seq,
            stored.device
        );
    }
    missing.retain(|_, seqs| !seqs.is_empty());
    missing
}

fn gaps(store: &Connection) -> BTreeMap<String, BTreeSet<u64>> {
    let mut gaps = BTreeMap::<String, BTreeSet<u64>>::new();
    let mut select = store.prepare("SELECT b.device, g.first, g.last FROM gap g JOIN boot b ON b.id = g.boot").unwrap();
    let found = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))).unwrap();
    for (device, first, last) in found.map(Result::unwrap) {
        let device: String = device;
        gaps.entry(device).or_default().extend((first..=last).map(|seq| seq as u64));
    }
    gaps
}
