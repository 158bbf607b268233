//! The promise of the device driver, kept against the broker that people run: through a broker killed in the middle, with
//! nothing saved, and receipts that never come, every accepted event is delivered, and once after deduplication.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fenlei_wire::event::{Body, Event as WireEvent};
use fenlei_wire::receipt::Receipt;
use fenlei_wire::time::UnixMillis;
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::{Channel, DeviceKind, Stream};
use futures::StreamExt;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fleet::{Broker, Credential, Fleet, Sources};
use super::neighbourhood::{BY_HAND, Equipment, Neighbourhood};
use super::occurrence::{OFFSET_MINUTES, Occurrence, What};
use super::simulation::{Plan, Simulation};
use crate::clock::{SharedClock, SteppedClock};

const BOOT: u32 = 7;
const PATIENCE: Duration = Duration::from_secs(60);

/// Mosquitto on a port of its own, killed when the test ends.
struct Mosquitto(Child);

impl Mosquitto {
    async fn start(folder: &Path, at: &Broker) -> Self {
        let (Broker { host, port }, config) = (at, folder.join("mosquitto.conf"));
        std::fs::write(&config, format!("listener {port} {host}\nallow_anonymous true\nmax_queued_messages 0\n"))
            .unwrap();
        let program = if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
        let mut command = Command::new(program);
        let child = command.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let broker = Self(child.expect("mosquitto is installed (apt-get install mosquitto)"));
        while tokio::net::TcpStream::connect((host.as_str(), *port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        broker
    }

    /// `kill -9`: nothing is saved.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where nothing else is given the port while its broker is away: each has an address of its own.
fn somewhere() -> Broker {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, NEXT.fetch_add(1, Ordering::Relaxed), high, low);
    let listener = TcpListener::bind((own, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    Broker { host: address.ip().to_string(), port: address.port() }
}

fn client(name: &str, at: &Broker) -> MqttOptions {
    MqttOptions::new(name, &at.host, at.port)
}

/// What arrived, by device and number: its bytes, which must be the same each time.
type Ledger = Arc<Mutex<BTreeMap<(String, u64), String>>>;

/// A backend as small as the contract allows: it remembers, and answers each publish by where the boot stands, but
/// swallows every third answer.
struct Responder {
    ledger: Ledger,
    /// The last that each device said of itself.
    states: watch::Receiver<BTreeMap<String, Value>>,
    /// How many different events arrived.
    arrived: watch::Receiver<usize>,
    repeated: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Responder {
    fn start(at: &Broker, boot: u32) -> Self {
        let (count, arrived) = watch::channel(0);
        let (tell, states) = watch::channel(BTreeMap::new());
        let (ledger, repeated, options) = (Ledger::default(), Arc::default(), client("responder", at));
        let task = tokio::spawn(respond(options, boot, Arc::clone(&ledger), tell, Arc::clone(&repeated), count));
        Self { ledger, states, arrived, repeated, task }
    }

    async fn has(&self, events: usize) {
        let mut arrived = self.arrived.clone();
        tokio::time::timeout(PATIENCE, arrived.wait_for(|count| *count >= events)).await.unwrap().unwrap();
    }
}

async fn respond(
    mut options: MqttOptions,
    boot: u32,
    ledger: Ledger,
    states: watch::Sender<BTreeMap<String, Value>>,
    repeated: Arc<Mutex<usize>>,
    count: watch::Sender<usize>,
) {
    options.set_max_packet_size(Some(1 << 20));
    let (client, mut event_loop) = AsyncClient::new(options, 1_000);
    let mut publishes = 0;
    loop {
        match event_loop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                for channel in ["event", "state"] {
                    client.try_subscribe(format!("fenlei/v1/+/+/+/{channel}"), QoS::AtLeastOnce).unwrap();
                }
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let name = std::str::from_utf8(&publish.topic).unwrap();
                let topic = Topic::parse(name).unwrap();
                let content: Value = serde_json::from_slice(&publish.payload).unwrap();
                if topic.channel == Channel::State {
                    states.send_modify(|states| drop(states.insert(topic.device.to_owned(), content)));
                    continue;
                }
                let events = match content {
                    Value::Array(events) => events,
                    event => vec![event],
                };
                let receipt = {
                    let mut ledger = ledger.lock().unwrap();
                    for event in events {
                        let key = (topic.device.to_owned(), event["seq"].as_u64().unwrap());
                        assert_eq!(event["boot"], boot);
                        match ledger.insert(key, event.to_string()) {
                            Some(before) => {
                                assert_eq!(before, event.to_string(), "two events under one name");
                                *repeated.lock().unwrap() += 1;
                            }
                            None => count.send_modify(|count| *count += 1),
                        }
                    }
                    receipt(boot, &ledger, topic.device)
                };
                publishes += 1;
                if publishes % 3 != 0 {
                    let answer = Topic { channel: Channel::Receipt, ..topic }.to_string();
                    let payload = serde_json::to_vec(&receipt).unwrap();
                    client.try_publish(answer, QoS::AtLeastOnce, false, payload).unwrap();
                }
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn receipt(boot: u32, ledger: &BTreeMap<(String, u64), String>, device: &str) -> Receipt {
    let mut receipt = Receipt { boot, through: 0, beyond: Default::default() };
    for (_, seq) in ledger.keys().filter(|(of, _)| of == device) {
        if *seq == receipt.through + 1 {
            receipt.through = *seq;
        } else if let Some((_, last)) = receipt.beyond.last_mut().filter(|(_, last)| *last + 1 == *seq) {
            *last = *seq;
        } else if receipt.beyond.push((*seq, *seq)).is_err() {
            break;
        }
    }
    receipt
}

fn credential(device: &str) -> Credential {
    Credential { device: device.to_owned(), secret: "-".to_owned(), site: "site".to_owned(), kind: DeviceKind::Bin }
}

fn deposits(count: u32) -> Vec<Occurrence> {
    let card: Arc<str> = "0412345678".into();
    let deposit = |number: u32| Occurrence {
        time: UnixMillis(1_763_000_000_000 + i64::from(number) * 1_000),
        what: What::Deposit { stream: Stream::Food, grams: number, card: Some(Arc::clone(&card)) },
    };
    (1..=count).map(deposit).collect()
}

fn clock() -> SharedClock {
    Arc::new(SteppedClock::at("2026-11-23T12:00:00Z".parse().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_and_swallowed_receipts_cost_no_event() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), somewhere());
    let mut mosquitto = Mosquitto::start(folder.path(), &broker).await;
    let responder = Responder::start(&broker, BOOT);
    const EVENTS: u32 = 6_000;
    let devices = ["bin-1", "bin-2", "bin-3"];
    // More than a device holds at once, so that the history must wait for room.
    let sources: Sources = devices.map(|device| (device, futures::stream::iter(deposits(EVENTS)).boxed())).into();
    let mut fleet = Fleet::start(&broker, &devices.map(credential), sources, BOOT, 1, &clock());

    responder.has(3_000).await;
    mosquitto.kill();
    let mut mosquitto = Mosquitto::start(folder.path(), &broker).await;
    responder.has(9_000).await;
    mosquitto.kill();
    let _mosquitto = Mosquitto::start(folder.path(), &broker).await;

    tokio::time::timeout(PATIENCE, fleet.finished()).await.expect("every event is receipted in the end");
    let counts = fleet.stop().await;
    assert_eq!(
        (counts.accepted, counts.receipted, counts.connected),
        (3 * u64::from(EVENTS), 3 * u64::from(EVENTS), 0)
    );
    // The broker has what each said last; the responder may yet have to hear it.
    let gone = serde_json::json!({"online": false, "boot": BOOT});
    let mut states = responder.states.clone();
    let gone = states.wait_for(|states| devices.iter().all(|device| states.get(*device) == Some(&gone)));
    drop(tokio::time::timeout(PATIENCE, gone).await.expect("each says that it is gone").unwrap());
    let ledger = responder.ledger.lock().unwrap();
    assert_eq!(ledger.len(), 3 * EVENTS as usize);
    for device in devices {
        for (seq, occurrence) in (1..).zip(deposits(EVENTS)) {
            let mut text = String::new();
            let (time, body) = (occurrence.time, occurrence.what.body());
            let event = WireEvent { boot: BOOT, seq, time, offset_minutes: OFFSET_MINUTES, unsynced: false, body };
            event.encode(&mut text).unwrap();
            let sent: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(ledger[&(device.to_owned(), seq)], sent.to_string());
        }
    }
    assert!(*responder.repeated.lock().unwrap() > 0, "the swallowed receipts made devices repeat themselves");
}

#[tokio::test]
async fn a_device_obeys_once_and_says_so() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), somewhere());
    let _mosquitto = Mosquitto::start(folder.path(), &broker).await;
    let responder = Responder::start(&broker, BOOT);
    let (tell, told) = tokio::sync::mpsc::channel(16);
    let happen = |time, what| tell.try_send(Occurrence { time: UnixMillis(time), what }).unwrap();
    let source = futures::stream::unfold(told, |mut told| async move { told.recv().await.map(|next| (next, told)) });
    let fleet =
        Fleet::start(&broker, &[credential("bin-1")], Sources::from([("bin-1", source.boxed())]), BOOT, 1, &clock());
    happen(1_763_000_000_000, What::Plain(Body::Emptied { stream: Stream::Food, grams: 1 }));
    responder.has(1).await;

    let client = {
        let (client, mut event_loop) = AsyncClient::new(client("backend", &broker), 10);
        tokio::spawn(async move { while event_loop.poll().await.is_ok() {} });
        client
    };
    let topic = "fenlei/v1/site/bin/bin-1/command";
    for (id, kind) in [("c1", "lock"), ("c1", "lock"), ("c2", "clear")] {
        let command = format!(r#"{{"id":"{id}","expires":"2026-11-23T13:00:00Z","type":"{kind}"}}"#);
        client.publish(topic, QoS::AtLeastOnce, false, command).await.unwrap();
    }
    responder.has(4).await;
    // The bin is locked: the deposit does not happen, the heartbeat does.
    let locked = clock().now().timestamp_millis();
    happen(locked + 1, What::Deposit { stream: Stream::Food, grams: 1, card: None });
    happen(locked + 2, What::Plain(Body::Heartbeat { celsius: None, millivolts: None, rssi: None }));
    responder.has(5).await;
    let counts = fleet.stop().await;
    assert_eq!(counts.accepted, 5);
    let ledger = responder.ledger.lock().unwrap();
    let told: Vec<Value> = ledger.values().map(|event| serde_json::from_str(event).unwrap()).collect();
    let of_type = |name: &str| told.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
    let status = |event: &&Value| (event["command"].clone(), event["status"].clone());
    let executed = of_type("executed");
    assert_eq!(status(&executed[0]), ("c1".into(), "done".into()));
    assert_eq!(status(&executed[1]), ("c2".into(), "refused".into()));
    let doors = of_type("door");
    assert_eq!((doors.len(), &doors[0]["open"], &doors[0]["by"]), (1, &false.into(), &"staff".into()));
    assert_eq!(told[4]["type"], "heartbeat");
}

#[tokio::test]
async fn the_neighbourhood_tells_its_history_then_lives_on_and_closes_with_nothing_left() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), somewhere());
    let _mosquitto = Mosquitto::start(folder.path(), &broker).await;
    let clock = clock();
    let responder = Responder::start(&broker, u32::try_from(clock.now().timestamp()).unwrap());
    let sample = Neighbourhood::sample("2026-11-23".parse().unwrap());
    let credential = |device: &Equipment| Credential {
        device: device.id.to_owned(),
        secret: "-".to_owned(),
        site: device.site.to_owned(),
        kind: device.kind,
    };
    let credentials: Vec<_> = sample.devices.iter().map(credential).collect();
    let plan = Plan { days: 2, live: true, seed: 1 };
    let mut simulation = Simulation::start(&broker, &credentials, plan, &clock).unwrap();
    assert_eq!(simulation.devices(), credentials.len() - 1);
    let history = simulation.history();
    assert!(history > 1_000, "{history}");
    tokio::time::timeout(PATIENCE, simulation.history_stored()).await.unwrap();
    responder.has(usize::try_from(history).unwrap() + 2).await;
    simulation.close();
    tokio::time::timeout(PATIENCE, simulation.finished()).await.unwrap();
    let counts = simulation.stop().await;
    assert!(counts.accepted >= history + 2);
    assert_eq!(counts.waiting(), 0);
    let ledger = responder.ledger.lock().unwrap();
    assert_eq!(ledger.len() as u64, counts.accepted);
    assert!(ledger.keys().all(|(device, _)| device != BY_HAND));

    let stranger = [Credential { device: "elsewhere".to_owned(), ..credentials[0].clone() }];
    let error = Simulation::start(&broker, &stranger, plan, &clock).unwrap_err().to_string();
    assert!(error.contains("elsewhere"), "{error}");
}
