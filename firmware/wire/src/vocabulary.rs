//! The closed word lists of the contract. Each word has one spelling on the wire and one number for storage, kept here
//! and nowhere else, so that no other file spells a word by hand.

use core::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! vocabulary {
    ($(#[$about:meta])* $name:ident { $($(#[$word:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word])* $variant),+
        }

        impl $name {
            /// Every word of the list, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The spelling on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// The word spelt exactly so, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The number that stands for the word in storage: its position, from 1. Stored data depends on it, so it is
            /// never to be changed: new words are added at the end only.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8 + 1
            }

            /// The word that a stored number stands for.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                if code == 0 || code as usize > Self::ALL.len() {
                    None
                } else {
                    Some(Self::ALL[code as usize - 1])
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Word;

                impl Visitor<'_> for Word {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("one of" $(, " `", $text, "`")+))
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
                    }
                }

                deserializer.deserialize_str(Word)
            }
        }
    };
}

vocabulary! {
    /// What a device is.
    DeviceKind {
        /// A bin with a scale and a lid.
        Bin = "bin",
        /// A camera that judges and sights, and never sends an image.
        Camera = "camera",
        /// A projector that shows messages in the evening.
        Projector = "projector",
    }
}

vocabulary! {
    /// Where a piece of waste belongs.
    Stream {
        /// Kitchen waste (厨余, 湿垃圾).
        Food = "food",
        /// What is left (其他, 干垃圾).
        Residual = "residual",
        /// What can be used again (可回收物).
        Recyclable = "recyclable",
        /// What must be kept apart (有害垃圾).
        Hazardous = "hazardous",
    }
}

vocabulary! {
    /// What was found of a deposit that somebody or something judged.
    Verdict {
        /// Sorted well.
        Correct = "correct",
        /// Not sorted well.
        Incorrect = "incorrect",
    }
}

vocabulary! {
    /// Why a deposit is not sorted well.
    Reason {
        /// Several streams in one bag.
        Mixed = "mixed",
        /// Still in its bag.
        Bagged = "bagged",
        /// In the bin of another stream.
        WrongStream = "wrong_stream",
        /// The right stream, soiled.
        Contaminated = "contaminated",
    }
}

vocabulary! {
    /// Who opened or closed a lid.
    DoorBy {
        /// A resident.
        Resident = "resident",
        /// Somebody who runs the site.
        Staff = "staff",
        /// The bin itself, by its schedule.
        Schedule = "schedule",
    }
}

vocabulary! {
    /// What a device warns of.
    AlarmKind {
        /// No more fits in.
        Full = "full",
        /// Heat or smoke.
        Fire = "fire",
        /// The lid does not move.
        Jam = "jam",
        /// The device does not stand upright.
        Tilt = "tilt",
        /// Somebody opened the device.
        Tamper = "tamper",
        /// The battery is nearly empty.
        LowBattery = "low_battery",
        /// A sensor gives no sound values.
        Sensor = "sensor",
    }
}

vocabulary! {
    /// What a camera saw; never who.
    SightingKind {
        /// Waste thrown down.
        Littering = "littering",
        /// A bag beside the bins.
        BagOutside = "bag_outside",
        /// A bin that runs over.
        Overflow = "overflow",
        /// Smoke.
        Smoke = "smoke",
        /// Waste scattered about.
        Scattered = "scattered",
    }
}

vocabulary! {
    /// How far a projector came with a message.
    DisplayStatus {
        /// It will show it.
        Accepted = "accepted",
        /// It shows it.
        Displayed = "displayed",
        /// It will not show it.
        Refused = "refused",
        /// It could not show it.
        Failed = "failed",
    }
}

vocabulary! {
    /// What became of a command to a bin.
    ExecutedStatus {
        /// Carried out.
        Done = "done",
        /// The bin will not do it.
        Refused = "refused",
        /// The bin could not do it.
        Failed = "failed",
    }
}

vocabulary! {
    /// What an event tells of.
    EventType {
        /// Waste was put in.
        Deposit = "deposit",
        /// How full a bin is.
        Fill = "fill",
        /// A bin was emptied.
        Emptied = "emptied",
        /// A lid opened or closed.
        Door = "door",
        /// An alarm began or ended.
        Alarm = "alarm",
        /// A camera judged a deposit.
        Judgement = "judgement",
        /// A camera saw something.
        Sighting = "sighting",
        /// A projector's step with a command.
        Display = "display",
        /// A bin's outcome of a command.
        Executed = "executed",
        /// A sign of life.
        Heartbeat = "heartbeat",
        /// Events that were accepted and can never be delivered.
        Lost = "lost",
    }
}

impl EventType {
    /// Whether devices of this kind send such events.
    #[must_use]
    pub const fn allowed_from(self, kind: DeviceKind) -> bool {
        match self {
            Self::Deposit | Self::Fill | Self::Emptied | Self::Door | Self::Executed => matches!(kind, DeviceKind::Bin),
            Self::Judgement | Self::Sighting => matches!(kind, DeviceKind::Camera),
            Self::Display => matches!(kind, DeviceKind::Projector),
            Self::Alarm | Self::Heartbeat | Self::Lost => true,
        }
    }
}

vocabulary! {
    /// The last segment of a topic.
    Channel {
        /// What happened, from device to backend.
        Event = "event",
        /// Whether the device is there, from device to backend, retained.
        State = "state",
        /// What the device is to do, once.
        Command = "command",
        /// What the device is to keep to, retained.
        Config = "config",
        /// Which events are safe.
        Receipt = "receipt",
    }
}

vocabulary! {
    /// How a deposit lies in the schedule.
    Timing {
        /// Within an open window.
        InWindow = "in_window",
        /// Within a makeup window (误时投放).
        Makeup = "makeup",
        /// Outside all windows.
        OffHours = "off_hours",
    }
}
