//! Several backends on one PostgreSQL database and one broker: what comes is divided among them, whoever dies, and what
//! must be done once is done by one.

mod asleep;
mod card_key;
mod killed;
mod lanes;
mod share;
mod stream;
mod turns;

use std::time::Duration;

use crate::mosquitto::Broker;
use crate::support::backend::Backend;
use crate::support::folder::Folder;

/// A command whose answer got lost is sent again after 30 s; the rest is for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(150);

/// The jobs, as `/metrics` names them, that a backend has where nothing is exported.
const JOBS: [&str; 7] = ["states", "configure", "dispatch", "alarms", "notices", "linkage", "forget"];

/// Backends that share a folder's store and a broker.
fn start(count: usize, folder: &Folder, broker: &Broker) -> Vec<Backend> {
    let one = || Backend::start_with(folder, Some(&broker.url()), vec![("FENLEI__MQTT__SHARE", "fenlei".to_owned())]);
    (0..count).map(|_| one()).collect()
}

/// Whether a backend holds a job.
async fn holds(backend: &Backend, job: &str) -> bool {
    backend.counter(&format!("fenlei_job_held{{job=\"{job}\"}}")).await > 0.0
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    assert!(comes(holds).await, "it does not come about that {what}");
}

/// Waits for something; whether it came.
async fn comes(holds: impl AsyncFn() -> bool) -> bool {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.is_ok()
}
