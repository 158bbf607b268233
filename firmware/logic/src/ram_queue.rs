//! A queue in memory: it survives every loss of the connection, but not of power.

use fenlei_wire::receipt::Receipt;
use heapless::Deque;

use crate::queue::{EventQueue, Gone, QueueFull, Queued};

/// At most `EVENTS` events of together at most `BYTES` bytes, in a ring. An event lies in one piece, so what is left
/// before the end of the ring may stay unused; one settled in the middle gives its room back once all before it have.
#[derive(Debug)]
pub struct RamQueue<const EVENTS: usize, const BYTES: usize> {
    entries: Deque<Entry, EVENTS>,
    bytes: [u8; BYTES],
    waiting: usize,
}

#[derive(Debug)]
struct Entry {
    boot: u32,
    seq: u64,
    start: usize,
    end: usize,
    settled: bool,
}

impl<const EVENTS: usize, const BYTES: usize> RamQueue<EVENTS, BYTES> {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Deque::new(), bytes: [0; BYTES], waiting: 0 }
    }

    /// Where an event of this length can lie. An empty one is no event, and its place could not be told from the next's.
    fn place(&self, length: usize) -> Option<usize> {
        if length == 0 {
            return None;
        }
        let (Some(oldest), Some(newest)) = (self.entries.front(), self.entries.back()) else {
            return (length <= BYTES).then_some(0);
        };
        let fits = |start: usize, end: usize| (length <= end - start).then_some(start);
        if newest.start < oldest.start {
            fits(newest.end, oldest.start)
        } else {
            fits(newest.end, BYTES).or_else(|| fits(0, oldest.start))
        }
    }
}

impl<const EVENTS: usize, const BYTES: usize> Default for RamQueue<EVENTS, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const EVENTS: usize, const BYTES: usize> EventQueue for RamQueue<EVENTS, BYTES> {
    fn push(&mut self, boot: u32, seq: u64, event: &[u8]) -> Result<(), QueueFull> {
        let start = self.place(event.len()).ok_or(QueueFull)?;
        let end = start + event.len();
        self.entries.push_back(Entry { boot, seq, start, end, settled: false }).map_err(|_| QueueFull)?;
        self.bytes[start..end].copy_from_slice(event);
        self.waiting += 1;
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = Queued> {
        self.entries.iter().filter(|entry| !entry.settled).map(|entry| Queued {
            boot: entry.boot,
            seq: entry.seq,
            length: entry.end - entry.start,
            place: entry.start,
        })
    }

    fn read(&self, queued: Queued, out: &mut [u8]) -> Result<(), Gone> {
        let event = self.bytes.get(queued.place..queued.place + queued.length).ok_or(Gone)?;
        out.get_mut(..event.len()).ok_or(Gone)?.copy_from_slice(event);
        Ok(())
    }

    fn settle(&mut self, receipt: &Receipt) -> usize {
        let before = self.waiting;
        for entry in &mut self.entries {
            if !entry.settled && receipt.covers(entry.boot, entry.seq) {
                entry.settled = true;
                self.waiting -= 1;
            }
        }
        while self.entries.front().is_some_and(|entry| entry.settled) {
            self.entries.pop_front();
        }
        before - self.waiting
    }

    fn len(&self) -> usize {
        self.waiting
    }
}
