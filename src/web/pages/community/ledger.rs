//! `/communities/{id}/ledger`: the deposits behind the figures, one by one; of whom only whether that is known.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Days;
use fenlei_wire::vocabulary::EventType;
use maud::html;
use serde::Deserialize;

use super::chosen::{dates, span};
use crate::domain::event::Body;
use crate::domain::period::Span;
use crate::domain::registry::{Registry, VOLUNTEERS};
use crate::domain::roster::Roster;
use crate::domain::zone::{closes_at, local, opens_at, today};
use crate::sheets::{Cell, Table};
use crate::store::events::{self, Filter, Listed};
use crate::store::sql::Connection;
use crate::store::{StoreError, cards, roster};
use crate::web::App;
use crate::web::extract::{Id, Query};
use crate::web::language::Language;
use crate::web::pages::frame::{Page, Section};
use crate::web::pages::visitor::Visitor;
use crate::web::pages::{table, words};
use crate::web::paging;
use crate::web::problem::Problem;

/// The days that are listed where none are asked for, today among them.
const DAYS: u64 = 7;
/// Deposits of a page.
const LIMIT: u32 = 100;
/// Minutes of a day.
const DAY: u16 = 24 * 60;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::pages) struct LedgerQuery {
    from: Option<String>,
    to: Option<String>,
    cursor: Option<String>,
}

pub(in crate::web::pages) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(query): Query<LedgerQuery>,
) -> Result<Response, Problem> {
    let community = super::community(&visitor, &id)?.clone();
    let (lang, registry) = (visitor.lang, Arc::clone(&visitor.access.registry));
    let today = today(community.zone, app.clock.now());
    let week = |to: chrono::NaiveDate| to.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(to);
    let (days, mistake) = match span(query.from.as_deref(), query.to.as_deref(), today, week) {
        Ok(days) => (days, None),
        Err(mistake) => (Span { from: week(today), to: today }, Some(mistake)),
    };
    let page = paging::Page::new(query.cursor.as_deref(), Some(LIMIT))?;
    let filter = Filter {
        after: page.after_row()?,
        through: Some(*app.store.committed().borrow()),
        sites: Some(registry.sites_of(&id).map(|site| site.key).collect()),
        types: vec![EventType::Deposit],
        from: Some(opens_at(community.zone, days.from, 0).timestamp_millis()),
        to: Some(closes_at(community.zone, days.to, DAY).timestamp_millis()),
        limit: page.probe(),
        ..Filter::default()
    };
    let read = app.store.read(move |connection| {
        let roster = roster::load(connection, community.key)?;
        let found = page.cut(events::list(connection, &filter)?, |listed| listed.id.to_string());
        let (found, next) = found.into_parts();
        let rows: Result<Vec<_>, StoreError> =
            found.iter().filter_map(|listed| row(connection, &registry, &roster, listed, lang).transpose()).collect();
        Ok((rows?, next))
    });
    let (rows, next) = read.await?;
    let listed = rows.len();
    let body = html! {
        p { a href={ "/communities/" (id) } { (lang.t("回到小区", "Back to the community")) } }
        @if let Some(mistake) = mistake { div.error role="alert" { p { a href="#from" { (mistake.told(lang)) } } } }
        form.row.no-print method="get" { (dates(lang, days)) button type="submit" { (lang.t("查看", "Show")) } }
        p.note {
            (lang.span(days)) " · "
            (lang.t("按记录入库的先后排列。只显示投放能否对应在册户,不显示是哪一户。",
                    "In the order in which they were recorded. Whether a deposit is that of an enrolled household is told, never of which."))
        }
        @if listed == 0 {
            p { (lang.t("这些天没有投放。", "There are no deposits on these days.")) }
        } @else {
            (table::show(lang, &deposits(lang, rows)))
        }
        @if let Some(next) = next {
            p { a.button.secondary rel="next" href={ "?from=" (days.from) "&to=" (days.to) "&cursor=" (next) } { (lang.t("后面的投放", "Later deposits")) } }
        }
    };
    let status = if mistake.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let title = format!("{} · {}", super::community(&visitor, &id)?.name, lang.t("投放明细", "Deposits"));
    Ok(Page::new(&visitor, Section::Overview, title).status(status).show(&body))
}

fn deposits(lang: Language, rows: Vec<Vec<Cell>>) -> Table {
    let columns = [
        ["时间", "Time"],
        ["箱房", "Site"],
        ["设备", "Device"],
        ["类别", "Stream"],
        ["克", "Grams"],
        ["时段", "Timing"],
        ["判定", "Verdict"],
        ["能否识别", "Identified"],
    ];
    super::tables::table(lang, lang.t("投放明细", "Deposits"), &columns, rows)
}

/// A deposit's row, by the clock of its site.
fn row(
    connection: &Connection,
    registry: &Registry,
    roster: &Roster,
    listed: &Listed,
    lang: Language,
) -> Result<Option<Vec<Cell>>, StoreError> {
    let (Body::Deposit(deposit), Some(timing), Some(site)) =
        (&listed.event.body, listed.timing, registry.sites.get(&listed.site))
    else {
        return Ok(None);
    };
    let card = deposit.card.map(|hash| cards::known(connection, hash)).transpose()?.flatten();
    let day = local(site.zone, listed.event.time).day;
    let identified = card.is_some_and(|card| roster.holder(card, day).is_some());
    let device = if listed.device == VOLUNTEERS { lang.t("志愿者记录", "volunteers") } else { &listed.device };
    Ok(Some(vec![
        lang.instant(listed.event.time, site.zone).into(),
        site.name.as_str().into(),
        device.into(),
        words::stream(lang, deposit.stream).into(),
        Cell::Integer(deposit.grams.into()),
        words::timing(lang, timing).into(),
        words::verdict(lang, listed.verdict).into(),
        if identified { lang.t("是", "yes") } else { lang.t("否", "no") }.into(),
    ]))
}
