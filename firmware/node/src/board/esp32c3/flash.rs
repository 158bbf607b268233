//! The chip's flash: a page of settings and the journal, each in a partition of its own where `partitions.csv` puts them.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash, check_erase, check_read, check_write};
use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};
use esp_hal::peripherals::FLASH;
use esp_storage::FlashStorage;

/// Where `partitions.csv` puts the settings, and how much of them is read.
const SETTINGS: u32 = 0x19_0000;
pub(super) const SETTINGS_BYTES: usize = 4096;
/// Where it puts the journal.
const JOURNAL: u32 = 0x1a_0000;
/// A sector of the journal.
pub const SECTOR: usize = 64 * 1024;
const SIZE: usize = 8 * SECTOR;

/// The journal's part of the flash; there is one.
pub struct Flash(FlashStorage<'static>);

impl Flash {
    pub(super) fn new(flash: FLASH<'static>) -> Self {
        Self(FlashStorage::new(flash))
    }

    /// What the partition of the settings holds.
    pub(super) fn settings(&mut self, page: &mut [u8; SETTINGS_BYTES]) -> Result<(), NorFlashErrorKind> {
        self.0.read_nor(SETTINGS, page).map_err(|error| error.kind())
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = FlashStorage::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len()).map_err(|error| error.kind())?;
        self.0.read_nor(JOURNAL + offset, bytes).map_err(|error| error.kind())
    }

    fn capacity(&self) -> usize {
        SIZE
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = FlashStorage::WRITE_SIZE;
    const ERASE_SIZE: usize = FlashStorage::ERASE_SIZE;

    /// Page by page: nothing else runs while the chip erases, and the radio should not wait longer than for one of them.
    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to).map_err(|error| error.kind())?;
        for page in (from..to).step_by(Self::ERASE_SIZE) {
            let begin = JOURNAL + page;
            self.0.erase(begin, begin + FlashStorage::SECTOR_SIZE).map_err(|error| error.kind())?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len()).map_err(|error| error.kind())?;
        self.0.write_nor(JOURNAL + offset, bytes).map_err(|error| error.kind())
    }
}
