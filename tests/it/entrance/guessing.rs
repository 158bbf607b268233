//! Secrets and passwords cannot be guessed at leisure, and nobody is shut out by what others guess.

use fenlei::domain::registry::Role;
use fenlei::web::Quotas;
use reqwest::StatusCode;

use super::world::World;
use crate::mqtt::world::{Device, DeviceThree};
use crate::support::api::Api;
use crate::support::pages::{Browser, PASSWORD, account};

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_a_secret_has_to_wait_and_the_device_does_not() {
    let world = World::start(&[("FENLEI__MQTT__FAILURES_PER_DEVICE", "3")]).await;
    let mut guess = world.bin.clone();
    guess.secret = "guess".into();
    let plain = world.backend.mqtt;
    // Three are looked at, and two more once the waits of 1 and 2 seconds are over.
    while world.backend.counter("fenlei_mqtt_refused_total{what=\"login\"}").await < 5.0 {
        assert!(Device::connect(world.options(&guess)).await.is_err());
    }
    let log = world.backend.log();
    let told = log.lines().filter(|line| line.contains("a login was refused"));
    assert!(told.clone().all(|line| line.contains("device=\"one\"") && line.contains("from=127.0.0.1")), "{log}");
    assert_eq!(told.count(), 5, "who has to wait is not told of again: {log}");
    // Even the right one is not looked at for 4 seconds, or guessing would go on.
    let refused = world.refused("mqtt", "attempts").await;
    assert!(refused >= 1.0);
    let said = Device::connect(world.options(&world.bin)).await.err().unwrap();
    assert!(said.contains("ConnectionRateExceeded"), "{said}");
    let mut options = rumqttc::MqttOptions::new("one", "127.0.0.1", plain);
    options.set_credentials("one", &world.bin.secret);
    let said = DeviceThree::connect(options).await.err().unwrap();
    assert!(said.contains("ServiceUnavailable"), "{said}");
    assert_eq!(world.refused("mqtt", "attempts").await, refused + 2.0);
    assert!(world.publish(&world.bin, plain, 1, &["-A", "127.0.0.2"]).status.success(), "the device is elsewhere");
    assert!(world.publish(&world.other, plain, 1, &[]).status.success(), "another device is not concerned");
    // And in the end it gets in.
    while Device::connect(world.options(&world.bin)).await.is_err() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_at_many_devices_has_to_wait_and_those_known_there_do_not() {
    let world = World::start(&[("FENLEI__MQTT__FAILURES_PER_ADDRESS", "5")]).await;
    let plain = world.backend.mqtt;
    assert!(world.publish(&world.bin, plain, 1, &[]).status.success());
    for number in 0..5 {
        let mut guess = world.bin.clone();
        (guess.device, guess.secret) = (format!("bin-{number}"), "guess".into());
        assert!(!world.publish(&guess, plain, 1, &[]).status.success());
    }
    assert!(!world.publish(&world.other, plain, 1, &[]).status.success());
    assert_eq!(world.refused("mqtt", "attempts").await, 1.0);
    assert!(world.publish(&world.other, plain, 1, &["-A", "127.0.0.2"]).status.success());
    assert!(world.publish(&world.bin, plain, 2, &[]).status.success(), "it was in before");
}

#[tokio::test]
async fn who_guesses_passwords_of_many_has_to_wait() {
    let api = Api::limited(Quotas { sign_in_failures_per_address: 3, ..Quotas::UNLIMITED }).await;
    account(&api, "li", None, &[Role::Admin]).await;
    account(&api, "wang", None, &[Role::Admin]).await;
    let mut browser = Browser::new(&api);
    assert_eq!(browser.sign_in("li", PASSWORD).await.status, StatusCode::SEE_OTHER);
    for name in ["a", "b", "c"] {
        assert_eq!(browser.sign_in(name, "wrong horse battery").await.status, StatusCode::UNAUTHORIZED);
    }
    let refused = browser.sign_in("wang", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((800..=900).contains(&wait), "{wait}");
    assert_eq!(browser.sign_in("li", PASSWORD).await.status, StatusCode::SEE_OTHER, "who signed in before may");
}
