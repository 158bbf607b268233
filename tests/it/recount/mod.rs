//! The store's figures against a recount that knows nothing of its rollups, marks or matching: random histories with
//! everything that goes wrong between a device and the backend, counted again from the events one by one.

mod compare;
mod figures;
mod history;
mod model;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use history::{Body, Check, Flaw, History, Item, Op, Publish, Row, Schedule, Window, history};
use world::World;

async fn play(history: &History) {
    let mut world = World::new(history).await;
    for op in &history.ops {
        if let Op::Check(check) = op {
            world.settle().await;
            compare::everything(&world, check).await;
        }
        world.apply(op).await;
    }
    world.settle().await;
}

fn config() -> Config {
    // A history takes some tens of milliseconds; PROPTEST_CASES asks for more of them.
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    Config { cases, failure_persistence: None, max_shrink_iters: 3_000, ..Config::default() }
}

#[test]
fn every_figure_equals_a_recount_of_any_history() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = TestRunner::new(config()).run(&history(), |history| {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(play(&history))));
        played.map_err(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            TestCaseError::fail(message.unwrap_or_else(|| "panicked".to_owned()))
        })
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, history)) => panic!("{reason}\n{history:?}"),
        Err(abort) => panic!("{abort}"),
    }
}

// Named cases: what random histories meet seldom, or met once.

fn item(seq: u64, wall_ms: i64, body: Body) -> Item {
    Item { boot: 1, seq, day: 0, wall_ms, second: false, unsynced: false, body, flaw: Flaw::None }
}

fn publish(device: usize, item: Item) -> Op {
    Op::Publish(Publish { device, items: vec![item], array: false, late: true })
}

fn deposit(card: usize) -> Body {
    Body::Deposit { stream: 0, grams: 700, card: Some(card), verdict: None }
}

fn state(online: bool) -> Op {
    Op::State { device: LINDEN_BIN, online, boot: 1, after_minutes: 0 }
}

fn weekly(site: usize, open: u32, close: u32) -> Op {
    let window = Window { open, close, streams: None, makeup: false };
    let schedule = Schedule { valid_from: -6, weekly: vec![((0..7).collect(), window)], dates: vec![] };
    Op::Schedule { site, schedule }
}

fn check(now_hours: i64) -> Op {
    Op::Check(Check { from: -6, days: 14, now_hours })
}

fn replay(center: usize, ops: Vec<Op>) {
    tokio::runtime::Runtime::new().unwrap().block_on(play(&History { center, ops }));
}

const EAST_BIN: usize = 0;
const EAST_CAMERA: usize = 2;
const LINDEN_BIN: usize = 5;
const LINDEN: usize = 3;
const BERLIN_SKIPS_AN_HOUR: usize = 0;
const BERLIN_REPEATS_AN_HOUR: usize = 1;
const HOUR: i64 = 3_600_000;

#[test]
fn deposits_at_the_edges_of_a_window() {
    let household = Row { household: 0, from: -8, until: None, cards: vec![0] };
    let mut ops = vec![Op::Import { community: 0, rows: vec![household] }];
    for (seq, wall_ms) in [8 * HOUR - 1, 8 * HOUR, 9 * HOUR - 1, 9 * HOUR].into_iter().enumerate() {
        ops.extend([publish(EAST_BIN, item(seq as u64 + 1, wall_ms, deposit(0))), check(300)]);
    }
    replay(BERLIN_SKIPS_AN_HOUR, ops);
}

#[test]
fn a_deposit_in_two_windows_is_a_set_out_in_both_and_one_deposit() {
    let household = Row { household: 0, from: -8, until: None, cards: vec![0] };
    let window = |open, close| ((0..7).collect(), Window { open, close, streams: None, makeup: false });
    let schedule = Schedule { valid_from: -6, weekly: vec![window(480, 540), window(510, 600)], dates: vec![] };
    let ops = vec![
        Op::Import { community: 0, rows: vec![household] },
        Op::Schedule { site: 0, schedule },
        publish(EAST_BIN, item(1, 8 * HOUR + HOUR / 2, deposit(0))),
        check(300),
    ];
    replay(BERLIN_SKIPS_AN_HOUR, ops);
}

#[test]
fn a_window_until_the_hour_that_comes_twice_is_over_when_that_hour_begins() {
    let seen = publish(LINDEN_BIN, item(1, HOUR + HOUR / 2, Body::Heartbeat));
    replay(BERLIN_REPEATS_AN_HOUR, vec![weekly(LINDEN, 60, 120), seen, check(-1), check(0), check(1)]);
}

#[test]
fn a_window_that_the_clock_skips_is_not_observed() {
    replay(BERLIN_SKIPS_AN_HOUR, vec![weekly(LINDEN, 120, 180), state(true), check(300)]);
}

#[test]
fn a_device_back_in_the_same_millisecond_is_online() {
    replay(BERLIN_SKIPS_AN_HOUR, vec![state(true), state(false), state(true), check(300)]);
}

#[test]
fn a_judgement_that_came_first_is_of_one_deposit_only() {
    let verdict = Body::JudgeBin { bin: EAST_BIN, verdict: 0 };
    let ops = vec![
        publish(EAST_CAMERA, item(1, 8 * HOUR, verdict)),
        publish(EAST_BIN, item(1, 8 * HOUR + 15_000, deposit(0))),
        publish(EAST_BIN, item(2, 8 * HOUR + 5_000, deposit(1))),
        check(300),
    ];
    replay(BERLIN_SKIPS_AN_HOUR, ops);
}

#[test]
fn a_judgement_of_the_old_hardware_never_meets_a_deposit_of_the_new() {
    let verdict = Body::JudgeDeposit { bin: EAST_BIN, boot: 1, seq: 1, verdict: 0 };
    let ops = vec![
        publish(EAST_CAMERA, item(1, 8 * HOUR, verdict)),
        Op::Replace(EAST_BIN),
        publish(EAST_BIN, item(1, 8 * HOUR, deposit(0))),
        check(300),
    ];
    replay(BERLIN_SKIPS_AN_HOUR, ops);
}

#[test]
fn a_camera_that_names_an_unknown_boot_begins_none() {
    let verdict = Body::JudgeDeposit { bin: EAST_BIN, boot: 9, seq: 4, verdict: 0 };
    let ops = vec![publish(EAST_CAMERA, item(1, 8 * HOUR, verdict)), Op::Restart, check(300)];
    replay(BERLIN_SKIPS_AN_HOUR, ops);
}

/// Before the card comes again, and after: what is read of it then is nobody's.
#[test]
fn an_erased_card_that_is_read_again_is_unknown() {
    let household = Row { household: 0, from: -8, until: None, cards: vec![0] };
    let ops = vec![
        Op::Import { community: 0, rows: vec![household] },
        publish(EAST_BIN, item(1, 8 * HOUR, deposit(0))),
        Op::Erase { community: 0, household: 0, now_hours: 24 },
        check(300),
        publish(EAST_BIN, item(2, 8 * HOUR, deposit(0))),
        Op::Resend(0),
        check(300),
        check(20),
    ];
    replay(BERLIN_SKIPS_AN_HOUR, ops);
}

#[test]
fn a_card_that_passed_on_is_erased_for_the_days_of_one_household_only() {
    let row = |household, from, until| Row { household, from, until, cards: vec![0] };
    let on = |seq, day| publish(EAST_BIN, Item { day, ..item(seq, 8 * HOUR, deposit(0)) });
    let erase = |household| Op::Erase { community: 0, household, now_hours: 48 };
    let mut ops = vec![Op::Import { community: 0, rows: vec![row(0, -4, Some(-2)), row(1, -1, None)] }];
    ops.extend([on(1, -5), on(2, -4), on(3, -2), on(4, -1), on(5, 0), erase(0), check(300)]);
    ops.extend([on(6, -3), on(7, 1), Op::Resend(2), Op::Resend(4), check(300), erase(1), on(8, 1), check(40)]);
    replay(BERLIN_SKIPS_AN_HOUR, ops);
}

#[test]
fn new_hardware_is_not_compared_with_what_the_old_had_refused() {
    let flawed = |grams| {
        let body = Body::Deposit { stream: 0, grams, card: None, verdict: None };
        publish(EAST_BIN, Item { flaw: Flaw::Ahead, ..item(1, 8 * HOUR, body) })
    };
    replay(BERLIN_SKIPS_AN_HOUR, vec![flawed(1), Op::Replace(EAST_BIN), flawed(2), Op::Resend(0), check(300)]);
}
