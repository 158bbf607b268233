//! Exports the ledger to a time-series server. It follows by a position kept in the store, so an outage on either side
//! loses nothing, and nothing waits for it. A batch may be written twice, by a crash or a lost answer: its points replace
//! themselves.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::SaidOnce;
use crate::clock::SharedClock;
use crate::domain::notices::{back_off_within, retry_after};
use crate::domain::points::{Placed, point};
use crate::faults::{Faults, Part};
use crate::influx::{Client, Failure, Options};
use crate::store::events::Listed;
use crate::store::export;
use crate::store::{Store, StoreError};

/// How long an event waits for others that share its write.
const GATHER: Duration = Duration::from_secs(1);
/// How often the lag is measured.
const MEASURE: Duration = Duration::from_secs(1);
/// The first and the longest wait after a failure, in milliseconds.
const WAITS_MS: (i64, i64) = (500, 60 * 1000);

/// Runs until `stop`; without options there is nothing to do.
pub(super) async fn run(
    store: Store,
    options: Option<Options>,
    faults: Faults,
    clock: SharedClock,
    stop: CancellationToken,
) {
    let Some(options) = options else { return };
    let work = async {
        tokio::join!(deliver(&store, options, &faults, &clock), measure(&store, &clock));
    };
    tokio::select! {
        // What is under way is written again after the start.
        () = work => {}
        () = stop.cancelled() => {}
    }
    // Whose turn it is now says what does not work.
    faults.works(Part::Export);
}

/// Why a batch was not written.
enum Trouble {
    Store(StoreError),
    Server(Failure),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Server(failure)
    }
}

async fn deliver(store: &Store, options: Options, faults: &Faults, clock: &SharedClock) {
    let mut committed = store.committed();
    let size = options.batch;
    let mut said = SaidOnce::default();
    let mut client = loop {
        let started = Client::start(options.clone()).await;
        said.of("export", &started);
        if let Ok(client) = started {
            break client;
        }
        tokio::time::sleep(super::RETRY).await;
    };
    let mut attempts = 0_u32;
    loop {
        match write_next(store, &mut client, size, clock).await {
            Ok(full) => {
                attempts = 0;
                said.of("export", &Ok::<_, StoreError>(full));
                faults.works(Part::Export);
                if !full {
                    gather(&mut committed, size).await;
                }
            }
            Err(Trouble::Store(error)) => {
                said.of("export", &Err::<bool, _>(error));
                tokio::time::sleep(super::RETRY).await;
            }
            Err(Trouble::Server(failure)) => {
                attempts = attempts.saturating_add(1);
                let asked = failure.retry_after().and_then(|text| retry_after(text, clock.now().timestamp_millis()));
                let wait = back_off_within(WAITS_MS, attempts, fastrand::f64(), asked);
                faults.fails(Part::Export, words(&failure));
                metrics::counter!("fenlei_export_failures_total", "reason" => failure.kind()).increment(1);
                tracing::debug!(%failure, attempts, wait_ms = wait, "the export waits");
                said.of("export", &Err::<bool, _>(format!("{failure}: {}", failure.hint())));
                tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
            }
        }
    }
}

/// What is wrong, without what the server says: anybody may read it.
fn words(failure: &Failure) -> &'static str {
    match failure.kind() {
        "timeout" => "the time-series server answers too late",
        "unreachable" => "the time-series server is out of reach",
        "token" => "the time-series server does not accept `influx.token`",
        "not_found" => "the time-series server knows no such `influx.org` or `influx.bucket`",
        "throttled" => "the time-series server asks to wait",
        _ => "the time-series server takes nothing",
    }
}

/// Comes back after a while, or once a whole batch waits.
async fn gather(committed: &mut watch::Receiver<i64>, size: usize) {
    let enough = *committed.borrow_and_update() + i64::try_from(size).unwrap_or(i64::MAX / 2);
    let closed = matches!(tokio::time::timeout(GATHER, committed.wait_for(|last| *last >= enough)).await, Ok(Err(_)));
    if closed {
        // The store is closing, and soon so does this.
        tokio::time::sleep(GATHER).await;
    }
}

/// Writes what is to be written next. Whether more waits.
async fn write_next(store: &Store, client: &mut Client, size: usize, clock: &SharedClock) -> Result<bool, Trouble> {
    let committed = *store.committed().borrow();
    let next = store.read(move |connection| export::next(connection, committed, size)).await?;
    let Some(batch) = next else { return Ok(false) };
    let lines: Vec<_> = batch.events.iter().map(|event| (event.id, line(event))).collect();
    let refused = write(client, &lines).await?;
    let written = lines.len().saturating_sub(refused.len());
    metrics::counter!("fenlei_export_events_total").increment(written as u64);
    if let Some((row, reason)) = refused.first() {
        metrics::counter!("fenlei_export_refused_total").increment(refused.len() as u64);
        tracing::warn!(events = refused.len(), row, %reason, "the server refuses events; `fenlei export` lists them");
    }
    let now = clock.now().timestamp_millis();
    let full = batch.is_full();
    store.write(move |session| export::settle(session.connection, &batch, &refused, now)).await?;
    Ok(full)
}

/// Writes lines, divided as long as something in them is refused. The rows that are, with what the server says of them.
async fn write(client: &mut Client, lines: &[(i64, String)]) -> Result<Vec<(i64, String)>, Failure> {
    let mut refused = Vec::new();
    let mut parts = if lines.is_empty() { Vec::new() } else { vec![lines] };
    while let Some(part) = parts.pop() {
        match client.write(part.iter().map(|(_, line)| line.as_str()).collect()).await {
            Ok(()) => metrics::counter!("fenlei_export_batches_total").increment(1),
            Err(failure) if failure.is_of_the_lines() => match part {
                [(row, _)] => refused.push((*row, failure.to_string())),
                _ => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            },
            Err(failure) => return Err(failure),
        }
    }
    Ok(refused)
}

fn line(listed: &Listed) -> String {
    let placed = Placed {
        community: &listed.community,
        site: &listed.site,
        device: &listed.device,
        incarnation: listed.incarnation,
        received: listed.received,
        event: &listed.event,
        timing: listed.timing,
        verdict: listed.verdict,
    };
    let mut line = String::new();
    point(&placed).write(&mut line);
    line
}

/// Keeps the gauges up to date, also while a server does not answer.
async fn measure(store: &Store, clock: &SharedClock) {
    let mut timer = tokio::time::interval(MEASURE);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        // A store that does not answer is told of elsewhere.
        let Ok(progress) = store.read(export::progress).await else { continue };
        let now = clock.now().timestamp_millis();
        #[expect(clippy::cast_precision_loss, reason = "counts and milliseconds stay far below 2^53")]
        for (name, value) in [
            ("fenlei_export_lag_events", (progress.last - progress.position) as f64),
            (
                "fenlei_export_lag_seconds",
                progress.waits_since.map_or(0.0, |since| (now - since).max(0) as f64 / 1000.0),
            ),
            ("fenlei_export_refused_events", progress.refused as f64),
        ] {
            metrics::gauge!(name).set(value);
        }
    }
}
