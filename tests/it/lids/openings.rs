//! Staff open a site at once, for a reason and a time; the hours hold again afterwards.

use chrono::TimeDelta;
use fenlei::clock::Clock;
use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::projectors::line::Line;
use crate::support::api::Api;

#[tokio::test]
async fn a_site_is_opened_at_once_and_locks_again_by_its_hours() {
    let api = Api::with_registry().await;
    let mut line = Line::start(&api);
    // Noon: the lids are locked.
    assert_eq!(api.get("devices/bin-1").await.body["lid"]["expected"], "locked");
    let opened = api.post("sites/gate/openings", json!({"reason": "清运车晚到", "seconds": 2700})).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
    assert_eq!(
        (&opened.body["from"], &opened.body["until"]),
        (&json!("2026-11-23T04:00:00.000Z"), &json!("2026-11-23T04:45:00.000Z"))
    );
    assert_eq!(opened.body["commands"].as_array().unwrap().len(), 1, "one for each bin of the site");
    let (device, command) = line.command().await;
    assert_eq!(
        (device.as_str(), &command["type"], &command["seconds"], &command["expires"]),
        ("bin-1", &json!("unlock"), &json!(2700), &json!("2026-11-23T04:45:00.000Z"))
    );
    let lid = api.get("devices/bin-1").await.body["lid"].clone();
    assert_eq!((&lid["expected"], &lid["next"]), (&json!("unlocked"), &json!("2026-11-23T04:45:00.000Z")));
    assert_eq!(api.get("devices/bin-2").await.body["lid"]["expected"], "locked", "the other site");
    // It is over by itself: the bin does that alone, and is told.
    let event = json!({"boot": 1, "seq": 1, "time": api.clock.now().to_rfc3339(), "type": "executed",
                       "command": command["id"], "status": "done"});
    api.publish("gate/bin/bin-1", event).await.unwrap();
    api.clock.set(api.clock.now() + TimeDelta::minutes(45));
    let (device, command) = line.command().await;
    assert_eq!((device.as_str(), &command["type"], command.get("seconds")), ("bin-1", &json!("lock"), None));
    let listed = api.get("sites/gate/openings").await.body["items"].clone();
    assert_eq!(listed[0]["commands"][0]["state"], "done");
    assert_eq!(listed[0]["reason"], "清运车晚到");
}

#[tokio::test]
async fn an_opening_ends_early_or_is_replaced_and_spans_an_edge() {
    let api = Api::with_registry().await;
    let mut line = Line::start(&api);
    let open =
        async |seconds: u32| api.post("sites/gate/openings", json!({"reason": "活动", "seconds": seconds})).await;
    open(3600).await;
    assert_eq!(line.command().await.1["seconds"], 3600);
    // Until 19:00, beyond the hours from 17:00 to 18:00: nothing locks in between.
    let second = open(7 * 3600).await;
    let told = line.command().await.1;
    assert_eq!((&told["type"], &told["seconds"]), (&json!("unlock"), &json!(7 * 3600)));
    let lid = api.get("devices/bin-1").await.body["lid"].clone();
    assert_eq!(lid["next"], "2026-11-23T11:00:00.000Z");
    let path = format!("sites/gate/openings/{}", second.body["id"]);
    api.clock.set(api.clock.now() + TimeDelta::minutes(10));
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT);
    let (_, command) = line.command().await;
    assert_eq!(command["type"], "lock");
    assert_eq!(api.delete(&path).await.status, StatusCode::NO_CONTENT, "it stays as it was");
    let items = api.get("sites/gate/openings?limit=1").await.body;
    assert_eq!(items["items"][0]["until"], "2026-11-23T04:10:00.000Z");
    let next = items["next"].as_str().unwrap();
    let older = api.get(&format!("sites/gate/openings?cursor={next}")).await.body;
    assert_eq!(older["items"][0]["until"], "2026-11-23T04:00:00.000Z", "replaced when the other began");
    assert_eq!(older["next"], json!(null));
    let states = items["items"][0]["commands"][0]["state"].clone();
    assert_eq!(states, "expired", "nobody answered, and it is not sent any more");
}

/// Nor is it locked by what it had been told before, and may hear again.
#[tokio::test]
async fn a_site_opened_just_after_its_hours_is_not_locked_by_their_end() {
    let api = Api::with_registry().await;
    let mut line = Line::start(&api);
    let mut next = async || {
        loop {
            let (device, command) = line.command().await;
            if device == "bin-1" {
                return command["type"].clone();
            }
        }
    };
    // 18:00 on the site's clock; nobody answers.
    api.clock.set("2026-11-23T10:00:00Z".parse().unwrap());
    assert_eq!(next().await, "lock");
    api.clock.set(api.clock.now() + TimeDelta::minutes(3));
    api.post("sites/gate/openings", json!({"reason": "活动", "seconds": 3600})).await;
    let mut told = Vec::new();
    while told.iter().filter(|kind| *kind == "unlock").count() < 3 {
        told.push(next().await);
        api.clock.set(api.clock.now() + TimeDelta::seconds(31));
    }
    // The lock was due again when the site was opened, and may have gone out in that moment; but not after.
    let unlocked = told.iter().position(|kind| kind == "unlock").unwrap();
    assert!(told[unlocked..].iter().all(|kind| kind == "unlock"), "{told:?}");
}

#[tokio::test]
async fn only_who_runs_the_site_opens_it_and_it_is_on_record() {
    let api = Api::with_registry().await;
    let body = json!({"reason": "活动", "seconds": 600});
    let operator = api.token(Some("north"), &[Role::Operator]).await;
    let reader = api.token(Some("north"), &[Role::Organization]).await;
    let foreign = api.token(Some("south"), &[Role::Operator]).await;
    for (token, status) in [(&reader, 403), (&foreign, 404), (&operator, 201)] {
        let answer = api.call(token, Method::POST, "sites/gate/openings", Some(body.clone())).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    for (bad, word) in [
        (json!({"reason": "", "seconds": 600}), "reason"),
        (json!({"reason": "活动", "seconds": 59}), "seconds"),
        (json!({"reason": "活动", "seconds": 86_401}), "seconds"),
        (json!({"seconds": 600}), "reason"),
    ] {
        let answer = api.post("sites/gate/openings", bad).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body["detail"].as_str().unwrap().contains(word), "{answer:?}");
    }
    assert_eq!(api.delete("sites/gate/openings/99").await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.delete("sites/gate/openings/x").await.status, StatusCode::NOT_FOUND);
    let audited: Vec<(String, String)> = api
        .store
        .read(|connection| {
            let mut select =
                connection.prepare("SELECT action, subject FROM audit WHERE action IN ('site.open', 'site.close')")?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap();
    assert_eq!(audited, [("site.open".into(), "gate".into())]);
}
