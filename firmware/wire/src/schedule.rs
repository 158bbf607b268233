//! Windows of a day and what they mean for a deposit. Bins open their lids by it and the backend classifies by it, so that
//! a resident who was let in is never counted as too late. No dates and no time zones here: only minutes of a local day.

use core::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::vocabulary::{Stream, Timing};

/// A minute of a local day: 0 to 1440, where 1440 is the end of the day (`24:00`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(u16);

impl Minute {
    /// `24:00`.
    pub const END_OF_DAY: Self = Self(1440);

    /// The minute, if a day has it.
    #[must_use]
    pub const fn new(minute: u16) -> Option<Self> {
        if minute <= Self::END_OF_DAY.0 { Some(Self(minute)) } else { None }
    }

    /// Minutes since midnight.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Reads `HH:MM`, exactly five characters; `24:00` is the end of the day.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let [h1, h2, b':', m1, m2] = *text.as_bytes() else { return None };
        if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
            return None;
        }
        let (hour, minute) = ((h1 - b'0') * 10 + h2 - b'0', (m1 - b'0') * 10 + m2 - b'0');
        if minute > 59 {
            return None;
        }
        Self::new(u16::from(hour) * 60 + u16::from(minute))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for Minute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Minute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Minute;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of day as HH:MM, up to 24:00")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Minute, E> {
                Minute::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A set of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamSet(u8);

impl StreamSet {
    /// Every stream: what a window without `streams` is for.
    pub const ALL: Self = Self(0b1111);
    /// No stream.
    pub const EMPTY: Self = Self(0);

    /// Whether the stream is in the set.
    #[must_use]
    pub const fn contains(self, stream: Stream) -> bool {
        self.0 & (1 << stream as u8) != 0
    }

    /// Puts a stream into the set.
    pub const fn insert(&mut self, stream: Stream) {
        self.0 |= 1 << stream as u8;
    }

    /// Whether the set has no stream.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set has every stream.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.0 == Self::ALL.0
    }

    /// The streams of the set, in the order of the vocabulary.
    pub fn iter(self) -> impl Iterator<Item = Stream> + Clone {
        Stream::ALL.iter().copied().filter(move |stream| self.contains(*stream))
    }
}

impl Default for StreamSet {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Stream> for StreamSet {
    fn from_iter<I: IntoIterator<Item = Stream>>(streams: I) -> Self {
        let mut set = Self::EMPTY;
        streams.into_iter().for_each(|stream| set.insert(stream));
        set
    }
}

impl Serialize for StreamSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.iter().count()))?;
        self.iter().try_for_each(|stream| list.serialize_element(&stream))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for StreamSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = StreamSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of at least one stream")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<StreamSet, A::Error> {
                let mut set = StreamSet::EMPTY;
                while let Some(stream) = list.next_element()? {
                    set.insert(stream);
                }
                // A window for no stream at all is a mistake of whoever wrote it, never a wish.
                if set.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(set) }
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// A set of days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DaySet(u8);

impl DaySet {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);
    /// No day.
    pub const EMPTY: Self = Self(0);

    const NAMES: [&'static str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// Whether the weekday (0 for Monday) is in the set.
    #[must_use]
    pub const fn contains(self, weekday: u8) -> bool {
        weekday < 7 && self.0 & (1 << weekday) != 0
    }

    /// Puts a weekday (0 for Monday) into the set; there is nothing beyond 6 to put.
    pub const fn insert(&mut self, weekday: u8) {
        if weekday < 7 {
            self.0 |= 1 << weekday;
        }
    }

    /// Whether the set has no day.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The weekdays of the set, Monday (0) first.
    pub fn iter(self) -> impl Iterator<Item = u8> + Clone {
        (0..7).filter(move |weekday| self.contains(*weekday))
    }
}

impl FromIterator<u8> for DaySet {
    fn from_iter<I: IntoIterator<Item = u8>>(weekdays: I) -> Self {
        let mut set = Self::EMPTY;
        weekdays.into_iter().for_each(|weekday| set.insert(weekday));
        set
    }
}

impl Serialize for DaySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.iter().count()))?;
        self.iter().try_for_each(|weekday| list.serialize_element(Self::NAMES[usize::from(weekday)]))?;
        list.end()
    }
}

/// A weekday by its name.
struct Weekday(u8);

impl<'de> Deserialize<'de> for Weekday {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Weekday;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one of `mon` `tue` `wed` `thu` `fri` `sat` `sun`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Weekday, E> {
                match DaySet::NAMES.iter().position(|name| *name == text) {
                    Some(weekday) => Ok(Weekday(weekday as u8)),
                    None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_str(Name)
    }
}

impl<'de> Deserialize<'de> for DaySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = DaySet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of at least one day of the week")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<DaySet, A::Error> {
                let mut set = DaySet::EMPTY;
                while let Some(Weekday(weekday)) = list.next_element()? {
                    set.insert(weekday);
                }
                if set.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(set) }
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// A span of a local day in which deposits are welcome (or, as makeup, allowed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// First minute of the window.
    pub open: Minute,
    /// First minute after the window.
    pub close: Minute,
    /// What it is for.
    pub streams: StreamSet,
    /// Whether it is a makeup window (误时投放).
    pub makeup: bool,
}

impl Window {
    /// Whether the minute lies in `[open, close)`.
    #[must_use]
    pub const fn contains(&self, minute: u16) -> bool {
        self.open.get() <= minute && minute < self.close.get()
    }
}

/// How a deposit of this stream at this local minute lies in the windows of its day: an open window goes before a makeup
/// window, and a window counts only for its streams.
#[must_use]
pub fn timing<'a>(windows: impl IntoIterator<Item = &'a Window> + Clone, minute: u16, stream: Stream) -> Timing {
    let mut timing = Timing::OffHours;
    for window in windows {
        if window.contains(minute) && window.streams.contains(stream) {
            if !window.makeup {
                return Timing::InWindow;
            }
            timing = Timing::Makeup;
        }
    }
    timing
}

/// Whether the lid for this stream may stand open at this local minute.
#[must_use]
pub fn welcomes<'a>(windows: impl IntoIterator<Item = &'a Window> + Clone, minute: u16, stream: Stream) -> bool {
    timing(windows, minute, stream) != Timing::OffHours
}

/// The first opening or closing minute of the day after `minute`: until then nothing changes.
#[must_use]
pub fn next_edge(windows: &[Window], minute: u16) -> Option<u16> {
    windows.iter().flat_map(|window| [window.open.get(), window.close.get()]).filter(|edge| *edge > minute).min()
}
