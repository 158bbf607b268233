//! What lies outside the API: is it alive, is it ready, and how is it doing.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use fenlei_wire::vocabulary::DeviceKind;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use super::App;
use crate::faults::Part;
use crate::store::{fleet, quarantine};

/// Answers as long as the process serves at all.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Whether MQTT accepts devices.
    mqtt: bool,
    /// Whether the store takes writes.
    store: bool,
    /// What does not work, in plain words; also what does not keep it from being ready.
    reasons: Vec<String>,
}

pub(super) async fn readyz(State(app): State<Arc<App>>) -> impl IntoResponse {
    let faults = app.faults();
    let [mqtt, store] = [Part::Mqtt, Part::Store].map(|part| !faults.contains_key(&part));
    let ready = mqtt && store;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Readiness { ready, mqtt, store, reasons: faults.into_values().collect() }))
}

/// Counters are kept as things happen; what is counted in the store is asked for here.
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    Extension(recorder): Extension<PrometheusHandle>,
) -> impl IntoResponse {
    let read = app.store.read(|connection| {
        let (items, _, _) = quarantine::totals(connection)?;
        Ok((fleet::online(connection)?, items))
    });
    // A store that does not answer is no reason to hide the counters.
    if let Ok((online, items)) = read.await {
        for kind in DeviceKind::ALL {
            let count = online.get(kind.as_str()).copied().unwrap_or(0);
            metrics::gauge!("fenlei_devices_online", "kind" => kind.as_str()).set(approximate(count));
        }
        metrics::gauge!("fenlei_quarantine_items").set(approximate(items));
    }
    let faults = app.faults();
    for part in Part::ALL {
        let fails = f64::from(u8::from(faults.contains_key(&part)));
        metrics::gauge!("fenlei_fault", "part" => part.as_str()).set(fails);
    }
    metrics::gauge!("fenlei_ledger_rows").set(approximate(*app.store.committed().borrow()));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], recorder.render())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn approximate(count: i64) -> f64 {
    count as f64
}
