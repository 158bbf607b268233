//! What people look at: pages made on the server, which work without a script and better with one.
//!
//! A page is another client of the API: its handlers call the API's own, so that whoever may not see something there sees
//! it on no page either, and what is written goes the same way with the same checks and the same line in the audit log.
//! What changes something is a form ([`form::Sent`]); afterwards the browser is sent elsewhere.

mod account;
mod admin;
mod alarms;
mod attention;
mod awareness;
mod community;
mod definitions;
mod doorstep;
mod fields;
mod figure;
mod fleet;
mod form;
mod frame;
mod imports;
mod overview;
mod privacy;
mod projectors;
mod sign_in;
mod sites;
mod standing;
mod table;
mod visitor;
mod visits;
mod visits_import;
mod words;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::html;

use super::App;
use super::assets;
use super::language::Language;
use super::layers;
use super::problem::Problem;
use admin::{Communities, Devices, Organizations, Projects, Sites, registered};
use frame::{Page, Section, outside, see_other};
use visitor::Visitor;

/// The most bytes of a form that holds a file, which may come back in it with a third more.
const MAX_UPLOAD: usize = 12 * 1024 * 1024;

fn import() -> DefaultBodyLimit {
    DefaultBodyLimit::max(MAX_UPLOAD)
}

pub(super) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let pages = Router::new()
        .route("/", get(overview::show))
        .route("/communities/{id}", get(community::show))
        .route("/communities/{id}/export/{table}", get(community::export::export))
        .route("/communities/{id}/ledger", get(community::ledger::show))
        .route("/communities/{id}/report", get(community::report::show))
        .route("/communities/{id}/report.xlsx", get(community::report::export))
        .route("/definitions", get(definitions::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/language/{lang}", get(sign_in::choose_language))
        .route("/privacy", get(privacy::show))
        .route("/account", get(account::show))
        .route("/account/password", post(account::password))
        .route("/account/sign-out", post(account::sign_out))
        .route("/sites", get(sites::show))
        .route("/sites/{id}", get(sites::site::show))
        .route("/sites/{id}/openings", post(sites::open))
        .route("/sites/{id}/openings/{opening}/end", post(sites::end))
        .route("/sites/{id}/schedule", get(sites::schedule::show).post(sites::schedule::save))
        .route("/visits", get(visits::choose))
        .route("/communities/{id}/visits", get(visits::show).post(visits::record))
        .route("/communities/{id}/visits/import", get(visits_import::show).post(visits_import::import).layer(import()))
        .route("/communities/{id}/visits/check", post(visits_import::check).layer(import()))
        .route("/communities/{id}/awareness", get(awareness::show))
        .route("/communities/{id}/doorstep", get(doorstep::show))
        .route("/communities/{id}/doorstep.csv", get(doorstep::csv))
        .route("/communities/{id}/doorstep.xlsx", get(doorstep::xlsx))
        .route("/alarms", get(alarms::show))
        .route("/alarms/{id}/acknowledge", post(alarms::see_to))
        .route("/fleet", get(fleet::show))
        .route("/fleet/{id}/quarantine", get(fleet::quarantine))
        .route("/quarantine/{id}/retry", post(fleet::retry))
        .route("/quarantine/{id}/delete", post(fleet::delete))
        .route("/projectors", get(projectors::show))
        .route("/projectors/new", get(projectors::new))
        .route("/projectors/messages", post(projectors::post))
        .route("/projectors/messages/{id}", get(projectors::message::show))
        .route("/projectors/messages/{id}/delete", get(projectors::message::ask).post(projectors::message::take_back))
        .route("/admin", get(admin::show))
        .route("/admin/organizations", get(registered::list::<Organizations>).post(registered::create::<Organizations>))
        .route(
            "/admin/organizations/{id}",
            get(registered::edit::<Organizations>).post(registered::save::<Organizations>),
        )
        .route(
            "/admin/organizations/{id}/delete",
            get(registered::ask::<Organizations>).post(registered::delete::<Organizations>),
        )
        .route("/admin/communities", get(registered::list::<Communities>).post(registered::create::<Communities>))
        .route("/admin/communities/{id}", get(registered::edit::<Communities>).post(registered::save::<Communities>))
        .route(
            "/admin/communities/{id}/delete",
            get(registered::ask::<Communities>).post(registered::delete::<Communities>),
        )
        .route("/admin/sites", get(registered::list::<Sites>).post(registered::create::<Sites>))
        .route("/admin/sites/{id}", get(registered::edit::<Sites>).post(registered::save::<Sites>))
        .route("/admin/sites/{id}/delete", get(registered::ask::<Sites>).post(registered::delete::<Sites>))
        .route("/admin/devices", get(registered::list::<Devices>).post(registered::create::<Devices>))
        .route("/admin/devices/{id}", get(registered::edit::<Devices>).post(registered::save::<Devices>))
        .route("/admin/devices/{id}/delete", get(registered::ask::<Devices>).post(registered::delete::<Devices>))
        .route("/admin/devices/{id}/secret", post(admin::rotate))
        .route("/admin/projects", get(registered::list::<Projects>).post(registered::create::<Projects>))
        .route("/admin/projects/{id}", get(registered::edit::<Projects>).post(registered::save::<Projects>))
        .route("/admin/projects/{id}/delete", get(registered::ask::<Projects>).post(registered::delete::<Projects>))
        .route("/admin/households", get(admin::households::show))
        .route("/admin/households/check", post(admin::households::check).layer(import()))
        .route("/admin/households/import", post(admin::households::import).layer(import()))
        .route(
            "/communities/{id}/households/{household}/erase",
            get(admin::households::ask).post(admin::households::erase),
        )
        .route("/admin/accounts", get(admin::accounts::list).post(admin::accounts::add))
        .route("/admin/accounts/{name}", get(admin::accounts::show).post(admin::accounts::change))
        .route("/admin/tokens", get(admin::tokens::list).post(admin::tokens::add))
        .route("/admin/tokens/{id}/revoke", post(admin::tokens::revoke))
        .route("/admin/audit", get(admin::audit::show));
    pages
        .layer(middleware::from_fn_with_state(Arc::clone(app), explained))
        .layer(Extension(Arc::<sign_in::Turns>::default()))
        .route("/assets/{name}", get(assets::asset))
}

/// Shows a refusal as a page; whoever is not signed in is asked to, and then comes back.
async fn explained(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let response = next.run(Request::from_parts(parts.clone(), body)).await;
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    if problem.status() == StatusCode::UNAUTHORIZED {
        let here = here(&parts);
        let next =
            if is_read(&parts) && here != "/" { format!("?next={}", sign_in::escaped(here)) } else { String::new() };
        return see_other(&format!("/sign-in{next}"));
    }
    refused(&app, &mut parts, problem).await
}

/// What is nowhere: a page for whoever looks for one, a problem for programs.
pub(super) async fn unknown_path(State(app): State<Arc<App>>, request: Request) -> Response {
    let (problem, (mut parts, _)) = (layers::unknown_path(), request.into_parts());
    let accepted = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_page = accepted.contains("text/html") && !parts.uri.path().starts_with("/api/");
    if is_page { refused(&app, &mut parts, &problem).await } else { problem.into_response() }
}

fn here(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("/", |path| path.as_str())
}

fn is_read(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD)
}

/// A refusal as a page. Whoever is signed in keeps the way to all others.
async fn refused(app: &Arc<App>, parts: &mut Parts, problem: &Problem) -> Response {
    let (lang, status) = (Language::of(&parts.headers), problem.status());
    let words = match status {
        StatusCode::NOT_FOUND => lang.t("没有这个页面,或您无权查看。", "There is no such page, or you may not see it."),
        StatusCode::FORBIDDEN => lang.t("您没有权限这样做。", "You may not do this."),
        StatusCode::SERVICE_UNAVAILABLE if is_read(parts) => {
            lang.t("系统暂时没有响应,请稍后再试。", "The system does not answer for now: try again later.")
        }
        StatusCode::SERVICE_UNAVAILABLE => lang.t(
            "没有保存:系统现在不能存储,请稍后再试。",
            "Nothing was saved: the system cannot store anything for now. Try again later.",
        ),
        StatusCode::INTERNAL_SERVER_ERROR => {
            lang.t("系统出错了,请告知管理员。", "Something broke on our side: tell the operator.")
        }
        _ => lang.t(
            "没有保存:请返回上一页,按提示修改后再试。",
            "Nothing was saved: go back, correct what is named here, and try again.",
        ),
    };
    // Of these the detail says the same again, to programs.
    let said = matches!(status, StatusCode::NOT_FOUND | StatusCode::SERVICE_UNAVAILABLE);
    let main = html! {
        div.error role="alert" {
            p { (words) }
            @if !said { p lang="en" { (problem.detail) } }
            @if !problem.errors.is_empty() { (bad_rows(problem)) }
        }
        p { a href="/" { (lang.t("回到首页", "To the overview")) } }
    };
    let title = lang.t("没有成功", "That did not work");
    match Visitor::from_request_parts(parts, app).await {
        Ok(visitor) => Page::new(&visitor, Section::None, title).status(status).show(&main),
        Err(_) => outside(lang, status, title, here(parts), &main),
    }
}

/// What is wrong with each row of an import.
fn bad_rows(problem: &Problem) -> maud::Markup {
    html! { ul lang="en" { @for bad in &problem.errors { li { (bad.row) ": " (bad.error) } } } }
}
