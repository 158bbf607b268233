//! The roster: all rows or none, every bad row named, cards never shown.

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::support::api::{Api, send};

const PATH: &str = "communities/garden/households";

async fn csv(api: &Api, text: &str) -> crate::support::api::Answer {
    send(api.request(Method::POST, PATH).header(header::CONTENT_TYPE, "text/csv; charset=utf-8").body(text.to_owned()))
        .await
}

#[tokio::test]
async fn json_and_csv_are_put_and_listed_without_cards() {
    let api = Api::with_registry().await;
    let rows = json!([{"household": "h1", "building": "3栋", "enrolled_from": "2026-01-01", "cards": ["secret-1"]},
                      {"household": "h2", "enrolled_from": "2026-01-01", "enrolled_until": "2026-06-30", "cards": []}]);
    assert_eq!(api.post(PATH, rows).await.body, json!({"created": 2, "updated": 0}));
    let file = "\u{feff}household,building,enrolled_from,enrolled_until,cards\r\n\
                h2,,2026-01-01,,secret-2;secret-3\r\nh3,4栋,2026-02-01,,\r\n";
    assert_eq!(csv(&api, file).await.body, json!({"created": 1, "updated": 1}));
    let listed = api.get(PATH).await;
    assert_eq!(
        listed.body["items"],
        json!([{"household": "h1", "building": "3栋", "enrolled_from": "2026-01-01", "cards": 1},
               {"household": "h2", "enrolled_from": "2026-01-01", "cards": 2},
               {"household": "h3", "building": "4栋", "enrolled_from": "2026-02-01", "cards": 0}])
    );
    assert!(!listed.body.to_string().contains("secret"));
    let first = api.get(&format!("{PATH}?limit=2")).await;
    let rest = api.get(&format!("{PATH}?limit=2&cursor={}", first.body["next"].as_str().unwrap())).await;
    assert_eq!((rest.each("household"), &rest.body["next"]), (vec![json!("h3")], &json!(null)));
    let looks = api.store.read(|connection| {
        let mut select = connection
            .prepare("SELECT action || ' ' || subject FROM audit WHERE action LIKE 'households.%' ORDER BY id")?;
        let looks = select.query_map([], |row| row.get::<_, String>(0))?;
        Ok(looks.collect::<Result<Vec<_>, _>>()?)
    });
    let (import, read) = ("households.import garden", "households.read garden");
    assert_eq!(looks.await.unwrap(), [import, import, read, read, read]);
}

#[tokio::test]
async fn every_bad_row_is_named_and_nothing_is_changed() {
    let api = Api::with_registry().await;
    api.post(PATH, json!([{"household": "old", "enrolled_from": "2026-01-01", "cards": ["held"]}])).await;
    let file = "household,building,enrolled_from,enrolled_until,cards\n\
                good,,2026-01-01,,c1\n\
                wrong-date,,2026-13-01,,c2\n\
                Bad Id,,2026-01-01,,c3\n\
                reversed,,2026-02-01,2026-01-01,c4\n\
                taken,,2026-01-01,,held\n\
                shared,,2026-01-01,,c1\n\
                short\n";
    let refused = csv(&api, file).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    insta::assert_json_snapshot!(refused.body, @r#"
    {
      "detail": "rows cannot be imported and nothing was changed: mend what `errors` names and send all rows again",
      "errors": [
        {
          "error": "`enrolled_from` must be a date as YYYY-MM-DD",
          "row": 2
        },
        {
          "error": "`household` must match [a-z0-9][a-z0-9_-]{0,47}",
          "row": 3
        },
        {
          "error": "`enrolled_until` is before `enrolled_from`",
          "row": 4
        },
        {
          "error": "one of its cards belongs to another household on the same days",
          "row": 5
        },
        {
          "error": "shares a card with row 1 on the same days",
          "row": 6
        },
        {
          "error": "the row has 1 columns, the header 5",
          "row": 7
        }
      ],
      "status": 400,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
    assert_eq!(api.get(PATH).await.each("household"), ["old"]);
    let moved =
        "household,enrolled_from,enrolled_until,cards\nold,2026-01-01,2026-05-31,held\ntaken,2026-06-01,,held\n";
    assert_eq!(csv(&api, moved).await.body, json!({"created": 1, "updated": 1}), "a card passes on");
}

#[tokio::test]
async fn an_import_may_be_large_but_not_boundless() {
    let api = Api::with_registry().await;
    let mut file = "household,enrolled_from,cards\n".to_owned();
    for number in 0..60_000 {
        file.push_str(&format!("household-{number},2026-01-01,card-{number}\n"));
    }
    assert!(file.len() > 2 * 1024 * 1024);
    assert_eq!(csv(&api, &file).await.body["created"], 60_000);
    let refused = csv(&api, &"x".repeat(9 * 1024 * 1024)).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.detail().contains("smaller parts"));
    let wrong = send(api.request(Method::POST, PATH).header(header::CONTENT_TYPE, "text/plain").body("x")).await;
    assert_eq!(wrong.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(wrong.detail().contains("text/csv"));
}
