//! `/sites` and one site: how they stand, when people come, and the hours that are agreed on.

mod editor;
mod events;
mod hours;
mod openings;
pub(super) mod schedule;
pub(super) mod site;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use fenlei_wire::vocabulary::Stream;
use maud::{Markup, html};

pub(super) use openings::{end, open};

use super::frame::{Page, Section};
use super::visitor::Visitor;
use super::words;
use crate::domain::registry::{Registry, Site};
use crate::domain::timetable::Gate;
use crate::store::openings::Opening;
use crate::store::{alarms, openings as held, states, vitals};
use crate::web::App;
use crate::web::access::{READERS, SITE_READERS};
use crate::web::language::Language;
use crate::web::problem::Problem;

/// Whether a site is open, and until when.
fn gate(lang: Language, site: &Site, held: Option<&Opening>, now: DateTime<Utc>) -> Markup {
    let now = now.timestamp_millis();
    if let Some(held) = held {
        return html! {
            span.tag.good { (lang.t("临时开放", "held open")) } " "
            span.meta { (lang.t("到 ", "until ")) (lang.instant(held.until, site.zone)) }
        };
    }
    let (class, words) = match site.timetable.gate(now) {
        Gate::Open => ("tag good", lang.t("开放中", "open")),
        Gate::Makeup => ("tag care", lang.t("误时投放时段", "makeup hours")),
        Gate::Closed => ("tag plain-tag", lang.t("未开放", "closed")),
    };
    html! {
        span class=(class) { (words) } " "
        span.meta {
            @match site.timetable.next_change(now) {
                Some(next) => { (lang.t("下次变化:", "next change ")) (lang.instant(next, site.zone)) }
                None => (lang.t("八天内没有变化", "no change within eight days")),
            }
        }
    }
}

/// What people who read figures see of a site beside its hours.
#[derive(Default)]
struct Standing {
    devices: usize,
    online: usize,
    /// Of what, in percent.
    fullest: Option<(String, f64)>,
    alarms: u64,
}

struct Standings {
    held: Vec<Opening>,
    by_site: HashMap<i64, Standing>,
}

async fn standings(app: &App, registry: &Arc<Registry>, now: DateTime<Utc>) -> Result<Standings, Problem> {
    let (registry, now) = (Arc::clone(registry), now.timestamp_millis());
    let read = app.store.read(move |connection| {
        let (states, vitals) = (states::all(connection)?, vitals::all(connection)?);
        let (held, alarms) = (held::since(connection, now)?, alarms::open_by_site(connection)?);
        let mut by_site: HashMap<i64, Standing> = HashMap::new();
        for (site, count) in alarms {
            by_site.entry(site).or_default().alarms = count;
        }
        for device in registry.devices.values() {
            let Some(site) = registry.sites.get(&device.site) else { continue };
            let standing = by_site.entry(site.key).or_default();
            standing.devices += 1;
            standing.online += usize::from(states.get(&device.key).is_some_and(|(online, _)| *online));
            for (name, vital) in vitals.get(&device.key).into_iter().flatten() {
                let Some(stream) = name.strip_prefix("fill/") else { continue };
                if standing.fullest.as_ref().is_none_or(|(_, most)| *most < vital.value) {
                    standing.fullest = Some((stream.to_owned(), vital.value));
                }
            }
        }
        Ok(Standings { held, by_site })
    });
    Ok(read.await?)
}

pub(super) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    let (lang, access) = (visitor.lang, &visitor.access);
    access.may_see(SITE_READERS)?;
    let (registry, now) = (&access.registry, app.clock.now());
    let standings = standings(&app, registry, now).await?;
    let reads = access.is_one_of(READERS);
    let communities: Vec<_> = registry
        .communities
        .values()
        .filter(|community| access.sees_community(&community.id))
        .map(|community| (community, registry.sites_of(&community.id).collect::<Vec<_>>()))
        .filter(|(_, sites)| !sites.is_empty())
        .collect();
    let body = html! {
        div #sites data-live {
            @if communities.is_empty() { p { (lang.t("还没有登记箱房。", "No site is registered yet.")) } }
            @for (community, sites) in &communities {
                h2 { bdi { (community.name) } }
                ul.cards {
                    @for site in sites {
                        @let held = standings.held.iter().find(|held| held.site == site.key && held.start <= now.timestamp_millis());
                        li.card {
                            h3 { a href={ "/sites/" (site.id) } { bdi { (site.name) } } }
                            p { (gate(lang, site, held, now)) }
                            @if reads { (counts(lang, standings.by_site.get(&site.key).unwrap_or(&Standing::default()))) }
                        }
                    }
                }
            }
        }
    };
    let page = Page::new(&visitor, Section::Sites, lang.t("箱房", "Sites"));
    Ok(if reads { page.script("live.js") } else { page }.show(&body))
}

fn counts(lang: Language, standing: &Standing) -> Markup {
    html! {
        dl.pairs {
            dt { (lang.t("设备在线", "Devices online")) }
            dd { (standing.online) " / " (standing.devices) }
            dt { (lang.t("最满的桶", "Fullest bin")) }
            dd { @match &standing.fullest {
                Some((name, percent)) => { (format!("{percent:.0}%")) " " @if let Some(one) = Stream::parse(name) { (words::stream(lang, one)) } }
                None => "—",
            } }
            dt { (lang.t("未解除告警", "Open alarms")) }
            dd { @if standing.alarms > 0 { strong { (standing.alarms) } } @else { "0" } }
        }
    }
}
