//! Consumers of `/stream` that are slow, or read nothing at all.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use tokio::time::timeout;

use super::until;
use crate::crash::{check, say};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::Load;
use crate::support::place::Place;

/// Consumers that stand still.
const STOPPED: usize = 24;
/// Events after which caches are filled.
const WARM: f64 = 2_000.0;
/// Events that happen meanwhile. All of them for each of these consumers would be far more than the backend may grow.
const EVENTS: f64 = 10_000.0;
const MAY_GROW: u64 = 72 << 20;

async fn follow(backend: &Backend, token: &str) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    client.get(format!("{}/api/v1/stream", backend.base())).bearer_auth(token).send().await.unwrap()
}

/// The ids that come, up to `through`.
async fn ids(mut stream: Response, through: i64) -> Vec<i64> {
    let (mut ids, mut pending) = (Vec::new(), String::new());
    while ids.last().is_none_or(|last| *last < through) {
        let chunk = timeout(Duration::from_secs(60), stream.chunk()).await.expect("the stream goes on").unwrap();
        // A chunk may end within a character.
        pending.push_str(&String::from_utf8_lossy(&chunk.expect("the stream does not end")));
        let whole = pending.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = pending.drain(..whole).collect();
        ids.extend(lines.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse::<i64>().unwrap()));
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_that_stand_still_cost_little_hold_nobody_up_and_miss_nothing() {
    let folder = Folder::at(Place::in_a_file());
    let credentials = Load::register(&folder);
    let [stopped, other, late] = [(); 3].map(|()| folder.done(&["token", "add", "--role", "admin"]).trim().to_owned());
    let settings = [
        ("FENLEI__STORE__CACHE_MIB", "4".to_owned()),
        ("FENLEI__HTTP__STREAMS", (STOPPED + 1).to_string()),
        ("FENLEI__HTTP__STREAMS_PER_CALLER", STOPPED.to_string()),
    ];
    let mut backend = Backend::start_with(&folder, None, settings.into());
    backend.ready().await;
    let load = Load::start(&credentials, backend.mqtt, 5);
    let rows = async || backend.counter("fenlei_ledger_rows").await;
    until("it has grown to what it works with", async || rows().await >= WARM).await;
    let (begun, before) = (rows().await, resident(&backend));
    let mut standing = Vec::new();
    for _ in 0..STOPPED {
        let stream = follow(&backend, &stopped).await;
        assert_eq!(stream.status(), StatusCode::OK);
        standing.push(stream);
    }
    assert_eq!(follow(&backend, &stopped).await.status(), StatusCode::TOO_MANY_REQUESTS, "so many for each caller");
    // One that reads hears of each commit while the others stand still.
    let reading = follow(&backend, &other).await;
    assert_eq!(follow(&backend, &late).await.status(), StatusCode::SERVICE_UNAVAILABLE, "and so many in all");
    let reader = tokio::spawn(ids(reading, i64::MAX));
    until("events flow", async || rows().await >= begun + EVENTS).await;
    assert!(!reader.is_finished(), "the stream that is read goes on");
    reader.abort();
    let grown = resident(&backend).saturating_sub(before);
    let told = load.finish().await;
    let last = rows().await as i64;
    // Whoever reads on after all has missed nothing, and hears nothing twice.
    for stream in standing.drain(..1) {
        let ids = ids(stream, last).await;
        let whole: Vec<_> = (ids[0]..=last).collect();
        assert!(ids == whole && ids.len() as f64 > EVENTS, "from {} to {last}: {} of them", ids[0], ids.len());
    }
    drop(standing);
    until("their places are free again", async || follow(&backend, &stopped).await.status() == StatusCode::OK).await;
    assert!(backend.kill());
    let events = check::everything(&folder, &told);
    say(&format!("{STOPPED} stopped consumers, {events} events: memory grew by {grown} bytes"));
    assert!(grown < MAY_GROW, "memory grew by {grown} bytes");
}

fn resident(backend: &Backend) -> u64 {
    fenlei::bench::backend::resident(backend.id().unwrap()).unwrap()
}
