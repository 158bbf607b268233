//! `/stream`: server-sent events of what was just committed.
//!
//! Each stream reads the ledger by its own cursor, and only when its consumer has taken what it read before:
//! a slow consumer costs one page of memory, however far it falls behind, and misses nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::App;
use super::access::{Credential, READERS, authenticate};
use super::events::EventView;
use super::problem::{Problem, ReadProblems};
use crate::store::events::{self, Filter};

/// Events read at once.
const PAGE: usize = 200;
/// How long a stream is silent before a comment shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a consumer waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Follows the ledger from now on, or from `Last-Event-ID`. `id` is the place in the ledger, `event` the type, `data`
/// the item that `/events` lists.
#[utoipa::path(get, path = "/stream", tag = "events",
    params(("Last-Event-ID" = Option<i64>, Header, description = "The `id` of the last event that was taken")),
    responses((status = 200, body = String, content_type = "text/event-stream"), ReadProblems))]
pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Extension(shutdown): Extension<CancellationToken>,
    credential: Credential,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    authenticate(&app, credential.clone()).await?.may_see(READERS)?;
    let place = app.limits.stream(&credential)?;
    let mut committed = app.store.committed();
    let now = *committed.borrow_and_update();
    let after = match headers.get("last-event-id") {
        None => now,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse::<i64>().ok()).filter(|id| *id >= 0);
            id.ok_or_else(|| Problem::bad_request("`Last-Event-ID` must be the `id` of an event of this stream"))?
        }
    };
    let follow = async_stream::stream! {
        let (mut after, _until_it_ends) = (after, place);
        yield Ok::<_, Infallible>(Event::default().comment("following").retry(RETRY));
        loop {
            let through = *committed.borrow_and_update();
            while after < through {
                let Ok((found, reached)) = page(&app, credential.clone(), after, through).await else { return };
                after = reached;
                for (id, view) in found {
                    let event = Event::default().id(id.to_string()).event(view.event_type());
                    if let Ok(event) = event.json_data(&view) {
                        yield Ok(event);
                    }
                }
            }
            tokio::select! {
                changed = committed.changed() => if changed.is_err() { return },
                () = shutdown.cancelled() => return,
            }
        }
    };
    let (head, events) =
        Sse::new(follow).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("waiting")).into_response().into_parts();
    // What is there at once is sent at once: a write for each event would cost more than to find it.
    let together = events.into_data_stream().ready_chunks(PAGE).map(|events| {
        let events = events.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok::<_, axum::Error>(Bytes::from(events.concat()))
    });
    Ok(Response::from_parts(head, Body::from_stream(together)))
}

/// The next events that the token may see, and how far they reach. The credential is looked at again each time: once
/// it is revoked or over, the stream ends.
async fn page(
    app: &Arc<App>,
    credential: Credential,
    after: i64,
    through: i64,
) -> Result<(Vec<(i64, EventView)>, i64), Problem> {
    let access = authenticate(app, credential).await?;
    access.may_see(READERS)?;
    let filter = Filter { after, through: Some(through), sites: access.site_keys(), limit: PAGE, ..Filter::default() };
    let found = app.store.read(move |connection| events::list(connection, &filter)).await?;
    let reached = found.last().filter(|_| found.len() == PAGE).map_or(through, |last| last.id);
    Ok((found.into_iter().map(|listed| (listed.id, EventView::from(listed))).collect(), reached))
}
