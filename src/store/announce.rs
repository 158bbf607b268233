//! What the writer tells: of each commit, and whether it can write.

use tokio::sync::watch;

use super::cluster::Cluster;

/// Whether the store takes writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Writing,
    Failing(String),
}

/// Who is told of commits.
#[derive(Clone)]
pub(super) enum Announce {
    /// Those who follow the ledger, with its last row.
    Here(watch::Sender<i64>),
    /// The thread that looks what several backends committed.
    Cluster(Cluster),
}

impl Announce {
    /// The disk has a transaction, and the ledger up to this row.
    pub(super) fn tell(&self, last: i64) {
        match self {
            Self::Here(committed) => {
                committed.send_if_modified(|known| std::mem::replace(known, last) != last);
            }
            Self::Cluster(cluster) => cluster.nudge(),
        }
    }
}
