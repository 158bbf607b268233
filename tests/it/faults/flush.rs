//! A disk that takes what is written, and takes its time to keep it or cannot.

use std::process::{Child, Command, Stdio};

use fenlei::clock::{Clock, SystemClock};
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use rumqttc::v5;
use serde_json::json;

use super::disk::nothing_was_lost;
use super::told::{all_works, signed_in, store_fails};
use super::until;
use crate::crash::say;
use crate::mqtt::world::Device;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::{Load, always_open, register};
use crate::support::place::Place;

/// Each flush of a running backend goes another way than it would.
struct Hindered(Child);

impl Hindered {
    /// Each fails.
    async fn failing(process: u32) -> Option<Self> {
        Self::begin(process, "error=EIO").await
    }

    /// None ends before this does.
    async fn endless(process: u32) -> Option<Self> {
        Self::begin(process, "delay_enter=600s").await
    }

    /// Comes back once it is so for all threads; `None`: no process may look into another one here.
    async fn begin(process: u32, how: &str) -> Option<Self> {
        let mut strace = Command::new("strace");
        strace.args([&format!("--inject=fsync,fdatasync:{how}"), "--trace=fsync,fdatasync", "--quiet=all"]);
        strace.args(["--follow-forks", "--attach", &process.to_string()]).stderr(Stdio::null());
        let mut hindered = Self(strace.spawn().expect("apt-get install strace"));
        let mut refused = false;
        until("it is watched, or cannot be", async || {
            refused = hindered.0.try_wait().unwrap().is_some();
            refused || is_watched(process)
        })
        .await;
        if refused {
            say("not run: no process may look into another one here");
        }
        (!refused).then_some(hindered)
    }
}

/// Whether another process looks into each of its threads.
fn is_watched(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let status = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")));
    // One that has just ended is none any more.
    status.flatten().all(|status| !status.contains("TracerPid:\t0\n"))
}

impl Drop for Hindered {
    fn drop(&mut self) {
        // Asked to end, it lets go of the process; killed, it would not.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disk_could_not_keep_is_not_receipted_until_it_can() {
    let folder = Folder::at(Place::in_a_file());
    let credentials = Load::register(&folder);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let mut browser = signed_in(&folder, &backend).await;
    let (load, process) = (Load::start(&credentials, backend.mqtt, 5), backend.id().unwrap());
    load.flows().await;
    let Some(failing) = Hindered::failing(process).await else { return };
    store_fails(&backend, &mut browser, "the disk refuses to read or write").await;
    let (receipted, failures) = (load.receipted(), backend.counter("fenlei_store_failures_total").await);
    until("it is tried again and again", async || {
        backend.counter("fenlei_store_failures_total").await >= failures + 3.0
    })
    .await;
    assert_eq!(load.receipted(), receipted, "nothing is receipted that is not on the disk");
    drop(failing);
    load.flows().await;
    all_works(&mut backend, &browser).await;
    nothing_was_lost(&folder, backend, load, process).await;
}

/// The file has it, and whoever reads the file sees it; the disk may not.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_disk_does_not_have_yet_is_neither_acknowledged_nor_listed() {
    let folder = Folder::at(Place::in_a_file());
    // Nothing is written by itself at the edges of the hours.
    always_open(&folder);
    let [bin] = register(&folder, [("one", DeviceKind::Bin)]).try_into().unwrap();
    let token = folder.done(&["token", "add", "--role", "admin"]);
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let browser = signed_in(&folder, &backend).await;
    let mut options = v5::MqttOptions::new(&bin.device, "127.0.0.1", backend.mqtt);
    options.set_credentials(&bin.device, &bin.secret);
    let mut device = Device::connect(options).await.unwrap();
    let listed = async || {
        let events = backend.get(token.trim(), "events").await["items"].as_array().unwrap().len();
        (events, browser.see("/communities/garden/ledger").await.matches("1234").count())
    };
    let deposit = |seq: u64| {
        let time = SystemClock.now().to_rfc3339();
        json!({"boot": 1, "seq": seq, "time": time, "type": "deposit", "stream": "food", "grams": 1234}).to_string()
    };
    assert!(device.publish(&bin.topic(Channel::Event), false, deposit(1)).await);
    assert_eq!(listed().await, (1, 1));
    let Some(endless) = Hindered::endless(backend.id().unwrap()).await else { return };
    let (topic, event) = (bin.topic(Channel::Event), deposit(2));
    let published = tokio::spawn(async move { device.publish(&topic, false, event).await });
    let stored = || folder.store().query_row("SELECT count(*) FROM ledger", [], |row| row.get::<_, i64>(0)).unwrap();
    until("it is in the file", async || stored() == 2).await;
    assert_eq!(listed().await, (1, 1));
    assert!(!published.is_finished(), "it is acknowledged, and the disk does not have it");
    drop(endless);
    assert!(published.await.unwrap());
    assert_eq!(listed().await, (2, 2));
}
