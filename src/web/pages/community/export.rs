//! `/communities/{id}/export/{table}`: each table of the page as CSV or as a workbook, and all of them in one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, FixedOffset, Utc};

use super::chosen::ChosenQuery;
use super::tables;
use crate::domain::zone::Tz;
use crate::sheets::{self, Table};
use crate::web::App;
use crate::web::extract::Query;
use crate::web::language::Language;
use crate::web::pages::visitor::Visitor;
use crate::web::problem::Problem;

pub(in crate::web::pages) async fn export(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Path((id, file)): Path<(String, String)>,
    Query(query): Query<ChosenQuery>,
) -> Result<Response, Problem> {
    let (reading, mistake) = super::read(&app, &visitor, &id, &query).await?;
    if let Some(mistake) = mistake {
        return Err(Problem::bad_request(mistake.told(Language::En)));
    }
    let (name, kind) = file.rsplit_once('.').ok_or_else(Problem::not_found)?;
    let named = |name| tables::named(&reading, visitor.lang, name);
    let tables: Vec<Table> = match name {
        "all" => tables::NAMES.into_iter().filter_map(named).collect(),
        name => vec![named(name).ok_or_else(Problem::not_found)?],
    };
    let span = reading.chosen.span;
    let file = format!("{id}-{name}-{}-{}.{kind}", span.from, span.to);
    match (kind, tables.as_slice()) {
        ("csv", [table]) => Ok(download(&file, sheets::CSV, sheets::csv(table))),
        ("xlsx", _) => {
            let zone = super::community(&visitor, &id)?.zone;
            workbook(&file, tables, app.clock.now(), zone).await
        }
        _ => Err(Problem::not_found()),
    }
}

/// A workbook made off the threads that serve requests.
pub(in crate::web::pages) async fn workbook(
    file: &str,
    tables: Vec<Table>,
    now: DateTime<Utc>,
    zone: Tz,
) -> Result<Response, Problem> {
    let failed = || Problem::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "the workbook could not be made");
    let made: DateTime<FixedOffset> = now.with_timezone(&zone).fixed_offset();
    let made = tokio::task::spawn_blocking(move || sheets::xlsx(&tables, made)).await;
    let made = made.map_err(|_| failed())?.map_err(|error| {
        tracing::error!(%error, "a workbook could not be made");
        failed()
    })?;
    Ok(download(file, sheets::XLSX, made))
}

/// A file to be kept. Its name is made of ids, dates and our own words: plain ASCII.
pub(in crate::web::pages) fn download(file: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{file}\"");
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, bytes).into_response()
}
