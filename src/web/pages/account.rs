//! `/account`: one's own account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::admin::accounts::{hashed, words};
use super::fields::{Field, Input, Wrong, fields, summary};
use super::form::{Sent, form};
use super::frame::{Page, Section, see_other};
use super::visitor::Visitor;
use crate::domain::account::check_password;
use crate::domain::zone::DEFAULT_ZONE;
use crate::passwords;
use crate::store::{accounts, audit, sessions};
use crate::web::App;
use crate::web::problem::Problem;

pub(super) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    shown(&app, &visitor, None).await
}

async fn shown(app: &App, visitor: &Visitor, wrong: Option<&Wrong>) -> Result<Response, Problem> {
    let lang = visitor.lang;
    let (name, now) = (visitor.name().to_owned(), app.clock.now().timestamp_millis());
    let begun = app.store.read(move |connection| sessions::begun(connection, &name, now)).await?;
    let roles: Vec<_> = visitor.access.caller.roles.iter().map(|one| super::admin::role(lang, *one)).collect();
    let organization = visitor.access.bound_to();
    let organization =
        organization.and_then(|id| visitor.access.registry.organizations.get(id)).map(|one| one.name.as_str());
    let body = html! {
        (summary(lang, wrong))
        dl.pairs {
            dt { (lang.t("用户名", "Name")) } dd { bdi { (visitor.name()) } }
            dt { (lang.t("所属组织", "Organization")) } dd { (organization.unwrap_or(lang.t("全部(不限组织)", "all of them"))) }
            dt { (lang.t("角色", "Roles")) } dd { (roles.join(lang.t(";", "; "))) }
        }
        section.narrow {
            h2 { (lang.t("更换密码", "Change the password")) }
            p { (lang.t("更换后,所有设备上的登录都会退出。", "You will be signed out everywhere.")) }
            (form(visitor, "/account/password", &html! {
                div.field { label for="old" { (lang.t("现在的密码", "Present password")) } input #old name="old" type="password" required autocomplete="current-password" maxlength="256"; }
                (fields(lang, &[Field::new("password", lang.t("新密码", "New password"), Input::Password).hint(lang.t("至少 10 个字符。", "At least 10 characters."))], wrong))
                button type="submit" { (lang.t("更换密码", "Change it")) }
            }))
        }
        h2 { (lang.t("在哪里登录着", "Where you are signed in")) }
        ul { @for begun in &begun { li { (lang.t("登录于 ", "since ")) (lang.instant(*begun, DEFAULT_ZONE)) } } }
        (form(visitor, "/account/sign-out", &html! { button.secondary type="submit" { (lang.t("全部退出", "Sign out everywhere")) } }))
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(Page::new(visitor, Section::None, lang.t("我的账号", "My account")).status(status).show(&body))
}

#[derive(Deserialize)]
pub(super) struct NewPassword {
    #[serde(default)]
    old: String,
    #[serde(default)]
    password: String,
}

pub(super) async fn password(
    State(app): State<Arc<App>>,
    Sent { visitor, form: NewPassword { old, password } }: Sent<NewPassword>,
) -> Result<Response, Problem> {
    let (lang, name) = (visitor.lang, visitor.name().to_owned());
    if let Err(error) = check_password(&name, &password) {
        return shown(&app, &visitor, Some(&words(lang, error))).await;
    }
    let (asked, key) = (name.clone(), app.card_key.hash(&name).0);
    let now = app.clock.now().timestamp_millis();
    let (failures, found) = app
        .store
        .read(move |connection| Ok((accounts::failures(connection, &key)?, accounts::find(connection, &asked)?)))
        .await?;
    // Whoever finds a browser left open guesses no more often here than at the door.
    let stored = found.map(|(_, stored)| stored).filter(|_| !failures.lock(now));
    let right = tokio::task::spawn_blocking(move || passwords::verify(stored.as_deref(), &old)).await.unwrap_or(false);
    if !right {
        app.store.write(move |session| accounts::failed(session.connection, &key, now)).await?;
        let wrong = ("old", lang.t("现在的密码不正确。", "The present password is wrong.").to_owned());
        return shown(&app, &visitor, Some(&wrong)).await;
    }
    let (hash, who) = (hashed(password).await?, visitor.access.caller.who.clone());
    let changed = app.store.write(move |session| {
        accounts::set_password(session.connection, &name, &hash)?;
        audit::note(session.connection, now, &who, "account.password", &name)?;
        Ok::<_, Problem>(())
    });
    changed.await?;
    Ok(see_other("/sign-in"))
}

#[derive(Deserialize)]
pub(super) struct Everywhere {}

pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    Sent { visitor, form: Everywhere {} }: Sent<Everywhere>,
) -> Result<Response, Problem> {
    let name = visitor.name().to_owned();
    app.store.write(move |session| accounts::end_sessions(session.connection, &name)).await?;
    Ok(see_other("/sign-in"))
}
