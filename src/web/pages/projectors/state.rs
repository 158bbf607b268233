//! How each projector stands: whether it is online, what it shows, what it was told last; and the proof of display.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use chrono::{DateTime, Days, NaiveDate, Utc};
use maud::{Markup, html};

use super::{ground, projector, projectors};
use crate::domain::registry::{Community, Device, Site};
use crate::domain::zone::{Tz, today};
use crate::store::commands::{self, Life};
use crate::store::sql::Connection;
use crate::store::{StoreError, displays, fleet, messages};
use crate::web::App;
use crate::web::displays::{DisplaysQuery, get_displays};
use crate::web::extract::{Date, Query};
use crate::web::language::Language;
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

/// Over how many days the proof is told.
const DAYS: u64 = 7;
/// How far back it is looked for what a projector says that it shows now, in milliseconds.
const LOOKED_BACK: i64 = 60_000;

pub(super) struct Projector {
    device: Device,
    site: Site,
    online: bool,
    since: Option<i64>,
    now: Option<Now>,
    last: Option<Life>,
}

/// What a projector says that it shows.
enum Now {
    /// Its own message of the evening.
    Evening,
    Message {
        id: String,
        /// Absent: it was taken back, and the projector has not said that it was cleared.
        text: Option<String>,
    },
}

impl Projector {
    pub(super) fn read(
        connection: &Connection,
        device: &Device,
        site: &Site,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let (status, millis) = (fleet::status(connection, device)?, now.timestamp_millis());
        let shown = displays::of_device(connection, device.key, (millis - LOOKED_BACK, millis + 1), millis)?;
        let shown = shown.into_iter().rfind(|shown| shown.end == millis);
        let showing = match shown.map(|shown| shown.message) {
            None => None,
            Some(None) => Some(Now::Evening),
            Some(Some(id)) => {
                let text = messages::get(connection, &id)?.map(|stored| stored.asked.text);
                Some(Now::Message { id, text })
            }
        };
        Ok(Self {
            device: device.clone(),
            site: site.clone(),
            online: status.online,
            since: status.since,
            now: showing,
            last: commands::latest(connection, device.key, millis)?,
        })
    }
}

pub(super) fn show(visitor: &Visitor, states: &[Projector]) -> Markup {
    let lang = visitor.lang;
    html! {
        h2 #state { (lang.t("投影现在的状态", "How the projectors stand")) }
        ul.cards { @for one in states { li.card { (card(lang, one)) } } }
    }
}

fn card(lang: Language, one: &Projector) -> Markup {
    let zone = one.site.zone;
    html! {
        h3 { bdi { (projector(&one.device, &one.site)) } }
        p {
            @if one.online { span.tag.good { (lang.t("在线", "online")) } }
            @else if one.since.is_none() { span.tag.plain-tag { (lang.t("从未上线", "never online")) } }
            @else { span.tag.bad { (lang.t("不在线", "offline")) } }
            @if let Some(since) = one.since { " " span.meta { (lang.t("自 ", "since ")) (lang.instant(since, zone)) } }
        }
        @match &one.now {
            None => { p.meta { (lang.t("没有在放映", "showing nothing")) } }
            Some(Now::Evening) => { p { (lang.t("正在放映自带的晚间标语", "showing its own message of the evening")) } }
            Some(Now::Message { text: None, .. }) => { p { (lang.t("正在放映已撤回的消息", "showing a message that was taken back")) } }
            Some(Now::Message { id, text: Some(text) }) => {
                p { a href={ "/projectors/messages/" (id) } { (lang.t("正在放映:", "showing:")) } }
                (ground(text, true))
            }
        }
        @if let Some(last) = &one.last {
            p.meta { (lang.t("最近一条指令:", "Last command:")) }
            ol.steps { @for step in &last.steps { li { (told(lang, &step.state)) " " span.meta { (lang.instant(step.at, zone)) } } } }
        }
    }
}

/// A step of a command in words, with its colour.
pub(super) fn told(lang: Language, state: &str) -> Markup {
    let (class, words) = match state {
        "queued" => ("tag plain-tag", lang.t("待发送", "waiting")),
        "sent" => ("tag plain-tag", lang.t("已发送", "sent")),
        "accepted" => ("tag plain-tag", lang.t("已收到", "received")),
        "displayed" => ("tag good", lang.t("已放映", "displayed")),
        "expired" => ("tag care", lang.t("已失效", "no longer valid")),
        "refused" => ("tag bad", lang.t("被拒绝", "refused")),
        "failed" => ("tag bad", lang.t("失败", "failed")),
        other => ("tag plain-tag", other),
    };
    html! { span class=(class) { (words) } }
}

/// How many minutes each projector displayed on each of the last days, by its own word.
pub(super) async fn proof(app: &Arc<App>, visitor: &Visitor, community: &Community) -> Result<Markup, Problem> {
    let (lang, registry) = (visitor.lang, &visitor.access.registry);
    let last = today(community.zone, app.clock.now());
    let first = last.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(last);
    let mut minutes: BTreeMap<(String, NaiveDate), (i64, i64)> = BTreeMap::new();
    for site in registry.sites_of(&community.id) {
        let query =
            DisplaysQuery { site: Some(site.id.clone()), device: None, from: Some(Date(first)), to: Some(Date(last)) };
        let told = get_displays(State(Arc::clone(app)), visitor.access.clone(), Query(query)).await?.0;
        minutes.extend(told.days.into_iter().map(|day| ((day.device, day.date), (day.minutes, day.evening_minutes))));
    }
    let days: Vec<_> = first.iter_days().take(DAYS as usize).collect();
    let of = |device: &Device, date: NaiveDate| minutes.get(&(device.id.clone(), date)).copied().unwrap_or_default();
    Ok(html! {
        h2 { (lang.t("放映证明", "Proof of display")) }
        div.scroll.proof tabindex="0" role="region" aria-label=(lang.t("放映证明", "Proof of display")) { table {
            caption { (lang.t("每天放映的分钟数,按投影自己的上报(括号内为其中的晚间标语)", "Minutes displayed on each day, by the projectors' own word (of these in brackets: their own message of the evening)")) }
            thead { tr {
                th scope="col" { (lang.t("投影", "Projector")) }
                @for date in &days { th.num scope="col" { (lang.short(*date)) } }
            } }
            tbody { @for (device, site) in projectors(registry, &community.id) { tr {
                th scope="row" { bdi { (projector(device, site)) } }
                @for date in &days { td.num { (cell(of(device, *date))) } }
            } } }
        } }
    })
}

fn cell((minutes, evening): (i64, i64)) -> String {
    if evening > 0 { format!("{minutes} ({evening})") } else { minutes.to_string() }
}

/// When a command is due and until when it holds, as the API writes them.
pub(super) fn span(lang: Language, due: &str, expires: &str, zone: Tz) -> String {
    format!("{} – {}", lang.moment(due, zone), lang.moment(expires, zone))
}
