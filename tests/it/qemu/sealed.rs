//! The image with TLS, against the TLS listener of a real Mosquitto, the backend beside it.

use base64::prelude::{BASE64_STANDARD, Engine};
use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::DeviceKind;
use serde_json::json;

use super::impostor;
use super::node::{Node, sealed_image};
use super::site::Site;
use crate::mosquitto::Broker;
use crate::support::authority::{Authority, Pair};

const NAME: &str = "broker.fenlei.example";
/// After [`crate::support::authority::EXPIRES`].
const EXPIRED: &str = "2036-01-01T00:00:00";
/// A clock that was never set.
const UNSET: &str = "1999-01-01T00:00:00";
const UNPROVEN: &str = "line: the broker does not prove who it is";

/// What a device is told that trusts an authority, and expects that name.
fn trusted(authority: &Authority, name: &str) -> [String; 2] {
    [format!("authority={}", BASE64_STANDARD.encode(&authority.der)), format!("name={name}")]
}

fn sealed(broker: &Broker) -> u16 {
    broker.sealed
}

/// Types as many deposits as that.
fn deposits(node: &mut Node, boot: u32, count: u32) {
    for number in 1..=count {
        node.type_line(&format!("deposit food {number} card-{number}"));
        node.says(&format!("accepted {boot} {number}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_arrive_by_tls() {
    let Some(image) = sealed_image() else { return };
    let authority = Authority::new();
    let Pair { certificate, key } = authority.certify(NAME);
    let site = Site::start_sealed(image, &certificate, &key).await;
    let mut bin = site.sealed_node(sealed, "utc", &trusted(&authority, NAME));
    bin.says("connected");
    deposits(&mut bin, 1, 60);
    let seen = site
        .until("events?type=deposit&limit=1000", |seen| seen["items"].as_array().is_some_and(|all| all.len() == 60))
        .await;
    let mut grams: Vec<_> = seen["items"].as_array().unwrap().iter().map(|event| event["grams"].as_u64()).collect();
    grams.sort_unstable();
    assert_eq!(grams, (1..=60).map(Some).collect::<Vec<_>>());
    bin.says("waiting 0");
    // What the backend says comes the same way.
    site.open_all_day(false).await;
    bin.says("lid locked");
    bin.type_line("sizes");
    let sizes = bin.hear("it says how much it takes", |line| line.starts_with("static ").then(|| line.to_owned()));
    super::say(&format!("node with TLS: {sizes}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_does_not_prove_who_it_is_gets_nothing() {
    let Some(image) = sealed_image() else { return };
    let (authority, another) = (Authority::new(), Authority::new());
    let Pair { certificate, key } = authority.certify(NAME);
    let site = Site::start_sealed(image, &certificate, &key).await;
    let cases = [
        ("another authority", "utc", trusted(&another, NAME)),
        ("another name", "utc", trusted(&authority, "other.fenlei.example")),
        ("out of date", EXPIRED, trusted(&authority, NAME)),
        ("another authority, and no date", UNSET, trusted(&another, NAME)),
    ];
    for (boot, (case, clock, trust)) in (1..).zip(&cases) {
        let mut bin = site.sealed_node(sealed, clock, trust);
        deposits(&mut bin, boot, 1);
        // It tries again, and again.
        for _ in 0..2 {
            bin.hear(case, |line| {
                assert!(line != "connected", "{case}");
                (line == UNPROVEN).then_some(())
            });
        }
    }
    let mut bin = site.sealed_node(|broker| broker.devices, "utc", &trusted(&authority, NAME));
    bin.says("line: no TLS with the broker");
    drop(bin);
    let device = site.get("devices/node-bin").await;
    assert_eq!((&device["online"], &device["boot"]), (&json!(false), &json!(null)), "{device}");
    assert_eq!(site.get("events?device=node-bin").await["items"], json!([]));
    // Nothing of it is lost: the right broker gets it all, though the backend takes nothing from the year of the third.
    let mut bin = site.sealed_node(sealed, "utc", &trusted(&authority, NAME));
    bin.says("connected");
    bin.says("waiting 0");
    site.until("devices/node-bin", |device| device["quarantined"] == 1).await;
    let count = cases.len() - 1;
    site.until("events?type=deposit", |seen| seen["items"].as_array().is_some_and(|all| all.len() == count)).await;
}

/// Who does not know the date cannot tell that a certificate is out of date. All else is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_a_date_looks_at_all_but_the_dates() {
    let Some(image) = sealed_image() else { return };
    let authority = Authority::new();
    let Pair { certificate, key } = authority.certify(NAME);
    let site = Site::start_sealed(image, &certificate, &key).await;
    let mut bin = site.sealed_node(sealed, UNSET, &trusted(&authority, NAME));
    bin.says("connected");
    deposits(&mut bin, 1, 1);
    site.until("events?type=deposit", |seen| seen["items"][0]["clock"] == "unsynced").await;
}

#[test]
fn a_broker_that_sends_no_certificate_gets_nothing() {
    let Some(image) = sealed_image() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [device, secret, site] = ["node-bin", "secret", "north"].map(str::to_owned);
    let who = Credential { device, secret, site, kind: DeviceKind::Bin };
    let (port, impostor) = impostor::start();
    let trust = trusted(&Authority::new(), NAME);
    let mut bin = Node::start(&image, &folder.path().join("flash"), &who, port, "utc", &trust);
    bin.hear("it refuses", |line| line.starts_with("line: ").then(|| assert_eq!(line, UNPROVEN)));
    drop(bin);
    impostor.join().unwrap();
}
