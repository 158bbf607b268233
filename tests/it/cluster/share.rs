//! Whether a broker really delivers to shared subscriptions is found out before anything depends on it.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::PATIENCE;
use crate::mosquitto::Broker;
use crate::postgres::server::Server;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::place::Place;
use crate::support::ports::free_port;

/// A NATS server that speaks MQTT.
struct Nats {
    process: Child,
    port: u16,
}

impl Nats {
    fn start(folder: &Folder) -> Self {
        let [client, port] = [(); 2].map(|()| free_port());
        let configuration = format!(
            "server_name: nats\nlisten: 127.0.0.1:{client}\njetstream {{ store_dir: {:?} }}\nmqtt {{ listen: 127.0.0.1:{port} }}\n",
            folder.path("nats")
        );
        folder.write("nats.conf", &configuration);
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(folder.path("nats.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut nats =
            Self { process: command.spawn().expect("nats-server is installed: tests/all installs it"), port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(nats.process.try_wait().unwrap(), None, "nats-server refuses its configuration");
            assert!(begun.elapsed() < PATIENCE, "nats-server does not come up");
            std::thread::yield_now();
        }
        nats
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // It is at its end or can be killed; a test that fails has said why already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn started(folder: &Folder, url: &str) -> Backend {
    Backend::start_with(folder, Some(url), vec![("FENLEI__MQTT__SHARE", "fenlei".to_owned())])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_share_is_refused_at_the_start() {
    // Whether or not there will be others.
    let folder = Folder::at(Place::in_a_file());
    let nats = Nats::start(&folder);
    let mut backend = started(&folder, &format!("mqtt://127.0.0.1:{}", nats.port));
    assert_eq!(backend.ended().await, Some(1));
    let log = backend.log();
    assert!(log.contains("`mqtt.share`") && log.contains("the broker refuses to speak MQTT 5"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_takes_the_subscription_and_delivers_nothing_is_refused_too() {
    let server = Server::start();
    let folder = Folder::at(Place::on(server.url()));
    let broker = Broker::start(&folder);
    // Mosquitto where this user may subscribe and publish, but nothing is delivered to it.
    folder.write("broker/acl", "user fenlei\ntopic write fenlei/v1/#\n");
    broker.reload();
    let mut backend = started(&folder, &broker.url());
    assert_eq!(backend.ended().await, Some(1));
    let log = backend.log();
    assert!(log.contains("delivered nothing to it"), "{log}");
}
