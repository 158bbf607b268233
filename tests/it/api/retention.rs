//! What is over is erased by itself, and no figure changes.

use fenlei::clock::Clock;
use fenlei::store::retention::{self, Retention};
use serde_json::json;

use crate::support::api::{Api, deposit, instant};

#[tokio::test]
async fn a_household_that_left_is_erased_after_its_days_and_figures_stay() {
    let api = Api::with_registry().await;
    let rows = json!([
        {"household": "left", "enrolled_from": "2026-01-01", "enrolled_until": "2026-11-20", "cards": ["card-1"]},
        {"household": "here", "enrolled_from": "2026-01-01", "cards": ["card-2"]},
    ]);
    api.post("communities/garden/households", rows).await;
    let events =
        json!([deposit(1, "2026-11-18T08:30:00+08:00", "card-1"), deposit(2, "2026-11-18T08:31:00+08:00", "card-2")]);
    api.publish("gate/bin/bin-1", events).await.unwrap();
    let figures = async || api.get("communities/garden/participation?from=2026-11-16&to=2026-11-20").await.body;
    let households = async || api.get("communities/garden/households").await.each("household");
    let before = figures().await;
    assert_eq!(before["periods"][0]["participating"], 2);
    let kept = Retention { departed_days: Some(10), ..Retention::default() };
    let apply = async |at: &str| {
        api.clock.set(instant(at));
        retention::apply(&api.store, kept, api.clock.now()).await.unwrap();
        households().await
    };
    // The last of the ten days after the 20th.
    assert_eq!(apply("2026-11-30T23:00:00+08:00").await, ["here", "left"]);
    assert_eq!(apply("2026-12-01T00:00:00+08:00").await, ["here"]);
    assert_eq!(figures().await, before);
    let card = api.hash("card-1").0;
    let known = api.store.read(move |connection| {
        Ok(connection.query_row("SELECT count(*) FROM card WHERE hash = ?1", [card], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(known.await.unwrap(), 0);
    let noted = "SELECT count(*) FROM audit WHERE who = 'retention' AND action = 'households.erase'";
    let noted = api.store.read(move |connection| Ok(connection.query_row(noted, [], |row| row.get::<_, i64>(0))?));
    assert_eq!(noted.await.unwrap(), 1);
}

#[tokio::test]
async fn visits_and_the_audit_log_go_after_their_days_and_nothing_without_a_limit() {
    let api = Api::with_registry().await;
    let rows = json!([{"household": "here", "enrolled_from": "2026-01-01", "cards": []}]);
    api.post("communities/garden/households", rows).await;
    let visit = |date: &str| json!({"household": "here", "date": date, "kind": "visit", "outcome": "absent"});
    api.post("communities/garden/visits", json!([visit("2026-11-13"), visit("2026-11-14")])).await;
    let visits = async || api.get("communities/garden/visits").await.each("date");
    let lines = || {
        api.store
            .read(|connection| Ok(connection.query_row("SELECT count(*) FROM audit", [], |row| row.get::<_, i64>(0))?))
    };
    retention::apply(&api.store, Retention::default(), api.clock.now()).await.unwrap();
    assert_eq!(visits().await, ["2026-11-13", "2026-11-14"]);
    let kept = Retention { visits_days: Some(9), audit_days: Some(30), departed_days: None };
    retention::apply(&api.store, kept, api.clock.now()).await.unwrap();
    assert_eq!(visits().await, ["2026-11-14"]);
    assert!(lines().await.unwrap() > 0);
    api.clock.set(instant("2026-12-23T12:00:01+08:00"));
    retention::apply(&api.store, kept, api.clock.now()).await.unwrap();
    assert_eq!(lines().await.unwrap(), 0);
}
