//! What a device must not forget, in flash: the events that wait for a receipt, and what it needs at its next start.
//!
//! The flash is a ring of sectors that are written one after the other, so each is erased as often as any other. Before
//! the ring would be full, what is still of use in the oldest sector is copied to the beginning of the next one. A
//! sector's header is written last: until it is there the sector counts for nothing, and the oldest one still holds
//! what was being copied. A sector is erased only right before it is written, so nothing depends on an erasure that may
//! have been cut short.
//!
//! What always holds: at any moment the power may go, in the middle of a byte too, and [`Journal::open`] finds every
//! event that [`push`](EventQueue::push) had taken in and no receipt had covered, and no event that was never pushed. What
//! was being written at that moment is there whole or not at all.

mod record;
mod recovery;

use core::cell::RefCell;
use core::fmt;
use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;
use fenlei_wire::receipt::Receipt;
use heapless::{Vec, VecView};

use crate::queue::{EventQueue, Gone, QueueFull, Queued};
use record::{Kind, Place};

/// Longest receipt as it is stored.
const MAX_SETTLED: usize = 12 + 16 * fenlei_wire::limits::MAX_BEYOND;
/// Boot and number before an event's JSON.
const EVENT_HEAD: usize = 12;

/// What a device keeps one of, the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// How often it started.
    Boot,
    /// The config it follows, as it came.
    Config,
    /// The commands it was given.
    Seen,
    /// What the application itself must not forget, such as a command that is still in force.
    Application,
}

impl Slot {
    /// Every slot.
    pub const ALL: [Self; 4] = [Self::Boot, Self::Config, Self::Seen, Self::Application];
}

/// Why the journal could not do something. Nothing that it had is lost by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The flash failed.
    Flash(E),
    /// No room for it beside what must be kept.
    Full,
    /// The flash does not fit the journal: see [`Journal`] for what it needs.
    Geometry,
    /// More events wait in the flash than this journal can hold: it was written by one with a larger index.
    Overfull,
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error:?}"),
            Self::Full => f.write_str("no room in the journal"),
            Self::Geometry => {
                f.write_str("the flash is too small for the journal, or its blocks do not fit its sectors")
            }
            Self::Overfull => f.write_str("more events wait in the flash than this firmware can hold"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}

/// A waiting event, in few bytes: there are many. The number of an event of a device does not reach 2^32 in a boot.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    boot: u32,
    seq: u32,
    place: Place,
}

impl Waiting {
    const fn key(&self) -> (u32, u32) {
        (self.boot, self.seq)
    }
}

/// What a journal needs to know of at most `EVENTS` waiting events. It is the largest part of a journal, so it lies where
/// it is put and is never moved.
#[derive(Debug, Default)]
pub struct Index<const EVENTS: usize>(Vec<Waiting, EVENTS>);

impl<const EVENTS: usize> Index<EVENTS> {
    /// An index of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }
}

/// A journal over the whole of `F`, in sectors of `SECTOR` bytes, for as many waiting events as its index holds.
///
/// `SECTOR` is a multiple of the flash's erase size, and the flash holds at least four; words of at most 4 bytes can be
/// read and of at most 16 written. A record takes at most a quarter of a sector, and that is also the longest event, config and so on. A later
/// firmware may have other sectors or fewer events only after the journal is empty.
pub struct Journal<'i, F, const SECTOR: usize> {
    flash: RefCell<F>,
    /// By boot and number.
    waiting: &'i mut VecView<Waiting>,
    slots: [Option<Place>; Slot::ALL.len()],
    /// Number of the sector that is being written; its place in the ring is the remainder by the ring's length. 0: none.
    head: u32,
    /// Number of the oldest sector that counts.
    tail: u32,
    /// Where the next record goes in the head; `SECTOR` if nowhere.
    end: usize,
    /// Bytes of all records that must be kept.
    live: usize,
}

impl<F: NorFlash, const SECTOR: usize> Journal<'_, F, SECTOR> {
    /// Longest record, with all that belongs to it.
    const MAX_RECORD: usize = SECTOR / 4;

    /// Starts the next boot and gives its number; it holds from here on, whatever happens.
    ///
    /// # Errors
    /// [`Error::Flash`], and a device must not go on under a number that it may use again.
    pub fn next_boot(&mut self) -> Result<u32, Error<F::Error>> {
        let mut stored = [0; 4];
        let stored = self.load(Slot::Boot, &mut stored)?.and_then(|stored| stored.try_into().ok());
        let newest = self.waiting.last().map_or(0, |event| event.boot);
        let boot = stored.map_or(0, u32::from_le_bytes).max(newest).saturating_add(1);
        self.store(Slot::Boot, &boot.to_le_bytes())?;
        Ok(boot)
    }

    /// Keeps `value` instead of what the slot held; it is there from here on.
    ///
    /// # Errors
    /// [`Error::Full`] if it is longer than a record may be, or [`Error::Flash`]; the slot then holds what it held.
    pub fn store(&mut self, slot: Slot, value: &[u8]) -> Result<(), Error<F::Error>> {
        let place = self.append(Kind::Slot(slot), &[value], self.capacity())?;
        if let Some(old) = self.slots[slot as usize].replace(place) {
            self.live -= old.size::<F>();
        }
        Ok(())
    }

    /// Reads what the slot holds into `buffer`; `None` if it holds nothing, or more than the buffer does.
    ///
    /// # Errors
    /// Only [`Error::Flash`].
    pub fn load<'a>(&self, slot: Slot, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, Error<F::Error>> {
        let Some(place) = self.slots[slot as usize] else { return Ok(None) };
        let Some(out) = buffer.get_mut(..place.length()) else { return Ok(None) };
        let whole = record::read(&mut *self.flash.borrow_mut(), place, 0, out).map_err(Error::Flash)?;
        Ok(whole.then_some(out))
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash.into_inner()
    }

    fn sectors(&self) -> u32 {
        // A flash of a microcontroller has fewer sectors than that.
        (self.flash.borrow().capacity() / SECTOR) as u32
    }

    /// What all records that must be kept may take together. All sectors but one are in use after the next was begun. If
    /// a record found no room in any of them in turn, each would hold more than a sector less the record, and all of it
    /// to be kept: more than this.
    fn capacity(&self) -> usize {
        (self.sectors() as usize - 1) * (SECTOR - record::header_size::<F>() - Self::MAX_RECORD)
    }

    /// What events may take, so that boots, configs and commands still find room: four records of the longest.
    fn capacity_for_events(&self) -> usize {
        self.capacity().saturating_sub(4 * Self::MAX_RECORD)
    }

    fn base(&self, sector: u32) -> u32 {
        sector % self.sectors() * SECTOR as u32
    }

    /// Writes a record, if all that must be kept then takes no more than `limit`.
    fn append(&mut self, kind: Kind, parts: &[&[u8]], limit: usize) -> Result<Place, Error<F::Error>> {
        let length = parts.iter().map(|part| part.len()).sum();
        let size = record::size::<F>(length);
        if size > Self::MAX_RECORD || self.live + size > limit {
            return Err(Error::Full);
        }
        let mut begun = 0;
        while self.end + size > SECTOR {
            if begun == self.sectors() {
                return Err(Error::Full);
            }
            self.begin_sector()?;
            begun += 1;
        }
        let place = Place::new(self.base(self.head) + self.end as u32, length);
        match record::write(self.flash.get_mut(), place, kind, parts) {
            Ok(()) => self.end += size,
            Err(error) => {
                // What lies there now is not known: the next record goes elsewhere.
                self.end = SECTOR;
                return Err(Error::Flash(error));
            }
        }
        self.live += size;
        Ok(place)
    }

    /// Begins the next sector of the ring, with what must be kept of the oldest if the ring would be full otherwise.
    fn begin_sector(&mut self) -> Result<(), Error<F::Error>> {
        let next = self.head.checked_add(1).ok_or(Error::Full)?;
        let (base, oldest) = (self.base(next), self.base(self.tail));
        let full = next - self.tail + 1 >= self.sectors();
        let left = if full { oldest..oldest + SECTOR as u32 } else { 0..0 };
        let tail = self.tail + u32::from(full);
        let first = base + record::header_size::<F>() as u32;
        let flash = self.flash.get_mut();
        flash.erase(base, base + SECTOR as u32).map_err(Error::Flash)?;
        let mut to = first;
        for place in self.waiting.iter().map(|event| event.place).chain(self.slots.into_iter().flatten()) {
            if let Some(moved) = moved::<F>(place, &left, &mut to) {
                record::copy(flash, place, moved).map_err(Error::Flash)?;
            }
        }
        record::write_header(flash, base, record::Header { sector: next, tail }).map_err(Error::Flash)?;
        // From here on the new places hold; they are found again in the order in which they were taken.
        let mut to = first;
        let places = self.waiting.iter_mut().map(|event| &mut event.place).chain(self.slots.iter_mut().flatten());
        for place in places {
            *place = moved::<F>(*place, &left, &mut to).unwrap_or(*place);
        }
        (self.head, self.tail, self.end) = (next, tail, (to - base) as usize);
        Ok(())
    }
}

/// Where a record goes that lies in the sector that is left: to the next place, and the place after it is then the next.
fn moved<F: NorFlash>(place: Place, left: &Range<u32>, to: &mut u32) -> Option<Place> {
    let moved = left.contains(&place.at()).then(|| Place::new(*to, place.length()))?;
    *to += moved.size::<F>() as u32;
    Some(moved)
}

impl<F: NorFlash, const SECTOR: usize> EventQueue for Journal<'_, F, SECTOR> {
    fn push(&mut self, boot: u32, seq: u64, event: &[u8]) -> Result<(), QueueFull> {
        let seq = u32::try_from(seq).map_err(|_| QueueFull)?;
        if self.waiting.is_full() || event.is_empty() {
            return Err(QueueFull);
        }
        let limit = self.capacity_for_events();
        let head = event_head(boot, seq);
        let place = self.append(Kind::Event, &[&head, event], limit).map_err(|_| QueueFull)?;
        // There is room: it was looked for above.
        let _ = self.waiting.push(Waiting { boot, seq, place });
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = Queued> {
        self.waiting.iter().enumerate().map(|(index, event)| Queued {
            boot: event.boot,
            seq: event.seq.into(),
            length: event.place.length() - EVENT_HEAD,
            place: index,
        })
    }

    fn read(&self, queued: Queued, out: &mut [u8]) -> Result<(), Gone> {
        let event = self.waiting.get(queued.place).filter(|event| (event.boot, event.seq.into()) == queued.key());
        let place = event.ok_or(Gone)?.place;
        let whole = record::read(&mut *self.flash.borrow_mut(), place, EVENT_HEAD, out).map_err(|_| Gone)?;
        if whole { Ok(()) } else { Err(Gone) }
    }

    /// That events are settled is written first. If it cannot be, they stay and are sent again, which does no harm.
    fn settle(&mut self, receipt: &Receipt) -> usize {
        let before = self.waiting.len();
        if self.waiting.iter().any(|event| receipt.covers(event.boot, event.seq.into()))
            && let Ok(place) = self.append(Kind::Settled, &[&encode_receipt(receipt)], self.capacity())
        {
            // Of use only for what was written before it, which the ring leaves behind before it leaves this.
            self.live -= place.size::<F>();
            let live = &mut self.live;
            self.waiting.retain(|event| {
                let covered = receipt.covers(event.boot, event.seq.into());
                if covered {
                    *live -= event.place.size::<F>();
                }
                !covered
            });
        }
        before - self.waiting.len()
    }

    fn len(&self) -> usize {
        self.waiting.len()
    }
}

fn event_head(boot: u32, seq: u32) -> [u8; EVENT_HEAD] {
    let mut head = [0; EVENT_HEAD];
    head[..4].copy_from_slice(&boot.to_le_bytes());
    head[4..].copy_from_slice(&u64::from(seq).to_le_bytes());
    head
}

fn encode_receipt(receipt: &Receipt) -> Vec<u8, MAX_SETTLED> {
    let ranges = receipt.beyond.iter().flat_map(|(first, last)| [*first, *last]);
    let numbers = core::iter::once(receipt.through).chain(ranges);
    receipt.boot.to_le_bytes().into_iter().chain(numbers.flat_map(u64::to_le_bytes)).collect()
}

fn decode_receipt(bytes: &[u8]) -> Option<Receipt> {
    let (boot, numbers) = bytes.split_first_chunk::<4>()?;
    let (through, ranges) = numbers.split_first_chunk::<8>()?;
    let beyond = ranges.chunks_exact(16).filter_map(|range| {
        let (first, last) = range.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*first), u64::from_le_bytes(last.try_into().ok()?)))
    });
    let (boot, through) = (u32::from_le_bytes(*boot), u64::from_le_bytes(*through));
    Some(Receipt { boot, through, beyond: beyond.take(fenlei_wire::limits::MAX_BEYOND).collect() })
}
