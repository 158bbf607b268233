//! Where a store is, and how often one that is out of reach is tried again.

use std::time::{Duration, Instant};

use super::sql::Connection;
use super::url::StoreUrl;
use super::{StoreError, connection};

/// Where the writer's connection leads to.
pub(super) struct Place {
    pub(super) url: StoreUrl,
    pub(super) cache_mib: u32,
    pub(super) shared: bool,
}

/// How often a server is asked whether the one backend that it serves is gone, and for how long between two times: the
/// session of one that was killed ends a moment after it.
const ASKED: u32 = 10;
const ASKED_EVERY: Duration = Duration::from_millis(200);

impl Place {
    /// Opens the store for the one backend that serves it, or for one of several.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        let connection = connection::open_writer(&self.url, self.cache_mib)?;
        if let Some(session) = connection.postgres() {
            let mut asked = 1;
            while !session.serve(self.shared)? {
                if asked == ASKED {
                    return Err(StoreError::InUse(self.url.clone()));
                }
                asked += 1;
                std::thread::sleep(ASKED_EVERY);
            }
        }
        Ok(connection)
    }
}

/// When a server that is out of reach is tried again: after twice as long each time, up to a limit.
#[derive(Debug)]
pub(super) struct Backoff {
    wait: Duration,
    /// Not before.
    pub(super) after: Instant,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_secs(2);

    pub(super) fn new() -> Self {
        Self { wait: Self::FIRST, after: Instant::now() }
    }

    pub(super) fn failed(&mut self) {
        self.after = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(Self::LONGEST);
    }
}
