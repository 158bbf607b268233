//! `/communities/{id}/visits/import`: visits and surveys that were written down elsewhere, from CSV or Excel.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::form::Upload;
use super::frame::{Page, Section, see_other};
use super::imports::{Reader, confirm_form, confirmed, file_form, mistakes, tried};
use super::visitor::Visitor;
use super::words;
use crate::domain::awareness::Visit;
use crate::domain::registry::Community;
use crate::domain::zone::today;
use crate::rows::visits::{from_csv, from_xlsx};
use crate::store::{audit, visits};
use crate::web::App;
use crate::web::access::{READERS, RECORDERS};
use crate::web::extract::Id;
use crate::web::language::Language;
use crate::web::problem::Problem;

const READER: Reader<Visit> = Reader { csv: from_csv, xlsx: from_xlsx };

/// Rows shown as an example of how the file was read.
const EXAMPLES: usize = 10;

/// The community, for those who record in it.
fn community(visitor: &Visitor, id: &str) -> Result<Community, Problem> {
    visitor.access.may_see(READERS)?;
    let community = visitor.access.community(id)?.clone();
    visitor.access.may_do(RECORDERS)?;
    Ok(community)
}

#[derive(Deserialize)]
pub(super) struct Done {
    recorded: Option<u64>,
}

pub(super) async fn show(visitor: Visitor, Id(id): Id, Query(done): Query<Done>) -> Result<Response, Problem> {
    let (community, lang) = (community(&visitor, &id)?, visitor.lang);
    let column =
        |name: &'static str, words: &'static str| html! { tr { th scope="row" { code { (name) } } td { (words) } } };
    let body = html! {
        @if let Some(recorded) = done.recorded {
            div.done role="status" { p { (lang.t("已导入 ", "Imported: ")) (recorded) (lang.t(" 条记录。", " records.")) } }
        }
        p { (lang.t("CSV(UTF-8)或 Excel 文件,第一行是列名。先检查,没有错误才会保存。", "A CSV file (UTF-8) or an Excel file whose first row names the columns. It is checked first, and stored only if nothing is wrong.")) }
        (file_form(&visitor, &format!("/communities/{id}/visits/check"), &html! {}))
        div.scroll tabindex="0" { table {
            caption { (lang.t("列", "Columns")) }
            thead { tr { th scope="col" { (lang.t("列名", "Name")) } th scope="col" { (lang.t("内容", "What stands in it")) } } }
            tbody {
                (column("household", lang.t("住户编号", "the household's id")))
                (column("date", lang.t("入户的日期,例如 2026-11-20", "the day of the visit, such as 2026-11-20")))
                (column("kind", lang.t("visit(走访)或 survey(问卷)", "visit or survey")))
                (column("outcome", lang.t("answered(已回答)、refused(拒绝)或 absent(不在家)", "answered, refused or absent")))
                (column("claimed", lang.t("自述知道怎么分类:是、否,或留空", "says that it knows how to sort: true, false or empty")))
                (column("tested", lang.t("测试时分对了:是、否,或留空", "showed that it does: true, false or empty")))
            }
        } }
        p.note { (lang.t("同一户、同一天、同一种记录只留一条:后来的代替先前的,所以同一个文件导入两次也不会重复。", "There is one record for each household, day and kind: a later one replaces it, so the same file imported twice counts once.")) }
        p { a href={ "/communities/" (id) "/visits" } { (lang.t("返回入户记录", "Back to the visits")) } }
    };
    Ok(page(&visitor, &community).show(&body))
}

fn page<'a>(visitor: &'a Visitor, community: &Community) -> Page<'a> {
    Page::new(
        visitor,
        Section::Visits,
        format!("{} · {}", visitor.lang.t("导入入户记录", "Import visits"), community.name),
    )
}

pub(super) async fn check(State(app): State<Arc<App>>, Id(id): Id, upload: Upload) -> Result<Response, Problem> {
    let (visitor, lang) = (&upload.visitor, upload.visitor.lang);
    let community = community(visitor, &id)?;
    let file = upload.bytes("file").unwrap_or_default().to_vec();
    let rows = READER.read(file.clone()).await?;
    let examples: Vec<_> = rows.readable.iter().take(EXAMPLES).map(|(_, visit)| visit.clone()).collect();
    let (key, today) = (community.key, today(community.zone, app.clock.now()));
    let (status, found) = match tried(&app, move |connection| visits::record(connection, key, rows, today)).await? {
        Ok(would) => {
            let found = html! {
                div.done role="status" { p {
                    (lang.t("文件没有错误,共 ", "The file is good: ")) strong { (would) }
                    (lang.t(" 条记录。还没有保存。", " records. Nothing is stored yet."))
                } }
                (table(lang, &examples))
                (confirm_form(visitor, &format!("/communities/{id}/visits/import"), &html! {}, &file))
            };
            (StatusCode::OK, found)
        }
        Err(bad) => (StatusCode::UNPROCESSABLE_ENTITY, mistakes(lang, &bad)),
    };
    let body = html! {
        (found)
        p { a href={ "/communities/" (id) "/visits/import" } { (lang.t("换一个文件", "Another file")) } }
    };
    Ok(page(visitor, &community).status(status).show(&body))
}

fn table(lang: Language, visits: &[Visit]) -> Markup {
    let answer = |answer: Option<bool>| match answer {
        Some(true) => lang.t("是", "yes"),
        Some(false) => lang.t("否", "no"),
        None => "—",
    };
    html! {
        div.scroll tabindex="0" { table {
            caption { (lang.t("前几行读出来是这样:", "The first rows, as they were read:")) }
            thead { tr {
                th scope="col" { (lang.t("住户", "Household")) } th scope="col" { (lang.t("日期", "Date")) }
                th scope="col" { (lang.t("做什么", "What for")) } th scope="col" { (lang.t("结果", "Outcome")) }
                th scope="col" { (lang.t("自述", "Claimed")) } th scope="col" { (lang.t("测试", "Tested")) }
            } }
            tbody { @for visit in visits { tr {
                th scope="row" { (visit.household) } td { (lang.date(visit.date)) }
                td { (words::visit(lang, visit.kind)) } td { (words::outcome(lang, visit.outcome)) }
                td { (answer(visit.claimed)) } td { (answer(visit.tested)) }
            } } }
        } }
    }
}

pub(super) async fn import(State(app): State<Arc<App>>, Id(id): Id, upload: Upload) -> Result<Response, Problem> {
    let community = community(&upload.visitor, &id)?;
    let rows = READER.read(confirmed(&upload)?).await?;
    let now = app.clock.now();
    let (today, now, who) =
        (today(community.zone, now), now.timestamp_millis(), upload.visitor.access.caller.who.clone());
    let subject = id.clone();
    let recorded = app.store.write(move |session| {
        let recorded = visits::record(session.connection, community.key, rows, today)?;
        audit::note(session.connection, now, &who, "visits.record", &subject)?;
        Ok::<_, Problem>(recorded)
    });
    Ok(see_other(&format!("/communities/{id}/visits/import?recorded={}", recorded.await?)))
}
