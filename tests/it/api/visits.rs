//! Visits and surveys, and the awareness figure that follows from them.

use chrono::{DateTime, NaiveDate};
use fenlei::domain::registry::Role;
use fenlei::sheets::{Cell, Table, XLSX, xlsx};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, instant, send};

const PATH: &str = "communities/garden/visits";

/// A garden of `households`, h1 and on, all enrolled this year.
async fn lived_in(households: usize) -> Api {
    let api = Api::with_registry().await;
    let row = |number| json!({"household": format!("h{number}"), "enrolled_from": "2026-01-01", "cards": []});
    api.post("communities/garden/households", (1..=households).map(row).collect()).await;
    api
}

fn survey(household: &str, date: &str, claimed: Value, tested: Value) -> Value {
    json!({"household": household, "date": date, "kind": "survey", "outcome": "answered",
           "claimed": claimed, "tested": tested})
}

async fn csv(api: &Api, text: &str) -> Answer {
    send(api.request(Method::POST, PATH).header(header::CONTENT_TYPE, "text/csv").body(text.to_owned())).await
}

async fn excel(api: &Api, path: &str, columns: &str, rows: Vec<Vec<Cell>>) -> Answer {
    let columns = columns.split(',').map(str::to_owned).collect();
    let file = xlsx(&[Table { title: "t".to_owned(), columns, rows }], DateTime::default()).unwrap();
    send(api.request(Method::POST, path).header(header::CONTENT_TYPE, XLSX).body(file)).await
}

#[tokio::test]
async fn workbooks_are_taken_for_households_and_visits() {
    let api = Api::with_registry().await;
    let day = |day| Cell::from(NaiveDate::from_ymd_opt(2026, 11, day).unwrap());
    let households = "communities/garden/households";
    let rows = vec![vec!["h1".into(), day(1), "card-1".into()], vec!["h2".into(), day(1)]];
    let put = excel(&api, households, "household,enrolled_from,cards", rows).await;
    assert_eq!(put.body, json!({"created": 2, "updated": 0}));
    let columns = "household,date,kind,outcome,claimed";
    let good = vec!["h1".into(), day(20), "survey".into(), "answered".into(), "是".into()];
    let bad = vec!["h2".into(), "20.11.2026".into(), "visit".into(), "absent".into()];
    let refused = excel(&api, PATH, columns, vec![good.clone(), bad]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(refused.body["errors"], json!([{"row": 3, "error": "`date` must be a date as YYYY-MM-DD"}]));
    assert_eq!(excel(&api, PATH, columns, vec![good]).await.body, json!({"recorded": 1}));
    let listed = api.get(PATH).await;
    assert_eq!(listed.body["items"], json!([survey("h1", "2026-11-20", json!(true), Value::Null)]));
    let broken = send(api.request(Method::POST, PATH).header(header::CONTENT_TYPE, XLSX).body("PK")).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    assert!(broken.body["errors"][0]["error"].as_str().unwrap().contains("save it as .xlsx"));
}

async fn keyed(api: &Api, key: &str, body: &Value) -> Answer {
    send(api.request(Method::POST, PATH).header("Idempotency-Key", key).json(body)).await
}

async fn audited(api: &Api) -> Vec<String> {
    let looks = api.store.read(|connection| {
        let mut select =
            connection.prepare("SELECT action || ' ' || subject FROM audit WHERE action LIKE 'households.%' OR action LIKE 'visits.%' ORDER BY id")?;
        let looks = select.query_map([], |row| row.get::<_, String>(0))?;
        Ok(looks.collect::<Result<Vec<_>, _>>()?)
    });
    looks.await.unwrap()
}

#[tokio::test]
async fn one_an_array_and_csv_are_recorded_and_listed() {
    let api = lived_in(3).await;
    let one = survey("h1", "2026-11-20", json!(true), json!(false));
    assert_eq!(api.post(PATH, one.clone()).await.body, json!({"recorded": 1}));
    let two = json!([{"household": "h2", "date": "2026-11-20", "kind": "visit", "outcome": "absent"},
                     {"household": "h2", "date": "2026-11-21", "kind": "visit", "outcome": "refused", "claimed": null}]);
    assert_eq!(api.post(PATH, two).await.body, json!({"recorded": 2}));
    let file = "household,date,kind,outcome,claimed,tested\r\nh3,2026-11-23,survey,answered,TRUE,\r\n";
    assert_eq!(csv(&api, file).await.body, json!({"recorded": 1}));
    let listed = api.get(&format!("{PATH}?limit=3")).await;
    assert_eq!(listed.body["items"][0], one);
    assert_eq!(listed.each("outcome"), ["answered", "absent", "refused"]);
    let rest = api.get(&format!("{PATH}?cursor={}", listed.body["next"].as_str().unwrap())).await;
    assert_eq!(rest.body["items"], json!([survey("h3", "2026-11-23", json!(true), Value::Null)]));
    assert_eq!(rest.body["next"], Value::Null);
    let (record, read) = ("visits.record garden", "visits.read garden");
    assert_eq!(audited(&api).await[1..], [record, record, record, read, read]);
}

#[tokio::test]
async fn every_bad_row_is_named_and_nothing_is_recorded() {
    let api = lived_in(1).await;
    let file = "household,date,kind,outcome,claimed\n\
                h1,2026-11-20,survey,answered,true\n\
                stranger,2026-11-20,survey,answered,true\n\
                h1,2026-11-24,survey,answered,true\n\
                h1,2026-11-20,visit,absent,true\n\
                h1,20.11.2026,call,gone,maybe\n";
    let refused = csv(&api, file).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    insta::assert_json_snapshot!(refused.body["errors"], @r#"
    [
      {
        "error": "no such household is in the community: import it first",
        "row": 2
      },
      {
        "error": "`date` is in the future: give the day of the visit",
        "row": 3
      },
      {
        "error": "`claimed` and `tested` are answers: they go with the outcome `answered` only",
        "row": 4
      },
      {
        "error": "`claimed` must be true, false or empty",
        "row": 5
      },
      {
        "error": "`date` must be a date as YYYY-MM-DD",
        "row": 5
      },
      {
        "error": "`kind` must be visit or survey",
        "row": 5
      },
      {
        "error": "`outcome` must be answered, refused or absent",
        "row": 5
      }
    ]
    "#);
    assert!(!refused.body.to_string().contains("stranger"));
    assert_eq!(api.get(PATH).await.body["items"], json!([]));
    let wrong = send(api.request(Method::POST, PATH).header(header::CONTENT_TYPE, "text/plain").body("x")).await;
    assert_eq!(wrong.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // A household of another community is none of this one.
    let foreign = api.post("communities/river/visits", survey("h1", "2026-11-20", json!(true), json!(true))).await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
    // The day is the community's: on this side of midnight in Shanghai it is still yesterday in Berlin.
    api.put("communities/away", json!({"name": "远方", "committee": "north", "time_zone": "Europe/Berlin"})).await;
    api.clock.set(instant("2026-11-24T01:00:00+08:00"));
    let row = json!([{"household": "b1", "enrolled_from": "2026-01-01", "cards": []}]);
    api.post("communities/away/households", row).await;
    let early = survey("b1", "2026-11-24", json!(true), json!(true));
    assert_eq!(api.post("communities/away/visits", early).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.post(PATH, survey("h1", "2026-11-24", json!(true), json!(true))).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_sent_twice_counts_once() {
    let api = lived_in(2).await;
    let absent = json!({"household": "h1", "date": "2026-11-20", "kind": "visit", "outcome": "absent"});
    let answered = json!({"household": "h1", "date": "2026-11-20", "kind": "visit", "outcome": "answered",
                          "claimed": true, "tested": null});
    let (first, again) = (keyed(&api, "phone-1", &absent).await, keyed(&api, "phone-1", &absent).await);
    assert_eq!((first.status, &first.body), (StatusCode::OK, &again.body));
    // A later record of the day takes the place of the former.
    assert_eq!(keyed(&api, "phone-2", &answered).await.status, StatusCode::OK);
    assert_eq!(api.get(PATH).await.each("outcome"), ["answered"]);
    // What a phone sends again changes nothing, even now.
    assert_eq!(keyed(&api, "phone-1", &absent).await.body, first.body);
    assert_eq!(api.get(PATH).await.each("outcome"), ["answered"]);
    let other = keyed(&api, "phone-1", &answered).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Without a key the rule of one a day is all there is; in one request too.
    api.post(PATH, json!([absent, answered, absent])).await;
    assert_eq!(api.get(PATH).await.each("outcome"), ["absent"]);
    // A survey is no visit.
    api.post(PATH, survey("h1", "2026-11-20", json!(false), json!(false))).await;
    assert_eq!(api.get(PATH).await.each("kind"), ["visit", "survey"]);
    // Nothing was stored under the key of a request that was refused.
    let stranger = json!({"household": "h9", "date": "2026-11-20", "kind": "visit", "outcome": "absent"});
    for _ in 0..2 {
        assert_eq!(keyed(&api, "phone-3", &stranger).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(keyed(&api, "phone-3", &absent).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_worked_examples_of_the_contract() {
    let api = lived_in(400).await;
    let all: Vec<_> =
        (1..=100).map(|number| survey(&format!("h{number}"), "2026-11-20", json!(number <= 70), json!(null))).collect();
    api.post(PATH, Value::Array(all)).await;
    let all: Vec<_> =
        (1..=60).map(|number| survey(&format!("h{number}"), "2026-11-21", json!(null), json!(true))).collect();
    api.post(PATH, Value::Array(all)).await;
    let door =
        |household, outcome| json!({"household": household, "date": "2026-11-22", "kind": "visit", "outcome": outcome});
    // The first had answered; the second was absent before it refused: each is counted once.
    api.post(PATH, json!([door("h1", "refused"), door("h201", "refused"), door("h202", "absent")])).await;
    let absent = json!({"household": "h201", "date": "2026-11-21", "kind": "visit", "outcome": "absent"});
    api.post(PATH, absent).await;
    let figure = api.get("communities/garden/awareness?from=2026-11-16&to=2026-11-22").await;
    insta::assert_json_snapshot!(figure.body, @r#"
    {
      "absent": 1,
      "claimed": {
        "aware": 70,
        "high": 0.771371,
        "low": 0.6174,
        "rate": 0.7,
        "respondents": 100
      },
      "community": "garden",
      "definitions": 1,
      "from": "2026-11-16",
      "population": 400,
      "refused": 1,
      "tested": {
        "aware": 60,
        "high": 1.0,
        "low": 0.948265,
        "rate": 1.0,
        "respondents": 60
      },
      "to": "2026-11-22"
    }
    "#);
    // Outside the period nobody was asked.
    let before = api.get("communities/garden/awareness?to=2026-11-19").await.body;
    let nothing = json!({"respondents": 0, "aware": 0, "rate": null, "low": null, "high": null});
    assert_eq!((&before["claimed"], &before["tested"], &before["population"]), (&nothing, &nothing, &json!(400)));
    assert_eq!((&before["from"], &before["to"]), (&json!("2026-10-23"), &json!("2026-11-19")));
    let empty = api.get("communities/river/awareness").await.body;
    assert_eq!((&empty["claimed"], &empty["population"]), (&nothing, &json!(0)));
    let reversed = api.get("communities/garden/awareness?from=2026-11-20&to=2026-11-19").await;
    assert_eq!(reversed.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_households_of_the_last_day_count_by_their_latest_answers() {
    let api = Api::with_registry().await;
    let rows = json!([{"household": "stays", "enrolled_from": "2026-11-20", "cards": []},
                      {"household": "left", "enrolled_from": "2026-01-01", "enrolled_until": "2026-11-20", "cards": []},
                      {"household": "comes", "enrolled_from": "2026-11-25", "cards": []}]);
    api.post("communities/garden/households", rows).await;
    // The later of one day is what was recorded later; an answer counts whether or not it was enrolled that day yet.
    let told = json!([survey("left", "2026-11-10", json!(true), json!(true)),
                      survey("comes", "2026-11-10", json!(true), json!(true)),
                      survey("stays", "2026-11-10", json!(true), json!(true)),
                      survey("stays", "2026-11-18", json!(false), json!(null)),
                      {"household": "stays", "date": "2026-11-18", "kind": "visit", "outcome": "answered", "claimed": true}]);
    api.post(PATH, told).await;
    let at = |to: &str| format!("communities/garden/awareness?from=2026-11-01&to={to}");
    let count = |figure: &Value| {
        let number = |path: &str| figure.pointer(path).unwrap().as_u64().unwrap();
        [number("/population"), number("/claimed/respondents"), number("/claimed/aware"), number("/tested/aware")]
    };
    // Today, the 23rd, is the last day on which households are counted, however far the period goes.
    for (to, expected) in [("2026-11-20", [2, 2, 2, 2]), ("2026-11-21", [1, 1, 1, 1]), ("2026-11-30", [1, 1, 1, 1])] {
        let figure = api.get(&at(to)).await.body;
        assert_eq!(count(&figure), expected, "{to}: {figure}");
        assert_eq!(figure["claimed"]["low"], 1.0, "everybody was asked");
    }
    // Recorded again, the survey of that day is the latest.
    api.post(PATH, survey("stays", "2026-11-18", json!(false), json!(null))).await;
    assert_eq!(count(&api.get(&at("2026-11-23")).await.body), [1, 1, 0, 1]);
}

#[tokio::test]
async fn organizations_record_in_their_own_communities_and_operators_read() {
    let api = lived_in(1).await;
    let visit = || Some(survey("h1", "2026-11-20", json!(true), json!(true)));
    let north = api.token(Some("north"), &[Role::Organization]).await;
    let south = api.token(Some("south"), &[Role::Organization]).await;
    let operator = api.token(None, &[Role::Operator]).await;
    for (token, post, get) in [(&north, 200, 200), (&south, 404, 404), (&operator, 403, 200)] {
        assert_eq!(api.call(token, Method::POST, PATH, visit()).await.status.as_u16(), post);
        assert_eq!(api.call(token, Method::GET, PATH, None).await.status.as_u16(), get);
        let figure = api.call(token, Method::GET, "communities/garden/awareness", None).await;
        assert_eq!(figure.status.as_u16(), get);
    }
}
