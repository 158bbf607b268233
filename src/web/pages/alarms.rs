//! `/alarms`: what needs somebody, and who sees to it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::form::{Sent, form};
use super::frame::{Page, Section, see_other};
use super::visitor::Visitor;
use crate::domain::alarms::{AlarmView, Kind, Severity, State as Holds};
use crate::domain::notice_text;
use crate::domain::notices::Format;
use crate::domain::zone::DEFAULT_ZONE;
use crate::web::App;
use crate::web::access::OPERATORS;
use crate::web::alarm_hooks::list_alarm_webhooks;
use crate::web::alarms::{AlarmsQuery, acknowledge, list_alarms};
use crate::web::extract::{self, Id};
use crate::web::language::Language;
use crate::web::problem::Problem;

/// What an alarm is called.
pub(super) fn kind(lang: Language, kind: Kind) -> &'static str {
    let english = match kind {
        Kind::Full => "bin is full",
        Kind::Fire => "fire",
        Kind::Jam => "jammed",
        Kind::Tilt => "tipped over",
        Kind::Tamper => "tampered with",
        Kind::LowBattery => "battery low",
        Kind::Sensor => "sensor broken",
        Kind::Littering => "waste beside the bins",
        Kind::OffHours => "many deposits out of hours",
        Kind::Silent => "not heard of",
        Kind::Gap => "events are missing",
        Kind::Conflict => "contradicting events",
        Kind::Clock => "clock is off",
        Kind::Lid => "lid does not follow its hours",
    };
    lang.t(notice_text::name(kind), english)
}

/// How grave it is.
pub(super) fn gravity(lang: Language, severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => lang.t("紧急", "critical"),
        Severity::Warning => lang.t("警告", "warning"),
        Severity::Info => lang.t("提示", "notice"),
    }
}

/// How grave it is, in words and in a colour.
pub(super) fn severity(lang: Language, severity: Severity) -> Markup {
    let class = match severity {
        Severity::Critical => "tag bad",
        Severity::Warning => "tag care",
        Severity::Info => "tag plain-tag",
    };
    html! { span class=(class) { (gravity(lang, severity)) } }
}

#[derive(Deserialize)]
pub(super) struct Asked {
    state: Option<String>,
    site: Option<String>,
    cursor: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let lang = visitor.lang;
    let state = match asked.state.as_deref() {
        Some("cleared") => Some(Holds::Cleared),
        Some("all") => None,
        _ => Some(Holds::Open),
    };
    let site = asked.site.filter(|site| !site.is_empty());
    let query =
        AlarmsQuery { state, site: site.clone(), cursor: asked.cursor, limit: Some(50), ..AlarmsQuery::default() };
    let listed = list_alarms(State(app.clone()), visitor.access.clone(), extract::Query(query)).await?.0;
    let (alarms, next) = listed.into_parts();
    let hooks = if visitor.access.is_one_of(OPERATORS) { Some(hooks(&app, &visitor).await?) } else { None };
    let chosen = match state {
        Some(Holds::Open) => "open",
        Some(Holds::Cleared) => "cleared",
        None => "all",
    };
    let states =
        [("open", lang.t("未解除", "open")), ("cleared", lang.t("已解除", "over")), ("all", lang.t("全部", "all"))];
    let sites: Vec<_> =
        visitor.access.registry.sites.values().filter(|one| visitor.access.sees_site(&one.id)).collect();
    let body = html! {
        form.row method="get" action="/alarms" {
            div.field { label for="state" { (lang.t("状态", "State")) } select #state name="state" {
                @for (value, words) in states { option value=(value) selected[value == chosen] { (words) } }
            } }
            div.field { label for="site" { (lang.t("箱房", "Site")) } select #site name="site" {
                option value="" { (lang.t("全部", "all")) }
                @for one in sites { option value=(one.id) selected[site.as_ref() == Some(&one.id)] { (one.name) } }
            } }
            button.secondary type="submit" { (lang.t("筛选", "Filter")) }
        }
        div #alarms data-live {
            @if alarms.is_empty() { p { (lang.t("没有这样的告警。", "There is no such alarm.")) } }
            ul.alarms { @for alarm in &alarms { li.card { (one(&visitor, alarm)) } } }
        }
        @if let Some(next) = next {
            p { a href={ "/alarms?state=" (chosen) "&site=" (site.unwrap_or_default()) "&cursor=" (next) } { (lang.t("更早的告警", "Earlier")) } }
        }
        @if let Some(hooks) = hooks { (hooks) }
    };
    Ok(Page::new(&visitor, Section::Alarms, lang.t("告警", "Alarms")).script("live.js").show(&body))
}

fn one(visitor: &Visitor, alarm: &AlarmView) -> Markup {
    let (lang, registry) = (visitor.lang, &visitor.access.registry);
    let site = registry.sites.get(&alarm.site);
    let zone = site.map_or(DEFAULT_ZONE, |site| site.zone);
    let device = alarm
        .device
        .as_ref()
        .map(|id| registry.devices.get(id).and_then(|device| device.name.clone()).unwrap_or_else(|| id.clone()));
    let may_act = visitor.access.is_one_of(OPERATORS) && alarm.acknowledged.is_none();
    html! {
        h2 { (severity(lang, alarm.severity)) " " (kind(lang, alarm.kind)) }
        p {
            a href={ "/sites/" (alarm.site) } { bdi { (site.map_or(alarm.site.as_str(), |site| site.name.as_str())) } }
            @if let Some(device) = &device { " · " bdi { (device) } }
        }
        p.meta {
            (lang.t("开始:", "Since ")) (lang.moment(&alarm.raised, zone))
            " · " (lang.t("最近:", "last seen ")) (lang.moment(&alarm.last, zone))
            @if alarm.count > 1 { " · " (alarm.count) (lang.t(" 次", " times")) }
            @if let Some(cleared) = &alarm.cleared { " · " (lang.t("解除:", "over since ")) (lang.moment(cleared, zone)) }
        }
        @if let Some(acknowledged) = &alarm.acknowledged {
            p { span.tag.good { (lang.t("已确认", "seen to")) } " " (lang.moment(acknowledged, zone)) @if let Some(note) = &alarm.note { " · " bdi { (note) } } }
        }
        @if may_act {
            details {
                summary { (lang.t("我来处理", "See to it")) span.visually-hidden { " " (kind(lang, alarm.kind)) " " (alarm.id) } }
                (form(visitor, &format!("/alarms/{}/acknowledge", alarm.id), &html! {
                    div.field {
                        label for={ "note-" (alarm.id) } { (lang.t("备注", "Note")) span.optional { (lang.t("(可不填)", " (optional)")) } }
                        input id={ "note-" (alarm.id) } name="note" maxlength="160";
                    }
                    button type="submit" { (lang.t("确认", "Acknowledge")) }
                }))
            }
        }
    }
}

fn format(lang: Language, format: Format) -> &'static str {
    match format {
        Format::Dingtalk => lang.t("钉钉群机器人", "DingTalk robot"),
        Format::Wecom => lang.t("企业微信群机器人", "WeCom robot"),
        Format::Generic => lang.t("通用接口", "webhook"),
    }
}

/// Who is told of alarms.
async fn hooks(app: &Arc<App>, visitor: &Visitor) -> Result<Markup, Problem> {
    let lang = visitor.lang;
    let query = extract::Query(crate::web::paging::PageQuery::default());
    let (hooks, _) = list_alarm_webhooks(State(app.clone()), visitor.access.clone(), query).await?.0.into_parts();
    Ok(html! {
        h2 { (lang.t("告警通知", "Who is told")) }
        @if hooks.is_empty() { p.note { (lang.t("还没有设置群机器人或通知地址;由管理员通过接口设置。", "No group robot or address yet; they are set up over the API.")) } }
        @else {
            div.scroll tabindex="0" { table {
                thead { tr { th scope="col" { (lang.t("地址", "Address")) } th scope="col" { (lang.t("类型", "Kind")) } th.num scope="col" { (lang.t("待送", "Waiting")) } th scope="col" { (lang.t("最近一次", "Last attempt")) } } }
                tbody { @for hook in &hooks { tr {
                    td { code { (hook.url) } } td { (format(lang, hook.format)) } td.num { (hook.delivery.waiting) }
                    td { @if hook.delivery.last_status.as_deref() == Some("ok") { (lang.t("成功", "delivered")) } @else { (hook.delivery.last_status.as_deref().unwrap_or("—")) } }
                } } }
            } }
        }
    })
}

#[derive(Deserialize)]
pub(super) struct Note {
    note: Option<String>,
}

pub(super) async fn see_to(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: Note { note } }: Sent<Note>,
) -> Result<Response, Problem> {
    let body = Bytes::from(serde_json::json!({"note": note}).to_string());
    acknowledge(State(app), visitor.access, Id(id), body).await?;
    Ok(see_other("/alarms"))
}
