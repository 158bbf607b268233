//! `/admin/accounts`: people who sign in. An admin of one organization manages its accounts and gives none a wider view than
//! its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::registered::choices;
use super::roles;
use crate::domain::account::{AccountError, check_name, check_password};
use crate::domain::registry::Role;
use crate::domain::zone::DEFAULT_ZONE;
use crate::passwords;
use crate::store::accounts::{self, Account};
use crate::store::audit;
use crate::web::App;
use crate::web::access::{ADMINS, Access};
use crate::web::extract::Id;
use crate::web::language::Language;
use crate::web::pages::fields::{Field, Input, Wrong, fields, summary};
use crate::web::pages::form::{Sent, form};
use crate::web::pages::frame::{Page, Section, see_other};
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

/// The choice of no organization.
pub(super) const ALL: &str = "*";

/// The organizations that the caller may give somebody: its own, or any, or none at all.
pub(super) fn organizations(access: &Access, lang: Language) -> Vec<(String, String)> {
    let named = access.registry.organizations.values().map(|one| (&one.id, &one.name));
    match access.bound_to() {
        Some(own) => choices(named, |id| id == own),
        None => {
            let all = (ALL.to_owned(), lang.t("全部(不限组织)", "All of them").to_owned());
            std::iter::once(all).chain(choices(named, |_| true)).collect()
        }
    }
}

/// What was chosen, if the caller may give it.
pub(super) fn given(access: &Access, lang: Language, organization: &str) -> Result<Option<String>, Wrong> {
    super::registered::chosen(lang, "organization", organization, &organizations(access, lang))?;
    Ok((organization != ALL).then(|| organization.to_owned()))
}

/// The fields by which somebody is given a view and roles.
pub(super) fn grant<'a>(
    access: &'a Access,
    lang: Language,
    organization: &'a str,
    chosen: &'a [String],
) -> [Field<'a>; 2] {
    let organization = Input::Select { value: organization, options: organizations(access, lang) };
    let chosen = Input::Checks { values: chosen, options: roles(lang) };
    [
        Field::new("organization", lang.t("所属组织", "Organization"), organization),
        Field::new("roles", lang.t("角色", "Roles"), chosen),
    ]
}

/// The roles that were chosen, at least one.
pub(super) fn chosen_roles(lang: Language, roles: &[String]) -> Result<BTreeSet<Role>, Wrong> {
    let roles: BTreeSet<_> = roles.iter().filter_map(|role| Role::parse(role)).collect();
    if roles.is_empty() {
        return Err(("roles", lang.t("请至少选一个角色。", "Choose at least one role.").to_owned()));
    }
    Ok(roles)
}

/// What is wrong with a name or a password, in words.
pub(in crate::web::pages) fn words(lang: Language, error: AccountError) -> Wrong {
    match error {
        AccountError::Name => (
            "name",
            lang.t("用户名 1 到 48 个字,首尾不能有空格。", "A name has 1 to 48 characters, no blank at either end.")
                .to_owned(),
        ),
        AccountError::Length => {
            ("password", lang.t("密码 10 到 256 个字符。", "A password has 10 to 256 characters.").to_owned())
        }
        AccountError::IsName => {
            ("password", lang.t("密码不能和用户名相同。", "A password must not be the name.").to_owned())
        }
    }
}

/// Whether the caller manages what belongs to an organization.
pub(super) fn manages(access: &Access, organization: Option<&str>) -> bool {
    access.bound_to().is_none_or(|own| organization == Some(own))
}

async fn managed(app: &App, access: &Access) -> Result<Vec<Account>, Problem> {
    let accounts = app.store.read(accounts::list).await?;
    Ok(accounts.into_iter().filter(|one| manages(access, one.organization.as_deref())).collect())
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::web::pages) struct New {
    name: String,
    password: String,
    organization: String,
    roles: Vec<String>,
}

pub(in crate::web::pages) async fn list(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    listed(&app, &visitor, &New::default(), None).await
}

async fn listed(app: &App, visitor: &Visitor, new: &New, wrong: Option<Wrong>) -> Result<Response, Problem> {
    let (lang, wrong) = (visitor.lang, wrong.as_ref());
    let accounts = managed(app, &visitor.access).await?;
    let [organization, roles] = grant(&visitor.access, lang, &new.organization, &new.roles);
    let form_fields = [
        Field::new("name", lang.t("用户名", "Name"), Input::Text { value: &new.name, max: 48 }),
        Field::new("password", lang.t("初始密码", "First password"), Input::Password)
            .hint(lang.t("至少 10 个字符,请当面告诉本人。", "At least 10 characters; tell it in person.")),
        organization,
        roles,
    ];
    let body = html! {
        (summary(lang, wrong))
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (lang.t("用户名", "Name")) } th scope="col" { (lang.t("组织", "Organization")) }
                    th scope="col" { (lang.t("角色", "Roles")) } th scope="col" { (lang.t("建立", "Created")) }
                    th scope="col" { (lang.t("状态", "State")) }
                } }
                tbody { @for account in &accounts { (row(visitor, account)) } }
            }
        }
        section.narrow {
            h2 { (lang.t("新建账号", "New account")) }
            (form(visitor, "/admin/accounts", &html! {
                (fields(lang, &form_fields, wrong)) button type="submit" { (lang.t("新建", "Create")) }
            }))
        }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(Page::new(visitor, Section::Admin, lang.t("账号", "Accounts")).status(status).show(&body))
}

fn row(visitor: &Visitor, account: &Account) -> Markup {
    let lang = visitor.lang;
    let roles: Vec<_> = account.roles.iter().map(|one| super::role(lang, *one)).collect();
    let name: String = form_urlencoded::byte_serialize(account.name.as_bytes()).collect::<String>().replace('+', "%20");
    html! {
        tr {
            th scope="row" { a href={ "/admin/accounts/" (name) } { bdi { (account.name) } } }
            td { (account.organization.as_deref().unwrap_or(lang.t("全部", "all"))) }
            td { (roles.join(lang.t(";", "; "))) }
            td { (lang.instant(account.created, DEFAULT_ZONE)) }
            td {
                @if account.disabled.is_some() { span.tag.plain-tag { (lang.t("已停用", "disabled")) } }
                @else { span.tag.good { (lang.t("可登录", "may sign in")) } }
            }
        }
    }
}

/// The hash of a password, made off the threads that serve requests.
pub(in crate::web::pages) async fn hashed(password: String) -> Result<String, Problem> {
    let failed = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the password could not be kept: try again");
    let made = tokio::task::spawn_blocking(move || passwords::hash(&password)).await;
    made.map_err(|_| failed())?.map_err(|_| failed())
}

pub(in crate::web::pages) async fn add(
    State(app): State<Arc<App>>,
    Sent { visitor, form: new }: Sent<New>,
) -> Result<Response, Problem> {
    visitor.access.may_see(ADMINS)?;
    let lang = visitor.lang;
    let name = new.name.trim().to_owned();
    let checked = (|| {
        check_name(&name).map_err(|error| words(lang, error))?;
        check_password(&name, &new.password).map_err(|error| words(lang, error))?;
        Ok((given(&visitor.access, lang, &new.organization)?, chosen_roles(lang, &new.roles)?))
    })();
    let (organization, roles) = match checked {
        Ok(checked) => checked,
        Err(wrong) => return listed(&app, &visitor, &new, Some(wrong)).await,
    };
    let password = hashed(new.password.clone()).await?;
    let (now, who) = (app.clock.now().timestamp_millis(), visitor.access.caller.who.clone());
    let added = app.store.write(move |session| {
        let added = accounts::add(session.connection, &name, &password, organization.as_deref(), &roles, now)?;
        if added {
            audit::note(session.connection, now, &who, "account.add", &name)?;
        }
        Ok::<_, Problem>(added)
    });
    if !added.await? {
        let wrong = ("name", lang.t("这个用户名已经有了。", "There is an account of this name.").to_owned());
        return listed(&app, &visitor, &new, Some(wrong)).await;
    }
    Ok(see_other("/admin/accounts"))
}

async fn find(app: &App, visitor: &Visitor, name: &str) -> Result<Account, Problem> {
    visitor.access.may_see(ADMINS)?;
    let found = managed(app, &visitor.access).await?.into_iter().find(|one| one.name == name);
    found.ok_or_else(Problem::not_found)
}

pub(in crate::web::pages) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Id(name): Id,
) -> Result<Response, Problem> {
    let account = find(&app, &visitor, &name).await?;
    Ok(shown(&visitor, &account, None))
}

fn shown(visitor: &Visitor, account: &Account, wrong: Option<&Wrong>) -> Response {
    let lang = visitor.lang;
    let path = format!(
        "/admin/accounts/{}",
        percent_encoding::utf8_percent_encode(&account.name, percent_encoding::NON_ALPHANUMERIC)
    );
    let own = account.name == visitor.name();
    let body = html! {
        (summary(lang, wrong))
        div.scroll tabindex="0" { table { tbody { (row(visitor, account)) } } }
        @if !own {
            (form(visitor, &path, &html! {
                @if account.disabled.is_some() {
                    button type="submit" name="enabled" value="true" { (lang.t("恢复登录", "Let it sign in again")) }
                } @else {
                    button.danger type="submit" name="enabled" value="false" { (lang.t("停用并退出所有登录", "Disable it and sign it out")) }
                }
            }))
        }
        section.narrow {
            h2 { (lang.t("新密码", "New password")) }
            (form(visitor, &path, &html! {
                (fields(lang, &[Field::new("password", lang.t("新密码", "New password"), Input::Password)], wrong))
                button.secondary type="submit" { (lang.t("更换密码", "Change the password")) }
            }))
        }
        p { a href="/admin/accounts" { (lang.t("回到列表", "Back to the list")) } }
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Page::new(visitor, Section::Admin, account.name.clone()).status(status).show(&body)
}

#[derive(Deserialize)]
pub(in crate::web::pages) struct Change {
    enabled: Option<bool>,
    password: Option<String>,
}

pub(in crate::web::pages) async fn change(
    State(app): State<Arc<App>>,
    Id(name): Id,
    Sent { visitor, form: Change { enabled, password } }: Sent<Change>,
) -> Result<Response, Problem> {
    let account = find(&app, &visitor, &name).await?;
    let password = match password {
        Some(password) => {
            if let Err(error) = check_password(&name, &password) {
                return Ok(shown(&visitor, &account, Some(&words(visitor.lang, error))));
            }
            Some(hashed(password).await?)
        }
        None => None,
    };
    // Nobody locks themselves out.
    let enabled = enabled.filter(|_| name != visitor.name());
    let (now, who) = (app.clock.now().timestamp_millis(), visitor.access.caller.who.clone());
    let changed = app.store.write(move |session| {
        let connection = session.connection;
        if let Some(password) = password {
            accounts::set_password(connection, &name, &password)?;
            audit::note(connection, now, &who, "account.password", &name)?;
        }
        if let Some(enabled) = enabled {
            accounts::set_disabled(connection, &name, (!enabled).then_some(now))?;
            audit::note(connection, now, &who, if enabled { "account.enable" } else { "account.disable" }, &name)?;
        }
        Ok::<_, Problem>(())
    });
    changed.await?;
    Ok(see_other("/admin/accounts"))
}
