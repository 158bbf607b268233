//! Whether this machine writes and reads every message of the contract byte for byte as the backend does, by the very cases
//! that the backend is tested with. An image of its own: a device in the field has no need of it.

#![no_std]
#![no_main]

use core::fmt::Debug;

use fenlei_wire::event::Event;
use fenlei_wire::json;
use heapless::String;
use serde::Serialize;
use serde::de::DeserializeOwned;

use fenlei_node::{board, memory, say};

#[path = "../../../wire/tests/golden/cases.rs"]
mod cases;

struct Tally {
    good: u32,
    bad: u32,
}

impl Tally {
    fn count(&mut self, name: &str, good: bool) {
        if good {
            self.good += 1;
        } else {
            self.bad += 1;
            say!("golden {name}: other bytes");
        }
    }
}

impl cases::Cases for Tally {
    fn event(&mut self, name: &str, golden: &str, event: &Event<'_>) {
        let mut written = String::<512>::new();
        let good = event.encode(&mut written).is_ok() && written == golden;
        self.count(name, good);
    }

    fn both<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, golden: &str, value: &T) {
        let mut buffer = [0; 1024];
        let written = json::to_slice(value, &mut buffer).is_ok_and(|length| &buffer[..length] == golden.as_bytes());
        let read = json::from_slice::<T>(golden.as_bytes()).is_ok_and(|read| read == *value);
        self.count(name, written && read);
    }
}

#[board::entry]
fn main() -> ! {
    memory::paint();
    let mut tally = Tally { good: 0, bad: 0 };
    cases::all(&mut tally);
    say!("golden {} good {} bad", tally.good, tally.bad);
    say!("{}", memory::Sizes);
    board::exit(tally.bad == 0)
}
