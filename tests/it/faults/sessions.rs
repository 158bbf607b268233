//! A broker that comes back without its memory: no sessions, nothing queued, nothing retained.

use std::time::Duration;

use serde_json::Value;

use super::until;
use crate::crash::{Run, settle};
use crate::mosquitto::{Broker, client, line};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::Load;

/// Each takes a second or two: devices come back at their own time.
const ROUNDS: u32 = 2;

/// What the broker retains for a device that is not part of the load.
async fn config(folder: &Folder, broker: &Broker) -> Value {
    let (port, secret) = (broker.devices, folder.secret.clone());
    let read = tokio::task::spawn_blocking(move || {
        let topic = ["-t", "fenlei/v1/north/bin/bin-1/config", "-C", "1", "-W", "20"];
        line(&client("mosquitto_sub", port, ("bin-1", &secret), "bin-1", &topic))
    });
    let read = tokio::time::timeout(Duration::from_secs(30), read).await.unwrap().unwrap();
    serde_json::from_str(&read).unwrap_or_else(|_| panic!("no config is retained: {read:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_its_memory_is_told_everything_again() {
    let (mut run, folder) = (Run::begin("Mosquitto, memory lost"), Folder::new());
    let credentials = Load::register(&folder);
    let token = folder.done(&["token", "add", "--role", "admin"]);
    let mut mosquitto = Broker::start(&folder);
    let mut backend = Backend::start(&folder, Some(&mosquitto.url()));
    backend.ready().await;
    let load = Load::start(&credentials, mosquitto.devices, run.seed);
    load.flows().await;
    let told = config(&folder, &mosquitto).await;
    assert!(told["version"].as_u64().is_some(), "{told}");
    for round in 0..ROUNDS {
        run.moment(&load).await;
        let both = round == 1;
        if both {
            // What devices have handed over meanwhile waits in the broker alone.
            assert!(backend.kill(), "the backend ended by itself: {}", backend.log());
            run.wait(300).await;
        }
        mosquitto.kill();
        mosquitto.forget();
        mosquitto.start_again();
        if both {
            backend.start_again();
        }
        load.flows().await;
        backend.ready().await;
        assert_eq!(config(&folder, &mosquitto).await, told, "it is retained again, and is the same");
    }
    // Their births came again too, or those who were away with the backend would count as such.
    until("every device of the load is online", async || {
        let devices = backend.get(token.trim(), "devices").await;
        let devices = devices["items"].as_array().unwrap().clone();
        let mut load = devices.iter().filter(|device| device["id"].as_str().unwrap().starts_with("load-"));
        load.all(|device| device["online"] == true)
    })
    .await;
    settle(&run, &folder, backend, load).await;
}
