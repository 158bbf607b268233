//! What projectors are asked to show, and when: messages, the spans they ask for, and which of them has a projector.
//!
//! The rule where spans overlap: the message that began last shows; of those that began together the one with the
//! narrower target (device, site, community), of these the one made later. When it ends, an earlier one that still lasts
//! goes on for what is left of it.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use fenlei_wire::schedule::Minute;
use serde::{Deserialize, Serialize};
use sunrise::{Coordinates, SolarDay, SolarEvent};

use super::registry::{Device, Registry, Site};
use super::zone::{opens_at, today};

/// The longest span one message may ask for, in seconds.
pub const MAX_SECONDS: u32 = 24 * 60 * 60;
/// How far from sunset a daily message may begin, in minutes.
const MAX_OFFSET: i32 = 6 * 60;

/// Where a message is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase", try_from = "Named")]
pub enum Target {
    Community(String),
    Site(String),
    Device(String),
}

/// A [`Target`] as it is read: several at once are a mistake in words of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    community: Option<String>,
    site: Option<String>,
    device: Option<String>,
}

impl TryFrom<Named> for Target {
    type Error = &'static str;

    fn try_from(named: Named) -> Result<Self, Self::Error> {
        match (named.community, named.site, named.device) {
            (Some(community), None, None) => Ok(Self::Community(community)),
            (None, Some(site), None) => Ok(Self::Site(site)),
            (None, None, Some(device)) => Ok(Self::Device(device)),
            _ => Err("expected an object with exactly one of `community`, `site`, `device`"),
        }
    }
}

impl Target {
    fn narrowness(&self) -> u8 {
        match self {
            Self::Community(_) => 0,
            Self::Site(_) => 1,
            Self::Device(_) => 2,
        }
    }

    /// Whether it means this projector.
    pub fn means(&self, device: &Device, site: &Site) -> bool {
        match self {
            Self::Community(id) => *id == site.community,
            Self::Site(id) => *id == site.id,
            Self::Device(id) => *id == device.id,
        }
    }

    /// The community that it lies in, if it is registered.
    pub fn community<'a>(&'a self, registry: &'a Registry) -> Option<&'a str> {
        match self {
            Self::Community(id) => registry.communities.get(id).map(|community| community.id.as_str()),
            Self::Site(id) => registry.sites.get(id).map(|site| site.community.as_str()),
            Self::Device(id) => registry.place(id).map(|(_, _, community)| community.id.as_str()),
        }
    }
}

/// When a daily message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Local(Minute),
    /// So many minutes after sunset at the site; before it where negative.
    Sunset(i32),
}

impl Start {
    /// Reads `18:30`, `sunset`, `sunset+00:15` or `sunset-01:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(offset) = text.strip_prefix("sunset") else {
            return Minute::parse(text).filter(|minute| *minute < Minute::END_OF_DAY).map(Self::Local);
        };
        let (sign, offset) = match offset.split_at_checked(1) {
            None => return Some(Self::Sunset(0)),
            Some(("+", offset)) => (1, offset),
            Some(("-", offset)) => (-1, offset),
            Some(_) => return None,
        };
        let offset = sign * i32::from(Minute::parse(offset)?.get());
        (offset.abs() <= MAX_OFFSET).then_some(Self::Sunset(offset))
    }
}

/// When a message is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once, from this instant (Unix milliseconds).
    Once { at: i64, seconds: u32 },
    /// On every local day from `from` to `until`, both included.
    Daily { start: Start, seconds: u32, from: NaiveDate, until: Option<NaiveDate> },
}

/// A message that a scheduler made.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Grows with each message.
    pub number: i64,
    pub target: Target,
    pub when: When,
}

/// A span in which a message asks for a projector, or has it: `[start, end)` in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub message: i64,
    pub start: i64,
    pub end: i64,
}

/// Why a message cannot be shown at a site.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "site {0} has no `latitude` and `longitude`, so its sunset is not known: give it these, or a local time as `start`"
)]
pub struct NoCoordinates(pub String);

/// Whether the sunset that a message needs can be computed at `site`.
pub fn check_place(when: &When, site: &Site) -> Result<(), NoCoordinates> {
    match when {
        When::Daily { start: Start::Sunset(_), .. } if coordinates(site).is_none() => {
            Err(NoCoordinates(site.id.clone()))
        }
        _ => Ok(()),
    }
}

fn coordinates(site: &Site) -> Option<Coordinates> {
    Coordinates::new(site.latitude?, site.longitude?)
}

/// Which message has a projector of `site`, and when, as far as it concerns `from..until`: in order, without overlaps.
pub fn timeline(messages: &[&Message], site: &Site, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Span> {
    let mut asked: Vec<(Span, u8)> = Vec::new();
    for message in messages {
        let narrowness = message.target.narrowness();
        let mut ask = |start: i64, seconds: u32| {
            let end = start + i64::from(seconds) * 1000;
            if start < until.timestamp_millis() && from.timestamp_millis() < end {
                asked.push((Span { message: message.number, start, end }, narrowness));
            }
        };
        match message.when {
            When::Once { at, seconds } => ask(at, seconds),
            When::Daily { start, seconds, from: first, until: last } => {
                // What began yesterday may still last; a sunset may lie beyond midnight.
                let begin = today(site.zone, from).checked_sub_days(Days::new(2)).unwrap_or(first).max(first);
                let end = today(site.zone, until).checked_add_days(Days::new(1)).unwrap_or(begin);
                let end = last.map_or(end, |last| last.min(end));
                for date in begin.iter_days().take_while(|date| *date <= end) {
                    if let Some(start) = begins(start, site, date) {
                        ask(start.timestamp_millis(), seconds);
                    }
                }
            }
        }
    }
    let mut edges: Vec<i64> = asked.iter().flat_map(|(span, _)| [span.start, span.end]).collect();
    edges.sort_unstable();
    edges.dedup();
    let mut shown: Vec<Span> = Vec::new();
    for pair in edges.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        let wanting = asked.iter().filter(|(span, _)| span.start <= start && end <= span.end);
        let Some((first, _)) = wanting.max_by_key(|(span, narrow)| (span.start, *narrow, span.message)) else {
            continue;
        };
        match shown.last_mut().filter(|last| last.message == first.message && last.end == start && first.start != start)
        {
            Some(last) => last.end = end,
            None => shown.push(Span { message: first.message, start, end }),
        }
    }
    shown
}

/// When a daily message begins on a date; `None`: the sun does not set on it.
fn begins(start: Start, site: &Site, date: NaiveDate) -> Option<DateTime<Utc>> {
    match start {
        Start::Local(minute) => Some(opens_at(site.zone, date, minute.get())),
        Start::Sunset(offset) => {
            let sunset = SolarDay::new(coordinates(site)?, date).event_time(SolarEvent::Sunset)?;
            Some(sunset + TimeDelta::minutes(offset.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::timetable::Timetable;
    use crate::domain::zone::Tz;

    fn site(zone: Tz) -> Site {
        Site {
            key: 1,
            id: "gate".into(),
            community: "garden".into(),
            name: "Gate".into(),
            zone,
            latitude: Some(31.23),
            longitude: Some(121.47),
            schedules: Vec::new(),
            timetable: Timetable::new(zone, []),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn once(number: i64, target: Target, start: &str, seconds: u32) -> Message {
        Message { number, target, when: When::Once { at: at(start).timestamp_millis(), seconds } }
    }

    fn daily(number: i64, start: &str, seconds: u32) -> Message {
        let (start, from) = (Start::parse(start).unwrap(), "2026-01-01".parse().unwrap());
        let when = When::Daily { start, seconds, from, until: None };
        Message { number, target: Target::Community("garden".into()), when }
    }

    fn shown(messages: &[Message], zone: Tz, from: &str, until: &str) -> Vec<(i64, String, String)> {
        let messages: Vec<_> = messages.iter().collect();
        let text = |millis: i64| {
            DateTime::from_timestamp_millis(millis).unwrap().with_timezone(&zone).format("%d %H:%M").to_string()
        };
        let spans = timeline(&messages, &site(zone), at(from), at(until));
        spans.iter().map(|span| (span.message, text(span.start), text(span.end))).collect()
    }

    #[test]
    fn the_last_begun_shows_and_the_earlier_goes_on() {
        let evening = daily(1, "18:00", 7200);
        let call = once(2, Target::Site("gate".into()), "2026-11-20T19:00:00+08:00", 1800);
        let (from, until) = ("2026-11-20T12:00:00+08:00", "2026-11-20T23:00:00+08:00");
        let zone = chrono_tz::Asia::Shanghai;
        assert_eq!(
            shown(&[evening.clone(), call.clone()], zone, from, until),
            [
                (1, "20 18:00".into(), "20 19:00".into()),
                (2, "20 19:00".into(), "20 19:30".into()),
                (1, "20 19:30".into(), "20 20:00".into())
            ]
        );
        // Of two that begin together the narrower, then the newer.
        let same = once(3, Target::Device("p".into()), "2026-11-20T18:00:00+08:00", 600);
        assert_eq!(shown(&[evening, same], zone, from, until)[0].0, 3);
        let newer = once(4, Target::Site("gate".into()), "2026-11-20T19:00:00+08:00", 60);
        assert_eq!(shown(&[call, newer], zone, from, until)[0].0, 4);
    }

    #[test]
    fn a_daily_message_keeps_the_wall_clock_over_the_end_of_summer_time() {
        let berlin = chrono_tz::Europe::Berlin;
        let evening = daily(1, "18:30", 3600);
        let spans = shown(&[evening], berlin, "2026-10-24T12:00:00+02:00", "2026-10-25T23:00:00+01:00");
        assert_eq!(spans, [(1, "24 18:30".into(), "24 19:30".into()), (1, "25 18:30".into(), "25 19:30".into())]);
    }

    #[test]
    fn sunset_at_the_site() {
        // The almanac has sunset in Shanghai on 2026-11-20 at 16:54.
        let messages = [daily(1, "sunset+00:15", 600)];
        let spans =
            shown(&messages, chrono_tz::Asia::Shanghai, "2026-11-20T12:00:00+08:00", "2026-11-20T23:00:00+08:00");
        let [(_, start, _)] = spans.as_slice() else { panic!("{spans:?}") };
        assert!(("20 17:08".."20 17:11").contains(&start.as_str()), "{start}");
        // North of the polar circle it may not set at all.
        let mut north = site(chrono_tz::Europe::Oslo);
        (north.latitude, north.longitude) = (Some(69.65), Some(18.96));
        let (from, until) = (at("2026-06-20T00:00:00Z"), at("2026-06-22T00:00:00Z"));
        assert_eq!(timeline(&[&messages[0]], &north, from, until), []);
        north.latitude = None;
        assert_eq!(check_place(&messages[0].when, &north), Err(NoCoordinates("gate".into())));
    }

    #[test]
    fn starts_as_people_write_them() {
        assert_eq!(Start::parse("18:30"), Minute::new(1110).map(Start::Local));
        assert_eq!(Start::parse("sunset"), Some(Start::Sunset(0)));
        assert_eq!(Start::parse("sunset-01:00"), Some(Start::Sunset(-60)));
        for bad in ["24:00", "sunset+07:00", "sunset15", "sunset+", "sunrise", "", "18.30"] {
            assert_eq!(Start::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        /// Held against the rule as it is stated, minute by minute.
        #[test]
        fn the_timeline_is_the_rule(spans in prop::collection::vec((0i64..600, 1u32..300, 0u8..3), 0..8)) {
            let begin = at("2026-11-20T00:00:00Z");
            let messages: Vec<_> = spans.iter().enumerate().map(|(number, (start, minutes, narrow))| {
                let target = match narrow {
                    0 => Target::Community("garden".into()),
                    1 => Target::Site("gate".into()),
                    _ => Target::Device("p".into()),
                };
                let at = (begin + TimeDelta::minutes(*start)).timestamp_millis();
                Message { number: i64::try_from(number).unwrap(), target, when: When::Once { at, seconds: minutes * 60 } }
            }).collect();
            let shown = timeline(&messages.iter().collect::<Vec<_>>(), &site(chrono_tz::UTC), begin, begin + TimeDelta::days(1));
            for pair in shown.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            for minute in 0..1000 {
                let now = begin.timestamp_millis() + minute * 60_000;
                let lasting = spans.iter().enumerate().filter(|(_, (start, minutes, _))| {
                    (*start..*start + i64::from(*minutes)).contains(&minute)
                });
                let first = lasting.max_by_key(|(number, (start, _, narrow))| (*start, *narrow, *number));
                let first = first.map(|(number, _)| i64::try_from(number).unwrap());
                let span = shown.iter().find(|span| span.start <= now && now < span.end);
                prop_assert_eq!(span.map(|span| span.message), first, "minute {}", minute);
            }
        }
    }
}
