//! `/admin/households`: the roster of a community. An import is shown with what is wrong with it before anything is stored;
//! erasing asks first and says what goes and what stays.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::roster::HouseholdRow;
use crate::rows::households::{from_csv, from_xlsx};
use crate::store::roster::{self, Imported};
use crate::store::{audit, erasure};
use crate::web::App;
use crate::web::access::ADMINS;
use crate::web::households::{HouseholdView, HouseholdsQuery, erase_household, list_households};
use crate::web::pages::form::{Sent, Upload, form};
use crate::web::pages::frame::{Page, Section, see_other};
use crate::web::pages::imports::{Reader, confirm_form, confirmed, file_form, mistakes, tried};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

/// Rows shown of an import, as an example of how it was read.
const EXAMPLES: usize = 10;

const READER: Reader<HouseholdRow> = Reader { csv: from_csv, xlsx: from_xlsx };

#[derive(Deserialize)]
pub(in crate::web::pages) struct Asked {
    community: Option<String>,
    cursor: Option<String>,
    imported: Option<u64>,
}

pub(in crate::web::pages) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let lang = visitor.lang;
    let title = lang.t("住户", "Households");
    let Some(community) = asked.community.filter(|community| !community.is_empty()) else {
        let communities =
            visitor.access.registry.communities.values().filter(|one| visitor.access.sees_community(&one.id));
        let body = html! {
            p { (lang.t("请选择小区。", "Choose a community.")) }
            ul { @for one in communities { li { a href={ "/admin/households?community=" (one.id) } { bdi { (one.name) } } } } }
        };
        return Ok(Page::new(&visitor, Section::Admin, title).show(&body));
    };
    let name = visitor.access.community(&community)?.name.clone();
    let query = HouseholdsQuery { cursor: asked.cursor, limit: Some(200), ..HouseholdsQuery::default() };
    let id = crate::web::extract::Id(community.clone());
    let query = crate::web::extract::Query(query);
    let listed = list_households(State(app), visitor.access.clone(), id, query).await?.0;
    let (households, next) = listed.into_parts();
    let body = html! {
        @if let Some(imported) = asked.imported {
            div.done role="status" { p { (lang.t("已导入 ", "Imported: ")) (imported) (lang.t(" 户。", " households.")) } }
        }
        h2 { (lang.t("导入", "Import")) }
        p { (lang.t("CSV(UTF-8)或 Excel 文件,第一行是列名:", "A CSV file (UTF-8) or Excel file whose first row names the columns: ")) code { "household,building,enrolled_from,enrolled_until,cards" } }
        p.note { (lang.t("一行是一户的全部:没写的卡以后不再认得。多张卡用分号隔开。先检查,没有错误才能导入。", "A row is the whole household: a card it leaves out is known no longer. Cards are split by a semicolon. The file is checked first.")) }
        (file_form(&visitor, "/admin/households/check", &html! { input type="hidden" name="community" value=(community); }))
        h2 { (lang.t("名单", "Roster")) }
        p.note { (lang.t("您查看名单这件事已记入操作记录。", "That you looked at it is on record.")) }
        (table(&visitor, &community, &households))
        @if let Some(next) = next { p { a href={ "/admin/households?community=" (community) "&cursor=" (next) } { (lang.t("下一页", "Next page")) } } }
    };
    Ok(Page::new(&visitor, Section::Admin, format!("{title} · {name}")).show(&body))
}

fn table(visitor: &Visitor, community: &str, households: &[HouseholdView]) -> Markup {
    let lang = visitor.lang;
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (lang.t("住户", "Household")) } th scope="col" { (lang.t("楼栋", "Building")) }
                    th scope="col" { (lang.t("登记自", "Enrolled from")) } th scope="col" { (lang.t("登记至", "until")) }
                    th.num scope="col" { (lang.t("卡数", "Cards")) } th scope="col" { (lang.t("操作", "What to do")) }
                } }
                tbody {
                    @for one in households {
                        tr {
                            th scope="row" { (one.household) }
                            td { bdi { (one.building.as_deref().unwrap_or("—")) } }
                            td { (lang.date(one.enrolled_from)) }
                            td { (one.enrolled_until.map_or_else(|| "—".to_owned(), |day| lang.date(day))) }
                            td.num { (one.cards) }
                            td { a href={ "/communities/" (community) "/households/" (one.household) "/erase" } { (lang.t("抹除…", "Erase …")) span.visually-hidden { " " (one.household) } } }
                        }
                    }
                }
            }
        }
    }
}

pub(in crate::web::pages) async fn check(State(app): State<Arc<App>>, upload: Upload) -> Result<Response, Problem> {
    let visitor = &upload.visitor;
    visitor.access.may_see(ADMINS)?;
    let lang = visitor.lang;
    let community = upload.text("community").unwrap_or_default().to_owned();
    let (key, name) = visitor.access.community(&community).map(|one| (one.key, one.name.clone()))?;
    let file = upload.bytes("file").unwrap_or_default().to_vec();
    let rows = READER.read(file.clone()).await?;
    let examples: Vec<_> = rows.readable.iter().take(EXAMPLES).map(|(_, row)| row.clone()).collect();
    let card_key = app.card_key.clone();
    let would = tried(&app, move |connection| roster::import_read(connection, key, rows, &card_key)).await?;
    let back = format!("/admin/households?community={community}");
    let body = html! {
        @match &would {
            Ok(would) => {
                div.done role="status" { p {
                    (lang.t("文件没有错误:新住户 ", "The file is good. New households: ")) strong { (would.created) }
                    (lang.t(" 户,更新 ", ", changed: ")) strong { (would.updated) } (lang.t(" 户。还没有保存。", ". Nothing is stored yet."))
                } }
                (examples_table(visitor, &examples))
                (confirm_form(visitor, "/admin/households/import", &html! { input type="hidden" name="community" value=(community); }, &file))
            }
            Err(bad) => (mistakes(lang, bad)),
        }
        p { a href=(back) { (lang.t("返回", "Back")) } }
    };
    let status = if would.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let title = format!("{} · {name}", lang.t("检查文件", "The file, checked"));
    Ok(Page::new(visitor, Section::Admin, title).status(status).show(&body))
}

fn examples_table(visitor: &Visitor, examples: &[HouseholdRow]) -> Markup {
    let lang = visitor.lang;
    html! {
        div.scroll tabindex="0" { table {
            caption { (lang.t("前几行读出来是这样:", "The first rows, as they were read:")) }
            thead { tr {
                th scope="col" { (lang.t("住户", "Household")) } th scope="col" { (lang.t("楼栋", "Building")) }
                th scope="col" { (lang.t("登记自", "Enrolled from")) } th.num scope="col" { (lang.t("卡数", "Cards")) }
            } }
            tbody { @for row in examples { tr {
                th scope="row" { (row.household) } td { bdi { (row.building.as_deref().unwrap_or("—")) } }
                td { (lang.date(row.enrolled_from)) } td.num { (row.cards.len()) }
            } } }
        } }
    }
}

pub(in crate::web::pages) async fn import(State(app): State<Arc<App>>, upload: Upload) -> Result<Response, Problem> {
    let visitor = &upload.visitor;
    visitor.access.may_see(ADMINS)?;
    let community = upload.text("community").unwrap_or_default().to_owned();
    let key = visitor.access.community(&community)?.key;
    let rows = READER.read(confirmed(&upload)?).await?;
    let (card_key, now) = (app.card_key.clone(), app.clock.now().timestamp_millis());
    let (who, id) = (visitor.access.caller.who.clone(), community.clone());
    let imported = app.store.write(move |session| {
        let imported = roster::import_read(session.connection, key, rows, &card_key)?;
        audit::note(session.connection, now, &who, "households.import", &id)?;
        Ok::<_, Problem>(imported)
    });
    let Imported { created, updated } = imported.await?;
    Ok(see_other(&format!("/admin/households?community={community}&imported={}", created + updated)))
}

pub(in crate::web::pages) async fn ask(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path((community, household)): Path<(String, String)>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let (of, whom) = (visitor.access.community(&community)?.clone(), household.clone());
    let is_there = app.store.read(move |connection| erasure::is_there(connection, &of, &whom)).await?;
    if !is_there {
        return Err(Problem::not_found());
    }
    let lang = visitor.lang;
    let body = html! {
        p { (lang.t("抹除以后不能恢复。", "There is no way back.")) }
        ul {
            li { (lang.t("抹除:住户编号、楼栋、卡的记录、志愿者写下的话。", "What goes: its id, its building, its cards, what volunteers wrote.")) }
            li { (lang.t("保留:投放和入户只剩随机编号,已有的统计数字不变。", "What stays: deposits and visits under a random number; every figure up to today is what it was.")) }
            li { (lang.t("从明天起不再是登记住户;以前的备份里仍有它,请一并删除旧备份。", "From tomorrow it is enrolled no longer. Backups made before still hold it: delete them.")) }
        }
        (form(&visitor, &format!("/communities/{community}/households/{household}/erase"), &html! {
            button.danger type="submit" { (lang.t("确认抹除", "Erase it")) }
        }))
        p { a href={ "/admin/households?community=" (community) } { (lang.t("不抹除,返回", "Keep it")) } }
    };
    let title = format!("{} {household}", lang.t("抹除住户", "Erase household"));
    Ok(Page::new(&visitor, Section::Admin, title).show(&body))
}

#[derive(Deserialize)]
pub(in crate::web::pages) struct Confirmed {}

pub(in crate::web::pages) async fn erase(
    State(app): State<Arc<App>>,
    Path((community, household)): Path<(String, String)>,
    Sent { visitor, form: Confirmed {} }: Sent<Confirmed>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    erase_household(State(app), visitor.access, Path((community.clone(), household))).await?;
    Ok(see_other(&format!("/admin/households?community={community}")))
}
