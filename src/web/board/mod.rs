//! `/board/{community}`: the public results board, for a screen in the neighbourhood. No token, no need of a script, and nothing that
//! [`published`] withholds.

mod figures;
mod page;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::Markup;
use serde::Deserialize;

use super::App;
use super::extract::{Id, Query};
use super::language::Language;
use super::problem::Problem;

/// How long a board is shown before it is made anew, in milliseconds: whoever asks, it costs one reading a minute.
const FRESH_MS: i64 = 60_000;

/// The boards made last, by community and language.
#[derive(Debug, Default)]
pub(super) struct Boards(Mutex<HashMap<(String, Language), (i64, String)>>);

impl Boards {
    fn get(&self, key: &(String, Language), now: i64) -> Option<String> {
        let boards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        boards.get(key).filter(|(made, _)| (0..FRESH_MS).contains(&(now - made))).map(|(_, board)| board.clone())
    }

    fn put(&self, key: (String, Language), now: i64, board: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (now, board));
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoardQuery {
    /// Chinese where absent.
    #[serde(default)]
    lang: Language,
}

pub(super) async fn board(
    State(app): State<Arc<App>>,
    Extension(boards): Extension<Arc<Boards>>,
    Id(community): Id,
    Query(BoardQuery { lang }): Query<BoardQuery>,
) -> Result<Response, Problem> {
    let (registry, now) = (app.store.registry(), app.clock.now());
    let Some(found) = registry.communities.get(&community).cloned() else {
        return Ok(html(StatusCode::NOT_FOUND, page::unknown(lang).into_string()));
    };
    let key = (community, lang);
    if let Some(board) = boards.get(&key, now.timestamp_millis()) {
        return Ok(html(StatusCode::OK, board));
    }
    let figures = app.store.read(move |connection| figures::read(connection, &registry, &found, now)).await?;
    let board: Markup = page::board(&figures, lang);
    let board = board.into_string();
    boards.put(key, now.timestamp_millis(), board.clone());
    Ok(html(StatusCode::OK, board))
}

fn html(status: StatusCode, page: String) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "public, max-age=60"),
    ];
    (status, headers, page).into_response()
}
