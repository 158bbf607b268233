//! A small disk of a test's own: a file system in memory, which is really full when it is full.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::crash::say;

pub(crate) struct Disk {
    at: TempDir,
}

impl Disk {
    /// `None`: nothing may be mounted here, as in a container without the right to.
    pub(crate) fn mount(mebibytes: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let options = format!("size={mebibytes}m,mode=0777");
        if as_root("mount", &["-t", "tmpfs", "-o", &options, "fenlei-test", at.path().to_str().unwrap()]) {
            return Some(Self { at });
        }
        say("not run: a small disk cannot be mounted here, which takes root, or sudo without a password");
        None
    }

    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Leaves no room for a single page.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        for size in [1 << 20, 4_096] {
            let zeros = vec![0; size];
            let full = loop {
                if let Err(error) = ballast.write_all(&zeros) {
                    break error;
                }
            };
            assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        }
    }

    /// There is room again.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    /// `ro` or `rw`. Nobody may have a file open to write it.
    pub(crate) fn remount(&self, how: &str) {
        assert!(as_root("mount", &["-o", &format!("remount,{how}"), self.path().to_str().unwrap()]), "remount,{how}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root("umount", &["-l", self.path().to_str().unwrap()]);
    }
}

/// Says whether it succeeded.
pub(crate) fn as_root(program: &str, arguments: &[&str]) -> bool {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if root { Command::new(program) } else { Command::new("sudo") };
    if !root {
        command.args(["-n", program]);
    }
    command.args(arguments).output().is_ok_and(|output| output.status.success())
}
