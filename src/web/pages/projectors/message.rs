//! `/projectors/messages/{id}`: one message, what became of it at each projector, and taking it back.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::state::{span, told};
use super::{ground, projector, target, when, zone};
use crate::domain::zone::Tz;
use crate::store::messages::Times;
use crate::web::App;
use crate::web::access::SCHEDULERS;
use crate::web::extract::Id;
use crate::web::messages::{CommandView, MessageView, delete_message, get_message};
use crate::web::pages::form::{Sent, form};
use crate::web::pages::frame::{Page, Section, see_other};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

pub(in crate::web::pages) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
) -> Result<Response, Problem> {
    let lang = visitor.lang;
    let message = get_message(State(app), visitor.access.clone(), Id(id)).await?.0;
    let zone = zone(&visitor.access.registry, &message.target);
    let body = html! {
        (facts(&visitor, &message, zone))
        @if visitor.access.is_one_of(SCHEDULERS) {
            p { a.button.danger href={ "/projectors/messages/" (message.id) "/delete" } { (lang.t("撤回…", "Take it back…")) } }
        }
        h2 { (lang.t("每台投影的情况", "At each projector")) }
        @if message.commands.is_empty() { p { (lang.t("24 小时内没有要放映的,也还没有放映过。", "Nothing of it is due within 24 hours, and nothing was shown yet.")) } }
        @else {
            div.scroll #commands data-live tabindex="0" role="region" aria-label=(lang.t("指令", "Commands")) { table {
                thead { tr {
                    th scope="col" { (lang.t("投影", "Projector")) } th scope="col" { (lang.t("放映时段", "From and until")) }
                    th scope="col" { (lang.t("现状", "State")) } th scope="col" { (lang.t("经过", "Steps")) }
                } }
                tbody { @for command in message.commands.iter().rev() { (row(&visitor, command, zone)) } }
            } }
        }
        p { a href=(overview(&visitor, &message)) { (lang.t("回到投影", "To the projectors")) } }
    };
    Ok(Page::new(&visitor, Section::Projectors, lang.t("消息", "Message")).script("live.js").show(&body))
}

fn facts(visitor: &Visitor, message: &MessageView, zone: Tz) -> Markup {
    let lang = visitor.lang;
    html! {
        (ground(&message.text, false))
        @if message.text.contains('{') { p.note { (lang.t("花括号里的内容发送时自动填入。", "What is in braces is filled in when it is sent.")) } }
        dl.pairs {
            dt { (lang.t("在哪里", "Where")) } dd { bdi { (target(&visitor.access.registry, &message.target)) } }
            @if let Some(times) = times(message) { dt { (lang.t("何时", "When")) } dd { (when(lang, &times, zone)) } }
            dt { (lang.t("建立", "Made")) } dd { (lang.moment(&message.created, zone)) }
        }
    }
}

fn times(message: &MessageView) -> Option<Times> {
    if let (Some(daily), Some(from)) = (&message.daily, message.from) {
        let (start, seconds, until) = (daily.start.clone(), daily.seconds, message.until);
        return Some(Times::Daily { start, seconds, from, until });
    }
    let at = chrono::DateTime::parse_from_rfc3339(message.at.as_deref()?).ok()?.timestamp_millis();
    Some(Times::Once { at, seconds: message.seconds? })
}

fn row(visitor: &Visitor, command: &CommandView, zone: Tz) -> Markup {
    let lang = visitor.lang;
    let place = visitor.access.registry.place(&command.device);
    html! { tr {
        th scope="row" { bdi { (place.map_or_else(|| command.device.clone(), |(device, site, _)| projector(device, site))) } }
        td { (span(lang, &command.due, &command.expires, zone)) }
        td { (told(lang, &command.state)) }
        td { ol.steps { @for step in &command.steps { li {
            (told(lang, &step.state)) " " span.meta { (lang.moment(&step.at, zone)) }
            @if let Some(detail) = &step.detail { " " span.meta lang="en" { bdi { (detail) } } }
        } } } }
    } }
}

/// The page of the community that a message is for.
fn overview(visitor: &Visitor, message: &MessageView) -> String {
    let community = message.target.community(&visitor.access.registry);
    community.map_or_else(|| "/projectors".to_owned(), |id| format!("/projectors?community={id}"))
}

pub(in crate::web::pages) async fn ask(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
) -> Result<Response, Problem> {
    visitor.access.may_see(SCHEDULERS)?;
    let lang = visitor.lang;
    let message = get_message(State(app), visitor.access.clone(), Id(id)).await?.0;
    let zone = zone(&visitor.access.registry, &message.target);
    let body = html! {
        (facts(&visitor, &message, zone))
        p { (lang.t("撤回后不再放映;正在放映的会被清除,投影接着放映它原本该放的。放映过的时长保留作为证明。", "It is shown no more; where it shows it is cleared, and the projector goes on with what it would show without it. What was displayed stays as proof.")) }
        (form(&visitor, &format!("/projectors/messages/{}/delete", message.id), &html! {
            div.actions {
                button.danger type="submit" { (lang.t("撤回", "Take it back")) }
                a.button.secondary href={ "/projectors/messages/" (message.id) } { (lang.t("不撤回", "Keep it")) }
            }
        }))
    };
    Ok(Page::new(&visitor, Section::Projectors, lang.t("撤回消息", "Take a message back")).show(&body))
}

/// A form without fields.
#[derive(Deserialize)]
pub(in crate::web::pages) struct Nothing {}

pub(in crate::web::pages) async fn take_back(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: Nothing {} }: Sent<Nothing>,
) -> Result<Response, Problem> {
    let message = get_message(State(Arc::clone(&app)), visitor.access.clone(), Id(id.clone())).await?.0;
    let back = overview(&visitor, &message);
    delete_message(State(app), visitor.access, Id(id)).await?;
    Ok(see_other(&back))
}
