//! Calendar arithmetic for devices, which carry no calendar library. Proleptic Gregorian, no leap seconds, no time zones:
//! an offset is an argument. Everything is total: what lies outside the years 0 to 9999 is held at their edge, because a
//! device with a broken clock must still be able to say so.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const DAY_MILLIS: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000.
const FIRST_MILLIS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999.
const LAST_MILLIS: i64 = 253_402_300_799_999;
/// Just short of a day: larger offsets cannot be written.
const MAX_OFFSET_MINUTES: i16 = 1439;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Reads an RFC 3339 time with its offset; digits beyond milliseconds are dropped.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let date = Date::parse(text.get(..10)?)?;
        let rest = text.get(10..)?.as_bytes();
        let [b'T' | b't', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = rest else { return None };
        let (hour, minute, second) = (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?);
        // A leap second is read as the first moment of the next minute.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (millis, rest) = fraction(rest)?;
        let offset = match rest {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let offset = hours * 60 + minutes;
                if *sign == b'-' { -offset } else { offset }
            }
            _ => return None,
        };
        let seconds = i64::from(date.days()) * 86_400 + hour * 3600 + (minute - offset) * 60 + second;
        Some(Self(seconds * 1000 + millis))
    }

    /// The local date at this offset.
    #[must_use]
    pub fn local_date(self, offset_minutes: i16) -> Date {
        // The edges of `local` keep the day number far within an i32.
        Date::from_days(self.local(offset_minutes).div_euclid(DAY_MILLIS) as i32)
    }

    /// The local minute of the day at this offset, 0 to 1439.
    #[must_use]
    pub fn local_minute(self, offset_minutes: i16) -> u16 {
        (self.local(offset_minutes).rem_euclid(DAY_MILLIS) / 60_000) as u16
    }

    fn local(self, offset_minutes: i16) -> i64 {
        self.0.saturating_add(i64::from(offset_minutes) * 60_000).clamp(FIRST_MILLIS, LAST_MILLIS)
    }
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from((tens - b'0') * 10 + ones - b'0'))
}

/// Milliseconds of an optional fraction, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = text.strip_prefix(b".") else { return Some((0, text)) };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(count);
    let padded = digits.iter().copied().chain([b'0'; 2]).take(3);
    Some((padded.fold(0, |millis, digit| millis * 10 + i64::from(digit - b'0')), rest))
}

/// Writes an instant as RFC 3339 with this offset and always three digits of a second: `2026-11-20T08:15:30.250+08:00`.
///
/// # Errors
/// Only those of `out`.
pub fn write_rfc3339(ms: UnixMillis, offset_minutes: i16, out: &mut impl fmt::Write) -> fmt::Result {
    let offset = offset_minutes.clamp(-MAX_OFFSET_MINUTES, MAX_OFFSET_MINUTES);
    let day_millis = ms.local(offset).rem_euclid(DAY_MILLIS);
    let (seconds, millis) = (day_millis / 1000, day_millis % 1000);
    write!(
        out,
        "{}T{:02}:{:02}:{:02}.{millis:03}{}{:02}:{:02}",
        ms.local_date(offset),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        if offset < 0 { '-' } else { '+' },
        offset.abs() / 60,
        offset.abs() % 60,
    )
}

/// Days since 1970-01-01 of a civil date (Howard Hinnant's algorithm: years begin in March, so that the leap day is last).
#[must_use]
pub const fn days_from_civil(year: i32, month: u8, day: u8) -> i32 {
    let (month, day) = (month as i32, day as i32);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a count of days since 1970-01-01: the inverse of [`days_from_civil`].
#[must_use]
pub const fn civil_from_days(days: i32) -> (i32, u8, u8) {
    let days = days as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u8;
    let month = (if shifted < 10 { shifted + 3 } else { shifted - 9 }) as u8;
    let year = (year_of_era + era * 400) as i32 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// A local date that exists, of the years 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

impl Date {
    /// The date, if the calendar has it.
    #[must_use]
    pub const fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        if year < 0 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        Some(Self { year, month, day })
    }

    /// The date this many days after 1970-01-01, held within the years 0 to 9999.
    #[must_use]
    pub fn from_days(days: i32) -> Self {
        let days = days.clamp((FIRST_MILLIS / DAY_MILLIS) as i32, (LAST_MILLIS / DAY_MILLIS) as i32);
        let (year, month, day) = civil_from_days(days);
        Self { year, month, day }
    }

    /// Reads `YYYY-MM-DD`, exactly ten characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else { return None };
        let year = two(y1, y2)? * 100 + two(y3, y4)?;
        Self::new(year as i32, two(m1, m2)? as u8, two(d1, d2)? as u8)
    }

    /// The year.
    #[must_use]
    pub const fn year(self) -> i32 {
        self.year
    }

    /// The month, from 1.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn days(self) -> i32 {
        days_from_civil(self.year, self.month, self.day)
    }

    /// Day of the week, 0 for Monday.
    #[must_use]
    pub const fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        (self.days() + 3).rem_euclid(7) as u8
    }
}

const fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Date;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a date as YYYY-MM-DD")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
                Date::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
