//! Visits recorded by a form without a script.

use fenlei::domain::registry::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::pages::Browser;

async fn with_households() -> Api {
    let api = Api::with_registry().await;
    let rows = json!([
        {"household": "h1", "building": "1号楼", "enrolled_from": "2026-01-01", "cards": []},
        {"household": "h2", "building": "2号楼", "enrolled_from": "2026-01-01", "cards": []},
    ]);
    assert_eq!(api.post("communities/garden/households", rows).await.status, StatusCode::OK);
    api
}

const PAGE: &str = "/communities/garden/visits";

#[tokio::test]
async fn a_visit_is_recorded_by_a_form_and_once_however_often_it_is_sent() {
    let api = with_households().await;
    let browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let chosen = browser.get("/visits").await;
    assert_eq!(chosen.location.as_deref(), Some(PAGE), "there is one community");
    let page = browser.see(PAGE).await;
    assert!(page.contains("1号楼") && !page.contains("h1 ✓"), "{page}");
    let fields = [
        ("household", "h1"),
        ("kind", "survey"),
        ("outcome", "answered"),
        ("claimed", "true"),
        ("tested", "false"),
        ("date", "2026-11-23"),
        ("key", "one"),
    ];
    for _ in 0..2 {
        let sent = browser.submit(PAGE, PAGE, &fields).await;
        assert_eq!(sent.location.as_deref(), Some("/communities/garden/visits?done=1"), "{sent:?}");
    }
    let listed = api.get("communities/garden/visits").await;
    let expected = json!([{"household": "h1", "date": "2026-11-23", "kind": "survey", "outcome": "answered",
                           "claimed": true, "tested": false}]);
    assert_eq!(listed.body["items"], expected);
    assert!(browser.see(PAGE).await.contains("h1 ✓"));
}

#[tokio::test]
async fn answers_belong_to_who_answered_and_what_was_forgotten_is_named() {
    let api = with_households().await;
    let mut browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let fields =
        [("household", "h2"), ("kind", "visit"), ("outcome", "absent"), ("claimed", "true"), ("date", "2026-11-22")];
    assert_eq!(browser.submit(PAGE, PAGE, &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(api.get("communities/garden/visits").await.body["items"][0]["claimed"], Value::Null);
    let refused = browser.submit(PAGE, PAGE, &[("household", "h2"), ("kind", "visit"), ("date", "2026-11-22")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("请选择结果") && refused.body.contains("value=\"h2\" selected"), "{}", refused.body);
    let future = [("household", "h2"), ("kind", "visit"), ("outcome", "absent"), ("date", "2026-11-24")];
    let refused = browser.submit(PAGE, PAGE, &future).await;
    assert!(refused.body.contains("日期不能在将来"), "{}", refused.body);
    browser.english();
    assert!(browser.see(PAGE).await.contains("Showed that it does"));
}

#[tokio::test]
async fn only_who_records_is_shown_the_households() {
    let api = with_households().await;
    let operator = Browser::signed_in(&api, "operator", None, &[Role::Operator]).await;
    let page = operator.see(PAGE).await;
    assert!(!page.contains("1号楼") && !page.contains("<select"), "{page}");
    let south = Browser::signed_in(&api, "south", Some("south"), &[Role::Organization]).await;
    assert_eq!(south.get(PAGE).await.status, StatusCode::NOT_FOUND);
    let scheduler = Browser::signed_in(&api, "scheduler", None, &[Role::Scheduler]).await;
    assert_eq!(scheduler.get(PAGE).await.status, StatusCode::NOT_FOUND);
    let log = api.store.read(|connection| {
        let looked = "SELECT count(*) FROM audit WHERE who = 'account:operator' AND action LIKE 'households%'";
        Ok(connection.query_row(looked, [], |row| row.get::<_, i64>(0))?)
    });
    assert_eq!(log.await.unwrap(), 0, "whoever saw no household is not on record as having looked");
}
