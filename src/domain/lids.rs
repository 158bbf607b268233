//! How a bin's lid is to be: by its hours, and unlocked while staff hold its site open.
//!
//! The hours are read by the very code that the bin runs, so that what is expected of it is what it does by itself.

use fenlei_logic::lid::{scheduled, scheduled_change};
use fenlei_wire::config::Config;
use fenlei_wire::time::UnixMillis;
use serde::Serialize;

/// How long after an edge a bin may still be as it was before, in milliseconds.
pub const GRACE_MS: i64 = 60_000;

/// How a lid is, or is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lid {
    Locked,
    Unlocked,
}

impl Lid {
    pub fn from_locked(locked: bool) -> Self {
        if locked { Self::Locked } else { Self::Unlocked }
    }

    pub fn is_locked(self) -> bool {
        self == Self::Locked
    }
}

/// A span in which staff hold a site open: `[from, until)` in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub from: i64,
    pub until: i64,
}

/// An instant at which a lid changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    pub at: i64,
    pub lid: Lid,
}

/// What a lid keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Hours<'a> {
    pub config: &'a Config,
    pub held: &'a [Held],
}

impl Hours<'_> {
    /// How the lid is to be at an instant.
    pub fn expected(&self, at: i64) -> Lid {
        let held = self.held.iter().any(|held| held.from <= at && at < held.until);
        Lid::from_locked(!held && scheduled(self.config, UnixMillis(at)))
    }

    /// The first change after `after`; `None`: not within eight days.
    pub fn next_edge(&self, after: i64) -> Option<Edge> {
        let before = self.expected(after);
        let mut at = after;
        loop {
            let scheduled = scheduled_change(self.config, UnixMillis(at)).map(|edge| edge.0);
            let held = self.held.iter().flat_map(|held| [held.from, held.until]).filter(|edge| *edge > at);
            at = scheduled.into_iter().chain(held).min()?;
            let lid = self.expected(at);
            if lid != before {
                return Some(Edge { at, lid });
            }
        }
    }

    /// The changes after `after` up to `through`.
    pub fn edges(&self, after: i64, through: i64) -> Vec<Edge> {
        let next = |after: i64| self.next_edge(after).filter(|edge| edge.at <= through);
        std::iter::successors(next(after), |edge| next(edge.at)).collect()
    }

    /// Whether a lid that says it is as `reported` does what is expected; `None`: it has a moment left to.
    pub fn follows(&self, reported: Lid, now: i64) -> Option<bool> {
        let same = reported == self.expected(now);
        (same || self.edges(now - GRACE_MS, now).is_empty()).then_some(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let json = serde_json::json!({"version": 1, "zone": [{"from": 0, "offset": 480}], "schedule": {"weekly": [
            {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "open": "08:00", "close": "09:00"}]}});
        serde_json::from_value(json).unwrap()
    }

    fn at(time: &str) -> i64 {
        chrono::DateTime::parse_from_rfc3339(&format!("2026-11-23T{time}+08:00")).unwrap().timestamp_millis()
    }

    #[test]
    fn a_site_that_is_held_open_has_no_edges_in_that_time() {
        let config = config();
        let held = [
            Held { from: at("07:30:00"), until: at("08:30:00") },
            Held { from: at("12:00:00"), until: at("12:30:00") },
        ];
        let hours = Hours { config: &config, held: &held };
        let edges = hours.edges(at("00:00:00"), at("23:59:59"));
        let wanted = [
            ("07:30:00", Lid::Unlocked),
            ("09:00:00", Lid::Locked),
            ("12:00:00", Lid::Unlocked),
            ("12:30:00", Lid::Locked),
        ];
        assert_eq!(edges, wanted.map(|(time, lid)| Edge { at: at(time), lid }));
        assert_eq!((hours.expected(at("07:29:59")), hours.expected(at("07:30:00"))), (Lid::Locked, Lid::Unlocked));
    }

    #[test]
    fn a_bin_has_a_minute_to_follow() {
        let config = config();
        let hours = Hours { config: &config, held: &[] };
        assert_eq!(hours.follows(Lid::Locked, at("07:59:59")), Some(true));
        assert_eq!(hours.follows(Lid::Locked, at("08:00:59")), None);
        assert_eq!(hours.follows(Lid::Locked, at("08:01:00")), Some(false));
        assert_eq!(hours.follows(Lid::Unlocked, at("08:00:00")), Some(true));
        assert_eq!(hours.follows(Lid::Unlocked, at("12:00:00")), Some(false));
    }
}
