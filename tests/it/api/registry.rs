//! What is registered: created, changed, protected, deleted.

use fenlei::domain::inbound::Sender;
use fenlei::store::tokens;
use fenlei_wire::vocabulary::DeviceKind;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::api::{Api, deposit, send};

#[tokio::test]
async fn a_thing_is_created_read_changed_and_deleted() {
    let api = Api::start().await;
    let fields = json!({"name": "北居委会", "kind": "committee"});
    let created = api.put("organizations/north", fields).await;
    let shown = json!({"id": "north", "name": "北居委会", "kind": "committee"});
    assert_eq!((created.status, &created.body), (StatusCode::CREATED, &shown));
    assert_eq!(api.get("organizations/north").await.body, shown);
    // What was read may be put back as it is.
    let changed = api.put("organizations/north", json!({"id": "north", "name": "北", "kind": "operator"})).await;
    assert_eq!((changed.status, &changed.body["kind"]), (StatusCode::OK, &json!("operator")));
    assert_eq!(api.delete("organizations/north").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.get("organizations/north").await.status, StatusCode::NOT_FOUND);
    assert_eq!(api.delete("organizations/north").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_site_takes_its_communitys_zone_and_then_keeps_its_own() {
    let api = Api::with_registry().await;
    assert_eq!(api.get("communities/garden").await.body["time_zone"], "Asia/Shanghai");
    let tokyo = json!({"name": "花园小区", "committee": "north", "time_zone": "Asia/Tokyo"});
    api.put("communities/garden", tokyo).await;
    assert_eq!(api.get("sites/gate").await.body["time_zone"], "Asia/Shanghai");
    let fields = json!({"community": "garden", "name": "西门", "latitude": 31.2, "longitude": 121.5});
    assert_eq!(
        api.put("sites/west", fields).await.body,
        json!({"id": "west", "community": "garden", "name": "西门", "time_zone": "Asia/Tokyo",
               "latitude": 31.2, "longitude": 121.5})
    );
    let renamed = api.put("communities/garden", json!({"name": "花园", "committee": "north"})).await;
    assert_eq!(renamed.body["time_zone"], "Asia/Tokyo");
}

#[tokio::test]
async fn what_others_depend_on_stays() {
    let api = Api::with_registry().await;
    for path in ["organizations/north", "communities/garden", "sites/gate"] {
        let refused = api.delete(path).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{path}");
        assert!(refused.detail().ends_with("depend on it: it cannot be deleted"));
    }
    api.put("sites/west", json!({"community": "garden", "name": "西门"})).await;
    let moved = json!({"site": "west", "kind": "bin"});
    assert_eq!(api.put("devices/bin-1", moved.clone()).await.status, StatusCode::OK, "before its first event");
    api.publish("west/bin/bin-1", deposit(1, "2026-11-23T08:30:00+08:00", "c")).await.unwrap();
    let back = api.put("devices/bin-1", json!({"site": "gate", "kind": "bin"})).await;
    assert_eq!(back.status, StatusCode::CONFLICT);
    assert!(back.detail().contains("can no longer be moved"));
    assert_eq!(api.put("devices/bin-1", moved).await.status, StatusCode::OK);
    assert_eq!(api.delete("devices/bin-1").await.status, StatusCode::CONFLICT);
    let zone = json!({"community": "garden", "name": "西门", "time_zone": "Europe/Berlin"});
    assert_eq!(api.put("sites/west", zone.clone()).await.status, StatusCode::CONFLICT);
    assert_eq!(api.put("sites/gate", zone).await.status, StatusCode::OK, "it has no events");
    assert_eq!(api.delete("devices/cam-1").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_is_named_must_be_there_and_sound() {
    let api = Api::with_registry().await;
    for (path, body, says) in [
        ("communities/new", json!({"name": "x", "committee": "nobody"}), "nobody"),
        ("sites/new", json!({"community": "nowhere", "name": "x"}), "there is no community nowhere"),
        ("devices/new", json!({"site": "nowhere", "kind": "bin"}), "there is no site nowhere"),
        ("projects/new", json!({"community": "garden", "organization": "nobody", "starts": "2026-11-01"}), "nobody"),
        ("projects/new", json!({"community": "garden", "organization": "north", "starts": "1.11.2026"}), "YYYY-MM-DD"),
        (
            "projects/new",
            json!({"community": "garden", "organization": "north", "starts": "2026-11-01", "targets": {"awareness": 90}}),
            "`targets.awareness` must be a number from 0 to 1",
        ),
        ("organizations/New", json!({"name": "x", "kind": "committee"}), "[a-z0-9]"),
        ("organizations/new", json!({"name": " ", "kind": "committee"}), "`name` must be"),
        ("sites/new", json!({"community": "garden", "name": "x", "latitude": 91}), "`latitude` must be"),
        ("sites/new", json!({"community": "garden", "name": "x", "time_zone": "Mars"}), "`time_zone` must be"),
        ("devices/new", json!({"site": "gate", "kind": "bin", "streams": []}), "`streams` must name"),
    ] {
        let refused = api.put(path, body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}: {refused:?}");
        assert!(refused.detail().contains(says), "{path}: {}", refused.detail());
    }
}

#[tokio::test]
async fn lists_page_to_their_end() {
    let api = Api::with_registry().await;
    let mut seen = Vec::new();
    let mut path = "devices?limit=2".to_owned();
    loop {
        let page = api.get(&path).await;
        seen.extend(page.each("id"));
        let Some(next) = page.body["next"].as_str() else { break };
        assert!(next.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')));
        path = format!("devices?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["bin-1", "bin-2", "cam-1"]);
    assert_eq!(api.get("devices?site=gate&kind=camera").await.each("id"), ["cam-1"]);
    assert_eq!(api.get("devices?limit=0").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.get("devices?cursor=%2B").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.get("projects").await.body, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_secret_is_told_once_and_changes_on_request() {
    let api = Api::start().await;
    api.put("organizations/north", json!({"name": "n", "kind": "committee"})).await;
    api.put("communities/garden", json!({"name": "g", "committee": "north"})).await;
    api.put("sites/gate", json!({"community": "garden", "name": "g"})).await;
    let fields = json!({"site": "gate", "kind": "bin"});
    let first = api.put("devices/bin-1", fields.clone()).await.body["secret"].as_str().unwrap().to_owned();
    let opens = |secret: &str| {
        let password = api.store.registry().devices["bin-1"].password.clone();
        fenlei::credentials::verify(&password, secret)
    };
    assert!(opens(&first));
    assert!(api.put("devices/bin-1", fields).await.body.get("secret").is_none());
    assert!(opens(&first), "an update keeps the secret");
    assert!(api.get("devices/bin-1").await.body.get("secret").is_none());

    let second = send(api.request(Method::POST, "devices/bin-1/secret")).await;
    let second = second.body["secret"].as_str().unwrap();
    assert!(opens(second) && !opens(&first));
    assert_eq!(api.store.registry().devices["bin-1"].incarnation, 1);
    api.post("devices/bin-1/secret", json!({"replaced": true})).await;
    assert!(!opens(second));
    assert_eq!(api.store.registry().devices["bin-1"].incarnation, 2);
    let device = || Sender { site: "gate".into(), kind: DeviceKind::Bin, device: "bin-1".into() };
    assert_eq!(*api.changed.lock().unwrap(), [(device(), false), (device(), true)]);
    assert_eq!(api.post("devices/bin-1/secret", json!({"replaced": 1})).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.post("devices/bin-9/secret", json!({})).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn if_none_match_spares_and_if_match_protects() {
    let api = Api::with_registry().await;
    let read = api.get("sites/gate").await;
    let tag = read.etag.unwrap();
    let again = send(api.request(Method::GET, "sites/gate").header(header::IF_NONE_MATCH, &tag)).await;
    assert_eq!((again.status, again.etag.as_ref()), (StatusCode::NOT_MODIFIED, Some(&tag)));
    let put = |tag: String, name: &'static str| {
        let body = json!({"community": "garden", "name": name});
        send(api.request(Method::PUT, "sites/gate").header(header::IF_MATCH, tag).json(&body))
    };
    assert_eq!(put(tag.clone(), "南门").await.status, StatusCode::OK);
    let stale = put(tag.clone(), "北门").await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    assert!(stale.detail().contains("read it again"));
    assert_eq!(api.get("sites/gate").await.body["name"], "南门");
    assert_eq!(
        put(format!("\"x\", {}", api.get("sites/gate").await.etag.unwrap()), "西门").await.status,
        StatusCode::OK
    );
    assert_eq!(put("*".into(), "东门").await.status, StatusCode::OK);
    let weak = format!("W/{}", api.get("sites/gate").await.etag.unwrap());
    assert_eq!(put(weak, "北门").await.status, StatusCode::PRECONDITION_FAILED);
    let new = api.request(Method::PUT, "sites/new").header(header::IF_MATCH, "*");
    let new = send(new.json(&json!({"community": "garden", "name": "x"}))).await;
    assert_eq!(new.status, StatusCode::PRECONDITION_FAILED, "it is not there");
    let delete = send(api.request(Method::DELETE, "sites/quay").header(header::IF_MATCH, tag)).await;
    assert_eq!(delete.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn what_a_device_reports_changes_its_tag_but_not_what_if_match_is_held_against() {
    let api = Api::with_registry().await;
    let before = api.get("devices/bin-1").await.etag.unwrap();
    let event = json!({"boot": 3, "seq": 2, "time": "2026-11-23T11:59:00+08:00", "type": "heartbeat"});
    api.publish("gate/bin/bin-1", event).await.unwrap();
    let device = api.get("devices/bin-1").await;
    assert_ne!(device.etag.as_ref(), Some(&before));
    insta::assert_json_snapshot!(device.body, @r#"
    {
      "boot": 3,
      "config": {
        "confirmed": false,
        "follows": null,
        "version": null
      },
      "conflicts": 0,
      "firmware": null,
      "gaps": [
        {
          "boot": 3,
          "from": 1,
          "to": 1
        }
      ],
      "id": "bin-1",
      "kind": "bin",
      "last_received": "2026-11-23T04:00:00.000Z",
      "lid": {
        "expected": "locked",
        "follows": null,
        "next": "2026-11-23T09:00:00.000Z",
        "reported": null,
        "since": null
      },
      "lost": [],
      "missing": 1,
      "online": false,
      "quarantine_overflow": 0,
      "quarantined": 0,
      "since": null,
      "site": "gate",
      "streams": [
        "food"
      ],
      "vitals": {}
    }
    "#);
    let rename = |tag: String| {
        let body = json!({"site": "gate", "kind": "bin", "name": "1号"});
        send(api.request(Method::PUT, "devices/bin-1").header(header::IF_MATCH, tag).json(&body))
    };
    assert_eq!(rename(before.clone()).await.status, StatusCode::OK, "only its status had changed");
    assert_eq!(rename(before).await.status, StatusCode::PRECONDITION_FAILED, "now its name has");
}

#[tokio::test]
async fn every_change_is_in_the_audit_log() {
    let api = Api::with_registry().await;
    let before = audited(&api).await.len();
    api.put("projects/year", json!({"community": "garden", "organization": "north", "starts": "2026-11-01"})).await;
    api.put("sites/gate", json!({"community": "garden", "name": "西门"})).await;
    let hours = json!({"valid_from": "2026-11-24", "weekly": [{"days": ["mon"], "open": "08:00", "close": "09:00"}]});
    api.put("sites/gate/schedule", hours).await;
    api.post("devices/bin-1/secret", json!({"replaced": false})).await;
    let recorded = async |key: &str, body: Value| {
        let recorded = api.request(Method::POST, "sites/gate/deposits").header("Idempotency-Key", key).json(&body);
        let recorded = send(recorded).await;
        assert_eq!(recorded.status, StatusCode::CREATED, "{recorded:?}");
        recorded.body
    };
    // The same again changes nothing.
    for _ in 0..2 {
        let noted = recorded("a", json!({"stream": "food", "time": "2026-11-23T08:15:00+08:00"})).await;
        let deposit = json!({"device": "volunteers", "boot": noted["boot"], "seq": noted["seq"]});
        recorded("b", json!({"deposit": deposit, "verdict": "correct"})).await;
    }
    api.delete("devices/bin-2").await;
    // What was refused changed nothing.
    api.delete("organizations/north").await;
    api.put("sites/gate", json!({"community": "nowhere", "name": "西门"})).await;
    assert_eq!(
        audited(&api).await[before..],
        [
            "project.create year",
            "site.change gate",
            "site.schedule gate",
            "device.secret bin-1",
            "deposit.note gate",
            "deposit.judge gate",
            "device.delete bin-2"
        ]
    );
}

/// What was done to what, all of it by who has the test's token.
async fn audited(api: &Api) -> Vec<String> {
    let token = api.admin.clone();
    let read = api.store.read(move |connection| {
        let by = tokens::caller(connection, &token)?.unwrap().who;
        let mut select = connection.prepare("SELECT who, action || ' ' || subject FROM audit ORDER BY id")?;
        let lines = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        assert!(lines.iter().all(|(who, _)| *who == by), "{lines:?}");
        Ok(lines.into_iter().map(|(_, done)| done).collect())
    });
    read.await.unwrap()
}
