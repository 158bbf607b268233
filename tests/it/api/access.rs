//! Who sees what, and who may do what.

use fenlei::domain::registry::Role;
use fenlei::store::tokens;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Api, send};

#[tokio::test]
async fn without_a_token_there_is_nothing_but_a_challenge() {
    let api = Api::start().await;
    for token in ["", "fenlei_wrong"] {
        let response = api.client.get(format!("{}/api/v1/sites", api.base)).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"fenlei\"");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    let token = api.token(None, &[Role::Operator]).await;
    assert_eq!(api.call(&token, Method::GET, "sites", None).await.status, StatusCode::OK);
    let revoke = api.store.write(|session| {
        for listed in tokens::list(session.connection)? {
            tokens::revoke(session.connection, &listed.id, 1)?;
        }
        Ok::<_, fenlei::store::StoreError>(())
    });
    revoke.await.unwrap();
    assert_eq!(api.call(&token, Method::GET, "sites", None).await.status, StatusCode::UNAUTHORIZED);
}

/// A request by each of the roles, and what it is answered.
type Row = (Method, &'static str, Option<Value>, [u16; 5]);

#[tokio::test]
async fn each_role_may_do_its_own() {
    let api = Api::with_registry().await;
    let site = || Some(json!({"community": "garden", "name": "东门"}));
    let hours = || Some(json!({"valid_from": "2027-01-01", "weekly": []}));
    let rows = || Some(json!([]));
    // admin, operator, organization, scheduler, linkage
    let table: [Row; 33] = [
        (Method::GET, "organizations", None, [200, 200, 200, 404, 404]),
        (Method::GET, "communities/garden", None, [200, 200, 200, 404, 404]),
        (Method::GET, "communities/garden/participation", None, [200, 200, 200, 404, 404]),
        (Method::GET, "communities/garden/households", None, [200, 200, 200, 404, 404]),
        (Method::GET, "communities/garden/awareness", None, [200, 200, 200, 404, 404]),
        (Method::GET, "communities/garden/visits", None, [200, 200, 200, 404, 404]),
        (Method::GET, "communities/garden/households?participating=false", None, [200, 200, 200, 404, 404]),
        (Method::POST, "communities/garden/visits", rows(), [200, 403, 200, 404, 404]),
        (Method::DELETE, "communities/garden/households/no-such", None, [404, 403, 403, 404, 404]),
        (Method::GET, "projects", None, [200, 200, 200, 404, 404]),
        (Method::GET, "sites", None, [200, 200, 200, 200, 404]),
        (Method::GET, "sites/gate", None, [200, 200, 200, 200, 404]),
        (Method::GET, "sites/gate/schedule", None, [200, 200, 200, 200, 404]),
        (Method::GET, "sites/gate/hours", None, [200, 200, 200, 404, 404]),
        (Method::GET, "devices/bin-1", None, [200, 200, 200, 404, 404]),
        (Method::GET, "events", None, [200, 200, 200, 404, 404]),
        (Method::GET, "quarantine", None, [200, 200, 404, 404, 404]),
        (Method::PUT, "sites/gate", site(), [200, 403, 403, 403, 404]),
        (Method::PUT, "sites/new", site(), [201, 403, 403, 403, 404]),
        (Method::DELETE, "sites/gate", None, [409, 403, 403, 403, 404]),
        (
            Method::PUT,
            "communities/garden",
            Some(json!({"name": "g", "committee": "north"})),
            [200, 403, 403, 404, 404],
        ),
        (Method::POST, "communities/garden/households", rows(), [200, 403, 403, 404, 404]),
        (Method::PUT, "sites/gate/schedule", hours(), [200, 200, 403, 403, 404]),
        (Method::POST, "devices/bin-1/secret", Some(json!({})), [200, 200, 403, 404, 404]),
        (Method::POST, "quarantine/1/retry", None, [404, 404, 404, 404, 404]),
        (Method::GET, "devices/no-such", None, [404, 404, 404, 404, 404]),
        (Method::GET, "linkage/communities", None, [200, 404, 404, 404, 200]),
        (Method::GET, "linkage/changes", None, [200, 404, 404, 404, 200]),
        (Method::GET, "linkage/webhooks", None, [200, 404, 404, 404, 200]),
        (Method::POST, "linkage/webhooks", Some(json!({"url": "https://linkage.example/"})), [201, 404, 404, 404, 201]),
        (Method::POST, "linkage/webhooks/no-such/secret", None, [404, 404, 404, 404, 404]),
        (Method::POST, "linkage/webhooks/no-such/replay", Some(json!({})), [404, 404, 404, 404, 404]),
        (Method::GET, "linkage/webhooks/no-such/deliveries", None, [404, 404, 404, 404, 404]),
    ];
    let roles = [Role::Admin, Role::Operator, Role::Organization, Role::Scheduler, Role::Linkage];
    for (place, role) in roles.into_iter().enumerate() {
        let token = api.token(None, &[role]).await;
        for (method, path, body, expected) in &table {
            let answer = api.call(&token, method.clone(), path, body.clone()).await;
            assert_eq!(answer.status.as_u16(), expected[place], "{role:?} {method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_organization_sees_its_own_communities_only() {
    let api = Api::with_registry().await;
    api.put("organizations/helpers", json!({"name": "志愿者", "kind": "volunteer_group"})).await;
    let south = api.token(Some("south"), &[Role::Organization, Role::Operator]).await;
    for path in ["communities", "sites", "devices", "organizations"] {
        let expected = match path {
            "communities" => "river",
            "sites" => "quay",
            "devices" => "bin-2",
            _ => "south",
        };
        assert_eq!(api.call(&south, Method::GET, path, None).await.each("id"), [expected]);
    }
    for path in ["communities/garden", "sites/gate", "sites/gate/schedule", "sites/gate/hours", "devices/bin-1"] {
        let foreign = api.call(&south, Method::GET, path, None).await;
        let absent = api.call(&south, Method::GET, &format!("{}/none", path.split('/').next().unwrap()), None).await;
        assert_eq!((foreign.status, &foreign.body), (StatusCode::NOT_FOUND, &absent.body), "{path}");
    }
    let hours = json!({"valid_from": "2027-01-01", "weekly": []});
    let foreign = api.call(&south, Method::PUT, "sites/gate/schedule", Some(hours.clone())).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    assert_eq!(api.call(&south, Method::PUT, "sites/quay/schedule", Some(hours)).await.status, StatusCode::OK);

    // A project opens its community to its organization.
    let helpers = api.token(Some("helpers"), &[Role::Organization]).await;
    assert_eq!(api.call(&helpers, Method::GET, "communities", None).await.each("id"), [""; 0]);
    let project = json!({"community": "garden", "organization": "helpers", "starts": "2026-11-01",
                         "targets": {"participation": 0.8, "awareness": 0.9}});
    let created = api.put("projects/p1", project).await;
    assert_eq!(created.body["targets"], json!({"participation": 0.8, "awareness": 0.9}));
    assert_eq!(api.call(&helpers, Method::GET, "communities", None).await.each("id"), ["garden"]);
    assert_eq!(api.call(&helpers, Method::GET, "organizations", None).await.each("id"), ["helpers", "north"]);
    assert_eq!(api.call(&helpers, Method::GET, "projects", None).await.each("id"), ["p1"]);
}

#[tokio::test]
async fn an_admin_of_one_organization_cannot_reach_into_another() {
    let api = Api::with_registry().await;
    let south = api.token(Some("south"), &[Role::Admin]).await;
    for (path, body, expected) in [
        ("sites/pier", json!({"community": "river", "name": "栈桥"}), 201),
        ("sites/gate", json!({"community": "river", "name": "东门"}), 404),
        ("sites/new", json!({"community": "garden", "name": "东门"}), 400),
        ("devices/new", json!({"site": "gate", "kind": "bin"}), 400),
        ("projects/new", json!({"community": "garden", "organization": "south", "starts": "2026-11-01"}), 400),
        ("communities/new", json!({"name": "x", "committee": "north"}), 403),
        ("communities/new", json!({"name": "x", "committee": "south"}), 201),
        ("organizations/new", json!({"name": "x", "kind": "operator"}), 403),
        ("organizations/south", json!({"name": "x", "kind": "committee"}), 200),
        ("organizations/north", json!({"name": "x", "kind": "committee"}), 404),
    ] {
        let answer = api.call(&south, Method::PUT, path, Some(body)).await;
        assert_eq!(answer.status.as_u16(), expected, "{path}: {answer:?}");
    }
    let delete = api.call(&south, Method::DELETE, "devices/bin-1", None).await;
    assert_eq!(delete.status, StatusCode::NOT_FOUND);
    assert_eq!(send(api.request(Method::GET, "devices/bin-1")).await.status, StatusCode::OK);
}
