//! A disk that is full, and one that takes no writes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use fenlei_wire::vocabulary::{Channel, DeviceKind};
use reqwest::{Client, StatusCode};
use rumqttc::v5;
use serde_json::json;

use super::mounted::{Disk, as_root};
use super::told::{all_works, readiness, signed_in, store_fails};
use super::until;
use crate::crash::{check, say};
use crate::mosquitto::Broker;
use crate::mqtt::world::{Device, event};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::{Load, register};
use crate::support::pages::Browser;
use crate::support::place::Place;

/// Far below what a write-ahead log may grow to, and more than a test needs.
const MEBIBYTES: u32 = 96;

/// What holds while nothing can be stored: nothing is receipted, nobody is told otherwise for a moment, and what is asked
/// of it is refused as what it is.
async fn nothing_is_taken(folder: &Folder, backend: &Backend, load: &Load, token: &str) {
    const FAILURES: &str = "fenlei_store_failures_total";
    let (receipted, failures) = (load.receipted(), backend.counter(FAILURES).await);
    until("it is tried again and again", async || {
        assert_eq!(readiness(backend).await.0, StatusCode::SERVICE_UNAVAILABLE, "not for a moment");
        backend.counter(FAILURES).await >= failures + 3.0
    })
    .await;
    assert_eq!(load.receipted(), receipted, "nothing is receipted that is not stored");
    let change = Client::builder().no_proxy().build().unwrap();
    let change = change.put(format!("{}/api/v1/organizations/jwh", backend.base())).bearer_auth(token);
    let refused = change.json(&json!({"name": "居民委员会", "kind": "committee"})).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    let read = backend.get(token, "organizations/jwh").await;
    assert_eq!(read["name"], "居委会", "what is there is read, and nothing of what was refused");
    let add = || folder.fenlei(&["token", "add", "--role", "admin"]).status.code();
    assert_eq!((0..10).map(|_| add()).find(|code| *code != Some(0)), Some(Some(1)), "no room is left for it");
}

/// Nothing was lost, nothing came twice, and it never restarted.
pub(super) async fn nothing_was_lost(folder: &Folder, mut backend: Backend, load: Load, process: u32) {
    load.flows().await;
    let told = load.finish().await;
    assert_eq!(backend.id(), Some(process));
    assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
    let events = check::everything(folder, &told);
    let log = backend.log();
    assert!(!log.contains("panicked"), "{log}");
    assert!(log.matches("nothing is acknowledged").count() <= 1, "the log is not filled too: {log}");
    for said in ["a job failed", "a job that failed works again"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(said)).collect();
        let jobs: BTreeSet<_> = lines.iter().filter_map(|line| line.split("job=").nth(1)?.split(' ').next()).collect();
        assert_eq!(jobs.len(), lines.len(), "each job says it once: {log}");
    }
    say(&format!("disk: {events} events"));
}

async fn full(beside: impl Fn(&Folder) -> Option<Broker>) {
    let Some(disk) = Disk::mount(MEBIBYTES) else { return };
    let folder = Folder::at(Place::on_the_disk_at(disk.path()));
    let credentials = Load::register(&folder);
    let token = folder.done(&["token", "add", "--role", "admin"]);
    let mosquitto = beside(&folder);
    let mut backend = Backend::start(&folder, mosquitto.as_ref().map(Broker::url).as_deref());
    backend.ready().await;
    let mut browser: Browser = signed_in(&folder, &backend).await;
    let devices = mosquitto.as_ref().map_or(backend.mqtt, |broker| broker.devices);
    let (load, process) = (Load::start(&credentials, devices, 3), backend.id().unwrap());
    load.flows().await;
    all_works(&mut backend, &browser).await;
    disk.fill();
    store_fails(&backend, &mut browser, "the disk is full").await;
    nothing_is_taken(&folder, &backend, &load, token.trim()).await;
    let change = Client::builder().no_proxy().build().unwrap();
    let change = change.put(format!("{}/api/v1/organizations/jwh", backend.base())).bearer_auth(token.trim());
    let change = change.json(&json!({"name": "居民委员会", "kind": "committee"}));
    let refused = change.send().await.unwrap().text().await.unwrap();
    assert!(refused.contains("nothing was saved, the disk is full"), "{refused}");
    let (_, said) = folder.refused(&["backup", "copy.db"]);
    assert!(said.contains("cannot write the backup") && said.contains("full"), "{said}");
    let left = std::fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("copy")).collect();
    assert!(left.is_empty(), "nothing of a backup that failed stays on a full disk: {left:?}");
    disk.empty();
    load.flows().await;
    all_works(&mut backend, &browser).await;
    nothing_was_lost(&folder, backend, load, process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_receipts_and_nothing_else_until_there_is_room() {
    full(|_| None).await;
}

/// A device that is not acknowledged connects again and again. What its connections before held is not kept for each of
/// them, nor is their place.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_a_device_that_comes_back_takes_one_place() {
    const PLACES: usize = 3;
    let Some(disk) = Disk::mount(MEBIBYTES) else { return };
    let folder = Folder::at(Place::on_the_disk_at(disk.path()));
    let [bin] = register(&folder, [("one", DeviceKind::Bin)]).try_into().unwrap();
    let settings = vec![("FENLEI__MQTT__CONNECTIONS_PER_ADDRESS", PLACES.to_string())];
    let mut backend = Backend::start_with(&folder, None, settings);
    backend.ready().await;
    disk.fill();
    let connect = async || {
        let mut options = v5::MqttOptions::new(&bin.device, "127.0.0.1", backend.mqtt);
        options.set_credentials(&bin.device, &bin.secret);
        Device::connect(options).await
    };
    for seq in 1..=3 * PLACES as u64 {
        let mut device = connect().await.unwrap_or_else(|error| panic!("connection {seq}: {error}"));
        // Nobody acknowledges this, however long it is waited for.
        let topic = bin.topic(Channel::Event);
        let publish = device.publish(&topic, false, event(1, seq).to_string());
        assert!(tokio::time::timeout(Duration::from_millis(700), publish).await.is_err());
    }
    disk.empty();
    let mut device = connect().await.unwrap();
    assert!(device.publish(&bin.topic(Channel::Event), false, event(1, 1).to_string()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_mosquitto_a_full_disk_stops_receipts_too() {
    full(|folder| Some(Broker::start(folder))).await;
}

/// The store's file and what lies beside it cannot be written any more, as on a disk that was remounted after an error.
struct Frozen(Vec<PathBuf>);

impl Frozen {
    /// `None`: the file system does not know how.
    fn freeze(folder: &Folder) -> Option<Self> {
        let files: Vec<_> = ["fenlei.db", "fenlei.db-wal"].map(|name| folder.path(name)).into();
        let frozen = Self(files);
        frozen.change("+i").then_some(frozen)
    }

    fn change(&self, attribute: &str) -> bool {
        self.0.iter().all(|file| as_root("chattr", &[attribute, file.to_str().unwrap()]))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.change("-i");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_becomes_read_only_is_told_and_used_again_once_it_is_not() {
    let folder = Folder::at(Place::in_a_file());
    let credentials = Load::register(&folder);
    let token = folder.done(&["token", "add", "--role", "admin"]);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let mut browser = signed_in(&folder, &backend).await;
    let (load, process) = (Load::start(&credentials, backend.mqtt, 4), backend.id().unwrap());
    load.flows().await;
    let Some(frozen) = Frozen::freeze(&folder) else {
        return say("not run: this file system has no immutable files, or making some is not allowed");
    };
    store_fails(&backend, &mut browser, "the disk refuses to read or write").await;
    nothing_is_taken(&folder, &backend, &load, token.trim()).await;
    drop(frozen);
    load.flows().await;
    all_works(&mut backend, &browser).await;
    nothing_was_lost(&folder, backend, load, process).await;
}

/// What `fenlei serve` says that cannot start.
async fn refuses_to_start(folder: Folder) -> (Folder, String) {
    let started = tokio::task::spawn_blocking(move || {
        let (status, said) = folder.refused(&["serve"]);
        assert_eq!(status, 1, "{said}");
        (folder, said)
    });
    tokio::time::timeout(Duration::from_secs(20), started).await.expect("it ends").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_disk_that_is_full_or_read_only_it_says_so_and_does_not_start() {
    let Some(disk) = Disk::mount(8) else { return };
    let folder = Folder::at(Place::on_the_disk_at(disk.path()));
    disk.fill();
    let (folder, said) = refuses_to_start(folder).await;
    assert!(said.contains("`store.url`") && said.contains("full"), "{said}");
    disk.empty();
    disk.remount("ro");
    let (folder, said) = refuses_to_start(folder).await;
    disk.remount("rw");
    assert!(said.contains("`store.url`") && said.to_lowercase().contains("read-only"), "{said}");
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    drop(backend);
    // A store that is only begun there is made whole by the next start.
    let begun = Place::on_the_disk_at(disk.path());
    let other = begun.path().join("fenlei.db");
    disk.fill();
    let url = format!("sqlite:{}", other.display());
    let start = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_fenlei"))
            .current_dir(begun.path())
            .args(["token", "add", "--role", "admin"])
            .env("FENLEI__STORE__URL", &url)
            .output()
            .unwrap()
    };
    let refused = start();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("full"), "{refused:?}");
    disk.empty();
    assert!(start().status.success());
}
