//! What may be asked of projectors, by whom, and what is answered to mistakes.

use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::line::{Line, neighbourhood};

#[tokio::test]
async fn mistakes_are_named() {
    let api = neighbourhood().await;
    let target = json!({"site": "gate"});
    for (body, says) in [
        (json!({"text": "", "target": target}), "1 to 256 bytes"),
        (json!({"text": "好😀", "target": target}), "'😀' as its character 2"),
        (json!({"text": "{awareness}", "target": target}), "known are {participation}"),
        (json!({"text": "a", "target": {"site": "nowhere"}}), "`target` must name"),
        (json!({"text": "a", "target": {"device": "bin-1"}}), "is no projector"),
        (json!({"text": "a", "target": {"room": "gate"}}), "known are `community`, `site`, `device`"),
        (
            json!({"text": "a", "target": {"site": "gate", "community": "garden"}}),
            "`target` must be an object with exactly one of `community`, `site`, `device`",
        ),
        (json!({"text": "a", "target": {}}), "`target` must be an object with exactly one of"),
        (json!({"text": "a", "target": target, "seconds": 0}), "from 1 to 86400"),
        (json!({"text": "a", "target": target, "at": "2026-11-23T11:00:00+08:00"}), "nothing would be shown"),
        (json!({"text": "a", "target": target, "at": "noon"}), "RFC 3339"),
        (json!({"text": "a", "target": target, "from": "2026-11-24"}), "of a `daily` message"),
        (json!({"text": "a", "target": target, "daily": {"start": "25:00", "seconds": 60}}), "daily.start"),
        (
            json!({"text": "a", "target": target, "daily": {"start": "sunset", "seconds": 60}}),
            "site gate has no `latitude`",
        ),
        (
            json!({"text": "a", "target": target, "seconds": 5, "daily": {"start": "18:00", "seconds": 60}}),
            "its own `seconds`",
        ),
        (
            json!({"text": "a", "target": target, "daily": {"start": "18:00", "seconds": 60}, "from": "2026-12-02", "until": "2026-12-01"}),
            "earlier date first",
        ),
    ] {
        let refused = api.post("projectors/messages", body.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
        assert!(refused.detail().contains(says), "{body}: {}", refused.detail());
    }
    assert_eq!(api.get("projectors/messages").await.each("id").len(), 0);
}

#[tokio::test]
async fn a_daily_message_begins_today_where_its_sites_are() {
    let api = neighbourhood().await;
    // At the site a day has begun that has not begun elsewhere.
    api.clock.set("2026-11-23T17:30:00Z".parse().unwrap());
    let daily = json!({"text": "a", "target": {"community": "garden"}, "daily": {"start": "18:00", "seconds": 60}});
    let made = api.post("projectors/messages", daily.clone()).await;
    assert_eq!((made.status, &made.body["from"]), (StatusCode::CREATED, &json!("2026-11-24")), "{made:?}");
    let mut over = daily;
    over["until"] = json!("2026-11-23");
    assert_eq!(api.post("projectors/messages", over).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn schedulers_manage_the_messages_of_their_own_communities() {
    let api = neighbourhood().await;
    let north = api.token(Some("north"), &[Role::Scheduler]).await;
    let south = api.token(Some("south"), &[Role::Scheduler]).await;
    let reader = api.token(Some("north"), &[Role::Organization]).await;
    let linkage = api.token(None, &[Role::Linkage]).await;
    let body = json!({"text": "本周参与率 {participation}", "target": {"community": "garden"}});
    let path = "projectors/messages";
    let made = api.call(&north, Method::POST, path, Some(body.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert_eq!(api.call(&south, Method::POST, path, Some(body.clone())).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.call(&reader, Method::POST, path, Some(body.clone())).await.status, StatusCode::FORBIDDEN);
    assert_eq!(api.call(&linkage, Method::POST, path, Some(body)).await.status, StatusCode::NOT_FOUND);
    let one = format!("{path}/{}", made.body["id"].as_str().unwrap());
    for (token, status) in [(&north, 200), (&reader, 200), (&south, 404), (&linkage, 404)] {
        assert_eq!(api.call(token, Method::GET, &one, None).await.status, status);
    }
    assert_eq!(api.call(&south, Method::GET, path, None).await.each("id").len(), 0);
    assert_eq!(api.call(&north, Method::GET, path, None).await.each("id"), [made.body["id"].clone()]);
    assert_eq!(api.call(&reader, Method::DELETE, &one, None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(api.call(&south, Method::DELETE, &one, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.call(&north, Method::DELETE, &one, None).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn figures_are_filled_in_when_it_is_sent() {
    let api = neighbourhood().await;
    let rows: Vec<_> = (0..20)
        .map(|home| json!({"household": format!("h{home}"), "enrolled_from": "2026-01-01", "cards": [format!("c{home}")]}))
        .collect();
    api.post("communities/garden/households", json!(rows)).await;
    let deposits: Vec<_> = (0..10)
        .map(|home| crate::support::api::deposit(home + 1, "2026-11-18T08:30:00+08:00", &format!("c{home}")))
        .collect();
    api.publish("gate/bin/bin-1", json!(deposits)).await.unwrap();
    let mut line = Line::start(&api);
    let text = "{community} {site}：{participating} 户，{participation}，准确率 {accuracy}（{date}）";
    let made = api.post("projectors/messages", json!({"text": text, "target": {"device": "beam-1"}})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let (_, command) = line.command().await;
    // No deposit was judged: there is no accuracy to tell.
    assert_eq!(command["text"], "花园小区 东门：10 户，50%，准确率 —（2026-11-23）");
}
