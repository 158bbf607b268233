//! A backend that is there and does nothing, as on a machine that swaps or was paused: the others do not wait for it for
//! long, and when it goes on nothing is there twice.

use std::process::Command;

use super::{JOBS, holds, start, until};
use crate::crash::check;
use crate::mosquitto::Broker;
use crate::postgres::server::Server;
use crate::support::folder::Folder;
use crate::support::load::{Load, SLOW_TICK};
use crate::support::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_sleeps_holds_nobody_up_and_writes_nothing_twice_when_it_wakes() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let credentials = Load::register(&folder);
    let broker = Broker::start(&folder);
    let mut backends = start(2, &folder, &broker);
    for backend in &mut backends {
        backend.ready().await;
    }
    let load = Load::start_with(&credentials, broker.devices, 5, SLOW_TICK);
    load.flows().await;
    let sleeper = usize::from(holds(&backends[1], "alarms").await);
    let other = &backends[1 - sleeper];
    // In the middle of a transaction that has all lanes: nobody could write.
    let store = folder.store();
    let busy = async || {
        let asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted";
        store.query_row(asked, [], |row| row.get::<_, i64>(0)).unwrap() >= 8
    };
    let process = backends[sleeper].id().unwrap();
    loop {
        until("somebody has all lanes", busy).await;
        signal("-STOP", process);
        if asleep_within(&store) {
            break;
        }
        signal("-CONT", process);
    }
    until("the other one does everything", async || {
        let mut held = 0;
        for job in JOBS {
            held += usize::from(holds(other, job).await);
        }
        held == JOBS.len()
    })
    .await;
    load.flows().await;
    signal("-CONT", process);
    let told = load.finish().await;
    for backend in &mut backends {
        assert!(backend.kill(), "a backend ended by itself: {}", backend.log());
    }
    assert!(check::everything(&folder, &told) > 0);
}

/// Whether a session has lanes and says nothing, although there is nothing that it waits for.
fn asleep_within(store: &fenlei::store::sql::Connection) -> bool {
    std::thread::sleep(std::time::Duration::from_millis(500));
    let asked = "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
         WHERE a.state = 'idle in transaction' AND a.state_change < clock_timestamp() - interval '400 milliseconds'
             AND l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted";
    store.query_row(asked, [], |row| row.get::<_, i64>(0)).unwrap() > 0
}

pub(super) fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args([name, &process.to_string()]).status().unwrap();
    assert!(status.success(), "kill {name}");
}
