//! `kill -9` of one of three backends at random moments, under load and with a projector that is told things. Afterwards
//! every event that a device took in is in the ledger once, every command was shown once, and within seconds somebody
//! else had gone on with the jobs of the one that died.
//!
//! `FENLEI_CRASH_KILLS=20` makes it longer; see [`crate::crash`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fenlei::clock::{SharedClock, SystemClock};
use fenlei::simulate::fleet::{Broker as Address, Fleet, Sources};
use fenlei_wire::command::EVENING;
use fenlei_wire::vocabulary::DeviceKind;
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::{JOBS, comes, holds, start, until};
use crate::crash::{Run, check, say};
use crate::mosquitto::Broker;
use crate::postgres::server::Server;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::{Load, SLOW_TICK, register};
use crate::support::place::Place;

const BACKENDS: usize = 3;
/// A lease and the time in which it is noticed that nobody renews it; the rest is for a machine that does much else.
const MOVED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_backends_is_killed() {
    let (server, mut run) = (Server::start(), Run::begin("three backends, one killed"));
    let folder = Folder::at(Place::on(server.url()));
    let credentials = Load::register(&folder);
    let beam = register(&folder, [("beam", DeviceKind::Projector)]);
    let token = folder.done(&["token", "add", "--role", "admin"]).trim().to_owned();
    let broker = Broker::start(&folder);
    let mut backends = start(BACKENDS, &folder, &broker);
    for backend in &mut backends {
        backend.ready().await;
    }
    let load = Load::start_with(&credentials, broker.devices, run.seed, SLOW_TICK);
    let address = Address { host: "127.0.0.1".to_owned(), port: broker.devices };
    let (nothing, clock): (_, SharedClock) = (futures::stream::pending(), Arc::new(SystemClock));
    let sources = Sources::from([("beam", nothing.boxed())]);
    let projector = Fleet::start(&address, &beam, sources, 1, run.seed, &clock);

    let (mut messages, mut slowest) = (0, Duration::ZERO);
    for kill in 0..run.faults {
        // Half of the time the one that sends commands dies, which is often the one that does everything.
        let mut victim = run.random.usize(..BACKENDS);
        if run.random.bool() {
            for (number, backend) in backends.iter().enumerate() {
                if holds(backend, "dispatch").await {
                    victim = number;
                }
            }
        }
        let asked = json!({"text": format!("第{kill}条"), "target": {"device": "beam"}, "seconds": 600});
        let told_by = &backends[run.random.usize(..BACKENDS)];
        let message = make(told_by, &token, asked).await;
        run.moment(&load).await;
        assert!(backends[victim].kill(), "a backend ended by itself: {}", backends[victim].log());
        let died = Instant::now();
        let left: Vec<_> = (0..BACKENDS).filter(|number| *number != victim).map(|number| &backends[number]).collect();
        until("others do what the dead one did", async || {
            let mut held = 0;
            for job in JOBS {
                held += usize::from(holds(left[0], job).await) + usize::from(holds(left[1], job).await);
            }
            held == JOBS.len()
        })
        .await;
        slowest = slowest.max(died.elapsed());
        load.flows().await;
        // Whoever sent it, and whoever took the answer.
        let seen = std::cell::RefCell::new(Value::Null);
        let shown = async || {
            *seen.borrow_mut() = left[0].get(&token, &format!("projectors/messages/{message}")).await;
            seen.borrow()["commands"][0]["state"] == "displayed"
        };
        if !comes(shown).await {
            panic!("a message is not shown: {}\n{}", seen.borrow(), left[0].log());
        }
        messages += 1;
        backends[victim].start_again();
        backends[victim].ready().await;
    }
    assert!(slowest < MOVED_WITHIN, "jobs moved after {slowest:?}");
    let events = load.finish().await;
    projector.stop().await;
    shown_once(&backends[1].get(&token, "events?device=beam&type=display&limit=1000").await, messages);
    for backend in &mut backends {
        assert!(backend.kill(), "a backend ended by itself: {}", backend.log());
    }
    run.end(check::of_devices(&folder, &events));
    say(&format!("jobs moved within {:.1} s", slowest.as_secs_f32()));
    let log = backends[0].log();
    assert!(!log.contains("ERROR") && !log.contains("panicked") && !log.contains("deadlock"), "{log}");
}

async fn make(backend: &Backend, token: &str, asked: Value) -> String {
    let made = backend.call(token, Method::POST, "projectors/messages", Some(asked)).await;
    made["id"].as_str().unwrap().to_owned()
}

/// What the projector says it did, command by command.
fn shown_once(events: &Value, commands: usize) {
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events["items"].as_array().unwrap().iter().filter(|event| event["status"] == "displayed") {
        // In the evening it shows its own message as well.
        let command = event["command"].as_str().unwrap();
        if command != EVENING {
            *shown.entry(command).or_default() += 1;
        }
    }
    assert_eq!((shown.len(), shown.values().all(|times| *times == 1)), (commands, true), "{shown:?}");
}
