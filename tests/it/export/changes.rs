//! Every event arrives as it is, and what changes of it later arrives too.

use fenlei::store::export;
use reqwest::Method;
use serde_json::{Value, json};

use super::ledger::{Written, documented};
use super::world::{World, deposit};
use crate::support::api::send;

/// A text that would be a second line, were it believed.
const FORGED: &str = "x\" 1\nforged,site=gate grams=1i 1764000000000000000\r\nforged value=\\";

#[tokio::test]
async fn every_type_of_event_is_written_as_the_readme_says() {
    let mut world = World::start().await;
    let deposit_with = |stream: &str, more: Value| {
        let mut event = json!({"type": "deposit", "stream": stream, "grams": 1250});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    world
        .says(
            "gate/bin/bin-1",
            [
                deposit_with("food", json!({"verdict": "incorrect", "reason": FORGED, "card": "c1"})),
                deposit_with("hazardous", json!({"time": "2026-11-20T03:00:00.001+08:00"})),
                deposit_with("recyclable", json!({"verdict": "correct", "clock": "unsynced"})),
                json!({"type": "fill", "stream": "residual", "percent": 81.5, "celsius": -3.25}),
                json!({"type": "fill", "stream": "residual", "percent": 100}),
                json!({"type": "emptied", "stream": "residual", "grams": 200_000}),
                json!({"type": "door", "open": true, "by": "resident"}),
                json!({"type": "alarm", "alarm": "low_battery", "active": true}),
                json!({"type": "executed", "command": "c-1", "status": "failed", "detail": FORGED}),
                json!({"type": "heartbeat", "celsius": 21.5, "millivolts": 3712, "rssi": -71}),
                json!({"type": "heartbeat"}),
                json!({"type": "lost", "of_boot": 1, "from": 3, "to": 5}),
            ],
        )
        .await;
    let judged = json!({"device": "bin-1", "boot": 1, "seq": 2});
    world
        .says(
            "gate/camera/cam-1",
            [
                json!({"type": "sighting", "what": "bag_outside", "confidence": 0.875}),
                json!({"type": "judgement", "verdict": "incorrect", "reason": "mixed", "confidence": 0.5, "deposit": judged}),
                json!({"type": "judgement", "verdict": "correct", "bin": "bin-1"}),
            ],
        )
        .await;
    world
        .says(
            "gate/projector/beam-1",
            [json!({"type": "display", "command": "c-2", "status": "displayed", "detail": "\\"})],
        )
        .await;
    world.export(5_000);
    world.until_equal().await;
    let points = world.influx.points();
    let refused = world.api.get("quarantine").await.each("detail");
    assert_eq!((points.len(), refused.as_slice()), (16, &[][..]));
    // What is written is what the README says, and all that it says is written here.
    let schema = documented();
    let mut met = std::collections::BTreeMap::new();
    for ((series, _), fields) in &points {
        let (measurement, tags) = series.split_once(',').unwrap();
        let (tags_met, fields_met): &mut (Vec<String>, Vec<String>) = met.entry(measurement.to_owned()).or_default();
        tags_met.extend(tags.split(',').map(|tag| tag.split_once('=').unwrap().0.to_owned()));
        fields_met.extend(fields.keys().cloned());
    }
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.dedup();
        names
    };
    for (measurement, (tags, fields)) in schema {
        let (tags_met, fields_met) = met.remove(&measurement).unwrap_or_else(|| panic!("there is no {measurement}"));
        assert_eq!(sorted(tags_met), sorted(tags), "tags of {measurement}");
        assert_eq!(sorted(fields_met), sorted(fields), "fields of {measurement}");
    }
    assert!(met.is_empty(), "not in the README: {met:?}");
    world.pause().await;
}

fn sum(world: &World, field: &str) -> f64 {
    let values = world.influx.points().into_iter().filter(|((series, _), _)| series.starts_with("deposit,"));
    values.map(|(_, fields)| if let Written::Number(value) = fields[field] { value } else { panic!() }).sum()
}

async fn note(world: &World, key: &str, body: Value) {
    let request = world.api.request(Method::POST, "sites/gate/deposits").header("Idempotency-Key", key);
    let answer = send(request.json(&body)).await;
    assert!(answer.status.is_success(), "{answer:?}");
}

#[tokio::test]
async fn verdicts_and_timings_of_later_replace_what_was_written() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=120).map(deposit)).await;
    world.export(50);
    world.until_equal().await;
    assert_eq!((sum(&world, "unjudged"), sum(&world, "in_window")), (120.0, 60.0));

    let judge = |seq: u64| json!({"type": "judgement", "verdict": "correct", "deposit": {"device": "bin-1", "boot": 1, "seq": seq}});
    world.says("gate/camera/cam-1", [judge(3), judge(121), judge(77)]).await;
    world.until_equal().await;
    assert_eq!((sum(&world, "unjudged"), sum(&world, "correct")), (118.0, 2.0));
    // One that was judged before it came, and one that a volunteer judges otherwise than the camera.
    world.says("gate/bin/bin-1", [deposit(9)]).await;
    note(&world, "a", json!({"deposit": {"device": "bin-1", "boot": 1, "seq": 3}, "verdict": "incorrect"})).await;
    world.until_equal().await;
    assert_eq!((sum(&world, "correct"), sum(&world, "incorrect")), (2.0, 1.0));

    // Other hours for the day, decided when it had been exported; in several pages.
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let hours = json!({"valid_from": "2026-11-01", "weekly": [{"days": days, "open": "07:00", "close": "07:30"}]});
    assert!(world.api.put("sites/gate/schedule", hours).await.status.is_success());
    world.until_equal().await;
    assert_eq!(sum(&world, "in_window"), 29.0);
    // And each note of it is done with.
    let done = world.until_progress(|progress| progress.retimed == 0).await;
    assert_eq!((done.refused, done.position, done.waits_since), (0, done.last, None));
    world.pause().await;
}

#[tokio::test]
async fn of_people_nothing_is_written() {
    let mut world = World::start().await;
    let rows =
        json!([{"household": "the-lis", "building": "3栋", "enrolled_from": "2026-01-01", "cards": ["card-of-li"]}]);
    assert!(world.api.post("communities/garden/households", rows).await.status.is_success());
    let mut by_card = deposit(800);
    by_card["card"] = "card-of-li".into();
    world.says("gate/bin/bin-1", [by_card]).await;
    let noted = json!({"stream": "food", "household": "the-lis", "verdict": "correct", "reason": "Mrs Li said so"});
    note(&world, "a", noted).await;
    world.export(5_000);
    world.until_equal().await;
    assert_eq!(world.api.delete("communities/garden/households/the-lis").await.status, 204);
    world.says("gate/bin/bin-1", [deposit(1)]).await;
    world.until_equal().await;
    let hash = world.api.hash("card-of-li").0;
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    for write in world.influx.writes() {
        for person in ["card-of-li", "the-lis", "3栋", "Li", &hex] {
            assert!(!write.lines.contains(person), "{person}: {}", write.lines);
        }
    }
    world.pause().await;
}

#[tokio::test]
async fn history_is_exported_when_it_is_switched_on_and_again_when_that_is_asked_for() {
    let mut world = World::start().await;
    world.says("gate/bin/bin-1", (1..=100).map(deposit)).await;
    world.export(7);
    world.until_equal().await;
    assert!(world.influx.writes().iter().all(|write| write.lines.lines().count() <= 7));
    world.influx.forget();
    world.says("gate/bin/bin-1", [deposit(1)]).await;
    world.influx.until_so(|influx| influx.points().len() == 1, || "only what is new".to_owned()).await;
    world.api.store.write(|session| export::start_over(session.connection)).await.unwrap();
    world.until_equal().await;
    assert_eq!(world.influx.points().len(), 101);
    world.pause().await;
}
