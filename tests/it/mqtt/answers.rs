//! PUBACK and receipt: the one means stored on the own broker, the other on every broker.

use std::process::Command;
use std::time::Instant;

use fenlei_wire::vocabulary::Channel;
use serde_json::{Value, json};

use super::world::{BOTH, By, PATIENCE, World, event};

#[tokio::test]
async fn an_acknowledged_event_is_stored() {
    let world = World::start(By::Own).await;
    let topic = world.one.topic(Channel::Event);
    let mut five = world.connect(&world.one).await;
    for seq in 1..=50 {
        assert!(five.publish(&topic, false, event(1, seq).to_string()).await);
        assert_eq!(world.stored(&world.one).last(), Some(&(1, 1, seq)));
    }
    drop(five);
    let mut three = world.connect_three(&world.one).await;
    for seq in 51..=100 {
        three.publish(&topic, event(1, seq).to_string()).await;
        assert_eq!(world.stored(&world.one).last(), Some(&(1, 1, seq)));
    }
    assert_eq!(world.stored(&world.one).len(), 100);
}

/// What is sent, and the receipt that answers it.
fn conversation() -> Vec<(Value, Value)> {
    let first = event(7, 1);
    let strange = json!({"boot": 7, "seq": 4, "type": "nonsense"});
    let receipt = |through: u64, beyond: Value| json!({"boot": 7, "through": through, "beyond": beyond});
    vec![
        (first.clone(), receipt(1, json!([]))),
        (first, receipt(1, json!([]))),
        (event(7, 3), receipt(1, json!([[3, 3]]))),
        (strange.clone(), receipt(1, json!([[3, 4]]))),
        (strange, receipt(1, json!([[3, 4]]))),
        (json!([event(7, 2), event(7, 6)]), receipt(4, json!([[6, 6]]))),
        (
            json!({"boot": 7, "seq": 7, "time": event(7, 7)["time"], "type": "lost", "of_boot": 7, "from": 5, "to": 5}),
            receipt(7, json!([])),
        ),
    ]
}

#[tokio::test]
async fn every_publish_is_receipted_duplicates_included() {
    for by in BOTH {
        let world = World::start(by).await;
        let (mut one, mut two) = (world.connect(&world.one).await, world.connect_three(&world.two).await);
        for (sent, receipt) in conversation() {
            assert!(one.publish(&world.one.topic(Channel::Event), false, sent.to_string()).await);
            assert_eq!(one.receipt().await, receipt, "{by:?}");
            two.publish(&world.two.topic(Channel::Event), sent.to_string()).await;
            assert_eq!(two.receipt().await, receipt, "{by:?} 3.1.1");
        }
        for device in [&world.one, &world.two] {
            assert_eq!(world.stored(device), [1, 3, 2, 6, 7].map(|seq| (1, 7, seq)));
        }
    }
}

/// A device must not ask the broker to keep its events; where it does, no event counts twice.
#[tokio::test]
async fn a_retained_event_counts_once() {
    for by in BOTH {
        let mut world = World::start(by).await;
        let topic = world.one.topic(Channel::Event);
        let mut one = world.connect(&world.one).await;
        assert!(one.publish(&topic, true, event(1, 1).to_string()).await);
        assert_eq!(one.receipt().await["through"], 1);
        drop(one);
        world.backend.kill();
        world.backend.start_again();
        world.backend.ready().await;
        let mut one = world.connect(&world.one).await;
        assert!(one.publish(&topic, false, event(1, 2).to_string()).await);
        while one.receipt().await["through"] != 2 {}
        assert_eq!(world.stored(&world.one), [(1, 1, 1), (1, 1, 2)], "{by:?}");
    }
}

#[tokio::test]
async fn what_nobody_acknowledges_is_receipted_all_the_same() {
    for by in BOTH {
        let world = World::start(by).await;
        let mut one = world.connect(&world.one).await;
        for seq in 1..=3 {
            one.say(&world.one.topic(Channel::Event), event(1, seq).to_string());
            assert_eq!(one.receipt().await["through"], seq, "{by:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usual_command_line_clients_are_served() {
    for by in BOTH {
        let world = World::start(by).await;
        let (own, receipts) = (world.one.topic(Channel::Event), world.one.topic(Channel::Receipt));
        let client = |program: &str, version: &str, more: &[&str]| {
            let mut command = Command::new(program);
            command.args(["-h", "127.0.0.1", "-p", &world.port().to_string(), "-V", version, "-q", "1"]);
            command.args(["-u", "one", "-P", &world.one.secret, "-i", "one"]).args(more);
            command.output().expect("apt-get install mosquitto-clients")
        };
        let versions = [(1, "mqttv311"), (2, "mqttv5")];
        for (boot, version) in versions {
            // Publishes, and prints the first thing that comes on the other topic.
            let asked = ["-t", &own, "-e", &receipts, "-W", "20", "-m", &event(boot, 1).to_string()];
            let answer = client("mosquitto_rr", version, &asked);
            let receipt: Value = serde_json::from_slice(&answer.stdout).unwrap_or_else(|_| panic!("{answer:?}"));
            assert_eq!(receipt, json!({"boot": boot, "through": 1, "beyond": []}), "{by:?} {version}");
            if by == By::Own {
                let foreign = ["-t", &world.two.topic(Channel::Event), "-W", "20", "-C", "1"];
                let said = String::from_utf8(client("mosquitto_sub", version, &foreign).stderr).unwrap();
                assert!(said.contains("All subscription requests were denied"), "{version}: {said}");
            }
        }
        for (boot, version) in versions {
            assert!(
                client("mosquitto_pub", version, &["-t", &own, "-m", &event(boot, 2).to_string()]).status.success()
            );
        }
        let all = [(1, 1, 1), (1, 2, 1), (1, 1, 2), (1, 2, 2)];
        let begun = Instant::now();
        // Mosquitto acknowledges before it is stored.
        while by == By::Mosquitto && world.stored(&world.one) != all && begun.elapsed() < PATIENCE {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.stored(&world.one), all, "{by:?}");
    }
}
