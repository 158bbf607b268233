//! What the feed tells of a community, why it tells it anew, and whom.

use chrono::TimeDelta;
use fenlei::clock::Clock;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::{Bin, at, changes, enrol, garden, linkage, look, pages, pass, survey, told};
use crate::support::api::{Api, send};

/// 103 households; 93, 82 and 72 of them took part in the last three weeks, and two of three deposits were right.
async fn neighbourhood() -> (Api, Bin) {
    let (api, mut bin) = (Api::with_registry().await, Bin::default());
    enrol(&api, 103).await;
    api.put("organizations/helpers", json!({"name": "绿色之友", "kind": "social_organization"})).await;
    let project = json!({"community": "garden", "organization": "helpers", "starts": "2026-11-11",
                         "targets": {"participation": 0.65, "awareness": 0.5}});
    api.put("projects/p1", project).await;
    for (date, households) in [("2026-11-02", 93), ("2026-11-09", 82), ("2026-11-16", 72)] {
        bin.deposits(&api, 0..48, at(date, "08:15:00"), "correct").await;
        bin.deposits(&api, 48..households, at(date, "08:30:00"), "incorrect").await;
    }
    bin.deposits(&api, 0..20, at("2026-11-17", "06:30:00"), "correct").await;
    survey(&api, (0..72).map(|number| (number, "2026-11-20", number < 31))).await;
    look(&api).await;
    (api, bin)
}

fn share(part: u64, whole: u64, rate: f64) -> Value {
    json!({"withheld": false, "part": part, "whole": whole, "rate": rate})
}

fn withheld() -> Value {
    json!({"withheld": true, "part": null, "whole": null, "rate": null})
}

#[tokio::test]
async fn a_community_is_told_rounded_with_what_follows_from_it() {
    let (api, _) = neighbourhood().await;
    let garden = garden(&api).await;
    for (field, expected) in [
        ("definitions", json!(1)),
        ("community", json!("garden")),
        ("name", json!("花园小区")),
        ("time_zone", json!("Asia/Shanghai")),
        ("committee", json!("north")),
        (
            "organizations",
            json!([{"id": "helpers", "name": "绿色之友", "kind": "social_organization"},
                   {"id": "north", "name": "北居委会", "kind": "committee"}]),
        ),
        ("trend", json!({"direction": "falling", "rate": 0.67, "before": 0.83})),
    ] {
        assert_eq!(garden[field], expected, "{field}");
    }
    let taking = &garden["participation"];
    assert_eq!(
        taking["week"],
        json!({"from": "2026-11-16", "to": "2026-11-22", "participation": share(70, 105, 0.67),
               "correct_participation": share(50, 105, 0.48), "accuracy": share(70, 90, 0.78),
               "off_hours": share(20, 90, 0.22)})
    );
    assert_eq!(
        taking["month"],
        json!({"from": "2026-10-01", "to": "2026-10-31", "participation": withheld(), "correct_participation": withheld()})
    );
    let earlier = taking["earlier_weeks"].as_array().unwrap();
    assert_eq!((earlier.len(), taking["earlier_months"].as_array().unwrap().len()), (12, 3));
    assert_eq!((&earlier[0]["from"], &earlier[0]["participation"]), (&json!("2026-11-09"), &share(80, 105, 0.76)));
    assert_eq!(earlier[11]["from"], "2026-08-24");
    let project = &garden["projects"][0];
    assert_eq!(project["met"], json!({"participation": true, "awareness": false}));
    assert_eq!(
        (&project["baseline"]["from"], &project["baseline"]["to"], &project["baseline"]["participation_rate"]),
        (&json!("2026-10-12"), &json!("2026-11-08"), &json!(0.9)),
        "one of the four weeks before is told"
    );
    assert_eq!(
        garden["awareness"],
        json!({"from": "2026-11-11", "to": "2026-11-22", "claimed": share(30, 70, 0.43), "tested": share(30, 70, 0.43)})
    );
    let needs: Vec<_> =
        garden["needs"].as_array().unwrap().iter().map(|need| (&need["kind"], &need["group"])).collect();
    assert_eq!(
        needs,
        [
            (&json!("participation_falling"), &json!("volunteer_group")),
            (&json!("awareness_low"), &json!("social_organization")),
            (&json!("off_hours"), &json!("committee"))
        ]
    );
    assert_eq!(
        garden["needs"][1],
        json!({"kind": "awareness_low", "group": "social_organization", "organizations": ["helpers"],
               "opened": "2026-11-23", "evidence": {"from": "2026-11-11", "to": "2026-11-22",
               "claimed": share(30, 70, 0.43), "tested": share(30, 70, 0.43), "target": 0.5}})
    );
    let text = garden.to_string();
    for exact in ["103", "72", "82", "93"] {
        assert!(!text.contains(exact), "{exact} is told: {text}");
    }
}

#[tokio::test]
async fn the_board_tells_of_a_week_what_the_feed_tells() {
    let (api, _) = neighbourhood().await;
    let garden = garden(&api).await;
    let board = send(api.client.get(format!("{}/board/garden?lang=en", api.base))).await;
    let page = board.body.as_str().unwrap();
    let percent = |rate: &Value| format!("{}%", (rate.as_f64().unwrap() * 100.0).round());
    let weeks: Vec<_> = std::iter::once(&garden["participation"]["week"])
        .chain(garden["participation"]["earlier_weeks"].as_array().unwrap())
        .take(8)
        .collect();
    let told: Vec<_> = page.split("class=\"value\"").skip(1).collect();
    assert_eq!(told.len(), 8);
    for (week, shown) in weeks.iter().rev().zip(told) {
        let rate = &week["participation"]["rate"];
        let expected = if rate.is_null() { "—".to_owned() } else { percent(rate) };
        assert!(shown.split('<').next().unwrap().ends_with(&format!(">{expected}")), "{week}: {shown}");
    }
    assert!(page.contains("about 70 of 105 households took part"), "{page}");
}

#[tokio::test]
async fn each_revision_says_why() {
    let (api, mut bin) = neighbourhood().await;
    let mut seen = changes(&api, &api.admin, None).await.len();
    let mut next = async |expected: &[(&str, &str)]| {
        assert_eq!(look(&api).await, usize::from(!expected.is_empty()));
        let all = changes(&api, &api.admin, None).await;
        let new = &all[seen..];
        seen = all.len();
        let words: Vec<_> = new.iter().flat_map(told).collect();
        let words: Vec<_> = words.iter().map(|(what, reasons)| (what.as_str(), reasons.as_str())).collect();
        assert_eq!(words, expected);
    };
    next(&[]).await;
    // 93 deposits are 94: told as 95 as before. What changes nothing that is told is no revision.
    bin.deposits(&api, 60..61, at("2026-11-04", "08:15:00"), "incorrect").await;
    next(&[]).await;
    bin.deposits(&api, 72..74, at("2026-11-18", "08:15:00"), "correct").await;
    next(&[("week", "late_events"), ("trend", "late_events"), ("need", "late_events"), ("need", "late_events")]).await;
    let schedule =
        json!({"valid_from": "2026-11-16", "weekly": [{"days": ["mon"], "open": "08:20", "close": "09:00"}]});
    assert_eq!(api.put("sites/gate/schedule", schedule).await.status, StatusCode::OK);
    next(&[
        ("week", "schedule"),
        ("project", "schedule"),
        ("trend", "schedule"),
        ("need", "schedule"),
        ("need", "schedule"),
    ])
    .await;
    survey(&api, (0..40).map(|number| (number, "2026-11-21", true))).await;
    next(&[("awareness", "surveys"), ("project", "surveys"), ("need_closed", "surveys")]).await;
    let moved = json!([{"household": "h200", "enrolled_from": "2026-11-16", "cards": []},
                       {"household": "h201", "enrolled_from": "2026-11-16", "cards": []},
                       {"household": "h202", "enrolled_from": "2026-11-16", "cards": []},
                       {"household": "h203", "enrolled_from": "2026-11-16", "cards": []},
                       {"household": "h204", "enrolled_from": "2026-11-16", "cards": []}]);
    assert_eq!(api.post("communities/garden/households", moved).await.status, StatusCode::OK);
    next(&[("week", "roster"), ("trend", "roster"), ("need", "roster")]).await;
    api.put("communities/garden", json!({"name": "新花园", "committee": "north"})).await;
    next(&[("community", "registry")]).await;
    api.delete("projects/p1").await;
    next(&[("community", "registry"), ("awareness", "registry"), ("project", "registry"), ("need_opened", "registry")])
        .await;
    pass(&api, 7 * 24);
    let all = look(&api).await;
    assert_eq!(all, 2, "the garden and the river: a week is over");
    let last = changes(&api, &api.admin, None).await.pop().unwrap();
    assert!(told(&last).iter().any(|(what, reasons)| what == "week" && reasons == "calendar"), "{last}");
}

#[tokio::test]
async fn a_device_that_is_silent_for_a_day_is_a_need() {
    let (api, _) = neighbourhood().await;
    let silence = |cleared: Option<i64>| {
        let now = api.clock.now().timestamp_millis();
        let store = api.store.clone();
        async move {
            let write = store.write(move |session| {
                let sql = match cleared {
                    None => {
                        "INSERT INTO alarm (kind, site, device, raised, last, count)
                             SELECT 'silent', s.key, d.key, ?1, ?1, 1 FROM device d JOIN site s ON s.id = d.site
                             WHERE d.id = 'bin-1'"
                    }
                    Some(_) => "UPDATE alarm SET cleared = ?1",
                };
                session.connection.execute(sql, [now]).map_err(fenlei::store::StoreError::from)
            });
            write.await.unwrap();
        }
    };
    silence(None).await;
    pass(&api, 23);
    assert_eq!(look(&api).await, 0);
    pass(&api, 1);
    assert_eq!(look(&api).await, 1);
    let needs = garden(&api).await["needs"].clone();
    let need = needs.as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        need,
        json!({"kind": "devices_silent", "group": "committee", "organizations": ["north"], "opened": "2026-11-24",
               "evidence": {"devices": [{"site": "gate", "device": "bin-1", "since": "2026-11-23T04:00:00.000Z"}]}})
    );
    silence(Some(0)).await;
    assert_eq!(look(&api).await, 1);
    let last = changes(&api, &api.admin, None).await.pop().unwrap();
    assert_eq!(told(&last), [("need_closed".to_owned(), "devices".to_owned())]);
}

#[tokio::test]
async fn each_organization_sees_its_own_and_what_it_loses() {
    let (api, _) = neighbourhood().await;
    let [north, helpers] = [linkage(&api, Some("north")).await, linkage(&api, Some("helpers")).await];
    let all = linkage(&api, None).await;
    let own = async |token: &str| {
        let (items, cursor) = pages(&api, token, "linkage/communities").await;
        (items.iter().map(|item| item["community"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), cursor)
    };
    assert_eq!(own(&all).await.0, ["garden", "river"]);
    assert_eq!((own(&north).await.0, own(&helpers).await.0), (vec!["garden".to_owned()], vec!["garden".to_owned()]));
    let (_, cursor) = own(&helpers).await;
    api.delete("projects/p1").await;
    assert_eq!(own(&helpers).await.0, [""; 0], "at once, whether it was looked at or not");
    look(&api).await;
    let lost = changes(&api, &helpers, Some(&cursor)).await;
    assert_eq!(lost.len(), 1);
    assert_eq!((&lost[0]["picture"], &lost[0]["changes"]), (&Value::Null, &json!([])));
    assert_eq!(changes(&api, &helpers, None).await, lost, "what it saw before it sees no more");
    assert_eq!(changes(&api, &north, None).await.iter().filter(|one| one["picture"].is_null()).count(), 0);
    // A community that is deleted is gone for everybody.
    assert_eq!(api.delete("devices/bin-2").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.delete("sites/quay").await.status, StatusCode::NO_CONTENT);
    assert_eq!(api.delete("communities/river").await.status, StatusCode::NO_CONTENT);
    assert_eq!(look(&api).await, 1);
    assert_eq!(own(&all).await.0, ["garden"]);
    let gone = changes(&api, &all, None).await.pop().unwrap();
    assert_eq!((&gone["community"], &gone["picture"]), (&json!("river"), &Value::Null));
    for (path, says) in [
        ("linkage/changes?cursor=17", "`cursor` must be"),
        ("linkage/changes?cursor=rev-x", "`cursor` must be"),
        ("linkage/changes?limit=0", "`limit`"),
        ("linkage/changes?from=x", "unknown"),
    ] {
        let answer = api.call(&all, Method::GET, path, None).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.detail().contains(says), "{path}: {}", answer.detail());
    }
}

#[tokio::test]
async fn what_was_replaced_long_ago_is_forgotten_and_nobody_is_wrong() {
    let (api, mut bin) = neighbourhood().await;
    let mut consumer = super::world::Consumer::default();
    consumer.begin(&api, &api.admin).await;
    for household in [73..76, 76..81, 81..86] {
        bin.deposits(&api, household, at("2026-11-18", "08:15:00"), "correct").await;
        pass(&api, 1);
        assert_eq!(look(&api).await, 1);
    }
    let before = changes(&api, &api.admin, None).await.len();
    let later = (api.clock.now() + TimeDelta::days(401)).timestamp_millis();
    let forget = api.store.write(move |session| fenlei::store::linkage::forget(session.connection, later));
    forget.await.unwrap();
    let left = changes(&api, &api.admin, None).await;
    assert_eq!((before > 2, left.len()), (true, 2), "the latest of each community");
    consumer.follow(&api, &api.admin).await;
    consumer.assert_right(&api, &api.admin).await;
}
