//! A flash that behaves like one: it can only be written where it was erased, and its power can go at any byte.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

pub(crate) const ERASE: usize = 4096;
/// An erasure can be cut at so many moments.
const ERASE_COST: usize = 5;

#[derive(Clone, Debug)]
pub(crate) struct Flash {
    pub(crate) bytes: Vec<u8>,
    /// How often each block was erased.
    pub(crate) erased: Vec<usize>,
    /// Bytes written, and moments of erasures.
    pub(crate) written: usize,
    cut: Option<usize>,
    fail: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPower;

impl NorFlashError for NoPower {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl Flash {
    /// As it comes from the factory: full of anything.
    pub(crate) fn new(blocks: usize) -> Self {
        let bytes = (0..blocks * ERASE).map(|at| (at * 31 % 257) as u8).collect();
        Self { bytes, erased: vec![0; blocks], written: 0, cut: None, fail: None }
    }

    /// The power will go when so much more has been written.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(self.written + bytes);
        self
    }

    /// The power is there again.
    pub(crate) fn power(mut self) -> Self {
        self.cut = None;
        self
    }

    /// The write that would take the next so many bytes stops there; those after it succeed.
    pub(crate) fn failing_once(mut self, bytes: usize) -> Self {
        self.fail = Some(self.written + bytes);
        self
    }

    /// Where these bytes lie.
    pub(crate) fn find(&self, bytes: &[u8]) -> usize {
        self.bytes.windows(bytes.len()).position(|window| window == bytes).unwrap()
    }

    fn spend(&mut self) -> Result<(), NoPower> {
        if self.cut.is_some_and(|cut| self.written >= cut) {
            return Err(NoPower);
        }
        if self.fail.is_some_and(|fail| self.written >= fail) {
            self.fail = None;
            return Err(NoPower);
        }
        self.written += 1;
        Ok(())
    }
}

impl ErrorType for Flash {
    type Error = NoPower;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NoPower> {
        assert!(offset.is_multiple_of(4) && bytes.len().is_multiple_of(4), "whole words are read");
        bytes.copy_from_slice(&self.bytes[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NoPower> {
        let (from, to) = (from as usize, to as usize);
        assert!(from.is_multiple_of(ERASE) && to.is_multiple_of(ERASE), "whole blocks are erased");
        for block in from / ERASE..to / ERASE {
            for moment in 0..ERASE_COST {
                self.spend()?;
                // What was there goes from the end on, and not cleanly: the header outlives what it speaks of.
                let part = block * ERASE + (ERASE_COST - 1 - moment) * ERASE / ERASE_COST;
                self.bytes[part..(block + 1) * ERASE].fill(0xff);
                self.bytes[part] = 0x5f;
            }
            self.bytes[block * ERASE] = 0xff;
            self.erased[block] += 1;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NoPower> {
        assert!(offset.is_multiple_of(4) && bytes.len().is_multiple_of(4), "whole words are written");
        for (at, byte) in (offset as usize..).zip(bytes) {
            assert_eq!(self.bytes[at], 0xff, "it is written where it was erased");
            if let Err(cut) = self.spend() {
                // The byte is left half written.
                self.bytes[at] = byte | 0x5a;
                return Err(cut);
            }
            self.bytes[at] = *byte;
        }
        Ok(())
    }
}
