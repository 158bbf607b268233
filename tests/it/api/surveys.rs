//! Awareness of random surveys, sent over the API and held against a computation that shares nothing with the figure: the
//! latest answers are searched for one by one, and the ends of the interval are found by halving.

use chrono::{Days, NaiveDate};
use fenlei::domain::awareness::Answers;
use fenlei::domain::period::Span;
use fenlei::store::visits;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::api::Api;

const EXACT: f64 = 1e-9;

/// One record as it was sent, in the order of its sending.
#[derive(Clone)]
struct Sent {
    household: usize,
    date: NaiveDate,
    kind: &'static str,
    outcome: &'static str,
    claimed: Option<bool>,
    tested: Option<bool>,
}

struct Household {
    from: NaiveDate,
    until: Option<NaiveDate>,
}

fn random_survey(random: &mut fastrand::Rng, first: NaiveDate, households: usize) -> Vec<Sent> {
    let answer = |random: &mut fastrand::Rng| [None, Some(true), Some(true), Some(false)][random.usize(..4)];
    let records = random.usize(..3 * households);
    let record = |random: &mut fastrand::Rng| {
        let outcome = ["answered", "answered", "refused", "absent"][random.usize(..4)];
        let answered = outcome == "answered";
        Sent {
            household: random.usize(..households),
            date: first + Days::new(random.u64(..40)),
            kind: ["visit", "survey"][random.usize(..2)],
            outcome,
            claimed: answer(random).filter(|_| answered),
            tested: answer(random).filter(|_| answered),
        }
    };
    (0..records).map(|_| record(random)).collect()
}

/// The latest answer of a household in the period that is not null, looked for from the end.
fn latest(sent: &[Sent], household: usize, span: Span, answer: impl Fn(&Sent) -> Option<bool>) -> Option<bool> {
    let of_it = kept(sent).filter(|one| one.household == household && span.from <= one.date && one.date <= span.to);
    let mut answers: Vec<_> =
        of_it.filter_map(|one| answer(one).map(|answer| (one.date, place(sent, one), answer))).collect();
    answers.sort_by_key(|(date, place, _)| (*date, *place));
    answers.last().map(|(_, _, answer)| *answer)
}

/// The records that no later one of the same household, date and kind replaced.
fn kept(sent: &[Sent]) -> impl Iterator<Item = &Sent> {
    sent.iter().enumerate().filter_map(move |(place, one)| {
        let replaces =
            |later: &Sent| later.household == one.household && later.date == one.date && later.kind == one.kind;
        (!sent[place + 1..].iter().any(replaces)).then_some(one)
    })
}

fn place(sent: &[Sent], one: &Sent) -> usize {
    sent.iter().position(|other| std::ptr::eq(other, one)).unwrap()
}

/// The end of Wilson's interval beyond `p` on the side of `edge`: the share at which `p` lies exactly z deviations away.
fn end(p: f64, n: f64, population: f64, edge: f64) -> f64 {
    let beyond = |share: f64| {
        let deviation = (share * (1.0 - share) / n * (population - n) / (population - 1.0)).sqrt();
        (p - share).abs() > 1.959_964 * deviation
    };
    // Rounding lets the edge itself pass for beyond where p is the edge.
    let (mut inner, mut outer) = (p, edge);
    for _ in 0..200 {
        let middle = f64::midpoint(inner, outer);
        if beyond(middle) { outer = middle } else { inner = middle }
    }
    inner
}

fn check(answers: Answers, expected: (u64, u64), population: u64) {
    assert_eq!((answers.aware, answers.respondents), expected);
    let (aware, respondents) = expected;
    let Some((low, high)) = answers.interval(population) else {
        assert_eq!(respondents, 0);
        return;
    };
    let (p, n, all) = (aware as f64 / respondents as f64, respondents as f64, population as f64);
    assert!((answers.rate().unwrap() - p).abs() < EXACT);
    let (expected_low, expected_high) =
        if respondents == population || population == 1 { (p, p) } else { (end(p, n, all, 0.0), end(p, n, all, 1.0)) };
    assert!((low - expected_low).abs() < EXACT && (high - expected_high).abs() < EXACT, "{answers:?} of {population}");
}

#[tokio::test]
async fn random_surveys_agree_with_an_independent_computation() {
    let api = Api::with_registry().await;
    let today: NaiveDate = "2026-11-23".parse().unwrap();
    let first: NaiveDate = "2026-10-10".parse().unwrap();
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let community = format!("c{seed}");
        api.put(&format!("communities/{community}"), json!({"name": "小区", "committee": "north"})).await;
        let households: Vec<_> = (0..random.usize(1..60))
            .map(|_| Household {
                from: first - Days::new(10) + Days::new(random.u64(..30)),
                until: random.bool().then(|| today - Days::new(random.u64(..20))),
            })
            .collect();
        let rows = households.iter().enumerate().map(|(number, household)| {
            json!({"household": format!("h{number}"), "enrolled_from": household.from, "enrolled_until": household.until, "cards": []})
        });
        let imported = api.post(&format!("communities/{community}/households"), rows.collect::<Value>()).await;
        assert_eq!(imported.status, StatusCode::OK, "{imported:?}");
        let sent = random_survey(&mut random, first, households.len());
        for part in sent.chunks(7) {
            let rows = part.iter().map(|one| {
                json!({"household": format!("h{}", one.household), "date": one.date, "kind": one.kind, "outcome": one.outcome,
                       "claimed": one.claimed, "tested": one.tested})
            });
            let recorded = api.post(&format!("communities/{community}/visits"), rows.collect::<Value>()).await;
            assert_eq!(recorded.status, StatusCode::OK, "{recorded:?}");
        }
        let span = Span::new(first + Days::new(random.u64(..10)), today - Days::new(random.u64(..10))).unwrap();
        let found = api.store.registry().communities[&community].clone();
        let figure = api.store.read(move |connection| visits::figure(connection, &found, span, today)).await.unwrap();

        let enrolled = |one: &Household| one.from <= span.to && one.until.is_none_or(|until| until >= span.to);
        let population: Vec<_> = (0..households.len()).filter(|number| enrolled(&households[*number])).collect();
        assert_eq!(figure.population as usize, population.len());
        let expected = |answer: fn(&Sent) -> Option<bool>| {
            let answers: Vec<_> = population.iter().filter_map(|number| latest(&sent, *number, span, answer)).collect();
            (answers.iter().filter(|aware| **aware).count() as u64, answers.len() as u64)
        };
        check(figure.claimed, expected(|one| one.claimed), figure.population);
        check(figure.tested, expected(|one| one.tested), figure.population);
    }
}
