//! What a batch did, for the counters of `/metrics`.

use std::collections::BTreeMap;

use fenlei_wire::vocabulary::EventType;

use crate::domain::refusal::Reason;

/// What a batch did, for the counters.
#[derive(Debug, Default)]
pub struct Tally {
    pub(super) accepted: BTreeMap<EventType, u64>,
    pub(super) refused: BTreeMap<Reason, u64>,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    pub(super) overflowed: u64,
}

impl Tally {
    pub fn publish_metrics(&self, publishes: usize) {
        for (event_type, count) in &self.accepted {
            metrics::counter!("fenlei_events_stored_total", "type" => event_type.as_str()).increment(*count);
        }
        for (reason, count) in &self.refused {
            metrics::counter!("fenlei_events_refused_total", "reason" => reason.as_str()).increment(*count);
        }
        metrics::counter!("fenlei_events_duplicate_total").increment(self.duplicates);
        metrics::counter!("fenlei_events_conflicting_total").increment(self.conflicts);
        metrics::counter!("fenlei_quarantine_overflow_total").increment(self.overflowed);
        metrics::counter!("fenlei_publishes_total").increment(publishes as u64);
        metrics::counter!("fenlei_commits_total").increment(1);
    }
}
