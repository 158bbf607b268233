//! An external broker that is reached by TLS: a real Mosquitto, with a listener of ours for TLS before it.

use std::net::SocketAddr;

use fenlei::entrance::tls::{ClientCertificates, Files};
use fenlei::entrance::{Listener, Slots, Tls};
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use rumqttc::v5;
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::world::{PATIENCE, install};
use crate::mosquitto::Broker;
use crate::mqtt::world::{Device, event};
use crate::support::authority::Authority;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::load::register;

/// Leads from TLS to the broker, and gives the URL with which the backend logs in there.
async fn seal(folder: &Folder, broker: &Broker) -> (String, DropGuard) {
    let url = broker.url();
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let files = Files {
        section: "mqtt",
        certificate: folder.path("cert.pem"),
        key: folder.path("key.pem"),
        client_ca: None,
        clients: ClientCertificates::Off,
    };
    let everywhere: SocketAddr = ([0, 0, 0, 0], 0).into();
    let listener = Listener::bind("test", everywhere, Slots::new(99, 99), PATIENCE).await.unwrap();
    let sealed = listener.address().unwrap().port();
    let (stop, tls) = (CancellationToken::new(), Tls::load(files, &[]).unwrap());
    tokio::spawn(listener.sealed(tls).run(stop.clone(), move |mut guest| async move {
        let mut broker = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut guest.stream, &mut broker).await;
    }));
    let url = url.replace("mqtt://", "mqtts://").replace(&format!("127.0.0.1:{port}"), &format!("localhost:{sealed}"));
    (url, stop.drop_guard())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_broker_is_reached_by_tls_if_it_proves_who_it_is() {
    let (folder, authority, another) = (Folder::new(), Authority::new(), Authority::new());
    let [bin] = register(&folder, [("one", DeviceKind::Bin)]).try_into().unwrap();
    let broker = Broker::start(&folder);
    install(&folder, &authority.certify("localhost"));
    folder.write("ca.pem", &authority.pem);
    folder.write("other-ca.pem", &another.pem);
    let (url, _sealed) = seal(&folder, &broker).await;
    let token = folder.done(&["token", "add", "--role", "admin"]).trim().to_owned();

    // Who trusts somebody else, or expects another name, says nothing: no login leaves.
    for (url, ca, why) in [
        (url.clone(), "other-ca.pem", "BadSignature"),
        (url.replace("localhost", "127.0.0.2"), "ca.pem", "not valid for name"),
    ] {
        let mut doubting = Backend::start_with(&folder, Some(&url), vec![("FENLEI__MQTT__CA", ca.to_owned())]);
        let looking = async {
            while !doubting.log().contains(why) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, looking).await;
        assert!(waited.is_ok(), "{}", doubting.log());
        assert!(!doubting.log().contains("subscribed"), "{}", doubting.log());
        doubting.kill();
    }

    let mut backend = Backend::start_with(&folder, Some(&url), vec![("FENLEI__MQTT__CA", "ca.pem".to_owned())]);
    backend.ready().await;
    let mut options = v5::MqttOptions::new("one", "127.0.0.1", broker.devices);
    options.set_credentials("one", &bin.secret);
    let mut device = Device::connect(options).await.unwrap();
    assert!(device.subscribe(&bin.topic(Channel::Receipt)).await);
    for seq in 1..=20 {
        assert!(device.publish(&bin.topic(Channel::Event), false, event(1, seq).to_string()).await);
    }
    while device.receipt().await["through"] != 20 {}
    assert_eq!(backend.get(&token, "events").await["items"].as_array().unwrap().len(), 20);
    assert!(!backend.log().contains("horse"), "the password is in no log");
}
