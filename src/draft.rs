//! Files that are there whole or not at all: written beside their place, flushed, then put there.
//!
//! What Fenlei writes this way is secret or personal, so a draft is readable by its owner alone from the start.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file on its way to its place.
pub struct Draft {
    file: NamedTempFile,
    folder: PathBuf,
    place: PathBuf,
}

impl Draft {
    pub fn beside(place: &Path) -> io::Result<Self> {
        let folder = match place.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let file = tempfile::Builder::new().prefix(".fenlei-").suffix(".draft").tempfile_in(&folder)?;
        Ok(Self { file, folder, place: place.to_owned() })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub fn write(mut self, content: &str) -> io::Result<Self> {
        self.file.write_all(content.as_bytes())?;
        Ok(self)
    }

    /// Puts the file in its place; what stands there already stays, with an error of [`io::ErrorKind::AlreadyExists`].
    pub fn place_new(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist_noclobber(&self.place)?;
        // The name is on the disk when its folder is.
        File::open(&self.folder)?.sync_all()
    }

    /// Puts the file in the place of whatever stands there.
    pub fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.place)?;
        File::open(&self.folder)?.sync_all()
    }
}
