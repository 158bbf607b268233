//! `/projectors`: what projectors show and will show, and the messages that people ask them to.

mod calendar;
mod compose;
pub(super) mod message;
mod state;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use fenlei_wire::vocabulary::DeviceKind;
use maud::{Markup, html};
use serde::Deserialize;

pub(super) use compose::{new, post};

use super::frame::{Page, Section};
use super::visitor::Visitor;
use crate::domain::projection::{Start, Target};
use crate::domain::registry::{Community, Device, Registry, Site};
use crate::domain::zone::{DEFAULT_ZONE, Tz};
use crate::store::StoreError;
use crate::store::messages::{self, Stored, Times};
use crate::store::sql::Connection;
use crate::web::App;
use crate::web::access::{Access, SCHEDULERS, SITE_READERS};
use crate::web::language::Language;
use crate::web::problem::Problem;

/// Messages listed that are over.
const LISTED: usize = 20;
/// Messages that are over looked through for those.
const LOOKED_AT: usize = 500;

#[derive(Deserialize)]
pub(super) struct Asked {
    community: Option<String>,
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let (lang, access) = (visitor.lang, &visitor.access);
    access.may_see(SITE_READERS)?;
    let communities = communities(access);
    let chosen = match asked.community.filter(|id| !id.is_empty()) {
        Some(id) => Some(access.community(&id)?.clone()),
        None => communities.first().map(|community| (*community).clone()),
    };
    let title = lang.t("投影", "Projectors");
    let Some(community) = chosen else {
        let body = html! { p { (lang.t("还没有登记投影设备。", "No projector is registered yet.")) } };
        return Ok(Page::new(&visitor, Section::Projectors, title).show(&body));
    };
    let proof = state::proof(&app, &visitor, &community).await?;
    let (registry, now, of) = (Arc::clone(&access.registry), app.clock.now(), community.clone());
    let read = app.store.read(move |connection| Reading::read(connection, &registry, &of, now));
    let reading = read.await?;
    let body = html! {
        @if communities.len() > 1 {
            form.row method="get" action="/projectors" {
                div.field {
                    label for="community" { (lang.t("小区", "Community")) }
                    select #community name="community" {
                        @for one in &communities { option value=(one.id) selected[one.id == community.id] { (one.name) } }
                    }
                }
                button.secondary type="submit" { (lang.t("查看", "Show")) }
            }
        }
        @if access.is_one_of(SCHEDULERS) {
            p { a.button href={ "/projectors/new?community=" (community.id) } { (lang.t("新消息", "New message")) } }
        }
        section #projectors data-live aria-labelledby="state" { (state::show(&visitor, &reading.states)) }
        (calendar::show(&visitor, &community, &reading, now))
        (listed(&visitor, lang.t("安排中的消息", "Messages planned"), &reading.current, &community))
        @if !reading.over.is_empty() {
            details { summary { (lang.t("已结束的消息", "Messages that are over")) } (listed(&visitor, "", &reading.over, &community)) }
        }
        (proof)
    };
    Ok(Page::new(&visitor, Section::Projectors, title).script("live.js").show(&body))
}

/// The communities with projectors that somebody sees, by id.
fn communities(access: &Access) -> Vec<&Community> {
    let registry = &access.registry;
    let seen = registry.communities.values().filter(|community| access.sees_community(&community.id));
    seen.filter(|community| projectors(registry, &community.id).next().is_some()).collect()
}

fn projectors<'a>(registry: &'a Registry, community: &'a str) -> impl Iterator<Item = (&'a Device, &'a Site)> + 'a {
    let projectors = registry.devices.values().filter(|device| device.kind == DeviceKind::Projector);
    let placed = projectors.filter_map(|device| Some((device, registry.sites.get(&device.site)?)));
    placed.filter(move |(_, site)| site.community == community)
}

/// What the page tells of a community.
struct Reading {
    /// Messages of which something may still be shown, the newest first.
    current: Vec<Stored>,
    over: Vec<Stored>,
    states: Vec<state::Projector>,
}

impl Reading {
    fn read(
        connection: &Connection,
        registry: &Registry,
        community: &Community,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let own = |stored: &Stored| stored.asked.target.community(registry) == Some(community.id.as_str());
        let mut current: Vec<_> = messages::current(connection, now)?.into_iter().filter(own).collect();
        current.sort_by_key(|stored| std::cmp::Reverse(stored.number));
        let over = messages::over(connection, now, LOOKED_AT)?.into_iter().filter(own).take(LISTED).collect();
        let states = projectors(registry, &community.id)
            .map(|(device, site)| state::Projector::read(connection, device, site, now))
            .collect::<Result<_, _>>()?;
        Ok(Self { current, over, states })
    }
}

fn listed(visitor: &Visitor, title: &str, messages: &[Stored], community: &Community) -> Markup {
    let (lang, registry) = (visitor.lang, &visitor.access.registry);
    html! {
        @if !title.is_empty() { h2 { (title) } }
        @if messages.is_empty() { p { (lang.t("还没有安排消息。投影按自带的晚间标语放映。", "No message is planned. Projectors show their own message of the evening.")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(lang.t("消息", "Messages")) { table {
                thead { tr {
                    th scope="col" { (lang.t("文字", "Text")) } th scope="col" { (lang.t("在哪里", "Where")) }
                    th scope="col" { (lang.t("何时", "When")) }
                } }
                tbody { @for one in messages { tr {
                    th scope="row" { a href={ "/projectors/messages/" (one.id) } { bdi { (one.asked.text) } } }
                    td { bdi { (target(registry, &one.asked.target)) } }
                    td { (when(lang, &one.asked.times, community.zone)) }
                } } }
            } }
        }
    }
}

/// What a target is called.
fn target(registry: &Registry, target: &Target) -> String {
    let name = match target {
        Target::Community(id) => registry.communities.get(id).map(|community| community.name.clone()),
        Target::Site(id) => registry.sites.get(id).map(|site| site.name.clone()),
        Target::Device(id) => registry.place(id).map(|(device, site, _)| projector(device, site)),
    };
    let (Target::Community(id) | Target::Site(id) | Target::Device(id)) = target;
    name.unwrap_or_else(|| id.clone())
}

/// What a projector is called, with where it is.
fn projector(device: &Device, site: &Site) -> String {
    format!("{} · {}", site.name, device.name.as_deref().unwrap_or(&device.id))
}

/// When a message is shown, in words.
fn when(lang: Language, times: &Times, zone: Tz) -> String {
    match times {
        Times::Once { at, seconds } => {
            let (at, lasts) = (lang.instant(*at, zone), length(lang, *seconds));
            match lang {
                Language::Zh => format!("{at} 起,{lasts}"),
                Language::En => format!("{at}, for {lasts}"),
            }
        }
        Times::Daily { start, seconds, from, until } => {
            let (start, lasts, from) = (began(lang, start), length(lang, *seconds), lang.date(*from));
            let until = until.map(|until| lang.date(until));
            match (lang, until) {
                (Language::Zh, Some(until)) => format!("每天{start}起,{lasts}({from}至{until})"),
                (Language::Zh, None) => format!("每天{start}起,{lasts}({from}起长期)"),
                (Language::En, Some(until)) => format!("daily {start}, for {lasts} ({from} to {until})"),
                (Language::En, None) => format!("daily {start}, for {lasts} (from {from} on)"),
            }
        }
    }
}

fn began(lang: Language, start: &str) -> String {
    match (Start::parse(start), lang) {
        (Some(Start::Sunset(0)), Language::Zh) => "日落".to_owned(),
        (Some(Start::Sunset(0)), Language::En) => "from sunset".to_owned(),
        (Some(Start::Sunset(minutes)), Language::Zh) => {
            format!("日落{} {} 分钟", if minutes < 0 { "前" } else { "后" }, minutes.abs())
        }
        (Some(Start::Sunset(minutes)), Language::En) => {
            format!("{} min {} sunset", minutes.abs(), if minutes < 0 { "before" } else { "after" })
        }
        (_, Language::Zh) => format!(" {start} "),
        (_, Language::En) => format!("from {start}"),
    }
}

fn length(lang: Language, seconds: u32) -> String {
    if seconds.is_multiple_of(60) {
        format!("{} {}", seconds / 60, lang.t("分钟", "min"))
    } else {
        format!("{seconds} {}", lang.t("秒", "s"))
    }
}

/// A text as it looks on the ground.
fn ground(text: &str, small: bool) -> Markup {
    html! { div.ground.small[small] { p dir="auto" { (text) } } }
}

/// The zone by which times of a target are told.
fn zone(registry: &Registry, target: &Target) -> Tz {
    let site = match target {
        Target::Community(_) => None,
        Target::Site(id) => registry.sites.get(id),
        Target::Device(id) => registry.place(id).map(|(_, site, _)| site),
    };
    let community = target.community(registry).and_then(|id| registry.communities.get(id));
    site.map(|site| site.zone).or(community.map(|community| community.zone)).unwrap_or(DEFAULT_ZONE)
}
