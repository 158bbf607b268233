//! The figures as people see them: the same as the API's, with what they are made of, for those who may.

use std::io::{Cursor, Read};

use fenlei::domain::alarms::{Cause, Kind};
use fenlei::domain::registry::Role;
use fenlei::store::{StoreError, alarms};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::api::{Api, deposit};
use crate::support::pages::Browser;

const NAME: &str = "<script>alert(1)</script> \u{202e}\u{5d0} 🗑";

/// Last week (16–22 November) 3 of 4 households took part, the week before 2, and two were asked since 1 October.
async fn garden() -> Api {
    let api = Api::with_registry().await;
    let rows: Vec<_> = (1..=4)
        .map(|number| json!({"household": format!("secret-h{number}"), "enrolled_from": "2026-01-01", "cards": [format!("card-{number}")]}))
        .collect();
    assert_eq!(api.post("communities/garden/households", json!(rows)).await.status, StatusCode::OK);
    let project = json!({"community": "garden", "organization": "north", "starts": "2026-11-16",
                         "targets": {"participation": 0.8, "awareness": 1.0}});
    assert_eq!(api.put("projects/garden-2026", project).await.status, StatusCode::CREATED);
    let judged = |seq, time, card, verdict: &str| {
        let mut event = deposit(seq, time, card);
        event["verdict"] = verdict.into();
        event
    };
    let events = json!([
        judged(1, "2026-11-10T08:10:00+08:00", "card-1", "correct"),
        judged(2, "2026-11-11T08:10:00+08:00", "card-2", "incorrect"),
        judged(3, "2026-11-17T08:10:00+08:00", "card-1", "correct"),
        judged(4, "2026-11-17T17:20:00+08:00", "card-2", "incorrect"),
        judged(5, "2026-11-18T08:10:00+08:00", "card-3", "correct"),
        deposit(6, "2026-11-19T12:00:00+08:00", "nobody's"),
        deposit(7, "2026-11-23T08:30:00+08:00", "card-4"),
    ]);
    api.publish("gate/bin/bin-1", events).await.unwrap();
    let visit = |household: &str, tested| json!({"household": household, "date": "2026-11-20", "kind": "survey", "outcome": "answered", "claimed": true, "tested": tested});
    let visits = json!([visit("secret-h1", true), visit("secret-h2", false),
                        {"household": "secret-h3", "date": "2026-11-20", "kind": "visit", "outcome": "absent"}]);
    assert_eq!(api.post("communities/garden/visits", visits).await.status, StatusCode::OK);
    let hours = json!({"valid_from": "2026-11-20", "reason": "居民会议 <b>同意</b>",
                       "weekly": [{"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "open": "08:00", "close": "09:00"},
                                  {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "open": "17:00", "close": "18:00"}]});
    assert_eq!(api.put("sites/gate/schedule", hours).await.status, StatusCode::OK);
    api
}

async fn organization(api: &Api) -> Browser {
    Browser::signed_in(api, "王丽", Some("north"), &[Role::Organization]).await
}

/// What a page says, without its markup, in one line.
fn words(page: &str) -> String {
    let text = page.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
    text.collect::<Vec<_>>().join("").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn all_told(page: &str, told: &[&str]) {
    for told in told {
        assert!(page.contains(told), "{told} is missing of:\n{page}");
    }
}

#[tokio::test]
async fn the_overview_tells_each_figure_with_what_it_is_made_of() {
    let api = garden().await;
    let mut browser = organization(&api).await;
    let page = words(&browser.see("/").await);
    all_told(
        &page,
        &[
            "上周:2026年11月16日–11月22日",
            "知晓率:2026年11月16日项目开始以来",
            "参与率75.0%3 / 4 户比前一周上升 25.0 个百分点低于目标 80.0%",
            "正确参与率50.0%2 / 4 户比前一周上升 25.0 个百分点",
            "知晓率(测试)50.0%1 / 2 户受访全部 4 户的 95% 区间:",
            "知晓率(自述)100.0%2 / 2 户受访",
            "达到目标 100.0%",
            "准确率66.7%2 / 3 次有判定的投放比前一周上升 16.7 个百分点",
            "非开放时段占比25.0%1 / 4 次投放",
            "上周参与率低于目标:花园小区",
            "2 台设备中 2 台离线",
        ],
    );
    assert!(!page.contains("河滨小区") && !page.contains("还没有知晓率问卷"), "{page}");
    browser.english();
    let page = words(&browser.see("/").await);
    all_told(&page, &["Participation75.0%3 / 4 households", "up 25.0 points on the week before", "below target 80.0%"]);
    // Later on nobody has observed the week before, and a week on that one is compared with nothing.
    api.clock.set("2026-12-14T12:00:00+08:00".parse().unwrap());
    api.publish("gate/bin/bin-1", deposit(8, "2026-12-08T08:10:00+08:00", "card-1")).await.unwrap();
    let browser = Browser::signed_in(&api, "李明", Some("north"), &[Role::Organization]).await;
    let later = words(&browser.see("/").await);
    all_told(&later, &["参与率25.0%1 / 4 户前一周没有可比的数低于目标 80.0%"]);
}

#[tokio::test]
async fn what_needs_attention_leads_to_where_it_is_seen_to() {
    let api = garden().await;
    api.publish("quay/bin/bin-2", deposit(3, "2026-11-23T08:30:00+08:00", "card-9")).await.unwrap();
    let fires = api.store.write(|session| {
        for (device, at) in [("bin-1", 1), ("bin-2", 2)] {
            let (device, site, _) = session.registry.place(device).unwrap();
            alarms::note(session.connection, (site.key, Some(device.key)), Cause::Holds(Kind::Fire), at)?;
        }
        Ok::<_, StoreError>(())
    });
    fires.await.unwrap();
    let browser = organization(&api).await;
    let page = browser.see("/").await;
    for link in [
        "<a href=\"/alarms\">1 条未解除的告警(紧急)</a>",
        "<a href=\"/fleet\">2 台设备中 2 台离线</a>",
        "<a href=\"/communities/garden\"><bdi>花园小区</bdi></a>",
    ] {
        assert!(page.contains(link), "{link}: {page}");
    }
    assert!(!page.contains("数据缺失"), "what is missing is at another's bin: {page}");
    let all = Browser::signed_in(&api, "root", None, &[Role::Admin]).await.see("/").await;
    assert!(all.contains("1 台设备有数据缺失") && all.contains("2 条未解除的告警(紧急)"), "{all}");
    assert!(all.contains("id=\"attention\"") && all.contains("data-live") && all.contains("/assets/live.js"));
}

#[tokio::test]
async fn who_only_schedules_goes_to_the_projectors_and_who_reads_nothing_is_told() {
    let api = garden().await;
    let scheduler = Browser::signed_in(&api, "s", Some("north"), &[Role::Scheduler]).await;
    let sent = scheduler.get("/").await;
    assert_eq!((sent.status, sent.location.as_deref()), (StatusCode::SEE_OTHER, Some("/projectors")));
    for path in ["/communities/garden", "/communities/garden/ledger", "/communities/garden/report"] {
        assert_eq!(scheduler.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let linkage = Browser::signed_in(&api, "l", Some("north"), &[Role::Linkage]).await;
    assert!(linkage.see("/").await.contains("您的账号没有可以查看的页面"));
    let nowhere = Browser::signed_in(&api, "n", Some("south"), &[Role::Organization]).await;
    for path in [
        "/communities/garden",
        "/communities/garden/ledger",
        "/communities/garden/report",
        "/communities/garden/report.xlsx",
        "/communities/garden/export/periods.csv",
        "/communities/nowhere",
    ] {
        assert_eq!(nowhere.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// The fields of a CSV without quotes, by line.
fn csv(body: &str) -> Vec<Vec<String>> {
    let lines = body.trim_start_matches('\u{feff}').lines();
    lines.map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn percent(rate: &Value) -> String {
    rate.as_f64().map_or_else(String::new, |rate| format!("{}%", (rate * 1e6).round() / 1e4))
}

#[tokio::test]
async fn the_table_of_periods_is_the_apis_and_is_exported() {
    let api = garden().await;
    let mut browser = organization(&api).await;
    browser.english();
    for (period, query) in [
        ("day", "period=day&from=2026-11-09&to=2026-11-23"),
        ("week", "period=week&from=2026-10-28&to=2026-11-23"),
        ("month", "period=month&from=2026-10-15&to=2026-11-23"),
    ] {
        let figures = api.get(&format!("communities/garden/participation?{query}")).await.body;
        let page = words(&browser.see(&format!("/communities/garden?{query}")).await);
        let file = browser.get(&format!("/communities/garden/export/periods.csv?{query}")).await;
        assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
        assert!(file.body.starts_with('\u{feff}'), "Excel needs it: {}", file.body);
        let rows = csv(&file.body);
        let periods = figures["periods"].as_array().unwrap();
        assert_eq!(rows.len(), periods.len() + 1, "{period}");
        assert_eq!(rows[0][..4], ["From", "To", "Households", "Participating"]);
        for (row, told) in rows[1..].iter().zip(periods) {
            let number = |field: &Value| field.to_string();
            assert_eq!(row[0], told["from"].as_str().unwrap());
            assert_eq!(row[2], number(&told["households"]));
            assert_eq!(row[3], number(&told["participating"]));
            assert_eq!(row[4], percent(&told["participation_rate"]), "{row:?}");
            assert_eq!(row[5], number(&told["correct_participating"]));
            assert_eq!(row[8], number(&told["windows"]["scheduled"]));
            assert_eq!(row[9], number(&told["windows"]["observed"]));
        }
        assert_eq!(rows.last().unwrap()[10], "under way");
        assert!(page.contains("not all windows observed"), "{page}");
    }
    let week = words(&browser.see("/communities/garden?period=week&from=2026-11-16&to=2026-11-22").await);
    assert!(week.contains("16 Nov–22 Nov 20264375.0%250.0%"), "{week}");
}

#[tokio::test]
async fn a_community_is_told_with_where_it_came_from() {
    let api = garden().await;
    let browser = organization(&api).await;
    let page = browser.see("/communities/garden?from=2026-11-16&to=2026-11-22").await;
    let told = words(&page);
    assert!(told.contains("今天到现在参与户1 / 4 户 (25.0%)"), "{told}");
    // Definition, numerator, denominator, result.
    assert!(told.contains("期间至少一次在开放时段或误时时段投放的在册户 ÷ 期末在册户3475.0%"), "{told}");
    assert!(told.contains("参与率只是下限3475.0%"), "three of four deposits were identified: {told}");
    assert!(told.contains("项目于 2026年11月16日 开始。"), "{told}");
    assert!(told.contains("参与率50.0%75.0%比项目开始前上升 25.0 个百分点"), "{told}");
    for link in [
        "href=\"/communities/garden/ledger?from=2026-11-16&amp;to=2026-11-22\"",
        "href=\"/sites/gate\"",
        "href=\"/communities/garden/awareness\"",
        "href=\"/communities/garden/report\"",
        "href=\"/board/garden?lang=zh\"",
    ] {
        assert!(page.contains(link), "{link}: {page}");
    }
    assert!(page.contains("class=\"unobserved\""), "windows without a bin are marked in the chart: {page}");
    assert!(!page.contains("secret-h"), "no household is named: {page}");
}

#[tokio::test]
async fn a_choice_that_cannot_be_shown_is_explained_and_the_last_weeks_stand_in() {
    let api = garden().await;
    let browser = organization(&api).await;
    for (query, told) in [
        ("from=2026-11-23&to=2026-11-22", "开始日期不能晚于结束日期"),
        ("from=gestern", "请按“年-月-日”填写日期"),
        ("period=hour", "请选择按日、按周或按月"),
        ("period=day&from=2026-01-01", "选择的时间太长"),
    ] {
        let shown = browser.get(&format!("/communities/garden?{query}")).await;
        assert_eq!(shown.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(shown.body.contains(told) && shown.body.contains("value=\"2026-09-28\""), "{query}: {}", shown.body);
        let export = browser.get(&format!("/communities/garden/export/periods.csv?{query}")).await;
        assert_eq!(export.status, StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(browser.get("/communities/garden/ledger?from=x").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    for month in ["2026-12", "2026-13", "x"] {
        let shown = browser.get(&format!("/communities/garden/report?month={month}")).await;
        assert_eq!(shown.status, StatusCode::UNPROCESSABLE_ENTITY, "{month}");
        assert!(shown.body.contains("2026年10月月报"), "{month}: {}", shown.body);
    }
    for table in ["nothing.csv", "periods", "periods.pdf", "all.csv"] {
        let shown = browser.get(&format!("/communities/garden/export/{table}")).await;
        assert_eq!(shown.status, StatusCode::NOT_FOUND, "{table}");
    }
}

#[tokio::test]
async fn the_ledger_lists_deposits_and_no_household() {
    let api = garden().await;
    let browser = organization(&api).await;
    let page = browser.see("/communities/garden/ledger?from=2026-11-17&to=2026-11-19").await;
    let told = words(&page);
    all_told(
        &told,
        &[
            "2026年11月17日 8:10东门bin-1厨余垃圾(湿垃圾)1000开放时段正确是",
            "2026年11月17日 17:20东门bin-1厨余垃圾(湿垃圾)1000开放时段有误是",
            "2026年11月19日 12:00东门bin-1厨余垃圾(湿垃圾)1000非开放时段未判定否",
        ],
    );
    assert!(!told.contains("11月23日") && !told.contains("11月11日"), "{told}");
    for hidden in ["card-", "secret-h", "nobody's"] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    // A household that moves in later is that of its deposits from then on.
    let row = json!([{"household": "secret-h5", "enrolled_from": "2026-11-01", "cards": ["nobody's"]}]);
    assert_eq!(api.post("communities/garden/households", row).await.status, StatusCode::OK);
    let told = words(&browser.see("/communities/garden/ledger?from=2026-11-19&to=2026-11-19").await);
    assert!(told.contains("非开放时段未判定是"), "{told}");
}

#[tokio::test]
async fn a_long_ledger_goes_on_from_page_to_page() {
    let api = garden().await;
    let events: Vec<_> = (10..130).map(|seq| deposit(seq, "2026-11-20T08:20:00+08:00", "card-1")).collect();
    api.publish("gate/bin/bin-1", json!(events)).await.unwrap();
    let browser = organization(&api).await;
    let first = browser.see("/communities/garden/ledger?from=2026-11-20&to=2026-11-20").await;
    assert_eq!(first.matches("8:20").count(), 100);
    let (_, rest) = first.split_once("rel=\"next\" href=\"").unwrap();
    let next = rest.split('"').next().unwrap().replace("&amp;", "&");
    let second = browser.see(&format!("/communities/garden/ledger{next}")).await;
    assert_eq!(second.matches("8:20").count(), 20);
    assert!(!second.contains("rel=\"next\""));
}

#[tokio::test]
async fn the_report_of_a_month_is_one_page_and_a_workbook() {
    let api = garden().await;
    let mut browser = organization(&api).await;
    let page = browser.see("/communities/garden/report?month=2026-11").await;
    let told = words(&page);
    all_told(
        &told,
        &[
            "花园小区 2026年11月月报",
            "本月未结束,数据截至今天",
            "参与率100.0%4 / 4 户达到目标 80.0%",
            "知晓率(测试)50.0%1 / 2 户受访",
            "2026年11月16日–11月22日3475.0%",
            "东门2026年11月20日居民会议 &lt;b&gt;同意&lt;/b&gt;",
            "走访1001",
            "问卷2200",
            "本月没有告警",
            "参与率44100.0%—上月没有可比的数",
            "指标定义第 1 版",
            "计算时间:2026年11月23日 12:00",
        ],
    );
    assert!(!page.contains("secret-h"), "{page}");
    let last = words(&browser.see("/communities/garden/report").await);
    assert!(last.contains("2026年10月月报"), "the last full month: {last}");
    browser.english();
    let request = browser.request(Method::GET, "/communities/garden/report.xlsx?month=2026-11");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"garden-report-2026-11.xlsx\"");
    let sheets = strings(&answer.bytes().await.unwrap());
    all_told(&sheets, &["Against the month before", "Participation", "居民会议", "In force from"]);
    let all = browser.request(Method::GET, "/communities/garden/export/all.xlsx").send().await.unwrap();
    all_told(&strings(&all.bytes().await.unwrap()), &["Households", "Weight (kg)", "Definition", "Before"]);
}

/// The texts and sheet names of a workbook.
fn strings(bytes: &[u8]) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut texts = String::new();
    for part in ["xl/sharedStrings.xml", "xl/workbook.xml"] {
        archive.by_name(part).unwrap().read_to_string(&mut texts).unwrap();
    }
    texts
}

#[tokio::test]
async fn names_are_text_whatever_they_hold() {
    let api = garden().await;
    api.put("communities/garden", json!({"name": NAME, "committee": "north"})).await;
    api.put("sites/gate", json!({"community": "garden", "name": NAME})).await;
    let browser = organization(&api).await;
    for path in ["/", "/communities/garden", "/communities/garden/ledger", "/communities/garden/report?month=2026-11"] {
        let page = browser.see(path).await;
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script>alert"),
            "{path}: {page}"
        );
    }
    let file = browser.get("/communities/garden/export/all.xlsx").await;
    assert!(file.headers["content-disposition"].to_str().unwrap().starts_with("attachment; filename=\"garden-all-"));
}

#[tokio::test]
async fn anybody_reads_the_definitions() {
    let api = garden().await;
    let mut browser = Browser::new(&api);
    let page = browser.see("/definitions").await;
    all_told(
        &page,
        &["定义版本:<strong>1</strong>", "知晓率", "[0.9483, 1.0000]", "[0.6174, 0.7714]", "[0.8581, 0.9929]"],
    );
    browser.english();
    assert!(browser.see("/definitions").await.contains("Set-out rate"));
    let signed_in = organization(&api).await.see("/definitions").await;
    assert!(signed_in.contains("aria-current=\"page\">指标说明</a>"), "{signed_in}");
}
