//! Export to a real server that speaks the write API of InfluxDB 2: Debian's victoria-metrics. It keeps numbers only, by
//! milliseconds, and answers 204 to whatever comes, so what counts is what is read back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fenlei::clock::{Clock, SharedClock, SystemClock};
use fenlei::simulate::fleet::{Broker, Credential, Fleet, Sources};
use fenlei::simulate::occurrence::{Occurrence, What};
use fenlei_wire::event::Body;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::{DeviceKind, ExecutedStatus, SightingKind, Stream, Verdict};
use futures::StreamExt;
use serde_json::Value;
use tempfile::TempDir;

use super::ledger::{Points, Written, points};
use super::server::Reply::{Take, TakeAndHang};
use super::server::{Influx, TOKEN, difference};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::register;
use crate::support::ports::free_port;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
const BINS: [&str; 3] = ["vm-1", "vm-2", "vm-3"];
const CAMERA: &str = "vm-cam";
/// What is text in the schema: this server keeps none.
const TEXTS: [&str; 4] = ["_reason", "_command", "_detail", "_of_device"];

const FORGED: &str = "x\" 1\nforged,site=north grams=1i 1764000000000000000\r\nforged value=1 \\";

struct Victoria {
    process: Option<Child>,
    folder: TempDir,
    port: u16,
    /// The files of a certificate and its key, where it is to speak TLS.
    sealed_by: Option<[PathBuf; 2]>,
}

impl Victoria {
    fn start(sealed_by: Option<[PathBuf; 2]>) -> Self {
        let mut victoria = Self { process: None, folder: tempfile::tempdir().unwrap(), port: free_port(), sealed_by };
        victoria.start_again();
        victoria
    }

    fn start_again(&mut self) {
        let mut command = Command::new("victoria-metrics");
        command.arg(format!("-httpListenAddr=127.0.0.1:{}", self.port));
        command.arg(format!("-storageDataPath={}", self.folder.path().display()));
        command.args(["-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms", "-memory.allowedBytes=128MiB"]);
        if let Some([certificate, key]) = &self.sealed_by {
            command.arg("-tls").arg(format!("-tlsCertFile={}", certificate.display()));
            command.arg(format!("-tlsKeyFile={}", key.display()));
        }
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Some(process.expect("apt-get install victoria-metrics"));
    }

    fn url(&self) -> String {
        let scheme = if self.sealed_by.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// `kill -9`: what it took in its last seconds is gone, for it answers before it writes.
    fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Ends it in order; what it took is on its disk.
    fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let asked = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(asked.success());
        process.wait().unwrap();
    }

    /// Everything it holds; `None` while it does not answer.
    async fn samples(&self) -> Option<Samples> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let get = |path: &str| client.get(format!("http://127.0.0.1:{}/{path}", self.port)).send();
        get("internal/force_flush").await.ok()?;
        let exported =
            get("api/v1/export?match%5B%5D=%7B__name__%21%3D%22%22%7D&start=0").await.ok()?.text().await.ok()?;
        let mut samples = Samples::new();
        for line in exported.lines() {
            let line: Value = serde_json::from_str(line).ok()?;
            let tags = line["metric"].as_object().unwrap().iter();
            let tags: BTreeMap<_, _> =
                tags.map(|(tag, value)| (tag.clone(), value.as_str().unwrap().to_owned())).collect();
            if TEXTS.iter().any(|text| tags["__name__"].ends_with(text)) {
                continue;
            }
            let values = line["values"].as_array().unwrap().iter().zip(line["timestamps"].as_array().unwrap());
            for (value, time) in values {
                let twice = samples.insert((tags.clone(), time.as_i64().unwrap()), value.as_f64().unwrap());
                assert_eq!(twice, None, "{tags:?} has two values at {time}");
            }
        }
        Some(samples)
    }

    async fn until(&self, expected: &Samples) {
        let begun = tokio::time::Instant::now();
        loop {
            let found = self.samples().await.unwrap_or_default();
            if found == *expected {
                return;
            }
            if begun.elapsed() > PATIENCE {
                let lacks = expected.iter().filter(|(name, value)| found.get(*name) != Some(*value)).count();
                panic!("{} expected, {} found, {lacks} not as expected", expected.len(), found.len());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Victoria {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Values by name and tags, and time in milliseconds.
type Samples = BTreeMap<(BTreeMap<String, String>, i64), f64>;

/// What of points such a server keeps.
fn samples(points: &Points) -> Samples {
    let mut samples = Samples::new();
    for ((series, time), fields) in points {
        let (measurement, tags) = series.split_once(',').unwrap();
        let tags = tags.split(',').map(|tag| tag.split_once('=').unwrap());
        let tags: BTreeMap<_, _> = tags.map(|(tag, value)| (tag.to_owned(), value.to_owned())).collect();
        for (field, value) in fields {
            let Written::Number(value) = value else { continue };
            let mut tags = tags.clone();
            tags.insert("__name__".to_owned(), format!("{measurement}_{field}"));
            let twice = samples.insert((tags, time.div_euclid(1_000_000)), *value);
            assert_eq!(twice, None, "{series} has two events at {time}");
        }
    }
    samples
}

/// What happens at a device: one thing every few milliseconds, each a second after the one before, days ago.
fn happenings(device: &'static str, boot: u32, count: i64) -> impl futures::Stream<Item = Occurrence> + Send + 'static {
    let begun = SystemClock.now().timestamp_millis() - 20 * 86_400_000 + i64::from(boot) * 86_400_000;
    let happens = move |at: i64| {
        let number = u32::try_from(at).unwrap();
        let stream = Stream::ALL[at as usize % 4];
        let body = match (device, at % 5) {
            (CAMERA, _) => Body::Sighting { what: SightingKind::ALL[at as usize % 5], confidence: 875 },
            (_, 0) => Body::Fill { stream, percent: (at % 101) as u8, celsius: Some(-5) },
            // Whoever believed it would find lines of its own in it.
            (_, 2) => Body::Executed { command: "c-1", status: ExecutedStatus::Done, detail: Some(FORGED) },
            (_, 1) => Body::Emptied { stream, grams: number },
            _ => {
                let verdict = (at % 3 > 0).then(|| Verdict::ALL[at as usize % 2]);
                Body::Deposit { stream, grams: number, card: Some("c1"), verdict, reason: None }
            }
        };
        Occurrence { time: UnixMillis(begun + at * 1_000), what: What::Plain(body) }
    };
    futures::stream::iter(0..count).then(move |at| async move {
        tokio::time::sleep(Duration::from_millis(3)).await;
        happens(at)
    })
}

fn deliver(credentials: &[Credential], mqtt: u16, boot: u32, count: i64) -> Fleet {
    let devices = BINS.into_iter().chain([CAMERA]);
    let sources: Sources = devices.map(|device| (device, happenings(device, boot, count).boxed())).collect();
    let clock: SharedClock = Arc::new(SystemClock);
    let broker = Broker { host: "127.0.0.1".to_owned(), port: mqtt };
    Fleet::start(&broker, credentials, sources, boot, u64::from(boot), &clock)
}

async fn delivered(mut fleet: Fleet) {
    assert!(tokio::time::timeout(PATIENCE, fleet.finished()).await.is_ok(), "every event is receipted");
}

fn credentials(folder: &Folder) -> Vec<Credential> {
    let bins = BINS.into_iter().map(|bin| (bin, DeviceKind::Bin));
    register(folder, bins.chain([(CAMERA, DeviceKind::Camera)]))
}

fn exporting(url: String) -> Vec<(&'static str, String)> {
    vec![
        ("FENLEI__INFLUX__URL", url),
        ("FENLEI__INFLUX__ORG", "jwh".to_owned()),
        ("FENLEI__INFLUX__BUCKET", "fenlei".to_owned()),
        ("FENLEI__INFLUX__TOKEN", TOKEN.to_owned()),
        ("FENLEI__INFLUX__BATCH", "300".to_owned()),
        ("FENLEI__INFLUX__TIMEOUT_SECONDS", "1".to_owned()),
    ]
}

async fn ledger(backend: &Backend, token: &str) -> Points {
    let (mut events, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = backend.get(token, &format!("events?limit=1000{cursor}")).await;
        events.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return points(&events, |_| "garden"),
        }
    }
}

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_back_is_the_ledger_after_outages_restarts_and_repeats() {
    let folder = Folder::new();
    let credentials = credentials(&folder);
    let token = folder.done(&["token", "add", "--role", "admin"]).trim_end().to_owned();
    // History, before anything is exported.
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    delivered(deliver(&credentials, backend.mqtt, 1, 300)).await;
    backend.kill();
    // Every fourth answer is swallowed, so that its batch comes again.
    let mut victoria = Victoria::start(None);
    let influx = Influx::before(Some(victoria.url())).await;
    let mut count = 0;
    influx.replies(move |_| {
        count += 1;
        if count % 4 == 0 { TakeAndHang } else { Take }
    });
    let mut backend = Backend::start_with(&folder, None, exporting(influx.url()));
    backend.ready().await;
    let fleet = deliver(&credentials, backend.mqtt, 2, 1_000);
    for round in 0..3 {
        pause(700).await;
        victoria.stop();
        pause(200).await;
        assert!(backend.kill(), "it ended by itself: {}", backend.log());
        pause(100 * round).await;
        victoria.start_again();
        backend.start_again();
        backend.ready().await;
    }
    delivered(fleet).await;
    let expected = ledger(&backend, &token).await;
    assert!(expected.len() >= 4 * 1_300, "{}", expected.len());
    victoria.until(&samples(&expected)).await;
    let written = influx.points();
    assert!(written == expected, "{:#?}", difference(&expected, &written));
    let writes = influx.writes();
    let distinct: std::collections::BTreeSet<_> = writes.iter().map(|write| &write.lines).collect();
    assert!(distinct.len() < writes.len(), "no batch came twice in {} writes", writes.len());
    let log = backend.log();
    assert!(log.contains("job=\"export\"") && !log.contains(TOKEN) && !log.contains("ERROR"), "{log}");
    assert!(backend.counter("fenlei_export_events_total").await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_what_it_had_taken_is_filled_again_over_tls() {
    let folder = Folder::new();
    let credentials = credentials(&folder);
    let token = folder.done(&["token", "add", "--role", "admin"]).trim_end().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    folder.write("server.pem", &made.cert.pem());
    folder.write("server.key", &made.signing_key.serialize_pem());
    let mut victoria = Victoria::start(Some([folder.path("server.pem"), folder.path("server.key")]));
    // Whoever does not know its authority writes nothing to it.
    let mut stranger = Backend::start_with(&folder, None, exporting(victoria.url()));
    stranger.ready().await;
    delivered(deliver(&credentials, stranger.mqtt, 1, 20)).await;
    while stranger.counter("fenlei_export_failures_total{reason=\"unreachable\"}").await < 2.0 {
        pause(50).await;
    }
    while stranger.counter("fenlei_export_lag_events").await < 80.0 {
        pause(50).await;
    }
    stranger.kill();
    let trusting = ("SSL_CERT_FILE", folder.path("server.pem").display().to_string());
    let settings: Vec<_> = exporting(victoria.url()).into_iter().chain([trusting]).collect();
    let mut backend = Backend::start_with(&folder, None, settings);
    backend.ready().await;
    let fleet = deliver(&credentials, backend.mqtt, 2, 600);
    for _ in 0..2 {
        pause(900).await;
        victoria.kill();
        pause(100).await;
        victoria.start_again();
    }
    delivered(fleet).await;
    let all_is_written = || folder.done(&["export"]).contains("waiting    0\n");
    let settled = async || {
        let begun = tokio::time::Instant::now();
        while !all_is_written() {
            assert!(begun.elapsed() < PATIENCE, "{}", folder.done(&["export"]));
            pause(100).await;
        }
    };
    settled().await;
    let said = folder.done(&["export", "again", "--all"]);
    assert_eq!(said, "everything is exported again from the first event on\n");
    settled().await;
    let expected = ledger(&backend, &token).await;
    assert!(expected.len() >= 4 * 620, "{}", expected.len());
    backend.kill();
    // Read without TLS, of which this test has no client.
    victoria.stop();
    victoria.sealed_by = None;
    victoria.start_again();
    victoria.until(&samples(&expected)).await;
}
