//! A backend with two bins, `one` and `two`, a projector `beam`, and a client of MQTT 5 and 3.1.1 that waits for each answer.

use std::collections::VecDeque;
use std::time::Duration;

use fenlei::clock::{Clock, SystemClock};
use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, PubAckReason, SubscribeReasonCode};
use rumqttc::{Incoming, v5};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::mosquitto::Broker;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::register;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const MAX_PACKET: u32 = 2 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Own,
    Mosquitto,
}

pub(crate) const BOTH: [By; 2] = [By::Own, By::Mosquitto];

pub(crate) struct World {
    pub folder: Folder,
    pub backend: Backend,
    pub one: Credential,
    pub two: Credential,
    pub beam: Credential,
    mosquitto: Option<Broker>,
    token: String,
}

impl World {
    pub async fn start(by: By) -> Self {
        let folder = Folder::new();
        let devices =
            register(&folder, [("one", DeviceKind::Bin), ("two", DeviceKind::Bin), ("beam", DeviceKind::Projector)]);
        let mosquitto = (by == By::Mosquitto).then(|| Broker::start(&folder));
        let token = folder.done(&["token", "add", "--role", "admin"]).trim().to_owned();
        let mut backend = Backend::start(&folder, mosquitto.as_ref().map(Broker::url).as_deref());
        backend.ready().await;
        let [one, two, beam] = devices.try_into().unwrap();
        Self { folder, backend, one, two, beam, mosquitto, token }
    }

    /// Where devices connect to.
    pub fn port(&self) -> u16 {
        self.mosquitto.as_ref().map_or(self.backend.mqtt, |broker| broker.devices)
    }

    pub fn options(&self, device: &Credential) -> v5::MqttOptions {
        let mut options = v5::MqttOptions::new(&device.device, "127.0.0.1", self.port());
        options.set_credentials(&device.device, &device.secret);
        options.set_max_packet_size(Some(MAX_PACKET));
        options
    }

    /// A device that hears its receipts.
    pub async fn connect(&self, device: &Credential) -> Device {
        let mut connected = Device::connect(self.options(device)).await.unwrap();
        assert!(connected.subscribe(&device.topic(Channel::Receipt)).await);
        connected
    }

    /// The same over MQTT 3.1.1.
    pub async fn connect_three(&self, device: &Credential) -> DeviceThree {
        let mut options = rumqttc::MqttOptions::new(&device.device, "127.0.0.1", self.port());
        options.set_credentials(&device.device, &device.secret);
        options.set_max_packet_size(MAX_PACKET as usize, MAX_PACKET as usize);
        let mut connected = DeviceThree::connect(options).await.unwrap();
        assert!(connected.subscribe(&device.topic(Channel::Receipt)).await);
        connected
    }

    /// What the ledger holds of a device: incarnation, boot and seq, in commit order.
    pub fn stored(&self, device: &Credential) -> Vec<(u32, u32, u64)> {
        let store = self.folder.store();
        let sql = "SELECT b.incarnation, b.boot, l.seq FROM ledger l JOIN boot b ON b.id = l.boot WHERE b.device = ?1
                   ORDER BY l.id";
        let mut select = store.prepare(sql).unwrap();
        let rows =
            select.query_map([&device.device], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// `kill -9` of the broker, which may be part of the backend.
    pub fn lose_broker(&mut self) {
        match &mut self.mosquitto {
            Some(mosquitto) => mosquitto.kill(),
            None => assert!(self.backend.kill()),
        }
    }

    /// The broker comes back; the backend, if it had gone with it, is ready again.
    pub async fn regain_broker(&mut self) {
        match &mut self.mosquitto {
            Some(mosquitto) => mosquitto.start_again(),
            None => {
                self.backend.start_again();
                self.backend.ready().await;
            }
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        self.backend.get(&self.token, path).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.backend.call(&self.token, reqwest::Method::POST, path, Some(body)).await
    }

    pub async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        self.backend.call(&self.token, method, path, Some(body)).await
    }

    /// Makes something, and gives it as it was answered.
    pub async fn make(&self, path: &str, body: Value) -> Value {
        let address = format!("http://127.0.0.1:{}/api/v1/{path}", self.backend.http);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.post(address).bearer_auth(&self.token).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), reqwest::StatusCode::CREATED);
        answer.json().await.unwrap()
    }

    pub async fn refused(&self, what: &str) -> f64 {
        self.backend.counter(&format!("fenlei_mqtt_refused_total{{what=\"{what}\"}}")).await
    }

    pub async fn device(&self, device: &Credential) -> Value {
        self.get(&format!("devices/{}", device.device)).await
    }

    /// Comes back when the device is as wanted.
    pub async fn until(&self, device: &Credential, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_at(&format!("devices/{}", device.device), wanted).await
    }

    /// Comes back when what is read there is as wanted.
    pub async fn until_at(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                let shown = self.get(path).await;
                if wanted(&shown) {
                    return shown;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{path} never so"))
    }
}

/// An event that happens now.
pub(crate) fn event(boot: u32, seq: u64) -> Value {
    json!({"boot": boot, "seq": seq, "time": SystemClock.now().to_rfc3339(), "type": "heartbeat"})
}

/// A client of MQTT 5. It waits for the answer to each thing it says.
pub(crate) struct Device {
    client: v5::AsyncClient,
    events: v5::EventLoop,
    heard: VecDeque<(String, Value)>,
}

impl Device {
    /// Connects, or says why it may not.
    pub async fn connect(options: v5::MqttOptions) -> Result<Self, String> {
        let (client, events) = v5::AsyncClient::new(options, 64);
        let mut device = Self { client, events, heard: VecDeque::new() };
        while !matches!(device.hear().await?, Packet::ConnAck(_)) {}
        Ok(device)
    }

    pub async fn hear(&mut self) -> Result<Packet, String> {
        loop {
            let event = timeout(PATIENCE, self.events.poll()).await.expect("the broker answers");
            if let v5::Event::Incoming(packet) = event.map_err(|error| error.to_string())? {
                if let Packet::Publish(publish) = &packet {
                    let topic = String::from_utf8(publish.topic.to_vec()).unwrap();

                    self.heard.push_back((topic, serde_json::from_slice(&publish.payload).unwrap()));
                }
                return Ok(packet);
            }
        }
    }

    /// Whether the broker grants it.
    pub async fn subscribe(&mut self, filter: &str) -> bool {
        self.client.try_subscribe_many([Filter::new(filter, QoS::AtLeastOnce)]).unwrap();
        loop {
            if let Packet::SubAck(answer) = self.hear().await.unwrap() {
                return answer.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_)));
            }
        }
    }

    /// Comes back with the PUBACK: whether it is one of success.
    pub async fn publish(&mut self, topic: &str, retain: bool, payload: impl Into<Vec<u8>>) -> bool {
        self.client.try_publish(topic, QoS::AtLeastOnce, retain, payload.into()).unwrap();
        loop {
            if let Packet::PubAck(answer) = self.hear().await.unwrap() {
                return matches!(answer.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
            }
        }
    }

    /// Publishes what nobody acknowledges; it goes when the next thing is waited for.
    pub fn say(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.try_publish(topic, QoS::AtMostOnce, false, payload.into()).unwrap();
    }

    /// The next message, with its topic.
    pub async fn message(&mut self) -> (String, Value) {
        loop {
            match self.heard.pop_front() {
                Some(message) => return message,
                None => self.hear().await.unwrap(),
            };
        }
    }

    /// The next receipt.
    pub async fn receipt(&mut self) -> Value {
        let (topic, receipt) = self.message().await;
        assert!(topic.ends_with("/receipt"), "{topic}");
        receipt
    }
}

/// A client of MQTT 3.1.1, which knows no refusal of a publish.
pub(crate) struct DeviceThree {
    client: rumqttc::AsyncClient,
    events: rumqttc::EventLoop,
    heard: VecDeque<Value>,
}

impl DeviceThree {
    pub async fn connect(options: rumqttc::MqttOptions) -> Result<Self, String> {
        let (client, events) = rumqttc::AsyncClient::new(options, 64);
        let mut device = Self { client, events, heard: VecDeque::new() };
        while !matches!(device.hear().await?, Incoming::ConnAck(_)) {}
        Ok(device)
    }

    async fn hear(&mut self) -> Result<Incoming, String> {
        loop {
            let event = timeout(PATIENCE, self.events.poll()).await.expect("the broker answers");
            if let rumqttc::Event::Incoming(packet) = event.map_err(|error| error.to_string())? {
                if let Incoming::Publish(publish) = &packet {
                    self.heard.push_back(serde_json::from_slice(&publish.payload).unwrap());
                }
                return Ok(packet);
            }
        }
    }

    pub async fn subscribe(&mut self, filter: &str) -> bool {
        self.client.try_subscribe(filter, rumqttc::QoS::AtLeastOnce).unwrap();
        loop {
            if let Incoming::SubAck(answer) = self.hear().await.unwrap() {
                return !answer.return_codes.contains(&rumqttc::SubscribeReasonCode::Failure);
            }
        }
    }

    /// Comes back with the PUBACK.
    pub async fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.try_publish(topic, rumqttc::QoS::AtLeastOnce, false, payload.into()).unwrap();
        while !matches!(self.hear().await.unwrap(), Incoming::PubAck(_)) {}
    }

    pub async fn receipt(&mut self) -> Value {
        loop {
            match self.heard.pop_front() {
                Some(receipt) => return receipt,
                None => self.hear().await.unwrap(),
            };
        }
    }
}
