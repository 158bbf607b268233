//! Erasing a household: who it was is gone from every table, file and backup; what was counted stays.

use fenlei::store::sql::{Connection, ToSql};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, deposit, instant, send};

const HOUSEHOLDS: &str = "communities/garden/households";

async fn household(api: &Api, id: &str, from: &str, until: Option<&str>, cards: &[&str]) {
    let row = json!([{"household": id, "building": format!("building-of-{id}"), "enrolled_from": from,
                      "enrolled_until": until, "cards": cards}]);
    let answer = api.post(HOUSEHOLDS, row).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

async fn erase(api: &Api, id: &str) -> StatusCode {
    api.delete(&format!("{HOUSEHOLDS}/{id}")).await.status
}

async fn note(api: &Api, key: &str, body: &Value) -> Answer {
    send(api.request(Method::POST, "sites/gate/deposits").header("Idempotency-Key", key).json(body)).await
}

/// Every figure of the garden that rests on households, of every day, week and month this year up to today.
async fn figures(api: &Api) -> Vec<Value> {
    let mut figures = Vec::new();
    for period in ["day", "week", "month", "range"] {
        let path = format!("communities/garden/participation?from=2026-01-01&to=2026-11-23&period={period}");
        figures.push(api.get(&path).await.body);
    }
    for span in ["from=2026-01-01", "from=2026-11-16&to=2026-11-22", "to=2026-06-30"] {
        figures.push(api.get(&format!("communities/garden/awareness?{span}")).await.body);
    }
    figures
}

async fn identified(api: &Api, date: &str) -> u64 {
    let path = format!("communities/garden/participation?from={date}&to={date}");
    api.get(&path).await.body["periods"][0]["deposits"]["identified"].as_u64().unwrap()
}

async fn conflicts(api: &Api) -> i64 {
    let sum =
        |connection: &Connection| Ok(connection.query_row("SELECT sum(conflicts) FROM boot", [], |row| row.get(0))?);
    api.store.read(sum).await.unwrap()
}

#[tokio::test]
async fn figures_stay_and_nothing_shows_it_any_more() {
    let api = Api::with_registry().await;
    household(&api, "leaving", "2026-01-01", None, &["card-1", "card-2"]).await;
    household(&api, "staying", "2026-01-01", None, &["card-3"]).await;
    let events = json!([
        deposit(1, "2026-11-16T08:30:00+08:00", "card-1"),
        deposit(2, "2026-11-23T08:30:00+08:00", "card-2"),
        deposit(3, "2026-11-18T08:30:00+08:00", "card-3")
    ]);
    api.publish("gate/bin/bin-1", events.clone()).await.unwrap();
    let noted = json!({"stream": "food", "household": "leaving", "verdict": "correct", "reason": "from the 3rd floor"});
    assert_eq!(note(&api, "door-of-leaving", &noted).await.status, StatusCode::CREATED);
    let visits = json!([{"household": "leaving", "date": "2026-11-19", "kind": "survey", "outcome": "answered",
                         "claimed": true, "tested": false},
                        {"household": "staying", "date": "2026-11-19", "kind": "survey", "outcome": "refused"}]);
    api.post("communities/garden/visits", visits).await;

    let before = figures(&api).await;
    assert_eq!(erase(&api, "leaving").await, StatusCode::NO_CONTENT);
    assert_eq!(figures(&api).await, before);
    assert_eq!(api.get(HOUSEHOLDS).await.each("household"), ["staying"]);
    assert_eq!(api.get(&format!("{HOUSEHOLDS}?participating=true")).await.each("household"), ["staying"]);
    assert_eq!(api.get("communities/garden/visits").await.each("household"), ["staying"]);
    let events_shown = api.get("events?device=volunteers&type=deposit").await.body;
    assert_eq!(events_shown["items"][0].get("reason"), None, "what was written beside it is gone: {events_shown}");

    // A bin that sends what it sent is no conflict; what it brings from now on is of an unknown card.
    api.publish("gate/bin/bin-1", events).await.unwrap();
    assert_eq!((conflicts(&api).await, figures(&api).await), (0, before.clone()));
    api.publish("gate/bin/bin-1", json!([deposit(4, "2026-11-16T08:40:00+08:00", "card-1")])).await.unwrap();
    assert_eq!(identified(&api, "2026-11-16").await, 1);
    // A note that is sent again is not stored again, whatever it is answered.
    let notes = || async { api.get("events?device=volunteers").await.each("type").len() };
    let stored = notes().await;
    assert_eq!(note(&api, "door-of-leaving", &noted).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(note(&api, "another", &noted).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(notes().await, stored);

    for again in ["leaving", "~", "no-such"] {
        assert_eq!(erase(&api, again).await, StatusCode::NOT_FOUND);
    }
    let south = api.token(Some("south"), &[fenlei::domain::registry::Role::Admin]).await;
    let foreign = api.call(&south, Method::DELETE, &format!("{HOUSEHOLDS}/staying"), None).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);

    // The same id is a new household, of which nothing is known; tomorrow only that one is enrolled.
    household(&api, "leaving", "2026-01-01", None, &["card-2"]).await;
    assert_eq!(identified(&api, "2026-11-23").await, 2, "one deposit of its card, one note: of the household that was");
    assert_eq!(api.get("communities/garden/visits").await.each("household"), ["staying"]);
    assert_eq!(api.get(&format!("{HOUSEHOLDS}?visited=false")).await.each("household"), ["leaving"]);
    assert_eq!(api.get("communities/garden/awareness").await.body["population"], 3);
    api.clock.set(instant("2026-11-24T12:00:00+08:00"));
    assert_eq!(api.get("communities/garden/awareness").await.body["population"], 2);
}

#[tokio::test]
async fn a_card_that_passed_on_stays_with_the_next_household() {
    let api = Api::with_registry().await;
    household(&api, "first", "2026-01-01", Some("2026-11-18"), &["card"]).await;
    household(&api, "second", "2026-11-19", None, &["card"]).await;
    let at = |seq, time: &str| deposit(seq, time, "card");
    let refused = |seq, time: &str| {
        let mut event = at(seq, time);
        event["type"] = "no_such_type".into();
        event
    };
    let events = json!([
        at(1, "2026-11-17T08:30:00+08:00"),
        at(2, "2026-11-18T23:59:59+08:00"),
        at(3, "2026-11-19T00:00:00+08:00"),
        at(4, "2026-11-20T08:30:00+08:00"),
        refused(5, "2026-11-17T08:30:00+08:00"),
        refused(6, "2026-11-20T08:30:00+08:00")
    ]);
    api.publish("gate/bin/bin-1", events.clone()).await.unwrap();
    let before = figures(&api).await;
    assert_eq!(erase(&api, "first").await, StatusCode::NO_CONTENT);
    assert_eq!(figures(&api).await, before);
    api.publish("gate/bin/bin-1", events).await.unwrap();
    assert_eq!(conflicts(&api).await, 0);
    api.publish("gate/bin/bin-1", json!([at(7, "2026-11-21T08:30:00+08:00"), at(8, "2026-11-16T08:30:00+08:00")]))
        .await
        .unwrap();
    assert_eq!(identified(&api, "2026-11-21").await, 1, "it goes on identifying the second");
    assert_eq!(identified(&api, "2026-11-16").await, 0, "and nobody before");
    // In the ledger, the rollups and the quarantine its hash stands for the days of the second alone.
    let hash = api.hash("card");
    let found = api.store.read(move |connection| {
        let number: i64 = connection.query_row("SELECT id FROM card WHERE hash = ?1", [hash.0], |row| row.get(0))?;
        let rows = |sql: &str, value: &dyn ToSql| {
            let mut select = connection.prepare(sql)?;
            let rows = select.query_map([value], |row| row.get(0))?;
            rows.collect::<Result<Vec<i64>, fenlei::store::sql::Error>>()
        };
        let ledger = rows("SELECT seq FROM ledger WHERE card = ?1 ORDER BY seq", &number)?;
        let quarantine = rows("SELECT seq FROM quarantine WHERE instr(fields, ?1) > 0", &hash.to_hex())?;
        Ok((ledger, quarantine))
    });
    assert_eq!(found.await.unwrap(), (vec![3, 4, 7, 8], vec![6]));
    assert_eq!(erase(&api, "second").await, StatusCode::NO_CONTENT);
    assert_eq!(identified(&api, "2026-11-21").await, 1);
}

/// The bytes of the store's file and of its log, and those of a backup.
fn bytes(api: &Api) -> Vec<(&'static str, Vec<u8>)> {
    let file = api.file();
    let mut log = file.clone().into_os_string();
    log.push("-wal");
    let backup = file.with_extension("backup");
    let reader = Connection::open_file(&file).unwrap();
    reader.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    drop(reader);
    let read = |path: &std::path::Path| std::fs::read(path).unwrap_or_default();
    let all = vec![("file", read(&file)), ("log", read(log.as_ref())), ("backup", read(&backup))];
    std::fs::remove_file(backup).unwrap();
    all
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// Pages are split, rows are rewritten and moved: every place in which SQLite may leave a copy behind.
#[tokio::test]
async fn nothing_of_it_is_left_in_the_file_its_log_or_a_backup() {
    let api = Api::with_registry().await;
    if !api.place.is_file() {
        // What a server's files hold is the server's.
        return;
    }
    let count = 1_200;
    // Ids in no order, and twice: the second time with another building, as long as they come.
    let id = |number: usize| format!("{:08x}-household", (number * 2_654_435_761) & 0xffff_ffff);
    let card = |number: usize| format!("card-of-{number}");
    for round in 0..3 {
        for chunk in (0..count).collect::<Vec<_>>().chunks(100) {
            let row = |number: &usize| {
                let building = format!("{}-building-{}", id(*number), "x".repeat((number * 7 + round * 31) % 120));
                json!({"household": id(*number), "building": building, "enrolled_from": "2026-01-01",
                       "cards": [card(*number)]})
            };
            let answer = api.post(HOUSEHOLDS, chunk.iter().map(row).collect()).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
    }
    for (place, chunk) in (0..count).collect::<Vec<_>>().chunks(50).enumerate() {
        let event = |number: &usize| {
            let mut event = deposit(1 + *number as u64, "2026-11-20T08:30:00+08:00", &card(*number));
            // Every third is refused.
            event["grams"] = if number.is_multiple_of(3) { json!(-1) } else { json!(1000) };
            event
        };
        api.publish("gate/bin/bin-1", chunk.iter().map(event).collect()).await.unwrap();
        let visit = |number: &usize| json!({"household": id(*number), "date": "2026-11-20", "kind": "survey", "outcome": "answered", "claimed": true});
        api.post("communities/garden/visits", chunk.iter().map(visit).collect()).await;
        let noted = json!({"stream": "food", "household": id(chunk[0]), "reason": format!("seen at {}", id(chunk[0]))});
        assert_eq!(note(&api, &format!("{place}-{}", id(chunk[0])), &noted).await.status, StatusCode::CREATED);
    }
    let erased: Vec<usize> = (0..count).filter(|number| number.is_multiple_of(10)).collect();
    let kept = 1_111;
    let of = |number: usize| {
        let hash = api.hash(&card(number));
        [id(number).into_bytes(), hash.0.to_vec(), hash.to_hex().into_bytes()]
    };
    assert!(of(30).iter().all(|what| bytes(&api).iter().any(|(_, bytes)| holds(bytes, what))), "it is there before");
    let before = figures(&api).await;
    for number in &erased {
        assert_eq!(erase(&api, &id(*number)).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(figures(&api).await, before);
    let mut left = Vec::new();
    for (place, bytes) in bytes(&api) {
        let first = |what: &[u8]| [what[0], what[1]];
        let all: Vec<_> = erased.iter().flat_map(|number| of(*number).map(|what| (*number, what))).collect();
        let mut starts: std::collections::HashMap<[u8; 2], Vec<usize>> = std::collections::HashMap::new();
        for (index, (_, what)) in all.iter().enumerate() {
            starts.entry(first(what)).or_default().push(index);
        }
        for (at, window) in bytes.windows(2).enumerate() {
            for index in starts.get(&[window[0], window[1]]).map_or(&[][..], Vec::as_slice) {
                let (number, what) = &all[*index];
                if bytes[at..].starts_with(what) {
                    left.push((place, *number, what.len(), at));
                }
            }
        }
        let there = |what: &[u8]| holds(&bytes, what);
        assert_eq!(there(&of(kept)[0]), place != "log", "the others are where they were: {place}");
    }
    assert_eq!(left, [], "(where, which, of how many bytes, at)");
}
