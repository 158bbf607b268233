//! Why an event was not accepted: a stable code for programs and a sentence for the person who mends it.
//!
//! The sentence names fields, never their values: a value may be somebody's card.

use std::fmt;

/// The kind of a refusal; the names are part of the public quarantine listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    NotJson,
    NotAnEvent,
    TooLarge,
    TooMany,
    MissingField,
    InvalidField,
    UnknownType,
    WrongKind,
    UnknownDevice,
    TopicMismatch,
    UnknownTarget,
    TimeAhead,
    TimeBehind,
    InvalidState,
}

impl Reason {
    pub const ALL: [Self; 14] = [
        Self::NotJson,
        Self::NotAnEvent,
        Self::TooLarge,
        Self::TooMany,
        Self::MissingField,
        Self::InvalidField,
        Self::UnknownType,
        Self::WrongKind,
        Self::UnknownDevice,
        Self::TopicMismatch,
        Self::UnknownTarget,
        Self::TimeAhead,
        Self::TimeBehind,
        Self::InvalidState,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnEvent => "not_an_event",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::MissingField => "missing_field",
            Self::InvalidField => "invalid_field",
            Self::UnknownType => "unknown_type",
            Self::WrongKind => "wrong_kind",
            Self::UnknownDevice => "unknown_device",
            Self::TopicMismatch => "topic_mismatch",
            Self::UnknownTarget => "unknown_target",
            Self::TimeAhead => "time_ahead",
            Self::TimeBehind => "time_behind",
            Self::InvalidState => "invalid_state",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refusal: its code and what to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub detail: String,
}

impl Refusal {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
