//! What projectors show, as people see it and ask for it.

use fenlei::domain::registry::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::projectors::line::{Line, answer, neighbourhood, set, until};
use crate::support::api::{Api, deposit};
use crate::support::pages::{Browser, csrf};

const NEW: &str = "/projectors/new";
const POST: &str = "/projectors/messages";

/// A daily message at the gate of the garden, changed where `changes` say so.
fn fields<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("text", "垃圾分类,因为你"),
        ("target", "site:gate"),
        ("when", "daily"),
        ("time", "18:30"),
        ("minutes", "60"),
        ("step", "send"),
    ];
    let kept = usual.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.chain(changes.iter().copied()).collect()
}

async fn messages(api: &Api) -> Vec<Value> {
    api.get("projectors/messages").await.body["items"].as_array().unwrap().clone()
}

async fn scheduler(api: &Api) -> Browser {
    Browser::signed_in(api, "pan", Some("north"), &[Role::Scheduler]).await
}

#[tokio::test]
async fn a_message_is_looked_at_published_and_taken_back() {
    let api = neighbourhood().await;
    let browser = scheduler(&api).await;
    let filled = [("text", "{community} {date} 谢谢大家"), ("step", "preview")];
    let preview = browser.submit(NEW, POST, &fields(&filled)).await;
    assert_eq!(preview.status, StatusCode::OK, "{preview:?}");
    assert!(preview.body.contains("花园小区 2026-11-23 谢谢大家"), "{}", preview.body);
    assert!(preview.body.contains("{community} {date} 谢谢大家"), "what was typed stays in the form");
    assert!(messages(&api).await.is_empty(), "a preview publishes nothing");

    let until = [("text", "{community} {date} 谢谢大家"), ("until", "2026-11-25")];
    let sent = browser.submit(NEW, POST, &fields(&until)).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{sent:?}");
    let stored = messages(&api).await;
    let [message] = stored.as_slice() else { panic!("{stored:?}") };
    assert_eq!(
        (&message["target"], &message["daily"], &message["until"]),
        (&json!({"site": "gate"}), &json!({"start": "18:30", "seconds": 3600}), &json!("2026-11-25"))
    );
    let path = format!("{POST}/{}", message["id"].as_str().unwrap());
    assert_eq!(sent.location.as_deref(), Some(path.as_str()));
    let shown = browser.see(&path).await;
    assert!(shown.contains("东门 · beam-1") && shown.contains("东门 · beam-2") && shown.contains("待发送"), "{shown}");
    let overview = browser.see("/projectors").await;
    assert_eq!(overview.matches("18:30–19:30").count(), 3, "on each of its days: {overview}");

    let ask = format!("{path}/delete");
    assert!(browser.see(&ask).await.contains("撤回后不再放映"));
    assert_eq!(messages(&api).await.len(), 1, "to ask changes nothing");
    let taken = browser.submit(&ask, &ask, &[]).await;
    assert_eq!(
        (taken.status, taken.location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/projectors?community=garden"))
    );
    assert!(messages(&api).await.is_empty());
    assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND);
    assert!(!browser.see("/projectors").await.contains("谢谢大家"));
}

#[tokio::test]
async fn each_kind_of_time_is_what_the_api_is_asked_for() {
    let api = neighbourhood().await;
    let place = json!({"community": "garden", "name": "东门", "latitude": 31.23, "longitude": 121.47});
    assert_eq!(api.put("sites/gate", place).await.status, StatusCode::OK);
    let browser = scheduler(&api).await;
    for (changes, name, wanted) in [
        (vec![("when", "now"), ("minutes", "10")], "seconds", json!(600)),
        // As the clock on the wall of the site has it.
        (vec![("when", "once"), ("date", "2026-11-24")], "at", json!("2026-11-24T10:30:00.000Z")),
        (vec![("when", "sunset"), ("offset", "-30")], "daily", json!({"start": "sunset-00:30", "seconds": 3600})),
        (vec![("target", "device:beam-2"), ("from", "2026-12-01")], "from", json!("2026-12-01")),
        (vec![("target", "community:garden")], "target", json!({"community": "garden"})),
    ] {
        let sent = browser.submit(NEW, POST, &fields(&changes)).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{changes:?}: {sent:?}");
        assert_eq!(messages(&api).await.last().unwrap()[name], wanted, "{changes:?}");
    }
}

#[tokio::test]
async fn mistakes_are_told_in_words_beside_what_was_typed() {
    let api = neighbourhood().await;
    let mut browser = scheduler(&api).await;
    let long = "垃".repeat(86);
    /// What is typed, the field that is named, and the words in both languages.
    type Mistake<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);
    let mistakes: [Mistake<'_>; 12] = [
        (&[("text", "")], "text", "1 到 256 字节", "1 to 256 bytes"),
        (&[("text", &long)], "text", "1 到 256 字节", "1 to 256 bytes"),
        (&[("text", "好😀")], "text", "第 2 个字符“😀”", "as its character 2"),
        (&[("text", "{awareness}")], "text", "没有 {awareness}", "{awareness}"),
        (&[("text", "a }")], "text", "花括号没有成对", "a brace without its partner"),
        (&[("target", "site:quay")], "target", "请选择在哪里放映", "Choose where"),
        (&[("minutes", "0")], "minutes", "1 到 1440", "1 to 1440"),
        (&[("time", "25:00")], "time", "请填开始时间", "Give the time"),
        (&[("when", "once"), ("date", "2026-11-20")], "date", "已经过去", "over already"),
        (&[("when", "sunset"), ("offset", "15")], "when", "没有登记经纬度", "no coordinates"),
        (&[("from", "2026-12-02"), ("until", "2026-12-01")], "until", "早于第一天", "before the first"),
        (&[("until", "2026-11-22")], "until", "已经过去", "over already"),
    ];
    for english in [false, true] {
        if english {
            browser.english();
        }
        for (changes, field, zh, en) in mistakes {
            let refused = browser.submit(NEW, POST, &fields(changes)).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{changes:?}");
            let words = if english { en } else { zh };
            assert!(refused.body.contains(words), "{changes:?}: {}", refused.body);
            assert!(refused.body.contains(&format!("href=\"#{field}\"")), "{changes:?} leads to the field");
            let text = fields(changes).iter().find(|(name, _)| *name == "text").unwrap().1;
            assert!(refused.body.contains(&format!("{text}</textarea>")), "{changes:?} keeps what was typed");
        }
    }
    assert!(messages(&api).await.is_empty());
}

#[tokio::test]
async fn who_only_reads_changes_nothing_and_sees_no_other_organizations() {
    let api = neighbourhood().await;
    api.put("devices/beam-9", json!({"site": "quay", "kind": "projector"})).await;
    let post = async |site: &str, text: &str| {
        let body = json!({"text": text, "target": {"site": site}});
        api.post("projectors/messages", body).await.body["id"].as_str().unwrap().to_owned()
    };
    let (own, foreign) = (post("gate", "大门的消息").await, post("quay", "码头的消息").await);
    let reader = Browser::signed_in(&api, "du", Some("north"), &[Role::Organization]).await;
    let (page, message) = (reader.see("/projectors").await, reader.see(&format!("{POST}/{own}")).await);
    assert!(page.contains("大门的消息") && !page.contains("码头"), "{page}");
    assert!(!page.contains(NEW) && !message.contains("/delete"), "nothing is offered that one may not do");
    let token = csrf(&page);
    let sent = fields(&[("csrf", &token)]);
    assert_eq!(reader.get(NEW).await.status, StatusCode::NOT_FOUND);
    assert_eq!(reader.send(POST, &sent).await.status, StatusCode::NOT_FOUND);
    let delete = format!("{POST}/{own}/delete");
    assert_eq!(reader.get(&delete).await.status, StatusCode::NOT_FOUND);
    assert_eq!(reader.send(&delete, &[("csrf", &token)]).await.status, StatusCode::FORBIDDEN);

    let browser = scheduler(&api).await;
    for path in [format!("{POST}/{foreign}"), format!("{POST}/{foreign}/delete"), "/projectors?community=river".into()]
    {
        assert_eq!(browser.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let delete = format!("{POST}/{foreign}/delete");
    assert_eq!(browser.submit(NEW, &delete, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.send(POST, &fields(&[])).await.status, StatusCode::FORBIDDEN, "a form without its token");
    assert_eq!(browser.send(&format!("{POST}/{own}/delete"), &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(messages(&api).await.len(), 2);

    let linkage = Browser::signed_in(&api, "lian", None, &[Role::Linkage]).await;
    for path in ["/projectors", NEW, &format!("{POST}/{own}")] {
        assert_eq!(linkage.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_shows_now_each_step_and_the_proof_are_the_projectors_own_word() {
    let api = neighbourhood().await;
    let mut line = Line::start(&api);
    let mut browser = scheduler(&api).await;
    browser.english();
    let now = fields(&[("when", "now"), ("target", "device:beam-1"), ("minutes", "30")]);
    let sent = browser.submit(NEW, POST, &now).await;
    let path = sent.location.unwrap();
    let (_, command) = line.command().await;
    answer(&api, "beam-1", 1, &command, "accepted").await;
    answer(&api, "beam-1", 2, &command, "displayed").await;
    until(&api, path.rsplit('/').next().unwrap(), |message| message["commands"][0]["state"] == "displayed").await;
    set(&api, "23T12:20");
    let page = browser.see("/projectors").await;
    assert!(page.contains("showing:") && page.contains("showing nothing"), "one of the two: {page}");
    let steps = browser.see(&path).await;
    let at = |word: &str| {
        steps.find(&format!(">{word}</span> <span class=\"meta\">")).unwrap_or_else(|| panic!("{word}: {steps}"))
    };
    assert!(at("waiting") < at("sent") && at("sent") < at("received") && at("received") < at("displayed"));
    let told = api.get("projectors/displays?device=beam-1&from=2026-11-23").await.body["days"][0]["minutes"].clone();
    assert_eq!(told, 20);
    assert!(page.contains("<td class=\"num\">20</td>"), "{page}");
    // Over, it shows no more, and stays to be looked up.
    set(&api, "23T12:31");
    let page = browser.see("/projectors").await;
    assert!(!page.contains("showing:") && page.contains("<td class=\"num\">30</td>"), "{page}");
    assert!(page.contains("Messages that are over") && page.contains(&path), "{page}");
}

#[tokio::test]
async fn figures_in_a_preview_are_those_of_last_week() {
    let api = neighbourhood().await;
    let rows: Vec<_> = (0..20)
        .map(|home| json!({"household": format!("h{home}"), "enrolled_from": "2026-01-01", "cards": [format!("c{home}")]}))
        .collect();
    assert_eq!(api.post("communities/garden/households", json!(rows)).await.status, StatusCode::OK);
    let deposits: Vec<_> =
        (0..10).map(|home| deposit(home + 1, "2026-11-18T08:30:00+08:00", &format!("c{home}"))).collect();
    api.publish("gate/bin/bin-1", json!(deposits)).await.unwrap();
    let browser = scheduler(&api).await;
    let asked = fields(&[("text", "上周参与率 {participation}"), ("target", "community:garden"), ("step", "preview")]);
    let preview = browser.submit(NEW, POST, &asked).await;
    assert!(preview.body.contains("上周参与率 50%"), "{}", preview.body);
}

#[tokio::test]
async fn names_and_texts_stay_text() {
    let api = neighbourhood().await;
    let name = "<script>alert(1)</script> \u{202e}مرحبا 🗑";
    api.put("communities/garden", json!({"name": name, "committee": "north"})).await;
    api.put("devices/beam-1", json!({"site": "gate", "kind": "projector", "name": name})).await;
    let browser = scheduler(&api).await;
    let sent = browser.submit(NEW, POST, &fields(&[("text", "<b onclick=x>粗</b>")])).await;
    let path = sent.location.unwrap();
    let delete = format!("{path}/delete");
    for page in ["/projectors", NEW, &path, &delete] {
        let shown = browser.see(page).await;
        assert!(!shown.contains("<script>alert") && !shown.contains("<b onclick"), "{page}: {shown}");
    }
    assert!(browser.see(&path).await.contains("&lt;b onclick=x&gt;粗&lt;/b&gt;"));
}
