//! The bytes of version 1. Devices in the field cannot be recompiled: what is written here may be joined by new files, but
//! never changed.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

#[path = "golden/cases.rs"]
mod cases;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use cases::Cases;
use fenlei_wire::event::Event;
use fenlei_wire::json;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::vocabulary::EventType;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// Golden files by name, and which of them a case has spoken for.
#[derive(Default)]
struct Golden {
    claimed: BTreeSet<String>,
    types: BTreeSet<EventType>,
}

impl Golden {
    fn claim(&mut self, name: &str) {
        assert!(self.claimed.insert(name.to_owned()), "{name} is claimed twice");
    }
}

impl Cases for Golden {
    fn event(&mut self, name: &str, golden: &str, event: &Event<'_>) {
        self.claim(name);
        let mut written = String::new();
        event.encode(&mut written).unwrap();
        assert_eq!(written, golden, "{name}");
        let read: serde_json::Value = serde_json::from_str(golden).unwrap();
        assert_eq!(read["type"], event.body.event_type().as_str(), "{name}");
        assert_eq!((&read["boot"], &read["seq"]), (&event.boot.into(), &event.seq.into()), "{name}");
        let time = UnixMillis::parse_rfc3339(read["time"].as_str().unwrap());
        assert_eq!(time, Some(event.time), "{name}");
        self.types.insert(event.body.event_type());
    }

    /// Both sides' encoders give the bytes, both sides' decoders give the value.
    fn both<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, golden: &str, value: &T) {
        self.claim(name);
        let mut buffer = [0; 4096];
        let length = json::to_slice(value, &mut buffer).unwrap();
        assert_eq!(std::str::from_utf8(&buffer[..length]).unwrap(), golden, "{name} by a device");
        assert_eq!(serde_json::to_string(value).unwrap(), golden, "{name} by the backend");
        assert_eq!(&json::from_slice::<T>(golden.as_bytes()).unwrap(), value, "{name} on a device");
        assert_eq!(&serde_json::from_str::<T>(golden).unwrap(), value, "{name} in the backend");
    }
}

#[test]
fn every_message_of_version_1_keeps_its_bytes() {
    let mut golden = Golden::default();
    cases::all(&mut golden);
    assert_eq!(golden.types, EventType::ALL.iter().copied().collect(), "an event type without golden bytes");
    let present: BTreeSet<String> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let claimed: BTreeSet<String> = golden.claimed.iter().map(|name| format!("{name}.json")).collect();
    assert_eq!(present, claimed, "left: the files there are; right: the files there is a case for");
}
