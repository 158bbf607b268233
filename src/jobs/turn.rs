//! A job in turn: it runs while it is this backend's to do, and stops when another one has taken it over.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::SaidOnce;
use crate::mqtt::Connection;
use crate::store::Store;
use crate::store::leases::Job;

/// Keeps the store informed of what can be done here, until `stop`: what needs the broker only while it is reached, to
/// send or to receive, and the export only where it has somewhere to go.
pub(super) async fn offer(
    store: &Store,
    mut sending: Connection,
    mut receiving: watch::Receiver<bool>,
    exports: bool,
    stop: &CancellationToken,
) {
    loop {
        let (sends, receives) = (sending.number().is_some(), *receiving.borrow_and_update());
        let possible = |job: &Job| match job {
            Job::States => receives,
            Job::Configure | Job::Dispatch => sends,
            // Whose silence is not heard is not missed.
            Job::Alarms => sends && receives,
            Job::Export => exports,
            Job::Notices | Job::Linkage | Job::Forget => true,
        };
        store.offer(Job::ALL.into_iter().filter(possible).collect());
        tokio::select! {
            () = sending.changed() => {}
            Ok(()) = receiving.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Runs `work` whenever it is this backend's turn, until `stop`. What it is given to write with refuses once it is not.
pub(super) async fn in_turn<F: Future<Output = ()>>(
    store: &Store,
    job: Job,
    stop: &CancellationToken,
    work: impl Fn(Store, CancellationToken) -> F,
) {
    let (mut turn, mut said) = (store.turn(job), SaidOnce::default());
    loop {
        tokio::select! {
            () = turn.gained() => {}
            () = stop.cancelled() => return,
        }
        // What the backend before this one went by is known here too before anything is done.
        let refreshed = store.refresh().await;
        said.of(job.as_str(), &refreshed);
        if refreshed.is_err() {
            tokio::select! {
                () = tokio::time::sleep(super::RETRY) => continue,
                () = stop.cancelled() => return,
            }
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
