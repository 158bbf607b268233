//! The console: what happens at a device is typed as a line, and what it does is told as one. In a real device the lines
//! of input are its scale, its card reader, its lid and its camera.

use embassy_futures::select::select;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Timer};
use fenlei_wire::event::{Body, Judged};
use fenlei_wire::vocabulary::{AlarmKind, DoorBy, Reason, SightingKind, Stream, Verdict};
use heapless::{String, Vec};

use crate::board;
use crate::watchdog::{self, Task};

/// Longest line.
const LINE: usize = 160;

/// A line that was typed.
pub type Line = String<LINE>;

/// The lines that were typed and not yet taken.
pub static LINES: Channel<CriticalSectionRawMutex, Line, 2> = Channel::new();

/// Writes a line to the console.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => {
        // Writing to the console cannot fail.
        { use core::fmt::Write as _; let _ = writeln!($crate::console::Console, $($part)*); }
    };
}
/// The console, to be written to.
pub struct Console;

impl core::fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        board::write(text);
        Ok(())
    }
}

/// Gathers what is typed into lines. What is no text, or longer than a line, is dropped.
#[embassy_executor::task]
pub async fn run() -> ! {
    let mut line = Vec::<u8, LINE>::new();
    let mut whole = true;
    loop {
        watchdog::check_in(Task::Console);
        let mut typed = [0; 32];
        let reading = board::read(&mut typed);
        let embassy_futures::select::Either::First(count) = select(reading, Timer::after_secs(1)).await else {
            continue;
        };
        for byte in typed.into_iter().take(count) {
            if byte != b'\n' {
                whole &= line.push(byte).is_ok();
                continue;
            }
            let typed = core::mem::take(&mut line);
            if core::mem::replace(&mut whole, true)
                && let Ok(text) = String::from_utf8(typed)
            {
                // Whoever waits for room here still has a watchdog to answer to.
                let _ = embassy_time::with_timeout(Duration::from_secs(20), LINES.send(text)).await;
            }
        }
    }
}

/// What a line asks for.
pub enum Asked<'a> {
    /// Something happened.
    Event(Body<'a>),
    /// How much memory was used.
    Sizes,
    /// To stop answering, as a task does that has gone wrong.
    Hang,
}

/// Reads a line:
///
/// ```text
/// deposit STREAM GRAMS [CARD]      fill STREAM PERCENT      emptied STREAM GRAMS      door open|closed BY
/// alarm ALARM on|off      sighting WHAT CONFIDENCE      judgement VERDICT CONFIDENCE BIN [REASON]      heartbeat
/// sizes      hang
/// ```
///
/// A confidence is in thousandths.
pub fn read(line: &str) -> Option<Asked<'_>> {
    let mut words = line.split_whitespace();
    let mut word = || words.next();
    let body = match word()? {
        "deposit" => {
            let (stream, grams) = (Stream::parse(word()?)?, word()?.parse().ok()?);
            Body::Deposit { stream, grams, card: word(), verdict: None, reason: None }
        }
        "fill" => Body::Fill { stream: Stream::parse(word()?)?, percent: word()?.parse().ok()?, celsius: None },
        "emptied" => Body::Emptied { stream: Stream::parse(word()?)?, grams: word()?.parse().ok()? },
        "door" => Body::Door { open: switch(word()?, "open", "closed")?, by: DoorBy::parse(word()?)? },
        "alarm" => Body::Alarm { alarm: AlarmKind::parse(word()?)?, active: switch(word()?, "on", "off")? },
        "sighting" => Body::Sighting { what: SightingKind::parse(word()?)?, confidence: word()?.parse().ok()? },
        "judgement" => {
            let (verdict, confidence) = (Verdict::parse(word()?)?, word()?.parse().ok()?);
            let judged = Judged::Bin(word()?);
            let reason = match word() {
                Some(reason) => Some(Reason::parse(reason)?),
                None => None,
            };
            Body::Judgement { verdict, reason, confidence, judged }
        }
        "heartbeat" => Body::Heartbeat { celsius: None, millivolts: None, rssi: None },
        "sizes" => return Some(Asked::Sizes),
        "hang" => return Some(Asked::Hang),
        _ => return None,
    };
    Some(Asked::Event(body))
}

fn switch(word: &str, yes: &str, no: &str) -> Option<bool> {
    (word == yes || word == no).then_some(word == yes)
}
