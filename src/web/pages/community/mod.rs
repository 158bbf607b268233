//! `/communities/{id}`: how a community's figures went, and how each came about; from here the way to everything of it.

mod basis;
mod chosen;
pub(super) mod export;
pub(super) mod ledger;
mod month;
mod reading;
pub(super) mod report;
mod tables;
mod trend;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use self::chosen::{Chosen, ChosenQuery, Mistake};
use self::reading::{Comparison, Reading};
use super::frame::{Page, Section};
use super::table;
use super::visitor::Visitor;
use super::words;
use crate::domain::comparison::WEEKS;
use crate::domain::registry::Community;
use crate::domain::zone::today;
use crate::web::App;
use crate::web::access::READERS;
use crate::web::chart::{Bar, Bars, Fill, Part};
use crate::web::extract::{Id, Query};
use crate::web::language::Language;
use crate::web::problem::Problem;
use fenlei_wire::vocabulary::Stream;

/// A community that the visitor may look into.
fn community<'a>(visitor: &'a Visitor, id: &str) -> Result<&'a Community, Problem> {
    visitor.access.may_see(READERS)?;
    visitor.access.community(id)
}

/// Reads what was chosen; where that cannot be shown, the last weeks and what was wrong.
async fn read(
    app: &App,
    visitor: &Visitor,
    id: &str,
    query: &ChosenQuery,
) -> Result<(Reading, Option<Mistake>), Problem> {
    let (community, registry) = (community(visitor, id)?.clone(), Arc::clone(&visitor.access.registry));
    let now = app.clock.now();
    let today = today(community.zone, now);
    let (chosen, mistake) = match query.read(today) {
        Ok(chosen) => (chosen, None),
        Err(mistake) => (Chosen::default(today), Some(mistake)),
    };
    let read = app.store.read(move |connection| Reading::read(connection, &registry, &community, chosen, now));
    Ok((read.await?, mistake))
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(query): Query<ChosenQuery>,
) -> Result<Response, Problem> {
    let (reading, mistake) = read(&app, &visitor, &id, &query).await?;
    let lang = visitor.lang;
    let body = html! {
        (ways(&visitor, &id))
        h2.visually-hidden { (lang.t("最近一整周", "The last full week")) }
        (reading.standing.tiles(lang))
        (so_far(&reading, lang))
        h2 #trend { (lang.t("趋势", "Trend")) }
        @if let Some(mistake) = mistake { div.error role="alert" { p { a href="#period" { (mistake.told(lang)) } } } }
        (reading.chosen.form(lang))
        (trend::charts(&reading, lang))
        (exported(&reading, lang, "periods", &tables::periods(&reading, lang)))
        (exported(&reading, lang, "deposits", &tables::deposits(&reading, lang)))
        h2 { (lang.t("类别与重量", "Streams and weight")) }
        (weights(&reading, lang))
        (exported(&reading, lang, "streams", &tables::streams(&reading, lang)))
        (exported(&reading, lang, "weights", &tables::weights(&reading, lang)))
        h2 { (lang.t("项目开始前后", "Before and after the project's start")) }
        (compared(&reading, lang))
        h2 { (lang.t("这些数是怎么来的", "How these figures came about")) }
        p { (lang.t("以下是所选时间的合计:", "For all of the chosen days: ")) (lang.span(reading.chosen.span)) (lang.t("。", ".")) }
        (exported(&reading, lang, "basis", &basis::table(&reading, lang)))
        p {
            a href={ "/communities/" (id) "/ledger?from=" (reading.chosen.span.from) "&to=" (reading.chosen.span.to) } {
                (lang.t("查看这些天的每一次投放", "Every deposit of these days"))
            }
            " · " a href="/definitions" { (lang.t("指标说明", "Definitions")) }
            " · " a href={ "/communities/" (id) "/export/all.xlsx" (reading.chosen.query()) } { (lang.t("导出全部表格(Excel)", "All tables as Excel")) }
        }
    };
    let status = if mistake.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = Page::new(&visitor, Section::Overview, reading.standing.name.clone());
    Ok(page.script("live.js").status(status).show(&body))
}

/// To everything else of the community.
fn ways(visitor: &Visitor, id: &str) -> Markup {
    let lang = visitor.lang;
    let sites = visitor.access.registry.sites_of(id);
    html! {
        nav.no-print aria-label=(lang.t("本小区", "This community")) {
            ul.pages-of {
                @for site in sites { li { a href={ "/sites/" (site.id) } { (lang.t("箱房:", "Site: ")) bdi { (site.name) } } } }
                li { a href={ "/communities/" (id) "/awareness" } { (lang.t("知晓率", "Awareness")) } }
                li { a href={ "/communities/" (id) "/visits" } { (lang.t("入户记录", "Visits")) } }
                li { a href={ "/communities/" (id) "/report" } { (lang.t("月报", "Monthly report")) } }
                li { a href={ "/communities/" (id) "/ledger" } { (lang.t("投放明细", "Deposits")) } }
                li { a href={ "/board/" (id) "?lang=" (lang.parameter()) } { (lang.t("公示屏", "Public board")) } }
            }
        }
    }
}

/// What today has brought; it is renewed while somebody looks.
fn so_far(reading: &Reading, lang: Language) -> Markup {
    let (now, timing) = (&reading.so_far, &reading.so_far.timing);
    html! {
        section #today data-live aria-labelledby="today-heading" {
            h2 #today-heading { (lang.t("今天到现在", "Today so far")) }
            dl.pairs {
                dt { (lang.t("参与户", "Households")) }
                dd { (now.participating) " / " (now.households) " " (lang.t("户", "households")) " (" (lang.percent(now.participation_rate())) ")" }
                dt { (lang.t("投放", "Deposits")) }
                dd {
                    (timing.total()) (lang.t(" 次:开放时段 ", ": in the open hours ")) (timing.in_window)
                    (lang.t(",误时 ", ", makeup ")) (timing.makeup) (lang.t(",非开放时段 ", ", off hours ")) (timing.off_hours)
                }
                dt { (lang.t("重量", "Weight")) }
                dd { (lang.kilograms(now.grams.values().sum())) }
                dt { (lang.t("已结束的开放时段", "Open windows that are over")) }
                dd { (lang.t("观测到 ", "observed ")) (now.windows_observed) (lang.t(" 个,今天共 ", " of today's ")) (now.windows_scheduled) (lang.t(" 个", "")) }
            }
        }
    }
}

/// A table with the ways to have it as a file.
fn exported(reading: &Reading, lang: Language, name: &str, made: &crate::sheets::Table) -> Markup {
    let file =
        |kind: &str| format!("/communities/{}/export/{name}.{kind}{}", reading.standing.id, reading.chosen.query());
    html! {
        (table::show(lang, made))
        p.note.no-print {
            (lang.t("导出:", "Export: "))
            a href=(file("csv")) { "CSV" span.visually-hidden { " " (made.title) } } " · "
            a href=(file("xlsx")) { "Excel" span.visually-hidden { " " (made.title) } }
        }
    }
}

fn weights(reading: &Reading, lang: Language) -> Markup {
    let bars: Vec<_> = Stream::ALL
        .iter()
        .map(|stream| {
            let grams = reading.streams.get(stream).map_or(0, |total| total.grams);
            #[expect(clippy::cast_precision_loss, reason = "grams of a community stay far below 2^53")]
            let part = Part { fill: fill(*stream), amount: grams as f64, told: lang.kilograms(grams) };
            Bar { label: words::stream(lang, *stream).to_owned(), value: lang.kilograms(grams), parts: vec![part] }
        })
        .collect();
    let title = lang.t("各类垃圾的重量", "Weight by stream");
    Bars { id: "weight", title, bars: &bars, legend: &[], shares: false }.draw()
}

fn fill(stream: Stream) -> Fill {
    match stream {
        Stream::Food => Fill::Food,
        Stream::Residual => Fill::Residual,
        Stream::Recyclable => Fill::Recyclable,
        Stream::Hazardous => Fill::Hazardous,
    }
}

fn compared(reading: &Reading, lang: Language) -> Markup {
    let Some(comparison) = &reading.comparison else {
        return html! { p { (lang.t("还没有开始的项目,无法比较。", "No project has begun yet: there is nothing to compare.")) } };
    };
    html! {
        p { (means_told(comparison, lang)) }
        (exported(reading, lang, "comparison", &tables::compared(comparison, lang)))
    }
}

fn means_told(comparison: &Comparison, lang: Language) -> String {
    let side = |means: &crate::domain::comparison::Means| match (means.span, lang) {
        (Some(span), Language::Zh) => format!("{}({} 周)", lang.span(span), means.weeks),
        (Some(span), Language::En) => format!("{} ({} weeks)", lang.span(span), means.weeks),
        (None, _) => lang.t("没有可用的整周", "no full week").to_owned(),
    };
    let (starts, before, after) = (lang.date(comparison.starts), side(&comparison.before), side(&comparison.after));
    match lang {
        Language::Zh => format!(
            "项目于 {starts} 开始。每个数是整周数值的平均:开始前最后至多 {WEEKS} 周,开始后最近至多 {WEEKS} 周;没有观测到开放时段的周不计入。开始前:{before};开始后:{after}。"
        ),
        Language::En => format!(
            "The project began on {starts}. Each figure is the mean of full weeks: the last {WEEKS} at most before the start, and the \
             latest {WEEKS} at most since; weeks without an observed window are left out. Before: {before}. Since: {after}."
        ),
    }
}
