//! A job in turn: it runs while it is this backend's to do, and stops when another one has taken it over.

use tokio_util::sync::CancellationToken;

use crate::store::Store;
use crate::store::leases::Job;

/// Runs `work` whenever it is this backend's turn, until `stop`. What it is given to write with refuses once it is not.
pub(super) async fn in_turn<F: Future<Output = ()>>(
    store: &Store,
    job: Job,
    stop: &CancellationToken,
    work: impl Fn(Store, CancellationToken) -> F,
) {
    let mut turn = store.turn(job);
    loop {
        tokio::select! {
            () = turn.gained() => {}
            () = stop.cancelled() => return,
        }
        let ending = stop.child_token();
        let working = work(store.during(&turn), ending.clone());
        tokio::pin!(working);
        tokio::select! {
            // Some have nothing to do by the settings.
            () = &mut working => return,
            () = turn.lost() => {}
        }
        ending.cancel();
        working.await;
    }
}
