//! `config/mosquitto.conf` and the exported files, in the real broker.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::folder::Folder;
use crate::support::ports::free_port;

const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const PASSWORD: &str = "correct horse";

/// Mosquitto with the shipped configuration; only places and ports are other ones.
pub(crate) struct Broker {
    process: Child,
    configuration: PathBuf,
    pub(crate) devices: u16,
    /// Devices by TLS, if it has a certificate.
    pub(crate) sealed: u16,
    /// Where the backend connects.
    pub(crate) backend: u16,
}

impl Broker {
    pub(crate) fn start(folder: &Folder) -> Self {
        Self::begin(folder, None)
    }

    /// With the listener for devices in the field too, which has this certificate and its key.
    pub(crate) fn start_sealed(folder: &Folder, certificate: &str, key: &str) -> Self {
        Self::begin(folder, Some((certificate, key)))
    }

    fn begin(folder: &Folder, sealed_by: Option<(&str, &str)>) -> Self {
        folder.write("password", PASSWORD);
        let export = ["device", "export", "--format", "mosquitto", "broker", "--backend-password-file", "password"];
        folder.done(&export);
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/mosquitto.conf");
        let mut configuration = std::fs::read_to_string(shipped).unwrap();
        let [devices, backend, sealed] = [(); 3].map(|()| free_port());
        if let Some((certificate, key)) = sealed_by {
            folder.write("fullchain.pem", certificate);
            folder.write("privkey.pem", key);
            for line in ["listener 8883", "use_username_as_clientid", "certfile", "keyfile", "tls_version"] {
                configuration = replaced(&configuration, &format!("#{line}"), line);
            }
            configuration = replaced(&configuration, "listener 8883\n", &format!("listener {sealed} 127.0.0.1\n"));
            configuration =
                replaced(&configuration, "/etc/mosquitto/certs/", &format!("{}/", folder.path("").display()));
        }
        for (from, to) in [
            ("listener 1883 ", format!("listener {devices} ")),
            ("listener 1884 ", format!("listener {backend} ")),
            ("/etc/mosquitto/fenlei/", format!("{}/", folder.path("broker").display())),
            ("/var/lib/mosquitto/", format!("{}/", folder.path("broker").display())),
        ] {
            configuration = replaced(&configuration, from, &to);
        }
        // Started by root it would go on as a user who cannot enter this folder.
        configuration.push_str("\nuser root\n");
        folder.write("mosquitto.conf", &configuration);
        let configuration = folder.path("mosquitto.conf");
        let mut broker = Self { process: run(&configuration), configuration, devices, sealed, backend };
        let begun = Instant::now();
        let listening = [devices, backend].into_iter().chain(sealed_by.map(|_| sealed));
        while listening.clone().any(|port| TcpStream::connect(("127.0.0.1", port)).is_err()) {
            assert_eq!(broker.process.try_wait().unwrap(), None, "the broker refuses the configuration");
            assert!(begun.elapsed() < DEADLINE, "the broker does not come up");
            std::thread::yield_now();
        }
        broker
    }

    /// What `mqtt.url` names it by.
    pub(crate) fn url(&self) -> String {
        Self::url_by(self.backend)
    }

    /// The same by another port, behind which it is.
    pub(crate) fn url_by(port: u16) -> String {
        format!("mqtt://fenlei:{}@127.0.0.1:{port}", PASSWORD.replace(' ', "%20"))
    }

    /// Has it read the passwords and the rights again.
    pub(crate) fn reload(&self) {
        let status = Command::new("kill").args(["-HUP", &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// `kill -9`: what it had not written to its file is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Throws away what its file remembers, while it does not run.
    pub(crate) fn forget(&self) {
        let memory = self.configuration.with_file_name("broker").join("mosquitto.db");
        match std::fs::remove_file(memory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }

    /// Starts it again on the same ports, with what its file remembers.
    pub(crate) fn start_again(&mut self) {
        self.process = run(&self.configuration);
    }
}

fn replaced(configuration: &str, from: &str, to: &str) -> String {
    assert!(configuration.contains(from), "config/mosquitto.conf has no {from}");
    configuration.replace(from, to)
}

fn run(configuration: &Path) -> Child {
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("mosquitto");
    command.env("PATH", path).arg("-c").arg(configuration);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("apt-get install mosquitto")
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A run of `mosquitto_pub` or `mosquitto_sub`.
pub(crate) fn client(program: &str, port: u16, login: (&str, &str), id: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-u", login.0, "-P", login.1, "-i", id, "-q", "1"]);
    command.args(arguments).output().expect("apt-get install mosquitto-clients")
}

pub(crate) fn line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

const EVENT: &str = "fenlei/v1/north/bin/bin-1/event";

#[test]
fn a_device_publishes_as_itself_and_its_events_wait_for_the_backend() {
    let folder = Folder::new();
    let broker = Broker::start(&folder);
    let backend = ("fenlei", PASSWORD);
    // The backend has subscribed and is away: what comes meanwhile waits in its session.
    let subscribe = client("mosquitto_sub", broker.backend, backend, "fenlei", &["-c", "-t", "fenlei/v1/#", "-E"]);
    assert!(subscribe.status.success());
    let device = ("bin-1", folder.secret.as_str());
    let publish =
        |topic, message: &str| client("mosquitto_pub", broker.devices, device, "bin-1", &["-t", topic, "-m", message]);
    for foreign in [
        "fenlei/v1/north/bin/bin-2/event",
        "fenlei/v1/south/bin/bin-1/event",
        "fenlei/v1/north/bin/bin-1/receipt",
        "fenlei/v1/north/bin/bin-1/command",
    ] {
        publish(foreign, "foreign");
    }
    assert!(publish(EVENT, "own").status.success());
    // The first that comes is its own: the foreign ones were sent before it.
    let read = ["-c", "-t", "fenlei/v1/#", "-C", "1", "-W", "20", "-F", "%t %p"];
    assert_eq!(line(&client("mosquitto_sub", broker.backend, backend, "fenlei", &read)), format!("{EVENT} own"));
}

#[test]
fn a_wrong_password_a_stranger_and_no_name_are_refused() {
    let folder = Folder::new();
    let broker = Broker::start(&folder);
    let attempt = |login| client("mosquitto_pub", broker.devices, login, "bin-1", &["-t", EVENT, "-m", "x"]);
    assert!(attempt(("bin-1", &folder.secret)).status.success());
    for login in [("bin-1", "wrong"), ("bin-1", PASSWORD), ("nobody", folder.secret.as_str()), ("fenlei", "")] {
        assert!(!attempt(login).status.success(), "{login:?}");
    }
    for port in [broker.devices, broker.backend] {
        let mut anonymous = Command::new("mosquitto_pub");
        anonymous.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", EVENT, "-m", "x"]);
        assert!(!anonymous.output().unwrap().status.success());
    }
}

#[test]
fn a_device_reads_what_is_for_it_and_nothing_else() {
    let folder = Folder::new();
    let broker = Broker::start(&folder);
    let (backend, device) = (("fenlei", PASSWORD), ("bin-1", folder.secret.as_str()));
    // It asks for everything, and what is for it waits in its session.
    let everything = ["-c", "-t", "fenlei/v1/#", "-E"];
    assert!(client("mosquitto_sub", broker.devices, device, "bin-1", &everything).status.success());
    for (name, message) in [("bin-2", "foreign"), ("bin-1", "own")] {
        let topic = format!("fenlei/v1/north/bin/{name}/command");
        let sent = client("mosquitto_pub", broker.backend, backend, "fenlei-out", &["-t", &topic, "-m", message]);
        assert!(sent.status.success());
    }
    let read = ["-c", "-t", "fenlei/v1/#", "-C", "1", "-W", "20"];
    assert_eq!(line(&client("mosquitto_sub", broker.devices, device, "bin-1", &read)), "own");
}

#[test]
fn a_device_that_gives_the_name_of_another_takes_no_session_over() {
    let folder = Folder::new();
    let broker = Broker::start(&folder);
    let backend = ("fenlei", PASSWORD);
    let subscribe = ["-c", "-t", "fenlei/v1/#", "-E"];
    assert!(client("mosquitto_sub", broker.backend, backend, "fenlei", &subscribe).status.success());
    let device = ("bin-1", folder.secret.as_str());
    assert!(client("mosquitto_pub", broker.devices, device, "bin-1", &["-t", EVENT, "-m", "kept"]).status.success());
    // A clean session under the backend's name would throw away what waits for it.
    assert!(client("mosquitto_pub", broker.devices, device, "fenlei", &["-t", EVENT, "-m", "x"]).status.success());
    let read = ["-c", "-t", "fenlei/v1/#", "-C", "1", "-W", "20"];
    assert_eq!(line(&client("mosquitto_sub", broker.backend, backend, "fenlei", &read)), "kept");
}
