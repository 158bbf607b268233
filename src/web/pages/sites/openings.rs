//! Opening a site at once, and ending that.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::super::fields::{Field, Input, Wrong, fields, summary};
use super::super::form::{Sent, form};
use super::super::frame::see_other;
use super::super::visitor::Visitor;
use super::site;
use crate::domain::zone::Tz;
use crate::web::App;
use crate::web::access::OPERATORS;
use crate::web::extract::{Id, Json};
use crate::web::language::Language;
use crate::web::openings::{NewOpening, OpeningView, delete_opening, post_opening};
use crate::web::problem::Problem;

#[derive(Clone, Default, Deserialize)]
pub(in super::super) struct Asked {
    reason: Option<String>,
    minutes: Option<String>,
}

/// An opening that was asked for and is not given.
#[derive(Default)]
pub(super) struct Draft {
    asked: Asked,
    pub(super) wrong: Option<Wrong>,
}

/// What holds a site open now or did so, and the form to open it.
pub(super) fn section(visitor: &Visitor, id: &str, zone: Tz, now: &str, past: &[OpeningView], draft: &Draft) -> Markup {
    let lang = visitor.lang;
    let may = visitor.access.is_one_of(OPERATORS);
    let running = past.iter().find(|opening| opening.until.as_str() > now);
    let reason = draft.asked.reason.as_deref().unwrap_or_default();
    let minutes = draft.asked.minutes.as_deref().unwrap_or("30");
    html! {
        @if let Some(opening) = running {
            div.warn {
                p { (lang.t("正在临时开放,到 ", "Held open until ")) (lang.moment(&opening.until, zone)) (lang.t(";原因:", "; reason: ")) bdi { (opening.reason) } }
                @if may { (form(visitor, &format!("/sites/{id}/openings/{}/end", opening.id), &html! {
                    button.secondary type="submit" { (lang.t("结束临时开放", "End it now")) }
                })) }
            }
        }
        @if may {
            details open[draft.wrong.is_some()] {
                summary { (lang.t("临时开放箱房", "Open the site now")) }
                p.note { (lang.t("所有投放口立刻打开,到时自动恢复。期间的投放仍按原时段统计。", "Every lid opens at once and keeps its hours again afterwards. Deposits are still timed by the hours.")) }
                (summary(lang, draft.wrong.as_ref()))
                (form(visitor, &format!("/sites/{id}/openings"), &html! {
                    (fields(lang, &[
                        Field::new("reason", lang.t("原因", "Reason"), Input::Text { value: reason, max: 66 }).hint(lang.t("如:清运车晚到,居民在等候", "For example: the truck is late and people wait")),
                        Field::new("minutes", lang.t("开放多少分钟", "For how many minutes"), Input::Number { value: minutes, min: "1", max: "1440", step: "1" }),
                    ], draft.wrong.as_ref()))
                    button type="submit" { (lang.t("现在开放", "Open now")) }
                }))
            }
        }
        @if !past.is_empty() {
            details {
                summary { (lang.t("最近的临时开放", "Past openings")) }
                div.scroll tabindex="0" { table {
                    thead { tr { th scope="col" { (lang.t("开始", "From")) } th scope="col" { (lang.t("结束", "Until")) } th scope="col" { (lang.t("原因", "Reason")) } } }
                    tbody { @for opening in past { tr { td { (lang.moment(&opening.from, zone)) } td { (lang.moment(&opening.until, zone)) } td { bdi { (opening.reason) } } } } }
                } }
            }
        }
    }
}

fn check(lang: Language, asked: &Asked) -> Result<NewOpening, Wrong> {
    let reason = asked.reason.as_deref().unwrap_or_default().trim();
    if reason.is_empty() || reason.len() > 200 {
        return Err(("reason", lang.t("请写明原因,不超过 66 个字。", "Say why, in at most 200 letters.").to_owned()));
    }
    let minutes = asked.minutes.as_deref().and_then(|minutes| minutes.trim().parse::<u32>().ok());
    match minutes.filter(|minutes| (1..=1440).contains(minutes)) {
        Some(minutes) => Ok(NewOpening { reason: reason.to_owned(), seconds: minutes * 60 }),
        None => {
            Err(("minutes", lang.t("请填 1 到 1440 之间的整数。", "Give a whole number from 1 to 1440.").to_owned()))
        }
    }
}

pub(in super::super) async fn open(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form }: Sent<Asked>,
) -> Result<Response, Problem> {
    visitor.access.site(&id)?;
    visitor.access.may_do(OPERATORS)?;
    match check(visitor.lang, &form) {
        Ok(opening) => {
            let _ = post_opening(State(app), visitor.access, Id(id.clone()), Json(opening)).await?;
            Ok(see_other(&format!("/sites/{id}")))
        }
        Err(wrong) => {
            let draft = Draft { asked: form, wrong: Some(wrong) };
            site::page(&app, &visitor, &id, RawQuery(None), &draft, StatusCode::UNPROCESSABLE_ENTITY).await
        }
    }
}

#[derive(Deserialize)]
pub(in super::super) struct Nothing {}

pub(in super::super) async fn end(
    State(app): State<Arc<App>>,
    Path((id, opening)): Path<(String, String)>,
    Sent { visitor, .. }: Sent<Nothing>,
) -> Result<Response, Problem> {
    delete_opening(State(app), visitor.access, Path((id.clone(), opening))).await?;
    Ok(see_other(&format!("/sites/{id}")))
}
