//! A server of its own for each test: store in a temporary folder, a clock that stands still, a free port.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use fenlei::clock::SteppedClock;
use fenlei::domain::card::{CardHash, CardKey};
use fenlei::domain::inbound::{Inbound, Sender};
use fenlei::domain::registry::Role;
use fenlei::entrance::{Listener, Slots};
use fenlei::faults::Faults;
use fenlei::store::retention::Retention;
use fenlei::store::{Committed, Options, Store, StoreError, tokens};
use fenlei::web::{self, Quotas};
use fenlei::webhook::Reach;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::place::Place;

pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) client: Client,
    pub(crate) store: Store,
    pub(crate) clock: Arc<SteppedClock>,
    pub(crate) faults: Faults,
    pub(crate) admin: String,
    /// The devices whose secrets were said to hold no longer.
    pub(crate) changed: Arc<Mutex<Vec<(Sender, bool)>>>,
    key: CardKey,
    stop: DropGuard,
    serving: JoinHandle<()>,
    pub(crate) place: Place,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    pub(crate) kind: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn detail(&self) -> &str {
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        self.body["detail"].as_str().unwrap()
    }

    /// The values of one field of the listed items.
    pub(crate) fn each(&self, field: &str) -> Vec<Value> {
        self.body["items"].as_array().unwrap().iter().map(|item| item[field].clone()).collect()
    }
}

impl Api {
    /// A server on which it is noon of 2026-11-23, a Monday, in Shanghai.
    pub(crate) async fn start() -> Self {
        Self::limited(Quotas::UNLIMITED).await
    }

    /// One whose webhooks may lead to public addresses only, as it is by default.
    pub(crate) async fn guarded() -> Self {
        Self::with(true, Quotas::UNLIMITED, Reach::Public).await
    }

    pub(crate) async fn ready(mqtt: bool) -> Self {
        Self::with(mqtt, Quotas::UNLIMITED, Reach::Anywhere).await
    }

    /// One of which everybody may ask so much.
    pub(crate) async fn limited(quotas: Quotas) -> Self {
        Self::with(true, quotas, Reach::Anywhere).await
    }

    async fn with(mqtt: bool, quotas: Quotas, reach: Reach) -> Self {
        let clock = Arc::new(SteppedClock::at(instant("2026-11-23T12:00:00+08:00")));
        Self::serve(Place::new(), clock, None, (mqtt, quotas, reach)).await
    }

    /// The same store and clock under a new server, as after a restart of the program. Nobody else may hold the store.
    pub(crate) async fn restart(self) -> Self {
        let Self { clock, store, admin, stop, serving, place, .. } = self;
        drop(stop);
        serving.await.unwrap();
        drop(store);
        Self::serve(place, clock, Some(admin), (true, Quotas::UNLIMITED, Reach::Anywhere)).await
    }

    async fn serve(
        place: Place,
        clock: Arc<SteppedClock>,
        admin: Option<String>,
        (mqtt, quotas, reach): (bool, Quotas, Reach),
    ) -> Self {
        let options = Options::at(place.url());
        // One that was there before must be gone first: a backend is one process.
        let store = loop {
            match Store::open(&options) {
                Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
                opened => break opened.unwrap(),
            }
        };
        let key = CardKey::new([7; 32]);
        let changed: Arc<Mutex<Vec<(Sender, bool)>>> = Arc::default();
        let (noted, faults) = (Arc::clone(&changed), Faults::default());
        let app = web::App {
            store: store.clone(),
            clock: clock.clone(),
            card_key: key.clone(),
            retention: Retention::default(),
            limits: web::Limits::new(quotas),
            webhooks: reach,
            ready: Arc::new(move || mqtt),
            faults: faults.clone(),
            on_secret_changed: Arc::new(move |device, replaced| noted.lock().unwrap().push((device, replaced))),
            broker: web::BrokerAddress { host: None, port: 1883, tls: false },
        };
        let (loopback, patience) = ("127.0.0.1:0".parse().unwrap(), Duration::from_secs(30));
        let listener = Listener::bind("http", loopback, Slots::new(u32::MAX, u32::MAX), patience).await.unwrap();
        let base = format!("http://{}", listener.address().unwrap());
        let stop = CancellationToken::new();
        let serving = tokio::spawn(web::serve(vec![listener], patience, web::router(app), stop.clone()));
        let admin = match admin {
            Some(admin) => admin,
            None => token(&store, None, &[Role::Admin]).await,
        };
        let client = Client::builder().no_proxy().build().unwrap();
        Self { base, client, store, clock, faults, admin, changed, key, stop: stop.drop_guard(), serving, place }
    }

    /// The registry that most tests need: two communities of two committees, a site with a bin and a camera in the first.
    pub(crate) async fn with_registry() -> Self {
        let api = Self::start().await;
        for (path, body) in [
            ("organizations/north", json!({"name": "北居委会", "kind": "committee"})),
            ("organizations/south", json!({"name": "南居委会", "kind": "committee"})),
            ("communities/garden", json!({"name": "花园小区", "committee": "north"})),
            ("communities/river", json!({"name": "河滨小区", "committee": "south"})),
            ("sites/gate", json!({"community": "garden", "name": "东门"})),
            ("sites/quay", json!({"community": "river", "name": "码头"})),
            ("devices/bin-1", json!({"site": "gate", "kind": "bin", "streams": ["food"]})),
            ("devices/cam-1", json!({"site": "gate", "kind": "camera"})),
            ("devices/bin-2", json!({"site": "quay", "kind": "bin"})),
        ] {
            let answer = api.put(path, body).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{path}: {answer:?}");
        }
        api
    }

    /// The store's file.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.place.file()
    }

    /// The keyed hash under which a card is kept.
    pub(crate) fn hash(&self, card: &str) -> CardHash {
        self.key.hash(card)
    }

    /// Asks the server to stop; comes back once it has.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.serving.await.unwrap();
    }

    pub(crate) async fn token(&self, organization: Option<&str>, roles: &[Role]) -> String {
        token(&self.store, organization, roles).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/api/v1/{path}", self.base)).bearer_auth(&self.admin)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// As somebody else.
    pub(crate) async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.client.request(method, format!("{}/api/v1/{path}", self.base)).bearer_auth(token);
        send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// Commits a publish to the `event` channel as if it had come now.
    pub(crate) async fn publish(&self, device: &str, events: Value) -> Result<Committed, StoreError> {
        use fenlei::clock::Clock;
        let topic = format!("fenlei/v1/{device}/event");
        let received = self.clock.now().timestamp_millis();
        self.store.commit(Inbound::read(&topic, events.to_string().as_bytes(), received, &self.key)).await
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, etag, kind) = (response.status(), header("etag"), header("content-type").unwrap_or_default());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer { status, etag, kind, body }
}

async fn token(store: &Store, organization: Option<&str>, roles: &[Role]) -> String {
    let (organization, roles) = (organization.map(str::to_owned), roles.iter().copied().collect::<BTreeSet<_>>());
    let added = store.write(move |session| tokens::add(session.connection, organization.as_deref(), &roles, 0));
    added.await.unwrap()
}

pub(crate) fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn deposit(seq: u64, time: &str, card: &str) -> Value {
    json!({"boot": 1, "seq": seq, "time": time, "type": "deposit", "stream": "food", "grams": 1000, "card": card})
}
