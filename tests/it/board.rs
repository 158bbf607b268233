//! The public board: what it tells, what it withholds, in both languages.

use chrono::TimeDelta;
use fenlei::clock::Clock;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::api::{Answer, Api, deposit, send};

/// A garden with this many households, of which so many took part last week and were asked.
async fn garden(households: u32, participating: u32, aware: u32) -> Api {
    let api = Api::with_registry().await;
    let row = |number: u32| json!({"household": format!("h{number}"), "enrolled_from": "2026-01-01", "cards": [format!("card-{number}")]});
    let rows: Vec<_> = (0..households).map(row).collect();
    assert_eq!(api.post("communities/garden/households", json!(rows)).await.status, StatusCode::OK);
    for number in 0..participating {
        let event = deposit(u64::from(number) + 1, "2026-11-18T08:15:00+08:00", &format!("card-{number}"));
        api.publish("gate/bin/bin-1", event).await.unwrap();
    }
    let visit = |number: u32| json!({"household": format!("h{number}"), "date": "2026-11-20", "kind": "survey", "outcome": "answered", "claimed": true, "tested": number < aware});
    let visits: Vec<_> = (0..participating).map(visit).collect();
    let answer = api.post("communities/garden/visits", json!(visits)).await;
    assert!(answer.status.is_success(), "{answer:?}");
    api
}

async fn board(api: &Api, path: &str) -> Answer {
    send(api.client.get(format!("{}/board/{path}", api.base))).await
}

fn text(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.kind.as_str()), (StatusCode::OK, "text/html; charset=utf-8"));
    answer.body.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_two_figures_are_told_rounded_and_in_both_languages() {
    // 72 of 103 took part: told as 70 of 105. 31 of the 72 asked showed that they know how: 30 of 70.
    let api = garden(103, 72, 31).await;
    let page = text(&board(&api, "garden").await);
    for told in [
        "<html lang=\"zh-CN\">",
        "花园小区垃圾分类",
        "北居委会",
        "67<span class=\"unit\">%</span>",
        "105 户中约 70 户参与",
        "2026年11月16日–11月22日",
        "43<span class=\"unit\">%</span>",
        "70 户受访者中约 30 户当场分对",
        "垃圾分类,因为你",
        "href=\"/board/garden?lang=en\"",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(told), "{told} is missing of:\n{page}");
    }
    let english = text(&board(&api, "garden?lang=en").await);
    for told in ["<html lang=\"en\">", "about 70 of 105 households took part", "16 Nov–22 Nov 2026", "?lang=zh"] {
        assert!(english.contains(told), "{told} is missing of:\n{english}");
    }
    for page in [page, english] {
        assert!(!page.contains("<script>") && !page.contains("h1\"") && !page.contains("103") && !page.contains("72"));
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing of other hosts");
    }
}

#[tokio::test]
async fn what_would_tell_of_single_households_is_withheld() {
    // All but four took part, all were asked, and all know.
    let api = garden(40, 36, 36).await;
    let page = text(&board(&api, "garden").await);
    assert_eq!(page.matches("<p class=\"number\">—</p><p>户数过少或过于接近全部").count(), 2, "{page}");
    assert!(!page.contains("class=\"unit\"") && !page.contains("<rect"), "{page}");
    for told in ["36", "40", "90"] {
        assert!(!page.contains(&format!("{told} 户")) && !page.contains(&format!(">{told}%")), "{told}");
    }
    // A community of which nothing is known.
    let empty = text(&board(&api, "river?lang=en").await);
    assert!(empty.contains("withheld for privacy"));
}

#[tokio::test]
async fn a_board_is_made_once_a_minute_and_has_no_secrets() {
    let api = garden(100, 50, 20).await;
    let before = text(&board(&api, "garden").await);
    api.put("communities/garden", json!({"name": "<b>新名</b>", "committee": "north"})).await;
    assert_eq!(text(&board(&api, "garden").await), before);
    api.clock.set(api.clock.now() + TimeDelta::minutes(1));
    let after = text(&board(&api, "garden").await);
    assert!(after.contains("&lt;b&gt;新名&lt;/b&gt;") && !after.contains("<b>新名"), "names are text");
    let response = api.client.get(format!("{}/board/garden", api.base)).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'none'"));
    assert_eq!(response.headers()["cache-control"], "public, max-age=60");
    let unknown = board(&api, "nowhere").await;
    assert_eq!((unknown.status, unknown.kind.as_str()), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
    assert_eq!(board(&api, "garden?lang=fr").await.status, StatusCode::BAD_REQUEST);
}
