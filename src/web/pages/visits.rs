//! `/visits`: recording visits and surveys at the door, on a phone. It is one form that works without a script; with one,
//! a record is kept on the phone until it was stored, and is stored once however often it is sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use chrono::{Days, NaiveDate};
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::doorstep::every_page;
use super::fields::{Wrong, summary};
use super::form::{Sent, form};
use super::frame::{Page, Section, see_other};
use super::visitor::Visitor;
use crate::domain::awareness::{Outcome, VisitKind};
use crate::domain::period::parse_date;
use crate::domain::zone::today;
use crate::web::App;
use crate::web::access::{READERS, RECORDERS};
use crate::web::extract::{Date, Id};
use crate::web::households::{HouseholdView, HouseholdsQuery};
use crate::web::language::Language;
use crate::web::once::IdempotencyKey;
use crate::web::problem::Problem;
use crate::web::visits::record_visits;

/// For how long a visit is taken to be recent, in days.
const RECENT_DAYS: u64 = 90;
pub(super) async fn choose(visitor: Visitor) -> Result<Response, Problem> {
    visitor.access.may_see(READERS)?;
    let lang = visitor.lang;
    let registry = &visitor.access.registry;
    let own: Vec<_> = registry.communities.values().filter(|one| visitor.access.sees_community(&one.id)).collect();
    if let [only] = own.as_slice() {
        return Ok(see_other(&format!("/communities/{}/visits", only.id)));
    }
    let body = html! {
        @if own.is_empty() { p { (lang.t("还没有小区。", "There is no community yet.")) } }
        ul.cards { @for one in own { li.card { h2 { a href={ "/communities/" (one.id) "/visits" } { bdi { (one.name) } } } } } }
    };
    Ok(Page::new(&visitor, Section::Visits, lang.t("入户记录", "Visits")).show(&body))
}

/// A record as the form sends it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    household: String,
    date: String,
    kind: String,
    outcome: String,
    claimed: String,
    tested: String,
    /// New for each page: a form that is sent twice is stored once.
    key: String,
}

#[derive(Deserialize)]
pub(super) struct Done {
    done: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(query): Query<Done>,
) -> Result<Response, Problem> {
    shown(&app, &visitor, &id, &Record::default(), query.done.is_some(), None).await
}

async fn shown(
    app: &Arc<App>,
    visitor: &Visitor,
    id: &str,
    record: &Record,
    done: bool,
    wrong: Option<&Wrong>,
) -> Result<Response, Problem> {
    visitor.access.may_see(READERS)?;
    let lang = visitor.lang;
    let community = visitor.access.community(id)?.clone();
    let today = today(community.zone, app.clock.now());
    let may_record = visitor.access.is_one_of(RECORDERS);
    let body = if may_record {
        let open = households(app, visitor, id, today, false).await?;
        let seen = households(app, visitor, id, today, true).await?;
        html! {
            @if done { div.done role="status" { p { (lang.t("已记录。", "Recorded.")) } } }
            (summary(lang, wrong))
            (entry(visitor, id, record, &by_building(&open, &seen), today)?)
        }
    } else {
        html! { p { (lang.t("您可以查看结果,但不能记录。", "You may see what came of the visits, but not record any.")) } }
    };
    let body = html! {
        (body)
        @if may_record { p { a href={ "/communities/" (id) "/visits/import" } { (lang.t("从 CSV 或 Excel 导入", "Import from CSV or Excel")) } } }
        p { a href={ "/communities/" (id) "/awareness" } { (lang.t("知晓率、未走访的楼栋和入户名单", "Awareness, buildings not visited, and the doorstep list")) } }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let title = format!("{} · {}", lang.t("入户记录", "Visits"), community.name);
    Ok(Page::new(visitor, Section::Visits, title).status(status).script("visits.js").show(&body))
}

/// The households of today, visited lately or not. That they were looked at is in the audit log.
async fn households(
    app: &Arc<App>,
    visitor: &Visitor,
    id: &str,
    today: NaiveDate,
    visited: bool,
) -> Result<Vec<HouseholdView>, Problem> {
    let asked = |cursor| HouseholdsQuery {
        visited: Some(visited),
        from: Some(Date(today - Days::new(RECENT_DAYS))),
        to: Some(Date(today)),
        cursor,
        limit: Some(1_000),
        ..HouseholdsQuery::default()
    };
    every_page(app, visitor, id, asked).await
}

/// By building those not visited lately, then those that were.
type Buildings<'a> = BTreeMap<&'a str, (Vec<&'a str>, Vec<&'a str>)>;

fn by_building<'a>(open: &'a [HouseholdView], seen: &'a [HouseholdView]) -> Buildings<'a> {
    let mut buildings = Buildings::new();
    for one in open {
        buildings.entry(one.building.as_deref().unwrap_or_default()).or_default().0.push(&one.household);
    }
    for one in seen {
        buildings.entry(one.building.as_deref().unwrap_or_default()).or_default().1.push(&one.household);
    }
    buildings
}

fn entry(
    visitor: &Visitor,
    id: &str,
    record: &Record,
    buildings: &Buildings<'_>,
    today: NaiveDate,
) -> Result<Markup, Problem> {
    let lang = visitor.lang;
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no random numbers"))?;
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // What waits on a phone belongs to the account that recorded it: another one does not see it.
    let queue = Sha256::digest(format!("{}/{id}", visitor.access.caller.who));
    let queue: String = queue[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let date = if record.date.is_empty() { today.to_string() } else { record.date.clone() };
    let kind = if record.kind.is_empty() { "survey" } else { &record.kind };
    let fields = html! {
        input type="hidden" name="key" value=(key);
        div.field {
            label for="household" { (lang.t("住户", "Household")) }
            p.hint { (lang.t("近 90 天走访过的标有 ✓。", "✓: visited in the last 90 days.")) }
            select #household name="household" required {
                option value="" { (lang.t("请选择", "Choose")) }
                @for (building, (open, seen)) in buildings {
                    optgroup label=(if building.is_empty() { lang.t("未填楼栋", "no building") } else { building }) {
                        @for one in open { option value=(one) selected[record.household == **one] { (one) } }
                        @for one in seen { option value=(one) selected[record.household == **one] { (one) " ✓" } }
                    }
                }
            }
        }
        (radios("kind", lang.t("做什么", "What for"), kind, &[("survey", lang.t("问卷", "survey")), ("visit", lang.t("走访", "visit"))]))
        (radios("outcome", lang.t("结果", "Outcome"), &record.outcome, &[
            ("answered", lang.t("已回答", "answered")), ("refused", lang.t("拒绝", "refused")), ("absent", lang.t("不在家", "nobody in")),
        ]))
        (answers(lang, "claimed", lang.t("知道怎么分类吗(自己说)", "Says that it knows how to sort"), &record.claimed))
        (answers(lang, "tested", lang.t("当场分一分,分对了吗", "Showed that it does"), &record.tested))
        div.field { label for="date" { (lang.t("日期", "Date")) } input #date name="date" type="date" value=(date) max=(today) required; }
        button.wide type="submit" { (lang.t("记录", "Record")) }
    };
    Ok(html! {
        div #visits data-post={ "/api/v1/communities/" (id) "/visits" } data-queue=(queue)
            data-saved=(lang.t("已记录。", "Recorded.")) data-waiting=(lang.t("条记录保存在本机,等网络恢复后自动发送。", "waiting on this phone, to be sent by itself.")
            ) data-sign-in=(lang.t("登录已过期:请重新登录,记录不会丢。", "You were signed out: sign in again, nothing is lost."))
            data-refused=(lang.t("没有被接受的记录:", "Not accepted: ")) data-discard=(lang.t("删除这条", "Discard it")) {
            div #visit-status role="status" {}
            ul #visit-refused {}
            div.narrow { (form(visitor, &format!("/communities/{id}/visits"), &fields)) }
        }
    })
}

fn radios(name: &str, legend: &str, value: &str, options: &[(&str, &str)]) -> Markup {
    html! {
        fieldset {
            legend { (legend) }
            @for (option, words) in options {
                label.choice { input type="radio" name=(name) value=(option) required checked[value == *option]; (words) }
            }
        }
    }
}

fn answers(lang: Language, name: &str, legend: &str, value: &str) -> Markup {
    let options = [("true", lang.t("是", "yes")), ("false", lang.t("否", "no")), ("", lang.t("没问", "not asked"))];
    html! {
        fieldset.answers {
            legend { (legend) }
            @for (option, words) in options {
                label.choice { input type="radio" name=(name) value=(option) checked[value == option]; (words) }
            }
        }
    }
}

/// What people forget.
fn check(lang: Language, record: &Record) -> Result<(), Wrong> {
    if record.household.is_empty() {
        return Err(("household", lang.t("请选择住户。", "Choose a household.").to_owned()));
    }
    if Outcome::parse(&record.outcome).is_none() {
        return Err(("outcome", lang.t("请选择结果。", "Choose an outcome.").to_owned()));
    }
    if VisitKind::parse(&record.kind).is_none() {
        return Err(("kind", lang.t("请选择问卷或走访。", "Choose survey or visit.").to_owned()));
    }
    if parse_date(&record.date).is_none() {
        return Err(("date", lang.t("请选择日期。", "Choose a date.").to_owned()));
    }
    Ok(())
}

pub(super) async fn record(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: record }: Sent<Record>,
) -> Result<Response, Problem> {
    if let Err(wrong) = check(visitor.lang, &record) {
        return shown(&app, &visitor, &id, &record, false, Some(&wrong)).await;
    }
    // An answer belongs to who answered, whatever was ticked before.
    let answer = |text: &str| text.parse::<bool>().ok().filter(|_| record.outcome == Outcome::Answered.as_str());
    let body = serde_json::json!({
        "household": record.household, "date": record.date, "kind": record.kind, "outcome": record.outcome,
        "claimed": answer(&record.claimed), "tested": answer(&record.tested),
    });
    let request =
        Request::builder().header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
    let request = request.map_err(|_| Problem::bad_request("the record cannot be read"))?;
    let key = IdempotencyKey::of(Some(record.key.clone()).filter(|key| !key.is_empty()));
    let recorded = record_visits(State(app.clone()), visitor.access.clone(), Id(id.clone()), key, request).await;
    match recorded {
        Ok(_) => Ok(see_other(&format!("/communities/{id}/visits?done=1"))),
        Err(problem) if problem.status() == StatusCode::BAD_REQUEST => {
            let words = visitor
                .lang
                .t("请检查住户和日期(日期不能在将来)。", "Check the household and the date: no day to come.");
            shown(&app, &visitor, &id, &record, false, Some(&("date", words.to_owned()))).await
        }
        Err(other) => Err(other),
    }
}
