//! The ring in memory against a plain list.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

use fenlei_logic::queue::Queued;
use fenlei_logic::{EventQueue, QueueFull, RamQueue};
use fenlei_wire::receipt::Receipt;
use proptest::prelude::*;

const EVENTS: usize = 8;
const BYTES: usize = 64;

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Settle { through: u64, beyond: (u64, u64) },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let push = (1..20_usize).prop_map(Step::Push);
    // Counted back from the newest event.
    let settle = (0..12_u64, 0..8_u64, 0..4_u64)
        .prop_map(|(through, first, more)| Step::Settle { through, beyond: (first, more) });
    prop::collection::vec(prop_oneof![3 => push, 1 => settle], 0..200)
}

fn bytes(queue: &impl EventQueue, event: Queued) -> Vec<u8> {
    let mut bytes = vec![0; event.length];
    queue.read(event, &mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn the_ring_holds_what_a_list_would(steps in steps()) {
        let mut ring = RamQueue::<EVENTS, BYTES>::new();
        let mut list: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut seq = 0;
        for step in steps {
            match step {
                Step::Push(length) => {
                    let event: Vec<u8> = (0..length).map(|at| (seq as usize + at) as u8).collect();
                    if ring.push(1, seq + 1, &event).is_ok() {
                        seq += 1;
                        list.push((seq, event));
                    } else {
                        prop_assert!(!list.is_empty(), "an empty ring takes whatever fits into it");
                    }
                }
                Step::Settle { through, beyond: (first, more) } => {
                    let first = seq.saturating_sub(first);
                    let receipt = Receipt {
                        boot: 1,
                        through: seq.saturating_sub(through),
                        beyond: [(first, first + more)].into_iter().collect(),
                    };
                    let before = list.len();
                    list.retain(|(seq, _)| !receipt.covers(1, *seq));
                    prop_assert_eq!(ring.settle(&receipt), before - list.len());
                }
            }
            prop_assert_eq!(ring.len(), list.len());
            let held: Vec<(u64, Vec<u8>)> = ring.iter().map(|event| (event.seq, bytes(&ring, event))).collect();
            prop_assert_eq!(&held, &list);
        }
    }
}

#[test]
fn a_full_ring_refuses_and_keeps_all_it_has() {
    let mut ring = RamQueue::<4, 16>::new();
    for seq in 1..=4 {
        ring.push(1, seq, b"abcd").unwrap();
    }
    assert_eq!(ring.push(1, 5, b"a"), Err(QueueFull));
    ring.settle(&Receipt { boot: 1, through: 1, beyond: heapless::Vec::new() });
    assert_eq!(ring.push(1, 5, b"abcde"), Err(QueueFull));
    ring.push(1, 5, b"wxyz").unwrap();
    assert_eq!(ring.iter().map(|event| event.seq).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(bytes(&ring, ring.iter().last().unwrap()), b"wxyz");
}
