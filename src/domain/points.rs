//! What of an event goes to a time-series server: a point of the measurement that is called as the event's type.
//!
//! A point's name is its measurement, its tags and its time; a point written again replaces the one of that name. So tags
//! hold only what never changes and has few values, and whatever may change later (timing, verdict) is a field that is
//! written each time. Households and cards are never exported, nor is what volunteers write: erasing a household leaves
//! nothing to be taken back.
//!
//! | measurement | tags beside `community`, `site`, `device` | fields beside `boot`, `seq`, `delay_ms`, `unsynced` |
//! |---|---|---|
//! | `deposit` | `stream` | `grams`; 1 or 0: `in_window`, `makeup`, `off_hours`, `correct`, `incorrect`, `unjudged`; `reason` |
//! | `fill` | `stream` | `percent`, `celsius` |
//! | `emptied` | `stream` | `grams` |
//! | `door` | `by` | `open` |
//! | `alarm` | `alarm` | `active` |
//! | `judgement` | | `correct`, `incorrect`, `confidence`, `reason`, `of_device`, `of_boot`, `of_seq` |
//! | `sighting` | `what` | `confidence` |
//! | `display`, `executed` | `status` | `command`, `detail` |
//! | `heartbeat` | | `celsius`, `millivolts`, `rssi` |
//! | `lost` | | `of_boot`, `from`, `to`, `events` |

use fenlei_wire::vocabulary::{Timing, Verdict};

use super::event::{Body, Event, Judged};
use super::line::{Point, Value};
use super::registry::VOLUNTEERS;

/// Points of one series that one millisecond has room for.
const DIGITS: u64 = 1_000_000;
/// By how much the digits of a boot and of an incarnation are shifted: by these the nearest ones lie far apart.
const BOOT_SHIFT: u64 = 618_033;
const INCARNATION_SHIFT: u64 = 414_213;

/// An event with its place and what is known of it by now.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    pub community: &'a str,
    pub site: &'a str,
    pub device: &'a str,
    pub incarnation: u32,
    /// Unix milliseconds.
    pub received: i64,
    pub event: &'a Event,
    /// Of a deposit.
    pub timing: Option<Timing>,
    /// Of a deposit: the one that stands.
    pub verdict: Option<Verdict>,
}

/// The point of an event.
pub fn point<'a>(placed: &Placed<'a>) -> Point<'a> {
    let event = placed.event;
    let mut tags = vec![("community", placed.community), ("site", placed.site), ("device", placed.device)];
    let mut fields = Vec::with_capacity(12);
    match &event.body {
        Body::Deposit(deposit) => {
            tags.push(("stream", deposit.stream.as_str()));
            fields.push(("grams", Value::Integer(deposit.grams.into())));
            for timing in Timing::ALL {
                fields.push((timing.as_str(), flag(placed.timing == Some(*timing))));
            }
            verdict(&mut fields, placed.verdict);
            fields.push(("unjudged", flag(placed.verdict.is_none())));
            if let Some(reason) = deposit.reason.as_deref().filter(|_| placed.device != VOLUNTEERS) {
                fields.push(("reason", Value::Text(reason.into())));
            }
        }
        Body::Fill(fill) => {
            tags.push(("stream", fill.stream.as_str()));
            fields.push(("percent", Value::Float(fill.percent)));
            measured(&mut fields, "celsius", fill.celsius);
        }
        Body::Emptied(emptied) => {
            tags.push(("stream", emptied.stream.as_str()));
            fields.push(("grams", Value::Integer(emptied.grams.into())));
        }
        Body::Door(door) => {
            tags.push(("by", door.by.as_str()));
            fields.push(("open", flag(door.open)));
        }
        Body::Alarm(alarm) => {
            tags.push(("alarm", alarm.alarm.as_str()));
            fields.push(("active", flag(alarm.active)));
        }
        Body::Judgement(judgement) => {
            verdict(&mut fields, Some(judgement.verdict));
            measured(&mut fields, "confidence", judgement.confidence);
            if let Some(reason) = judgement.reason {
                fields.push(("reason", Value::Text(reason.as_str().into())));
            }
            fields.push(("of_device", Value::Text(judgement.judged.device().into())));
            if let Judged::Deposit(deposit) = &judgement.judged {
                fields.push(("of_boot", Value::Integer(deposit.boot.into())));
                fields.push(("of_seq", integer(deposit.seq)));
            }
        }
        Body::Sighting(sighting) => {
            tags.push(("what", sighting.what.as_str()));
            fields.push(("confidence", Value::Float(sighting.confidence)));
        }
        Body::Display(display) => {
            tags.push(("status", display.status.as_str()));
            answered(&mut fields, &display.command, display.detail.as_deref());
        }
        Body::Executed(executed) => {
            tags.push(("status", executed.status.as_str()));
            answered(&mut fields, &executed.command, executed.detail.as_deref());
        }
        Body::Heartbeat(heartbeat) => {
            measured(&mut fields, "celsius", heartbeat.celsius);
            measured(&mut fields, "millivolts", heartbeat.millivolts);
            measured(&mut fields, "rssi", heartbeat.rssi);
        }
        Body::Lost(lost) => {
            fields.push(("of_boot", Value::Integer(lost.of_boot.into())));
            fields.push(("from", integer(lost.from)));
            fields.push(("to", integer(lost.to)));
            fields.push(("events", integer(lost.to.saturating_sub(lost.from).saturating_add(1))));
        }
    }
    fields.push(("boot", Value::Integer(event.boot.into())));
    fields.push(("seq", integer(event.seq)));
    fields.push(("delay_ms", Value::Integer(placed.received.saturating_sub(event.time))));
    fields.push(("unsynced", flag(event.unsynced)));
    let time = nanoseconds(event.time, placed.incarnation, event.boot, event.seq);
    Point { measurement: event.body.event_type().as_str(), tags, fields, time }
}

/// The time of an event's point: its millisecond, and below that six digits made of its name, so that the same event is
/// always the same point and distinct events of one series and millisecond are distinct ones.
///
/// Of one boot a million events in a row have different digits. Two boots less than 100 apart share digits only where
/// their seqs are 4,000 or more apart.
fn nanoseconds(millisecond: i64, incarnation: u32, boot: u32, seq: u64) -> i64 {
    let shifted = u64::from(boot) * BOOT_SHIFT + u64::from(incarnation) * INCARNATION_SHIFT;
    let digits = (seq % DIGITS + shifted % DIGITS) % DIGITS;
    millisecond.saturating_mul(1_000_000).saturating_add_unsigned(digits)
}

fn flag(holds: bool) -> Value<'static> {
    Value::Integer(holds.into())
}

fn integer(number: u64) -> Value<'static> {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn verdict<'a>(fields: &mut Vec<(&'a str, Value<'a>)>, verdict: Option<Verdict>) {
    for known in Verdict::ALL {
        fields.push((known.as_str(), flag(verdict == Some(*known))));
    }
}

fn measured<'a>(fields: &mut Vec<(&'a str, Value<'a>)>, name: &'static str, value: Option<f64>) {
    fields.extend(value.map(|value| (name, Value::Float(value))));
}

fn answered<'a>(fields: &mut Vec<(&'a str, Value<'a>)>, command: &'a str, detail: Option<&'a str>) {
    fields.push(("command", Value::Text(command.into())));
    fields.extend(detail.map(|detail| ("detail", Value::Text(detail.into()))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(incarnation: u32, boot: u32, seq: u64) -> i64 {
        nanoseconds(0, incarnation, boot, seq)
    }

    #[test]
    fn the_digits_stay_below_the_millisecond() {
        for seq in [1, 999_999, 1_000_000, (1 << 53) - 1] {
            let time = nanoseconds(1_764_000_000_123, u32::MAX, u32::MAX, seq);
            assert_eq!(time.div_euclid(1_000_000), 1_764_000_000_123, "{seq}");
        }
        assert_eq!(nanoseconds(-1, 0, 0, 7), -999_993);
    }

    #[test]
    fn events_of_one_millisecond_have_their_own_digits() {
        let of_a_boot: std::collections::BTreeSet<_> = (1..=DIGITS).map(|seq| digits(1, 7, seq)).collect();
        assert_eq!(of_a_boot.len() as u64, DIGITS);
        assert_eq!(digits(1, 7, 1), digits(1, 7, 1 + DIGITS), "and after that they come again");
    }

    #[test]
    fn boots_and_incarnations_near_each_other_lie_far_apart() {
        let room = |one: i64, other: i64| {
            let apart = (one - other).rem_euclid(1_000_000);
            apart.min(1_000_000 - apart)
        };
        for boots in 1..100 {
            assert!(room(digits(1, 1, 1), digits(1, 1 + boots, 1)) > 4_000, "{boots}");
        }
        for incarnation in 2..=10 {
            for boot in 1..=41 {
                assert!(room(digits(1, 21, 1), digits(incarnation, boot, 1)) > 1_500, "{incarnation} {boot}");
            }
        }
    }
}
