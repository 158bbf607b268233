//! Notices when the machine's clock is set, and says so for a while: what came before or after it bears a wrong time.

use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::clock::{SharedClock, Watch};
use crate::faults::{Faults, Part};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long it is told, unless the clock is set back to what it was.
const TOLD: Duration = Duration::from_secs(60 * 60);

/// Runs until `stop`.
pub(super) async fn run(clock: SharedClock, faults: Faults, stop: CancellationToken) {
    let mut watch = Watch::begin(&*clock);
    // How far it is from what it was, and when it was last set.
    let doubted = faults.now().contains_key(&Part::Clock);
    let mut leapt: Option<(TimeDelta, Duration)> = doubted.then(|| (TimeDelta::zero(), clock.passed()));
    while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        let now = clock.passed();
        if let Some(leap) = watch.leapt(&*clock) {
            let off = leapt.map_or(TimeDelta::zero(), |(off, _)| off) + leap;
            tracing::warn!(seconds = leap.num_seconds(), "the machine's clock was set");
            metrics::counter!("fenlei_clock_leaps_total").increment(1);
            leapt = (off.abs() > TimeDelta::minutes(1)).then_some((off, now));
            match leapt {
                Some((off, _)) => faults.fails(Part::Clock, words(off)),
                None => faults.works(Part::Clock),
            }
        }
        if leapt.is_some_and(|(_, at)| now.saturating_sub(at) >= TOLD) {
            leapt = None;
            faults.works(Part::Clock);
        }
    }
}

fn words(off: TimeDelta) -> String {
    let minutes = off.num_minutes().abs();
    // A machine that stood still, suspended or moved, has a clock that leaps when it goes on.
    let way = if off < TimeDelta::zero() { "was set back" } else { "was set, or leapt, forward" };
    format!("the clock {way} by {minutes} min within the last hour; check that it is right now")
}
