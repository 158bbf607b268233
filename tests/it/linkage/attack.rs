//! An attack on the suppression: by all that feed and board publish over a random history, can one household's deposit be
//! told from its absence, and can what is withheld be worked out?
//!
//! Shown for two histories that differ in a single deposit, or in all that one household brings: at every moment each figure
//! is told alike or one step of the rounding apart (5 more or less, or told as 5, or as all but 5, where the other withholds
//! it), and as long as all figures were told alike so was everything else, byte by byte: conclusions, needs, reasons, ids and
//! times of revisions, the board. So a reader learns of a deposit what the rounding of the figures it is counted in
//! concedes, and nothing by any other way.
//!
//! Shown of every picture, against the reader of `guess`: a week's withheld count may still be each of 0 to 4, or each of five
//! values next to its whole; a month's keeps more than one value.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use fenlei::clock::Clock;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::{Value, json};

use super::guess::Knowledge;
use super::world::{Bin, changes, enrol, garden, look, survey};
use crate::support::api::{Api, send};

#[derive(Clone, Debug)]
struct Deposit {
    household: usize,
    days_ago: i64,
    /// In the evening window, in the morning window, or outside.
    hour: u8,
    verdict: Option<bool>,
}

#[derive(Clone, Debug)]
enum Step {
    Deposits(Vec<Deposit>),
    Pass(i64),
    /// The evening window is another from so many days ago on.
    Schedule(i64, u32),
    Survey(Vec<(usize, bool)>),
}

#[derive(Clone, Debug)]
struct History {
    households: usize,
    steps: Vec<Step>,
    /// Whether all of a household's deposits are missing, or the one of this number.
    whole: bool,
    missing: usize,
}

fn deposits() -> impl Strategy<Value = Step> {
    // Many on a few days, so that counts come near to all and near to none.
    let days = prop_oneof![3 => 0i64..9, 1 => 0i64..60];
    let deposit = (0usize..60, days, 0u8..3, any::<Option<bool>>())
        .prop_map(|(household, days_ago, hour, verdict)| Deposit { household, days_ago, hour, verdict });
    prop::collection::vec(deposit, 1..40).prop_map(Step::Deposits)
}

fn history() -> impl Strategy<Value = History> {
    let surveyed = prop::collection::vec((0usize..60, any::<bool>()), 1..30);
    let step = prop_oneof![
        6 => deposits(),
        3 => (1i64..120).prop_map(Step::Pass),
        1 => (0i64..30, 9u32..15).prop_map(|(days, hour)| Step::Schedule(days, hour)),
        1 => surveyed.prop_map(Step::Survey),
    ];
    let households = prop_oneof![1usize..12, 12usize..60];
    (households, prop::collection::vec(step, 4..16), any::<bool>(), any::<usize>())
        .prop_map(|(households, steps, whole, missing)| History { households, steps, whole, missing })
}

/// All that is published at a moment.
#[derive(Clone, Debug)]
struct Publication {
    picture: Value,
    revisions: Vec<Value>,
    board: String,
}

/// Plays a history and reads everything after each step; `without`: what is missing is.
async fn play(history: &History, without: bool) -> Vec<Publication> {
    let (api, mut bin) = (Api::with_registry().await, Bin::default());
    enrol(&api, history.households).await;
    let targets = json!({"participation": 0.5, "awareness": 0.5});
    let project = json!({"community": "garden", "organization": "north", "starts": "2026-10-28", "targets": targets});
    api.put("projects/p1", project).await;
    let count = history
        .steps
        .iter()
        .map(|step| if let Step::Deposits(deposits) = step { deposits.len() } else { 0 })
        .sum::<usize>();
    let missing = history.missing % count.max(1);
    let (mut number, mut published) = (0, Vec::new());
    for step in &history.steps {
        match step {
            Step::Deposits(deposits) => {
                let mut events = Vec::new();
                for deposit in deposits {
                    let household = deposit.household % history.households;
                    let local = api.clock.now() + TimeDelta::hours(8) - TimeDelta::days(deposit.days_ago + 1);
                    let hour = [17, 8, 12][usize::from(deposit.hour)];
                    let time = local.date_naive().and_hms_opt(hour, 20, 0).unwrap().and_utc() - TimeDelta::hours(8);
                    let verdict = deposit.verdict.map(|correct| if correct { "correct" } else { "incorrect" });
                    // It uses up its number all the same.
                    let event = bin.event(household, time, verdict);
                    let gone = if history.whole {
                        household == history.missing % history.households
                    } else {
                        number == missing
                    };
                    if !(without && gone) {
                        events.push(event);
                    }
                    number += 1;
                }
                api.publish("gate/bin/bin-1", events.into()).await.unwrap();
            }
            Step::Pass(hours) => api.clock.set(api.clock.now() + TimeDelta::hours(*hours)),
            Step::Schedule(days, hour) => {
                let window = |open: u32| {
                    json!({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                                                "open": format!("{open:02}:00"), "close": format!("{:02}:00", open + 1)})
                };
                let valid_from = (api.clock.now() - TimeDelta::days(*days)).date_naive().to_string();
                let schedule = json!({"valid_from": valid_from, "weekly": [window(8), window(*hour)]});
                api.put("sites/gate/schedule", schedule).await;
            }
            Step::Survey(answers) => {
                let yesterday = (api.clock.now() - TimeDelta::days(1)).date_naive().to_string();
                let mut said: BTreeMap<usize, bool> = BTreeMap::new();
                said.extend(answers.iter().map(|(household, aware)| (household % history.households, *aware)));
                survey(&api, said.into_iter().map(|(household, aware)| (household, yesterday.as_str(), aware))).await;
            }
        }
        // The board is made anew after a minute.
        api.clock.set(api.clock.now() + TimeDelta::minutes(2));
        look(&api).await;
        let board = send(api.client.get(format!("{}/board/garden?lang=en", api.base))).await;
        published.push(Publication {
            picture: garden(&api).await,
            revisions: changes(&api, &api.admin, None).await,
            board: board.body.as_str().unwrap().to_owned(),
        });
    }
    published
}

/// Every figure of a picture: where it stands, its part and its whole; `None`: withheld.
fn cells(path: &str, value: &Value, found: &mut BTreeMap<String, Option<(i64, i64)>>) {
    match value {
        Value::Object(fields) if fields.contains_key("withheld") => {
            let number = |name: &str| value[name].as_i64();
            found.insert(path.to_owned(), number("part").zip(number("whole")));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, value)| cells(&format!("{path}/{name}"), value, found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(number, value)| cells(&format!("{path}/{number}"), value, found));
        }
        _ => {}
    }
}

fn figures(picture: &Value) -> BTreeMap<String, Option<(i64, i64)>> {
    let mut found = BTreeMap::new();
    cells("participation", &picture["participation"], &mut found);
    cells("awareness", &picture["awareness"], &mut found);
    cells("projects", &picture["projects"], &mut found);
    found
}

/// Where deposits outside the windows gather: a figure of its own, that is told once it is half of them or more.
fn cluster(picture: &Value) -> Option<(String, i64, i64)> {
    let clusters = picture["needs"].as_array().unwrap().iter().map(|need| &need["evidence"]["cluster"]);
    let mut told = clusters.filter(|cluster| cluster.is_object()).map(|cluster| {
        let number = |name: &str| cluster["share"][name].as_i64().unwrap();
        (cluster["from"].as_str().unwrap().to_owned(), number("part"), number("whole"))
    });
    told.next()
}

fn a_step_apart(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one.0 - other.0).abs() <= 5 && (one.1 - other.1).abs() <= 5,
        (Some((part, whole)), None) | (None, Some((part, whole))) => part == 5 || whole - part == 5,
        (None, None) => true,
    }
}

/// How many figures were compared and how many of them differed.
fn compare(history: &History, with: &[Publication], without: &[Publication]) -> (usize, usize) {
    let (mut all, mut differ) = (0, 0);
    for (with, without) in with.iter().zip(without) {
        let (one, other) = (figures(&with.picture), figures(&without.picture));
        assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (name, told) in &one {
            // All deposits of a household are many: of figures that count deposits they are more than a step.
            let counts_deposits = name.ends_with("accuracy") || name.ends_with("off_hours");
            if !(history.whole && counts_deposits) {
                assert!(a_step_apart(*told, other[name]), "{name}: {told:?} {:?}", other[name]);
            }
            all += 1;
            differ += usize::from(*told != other[name]);
        }
        let (one, other) = (cluster(&with.picture), cluster(&without.picture));
        if let (Some((from, part, whole)), Some((elsewhere, of_part, of_whole))) = (&one, &other)
            && from == elsewhere
            && !history.whole
        {
            assert!(a_step_apart(Some((*part, *whole)), Some((*of_part, *of_whole))), "{one:?} {other:?}");
        }
        differ += usize::from(one != other);
        if differ == 0 {
            assert_eq!(with.picture, without.picture, "what is concluded follows from what is told");
            assert_eq!(with.revisions, without.revisions, "and so do revisions, with their reasons and times");
            assert_eq!(with.board, without.board);
        }
    }
    (all, differ)
}

/// Nothing that is withheld can be worked out from what is told.
fn guess(picture: &Value) {
    let known = Knowledge::of(picture);
    for (part, whole) in &known.withheld {
        let (few, all) = known.values(part, whole);
        let month = part.0.starts_with("month");
        let safe = few == 5 || all >= 5 || (month && few + all > 1);
        assert!(safe, "{part:?} of {whole:?} has only {few} small values and {all} great ones left: {picture}");
    }
}

#[test]
fn a_deposit_is_told_from_its_absence_by_a_step_of_the_rounding_and_no_other_way() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(16);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let counted = std::cell::Cell::new((0, 0, 0));
    let outcome = TestRunner::new_with_rng(config, rng).run(&history(), |history| {
        let (with, without) = runtime.block_on(async { tokio::join!(play(&history, false), play(&history, true)) });
        let played = std::panic::catch_unwind(|| {
            // Of a long history the reader's patience is for two: it tries every value of every count.
            for moment in [with.len() / 2, with.len() - 1] {
                guess(&with[moment].picture);
            }
            compare(&history, &with, &without)
        });
        let Ok((compared, differed)) = played else { return Err(TestCaseError::fail("see above")) };
        let (all, differ, alike) = counted.get();
        counted.set((all + compared, differ + differed, alike + usize::from(differed == 0)));
        Ok(())
    });
    outcome.unwrap();
    let (all, differ, alike) = counted.get();
    assert!(differ > 0 && alike > 0, "some histories can be told apart by a step and some cannot");
    assert!(differ * 20 < all, "{differ} of {all} figures differ");
}
