//! How records and sector headers lie in flash: little-endian, padded to whole words with 0xff.
//!
//! A record is its kind, its length and a checksum over both and the content, then the content. A sector header is a mark
//! of this format, the sector's number, the number of the oldest sector that counted when it was written, and a
//! checksum over the three.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use embedded_storage::nor_flash::NorFlash;

use super::Slot;

const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
/// "Fenlei journal", version 1.
const MARK: [u8; 4] = *b"FLJ1";
/// Kind, nothing, length, checksum.
const HEAD: usize = 8;
const HEADER: usize = 16;
/// What is written and read at once: a multiple of any word.
const CHUNK: usize = 64;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Event,
    Settled,
    Slot(Slot),
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Event => 1,
            Self::Settled => 2,
            Self::Slot(slot) => 16 + slot as u8,
        }
    }

    fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Event),
            2 => Some(Self::Settled),
            _ => Slot::ALL.into_iter().map(Self::Slot).find(|kind| kind.code() == code),
        }
    }
}

/// Where a record lies, and how long its content is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    at: u32,
    length: u16,
}

impl Place {
    /// No record is longer than a quarter of a sector, and no sector longer than 256 KiB.
    pub(super) const fn new(at: u32, length: usize) -> Self {
        Self { at, length: length as u16 }
    }

    pub(super) const fn at(self) -> u32 {
        self.at
    }

    pub(super) const fn length(self) -> usize {
        self.length as usize
    }

    /// What the record takes in flash.
    pub(super) const fn size<F: NorFlash>(self) -> usize {
        size::<F>(self.length as usize)
    }
}

/// What a record with content of this length takes in flash.
pub(super) const fn size<F: NorFlash>(length: usize) -> usize {
    (HEAD + length).next_multiple_of(F::WRITE_SIZE)
}

/// What a sector's header takes in flash.
pub(super) const fn header_size<F: NorFlash>() -> usize {
    HEADER.next_multiple_of(F::WRITE_SIZE)
}

/// What stands at the beginning of a sector that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sector: u32,
    pub(super) tail: u32,
}

fn checksum<'a>(head: [u8; 4], parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&head);
    parts.into_iter().for_each(|part| digest.update(part));
    digest.finalize()
}

fn head_of(kind: Kind, length: u16) -> [u8; 4] {
    let [low, high] = length.to_le_bytes();
    [kind.code(), 0, low, high]
}

pub(super) fn write<F: NorFlash>(flash: &mut F, place: Place, kind: Kind, parts: &[&[u8]]) -> Result<(), F::Error> {
    let head = head_of(kind, place.length);
    let sum = checksum(head, parts.iter().copied()).to_le_bytes();
    let mut writer = Writer { flash, at: place.at, chunk: [0xff; CHUNK], filled: 0 };
    for part in [&head[..], &sum].iter().chain(parts) {
        writer.push(part)?;
    }
    writer.finish()
}

pub(super) fn write_header<F: NorFlash>(flash: &mut F, at: u32, header: Header) -> Result<(), F::Error> {
    let (sector, tail) = (header.sector.to_le_bytes(), header.tail.to_le_bytes());
    let sum = checksum(MARK, [&sector[..], &tail]).to_le_bytes();
    let mut writer = Writer { flash, at, chunk: [0xff; CHUNK], filled: 0 };
    for part in [&MARK, &sector, &tail, &sum] {
        writer.push(part)?;
    }
    writer.finish()
}

/// The header there, if there is one.
pub(super) fn read_header<F: NorFlash>(flash: &mut F, at: u32) -> Result<Option<Header>, F::Error> {
    let mut bytes = [0; HEADER];
    flash.read(at, &mut bytes)?;
    let word = |index: usize| [bytes[index * 4], bytes[index * 4 + 1], bytes[index * 4 + 2], bytes[index * 4 + 3]];
    let (sector, tail) = (word(1), word(2));
    let whole = word(0) == MARK && checksum(MARK, [&sector[..], &tail]).to_le_bytes() == word(3);
    Ok(whole.then(|| Header { sector: u32::from_le_bytes(sector), tail: u32::from_le_bytes(tail) }))
}

/// What lies where a record might.
pub(super) enum Found {
    /// Nothing was written here.
    Blank,
    /// A record whose writing was cut short, or that has decayed; with its place, if that can still be told.
    Broken(Option<Place>),
    /// A whole record.
    Record(Kind, Place),
}

/// Looks for a record at a place from which `room` bytes are left in the sector.
pub(super) fn find<F: NorFlash>(flash: &mut F, at: u32, room: usize) -> Result<Found, F::Error> {
    if room < HEAD {
        return Ok(Found::Blank);
    }
    let mut head = [0; HEAD];
    flash.read(at, &mut head)?;
    if head == [0xff; HEAD] {
        return Ok(Found::Blank);
    }
    let [code, _, low, high, ..] = head;
    let place = Place { at, length: u16::from_le_bytes([low, high]) };
    let Some(kind) = Kind::of(code).filter(|_| place.size::<F>() <= room) else {
        return Ok(Found::Broken(None));
    };
    Ok(if read(flash, place, 0, &mut [])? { Found::Record(kind, place) } else { Found::Broken(Some(place)) })
}

/// Reads the content from `skip` on, as much as `out` holds; whether the whole record is as it was written.
pub(super) fn read<F: NorFlash>(flash: &mut F, place: Place, skip: usize, out: &mut [u8]) -> Result<bool, F::Error> {
    let mut digest = CRC.digest();
    let (mut sum, mut seen) = ([0; 4], 0);
    chunks(flash, place, |flash, at, chunk| {
        flash.read(at, chunk)?;
        // The padding behind the content says nothing.
        let last = chunk.len().min(HEAD + place.length() - seen);
        let mut content = &chunk[..last];
        if let (0, Some((head, rest))) = (seen, chunk[..last].split_first_chunk::<HEAD>()) {
            digest.update(&head[..4]);
            sum.copy_from_slice(&head[4..]);
            content = rest;
        }
        digest.update(content);
        // Where in the content this piece begins, and what of it is asked for.
        let begin = (seen + last - content.len()) - HEAD;
        let piece = content.get(skip.saturating_sub(begin)..).unwrap_or_default();
        if let Some(out) = out.get_mut(begin.saturating_sub(skip)..) {
            let length = piece.len().min(out.len());
            out[..length].copy_from_slice(&piece[..length]);
        }
        seen += last;
        Ok(())
    })?;
    Ok(digest.finalize().to_le_bytes() == sum)
}

/// Copies a record as it is.
pub(super) fn copy<F: NorFlash>(flash: &mut F, from: Place, to: Place) -> Result<(), F::Error> {
    chunks(flash, from, |flash, at, chunk| {
        flash.read(at, chunk)?;
        flash.write(to.at + (at - from.at), chunk)
    })
}

/// Whether nothing is written between the two.
pub(super) fn is_blank<F: NorFlash>(flash: &mut F, from: u32, to: u32) -> Result<bool, F::Error> {
    let (mut at, mut blank) = (from, true);
    while at < to && blank {
        let mut chunk = [0; CHUNK];
        let chunk = &mut chunk[..CHUNK.min((to - at) as usize)];
        flash.read(at, chunk)?;
        blank = chunk.iter().all(|byte| *byte == 0xff);
        at += chunk.len() as u32;
    }
    Ok(blank)
}

/// Goes through a record in pieces of whole words.
fn chunks<F: NorFlash>(
    flash: &mut F,
    place: Place,
    mut each: impl FnMut(&mut F, u32, &mut [u8]) -> Result<(), F::Error>,
) -> Result<(), F::Error> {
    let end = place.at + place.size::<F>() as u32;
    let mut at = place.at;
    while at < end {
        let mut chunk = [0; CHUNK];
        let chunk = &mut chunk[..CHUNK.min((end - at) as usize)];
        each(flash, at, chunk)?;
        at += chunk.len() as u32;
    }
    Ok(())
}

/// Gathers what is written into whole words.
struct Writer<'f, F> {
    flash: &'f mut F,
    at: u32,
    chunk: [u8; CHUNK],
    filled: usize,
}

impl<F: NorFlash> Writer<'_, F> {
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), F::Error> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.filled));
            self.chunk[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == CHUNK {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), F::Error> {
        let words = self.filled.next_multiple_of(F::WRITE_SIZE);
        self.flash.write(self.at, &self.chunk[..words])?;
        self.at += words as u32;
        self.chunk = [0xff; CHUNK];
        self.filled = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<(), F::Error> {
        if self.filled > 0 { self.flush() } else { Ok(()) }
    }
}
