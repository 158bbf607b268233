//! What a device is told to do once. A command is known by its id: the backend may send it again until it expires, and
//! the device must not carry it out again.

use heapless::String;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::limits::{MAX_COMMAND_ID, MAX_TEXT_BYTES, MAX_TIME_BYTES};
use crate::time::UnixMillis;

/// The command that a projector names when it says that it shows its own message of the evening. No command of the
/// backend's has this id.
pub const EVENING: &str = "evening";

/// Content of the `command` channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Flat")]
pub struct Command {
    /// Its id.
    pub id: String<MAX_COMMAND_ID>,
    /// RFC 3339 time from which it is void.
    pub expires: String<MAX_TIME_BYTES>,
    /// What to do.
    pub body: CommandBody,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "without an allocator the text lies in the command, and few are held at once"
)]
pub enum CommandBody {
    /// Show a text (projector).
    Display {
        /// The text.
        text: String<MAX_TEXT_BYTES>,
        /// For how long.
        seconds: u32,
    },
    /// Show nothing (projector).
    Clear,
    /// Keep the lid locked (bin).
    Lock {
        /// For how long, whatever the schedule says meanwhile; absent: until the schedule next locks or unlocks it.
        seconds: Option<u32>,
    },
    /// Keep the lid unlocked (bin).
    Unlock {
        /// As for [`Lock`](Self::Lock).
        seconds: Option<u32>,
    },
}

impl Command {
    /// When it expires; `None` if the text is no time.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        UnixMillis::parse_rfc3339(&self.expires)
    }
}

/// Internally tagged enums of serde need an allocator; this is the same by hand.
#[derive(Deserialize)]
struct Flat {
    id: String<MAX_COMMAND_ID>,
    expires: String<MAX_TIME_BYTES>,
    r#type: String<16>,
    text: Option<String<MAX_TEXT_BYTES>>,
    seconds: Option<u32>,
}

impl TryFrom<Flat> for Command {
    type Error = &'static str;

    fn try_from(flat: Flat) -> Result<Self, Self::Error> {
        if flat.id.is_empty() {
            return Err("a command needs an id");
        }
        let body = match flat.r#type.as_str() {
            "display" => CommandBody::Display {
                text: flat.text.ok_or("a display command needs a text")?,
                seconds: flat.seconds.ok_or("a display command needs seconds")?,
            },
            "clear" => CommandBody::Clear,
            "lock" => CommandBody::Lock { seconds: flat.seconds },
            "unlock" => CommandBody::Unlock { seconds: flat.seconds },
            _ => return Err("unknown type of command"),
        };
        Ok(Self { id: flat.id, expires: flat.expires, body })
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, text, seconds) = match &self.body {
            CommandBody::Display { text, seconds } => ("display", Some(text), Some(*seconds)),
            CommandBody::Clear => ("clear", None, None),
            CommandBody::Lock { seconds } => ("lock", None, *seconds),
            CommandBody::Unlock { seconds } => ("unlock", None, *seconds),
        };
        let fields = 3 + usize::from(text.is_some()) + usize::from(seconds.is_some());
        let mut object = serializer.serialize_struct("Command", fields)?;
        object.serialize_field("id", &self.id)?;
        object.serialize_field("expires", &self.expires)?;
        object.serialize_field("type", name)?;
        if let Some(text) = text {
            object.serialize_field("text", text)?;
        }
        if let Some(seconds) = seconds {
            object.serialize_field("seconds", &seconds)?;
        }
        object.end()
    }
}
