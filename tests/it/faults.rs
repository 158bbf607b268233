//! What breaks around a backend: the network, the disk, the clock, the broker's memory, and whoever is slow to read. The
//! system degrades as stated, says so, and recovers alone: nothing lost, nothing twice, the rollups a recount.
//!
//! Where chance decides, `FENLEI_CRASH_KILLS` and `FENLEI_CRASH_SEED` do as in [`crate::crash`].

mod clock;
mod disk;
mod flush;
mod mounted;
mod network;
pub(crate) mod proxy;
mod sessions;
mod streams;
mod told;
mod torn;

use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Comes back once it is so.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never so: {what}"));
}
