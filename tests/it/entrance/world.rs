//! A backend with TLS on both protocols and a bin, and the clients that everybody has: `mosquitto_pub` and `curl`.

use std::process::{Command, Output};
use std::time::Duration;

use fenlei::mqtt::relay::Relay;
use fenlei::simulate::fleet::Credential;
use fenlei::trust;
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use rumqttc::v5;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mqtt::world::{Device, event};
use crate::support::authority::{Authority, Pair};
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::register;
use crate::support::ports::free_port;

pub(super) const PATIENCE: Duration = Duration::from_secs(30);
const MAX_PACKET: u32 = 2 << 20;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct World {
    pub folder: Folder,
    pub backend: Backend,
    pub authority: Authority,
    pub bin: Credential,
    pub other: Credential,
    pub mqtts: u16,
    pub https: u16,
}

impl World {
    /// With settings of its own besides.
    pub async fn start(settings: &[(&'static str, &str)]) -> Self {
        let folder = Folder::new();
        let authority = Authority::new();
        let [bin, other] = register(&folder, [("one", DeviceKind::Bin), ("two", DeviceKind::Bin)]).try_into().unwrap();
        folder.write("ca.pem", &authority.pem);
        install(&folder, &authority.certify("localhost"));
        let [mqtts, https] = [(); 2].map(|()| free_port());
        let (mqtts_listen, https_listen) = (format!("127.0.0.1:{mqtts}"), format!("127.0.0.1:{https}"));
        let all = [
            ("FENLEI__MQTT__TLS_LISTEN", mqtts_listen.as_str()),
            ("FENLEI__MQTT__CERTIFICATE", "cert.pem"),
            ("FENLEI__MQTT__KEY", "key.pem"),
            ("FENLEI__HTTP__TLS_LISTEN", https_listen.as_str()),
            ("FENLEI__HTTP__CERTIFICATE", "cert.pem"),
            ("FENLEI__HTTP__KEY", "key.pem"),
        ];
        let all = all.iter().chain(settings).copied();
        let mut backend =
            Backend::start_with(&folder, None, all.map(|(name, value)| (name, value.to_owned())).collect());
        backend.ready().await;
        Self { folder, backend, authority, bin, other, mqtts, https }
    }

    /// Somebody else's certificate of an authority, beside the right one.
    pub fn trusting(&self, authority: &Authority) -> &'static str {
        self.folder.write("other-ca.pem", &authority.pem);
        "other-ca.pem"
    }

    /// How many were turned away there for that reason.
    pub async fn refused(&self, entrance: &str, reason: &str) -> f64 {
        let labels = format!("{{entrance=\"{entrance}\",reason=\"{reason}\"}}");
        self.backend.counter(&format!("fenlei_refused_total{labels}")).await
    }

    /// Comes back when that many were.
    pub async fn until_refused(&self, entrance: &str, reason: &str, count: f64) {
        let labels = format!("{{entrance=\"{entrance}\",reason=\"{reason}\"}}");
        self.until_counted(&format!("fenlei_refused_total{labels}"), count).await;
    }

    pub async fn until_counted(&self, counter: &str, count: f64) {
        let mut seen = 0.0;
        let looking = async {
            loop {
                seen = self.backend.counter(counter).await;
                if seen >= count {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, looking).await;
        assert!(waited.is_ok(), "{counter}: {seen}, never {count}");
        assert_eq!(seen, count, "{counter}");
    }

    /// Whether a device gets an event stored with `mosquitto_pub`.
    pub fn publishes(&self, device: &Credential, seq: u64, arguments: &[&str]) -> bool {
        self.publish(device, self.mqtts, seq, arguments).status.success()
    }

    /// Publishes by TLS where that is the port of it, else without.
    pub fn publish(&self, device: &Credential, port: u16, seq: u64, arguments: &[&str]) -> Output {
        // One that is not answered is not to wait for ever.
        let mut command = Command::new("timeout");
        command.args(["20", "mosquitto_pub"]).current_dir(self.folder.path(""));
        let host = if port == self.mqtts { "localhost" } else { "127.0.0.1" };
        command.args(["-h", host, "-p", &port.to_string(), "-V", "5", "-q", "1"]);
        command.args(["-i", &device.device, "-u", &device.device, "-P", &device.secret]);
        command.args(["-t", &device.topic(Channel::Event), "-m", &event(1, seq).to_string()]);
        if port == self.mqtts && !arguments.contains(&"--cafile") {
            command.args(["--cafile", "ca.pem"]);
        }
        command.args(arguments).output().expect("apt-get install mosquitto-clients")
    }

    /// What `curl` answers, with the head.
    pub fn curl(&self, address: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("curl");
        command.current_dir(self.folder.path("")).args(["-sS", "-i", "--noproxy", "*", "--max-time", "20"]);
        command.args(arguments).arg(address).output().expect("apt-get install curl")
    }

    /// A client of MQTT 5 that stays, by TLS.
    pub async fn connect(&self, device: &Credential, ca: &str) -> Result<(Device, Relay), String> {
        let trusted = trust::authority(&self.folder.path(ca)).unwrap();
        let relay = Relay::start("localhost", self.mqtts, trusted).await.unwrap();
        let mut options = v5::MqttOptions::new(&device.device, "127.0.0.1", relay.address.port());
        options.set_credentials(&device.device, &device.secret).set_max_packet_size(Some(MAX_PACKET));
        Ok((Device::connect(options).await?, relay))
    }

    /// The same without TLS.
    pub fn options(&self, device: &Credential) -> v5::MqttOptions {
        let mut options = v5::MqttOptions::new(&device.device, "127.0.0.1", self.backend.mqtt);
        options.set_credentials(&device.device, &device.secret).set_max_packet_size(Some(MAX_PACKET));
        options
    }

    /// How many events are stored.
    pub fn stored(&self) -> usize {
        let count = "SELECT count(*) FROM ledger";
        self.folder.store().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() as usize
    }
}

/// Puts a pair where the backend looks for it.
pub(super) fn install(folder: &Folder, pair: &Pair) {
    folder.write("cert.pem", &pair.certificate);
    folder.write("key.pem", &pair.key);
}

/// Connects, says that, and gives what comes until the other end hangs up.
pub(super) async fn say(port: u16, words: &[u8]) -> String {
    let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    line.write_all(words).await.unwrap();
    hear(&mut line).await
}

/// What comes until the other end hangs up.
pub(super) async fn hear(line: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, line.read_to_end(&mut heard));
    // Hanging up without having read what was sent is an error on our side.
    let _ = reading.await.expect("the other end hangs up");
    String::from_utf8_lossy(&heard).into_owned()
}
