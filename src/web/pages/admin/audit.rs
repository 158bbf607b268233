//! `/admin/audit`: who did what, the newest first. An admin of one organization sees what its accounts and tokens did.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use crate::domain::zone::DEFAULT_ZONE;
use crate::store::audit::{self, Wanted};
use crate::store::{accounts, tokens};
use crate::web::App;
use crate::web::access::ADMINS;
use crate::web::pages::frame::{Page, Section};
use crate::web::pages::sign_in::escaped;
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

const LINES: usize = 100;

#[derive(Deserialize)]
pub(in crate::web::pages) struct Asked {
    who: Option<String>,
    action: Option<String>,
    before: Option<i64>,
}

pub(in crate::web::pages) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let lang = visitor.lang;
    let own = visitor.access.bound_to().map(str::to_owned);
    let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let (who, action) = (given(asked.who), given(asked.action));
    let mut wanted = Wanted { by: None, who: who.clone(), action: action.clone(), before: asked.before };
    let mut found = app
        .store
        .read(move |connection| {
            if let Some(own) = own {
                let of_it = |organization: &Option<String>| organization.as_ref() == Some(&own);
                let accounts = accounts::list(connection)?.into_iter().filter(|one| of_it(&one.organization));
                let tokens = tokens::list(connection)?.into_iter().filter(|one| of_it(&one.organization));
                let accounts = accounts.map(|one| format!("account:{}", one.name));
                wanted.by = Some(accounts.chain(tokens.map(|one| one.id)).collect());
            }
            audit::list(connection, &wanted, LINES + 1)
        })
        .await?;
    let next = (found.len() > LINES).then(|| found[LINES - 1].id);
    found.truncate(LINES);
    let (who, action) = (who.unwrap_or_default(), action.unwrap_or_default());
    let body = html! {
        p.note { (lang.t("查看住户名单、入户名单和每一次修改都有记录。时间为北京时间。", "Every look at households and every change is on record. Times are those of Shanghai.")) }
        form.row method="get" action="/admin/audit" {
            div.field { label for="who" { (lang.t("谁", "Who")) } input #who name="who" value=(who); }
            div.field { label for="action" { (lang.t("操作(开头)", "Action (its beginning)")) } input #action name="action" value=(action); }
            button.secondary type="submit" { (lang.t("筛选", "Filter")) }
        }
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (lang.t("时间", "When")) } th scope="col" { (lang.t("谁", "Who")) }
                    th scope="col" { (lang.t("操作", "Action")) } th scope="col" { (lang.t("对象", "On what")) }
                } }
                tbody {
                    @for entry in &found {
                        tr {
                            td { (lang.instant(entry.at, DEFAULT_ZONE)) } td { bdi { (entry.who) } }
                            td { code { (entry.action) } } td { bdi { (entry.subject) } }
                        }
                    }
                }
            }
        }
        @if found.is_empty() { p { (lang.t("没有记录。", "Nothing is on record.")) } }
        @if let Some(next) = next {
            p { a href={ "/admin/audit?before=" (next) "&who=" (escaped(&who)) "&action=" (escaped(&action)) } { (lang.t("更早的记录", "Earlier")) } }
        }
    };
    Ok(Page::new(&visitor, Section::Admin, lang.t("操作记录", "Audit log")).show(&body))
}
