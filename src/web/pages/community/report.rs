//! `/communities/{id}/report`: the monthly report, one page for print or PDF, and the same as a workbook.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{Datelike, NaiveDate};
use fenlei_wire::vocabulary::Timing;
use maud::{Markup, html};
use serde::Deserialize;

use super::export::workbook;
use super::month::{Month, month_of};
use super::trend;
use crate::domain::DEFINITIONS;
use crate::domain::period::{Period, Span, parse_date};
use crate::domain::registry::Community;
use crate::domain::zone::today;
use crate::web::App;
use crate::web::chart::{Bar, Bars, Fill, Part};
use crate::web::extract::{Id, Query};
use crate::web::language::Language;
use crate::web::pages::figure::{Figure, against_target, tile};
use crate::web::pages::frame::{Page, Section};
use crate::web::pages::standing::Asked;
use crate::web::pages::visitor::Visitor;
use crate::web::pages::{table, words};
use crate::web::problem::Problem;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web::pages) struct ReportQuery {
    /// `YYYY-MM`; absent: the last full month.
    month: Option<String>,
}

impl ReportQuery {
    /// The month, and what was wrong with it.
    fn read(&self, today: NaiveDate, lang: Language) -> (Span, Option<&'static str>) {
        let this = month_of(today).unwrap_or(Span { from: today, to: today });
        let last = this.from.pred_opt().and_then(month_of).unwrap_or(this);
        let Some(asked) = self.month.as_deref().map(str::trim).filter(|month| !month.is_empty()) else {
            return (last, None);
        };
        match parse_date(&format!("{asked}-01")).and_then(month_of) {
            Some(month) if month.from <= today => (month, None),
            Some(_) => (last, Some(lang.t("这个月还没有开始。", "This month has not begun yet."))),
            None => (
                last,
                Some(lang.t("请按“年-月”选择月份,例如 2026-10。", "Give the month as YYYY-MM, such as 2026-10.")),
            ),
        }
    }
}

struct Asking {
    community: Community,
    month: Month,
    mistake: Option<&'static str>,
}

async fn read(app: &App, visitor: &Visitor, id: &str, query: &ReportQuery) -> Result<Asking, Problem> {
    let (community, registry) = (super::community(visitor, id)?.clone(), Arc::clone(&visitor.access.registry));
    let now = app.clock.now();
    let (month, mistake) = query.read(today(community.zone, now), visitor.lang);
    let of = community.clone();
    let month = app.store.read(move |connection| Month::read(connection, &registry, &of, month, now)).await?;
    Ok(Asking { community, month, mistake })
}

/// `2026年11月`, `November 2026`.
fn title(lang: Language, month: &Month) -> String {
    month.span.from.format(lang.t("%Y年%-m月", "%B %Y")).to_string()
}

pub(in crate::web::pages) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let Asking { community, month, mistake } = read(&app, &visitor, &id, &query).await?;
    let (lang, registry) = (visitor.lang, &visitor.access.registry);
    let value = month.span.from.format("%Y-%m").to_string();
    let committee = registry.organizations.get(&community.committee).map_or("", |one| one.name.as_str());
    let computed = lang.instant(app.clock.now().timestamp_millis(), community.zone);
    let body = html! {
        p.no-print { a href={ "/communities/" (id) } { (lang.t("回到小区", "Back to the community")) } }
        @if let Some(mistake) = mistake { div.error role="alert" { p { a href="#month" { (mistake) } } } }
        form.row.no-print method="get" {
            div.field {
                label for="month" { (lang.t("月份", "Month")) }
                input #month type="month" name="month" value=(value) placeholder="2026-10";
            }
            button type="submit" { (lang.t("查看", "Show")) }
            a.button.secondary href={ "/communities/" (id) "/report.xlsx?month=" (value) } { (lang.t("导出 Excel", "Export to Excel")) }
            p.note { (lang.t("打印或存为 PDF:按 Ctrl+P(手机用浏览器菜单里的“打印”)。", "To print it or keep it as PDF: Ctrl+P, or Print in the browser's menu.")) }
        }
        div.report {
            p.note {
                bdi { (committee) } " · " (lang.span(month.span))
                @if !month.is_over { " · " strong { (lang.t("本月未结束,数据截至今天", "the month is not over: up to today")) } }
            }
            (figures(lang, &month))
            div.two {
                div { (trend::chart(lang, Figure::Participation, &month.weeks, Period::Week, month.targets.participation, month.surveyed.since)) }
                div { (timing(lang, &month)) (table::show(lang, &month.streams(lang))) }
            }
            (table::show(lang, &month.weeks(lang)))
            (table::show(lang, &month.changes(lang)))
            div.two {
                div { (section(lang, ["开放时间调整", "Changes of the hours"], month.hours(lang), ["本月没有调整。", "None this month."])) }
                div { (section(lang, ["走访与问卷", "Visits and surveys"], month.visits(lang), ["本月没有走访和问卷。", "None this month."])) }
            }
            (section(lang, ["告警", "Alarms"], month.alarms(lang), ["本月没有告警。", "None this month."]))
            p.note {
                (lang.t("指标定义第 ", "Definitions version ")) (DEFINITIONS) (lang.t(" 版", ""))
                " · " (lang.t("计算时间:", "computed: ")) (computed) " (" (community.zone.name()) ")"
                " · " (lang.t("之后到达的数据会计入其发生的月份。", "What arrives later counts in the month in which it happened."))
            }
        }
    };
    let status = if mistake.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let heading = match lang {
        Language::Zh => format!("{} {}月报", community.name, title(lang, &month)),
        Language::En => format!("{}: report of {}", community.name, title(lang, &month)),
    };
    Ok(Page::new(&visitor, Section::Overview, heading).status(status).show(&body))
}

fn figures(lang: Language, month: &Month) -> Markup {
    let share = Figure::Participation.of(&month.now);
    let further: Vec<_> = against_target(lang, share.rate, month.targets.participation).into_iter().collect();
    let participation = Figure::Participation;
    html! {
        h2.visually-hidden { (lang.t("参与率与知晓率", "Participation and awareness")) }
        div.figures {
            (tile(lang, participation.name(lang), (share, participation.counted()), &further))
            (month.surveyed.tile(lang, Asked::Tested, month.targets))
            (month.surveyed.tile(lang, Asked::Claimed, month.targets))
        }
        p.note {
            (lang.t("知晓率的统计期:", "Awareness is told for ")) (lang.span(month.surveyed.span))
            (lang.t("。拒绝 ", ". Refused: ")) (month.surveyed.awareness.refused)
            (lang.t(" 户,不在家 ", ", absent: ")) (month.surveyed.awareness.absent) (lang.t(" 户,均不计入受访户。", "; neither is among the households asked."))
        }
    }
}

/// When the deposits of the month came, as one bar.
fn timing(lang: Language, month: &Month) -> Markup {
    let timing = month.now.timing;
    let shares = [
        (Fill::InWindow, Timing::InWindow, timing.in_window),
        (Fill::Makeup, Timing::Makeup, timing.makeup),
        (Fill::OffHours, Timing::OffHours, timing.off_hours),
    ];
    let told = |kind: Timing, count: u64| {
        let rate = crate::domain::statistics::rate(count, timing.total());
        format!("{} {count} ({})", words::timing(lang, kind), lang.percent(rate))
    };
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let parts = shares.map(|(fill, kind, count)| Part { fill, amount: count as f64, told: told(kind, count) });
    let total = timing.total().to_string();
    let value = format!("{total} {}", lang.t("次", "deposits"));
    let bars = [Bar { label: lang.t("投放时段", "When deposits came").to_owned(), value, parts: parts.into() }];
    let legend = shares.map(|(fill, kind, count)| (fill, told(kind, count)));
    let legend: Vec<_> = legend.iter().map(|(fill, told)| (*fill, told.as_str())).collect();
    Bars {
        id: "timing", title: lang.t("投放时段", "When deposits came"), bars: &bars, legend: &legend, shares: true
    }
    .draw()
}

/// A table, or in words that there is nothing to tell.
fn section(
    lang: Language,
    [zh, en]: [&str; 2],
    made: Option<crate::sheets::Table>,
    [nothing_zh, nothing_en]: [&str; 2],
) -> Markup {
    match made {
        Some(made) => table::show(lang, &made),
        None => html! { p { strong { (lang.t(zh, en)) } (lang.t(":", ": ")) (lang.t(nothing_zh, nothing_en)) } },
    }
}

pub(in crate::web::pages) async fn export(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let Asking { community, month, mistake } = read(&app, &visitor, &id, &query).await?;
    if mistake.is_some() {
        return Err(Problem::bad_request("`month` must be YYYY-MM, and have begun"));
    }
    let file = format!("{id}-report-{:04}-{:02}.xlsx", month.span.from.year(), month.span.from.month());
    workbook(&file, month.tables(visitor.lang), app.clock.now(), community.zone).await
}
