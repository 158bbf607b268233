//! `kill -9` of QEMU at random moments, which for the node is a plug that is pulled: while it starts, while it writes, while it
//! delivers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::node::{Node, PATIENCE};
use super::site::Site;
use super::{image, say};

/// Deposits that are answered before the plug is pulled, at most.
const ANSWERED: u64 = 25;
/// How long the answer to the last one is awaited at most, and how long a node is given that is pulled while it starts.
const WRITING: u64 = 60;
const STARTING: u64 = 1_500;

/// What was typed: of each weight, whether the node said that it took it, and under which name.
type Typed = BTreeMap<u32, Option<(u64, u64)>>;

/// Boot and number.
fn accepted(line: &str) -> Option<(u64, u64)> {
    let (boot, seq) = line.strip_prefix("accepted ")?.split_once(' ')?;
    Some((boot.parse().ok()?, seq.parse().ok()?))
}

/// Types a deposit and awaits the answer for that long.
fn deposit(node: &mut Node, patience: Duration, typed: &mut Typed) {
    let grams = typed.len() as u32 + 1;
    typed.insert(grams, None);
    node.type_line(&format!("deposit food {grams} card-{}", grams % 7));
    typed.insert(grams, node.hear_until(Instant::now() + patience, accepted));
}

#[tokio::test(flavor = "multi_thread")]
async fn pulling_the_plug_loses_and_doubles_nothing() {
    let Some(image) = image() else { return };
    let set = |variable| std::env::var(variable).ok().map(|value| value.parse::<u64>().unwrap());
    let kills = set("FENLEI_NODE_KILLS").unwrap_or(20);
    let seed = set("FENLEI_NODE_SEED").unwrap_or_else(|| fastrand::u64(..));
    say(&format!("node killed: FENLEI_NODE_SEED={seed}"));
    let (mut random, begun) = (Rng::with_seed(seed), Instant::now());
    let site = Site::start(image).await;
    let mut typed = Typed::new();
    for _ in 0..kills {
        let mut node = site.node(&site.bin);
        let last = match random.u64(..ANSWERED) {
            0..5 => random.u64(..STARTING),
            answered => {
                // Half of the time it delivers while it takes in; else it takes in while nobody hears it yet.
                if random.bool() {
                    node.says("connected");
                }
                (0..answered).for_each(|_| deposit(&mut node, PATIENCE, &mut typed));
                random.u64(..WRITING)
            }
        };
        deposit(&mut node, Duration::from_millis(last), &mut typed);
        let unheard = node.kill();
        // The last one may have been answered when nobody listened any more.
        if let (Some(mut last), Some(name)) = (typed.last_entry(), unheard.iter().find_map(|line| accepted(line))) {
            last.get_mut().get_or_insert(name);
        }
    }
    let mut node = site.node(&site.bin);
    node.says("connected");
    node.type_line("heartbeat");
    node.hear("the last is accepted", accepted);
    node.says("waiting 0");

    let mut stored = BTreeMap::new();
    let mut path = "events?type=deposit&device=node-bin&limit=1000".to_owned();
    loop {
        let page = site.get(&path).await;
        for event in page["items"].as_array().unwrap() {
            let name = (event["boot"].as_u64().unwrap(), event["seq"].as_u64().unwrap());
            let before = stored.insert(event["grams"].as_u64().unwrap() as u32, name);
            assert_eq!(before, None, "twice: {event}");
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("events?type=deposit&device=node-bin&limit=1000&cursor={next}");
    }
    let said = typed.values().flatten().count();
    let seconds = begun.elapsed().as_secs_f32();
    say(&format!(
        "node killed: {kills} times, {said} of {} deposits accepted, {} stored, {seconds:.1} s",
        typed.len(),
        stored.len()
    ));
    assert!(said as u64 > kills, "hardly anything happened");
    for (grams, name) in &typed {
        // One that was typed and not answered may have been taken in or not.
        assert!(
            name.is_none() || stored.get(grams) == name.as_ref(),
            "{grams} g accepted as {name:?}: {:?}",
            stored.get(grams)
        );
    }
    let invented: BTreeSet<_> = stored.keys().filter(|grams| !typed.contains_key(grams)).collect();
    assert!(invented.is_empty(), "{invented:?}");
    let shown = site.get("devices/node-bin").await;
    assert_eq!(
        (&shown["missing"], &shown["conflicts"], &shown["quarantined"]),
        (&0.into(), &0.into(), &0.into()),
        "{shown}"
    );
}
