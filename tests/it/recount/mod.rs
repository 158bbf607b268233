//! The store's figures against a recount that knows nothing of its rollups, marks or matching: random histories with
//! everything that goes wrong between a device and the backend, counted again from the events one by one.

mod compare;
mod figures;
mod history;
mod model;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use history::{History, Op, history};
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
