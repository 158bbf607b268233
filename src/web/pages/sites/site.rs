//! `/sites/{id}`: how a site stands, and when people come to it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use fenlei_wire::vocabulary::Stream;
use maud::{Markup, html};

use super::super::frame::{Page, Section};
use super::super::visitor::Visitor;
use super::super::{alarms, words};
use super::editor::Fields;
use super::openings::{self, Draft};
use super::{events as happened, gate, hours};
use crate::domain::alarms::{AlarmView, State as Holds};
use crate::domain::lids::Lid;
use crate::domain::registry::Site;
use crate::domain::zone::rfc3339;
use crate::store::{events, openings as held};
use crate::web::App;
use crate::web::access::{READERS, SITE_READERS};
use crate::web::alarms::{AlarmsQuery, list_alarms};
use crate::web::devices::{DeviceView, DevicesQuery, list_devices};
use crate::web::events::EventView;
use crate::web::extract::{Id, Query};
use crate::web::language::Language;
use crate::web::lids::LidView;
use crate::web::openings::list_openings;
use crate::web::paging::PageQuery;
use crate::web::problem::Problem;

/// Events that are told of.
const EVENTS: usize = 20;

pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    query: RawQuery,
) -> Result<Response, Problem> {
    page(&app, &visitor, &id, query, &Draft::default(), StatusCode::OK).await
}

pub(super) async fn page(
    app: &Arc<App>,
    visitor: &Visitor,
    id: &str,
    RawQuery(query): RawQuery,
    opening: &Draft,
    status: StatusCode,
) -> Result<Response, Problem> {
    let (lang, access) = (visitor.lang, &visitor.access);
    access.may_see(SITE_READERS)?;
    let site = access.site(id)?;
    let now = app.clock.now();
    let (key, millis) = (site.key, now.timestamp_millis());
    let running = app.store.read(move |connection| held::since(connection, millis)).await?;
    let running = running.into_iter().find(|held| held.site == key && held.start <= millis);
    let query_of_past = Query(PageQuery { cursor: None, limit: Some(5) });
    let past = list_openings(State(Arc::clone(app)), access.clone(), Id(id.to_owned()), query_of_past).await?.0;
    let (past, _) = past.into_parts();
    let fields = Fields::of_query(query.as_deref());
    let community = access.registry.communities.get(&site.community).map_or("", |community| &community.name);
    let reads = access.is_one_of(READERS);
    let body = html! {
        p.meta { bdi { (community) } }
        p #gate data-live { (gate(lang, site, running.as_ref(), now)) }
        p { a href={ "/sites/" (id) "/schedule" } { (lang.t("开放时段和历次调整", "Its hours and how they changed")) } }
        (openings::section(visitor, id, site.zone, &rfc3339(millis), &past, opening))
        @if reads {
            div #standing data-live { (standing(app, visitor, site).await?) }
            (hours::section(app, visitor, site, &fields).await?)
            div #happened data-live { (last(app, visitor, site).await?) }
        }
    };
    let page = Page::new(visitor, Section::Sites, site.name.as_str()).status(status);
    Ok(if reads { page.script("live.js") } else { page }.show(&body))
}

async fn last(app: &App, visitor: &Visitor, site: &Site) -> Result<Markup, Problem> {
    let key = site.key;
    let found = app.store.read(move |connection| events::latest(connection, key, EVENTS)).await?;
    let found: Vec<_> = found.into_iter().map(EventView::from).collect();
    Ok(happened::section(visitor, site.zone, &found))
}

/// Alarms and devices.
async fn standing(app: &Arc<App>, visitor: &Visitor, site: &Site) -> Result<Markup, Problem> {
    let (lang, access) = (visitor.lang, &visitor.access);
    let of_site = Some(site.id.clone());
    let asked =
        AlarmsQuery { state: Some(Holds::Open), site: of_site.clone(), limit: Some(10), ..AlarmsQuery::default() };
    let alarms = list_alarms(State(Arc::clone(app)), access.clone(), Query(asked)).await?.0;
    let asked = DevicesQuery { site: of_site, kind: None, cursor: None, limit: Some(100) };
    let devices = list_devices(State(Arc::clone(app)), access.clone(), Query(asked)).await?.0;
    let ((alarms, more), (devices, _)) = (alarms.into_parts(), devices.into_parts());
    Ok(html! {
        h2 { (lang.t("未解除的告警", "Open alarms")) }
        @if alarms.is_empty() { p { (lang.t("没有告警。", "None.")) } }
        @else {
            ul.lines { @for alarm in &alarms { li { (one(lang, site, alarm)) } } }
            p { a href={ "/alarms?site=" (site.id) } { @if more.is_some() { (lang.t("全部告警", "All alarms")) } @else { (lang.t("去处理", "See to them")) } } }
        }
        h2 { (lang.t("设备", "Devices")) }
        @if devices.is_empty() { p { (lang.t("这个箱房还没有设备。", "This site has no devices yet.")) } }
        @else {
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { (lang.t("设备", "Device")) } th scope="col" { (lang.t("状态", "State")) }
                    th scope="col" { (lang.t("投放口", "Lid")) } th scope="col" { (lang.t("满溢度", "Fill level")) }
                    th scope="col" { (lang.t("时段设置", "Its hours")) }
                } }
                tbody { @for device in &devices { (row(lang, site, device)) } }
            } }
        }
    })
}

fn one(lang: Language, site: &Site, alarm: &AlarmView) -> Markup {
    html! {
        (alarms::severity(lang, alarm.severity)) " " (alarms::kind(lang, alarm.kind))
        @if let Some(device) = &alarm.device { " · " bdi { (device) } }
        " " span.meta { (lang.t("自 ", "since ")) (lang.moment(&alarm.raised, site.zone)) }
    }
}

fn row(lang: Language, site: &Site, device: &DeviceView) -> Markup {
    let own = &device.registration;
    html! {
        tr {
            th scope="row" { bdi { (own.name.as_deref().unwrap_or(&own.id)) } br; span.meta { (words::device(lang, own.kind)) " · " (own.id) } }
            td {
                @if device.online { span.tag.good { (lang.t("在线", "online")) } }
                @else if device.since.is_none() { span.tag.plain-tag { (lang.t("从未上线", "never online")) } }
                @else { span.tag.bad { (lang.t("不在线", "offline")) } }
            }
            td { @match &device.lid { Some(one) => (lid(lang, site, one)), None => "—" } }
            td { (fill(lang, device)) }
            td {
                @if device.config.confirmed { span.tag.good { (lang.t("已照办", "keeps to them")) } }
                @else if device.config.version.is_none() { "—" }
                @else { span.tag.care { (lang.t("未确认", "not confirmed")) } }
            }
        }
    }
}

fn lid(lang: Language, site: &Site, lid: &LidView) -> Markup {
    let name = |lid: Lid| if lid.is_locked() { lang.t("锁定", "locked") } else { lang.t("可投放", "unlocked") };
    html! {
        @match lid.reported {
            Some(reported) => { (name(reported)) }
            None => { span.meta { (lang.t("未报告", "has not said")) } }
        }
        @if lid.follows == Some(false) { " " span.tag.bad { (lang.t("应为:", "should be ")) (name(lid.expected)) } }
        @if let Some(next) = &lid.next { br; span.meta { (lang.t("下次变化:", "next change ")) (lang.moment(next, site.zone)) } }
    }
}

fn fill(lang: Language, device: &DeviceView) -> Markup {
    let levels: Vec<_> = device
        .vitals
        .iter()
        .filter_map(|(name, vital)| Some((Stream::parse(name.strip_prefix("fill/")?)?, vital.value)))
        .collect();
    html! {
        @if levels.is_empty() { "—" }
        @for (one, percent) in &levels {
            div.level {
                span { (words::stream(lang, *one)) " " (format!("{percent:.0}%")) }
                meter min="0" max="100" high="80" optimum="0" value=(format!("{percent:.0}")) aria-label=(words::stream(lang, *one)) {}
            }
        }
    }
}
