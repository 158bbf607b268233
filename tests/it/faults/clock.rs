//! The machine's clock, set back and forward by days while everything runs.

use chrono::TimeDelta;
use fenlei::clock::{Clock, SystemClock};
use fenlei::domain::registry::Role;
use fenlei::faults::Part;
use fenlei::store::{alarm_hooks, alarm_notices, linkage_hooks};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::told::readiness;
use super::until;
use crate::alarms::world::World;
use crate::projectors::line::{Line, neighbourhood, set, states, until as until_message};
use crate::support::api::{Api, instant};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::pages::Browser;
use crate::support::place::Place;

/// Comes back once it is noticed that the clock was set, or set right.
async fn noticed(api: &Api, set: bool) {
    until("the clock is watched", async || api.faults.now().contains_key(&Part::Clock) == set).await;
}

fn jump(api: &Api, by: TimeDelta) {
    api.clock.jump(api.clock.now() + by);
}

/// A deposit that happens at this moment, whatever the machine's clock says.
fn deposit(seq: u64, time: &str) -> Value {
    json!({"boot": 1, "seq": seq, "time": time, "type": "deposit", "stream": "food", "grams": 500, "card": "c"})
}

#[tokio::test]
async fn what_is_refused_by_a_clock_set_back_is_kept_and_taken_once_it_is_right() {
    let api = neighbourhood().await;
    let line = Line::start(&api);
    let browser = Browser::signed_in(&api, "li", None, &[Role::Admin]).await;
    api.publish("gate/bin/bin-1", deposit(1, "2026-11-23T11:58:00+08:00")).await.unwrap();
    jump(&api, -TimeDelta::days(2));
    noticed(&api, true).await;
    let ready = api.client.get(format!("{}/readyz", api.base)).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK, "it takes what comes");
    let reason = "the clock was set back by 2880 min within the last hour; check that it is right now";
    assert_eq!(ready.json::<Value>().await.unwrap()["reasons"], json!([reason]));
    assert!(browser.see("/").await.contains("服务器的时钟"));

    let answered = api.publish("gate/bin/bin-1", deposit(2, "2026-11-23T12:00:00+08:00")).await.unwrap();
    assert_eq!(answered.receipts[0].through, 2, "nobody sends it for ever");
    let retry = async || api.call(&api.admin, Method::POST, "quarantine/1/retry", None).await;
    assert_eq!(api.get("quarantine").await.each("reason"), ["time_ahead"]);
    assert_eq!(retry().await.status, StatusCode::CONFLICT, "the clock is still wrong");

    jump(&api, TimeDelta::days(2));
    noticed(&api, false).await;
    assert!(!browser.see("/").await.contains("服务器的时钟"));
    assert_eq!(retry().await.status, StatusCode::NO_CONTENT);
    let stored = api.get("events?type=deposit").await;
    assert_eq!(stored.each("time"), ["2026-11-23T03:58:00.000Z", "2026-11-23T04:00:00.000Z"]);
    assert_eq!(stored.each("received")[1], "2026-11-23T04:00:00.000Z");
    let next = api.publish("gate/bin/bin-1", deposit(3, "2026-11-23T12:00:00+08:00")).await.unwrap();
    assert_eq!(next.receipts[0].through, 3);
    assert_eq!(api.get("quarantine").await.each("id").len(), 0);
    line.stop().await;
}

/// Comes back once the job that looks for alarms has looked again: it finds that something came twice.
async fn looked(world: &mut World) {
    world.wait_seconds(1);
    let before = world.alarms("kind=conflict").await;
    let count = |alarms: &[Value]| alarms.iter().map(|alarm| alarm["last"].clone()).collect::<Vec<_>>();
    let seq = *world.seq("cam-1");
    let event = json!({"boot": 1, "seq": seq, "time": world.now().to_rfc3339(), "type": "heartbeat", "rssi": -fastrand::i32(1..99)});
    world.api.publish("gate/camera/cam-1", event).await.unwrap();
    until("somebody looks for alarms", async || count(&world.alarms("kind=conflict").await) != count(&before)).await;
}

#[tokio::test]
async fn a_clock_set_forward_refuses_nothing_and_misses_nobody_and_after_it_is_right_who_falls_silent_is_missed() {
    let mut world = World::start().await;
    for _ in 0..2 {
        world.wait(1);
        for device in ["bin/bin-1", "camera/cam-1"] {
            world.says(device, json!({"type": "heartbeat"})).await;
        }
    }
    looked(&mut world).await;
    let true_time = world.now();
    jump(&world.api, TimeDelta::days(9));
    noticed(&world.api, true).await;
    world.says_at("bin/bin-1", true_time, json!({"type": "heartbeat"})).await;
    assert_eq!(world.api.get("quarantine").await.each("id").len(), 0);
    looked(&mut world).await;
    assert_eq!(world.alarms("kind=silent").await, Vec::<Value>::new(), "all were heard a moment ago");

    jump(&world.api, -TimeDelta::days(9));
    noticed(&world.api, false).await;
    world.says("bin/bin-1", json!({"type": "heartbeat"})).await;
    looked(&mut world).await;
    assert_eq!(world.alarms("kind=silent").await, Vec::<Value>::new());
    // Nine days are not waited for: a day and what a device may be silent for is enough.
    world.wait(60 * 24 + 30);
    looked(&mut world).await;
    until("the bin is missed", async || {
        world.alarms("kind=silent&state=open").await.iter().any(|alarm| alarm["device"] == "bin-1")
    })
    .await;
}

#[tokio::test]
async fn alarms_begin_and_end_by_the_clock_as_it_is_now() {
    let mut world = World::start().await;
    world.says("camera/cam-1", json!({"type": "heartbeat"})).await;
    // Nobody's deposits are out of hours: that is noted, by a clock that is three days ahead.
    jump(&world.api, TimeDelta::days(3));
    looked(&mut world).await;
    jump(&world.api, -TimeDelta::days(3));
    noticed(&world.api, false).await;
    looked(&mut world).await;
    for _ in 0..12 {
        world.says("bin/bin-1", json!({"type": "deposit", "stream": "food", "grams": 500})).await;
    }
    until("many deposits out of hours are an alarm", async || {
        !world.alarms("kind=off_hours&state=open").await.is_empty()
    })
    .await;
    for _ in 0..2 {
        looked(&mut world).await;
    }
    let raised = world.alarms("kind=off_hours").await;
    assert_eq!((raised.len(), &raised[0]["count"]), (1, &json!(1)), "it came once: {raised:?}");
    world.wait(121);
    looked(&mut world).await;
    world.wait(11);
    until("it is over", async || !world.alarms("kind=off_hours&state=cleared").await.is_empty()).await;
}

#[tokio::test]
async fn what_a_projector_was_to_show_it_shows_at_its_time_after_all() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let daily =
        json!({"text": "谢谢大家", "target": {"device": "beam-1"}, "daily": {"start": "18:30", "seconds": 600}});
    let made = api.post("projectors/messages", daily).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = made.body["id"].as_str().unwrap();
    let all = |state: &'static str| {
        move |message: &Value| {
            let states = states(message);
            !states.is_empty() && states.iter().all(|(_, of)| of == state)
        }
    };
    until_message(&api, id, all("queued")).await;
    jump(&api, TimeDelta::days(2));
    // That of today is over by this clock.
    until_message(&api, id, |message| states(message).iter().any(|(_, state)| state == "expired")).await;
    jump(&api, -TimeDelta::days(2));
    until_message(&api, id, |message| states(message)[0].1 == "queued").await;
    set(&api, "23T18:30");
    let (device, command) = line.command().await;
    assert_eq!((device.as_str(), &command["text"]), ("beam-1", &json!("谢谢大家")));
    line.stop().await;
}

#[tokio::test]
async fn neither_webhooks_nor_people_are_locked_out_for_days_after_the_clock_went_back() {
    let api = Api::with_registry().await;
    let mut browser = Browser::signed_in(&api, "li", None, &[Role::Admin]).await;
    let hook = json!({"url": "https://example.org/hook", "format": "generic"});
    assert_eq!(api.post("alarms/webhooks", hook).await.status, StatusCode::CREATED);
    let hook = json!({"url": "https://example.org/hook"});
    assert_eq!(api.post("linkage/webhooks", hook).await.status, StatusCode::CREATED);
    jump(&api, TimeDelta::days(3));
    assert_eq!(browser.get("/").await.status, StatusCode::OK);
    for _ in 0..5 {
        browser.sign_in("li", "not the password").await;
    }
    assert_eq!(browser.sign_in("li", "not the password").await.status, StatusCode::TOO_MANY_REQUESTS);
    let wrong = api.clock.now().timestamp_millis();
    api.store
        .write(move |session| {
            session.connection.execute(
                "INSERT INTO alarm_notice (id, hook, alarm, event, severity, site, document)
                 SELECT 'n', number, 1, 'raised', 2, 1, '{}' FROM alarm_hook",
                [],
            )?;
            let [alarms] = alarm_hooks::list(session.connection, None, 0, 9)?.try_into().unwrap();
            alarm_notices::failed(session.connection, alarms.number, "HTTP 503", wrong + 60_000, wrong)?;
            session
                .connection
                .execute("UPDATE linkage_hook SET due = ?1, position = -1", [wrong + 60_000])
                .map_err(fenlei::store::StoreError::from)
        })
        .await
        .unwrap();
    let due = async |api: &Api| {
        let now = api.clock.now().timestamp_millis();
        let due = api.store.read(move |connection| {
            Ok((alarm_hooks::due(connection, now)?.len(), linkage_hooks::due(connection, now)?.len()))
        });
        due.await.unwrap()
    };
    assert_eq!(due(&api).await, (0, 0), "they wait");
    jump(&api, -TimeDelta::days(3));
    assert_eq!(due(&api).await, (1, 1), "no longer than anybody waits");
    let mut again = Browser::new(&api);
    let shown = again.sign_in("li", crate::support::pages::PASSWORD).await;
    assert_eq!(shown.status, StatusCode::SEE_OTHER, "{shown:?}");
    assert_eq!(again.get("/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn nothing_is_forgotten_by_a_clock_in_doubt() {
    let api = neighbourhood().await;
    let topic = "fenlei/v1/gate/bin/bin-1/event";
    let key = fenlei::domain::card::CardKey::new([7; 32]);
    let now = api.clock.now().timestamp_millis();
    let garbage = fenlei::domain::inbound::Inbound::read(topic, b"\xff", now, &key);
    api.store.commit(garbage).await.unwrap();
    // Kept for thirty days.
    api.clock.jump(instant("2027-01-23T12:00:00+08:00"));
    api.faults.fails(Part::Clock, "it was set");
    let kept = async || api.get("quarantine").await.each("id").len();
    let alive = "SELECT CAST(value AS bigint) FROM meta WHERE name = 'alive'";
    let jobs_ran = async || {
        let wanted = api.clock.now().timestamp_millis();
        let alive =
            api.store.read(move |connection| Ok(connection.query_row(alive, [], |row| row.get::<_, i64>(0)).ok()));
        alive.await.unwrap() == Some(wanted)
    };
    let line = Line::start(&api);
    until("the jobs run", jobs_ran).await;
    line.stop().await;
    assert_eq!(kept().await, 1);
    api.faults.works(Part::Clock);
    let line = Line::start(&api);
    until("it is forgotten", async || kept().await == 0).await;
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_an_old_clock_is_told() {
    let folder = Folder::at(Place::in_a_file());
    let later = (SystemClock.now() + TimeDelta::days(2)).timestamp_millis().to_string();
    folder.store().execute("INSERT INTO meta VALUES ('alive', ?1)", [later]).unwrap();
    let mut backend = Backend::start(&folder, None);
    backend.ready().await;
    let (_, said) = readiness(&backend).await;
    let reason = said["reasons"][0].as_str().unwrap();
    assert!(reason.ends_with("min behind what it was before the start; check that it is right"), "{reason}");
    assert_eq!(backend.counter("fenlei_fault{part=\"clock\"}").await, 1.0);
    assert!(backend.kill());
    backend.start_again();
    backend.ready().await;
    assert_eq!(readiness(&backend).await.1["reasons"], json!([]), "by the clock that it has now");
}
