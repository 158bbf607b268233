//! What people look at: pages made on the server, which work without a script and better with one.
//!
//! A page is another client of the API: its handlers call the API's own, so that whoever may not see something there sees
//! it on no page either, and what is written goes the same way with the same checks and the same line in the audit log.
//! What changes something is a form ([`form::Sent`]); afterwards the browser is sent elsewhere.

mod form;
mod frame;
mod overview;
mod sign_in;
mod visitor;

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::html;

use super::App;
use super::assets;
use super::language::Language;
use super::problem::Problem;
use frame::{outside, see_other};

pub(super) fn router() -> Router<Arc<App>> {
    let pages = Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/language/{lang}", get(sign_in::choose_language));
    pages
        .layer(middleware::from_fn(explained))
        .layer(Extension(Arc::<sign_in::Turns>::default()))
        .route("/assets/{name}", get(assets::asset))
}

/// Shows a refusal as a page; whoever is not signed in is asked to, and then comes back.
async fn explained(lang: Language, request: Request, next: Next) -> Response {
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let is_read = request.method() == Method::GET;
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    if problem.status() == StatusCode::UNAUTHORIZED {
        let next = if is_read && here != "/" { format!("?next={}", sign_in::escaped(&here)) } else { String::new() };
        return see_other(&format!("/sign-in{next}"));
    }
    let words = match problem.status() {
        StatusCode::NOT_FOUND => lang.t("没有这个页面,或您无权查看。", "There is no such page, or you may not see it."),
        StatusCode::FORBIDDEN => lang.t("您没有权限这样做。", "You may not do this."),
        StatusCode::SERVICE_UNAVAILABLE => {
            lang.t("系统暂时没有响应,请稍后再试。", "The system does not answer for now: try again later.")
        }
        StatusCode::INTERNAL_SERVER_ERROR => {
            lang.t("系统出错了,请告知管理员。", "Something broke on our side: tell the operator.")
        }
        _ => lang.t(
            "没有保存:请返回上一页,按提示修改后再试。",
            "Nothing was saved: go back, correct what is named here, and try again.",
        ),
    };
    let main = html! {
        div.error role="alert" { p { (words) } p lang="en" { (problem.detail) } @if !problem.errors.is_empty() { (bad_rows(problem)) } }
        p { a href="/" { (lang.t("回到首页", "To the overview")) } }
    };
    outside(lang, problem.status(), lang.t("没有成功", "That did not work"), &here, &main)
}

/// What is wrong with each row of an import.
fn bad_rows(problem: &Problem) -> maud::Markup {
    html! { ul lang="en" { @for bad in &problem.errors { li { (bad.row) ": " (bad.error) } } } }
}
