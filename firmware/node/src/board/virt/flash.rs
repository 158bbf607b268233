//! The machine's second NOR flash: two 16-bit chips side by side that speak the Intel command set, mapped into memory
//! for reading. QEMU keeps it in a file, so it survives whatever happens to the emulation.

use core::ptr::{read_volatile, write_volatile};

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

const BASE: usize = 0x2200_0000;
/// As much of it as the device uses.
const SIZE: usize = 8 * BLOCK;
const BLOCK: usize = 256 * 1024;
/// A sector of the journal.
pub const SECTOR: usize = BLOCK;
/// What is programmed at once must lie in one of these.
const BUFFER: usize = 2048;

/// Each command goes to both chips.
const fn both(command: u32) -> u32 {
    command << 16 | command
}

const READ_ARRAY: u32 = both(0xff);
const CLEAR_STATUS: u32 = both(0x50);
const ERASE: u32 = both(0x20);
const PROGRAM: u32 = both(0xe8);
const CONFIRM: u32 = both(0xd0);
const READY: u32 = both(0x80);
/// Erasing or programming failed, or the block is locked.
const FAILED: u32 = both(0x3a);

/// The flash; there is one.
pub struct Flash(());

impl Flash {
    pub(super) fn new() -> Self {
        Self(())
    }

    fn get(&self, offset: usize) -> u32 {
        // SAFETY: the offset was checked to lie within the flash, which is mapped there and whole words of which can be
        // read at any time.
        unsafe { read_volatile((BASE + offset) as *const u32) }
    }

    fn put(&mut self, offset: usize, value: u32) {
        // SAFETY: as above; what is written is a command to the chips and changes no memory that Rust knows of.
        unsafe { write_volatile((BASE + offset) as *mut u32, value) }
    }

    /// Waits until a command is done, and goes back to reading.
    fn finish(&mut self, offset: usize) -> Result<(), NorFlashErrorKind> {
        let status = loop {
            let status = self.get(offset);
            if status & READY == READY {
                break status;
            }
        };
        self.put(offset, CLEAR_STATUS);
        self.put(offset, READ_ARRAY);
        if status & FAILED == 0 { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 4;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len()).map_err(|error| error.kind())?;
        for (at, word) in (offset as usize..).step_by(4).zip(bytes.chunks_exact_mut(4)) {
            word.copy_from_slice(&self.get(at).to_le_bytes());
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        SIZE
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = BLOCK;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).map_err(|error| error.kind())?;
        for block in (from as usize..to as usize).step_by(BLOCK) {
            self.put(block, ERASE);
            self.put(block, CONFIRM);
            self.finish(block)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, mut bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).map_err(|error| error.kind())?;
        let mut at = offset as usize;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BUFFER - at % BUFFER));
            self.put(at, PROGRAM);
            self.put(at, both(now.len() as u32 / 4 - 1));
            for (at, word) in (at..).step_by(4).zip(now.chunks_exact(4)) {
                self.put(at, u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
            }
            self.put(at, CONFIRM);
            self.finish(at)?;
            at += now.len();
            bytes = later;
        }
        Ok(())
    }
}
