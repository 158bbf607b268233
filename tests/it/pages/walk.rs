//! Every route with every role of one organization, asked for what is another's: by its ids in the path and in the query.
//! The routes are read from the router's own source and from the API's own document, so that none can be forgotten.

use fenlei::domain::registry::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Api, deposit};
use crate::support::pages::{Browser, account, csrf};

const ROLES: [Role; 5] = [Role::Admin, Role::Operator, Role::Organization, Role::Scheduler, Role::Linkage];

/// What only the other organization's things are called or contain. None of it may reach anybody else.
const FOREIGN: [&str; 8] =
    ["河滨小区", "码头", "南居委会", "bin-2", "beam-2", "hidden-household", "河滨的消息", "southerner"];

/// The ids of the other organization's things by what stands before them in a path.
fn foreign(before: &str, world: &World) -> String {
    match before {
        "communities" => "river".to_owned(),
        "sites" => "quay".to_owned(),
        "devices" | "fleet" => "bin-2".to_owned(),
        "organizations" => "south".to_owned(),
        "projects" => "southern".to_owned(),
        "messages" => world.message.clone(),
        "households" => "hidden-household".to_owned(),
        "accounts" => "southerner".to_owned(),
        "tokens" => world.token.clone(),
        // Things with numbers: whatever there is, it is not theirs.
        "alarms" | "quarantine" | "webhooks" | "openings" | "deliveries" | "needs" => "1".to_owned(),
        other => panic!("say what of another organization stands after /{other}/ in a path"),
    }
}

struct World {
    api: Api,
    message: String,
    token: String,
}

impl World {
    async fn build() -> Self {
        let api = Api::with_registry().await;
        for (path, body) in [
            ("devices/beam-2", json!({"site": "quay", "kind": "projector"})),
            (
                "projects/southern",
                json!({"community": "river", "organization": "south", "starts": "2026-10-01",
                                         "targets": {"participation": 0.7, "awareness": 1.0}}),
            ),
        ] {
            assert_eq!(api.put(path, body).await.status, StatusCode::CREATED, "{path}");
        }
        let rows = json!([{"household": "hidden-household", "building": "hidden-household 楼",
                           "enrolled_from": "2026-01-01", "cards": ["c-1"]}]);
        assert_eq!(api.post("communities/river/households", rows).await.status, StatusCode::OK);
        let visit = json!([{"household": "hidden-household", "date": "2026-11-20", "kind": "survey",
                            "outcome": "answered", "claimed": true, "tested": true}]);
        assert_eq!(api.post("communities/river/visits", visit).await.status, StatusCode::OK);
        let text = json!({"text": "河滨的消息", "target": {"site": "quay"}});
        let message = api.post("projectors/messages", text).await.body["id"].as_str().unwrap().to_owned();
        api.publish("quay/bin/bin-2", deposit(1, "2026-11-23T08:10:00+08:00", "c-1")).await.unwrap();
        let fire = json!({"boot": 1, "seq": 2, "time": "2026-11-23T08:11:00+08:00", "type": "alarm", "alarm": "fire", "active": true});
        api.publish("quay/bin/bin-2", fire).await.unwrap();
        api.publish(
            "quay/bin/bin-2",
            json!({"boot": 1, "seq": 3, "time": "2026-11-23T08:12:00+08:00", "type": "no-such"}),
        )
        .await
        .unwrap();
        let opening = json!({"reason": "河滨的消息", "seconds": 600});
        assert_eq!(api.post("sites/quay/openings", opening).await.status, StatusCode::CREATED);
        account(&api, "southerner", Some("south"), &[Role::Organization]).await;
        let text = api.token(Some("south"), &[Role::Organization]).await;
        let listed = api.store.read(fenlei::store::tokens::list).await.unwrap();
        let token = listed.into_iter().find(|token| token.organization.as_deref() == Some("south")).unwrap().id;
        assert!(!text.is_empty());
        Self { api, message, token }
    }

    /// A path with its parameters filled in; `None`: it has none, or names what is nobody's.
    fn fill(&self, route: &str) -> String {
        let mut segments: Vec<String> = Vec::new();
        for segment in route.split('/') {
            let filled = match segment.split_once('{') {
                None => segment.to_owned(),
                Some((start, rest)) => {
                    let (_, end) = rest.split_once('}').unwrap();
                    let before = segments.last().map_or("", String::as_str);
                    let id = match before {
                        // What there is of a thing, whatever it is called.
                        "export" => "periods".to_owned(),
                        "language" | "assets" => return "/".to_owned(),
                        before => foreign(before, self),
                    };
                    format!("{start}{id}{end}")
                }
            };
            segments.push(filled);
        }
        segments.join("/")
    }
}

/// The routes of the pages, as the router's source lists them.
fn page_routes() -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/pages")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(path).unwrap();
            for (_, rest) in source.match_indices(".route(").map(|(at, _)| source[at..].split_at(7)) {
                let Some(path) = rest.trim_start().strip_prefix('"') else { continue };
                let (path, handlers) = path.split_once('"').unwrap();
                let handlers = handlers.split(".route(").next().unwrap();
                found.push((path.to_owned(), handlers.contains("post(")));
            }
        }
    }
    assert!(found.len() > 10, "the pages have routes: {found:?}");
    found
}

fn check(body: &str, role: Role, path: &str) {
    for mark in FOREIGN {
        // What was asked for may be named in the answer to it, as the address to come back to.
        let told = body.replace(&form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>(), "");
        assert!(!told.replace(path, "").contains(mark), "{role:?} {path} tells of {mark}: {body}");
    }
}

#[tokio::test]
async fn no_page_and_no_operation_tells_of_another_organizations_community() {
    let world = World::build().await;
    let api = &world.api;
    let document = api.get("openapi.json").await.body;
    let operations = document["paths"].as_object().unwrap();
    let queries = ["", "?community=river", "?site=quay", "?device=bin-2", "?account=southerner"];
    for role in ROLES {
        let name = format!("north-{role:?}").to_lowercase();
        let browser = Browser::signed_in(api, &name, Some("north"), &[role]).await;
        for (route, _) in page_routes() {
            let path = world.fill(&route);
            for query in queries {
                let path = format!("{path}{query}");
                let shown = browser.get(&path).await;
                assert!(!shown.status.is_server_error(), "{role:?} {path}: {shown:?}");
                check(&shown.body, role, &path);
                if route.contains('{') && shown.status == StatusCode::OK && !path.starts_with("/board/") {
                    assert_eq!(world.fill(&route), "/", "{role:?} sees {path}");
                }
            }
        }
        let token = api.token(Some("north"), &[role]).await;
        for (route, methods) in operations {
            let path = world.fill(route);
            let own = methods.as_object().unwrap().contains_key("get") && !path.ends_with("/stream");
            for query in queries.iter().filter(|_| own) {
                let path = format!("{}{query}", path.trim_start_matches("/api/v1/"));
                let answer = api.call(&token, Method::GET, &path, None).await;
                assert!(!answer.status.is_server_error(), "{role:?} {path}: {answer:?}");
                check(&answer.body.to_string(), role, &path);
            }
        }
    }
}

/// All that is registered of the other organization, and all that was recorded there.
async fn others(api: &Api) -> Value {
    let mut all = Vec::new();
    for path in [
        "communities/river",
        "communities/river/households",
        "communities/river/visits",
        "sites/quay",
        "sites/quay/schedule",
        "sites/quay/openings",
        "projects/southern",
        "organizations/south",
        "alarms?site=quay",
        "events?site=quay",
        "projectors/messages",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        all.push(answer.body);
    }
    let accounts = api.store.read(fenlei::store::accounts::list).await.unwrap();
    let southerner = accounts.into_iter().find(|account| account.name == "southerner").unwrap();
    let tokens = api.store.read(fenlei::store::tokens::list).await.unwrap();
    let token = tokens.into_iter().find(|token| token.organization.as_deref() == Some("south")).unwrap();
    all.push(json!([format!("{southerner:?}"), token.revoked]));
    Value::Array(all)
}

#[tokio::test]
async fn no_form_changes_what_is_another_organizations() {
    let world = World::build().await;
    let api = &world.api;
    let before = others(api).await;
    for role in ROLES {
        let name = format!("north-{role:?}").to_lowercase();
        let browser = Browser::signed_in(api, &name, Some("north"), &[role]).await;
        let token = csrf(&browser.get("/account").await.body);
        for (route, posts) in page_routes() {
            if !posts || route == "/sign-out" || route == "/sign-in" || route.starts_with("/account") {
                continue;
            }
            let path = world.fill(&route);
            // As much as a form of any kind may ask for.
            let fields = [
                ("csrf", token.as_str()),
                ("id", "quay"),
                ("community", "river"),
                ("site", "quay"),
                ("device", "bin-2"),
                ("household", "hidden-household"),
                ("organization", "south"),
                ("name", "taken over"),
                ("account", "southerner"),
                ("token", &world.token),
                ("target", "site:quay"),
                ("text", "taken over"),
                ("reason", "taken over"),
                ("note", "taken over"),
                ("seconds", "600"),
                ("minutes", "10"),
                ("password", "taken over by north"),
                ("committee", "north"),
                ("kind", "visit"),
                ("outcome", "absent"),
                ("date", "2026-11-22"),
                ("valid_from", "2026-12-01"),
                ("confirm", "yes"),
            ];
            let shown = browser.send(&path, &fields).await;
            assert!(!shown.status.is_server_error(), "{role:?} {path}: {shown:?}");
            // What was typed may be shown again.
            let told = FOREIGN.iter().filter(|mark| fields.iter().all(|(_, typed)| !typed.contains(**mark)));
            let told: Vec<_> = told.filter(|mark| shown.body.contains(**mark)).collect();
            assert!(told.is_empty(), "{role:?} {path} tells of {told:?}: {}", shown.body);
            assert_eq!(others(api).await, before, "{role:?} {path} changed something: {shown:?}");
        }
    }
}
