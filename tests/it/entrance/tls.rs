//! TLS of both protocols: who gets in, who does not, and new certificates under running connections.

use fenlei_wire::vocabulary::Channel;

use super::world::{World, install, say};
use crate::mqtt::world::event;
use crate::support::authority::Authority;

/// The head of an answer.
fn head(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_once("\r\n\r\n").map_or(String::new(), |(head, _)| head.to_ascii_lowercase())
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_browsers_connect_by_either_version() {
    let world = World::start(&[]).await;
    for (seq, version) in (1..).zip(["tlsv1.2", "tlsv1.3"]) {
        let output = world.publish(&world.bin, world.mqtts, seq, &["--tls-version", version]);
        assert!(output.status.success(), "{version}: {output:?}");
        assert_eq!(world.stored(), seq as usize, "a PUBACK means stored");
    }
    let https = format!("https://localhost:{}", world.https);
    for version in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let head =
            head(&world.curl(&format!("{https}/language/en"), &[&["--cacert", "ca.pem"][..], &version].concat()));
        assert!(head.starts_with("http/1.1 303"), "{version:?}: {head}");
        assert!(head.contains("\r\nstrict-transport-security: max-age=31536000"), "{head}");
        assert!(head.contains("; secure"), "the cookie goes by nothing else: {head}");
    }
    let plain = head(&world.curl(&format!("http://localhost:{}/language/en", world.backend.http), &[]));
    assert!(plain.starts_with("http/1.1 303") && !plain.contains("strict-transport"), "{plain}");
    assert!(!plain.contains("; secure"), "a browser would not send it back: {plain}");
    // Without TLS all goes on as before.
    assert!(world.publish(&world.bin, world.backend.mqtt, 3, &[]).status.success());
    assert_eq!(world.stored(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_trusts_somebody_else_or_speaks_without_is_refused_and_counted() {
    let world = World::start(&[]).await;
    let another = world.trusting(&Authority::new());
    assert!(!world.publishes(&world.bin, 1, &["--cafile", another]));
    world.until_refused("mqtts", "handshake", 1.0).await;
    let https = format!("https://localhost:{}/healthz", world.https);
    assert!(!world.curl(&https, &["--cacert", another]).status.success());
    world.until_refused("https", "handshake", 1.0).await;
    // A CONNECT of MQTT 3.1.1, and a request.
    let connect = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03one";
    assert!(!say(world.mqtts, connect).await.contains(' '), "no CONNACK and no word");
    world.until_refused("mqtts", "handshake", 2.0).await;
    assert!(!say(world.https, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.contains("ok"));
    world.until_refused("https", "handshake", 2.0).await;
    // Versions that are known to be weak are none of ours.
    assert!(!world.curl(&https, &["--cacert", "ca.pem", "--tls-max", "1.1"]).status.success());
    assert_eq!(world.stored(), 0);
    assert!(world.publishes(&world.bin, 1, &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_hold_without_a_restart_and_bad_ones_change_nothing() {
    let world = World::start(&[]).await;
    let (topic, mut seq) = (world.bin.topic(Channel::Event), 0);
    let mut next = || {
        seq += 1;
        event(1, seq).to_string()
    };
    let (mut living, _relay) = world.connect(&world.bin, "ca.pem").await.unwrap();
    assert!(living.publish(&topic, false, next()).await);
    let reloads = |section: &str, result: &str| {
        format!("fenlei_certificate_reloads_total{{result=\"{result}\",section=\"{section}\"}}")
    };

    // A key that belongs to another certificate, and then no certificate at all.
    world.folder.write("key.pem", &world.authority.certify("localhost").key);
    for section in ["mqtt", "http"] {
        world.until_counted(&reloads(section, "refused"), 1.0).await;
    }
    world.folder.write("cert.pem", "none");
    world.until_counted(&reloads("mqtt", "refused"), 2.0).await;
    let said = world.backend.log();
    assert!(said.contains("`mqtt.certificate` = \"cert.pem\": it does not go with `mqtt.key`"), "{said}");
    assert!(said.contains("`mqtt.certificate` = \"cert.pem\": there is no certificate in PEM in it"), "{said}");
    assert!(world.publishes(&world.other, 1, &[]), "the old one goes on");
    assert!(living.publish(&topic, false, next()).await);

    let another = Authority::new();
    let ca = world.trusting(&another);
    install(&world.folder, &another.certify("localhost"));
    for section in ["mqtt", "http"] {
        world.until_counted(&reloads(section, "accepted"), 1.0).await;
    }
    assert!(world.publishes(&world.other, 2, &["--cafile", ca]));
    assert!(!world.publishes(&world.other, 3, &[]), "the old one is gone");
    let https = format!("https://localhost:{}/healthz", world.https);
    assert!(world.curl(&https, &["--cacert", ca]).status.success());
    assert!(living.publish(&topic, false, next()).await, "who is connected stays so");
    assert_eq!(world.stored(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_hung_up_on() {
    let settings = [("FENLEI__MQTT__CONNECT_SECONDS", "1"), ("FENLEI__HTTP__HEAD_SECONDS", "1")];
    let world = World::start(&settings).await;
    for (entrance, port) in [("mqtts", world.mqtts), ("https", world.https), ("mqtt", world.backend.mqtt)] {
        assert_eq!(say(port, b"").await, "", "{entrance}");
        world.until_refused(entrance, "slow", 1.0).await;
    }
    let (mut living, _relay) = world.connect(&world.bin, "ca.pem").await.unwrap();
    // By TLS as well: a handshake alone is no login.
    let trusted = fenlei::trust::authority(&world.folder.path("ca.pem")).unwrap();
    let relay = fenlei::mqtt::relay::Relay::start("localhost", world.mqtts, trusted).await.unwrap();
    assert_eq!(say(relay.address.port(), b"").await, "");
    world.until_refused("mqtts", "slow", 2.0).await;
    assert!(living.publish(&world.bin.topic(Channel::Event), false, event(1, 1).to_string()).await, "it logged in");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_cannot_be_used_are_named_at_the_start() {
    let world = World::start(&[]).await;
    let folder = crate::support::folder::Folder::new();
    let start = |settings: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fenlei"));
        command.current_dir(folder.path("")).arg("serve").envs(settings.iter().copied());
        command.env("FENLEI__HTTP__LISTEN", "127.0.0.1:0").env("FENLEI__MQTT__LISTEN", "127.0.0.1:0");
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let pair = world.authority.certify("localhost");
    folder.write("cert.pem", &pair.certificate);
    folder.write("key.pem", &world.authority.certify("localhost").key);
    let mut settings = vec![
        ("FENLEI__MQTT__TLS_LISTEN", "127.0.0.1:0"),
        ("FENLEI__MQTT__CERTIFICATE", "cert.pem"),
        ("FENLEI__MQTT__KEY", "none.pem"),
    ];
    assert!(start(&settings).contains("`mqtt.key` = \"none.pem\": No such file or directory"));
    settings[2].1 = "key.pem";
    assert!(start(&settings).contains("`mqtt.certificate` = \"cert.pem\": it does not go with `mqtt.key`"));
}
