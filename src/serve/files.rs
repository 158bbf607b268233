//! Every connection is an open file, and systems allow a program few of them unless it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Beside connections: the store, its readers, and what commands beside it use.
const OTHERS: u64 = 256;

/// Asks for as many open files as the system allows; gives how many that are.
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the number of open files cannot be raised");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The same, and says so where that is too few for what the settings allow.
pub(super) fn allow(connections: u64) {
    let allowed = raise();
    if allowed < connections + OTHERS {
        tracing::info!(
            "the system allows {allowed} open files, too few for {connections} connections: raise it (LimitNOFILE of a \
             systemd unit), or lower `http.connections` and `mqtt.connections`"
        );
    }
}
