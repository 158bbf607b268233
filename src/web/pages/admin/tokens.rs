//! `/admin/tokens`: what programs identify themselves with. A token is shown once, in the answer to the form that made it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::accounts::{chosen_roles, given, grant, manages};
use super::role;
use crate::domain::registry::Role;
use crate::domain::zone::DEFAULT_ZONE;
use crate::store::{audit, tokens};
use crate::web::App;
use crate::web::access::ADMINS;
use crate::web::extract::Id;
use crate::web::language::Language;
use crate::web::pages::fields::{Wrong, fields, summary};
use crate::web::pages::form::{Sent, form};
use crate::web::pages::frame::{Page, Section, see_other};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct New {
    organization: String,
    roles: Vec<String>,
}

pub(in crate::web::pages) async fn list(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    listed(&app, &visitor, &New::default(), None).await
}

async fn listed(app: &App, visitor: &Visitor, new: &New, wrong: Option<Wrong>) -> Result<Response, Problem> {
    let (lang, wrong) = (visitor.lang, wrong.as_ref());
    let tokens = app.store.read(tokens::list).await?;
    let tokens: Vec<_> =
        tokens.into_iter().filter(|one| manages(&visitor.access, one.organization.as_deref())).collect();
    let form_fields = grant(&visitor.access, lang, &new.organization, &new.roles);
    let body = html! {
        (summary(lang, wrong))
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (lang.t("编号", "Id")) } th scope="col" { (lang.t("组织", "Organization")) }
                    th scope="col" { (lang.t("角色", "Roles")) } th scope="col" { (lang.t("建立", "Created")) }
                    th scope="col" { (lang.t("状态", "State")) }
                } }
                tbody {
                    @for token in &tokens {
                        tr {
                            th scope="row" { code { (token.id) } }
                            td { (token.organization.as_deref().unwrap_or(lang.t("全部", "all"))) }
                            td { (roles(lang, &token.roles)) }
                            td { (lang.instant(token.created, DEFAULT_ZONE)) }
                            td {
                                @if token.revoked.is_some() { span.tag.plain-tag { (lang.t("已吊销", "revoked")) } }
                                @else {
                                    (form(visitor, &format!("/admin/tokens/{}/revoke", token.id), &html! {
                                        button.danger type="submit" { (lang.t("吊销", "Revoke")) span.visually-hidden { " " (token.id) } }
                                    }))
                                }
                            }
                        }
                    }
                }
            }
        }
        section.narrow {
            h2 { (lang.t("新建令牌", "New token")) }
            (form(visitor, "/admin/tokens", &html! {
                (fields(lang, &form_fields, wrong)) button type="submit" { (lang.t("新建", "Create")) }
            }))
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(Page::new(visitor, Section::Admin, lang.t("接口令牌", "API tokens")).status(status).show(&body))
}

/// As they are stored, in the words of the accounts' page.
fn roles(lang: Language, stored: &str) -> String {
    let named = stored.split(' ').filter_map(Role::parse).map(|one| role(lang, one));
    named.collect::<Vec<_>>().join(lang.t(";", "; "))
}

pub(in crate::web::pages) async fn add(
    State(app): State<Arc<App>>,
    Sent { visitor, form: new }: Sent<New>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let lang = visitor.lang;
    let checked = given(&visitor.access, lang, &new.organization)
        .and_then(|organization| Ok((organization, chosen_roles(lang, &new.roles)?)));
    let (organization, roles) = match checked {
        Ok(checked) => checked,
        Err(wrong) => return listed(&app, &visitor, &new, Some(wrong)).await,
    };
    let (now, who) = (app.clock.now().timestamp_millis(), visitor.access.caller.who.clone());
    let added = app.store.write(move |session| {
        let token = tokens::add(session.connection, organization.as_deref(), &roles, now)?;
        let made = tokens::caller(session.connection, &token)?;
        audit::note(session.connection, now, &who, "token.add", made.as_ref().map_or("", |made| &made.who))?;
        Ok::<_, Problem>(token)
    });
    let token = added.await?;
    let body = html! {
        div.warn role="status" { p { strong { (lang.t("令牌只显示这一次。", "The token is shown this once.")) } } }
        p { code #token { (token) } }
        p { a href="/admin/tokens" { (lang.t("我记下了,继续", "I have noted it, go on")) } }
    };
    Ok(Page::new(&visitor, Section::Admin, lang.t("新令牌", "New token")).show(&body))
}

#[derive(Deserialize)]
pub(in crate::web::pages) struct Revoke {}

pub(in crate::web::pages) async fn revoke(
    State(app): State<Arc<App>>,
    Id(id): Id,
    Sent { visitor, form: Revoke {} }: Sent<Revoke>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let all = app.store.read(tokens::list).await?;
    let mut own = all.iter().filter(|one| manages(&visitor.access, one.organization.as_deref()));
    own.find(|one| one.id == id).ok_or_else(Problem::not_found)?;
    let (now, who) = (app.clock.now().timestamp_millis(), visitor.access.caller.who.clone());
    let revoked = app.store.write(move |session| {
        if tokens::revoke(session.connection, &id, now)? {
            audit::note(session.connection, now, &who, "token.revoke", &id)?;
        }
        Ok::<_, Problem>(())
    });
    revoked.await?;
    Ok(see_other("/admin/tokens"))
}
