//! The metrics' recorder and what each metric means.
//!
//! Labels are closed word lists or route templates: never an id, a household or a card.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// How often recorded durations are folded into their buckets: nobody need scrape to keep memory flat.
const UPKEEP: Duration = Duration::from_secs(5);
const SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The process's recorder; the first call installs it, later ones return the same.
pub fn install() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(start).clone()
}

fn start() -> PrometheusHandle {
    let builder = match PrometheusBuilder::new().set_buckets(&SECONDS) {
        Ok(builder) => builder,
        Err(_) => PrometheusBuilder::new(),
    };
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed: /metrics stays empty");
    }
    describe();
    let upkeep = handle.clone();
    let upkeep = move || {
        loop {
            std::thread::sleep(UPKEEP);
            upkeep.run_upkeep();
        }
    };
    if let Err(error) = std::thread::Builder::new().name("metrics-upkeep".into()).spawn(upkeep) {
        tracing::warn!(%error, "metrics are folded only when they are scraped");
    }
    handle
}

fn describe() {
    describe_counter!("fenlei_events_stored_total", Unit::Count, "Events stored in the ledger, by type");
    describe_counter!("fenlei_events_refused_total", Unit::Count, "Events refused into quarantine, by reason");
    describe_counter!("fenlei_events_duplicate_total", Unit::Count, "Events that came again and changed nothing");
    describe_counter!(
        "fenlei_events_conflicting_total",
        Unit::Count,
        "Events that came again under the same name with different content"
    );
    describe_counter!(
        "fenlei_quarantine_overflow_total",
        Unit::Count,
        "Refused events that were not kept: their device is at its cap"
    );
    describe_counter!("fenlei_publishes_total", Unit::Count, "Publishes stored");
    describe_counter!("fenlei_commits_total", Unit::Count, "Transactions that stored publishes");
    describe_counter!("fenlei_store_failures_total", Unit::Count, "Batches of publishes that could not be stored");
    describe_counter!("fenlei_http_requests_total", Unit::Count, "HTTP requests answered, by method, route and status");
    describe_histogram!(
        "fenlei_http_request_duration_seconds",
        Unit::Seconds,
        "Time from a request to the head of its answer, by route"
    );
    describe_counter!(
        "fenlei_refused_total",
        Unit::Count,
        "Connections, logins, requests and streams turned away at an entrance, by reason"
    );
    describe_counter!(
        "fenlei_mqtt_delays_total",
        Unit::Count,
        "Publishes that the embedded broker read later because their device is at its rate, by publishes or bytes"
    );
    describe_counter!(
        "fenlei_certificate_reloads_total",
        Unit::Count,
        "New certificates found, by section of the settings and result"
    );
    describe_gauge!("fenlei_devices_online", Unit::Count, "Devices that say they are online, by kind");
    describe_gauge!("fenlei_quarantine_items", Unit::Count, "Items in quarantine");
    describe_counter!(
        "fenlei_alarm_notices_total",
        Unit::Count,
        "Notices of alarms delivered to webhooks, failed attempts, and notices given up, by outcome"
    );
    describe_gauge!("fenlei_alarm_notices_waiting", Unit::Count, "Notices of alarms that are not delivered yet");
    describe_gauge!("fenlei_alarms_open", Unit::Count, "Alarms whose cause holds, by kind");
    describe_counter!("fenlei_export_events_total", Unit::Count, "Events written to the time-series server");
    describe_counter!("fenlei_export_batches_total", Unit::Count, "Writes that the time-series server took");
    describe_counter!(
        "fenlei_export_failures_total",
        Unit::Count,
        "Writes that the time-series server did not take and that are tried again, by reason"
    );
    describe_counter!("fenlei_export_refused_total", Unit::Count, "Events that the time-series server refused");
    describe_gauge!("fenlei_export_refused_events", Unit::Count, "Events that are kept as refused");
    describe_gauge!("fenlei_export_lag_events", Unit::Count, "Events of the ledger that are not exported yet");
    describe_gauge!(
        "fenlei_export_lag_seconds",
        Unit::Seconds,
        "How long the first event that is not exported yet has waited"
    );
    describe_gauge!("fenlei_fault", Unit::Count, "Whether a part does not work: 1, or 0; `/readyz` says why");
    describe_counter!("fenlei_clock_leaps_total", Unit::Count, "How often the machine's clock was set");
    describe_counter!(
        "fenlei_mqtt_refused_total",
        Unit::Count,
        "What the embedded broker refused of devices: logins, publishes, subscriptions and wills, by kind"
    );
    describe_counter!("fenlei_mqtt_disconnects_total", Unit::Count, "Connections to an external broker that ended");
    describe_counter!("fenlei_receipts_total", Unit::Count, "Receipts handed to the broker");
    describe_counter!("fenlei_sign_ins_total", Unit::Count, "Attempts to sign in to the pages, by outcome");
    describe_counter!(
        "fenlei_linkage_deliveries_total",
        Unit::Count,
        "Notes of new revisions delivered to webhooks, failed attempts, and notes given up, by outcome"
    );
    describe_gauge!(
        "fenlei_job_held",
        Unit::Count,
        "Whether a job that one of several backends does is done here: 1, or 0"
    );
    describe_gauge!("fenlei_ledger_rows", Unit::Count, "Events in the ledger");
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_second_call_returns_the_same_recorder() {
        let first = super::install();
        metrics::gauge!("fenlei_quarantine_items").set(3.0);
        let _ = &first;
        assert!(super::install().render().contains("fenlei_quarantine_items 3"));
    }
}
