//! What no device should send: it is answered and kept apart, and neither the connection nor anybody else suffers.

use std::time::{Duration, Instant};

use fenlei_wire::vocabulary::Channel;
use serde_json::{Value, json};

use super::world::{BOTH, World, event};

/// How long another device may wait for a receipt meanwhile.
const PROMPT: Duration = Duration::from_secs(5);

fn array(seqs: std::ops::RangeInclusive<u64>, padding: usize) -> Vec<u8> {
    let padded = |seq| {
        let mut event = event(1, seq);
        event["padding"] = "x".repeat(padding).into();
        event
    };
    Value::from(seqs.map(padded).collect::<Vec<_>>()).to_string().into_bytes()
}

/// What is sent, and how many refusals it is.
fn garbage() -> Vec<(Vec<u8>, usize)> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes: Vec<_> = [0, 1, 100, 10_000, 200_000]
        .map(|length| (std::iter::repeat_with(|| random.u8(..)).take(length).collect(), 1))
        .into();
    let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    bytes.extend([(deep(200), 1), (deep(100_000), 1)]);
    bytes.extend(["null", "7", "\"x\"", "{}", "[[]]", "{\"boot\":1e999,\"seq\":1}"].map(|text| (text.into(), 1)));
    bytes.push((
        json!({"boot": 1, "seq": 1u64 << 53, "time": "2026-11-20T08:15:30+08:00", "type": "heartbeat"})
            .to_string()
            .into(),
        1,
    ));
    // One event too many; and nearly as large as it may be, which is no mistake.
    bytes.push((array(1..=501, 0), 1));
    let full = array(502..=901, 550);
    assert!((200 << 10..256 << 10).contains(&full.len()), "{}", full.len());
    bytes.push((full, 0));
    // Each event of what is too large as a whole is refused by itself, and its number used up.
    bytes.push((array(902..=1_000, 3_000), 99));
    bytes.push((vec![b'x'; 300 << 10], 1));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_kept_apart_and_costs_nobody_anything() {
    for by in BOTH {
        let world = World::start(by).await;
        let (mut one, mut two) = (world.connect(&world.one).await, world.connect(&world.two).await);
        let (topic, other) = (world.one.topic(Channel::Event), world.two.topic(Channel::Event));
        let (mut expected, mut longest) = (0, Duration::ZERO);
        for (seq, (payload, refusals)) in (1..).zip(garbage()) {
            let beside = async {
                let begun = Instant::now();
                assert!(two.publish(&other, false, event(1, seq).to_string()).await);
                assert_eq!(two.receipt().await["through"], seq);
                begun.elapsed()
            };
            let (acknowledged, took) = tokio::join!(one.publish(&topic, false, payload), beside);
            assert!(acknowledged, "{by:?}: payload {seq}");
            assert_eq!(world.stored(&world.two).len() as u64, seq);
            longest = longest.max(took);
            expected += refusals;
        }
        assert!(longest < PROMPT, "{by:?}: another device waited {longest:?}");
        // The same connection goes on: of all of it, what could be read is receipted.
        assert!(one.publish(&topic, false, event(2, 1).to_string()).await);
        while one.receipt().await["boot"] != 2 {}
        let stored = world.stored(&world.one);
        let good = (1..=500).chain(502..=901).map(|seq| (1, 1, seq)).chain([(1, 2, 1)]);
        assert_eq!(stored, good.collect::<Vec<_>>(), "{by:?}");
        // What is refused for the same reason and has nothing that tells it apart is one item with a count.
        assert_eq!(world.device(&world.one).await["quarantined"], expected, "{by:?}");
        assert_eq!(world.device(&world.two).await["quarantined"], 0);
    }
}
