//! `/fleet`: how the devices stand, and what of theirs was refused.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::form::{Sent, form};
use super::frame::{Page, Section, see_other};
use super::visitor::Visitor;
use super::words;
use crate::domain::zone::{DEFAULT_ZONE, Tz};
use crate::web::App;
use crate::web::access::OPERATORS;
use crate::web::devices::{DeviceView, DevicesQuery, list_devices};
use crate::web::extract::{self, Id};
use crate::web::language::Language;
use crate::web::problem::Problem;
use crate::web::quarantine::{
    Content, ItemView, QuarantineQuery, delete_quarantined, list_quarantine, retry_quarantined,
};

/// Under this a battery of one lithium cell is nearly empty, in millivolts.
const LOW_MILLIVOLTS: f64 = 3400.0;

#[derive(Deserialize)]
pub(super) struct Asked {
    cursor: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    axum::extract::Query(asked): axum::extract::Query<Asked>,
) -> Result<Response, Problem> {
    let lang = visitor.lang;
    let query = DevicesQuery { site: None, kind: None, cursor: asked.cursor, limit: Some(200) };
    let listed = list_devices(State(app), visitor.access.clone(), extract::Query(query)).await?.0;
    let (devices, next) = listed.into_parts();
    let offline = devices.iter().filter(|device| !device.online).count();
    let missing = devices.iter().filter(|device| device.missing > 0).count();
    let body = html! {
        ul.cards {
            li.card { h2 { (lang.t("设备", "Devices")) } p.number { (devices.len()) } @if next.is_some() { p.note { (lang.t("本页", "on this page")) } } }
            li.card { h2 { (lang.t("不在线", "Offline")) } p.number { (offline) } }
            li.card { h2 { (lang.t("缺数据", "With missing events")) } p.number { (missing) } }
        }
        div.scroll #fleet data-live tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (lang.t("设备", "Device")) } th scope="col" { (lang.t("箱房", "Site")) }
                    th scope="col" { (lang.t("状态", "State")) } th scope="col" { (lang.t("最近数据", "Last heard")) }
                    th scope="col" { (lang.t("电池", "Battery")) } th scope="col" { (lang.t("固件", "Firmware")) }
                    th scope="col" { (lang.t("时段设置", "Its hours")) } th.num scope="col" { (lang.t("缺", "Missing")) }
                    th.num scope="col" { (lang.t("被拒", "Refused")) }
                } }
                tbody { @for device in &devices { (row(&visitor, device)) } }
            }
        }
        @if let Some(next) = next { p { a href={ "/fleet?cursor=" (next) } { (lang.t("下一页", "Next page")) } } }
    };
    Ok(Page::new(&visitor, Section::Fleet, lang.t("设备状态", "Devices")).script("live.js").show(&body))
}

fn row(visitor: &Visitor, device: &DeviceView) -> Markup {
    let (lang, own) = (visitor.lang, &device.registration);
    let site = visitor.access.registry.sites.get(&own.site);
    let zone = site.map_or(DEFAULT_ZONE, |site| site.zone);
    html! {
        tr {
            th scope="row" { bdi { (own.name.as_deref().unwrap_or(&own.id)) } br; span.meta { (words::device(lang, own.kind)) " · " (own.id) } }
            td { a href={ "/sites/" (own.site) } { bdi { (site.map_or(own.site.as_str(), |site| site.name.as_str())) } } }
            td { (online(lang, device, zone)) }
            td { (device.last_received.as_ref().map_or_else(|| "—".to_owned(), |at| lang.moment(at, zone))) }
            td { (battery(lang, device)) }
            td { (device.firmware.as_deref().unwrap_or("—")) }
            td {
                @if device.config.confirmed { span.tag.good { (lang.t("已照办", "keeps to them")) } }
                @else if device.config.version.is_none() { "—" }
                @else { span.tag.care { (lang.t("未确认", "not confirmed")) } }
            }
            td.num { @if device.missing > 0 { strong { (device.missing) } } @else { "0" } }
            td.num {
                @if device.quarantined > 0 && visitor.access.is_one_of(OPERATORS) { a href={ "/fleet/" (own.id) "/quarantine" } { (device.quarantined) } }
                @else { (device.quarantined) }
            }
        }
    }
}

fn online(lang: Language, device: &DeviceView, zone: Tz) -> Markup {
    html! {
        @if device.online { span.tag.good { (lang.t("在线", "online")) } }
        @else if device.since.is_none() { span.tag.plain-tag { (lang.t("从未上线", "never online")) } }
        @else { span.tag.bad { (lang.t("不在线", "offline")) } }
        @if let Some(since) = &device.since { br; span.meta { (lang.t("自 ", "since ")) (lang.moment(since, zone)) } }
    }
}

fn battery(lang: Language, device: &DeviceView) -> Markup {
    html! {
        @match device.vitals.get("millivolts") {
            None => "—",
            Some(vital) => {
                (format!("{:.2} V", vital.value / 1000.0))
                @if vital.value < LOW_MILLIVOLTS { " " span.tag.care { (lang.t("电量低", "low")) } }
            }
        }
    }
}

pub(super) async fn quarantine(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(device): Id,
) -> Result<Response, Problem> {
    visitor.access.may_see(OPERATORS)?;
    let lang = visitor.lang;
    let site = visitor.access.device(&device)?.site.clone();
    let zone = visitor.access.site(&site)?.zone;
    let query = QuarantineQuery { device: Some(device.clone()), ..QuarantineQuery::default() };
    let view = list_quarantine(State(app), visitor.access.clone(), extract::Query(query)).await?.0;
    let body = html! {
        p { (lang.t("被拒收的数据不会丢:改正原因后可以再试一次。卡号只显示为“有卡”。", "What was refused is not lost: once its cause is mended it can be tried again. Cards are never shown.")) }
        @if view.items.is_empty() { p { (lang.t("没有被拒收的数据。", "Nothing is refused.")) } }
        ul.alarms { @for item in &view.items { li.card { (refused(&visitor, item, zone)) } } }
        p { a href="/fleet" { (lang.t("回到设备", "Back to the devices")) } }
    };
    let title = format!("{} · {device}", lang.t("被拒收的数据", "Refused input"));
    Ok(Page::new(&visitor, Section::Fleet, title).show(&body))
}

fn refused(visitor: &Visitor, item: &ItemView, zone: Tz) -> Markup {
    let lang = visitor.lang;
    let content = match &item.content {
        Content::Fields(fields) => serde_json::to_string_pretty(fields).unwrap_or_default(),
        Content::Raw(raw) => raw.clone(),
    };
    html! {
        h2 { code { (item.reason) } }
        p lang="en" { (item.detail) }
        p.meta { (lang.moment(&item.first, zone)) " – " (lang.moment(&item.last, zone)) " · " (item.count) (lang.t(" 次", " times")) }
        pre tabindex="0" role="region" aria-label=(lang.t("内容", "Content")) { (content) }
        div.row {
            (form(visitor, &format!("/quarantine/{}/retry", item.id), &html! { input type="hidden" name="device" value=(item.device); button.secondary type="submit" { (lang.t("再试一次", "Try again")) } }))
            (form(visitor, &format!("/quarantine/{}/delete", item.id), &html! { input type="hidden" name="device" value=(item.device); button.danger type="submit" { (lang.t("删除", "Delete")) } }))
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Of {
    device: String,
}

pub(super) async fn retry(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: Of { device } }: Sent<Of>,
) -> Result<Response, Problem> {
    visitor.access.device(&device)?;
    retry_quarantined(State(app), visitor.access, Id(id)).await?;
    Ok(see_other(&format!("/fleet/{device}/quarantine")))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: Of { device } }: Sent<Of>,
) -> Result<Response, Problem> {
    visitor.access.device(&device)?;
    delete_quarantined(State(app), visitor.access, Id(id)).await?;
    Ok(see_other(&format!("/fleet/{device}/quarantine")))
}
