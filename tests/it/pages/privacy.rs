//! What is kept of people, for anybody to read.

use reqwest::StatusCode;

use crate::support::api::Api;
use crate::support::pages::Browser;

#[tokio::test]
async fn anybody_reads_what_is_kept_in_both_languages_with_the_periods_that_are_set() {
    let api = Api::start().await;
    let mut browser = Browser::new(&api);
    assert!(browser.see("/sign-in").await.contains("href=\"/privacy\""));
    let shown = browser.see("/privacy").await;
    assert!(shown.contains("<h1>个人信息处理说明</h1>") && shown.contains("第二十九条"), "{shown}");
    assert!(shown.contains("未设期限"), "what nobody has set is said to be open");
    let english = browser.get("/language/en?back=/privacy").await;
    assert_eq!(english.status, StatusCode::SEE_OTHER);
    browser.keep(&english);
    let shown = browser.see("/privacy").await;
    assert!(shown.contains("What is kept of people") && shown.contains("legal basis (article 13"), "{shown}");
}
