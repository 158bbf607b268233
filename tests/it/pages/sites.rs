//! Sites as people see them: how they stand, when residents come, other hours tried out, agreed on, and overruled for once.

use fenlei::domain::registry::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::api::{Api, deposit};
use crate::support::pages::{Browser, Shown};

/// Three deposits in the default hours and two outside, on the Monday and the Friday before.
async fn with_deposits() -> Api {
    let api = Api::with_registry().await;
    let events: Vec<Value> = [
        "2026-11-20T08:10:00+08:00",
        "2026-11-20T17:30:00+08:00",
        "2026-11-20T19:30:00+08:00",
        "2026-11-23T08:20:00+08:00",
        "2026-11-23T10:05:00+08:00",
    ]
    .iter()
    .zip(1..)
    .map(|(time, seq)| deposit(seq, time, "c"))
    .collect();
    api.publish("gate/bin/bin-1", json!(events)).await.unwrap();
    api
}

async fn operator(api: &Api) -> Browser {
    Browser::signed_in(api, "operator", None, &[Role::Operator]).await
}

/// The cells of the rows of a table, without what marks them up.
fn rows(page: &str, caption: &str) -> Vec<Vec<String>> {
    let table = page.split(&format!("<caption>{caption}")).nth(1).expect("the table").split("</table>").next().unwrap();
    let text = |cell: &str| {
        let cell = cell.split_once('>').unwrap().1.split("</t").next().unwrap();
        let plain = cell.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
        plain.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let row =
        |row: &str| row.split("<t").skip(1).filter(|cell| cell.starts_with(['h', 'd'])).map(text).collect::<Vec<_>>();
    table.split("<tr").skip(2).map(row).collect()
}

const EVENING: &str = "w0-days=mon&w0-days=fri&w0-open=08:00&w0-close=09:00&w1-days=fri&w1-open=19:00&w1-close=20:00\
                       &w2-days=mon&w2-open=10:00&w2-close=11:00&w2-makeup=yes";

#[tokio::test]
async fn the_list_has_the_sites_of_each_community_and_nothing_beyond() {
    let api = with_deposits().await;
    let fire = json!({"boot": 1, "seq": 9, "time": "2026-11-23T11:00:00+08:00", "type": "fill", "stream": "food", "percent": 64});
    api.publish("gate/bin/bin-1", fire).await.unwrap();
    let mut browser = operator(&api).await;
    let all = browser.see("/sites").await;
    for words in ["花园小区", "河滨小区", "href=\"/sites/gate\"", "码头", "未开放", "2026年11月23日 17:00", "0 / 2"]
    {
        assert!(all.contains(words), "{words}: {all}");
    }
    let member = Browser::signed_in(&api, "member", Some("north"), &[Role::Organization]).await;
    let own = member.see("/sites").await;
    assert!(own.contains("东门") && !own.contains("码头") && !own.contains("河滨"), "{own}");
    assert_eq!(member.get("/sites/quay").await.status, StatusCode::NOT_FOUND);
    assert_eq!(member.get("/sites/quay/schedule").await.status, StatusCode::NOT_FOUND);
    let scheduler = Browser::signed_in(&api, "scheduler", None, &[Role::Scheduler]).await;
    let hours = scheduler.see("/sites").await;
    assert!(hours.contains("未开放") && !hours.contains("设备在线"), "hours, no devices: {hours}");
    assert!(!scheduler.see("/sites/gate").await.contains("什么时候来投放"), "no figures for who has none");
    let linkage = Browser::signed_in(&api, "linkage", None, &[Role::Linkage]).await;
    assert_eq!(linkage.get("/sites").await.status, StatusCode::NOT_FOUND);
    browser.english();
    let all = browser.see("/sites").await;
    assert!(all.contains("closed") && all.contains("next change 23 Nov 2026 17:00"), "{all}");
}

#[tokio::test]
async fn deposits_stand_at_their_weekday_and_hour() {
    let api = with_deposits().await;
    let browser = operator(&api).await;
    let page = browser.see("/sites/gate").await;
    let week = rows(&page, "投放次数");
    let cell = |hour: usize, weekday: usize| week[hour][1 + weekday].as_str();
    assert_eq!((week.len(), cell(8, 0), cell(8, 4), cell(10, 0), cell(19, 4)), (24, "1", "1", "1", "1"));
    let sum = |hour: &Vec<String>| hour[1..].iter().map(|cell| cell.parse::<u64>().unwrap()).sum::<u64>();
    let hours = api.get("sites/gate/hours").await.body;
    for (hour, row) in week.iter().enumerate() {
        assert_eq!(hours["hours"][hour]["deposits"], sum(row), "{hour}");
    }
    let friday = browser.see("/sites/gate?from=2026-11-20&to=2026-11-20").await;
    assert_eq!(rows(&friday, "投放次数").iter().map(sum).sum::<u64>(), 3);
    let reversed = browser.see("/sites/gate?from=2026-11-21&to=2026-11-20").await;
    assert!(reversed.contains("role=\"alert\"") && reversed.contains("最近 28 天"), "{reversed}");
    // The newest first.
    let told = page.split("最近的动静").nth(1).unwrap();
    assert!(told.find("10:05").unwrap() < told.find("19:30").unwrap(), "{told}");
}

#[tokio::test]
async fn other_hours_are_tried_out_and_taken_over() {
    let api = with_deposits().await;
    let browser = operator(&api).await;
    let page = browser.see(&format!("/sites/gate?{EVENING}")).await;
    let answer = api
        .post(
            "sites/gate/schedule/what-if",
            json!({"weekly": [
                {"days": ["mon", "fri"], "open": "08:00", "close": "09:00"},
                {"days": ["fri"], "open": "19:00", "close": "20:00"},
                {"days": ["mon"], "open": "10:00", "close": "11:00", "makeup": true}]}),
        )
        .await
        .body;
    assert_eq!(
        (&answer["proposed"]["in_window"], &answer["proposed"]["makeup"], &answer["proposed"]["off_hours"]),
        (&json!(3), &json!(1), &json!(1))
    );
    let shown = rows(&page, "试算结果");
    assert_eq!(shown[0][1..], ["60.0% 3", "60.0% 3"], "{shown:?}");
    assert_eq!(shown[1][1..], ["0.0% 0", "20.0% 1"], "{shown:?}");
    assert_eq!(shown[2][1..], ["40.0% 2", "20.0% 1"], "{shown:?}");
    let link = page.split("href=\"/sites/gate/schedule?").nth(1).expect("a way on").split('"').next().unwrap();
    let editor = browser.see(&format!("/sites/gate/schedule?{}", link.replace("&amp;", "&"))).await;
    for field in ["name=\"w1-open\" type=\"time\" value=\"19:00\"", "name=\"w2-makeup\" value=\"yes\" checked"] {
        assert!(editor.contains(field), "{field}: {editor}");
    }
    let member = Browser::signed_in(&api, "member", Some("north"), &[Role::Organization]).await;
    let tried = member.see(&format!("/sites/gate?{EVENING}")).await;
    assert!(tried.contains("试算结果") && !tried.contains("采用这些时段"), "it tries, and takes nothing over");
    let wrong = browser.see("/sites/gate?w0-days=mon&w0-open=10:00&w0-close=09:00").await;
    assert!(wrong.contains("href=\"#w0-open\"") && wrong.contains("关闭时间要晚于开放时间"), "{wrong}");
    assert_eq!(api.get("sites/gate/schedule").await.body["versions"], json!([]), "nothing was changed by any of it");
}

/// What a schedule's form sends, with some of it otherwise.
async fn save(browser: &Browser, other: &[(&str, &str)]) -> Shown {
    let mut fields = vec![
        ("valid_from", "2026-12-01"),
        ("reason", "冬天天黑得早 <script>alert(1)</script>"),
        ("met", "2026-11-18"),
        ("note", "二号楼建议晚上延长 🌙 \u{5d0}"),
        ("w0-days", "mon"),
        ("w0-days", "sun"),
        ("w0-open", "18:00"),
        ("w0-close", "00:00"),
        ("w0-streams", "food"),
        ("w0-makeup", "yes"),
        ("d0-date", "2027-01-01"),
    ];
    fields.retain(|(name, _)| !other.iter().any(|(other, _)| other == name));
    fields.extend(other);
    browser.submit("/sites/gate/schedule", "/sites/gate/schedule", &fields).await
}

#[tokio::test]
async fn new_hours_are_stored_with_why_and_the_meeting_that_agreed_on_them() {
    let api = Api::with_registry().await;
    let browser = operator(&api).await;
    assert!(browser.see("/sites/gate/schedule").await.contains("还没有设置过"));
    let saved = save(&browser, &[]).await;
    assert_eq!((saved.status, saved.location.as_deref()), (StatusCode::SEE_OTHER, Some("/sites/gate/schedule")));
    let stored = api.get("sites/gate/schedule").await.body["versions"][0].clone();
    assert_eq!(
        stored,
        json!({"valid_from": "2026-12-01", "reason": "冬天天黑得早 <script>alert(1)</script>",
               "meeting": {"date": "2026-11-18", "note": "二号楼建议晚上延长 🌙 \u{5d0}"},
               "weekly": [{"days": ["mon", "sun"], "open": "18:00", "close": "24:00", "streams": ["food"], "makeup": true}],
               "dates": [{"date": "2027-01-01", "windows": []}]})
    );
    let shown = browser.see("/sites/gate/schedule").await;
    for words in ["2026年12月1日", "2026年11月18日", "延长 🌙", "&lt;script&gt;", "18:00–24:00", "全天不开放", "将生效"]
    {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("<script>alert"));
    let member = Browser::signed_in(&api, "member", Some("north"), &[Role::Organization]).await;
    let read = member.see("/sites/gate/schedule").await;
    assert!(read.contains("18:00–24:00") && !read.contains("name=\"valid_from\""), "it reads and does not write");
    let token = crate::support::pages::csrf(&member.see("/sites/gate").await);
    let forbidden = member.send("/sites/gate/schedule", &[("csrf", &token), ("valid_from", "2026-12-02")]).await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    let without = browser.send("/sites/gate/schedule", &[("valid_from", "2026-12-02")]).await;
    assert_eq!(without.status, StatusCode::FORBIDDEN, "a form without its token");
}

#[tokio::test]
async fn what_is_wrong_with_new_hours_is_said_at_its_field_and_what_was_typed_stays() {
    let api = Api::with_registry().await;
    let mut browser = operator(&api).await;
    for (other, field, words) in [
        ([("valid_from", "morgen")], "valid_from", "请选择日期"),
        ([("w0-close", "17:00")], "w0-open", "关闭时间要晚于开放时间"),
        ([("w0-close", "")], "w0-open", "开放和关闭的时间都填上"),
        ([("w0-days", "")], "w0-days", "请至少选一天"),
        ([("met", "")], "met", "请填写会议的日期"),
        ([("d0-open", "10:00")], "d0-open", "开放和关闭的时间都填上"),
    ] {
        let shown = save(&browser, &other).await;
        assert_eq!(shown.status, StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
        let body = shown.body;
        assert!(body.contains(&format!("href=\"#{field}\"")) && body.contains(words), "{other:?}: {body}");
        assert!(body.contains(&format!("id=\"{field}\"")), "the link leads somewhere: {field}");
        assert!(body.contains("延长 🌙"), "what was typed stays");
    }
    browser.english();
    let shown = save(&browser, &[("w0-close", "17:00")]).await.body;
    assert!(shown.contains("It must close after it opens") && !shown.contains("关闭时间"), "{shown}");
    assert_eq!(api.get("sites/gate/schedule").await.body["versions"], json!([]), "none of it was stored");
    let more = save(&browser, &[("add", "w")]).await;
    assert_eq!(more.status, StatusCode::OK);
    assert!(more.body.contains("name=\"w2-open\"") && more.body.contains("value=\"18:00\""), "two more rows");
}

#[tokio::test]
async fn a_site_is_opened_now_and_that_is_ended() {
    let api = Api::with_registry().await;
    let browser = operator(&api).await;
    let refused =
        browser.submit("/sites/gate", "/sites/gate/openings", &[("reason", "车晚到"), ("minutes", "0")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("href=\"#minutes\"") && refused.body.contains("车晚到"), "{refused:?}");
    let opened =
        browser.submit("/sites/gate", "/sites/gate/openings", &[("reason", "车晚到"), ("minutes", "45")]).await;
    assert_eq!((opened.status, opened.location.as_deref()), (StatusCode::SEE_OTHER, Some("/sites/gate")));
    let page = browser.see("/sites/gate").await;
    assert!(page.contains("临时开放") && page.contains("2026年11月23日 12:45"), "{page}");
    let member = Browser::signed_in(&api, "member", Some("north"), &[Role::Organization]).await;
    let seen = member.see("/sites/gate").await;
    assert!(seen.contains("12:45") && !seen.contains("/openings/"), "it sees, and does nothing: {seen}");
    let id = api.get("sites/gate/openings").await.body["items"][0]["id"].clone();
    let path = format!("/sites/gate/openings/{id}/end");
    assert_eq!(member.submit("/sites/gate", &path, &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.submit("/sites/gate", &path, &[]).await.status, StatusCode::SEE_OTHER);
    let after = browser.see("/sites/gate").await;
    assert!(after.contains("未开放") && !after.contains("/end\""), "{after}");
}
