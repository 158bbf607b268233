//! `/`: how the communities stand.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::frame::{Page, Section};
use super::visitor::Visitor;
use crate::web::App;
use crate::web::problem::Problem;

pub(super) async fn show(State(_): State<Arc<App>>, visitor: Visitor) -> Result<Response, Problem> {
    let lang = visitor.lang;
    let body = html! {};
    Ok(Page::new(&visitor, Section::Overview, lang.t("概览", "Overview")).show(&body))
}
