//! The journal where the power goes: at every byte of every write and in the middle of erasures, in random histories that go
//! on from there. What was taken in is found, what was never pushed is not, and each step is done wholly or not at all.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as loudly as the test")]

mod flash;

use std::collections::BTreeMap;

use fenlei_logic::journal::{Error, Index, Slot};
use fenlei_logic::{EventQueue, Journal};
use fenlei_wire::receipt::Receipt;
use flash::{ERASE, Flash, NoPower};
use proptest::prelude::*;

const EVENTS: usize = 40;
type Small = Journal<'static, Flash, ERASE>;

/// Longest content of a record: a quarter of a sector without kind, length and checksum.
const LONGEST: usize = ERASE / 4 - 8;

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    /// The receipt ends so many events before the newest, and has a range beyond.
    Settle {
        back: u64,
        beyond: Option<(u64, u64)>,
    },
    Store(Slot, usize),
    Boot,
    /// The power goes during the next step, when this share of its writing is done, in thousandths.
    Cut(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let beyond = prop::option::of((0..6_u64, 0..3_u64));
    let slot = prop::sample::select(vec![Slot::Config, Slot::Seen, Slot::Application]);
    prop_oneof![
        12 => (1..300_usize).prop_map(Step::Push),
        1 => (LONGEST - 20..LONGEST - 12).prop_map(Step::Push),
        6 => (0..8_u64, beyond).prop_map(|(back, beyond)| Step::Settle { back, beyond }),
        1 => (slot, 0..=LONGEST).prop_map(|(slot, length)| Step::Store(slot, length)),
        1 => Just(Step::Boot),
        3 => (0..1000_usize).prop_map(Step::Cut),
    ]
}

/// Opens a journal with room for so many events. Tests leave their indexes behind.
fn open_with<const ROOM: usize>(flash: Flash) -> Result<Small, Error<NoPower>> {
    Journal::open(flash, Box::leak(Box::new(Index::<ROOM>::new())))
}

fn open(flash: Flash) -> Small {
    open_with::<EVENTS>(flash).unwrap()
}

/// All that a journal holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    events: BTreeMap<(u32, u64), Vec<u8>>,
    slots: BTreeMap<usize, Vec<u8>>,
}

impl Held {
    fn of(journal: &Small) -> Self {
        let mut held = Self::default();
        let mut last = None;
        for event in journal.iter() {
            assert!(last < Some(event.key()), "oldest first, and each once");
            last = Some(event.key());
            let mut bytes = vec![0; event.length];
            journal.read(event, &mut bytes).unwrap();
            held.events.insert(event.key(), bytes);
        }
        assert_eq!(journal.len(), held.events.len());
        for slot in Slot::ALL {
            let mut buffer = vec![0; LONGEST];
            if let Some(value) = journal.load(slot, &mut buffer).unwrap() {
                held.slots.insert(slot as usize, value.to_vec());
            }
        }
        held
    }
}

/// What is to happen next, as it is asked of a journal.
struct Asked {
    boot: u32,
    seq: u64,
    content: Vec<u8>,
}

/// Takes the step, and gives what the journal must hold then.
fn take(journal: &mut Small, step: &Step, asked: &Asked, before: &Held) -> Held {
    let mut after = before.clone();
    match step {
        Step::Push(_) => {
            if journal.push(asked.boot, asked.seq, &asked.content).is_ok() {
                after.events.insert((asked.boot, asked.seq), asked.content.clone());
            }
        }
        Step::Settle { .. } => {
            let receipt = receipt(step, asked);
            let settled = journal.settle(&receipt);
            if settled > 0 {
                after.events.retain(|(boot, seq), _| !receipt.covers(*boot, *seq));
                assert_eq!(before.events.len() - after.events.len(), settled);
            }
        }
        Step::Store(slot, _) => {
            if journal.store(*slot, &asked.content).is_ok() {
                after.slots.insert(*slot as usize, asked.content.clone());
            }
        }
        Step::Boot => {
            if let Ok(boot) = journal.next_boot() {
                assert!(before.events.keys().all(|(earlier, _)| *earlier < boot));
                after.slots.insert(Slot::Boot as usize, boot.to_le_bytes().to_vec());
            }
        }
        Step::Cut(_) => {}
    }
    after
}

fn receipt(step: &Step, asked: &Asked) -> Receipt {
    let Step::Settle { back, beyond } = step else { unreachable!() };
    let through = (asked.seq - 1).saturating_sub(*back);
    let beyond = beyond.map(|(after, more)| (through + 1 + after, through + 1 + after + more));
    Receipt { boot: asked.boot, through, beyond: beyond.into_iter().collect() }
}

/// What is found after the power went at this byte of the step.
fn cut(flash: &Flash, at: usize, step: &Step, asked: &Asked, before: &Held) -> (Flash, Held) {
    let mut journal = open(flash.clone().cut_after(at));
    take(&mut journal, step, asked, before);
    let flash = journal.into_flash().power();
    let found = Held::of(&open(flash.clone()));
    (flash, found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_cut_at_any_byte_loses_nothing_and_invents_nothing(steps in prop::collection::vec(step(), 1..160)) {
        let mut journal = open(Flash::new(4));
        let mut held = Held::default();
        let (mut boot, mut seq, mut number, mut cut_next) = (1, 1, 0_u8, None);
        for step in steps {
            number = number.wrapping_add(1);
            let length = match step { Step::Push(length) | Step::Store(_, length) => length, _ => 0 };
            let content = (0..length).map(|at| number.wrapping_add(at as u8)).collect();
            let asked = Asked { boot, seq, content };
            let flash = journal.into_flash();
            let worn = flash.written;
            journal = open(flash.clone());
            prop_assert_eq!(&Held::of(&journal), &held);
            let after = take(&mut journal, &step, &asked, &held);
            prop_assert_eq!(&Held::of(&journal), &after);
            let cost = journal.into_flash().written - worn;
            let mut survivors = Vec::new();
            for at in 0..cost {
                let (flash, found) = cut(&flash, at, &step, &asked, &held);
                prop_assert!(found == held || found == after, "{step:?} cut at {at} of {cost}");
                survivors.push((flash, found));
            }
            // Either all goes well, or the rest of the history goes on from what one of the cuts left.
            let survivor = cut_next.take().map(|share: usize| share * cost / 1000);
            (journal, held) = match survivor.and_then(|at| survivors.into_iter().nth(at)) {
                Some((flash, found)) => (open(flash), found),
                None => {
                    let mut journal = open(flash);
                    take(&mut journal, &step, &asked, &held);
                    (journal, after)
                }
            };
            match step {
                Step::Cut(share) => cut_next = Some(share),
                Step::Push(_) if held.events.contains_key(&(boot, seq)) => seq += 1,
                Step::Boot => {
                    if let Some(stored) = held.slots.get(&(Slot::Boot as usize)) {
                        let stored = u32::from_le_bytes(stored[..].try_into().unwrap());
                        (boot, seq) = if stored > boot { (stored, 1) } else { (boot, seq) };
                    }
                }
                _ => {}
            }
        }
    }

    /// However a device is used, no sector is worn more than another.
    #[test]
    fn wear_is_level(bursts in prop::collection::vec((1..40_u64, 20..200_usize, 0..10_u64), 1..40)) {
        const SECTORS: usize = 8;
        let mut journal = open(Flash::new(SECTORS));
        let (mut list, mut seq) = (BTreeMap::new(), 0);
        for _ in 0..20 {
            journal.next_boot().unwrap();
            for (count, length, left) in &bursts {
                for _ in 0..*count {
                    let event = vec![(seq % 251) as u8; *length];
                    if journal.push(1, seq + 1, &event).is_ok() {
                        seq += 1;
                        list.insert((1, seq), event);
                    }
                }
                let through = seq.saturating_sub(*left);
                journal.settle(&Receipt { boot: 1, through, beyond: heapless::Vec::new() });
                list.retain(|(_, seq), _| *seq > through);
            }
        }
        prop_assert_eq!(&Held::of(&journal).events, &list);
        let erased = journal.into_flash().erased;
        let (most, least) = (erased.iter().max().unwrap(), erased.iter().min().unwrap());
        prop_assert!(most - least <= 1, "{erased:?}");
    }
}

/// Events never take the room that a start, a config or a command needs, and a full queue has lost none when it empties.
#[test]
fn a_full_journal_still_keeps_all_else() {
    let mut journal = open_with::<4000>(Flash::new(5)).unwrap();
    let mut seq = 0;
    while journal.push(1, seq + 1, &[7; 90]).is_ok() {
        seq += 1;
    }
    assert!(seq > 50, "{seq}");
    for round in 0..200_u8 {
        journal.next_boot().unwrap();
        for slot in [Slot::Config, Slot::Seen, Slot::Application] {
            journal.store(slot, &vec![round; LONGEST]).unwrap();
        }
        // What finds no room changes nothing.
        assert!(journal.push(1, seq + 1, &[7; 90]).is_err());
        assert!(matches!(journal.store(Slot::Config, &vec![1; LONGEST + 1]), Err(Error::Full)));
    }
    assert_eq!(journal.len() as u64, seq);
    let mut journal = open_with::<4000>(journal.into_flash()).unwrap();
    let mut buffer = vec![0; LONGEST];
    assert_eq!(journal.load(Slot::Seen, &mut buffer).unwrap(), Some(&[199; LONGEST][..]));
    assert_eq!(journal.settle(&Receipt { boot: 1, through: seq - 1, beyond: heapless::Vec::new() }) as u64, seq - 1);
    journal.push(1, seq + 1, &[7; 90]).unwrap();
    assert_eq!(journal.next_boot().unwrap(), 202, "the first boot was never counted here");
}

/// The flash refuses a write: the event is not taken in, and the next one is.
#[test]
fn a_write_that_fails_costs_only_its_own_event() {
    let mut journal = open(Flash::new(4));
    journal.push(1, 1, b"first").unwrap();
    let mut journal = open(journal.into_flash().failing_once(6));
    journal.push(1, 2, b"second").unwrap_err();
    journal.push(1, 2, b"again").unwrap();
    let journal = open(journal.into_flash());
    let events: Vec<_> = Held::of(&journal).events.into_values().collect();
    assert_eq!(events, [b"first".to_vec(), b"again".to_vec()]);
}

/// A record that decays takes no other with it.
#[test]
fn decay_of_one_record_spares_those_around_it() {
    let mut journal = open(Flash::new(4));
    for seq in 1..=3 {
        journal.push(1, seq, &[seq as u8; 100]).unwrap();
    }
    let mut flash = journal.into_flash();
    let second = flash.find(&[2; 100]);
    flash.bytes[second + 50] ^= 4;
    let mut journal = open(flash);
    assert_eq!(journal.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 3]);
    journal.push(1, 4, b"next").unwrap();
    assert_eq!(Held::of(&open(journal.into_flash())).events.len(), 3);
}

/// A flash may write the words of a page in an order of its own: the first may be missing where a later one is there.
#[test]
fn what_was_half_written_is_not_written_over() {
    let mut journal = open(Flash::new(4));
    journal.push(1, 1, &[1; 100]).unwrap();
    let mut flash = journal.into_flash();
    let end = flash.find(&[1; 100]) + 100;
    flash.bytes[end + 70] = 0;
    let mut journal = open(flash);
    journal.push(1, 2, &[2; 100]).unwrap();
    let events: Vec<_> = Held::of(&open(journal.into_flash())).events.into_values().collect();
    assert_eq!(events, [[1; 100], [2; 100]]);
}

#[test]
fn a_flash_that_does_not_fit_is_refused() {
    assert!(matches!(open_with::<EVENTS>(Flash::new(3)), Err(Error::Geometry)));
    assert!(matches!(
        Journal::<Flash, { ERASE / 2 }>::open(Flash::new(8), &mut Index::<4>::new()),
        Err(Error::Geometry)
    ));
    let mut journal = open(Flash::new(4));
    (1..=5).for_each(|seq| journal.push(1, seq, b"event").unwrap());
    assert!(matches!(open_with::<4>(journal.into_flash()), Err(Error::Overfull)));
}
