//! What a projector shows: the message it was sent last, for as long as it was asked to, and else its evening message.
//! The evening message needs no network: a projector that is cut off writes it every evening all the same.

use fenlei_wire::command::CommandBody;
use fenlei_wire::config::{Config, Evening};
use fenlei_wire::limits::MAX_TEXT_BYTES;
use fenlei_wire::time::UnixMillis;
use heapless::String;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What it says.
    pub text: String<MAX_TEXT_BYTES>,
    /// When it ends.
    pub until: UnixMillis,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture<'a> {
    /// Nothing.
    Dark,
    /// The message that was sent last.
    Sent(&'a str),
    /// The projector's own message of the evening, of which it says so under [`EVENING`](fenlei_wire::command::EVENING).
    Evening(&'a str),
}

/// A projector's picture over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    sent: Option<Sent>,
}

impl Screen {
    /// Nothing sent.
    #[must_use]
    pub const fn new() -> Self {
        Self { sent: None }
    }

    /// With the message that an earlier boot stored.
    #[must_use]
    pub const fn restored(sent: Option<Sent>) -> Self {
        Self { sent }
    }

    /// The message sent last, to be stored.
    #[must_use]
    pub const fn sent(&self) -> Option<&Sent> {
        self.sent.as_ref()
    }

    /// Takes a command; `false` if it is none for a projector. `clear` ends the message that was sent; in the evening the
    /// evening message comes back.
    pub fn obey(&mut self, command: &CommandBody, now: UnixMillis) -> bool {
        match command {
            CommandBody::Display { text, seconds } => {
                let until = UnixMillis(now.0.saturating_add(i64::from(*seconds) * 1000));
                self.sent = Some(Sent { text: text.clone(), until });
                true
            }
            CommandBody::Clear => {
                self.sent = None;
                true
            }
            CommandBody::Lock { .. } | CommandBody::Unlock { .. } => false,
        }
    }

    /// What is shown now; `now` is absent while the clock is not set, and then there is no evening.
    pub fn picture<'a>(&'a mut self, config: Option<&'a Config>, now: Option<UnixMillis>) -> Picture<'a> {
        if self.sent.as_ref().zip(now).is_some_and(|(sent, now)| sent.until <= now) {
            self.sent = None;
        }
        if let Some(sent) = &self.sent {
            return Picture::Sent(&sent.text);
        }
        let evening = config.zip(now).and_then(|(config, now)| {
            let evening = config.evening.as_ref()?;
            lasting(config, evening, now).map(|_| evening.text.as_str())
        });
        evening.map_or(Picture::Dark, Picture::Evening)
    }

    /// When the picture may change next, if nothing happens before.
    #[must_use]
    pub fn next_change(&self, config: Option<&Config>, now: UnixMillis) -> Option<UnixMillis> {
        if let Some(sent) = &self.sent {
            return Some(sent.until);
        }
        let config = config?;
        let evening = config.evening.as_ref()?;
        let next = (-1..=1).filter_map(|day| begins(config, evening, now, day)).filter(|begin| *begin > now).min();
        lasting(config, evening, now).or(next)
    }
}

/// When the evening begins on the local day so many after today; `None` where the clock skips that minute.
fn begins(config: &Config, evening: &Evening, now: UnixMillis, day: i64) -> Option<UnixMillis> {
    let (minutes, today) = (i64::from(evening.start.get()), config.offset_minutes(now));
    let local_day = (now.0 + i64::from(today) * MINUTE).div_euclid(DAY) + day;
    let at = |offset: i16| UnixMillis(local_day * DAY + (minutes - i64::from(offset)) * MINUTE);
    // The offset of that evening may be another than today's.
    let then = config.offset_minutes(at(today));
    let begin = at(then);
    (config.offset_minutes(begin) == then).then_some(begin)
}

/// Until when the evening that lasts now lasts; one longer than until midnight goes on into the next day.
fn lasting(config: &Config, evening: &Evening, now: UnixMillis) -> Option<UnixMillis> {
    let end = |begin: UnixMillis| UnixMillis(begin.0 + i64::from(evening.seconds) * 1000);
    let mut begun = [0, -1].into_iter().filter_map(|day| begins(config, evening, now, day));
    begun.find(|begin| *begin <= now && now < end(*begin)).map(end)
}
