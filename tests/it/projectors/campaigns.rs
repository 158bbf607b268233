//! The life of commands on a stepped clock: in time, too late, interrupted, over an outage and a restart.

use serde_json::{Value, json};

use super::line::{Line, answer, neighbourhood, set, states, until};
use crate::support::api::Api;

async fn post(api: &Api, body: Value) -> String {
    let answer = api.post("projectors/messages", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

fn steps(message: &Value, command: usize) -> Vec<Value> {
    message["commands"][command]["steps"].as_array().unwrap().iter().map(|step| step["state"].clone()).collect()
}

#[tokio::test]
async fn a_message_goes_through_every_step_and_a_silent_projector_lets_it_expire() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let id = post(&api, json!({"text": "垃圾分类,因为你", "target": {"site": "gate"}, "seconds": 90})).await;
    let (mut first, mut second) = (line.command().await, line.command().await);
    if first.0 > second.0 {
        std::mem::swap(&mut first, &mut second);
    }
    assert_eq!((first.0.as_str(), second.0.as_str()), ("beam-1", "beam-2"));
    let command = first.1;
    assert_ne!(command["id"], second.1["id"]);
    assert_eq!(
        (&command["type"], &command["text"], &command["seconds"]),
        (&json!("display"), &json!("垃圾分类,因为你"), &json!(90))
    );
    assert_eq!(command["expires"], "2026-11-23T04:01:30.000Z");
    answer(&api, "beam-1", 1, &command, "accepted").await;
    answer(&api, "beam-1", 2, &command, "displayed").await;
    // A step back, and the word of another projector, change nothing.
    answer(&api, "beam-1", 3, &command, "accepted").await;
    answer(&api, "beam-2", 1, &command, "failed").await;
    let shown = until(&api, &id, |shown| shown["commands"][0]["state"] == "displayed").await;
    assert_eq!(steps(&shown, 0), ["queued", "sent", "accepted", "displayed"]);
    assert_eq!(states(&shown)[1], ("beam-2".into(), "sent".into()));
    // Unanswered it comes again, the same, with what is left of its time.
    api.clock.set("2026-11-23T12:00:31+08:00".parse().unwrap());
    let (device, again) = line.command().await;
    assert_eq!((device.as_str(), &again["id"], &again["seconds"]), ("beam-2", &second.1["id"], &json!(59)));
    api.clock.set("2026-11-23T12:01:30+08:00".parse().unwrap());
    let shown = until(&api, &id, |shown| shown["commands"][1]["state"] == "expired").await;
    assert_eq!(steps(&shown, 1), ["queued", "sent", "expired"]);
    api.clock.set("2026-11-23T12:05:00+08:00".parse().unwrap());
    until(&api, &id, |_| true).await;
    assert!(line.silent(), "nothing is sent after it expired");
    // The projector had shown it in time; only its word was late.
    let late = json!({"boot": 1, "seq": 2, "time": "2026-11-23T12:01:00+08:00", "type": "display",
                      "command": second.1["id"], "status": "displayed"});
    api.publish("gate/projector/beam-2", late).await.unwrap();
    until(&api, &id, |shown| shown["commands"][1]["state"] == "displayed").await;
}

#[tokio::test]
async fn what_the_evening_of_an_outage_was_to_show_is_never_sent() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let daily = json!({"text": "晚上好", "target": {"device": "beam-1"}, "daily": {"start": "18:30", "seconds": 3600},
                       "from": "2026-11-23", "until": "2026-11-24"});
    let id = post(&api, daily).await;
    until(&api, &id, |shown| states(shown) == [("beam-1".into(), "queued".into())]).await;
    line.connection.send_replace(None);
    for time in ["23T18:31", "23T19:29"] {
        set(&api, time);
        until(&api, &id, |shown| shown["commands"][0]["state"] == "queued").await;
    }
    set(&api, "23T19:30");
    until(&api, &id, |shown| shown["commands"][0]["state"] == "expired").await;
    line.connection.send_replace(Some(2));
    // The next evening it is reached again, late, and shows for what is left.
    set(&api, "24T18:40");
    let (_, command) = line.command().await;
    assert_eq!((&command["text"], &command["seconds"]), (&json!("晚上好"), &json!(3000)));
    answer(&api, "beam-1", 1, &command, "displayed").await;
    let shown = until(&api, &id, |shown| shown["commands"][1]["state"] == "displayed").await;
    assert_eq!(steps(&shown, 0), ["queued", "expired"]);
    set(&api, "25T18:40");
    until(&api, &id, |shown| shown["commands"].as_array().unwrap().len() == 2).await;
    assert!(line.silent(), "its last day is over");
}

#[tokio::test]
async fn a_restart_in_the_middle_forgets_none_and_sends_none_anew() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let later = json!({"text": "later", "target": {"device": "beam-2"}, "at": "2026-11-23T12:05:00+08:00"});
    let later = post(&api, later).await;
    let id = post(&api, json!({"text": "now", "target": {"device": "beam-1"}})).await;
    let (_, command) = line.command().await;
    line.stop().await;
    let mut line = Line::start(&api);
    set(&api, "23T12:05");
    let sent = [line.command().await, line.command().await].map(|(device, command)| (device, command["id"].clone()));
    let again = sent.iter().find(|(device, _)| device == "beam-1").unwrap();
    assert_eq!(again.1, command["id"], "the projector knows it by its id");
    until(&api, &later, |shown| states(shown) == [("beam-2".into(), "sent".into())]).await;
    answer(&api, "beam-1", 1, &command, "displayed").await;
    let shown = until(&api, &id, |shown| shown["commands"][0]["state"] == "displayed").await;
    assert_eq!(steps(&shown, 0), ["queued", "sent", "displayed"]);
}

#[tokio::test]
async fn a_birth_is_reason_to_send_again() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    post(&api, json!({"text": "now", "target": {"device": "beam-1"}})).await;
    let (_, command) = line.command().await;
    api.clock.set("2026-11-23T12:00:05+08:00".parse().unwrap());
    let birth = fenlei::domain::inbound::Inbound::read(
        "fenlei/v1/gate/projector/beam-1/state",
        br#"{"online":true,"boot":2}"#,
        fenlei::clock::Clock::now(&*api.clock).timestamp_millis(),
        &fenlei::domain::card::CardKey::new([7; 32]),
    );
    api.store.commit(birth).await.unwrap();
    assert_eq!(line.command().await.1["id"], command["id"]);
}

#[tokio::test]
async fn the_message_begun_last_shows_and_a_deleted_one_makes_room() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let daily =
        json!({"text": "evening", "target": {"community": "garden"}, "daily": {"start": "11:00", "seconds": 7200}});
    let evening = post(&api, daily).await;
    line.command().await;
    line.command().await;
    let call = post(&api, json!({"text": "call", "target": {"device": "beam-1"}, "seconds": 600})).await;
    let (device, command) = line.command().await;
    assert_eq!((device.as_str(), &command["text"]), ("beam-1", &json!("call")));
    answer(&api, "beam-1", 1, &command, "displayed").await;
    until(&api, &call, |shown| shown["commands"][0]["state"] == "displayed").await;
    set(&api, "23T12:05");
    assert_eq!(api.delete(&format!("projectors/messages/{call}")).await.status, 204);
    assert_eq!(api.get(&format!("projectors/messages/{call}")).await.status, 404);
    // The evening message of the other projector is sent again too, since it never answered.
    let next = [line.command().await, line.command().await];
    let resumed = next.iter().find(|(device, _)| device == "beam-1").unwrap();
    assert_eq!((&resumed.1["text"], &resumed.1["seconds"]), (&json!("evening"), &json!(55 * 60)));
    answer(&api, "beam-1", 2, &resumed.1, "displayed").await;
    until(&api, &evening, |shown| states(shown).iter().any(|state| state.1 == "displayed")).await;
    assert_eq!(api.delete(&format!("projectors/messages/{evening}")).await.status, 204);
    let (_, clear) = line.command().await;
    assert_eq!((&clear["type"], clear.get("text")), (&json!("clear"), None));
}
