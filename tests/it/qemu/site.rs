//! A backend with a site that is open all day, and a bin, a camera and a projector there.

use std::path::PathBuf;
use std::time::Duration;

use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::DeviceKind;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::node::{Node, PATIENCE};
use crate::mosquitto::Broker;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::register;

pub(super) struct Site {
    pub folder: Folder,
    pub backend: Backend,
    pub bin: Credential,
    pub eye: Credential,
    pub beam: Credential,
    /// Beside which the backend runs, if it has no broker of its own.
    pub mosquitto: Option<Broker>,
    image: PathBuf,
    token: String,
}

impl Site {
    pub async fn start(image: PathBuf) -> Self {
        Self::begin(image, |_| None).await
    }

    /// Beside Mosquitto, whose listener for TLS has this certificate and its key.
    pub async fn start_sealed(image: PathBuf, certificate: &str, key: &str) -> Self {
        Self::begin(image, |folder| Some(Broker::start_sealed(folder, certificate, key))).await
    }

    async fn begin(image: PathBuf, broker: impl FnOnce(&Folder) -> Option<Broker>) -> Self {
        let folder = Folder::new();
        let devices =
            [("node-bin", DeviceKind::Bin), ("node-eye", DeviceKind::Camera), ("node-beam", DeviceKind::Projector)];
        let [bin, eye, beam] = register(&folder, devices).try_into().unwrap();
        let token = folder.done(&["token", "add", "--role", "admin"]).trim().to_owned();
        let mosquitto = broker(&folder);
        let mut backend = Backend::start(&folder, mosquitto.as_ref().map(Broker::url).as_deref());
        backend.ready().await;
        let mut site = Self { folder, backend, bin, eye, beam, mosquitto, image, token };
        site.open_all_day(true).await;
        // A broker that has just begun has no config of the hours before, which would lock the bin for a moment.
        site.backend.kill();
        site.backend.start_again();
        site.backend.ready().await;
        site
    }

    /// The device's node, with its own flash; a second start of it is that of the same device.
    pub fn node(&self, who: &Credential) -> Node {
        self.node_at(who, "utc")
    }

    pub fn node_at(&self, who: &Credential, clock: &str) -> Node {
        Node::start(&self.image, &self.flash(who), who, self.backend.mqtt, clock, &[])
    }

    /// The bin's node with TLS, which connects to that port of Mosquitto's.
    pub fn sealed_node(&self, port: impl Fn(&Broker) -> u16, clock: &str, trust: &[String]) -> Node {
        let port = port(self.mosquitto.as_ref().expect("a site beside Mosquitto"));
        Node::start(&self.image, &self.flash(&self.bin), &self.bin, port, clock, trust)
    }

    fn flash(&self, who: &Credential) -> PathBuf {
        self.folder.path(&format!("{}.flash", who.device))
    }

    /// From today on the site is open all day, or not at all.
    pub async fn open_all_day(&self, open: bool) {
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let all = json!([{"days": days, "open": "00:00", "close": "24:00"}]);
        let weekly = if open { all } else { json!([]) };
        self.call(Method::PUT, "sites/north/schedule", json!({"valid_from": "2026-01-01", "weekly": weekly})).await;
    }

    pub async fn get(&self, path: &str) -> Value {
        self.backend.get(&self.token, path).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let address = format!("http://127.0.0.1:{}/api/v1/{path}", self.backend.http);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.request(method, address).bearer_auth(&self.token).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(matches!(status, StatusCode::OK | StatusCode::CREATED), "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Comes back when what is read there is as wanted.
    pub async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                let shown = self.get(path).await;
                if wanted(&shown) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, looking).await {
            Ok(shown) => shown,
            Err(_) => panic!("never so: {}", self.get(path).await),
        }
    }
}
