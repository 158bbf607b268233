//! `/communities/{id}/doorstep`: which households to go and see. It is the one list that names households for what they did not
//! do, so it is shown only to who asks for it, and that somebody did is in the audit log: the API's own handler writes it.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::awareness::{DaysAsked, natural, weeks};
use super::community::export::{download, workbook};
use super::fields::{Field, Input, fields};
use super::frame::{Page, Section};
use super::visitor::Visitor;
use crate::domain::period::Span;
use crate::domain::registry::Community;
use crate::domain::zone::today;
use crate::sheets::{self, CSV, Cell, Table};
use crate::web::App;
use crate::web::access::READERS;
use crate::web::extract::{self, Date, Id};
use crate::web::households::{HouseholdView, HouseholdsQuery, list_households};
use crate::web::language::Language;
use crate::web::problem::Problem;

/// Households on a page; the files hold all of them.
const ON_A_PAGE: usize = 500;

/// Whom the list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Did not take part.
    Absent,
    /// Nobody went to see.
    Unvisited,
    /// Both at once.
    Both,
}

impl Which {
    const ALL: [Self; 3] = [Self::Absent, Self::Unvisited, Self::Both];

    fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unvisited => "unvisited",
            Self::Both => "both",
        }
    }

    fn words(self, lang: Language) -> &'static str {
        match self {
            Self::Absent => lang.t("没有参与投放", "did not take part"),
            Self::Unvisited => lang.t("没有走访过", "not visited"),
            Self::Both => lang.t("没有参与,也没有走访过", "did not take part and not visited"),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    which: String,
    from: String,
    to: String,
    /// From 1.
    page: usize,
}

impl Asked {
    /// `None`: none yet, and none is shown.
    fn which(&self) -> Option<Which> {
        Which::ALL.into_iter().find(|which| which.as_str() == self.which)
    }

    fn days(&self) -> DaysAsked {
        DaysAsked::new(&self.from, &self.to)
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    visitor.access.may_see(READERS)?;
    let lang = visitor.lang;
    let community = visitor.access.community(&id)?.clone();
    let (span, wrong) = asked.days().span(lang, weeks(today(community.zone, app.clock.now())));
    let listed = match asked.which().filter(|_| wrong.is_none()) {
        Some(which) => Some((which, households(&app, &visitor, &id, which, span).await?)),
        None => None,
    };
    let options = Which::ALL.map(|which| (which.as_str().to_owned(), which.words(lang).to_owned())).to_vec();
    let value = asked.which().map_or("", Which::as_str);
    let which = [Field::new("which", lang.t("名单", "Which households"), Input::Select { value, options })];
    let body = html! {
        (DaysAsked::told(wrong.as_ref()))
        div.warn { p { (lang.t(
            "名单涉及住户隐私:谁在什么时候查看、导出过,都记入操作记录。只用于上门宣传,请勿张贴或转发。",
            "This list concerns single households: who looks at it or exports it, and when, is on record. It is for visits at the door only: do not post it or pass it on.",
        )) } }
        form.row method="get" {
            (fields(lang, &which, None))
            (DaysAsked::fields(lang, span, wrong.as_ref()))
            button type="submit" { (lang.t("查看名单", "Show the list")) }
        }
        @if let Some((which, households)) = &listed { (list(lang, &id, *which, span, households, asked.page.max(1))) }
        p.no-print { a href={ "/communities/" (id) "/awareness?from=" (span.from) "&to=" (span.to) } { (lang.t("返回知晓率", "Back to awareness")) } }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let title = format!("{} · {}", lang.t("入户名单", "Doorstep list"), community.name);
    Ok(Page::new(&visitor, Section::Visits, title).status(status).show(&body))
}

fn list(lang: Language, id: &str, which: Which, span: Span, households: &[HouseholdView], page: usize) -> Markup {
    let query = format!("which={}&from={}&to={}", which.as_str(), span.from, span.to);
    let file = |kind: &str| format!("/communities/{id}/doorstep.{kind}?{query}");
    let pages = households.chunks(ON_A_PAGE).len();
    let shown = households.chunks(ON_A_PAGE).nth(page - 1).unwrap_or_default();
    html! {
        h2 { (lang.span(span)) (lang.t(":", ": ")) (which.words(lang)) }
        p { (lang.t("共 ", "")) strong { (households.len()) } (lang.t(" 户。", " households.")) }
        @if !households.is_empty() {
            p.no-print {
                a href=(file("csv")) { (lang.t("导出 CSV", "Export as CSV")) } " · " a href=(file("xlsx")) { (lang.t("导出 Excel", "Export as Excel")) }
                span.note { (lang.t("(导出也会记录)", " (this is on record too)")) }
            }
            div.scroll tabindex="0" { table.doorstep {
                caption { (lang.t("要上门的住户", "Households to go and see")) }
                thead { tr {
                    th scope="col" { (lang.t("楼栋", "Building")) } th scope="col" { (lang.t("住户", "Household")) }
                    th scope="col" { (lang.t("登记自", "Enrolled from")) } th.paper scope="col" { (lang.t("上门情况", "What came of it")) }
                } }
                tbody { @for one in shown { tr {
                    td { @match &one.building { Some(building) => bdi { (building) }, None => "—" } }
                    th scope="row" { (one.household) }
                    td { (lang.date(one.enrolled_from)) }
                    td.paper {}
                } } }
            } }
            @if pages > 1 {
                nav.no-print aria-label=(lang.t("翻页", "Pages")) { p {
                    @for number in 1..=pages {
                        @let current = (number == page).then_some("page");
                        a.page href={ "/communities/" (id) "/doorstep?" (query) "&page=" (number) } aria-current=[current] { (number) } " "
                    }
                } }
            }
        }
    }
}

/// Everybody whom the API lists, page after page; `asked` is the question with a cursor.
pub(super) async fn every_page(
    app: &Arc<App>,
    visitor: &Visitor,
    id: &str,
    asked: impl Fn(Option<String>) -> HouseholdsQuery,
) -> Result<Vec<HouseholdView>, Problem> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let (app, access) = (State(Arc::clone(app)), visitor.access.clone());
        let listed = list_households(app, access, Id(id.to_owned()), extract::Query(asked(cursor))).await?.0;
        let (some, next) = listed.into_parts();
        all.extend(some);
        cursor = next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// The whole list, by building. Each look at it is in the audit log.
async fn households(
    app: &Arc<App>,
    visitor: &Visitor,
    id: &str,
    which: Which,
    span: Span,
) -> Result<Vec<HouseholdView>, Problem> {
    let asked = |cursor| HouseholdsQuery {
        participating: (which != Which::Unvisited).then_some(false),
        visited: (which != Which::Absent).then_some(false),
        from: Some(Date(span.from)),
        to: Some(Date(span.to)),
        cursor,
        limit: Some(1_000),
    };
    let mut all = every_page(app, visitor, id, asked).await?;
    all.sort_by_cached_key(|one| {
        (one.building.is_none(), one.building.as_deref().map(natural), natural(&one.household))
    });
    Ok(all)
}

pub(super) async fn csv(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let (table, name, _) = exported(&app, &visitor, &id, &asked).await?;
    Ok(download(&format!("{name}.csv"), CSV, sheets::csv(&table)))
}

pub(super) async fn xlsx(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(id): Id,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let (table, name, community) = exported(&app, &visitor, &id, &asked).await?;
    workbook(&format!("{name}.xlsx"), vec![table], app.clock.now(), community.zone).await
}

/// The list as a table, and how its file is called.
async fn exported(
    app: &Arc<App>,
    visitor: &Visitor,
    id: &str,
    asked: &Asked,
) -> Result<(Table, String, Community), Problem> {
    visitor.access.may_see(READERS)?;
    let lang = visitor.lang;
    let community = visitor.access.community(id)?.clone();
    let (span, wrong) = asked.days().span(lang, weeks(today(community.zone, app.clock.now())));
    if wrong.is_some() {
        return Err(Problem::bad_request("`from` and `to` must be dates as YYYY-MM-DD, the earlier one first"));
    }
    let which =
        asked.which().ok_or_else(|| Problem::bad_request("`which` is missing: give absent, unvisited or both"))?;
    let households = households(app, visitor, id, which, span).await?;
    let columns = [lang.t("楼栋", "building"), lang.t("住户", "household"), lang.t("登记自", "enrolled from")];
    let rows = households
        .into_iter()
        .map(|one| vec![one.building.into(), Cell::Text(one.household), Cell::Date(one.enrolled_from)])
        .collect();
    let title = lang.t("入户名单", "Doorstep list").to_owned();
    let name = format!("doorstep-{id}-{}-{}-{}", which.as_str(), span.from, span.to);
    Ok((Table { title, columns: columns.map(str::to_owned).to_vec(), rows }, name, community))
}
