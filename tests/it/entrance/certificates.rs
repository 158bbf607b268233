//! Certificates of devices, beside their secrets.

use tempfile::TempDir;

use super::world::World;
use crate::support::authority::{Authority, Pair};

/// Writes a device's pair, and says how `mosquitto_pub` is to show it.
fn showing(world: &World, pair: &Pair) -> [&'static str; 4] {
    world.folder.write("device.pem", &pair.certificate);
    world.folder.write("device-key.pem", &pair.key);
    ["--cert", "device.pem", "--key", "device-key.pem"]
}

async fn asking(how: &'static str) -> (World, Authority, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (devices, ca) = (Authority::new(), folder.path().join("devices.pem"));
    std::fs::write(&ca, &devices.pem).unwrap();
    let ca = ca.display().to_string();
    let world =
        World::start(&[("FENLEI__MQTT__CLIENT_CA", ca.as_str()), ("FENLEI__MQTT__CLIENT_CERTIFICATES", how)]).await;
    (world, devices, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_must_show_its_certificate_gets_in_by_its_own_only() {
    let (world, devices, _folder) = asking("required").await;
    assert!(world.publishes(&world.bin, 1, &showing(&world, &devices.device("one"))));
    assert_eq!(world.stored(), 1);
    for (case, pair) in [
        ("expired", devices.device_until("one", 2021)),
        ("of another authority", Authority::new().device("one")),
        ("of a server", devices.certify("one.example")),
    ] {
        assert!(!world.publishes(&world.bin, 2, &showing(&world, &pair)), "{case}");
    }
    assert!(!world.publishes(&world.bin, 2, &[]), "none");
    let foreign = world.refused("mqtts", "certificate").await;
    assert!(!world.publishes(&world.bin, 2, &showing(&world, &devices.device("two"))), "of another device");
    assert_eq!(world.refused("mqtts", "certificate").await, foreign + 1.0);
    // A certificate is no secret, and where none can be shown nobody gets in.
    let mut guessed = world.bin.clone();
    guessed.secret = "guessed".into();
    assert!(!world.publishes(&guessed, 2, &showing(&world, &devices.device("one"))));
    assert!(!world.publish(&world.bin, world.backend.mqtt, 2, &[]).status.success());
    assert_eq!(world.refused("mqtt", "certificate").await, 1.0);
    assert_eq!(world.stored(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_certificate_is_optional_one_that_is_shown_counts() {
    let (world, devices, _folder) = asking("optional").await;
    assert!(world.publishes(&world.bin, 1, &[]));
    assert!(world.publishes(&world.bin, 2, &showing(&world, &devices.device("one"))));
    assert!(!world.publishes(&world.bin, 3, &showing(&world, &devices.device("two"))));
    assert!(!world.publishes(&world.bin, 3, &showing(&world, &Authority::new().device("one"))));
    assert!(world.publish(&world.bin, world.backend.mqtt, 3, &[]).status.success());
    assert_eq!(world.stored(), 3);
}
