//! Opening a journal after a start: nothing but the flash says what was there before.

use core::cell::RefCell;

use embedded_storage::nor_flash::NorFlash;

use super::record::{self, Found, Header, Kind, Place};
use super::{EVENT_HEAD, Error, Index, Journal, MAX_SETTLED, Slot, Waiting, decode_receipt};

impl<'i, F: NorFlash, const SECTOR: usize> Journal<'i, F, SECTOR> {
    /// Opens the journal that the flash holds; an empty one, if it holds none. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Geometry`], [`Error::Overfull`] or [`Error::Flash`].
    pub fn open<const EVENTS: usize>(flash: F, index: &'i mut Index<EVENTS>) -> Result<Self, Error<F::Error>> {
        let whole = |size: usize| size > 0 && SECTOR.is_multiple_of(size);
        let words = matches!(F::READ_SIZE, 1 | 2 | 4) && matches!(F::WRITE_SIZE, 1 | 2 | 4 | 8 | 16);
        let fits = whole(F::ERASE_SIZE) && whole(64) && SECTOR <= 256 * 1024;
        if !fits
            || !words
            || F::READ_SIZE > F::WRITE_SIZE
            || flash.capacity() / SECTOR < 4
            || record::size::<F>(MAX_SETTLED) > Self::MAX_RECORD
        {
            return Err(Error::Geometry);
        }
        let waiting = index.0.as_mut_view();
        waiting.clear();
        let mut journal = Self {
            flash: RefCell::new(flash),
            waiting,
            slots: [None; Slot::ALL.len()],
            head: 0,
            tail: 1,
            end: SECTOR,
            live: 0,
        };
        if let Some(Header { sector, tail }) = journal.newest()? {
            (journal.head, journal.tail) = (sector, tail);
            for sector in tail..=sector {
                journal.end = journal.walk(sector)?;
            }
        }
        let places = journal.waiting.iter().map(|event| &event.place).chain(journal.slots.iter().flatten());
        journal.live = places.map(|place| place.size::<F>()).sum();
        Ok(journal)
    }

    /// The header of the sector that was begun last.
    fn newest(&mut self) -> Result<Option<Header>, Error<F::Error>> {
        let mut newest: Option<Header> = None;
        for index in 0..self.sectors() {
            let header = self.header(index)?;
            newest = newest.into_iter().chain(header).max_by_key(|header| header.sector);
        }
        Ok(newest)
    }

    /// The header in this place of the ring, if it belongs there.
    fn header(&mut self, index: u32) -> Result<Option<Header>, Error<F::Error>> {
        let (sectors, at) = (self.sectors(), self.base(index));
        let header = record::read_header(self.flash.get_mut(), at).map_err(Error::Flash)?;
        Ok(header.filter(|Header { sector, tail }| {
            sector % sectors == index && (1..=*sector).contains(tail) && sector - tail + 1 < sectors
        }))
    }

    /// Takes in what a sector holds; says where the next record could go in it.
    fn walk(&mut self, sector: u32) -> Result<usize, Error<F::Error>> {
        if self.header(sector % self.sectors())?.is_none_or(|header| header.sector != sector) {
            return Ok(SECTOR);
        }
        let base = self.base(sector);
        let mut at = record::header_size::<F>();
        loop {
            let flash = self.flash.get_mut();
            match record::find(flash, base + at as u32, SECTOR - at).map_err(Error::Flash)? {
                Found::Record(kind, place) => {
                    self.take(kind, place)?;
                    at += place.size::<F>();
                }
                // If it has decayed, others lie behind it; if it was cut short, nothing does.
                Found::Broken(Some(place)) => at += place.size::<F>(),
                Found::Broken(None) => return Ok(SECTOR),
                Found::Blank => {
                    let end = base + SECTOR as u32;
                    let blank = record::is_blank(flash, base + at as u32, end).map_err(Error::Flash)?;
                    return Ok(if blank { at } else { SECTOR });
                }
            }
        }
    }

    fn take(&mut self, kind: Kind, place: Place) -> Result<(), Error<F::Error>> {
        match kind {
            Kind::Slot(slot) => self.slots[slot as usize] = Some(place),
            Kind::Settled => {
                let mut bytes = [0; MAX_SETTLED];
                let bytes = &mut bytes[..place.length().min(MAX_SETTLED)];
                record::read(self.flash.get_mut(), place, 0, bytes).map_err(Error::Flash)?;
                if let Some(receipt) = decode_receipt(bytes) {
                    self.waiting.retain(|event| !receipt.covers(event.boot, event.seq.into()));
                }
            }
            Kind::Event => {
                let mut head = [0; EVENT_HEAD];
                record::read(self.flash.get_mut(), place, 0, &mut head).map_err(Error::Flash)?;
                let [b1, b2, b3, b4, s1, s2, s3, s4, ..] = head;
                let (boot, seq) = (u32::from_le_bytes([b1, b2, b3, b4]), u32::from_le_bytes([s1, s2, s3, s4]));
                self.insert(Waiting { boot, seq, place })?;
            }
        }
        Ok(())
    }

    /// Copies lie behind what was accepted later, so the order in flash is not that of the events.
    fn insert(&mut self, event: Waiting) -> Result<(), Error<F::Error>> {
        match self.waiting.binary_search_by_key(&event.key(), Waiting::key) {
            // A write that was reported as failed and was whole all the same; the event then took the same number again.
            Ok(index) => self.waiting[index] = event,
            Err(index) => self.waiting.insert(index, event).map_err(|_| Error::Overfull)?,
        }
        Ok(())
    }
}
