//! Awareness, the doorstep list, and visits that come from a file.

use fenlei::domain::registry::Role;
use fenlei::sheets::{self, Cell, Table};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::api::{Api, deposit, instant};
use crate::support::pages::Browser;

const AWARENESS: &str = "/communities/garden/awareness";
/// The four weeks up to the day of the tests.
const WEEKS: &str = "/communities/garden/awareness?from=2026-10-27&to=2026-11-23";
const DOORSTEP: &str = "/communities/garden/doorstep";
const IMPORT: &str = "/communities/garden/visits/import";
const CHECK: &str = "/communities/garden/visits/check";

/// Four households in three buildings: one took part, one was asked, one refused, and one nobody met.
async fn lived_in() -> Api {
    let api = Api::with_registry().await;
    let row = |id: &str, building: Value| json!({"household": id, "building": building, "enrolled_from": "2026-01-01", "cards": [format!("card-{id}")]});
    let rows = json!([
        row("h1", json!("10号楼")),
        row("h2", json!("2号楼")),
        row("h3", json!("2号楼")),
        row("h4", json!("<b>\u{202e}楼</b>"))
    ]);
    assert_eq!(api.post("communities/garden/households", rows).await.status, StatusCode::OK);
    api.publish("gate/bin/bin-1", json!([deposit(1, "2026-11-17T08:30:00+08:00", "card-h1")])).await.unwrap();
    let visits = json!([
        {"household": "h1", "date": "2026-11-20", "kind": "survey", "outcome": "answered", "claimed": true, "tested": false},
        {"household": "h2", "date": "2026-11-20", "kind": "survey", "outcome": "answered", "claimed": true, "tested": true},
        {"household": "h3", "date": "2026-10-02", "kind": "visit", "outcome": "refused"},
    ]);
    assert_eq!(api.post("communities/garden/visits", visits).await.status, StatusCode::OK);
    api
}

async fn audited(api: &Api, who: &'static str) -> Vec<String> {
    let looks = api.store.read(move |connection| {
        let mut select =
            connection.prepare("SELECT action FROM audit WHERE who = ?1 AND subject = 'garden' ORDER BY id")?;
        let looks = select.query_map([who], |row| row.get::<_, String>(0))?;
        Ok(looks.collect::<Result<Vec<_>, _>>()?)
    });
    looks.await.unwrap()
}

/// A page without what differs from one visit to the next, and without what stands only for spacing.
fn squeezed(page: &str) -> String {
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn claimed_and_tested_stand_apart_and_are_the_figures_of_the_api() {
    let api = lived_in().await;
    let mut browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let figure = api.get("communities/garden/awareness").await.body;
    assert_eq!((&figure["claimed"]["rate"], &figure["tested"]["rate"]), (&json!(1.0), &json!(0.5)));
    let page = browser.see(WEEKS).await;
    let percent = |rate: &Value| format!("{:.1}%", rate.as_f64().unwrap() * 100.0);
    for kind in ["claimed", "tested"] {
        let one = &figure[kind];
        let (low, high) = (percent(&one["low"]), percent(&one["high"]));
        assert!(page.contains(&percent(&one["rate"])) && page.contains(&format!("{low}–{high}")), "{kind}: {page}");
    }
    assert!(page.contains("2 户回答,其中 1 户知道;全小区 4 户"), "{page}");
    assert!(page.contains("2026年10月27日–11月23日"), "a rate has its period");
    // Unless a period is asked for it is the one of the overview: since the project began.
    let project = json!({"community": "garden", "organization": "north", "starts": "2026-10-01",
                         "targets": {"participation": 0.7, "awareness": 0.9}});
    assert_eq!(api.put("projects/trial", project).await.status, StatusCode::CREATED);
    let usual = browser.see(AWARENESS).await;
    assert!(usual.contains("2026年10月1日–11月23日") && usual.contains("90.0%") && !page.contains("90.0%"), "{usual}");
    browser.english();
    let earlier = browser.see(&format!("{AWARENESS}?from=2026-10-01&to=2026-10-31")).await;
    assert!(earlier.contains("0 of 0 who answered; 4 households in all") && earlier.contains("Nobody was asked"));
    assert!(earlier.contains("1 households"), "who refused is counted apart: {earlier}");
}

#[tokio::test]
async fn the_months_and_the_buildings_that_nobody_went_to() {
    let api = lived_in().await;
    let browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let page = squeezed(&browser.see(WEEKS).await);
    assert!(page.contains("没有走访过的楼栋 <strong>1</strong> / 3"), "{page}");
    let rows: Vec<_> = page.split("<caption>各楼栋走访户数").nth(1).unwrap().split("<tr>").skip(2).take(3).collect();
    assert!(rows[0].contains("2号楼") && rows[0].contains("50.0%"), "{rows:?}");
    assert!(rows[1].contains("10号楼") && rows[1].contains("全部走访过"), "{rows:?}");
    assert!(rows[2].contains("&lt;b&gt;") && rows[2].contains("没有走访过"), "{rows:?}");
    let november = page.split("2026年11月</th>").nth(1).unwrap().split("</tr>").next().unwrap();
    assert!(november.contains("2 / 2") && november.contains("1 / 2"), "{november}");
    let october = page.split("2026年10月</th>").nth(1).unwrap().split("</tr>").next().unwrap();
    assert!(october.contains("0 / 0") && october.contains(">1<"), "{october}");
    assert!(!page.contains(">h1<") && !page.contains(">h3<"), "no household is named here");
    assert_eq!(audited(&api, "account:wang").await, [] as [String; 0], "nothing that would have to be on record");
}

#[tokio::test]
async fn a_period_that_is_none_is_said_and_nothing_breaks() {
    let api = lived_in().await;
    let browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    for page in [AWARENESS, DOORSTEP] {
        let reversed = browser.get(&format!("{page}?which=absent&from=2026-11-20&to=2026-11-01")).await;
        assert_eq!(reversed.status, StatusCode::UNPROCESSABLE_ENTITY, "{page}");
        assert!(reversed.body.contains("开始日期要在结束日期之前") && reversed.body.contains("role=\"alert\""));
        assert!(!reversed.body.contains(">h3<"));
    }
    assert_eq!(browser.get(&format!("{DOORSTEP}.csv?which=absent&from=x")).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.get(&format!("{DOORSTEP}.csv")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_doorstep_list_is_shown_to_who_asks_and_each_look_is_on_record() {
    let api = lived_in().await;
    let mut browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let asked = browser.see(DOORSTEP).await;
    assert!(asked.contains("都记入操作记录") && !asked.contains(">h2<"), "{asked}");
    assert_eq!(audited(&api, "account:wang").await, [] as [String; 0]);
    for (which, expected) in
        [("absent", vec!["h2", "h3", "h4"]), ("unvisited", vec!["h3", "h4"]), ("both", vec!["h3", "h4"])]
    {
        let list = browser.see(&format!("{DOORSTEP}?which={which}&from=2026-11-16&to=2026-11-22")).await;
        let named: Vec<_> =
            ["h1", "h2", "h3", "h4"].into_iter().filter(|id| list.contains(&format!(">{id}</th>"))).collect();
        assert_eq!(named, expected, "{which}");
    }
    assert_eq!(audited(&api, "account:wang").await, ["households.doorstep"; 3]);
    let file = browser.get(&format!("{DOORSTEP}.csv?which=unvisited&from=2026-11-16&to=2026-11-22")).await;
    assert_eq!(
        (file.status, file.headers["content-type"].to_str().unwrap()),
        (StatusCode::OK, "text/csv; charset=utf-8")
    );
    assert_eq!(file.headers["cache-control"], "no-store");
    assert!(file.headers["content-disposition"].to_str().unwrap().contains("doorstep-garden-unvisited"));
    assert_eq!(
        file.body.trim_start_matches('\u{feff}'),
        "楼栋,住户,登记自\r\n2号楼,h3,2026-01-01\r\n<b>\u{202e}楼</b>,h4,2026-01-01\r\n"
    );
    let book = browser.get(&format!("{DOORSTEP}.xlsx?which=absent")).await;
    assert_eq!(book.status, StatusCode::OK);
    assert!(book.body.starts_with("PK"));
    assert_eq!(audited(&api, "account:wang").await, ["households.doorstep"; 5]);
    browser.english();
    let english = browser.see(&format!("{DOORSTEP}?which=absent")).await;
    assert!(english.contains("is on record") && english.contains("did not take part") && english.contains("&lt;b&gt;"));
}

#[tokio::test]
async fn a_long_list_is_shown_a_page_at_a_time_and_leaves_as_a_whole() {
    let api = Api::with_registry().await;
    let row = |number| json!({"household": format!("n{number}"), "building": format!("{}号楼", number % 3), "enrolled_from": "2026-01-01", "cards": []});
    api.post("communities/garden/households", (1..=1_100).map(row).collect()).await;
    let browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let list = format!("{DOORSTEP}?which=both");
    let count = |page: &str| page.matches("<th scope=\"row\">n").count();
    let pages = [
        browser.see(&list).await,
        browser.see(&format!("{list}&page=2")).await,
        browser.see(&format!("{list}&page=3")).await,
    ];
    assert_eq!(pages.each_ref().map(|page| count(page)), [500, 500, 100]);
    assert!(pages[0].contains("<strong>1100</strong>") && pages[0].contains("page=3\">3</a>"), "{}", pages[0]);
    assert!(pages.iter().all(|page| page.len() < 100_000), "light enough for a phone");
    let (third, twelfth) = (pages[0].find(">n3<").unwrap(), pages[0].find(">n12<").unwrap());
    assert!(third < twelfth, "by number within a building");
    assert_eq!(count(&browser.see(&format!("{list}&page=99")).await), 0);
    let file = browser.get(&format!("{DOORSTEP}.csv?which=both")).await;
    assert_eq!(file.body.lines().count(), 1_101);
}

#[tokio::test]
async fn who_may_not_see_a_community_finds_none_of_its_pages() {
    let api = lived_in().await;
    let south = Browser::signed_in(&api, "south", Some("south"), &[Role::Organization]).await;
    let scheduler = Browser::signed_in(&api, "scheduler", None, &[Role::Scheduler]).await;
    let operator = Browser::signed_in(&api, "operator", None, &[Role::Operator]).await;
    let (csv, xlsx) = (format!("{DOORSTEP}.csv?which=both"), format!("{DOORSTEP}.xlsx?which=both"));
    for page in [AWARENESS, DOORSTEP, &csv, &xlsx, IMPORT] {
        assert_eq!(south.get(page).await.status, StatusCode::NOT_FOUND, "{page}");
        assert_eq!(scheduler.get(page).await.status, StatusCode::NOT_FOUND, "{page}");
        let expected = if page == IMPORT { StatusCode::FORBIDDEN } else { StatusCode::OK };
        assert_eq!(operator.get(page).await.status, expected, "{page}");
    }
}

const HEADER: &str = "household,date,kind,outcome,claimed,tested\n";

#[tokio::test]
async fn a_file_is_checked_before_anything_is_stored_and_stored_as_it_was_checked() {
    let api = lived_in().await;
    let browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let before = api.get("communities/garden/visits").await.body;
    let file = format!("{HEADER}h4,2026-11-21,survey,answered,是,否\nh3,2026-11-21,visit,absent,,\n");
    let checked = browser.upload(IMPORT, CHECK, &[("file", &file)]).await;
    assert_eq!(checked.status, StatusCode::OK, "{checked:?}");
    assert!(squeezed(&checked.body).contains("共 <strong>2</strong> 条记录。还没有保存。"), "{}", checked.body);
    assert!(checked.body.contains("不在家") && checked.body.contains(">h4</th>"));
    assert_eq!(api.get("communities/garden/visits").await.body, before, "checking stores nothing");
    let content = checked.body.split("name=\"content\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let stored = browser.upload(IMPORT, IMPORT, &[("content", content)]).await;
    assert_eq!(stored.location.as_deref(), Some("/communities/garden/visits/import?recorded=2"), "{stored:?}");
    assert_eq!(api.get("communities/garden/visits").await.each("household"), ["h1", "h2", "h3", "h4", "h3"]);
    assert_eq!(audited(&api, "account:wang").await, ["visits.record"]);
    assert!(browser.see("/communities/garden/visits/import?recorded=2").await.contains("已导入"));
    let broken = browser.upload(IMPORT, IMPORT, &[("content", "?")]).await;
    assert_eq!(broken.status, StatusCode::BAD_REQUEST);
    let without = browser.send(IMPORT, &[("content", content)]).await;
    assert!(without.status.is_client_error() && without.location.is_none(), "{without:?}");
}

#[tokio::test]
async fn a_workbook_is_read_like_csv_with_the_rows_that_excel_shows() {
    let api = lived_in().await;
    let browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let book = |household: &str| {
        let day: chrono::NaiveDate = "2026-11-21".parse().unwrap();
        let row = vec![household.into(), Cell::Date(day), "survey".into(), "answered".into(), "是".into(), Cell::Empty];
        let columns = HEADER.trim().split(',').map(str::to_owned).collect();
        sheets::xlsx(
            &[Table { title: "t".to_owned(), columns, rows: vec![row] }],
            instant("2026-11-23T12:00:00Z").into(),
        )
        .unwrap()
    };
    let checked = browser.upload_bytes(IMPORT, CHECK, &[("file", &book("h4"))]).await;
    assert_eq!(checked.status, StatusCode::OK, "{checked:?}");
    assert!(checked.body.contains("2026年11月21日") && checked.body.contains(">h4</th>"), "{}", checked.body);
    let refused = browser.upload_bytes(IMPORT, CHECK, &[("file", &book("nobody"))]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("<td>2</td><td>小区名单里没有这一户"), "{}", refused.body);
}

#[tokio::test]
async fn every_bad_row_of_a_file_is_named_in_both_languages() {
    let api = lived_in().await;
    let mut browser = Browser::signed_in(&api, "wang", Some("north"), &[Role::Organization]).await;
    let file = format!(
        "{HEADER}h4,2026-11-24,survey,answered,true,\nnobody,2026-11-21,visit,absent,,\nh3,2026-11-21,visit,absent,true,\n\
         h3,21.11.2026,call,gone,maybe,\n,2026-11-21,visit,absent,,\nh3,2026-11-21\n"
    );
    let refused = browser.upload(IMPORT, CHECK, &[("file", &file)]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    for words in [
        "date 在将来",
        "没有这一户",
        "只有结果是 answered",
        "kind 请填",
        "outcome 请填",
        "claimed 请填",
        "date 请写成",
        "household 没有填",
        "列数",
    ] {
        assert!(refused.body.contains(words), "{words}: {}", refused.body);
    }
    assert!(!refused.body.contains("lang=\"en\">`"), "all of it is told in Chinese: {}", refused.body);
    assert!(!refused.body.contains("name=\"content\""), "there is nothing to store");
    for file in ["", "household;date\n", "household,date,kind\n"] {
        let refused = browser.upload(IMPORT, CHECK, &[("file", file)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{file:?}");
        assert!(refused.body.contains("第一行"), "{file:?}: {}", refused.body);
    }
    browser.english();
    let english = browser.upload(IMPORT, CHECK, &[("file", &file)]).await;
    assert!(english.body.contains("Nothing was stored") && english.body.contains("must be visit or survey"));
}
