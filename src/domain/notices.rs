//! What is told of alarms, to whom, and when: formats of webhooks, quiet hours, how long a failed delivery waits.

use fenlei_wire::schedule::Minute;
use serde::{Deserialize, Serialize};

use super::zone::{Tz, local};

/// How long it is tried to deliver a notice, in milliseconds.
pub const TRIED_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// The first wait after a failure, and the longest, in milliseconds.
const FIRST_WAIT_MS: i64 = 5 * 1000;
const LONGEST_WAIT_MS: i64 = 30 * 60 * 1000;
/// The longest wait that a receiver may ask for, in milliseconds.
const LONGEST_ASKED_MS: i64 = 24 * 60 * 60 * 1000;
/// No wait is longer than this, in milliseconds.
pub const LONGEST_MS: i64 = LONGEST_ASKED_MS;
/// What lies between two messages to a robot, in milliseconds: it takes 20 a minute.
pub const ROBOT_PAUSE_MS: i64 = 3 * 1000;
/// Notices that share one message to a robot.
pub const BUNDLED: usize = 20;

/// Whom a webhook speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A program: a JSON object for each notice, signed as Standard Webhooks are.
    Generic,
    /// A group robot of WeCom (企业微信).
    Wecom,
    /// A group robot of DingTalk (钉钉).
    Dingtalk,
}

impl Format {
    pub const fn is_robot(self) -> bool {
        matches!(self, Self::Wecom | Self::Dingtalk)
    }
}

/// What happened to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Raised,
    Cleared,
}

impl Change {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Cleared => "cleared",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Raised, Self::Cleared].into_iter().find(|change| change.as_str() == text)
    }
}

/// Hours in which only what is critical is told; past midnight where they end before they begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    #[schema(value_type = String, example = "22:00")]
    pub from: Minute,
    #[schema(value_type = String, example = "07:00")]
    pub until: Minute,
}

impl Quiet {
    /// Whether it is quiet at the minute of a local day.
    pub fn holds_at(self, minute: u16) -> bool {
        let (from, until) = (self.from.get(), self.until.get());
        if from < until { (from..until).contains(&minute) } else { minute >= from || minute < until }
    }

    /// Whether it is quiet in `zone` at `now` (Unix milliseconds).
    pub fn holds(self, zone: Tz, now: i64) -> bool {
        self.holds_at(local(zone, now).minute)
    }
}

/// How long to wait after the failure number `attempts`, from 1 on, in milliseconds. `spread`, 0 to 1, is chance: many
/// senders do not come back at once. A receiver that asks for a longer wait gets it.
pub fn back_off(attempts: u32, spread: f64, asked: Option<i64>) -> i64 {
    back_off_within((FIRST_WAIT_MS, LONGEST_WAIT_MS), attempts, spread, asked)
}

/// The same between other waits than those of webhooks, the first and the longest, in milliseconds.
pub fn back_off_within((first, longest): (i64, i64), attempts: u32, spread: f64, asked: Option<i64>) -> i64 {
    let doubled = first.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(longest);
    let half = doubled / 2;
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "below 2^53 by far")]
    let chance = (half as f64 * spread.clamp(0.0, 1.0)) as i64;
    (half + chance).max(asked.unwrap_or_default().min(LONGEST_ASKED_MS))
}

/// The milliseconds that a `Retry-After` asks for: seconds, or a date.
pub fn retry_after(text: &str, now: i64) -> Option<i64> {
    let text = text.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(i64::from(seconds) * 1000),
        Err(_) => chrono::DateTime::parse_from_rfc2822(text).ok().map(|date| date.timestamp_millis() - now),
    }
}

/// What a robot's answer of status 200 says went wrong; it says so in its body.
pub fn refused_by_robot(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        errcode: i64,
    }
    match serde_json::from_slice::<Answer>(body) {
        Ok(Answer { errcode: 0 }) => None,
        Ok(Answer { errcode }) => Some(format!("errcode {errcode}")),
        Err(_) => Some("no errcode in the answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quiet(from: &str, until: &str) -> Quiet {
        Quiet { from: Minute::parse(from).unwrap(), until: Minute::parse(until).unwrap() }
    }

    #[test]
    fn quiet_hours_are_the_sites_own() {
        let night = quiet("22:00", "07:00");
        assert!(night.holds_at(22 * 60) && night.holds_at(0) && night.holds_at(7 * 60 - 1));
        assert!(!night.holds_at(22 * 60 - 1) && !night.holds_at(7 * 60));
        let noon = "2026-11-23T12:00:00+08:00".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis();
        assert!(!night.holds(chrono_tz::Asia::Shanghai, noon));
        assert!(night.holds(chrono_tz::Europe::Berlin, noon), "there it is five in the morning");
    }

    #[test]
    fn an_answer_and_a_wait() {
        assert_eq!(refused_by_robot(br#"{"errcode":0,"errmsg":"ok"}"#), None);
        assert_eq!(refused_by_robot(br#"{"errcode":310000,"errmsg":"x"}"#).unwrap(), "errcode 310000");
        assert_eq!(refused_by_robot(b"<html>").unwrap(), "no errcode in the answer");
        let now = 1_445_412_420_000;
        assert_eq!(retry_after("120", now), Some(120_000));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now), Some(60_000));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(back_off(1, 0.0, Some(90_000)), 90_000);
        assert_eq!(back_off(1, 0.0, Some(i64::MAX)), LONGEST_ASKED_MS);
        assert_eq!(back_off(1, 0.0, Some(-5)), 2_500);
    }

    proptest! {
        #[test]
        fn what_is_quiet_from_one_minute_until_another_is_loud_the_other_way_round(a in 0..1440_u16, b in 0..1440_u16) {
            prop_assume!(a != b);
            let (a, b) = (Minute::new(a).unwrap(), Minute::new(b).unwrap());
            let quiet = Quiet { from: a, until: b };
            let loud = Quiet { from: b, until: a };
            let minutes = (0..1440).filter(|minute| quiet.holds_at(*minute)).count();
            let length = (1440 + usize::from(b.get()) - usize::from(a.get())) % 1440;
            prop_assert_eq!(minutes, length);
            prop_assert!((0..1440).all(|minute| quiet.holds_at(minute) != loud.holds_at(minute)));
        }

        #[test]
        fn it_backs_off_from_seconds_to_half_an_hour(attempts in 1..u32::MAX, one in 0.0..=1.0_f64, other in 0.0..=1.0_f64) {
            let wait = back_off(attempts, one, None);
            prop_assert!((2_500..=30 * 60_000).contains(&wait));
            // However the chances fall, a later wait is no shorter than half the full one before it.
            prop_assert!(back_off(attempts.saturating_add(1), other, None) >= wait / 2);
            prop_assert!(back_off(attempts, 0.0, None) <= wait && wait <= back_off(attempts, 1.0, None));
        }
    }
}
