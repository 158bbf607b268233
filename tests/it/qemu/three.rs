//! Bin, camera and projector, each an image of its own.

use chrono::{TimeDelta, Utc};
use fenlei::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use super::image;
use super::site::Site;

fn first(list: &Value) -> &Value {
    &list["items"][0]
}

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_do_what_a_site_does() {
    let Some(image) = image() else { return };
    let mut site = Site::start(image).await;
    let [mut bin, mut eye, mut beam] = [&site.bin, &site.eye, &site.beam].map(|who| site.node(who));
    for node in [&mut bin, &mut eye, &mut beam] {
        node.says("connected");
    }

    // A deposit, judged by the camera.
    bin.type_line("deposit food 1250 card-1");
    bin.says("accepted 1 1");
    site.until("events?type=deposit", |seen| first(seen)["grams"] == 1250).await;
    eye.type_line("judgement correct 930 node-bin");
    eye.says("accepted 1 1");
    let seen = site.until("events?type=deposit", |seen| first(seen)["verdict"] == "correct").await;
    let deposit = first(&seen);
    assert_eq!((&deposit["device"], &deposit["timing"]), (&json!("node-bin"), &json!("in_window")), "{deposit}");
    assert!(deposit.get("clock").is_none(), "its clock is set: {deposit}");
    bin.says("waiting 0");
    eye.type_line("deposit food 1 card-1");
    eye.says("refused: no event of a camera");

    // What it follows is told, and what it is not told of changes nothing.
    let follows = site.until("devices/node-bin", |shown| shown["config"]["confirmed"] == true).await;
    assert_eq!((&follows["boot"], &follows["firmware"]), (&json!(1), &json!("0.1.0")));

    // The projector shows what it is sent.
    let message = json!({"text": "谢谢您分类", "target": {"device": "node-beam"}, "seconds": 3600});
    let message = site.call(Method::POST, "projectors/messages", message).await;
    beam.says("shows 谢谢您分类");
    let path = format!("projectors/messages/{}", message["id"].as_str().unwrap());
    site.until(&path, |shown| shown["commands"][0]["state"] == "displayed").await;
    beam.kill();

    // The hours change while the bin is off; it learns of it when it is back, and keeps to it without a backend.
    bin.kill();
    site.until("devices/node-bin", |shown| shown["online"] == false).await;
    site.open_all_day(false).await;
    let mut bin = site.node(&site.bin);
    bin.says("start node-bin bin boot 2 waiting 0");
    bin.says("lid unlocked");
    bin.says("lid locked");
    bin.type_line("deposit food 900 card-1");
    bin.says("refused: locked");
    site.until("devices/node-bin", |shown| shown["lid"]["reported"] == "locked").await;
    // Staff open it against the hours.
    site.call(Method::POST, "sites/north/openings", json!({"reason": "清运车晚到", "seconds": 600})).await;
    bin.says("lid unlocked");
    site.until("devices/node-bin", |shown| shown["lid"]["reported"] == "unlocked").await;
    bin.kill();

    assert!(site.backend.kill(), "the backend ended by itself: {}", site.backend.log());
    let mut bin = site.node(&site.bin);
    bin.says("lid unlocked");
    bin.says("line: the broker is not reached");
    bin.kill();
    // When the order is over the hours hold again. Nothing else than its flash tells it.
    let later = SystemClock.now() + TimeDelta::hours(1);
    let mut bin = site.node_at(&site.bin, &base(later));
    bin.says("lid locked");

    // Cut off, the projector shows its own message in the evening: tomorrow at 19:00 in Shanghai.
    let tomorrow = (SystemClock.now() + TimeDelta::days(1)).date_naive().and_hms_opt(11, 0, 0).unwrap();
    let mut beam = site.node_at(&site.beam, &base(tomorrow.and_utc()));
    beam.says("shows 垃圾分类,因为你");
    beam.says("line: the broker is not reached");
}

/// As QEMU reads it.
fn base(time: chrono::DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// A task that goes on for ever lets no other run; the watchdog starts the device anew, and what it had taken in arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_started_anew_by_its_watchdog() {
    let Some(image) = image() else { return };
    let site = Site::start(image).await;
    let mut bin = site.node(&site.bin);
    bin.says("start node-bin bin boot 1 waiting 0");
    bin.type_line("deposit food 1250 card-1");
    bin.says("accepted 1 1");
    bin.type_line("hang");
    bin.says("watchdog: a task is stuck");
    bin.hear("it starts again", |line| line.starts_with("start node-bin bin boot 2 ").then_some(()));
    site.until("events?type=deposit", |seen| first(seen)["grams"] == 1250).await;
    bin.type_line("sizes");
    let sizes = bin.hear("it says how much it takes", |line| line.starts_with("static ").then(|| line.to_owned()));
    let numbers: Vec<usize> = sizes.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [memory, stack] = numbers[..] else { panic!("{sizes}") };
    super::say(&format!("node: {sizes}"));
    assert!(memory + stack < 64 * 1024, "static memory and stack: {sizes}");
}
