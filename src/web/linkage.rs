//! `/linkage`: what the linkage platform is told. Both lists are read from the revisions that were published, so whoever
//! takes the one and follows the other is right.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::{Access, LINKAGE};
use super::extract::{Json, Query};
use super::paging::{Page, PageQuery};
use super::problem::{Problem, ReadProblems};
use crate::domain::picture::Picture;
use crate::domain::revision::{RevisionView, name, number};
use crate::store::linkage::{self, Reader};

/// The communities that the token sees, as they are told now.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkageSnapshot)]
pub(super) struct Snapshot {
    #[schema(value_type = Vec<Picture>)]
    items: Vec<Box<RawValue>>,
    /// The `cursor` of the next page, null at the end.
    #[schema(required = true)]
    next: Option<String>,
    /// From where to follow `/linkage/changes`; of several pages, the first one's.
    #[schema(example = "rev-17")]
    cursor: String,
}

/// Revisions in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkageChanges)]
pub(super) struct Changes {
    items: Vec<RevisionView>,
    /// The `cursor` of the next page, null at the end.
    #[schema(required = true)]
    next: Option<String>,
    /// From where to go on later, at the end too.
    #[schema(example = "rev-17")]
    cursor: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangesQuery {
    /// The revisions after this one: the `cursor` or `next` of an earlier answer, or the `id` of a revision. Absent: from the
    /// first one on.
    #[param(example = "rev-17")]
    cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The number of the revision that a cursor of the feed names.
pub(super) fn position(cursor: &str) -> Result<i64, Problem> {
    let unknown = "`cursor` must be the `cursor` of an earlier answer or the `id` of a revision, such as rev-17";
    number(cursor).ok_or_else(|| Problem::bad_request(unknown))
}

impl Access {
    /// As a reader of the feed.
    pub(super) fn reader(&self) -> Reader {
        Reader::new(&self.registry, self.bound_to())
    }
}

/// The current picture of each community: its committee, organizations and projects, the figures of its last full weeks
/// and months, the trend, the targets met, and what it needs.
#[utoipa::path(get, path = "/linkage/communities", tag = "linkage", params(PageQuery),
    responses((status = 200, body = Snapshot), ReadProblems))]
pub(super) async fn linkage_communities(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<PageQuery>,
) -> Result<Json<Snapshot>, Problem> {
    access.may_see(LINKAGE)?;
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let (after, probe) = (page.after.clone().unwrap_or_default(), page.probe());
    let read = app.store.read(move |connection| {
        Ok((linkage::snapshot(connection, &access.reader(), &after, probe)?, linkage::last(connection)?))
    });
    let (found, last) = read.await?;
    let (items, next) = page.cut(found, |(community, _)| community.clone()).into_parts();
    Ok(Json(Snapshot { items: items.into_iter().map(|(_, picture)| picture).collect(), next, cursor: name(last) }))
}

/// Every later revision, in order, with the reasons: each holds all that is told of its community from then on.
#[utoipa::path(get, path = "/linkage/changes", tag = "linkage", params(ChangesQuery),
    responses((status = 200, body = Changes), ReadProblems))]
pub(super) async fn linkage_changes(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<ChangesQuery>,
) -> Result<Json<Changes>, Problem> {
    access.may_see(LINKAGE)?;
    let page = Page::new(None, query.limit)?;
    let (after, probe) = (query.cursor.as_deref().map_or(Ok(0), position)?, page.probe());
    let read = app.store.read(move |connection| {
        Ok((linkage::revisions(connection, &access.reader(), after, probe)?, linkage::last(connection)?))
    });
    let (found, last) = read.await?;
    let more = found.len() > page.limit;
    let items: Vec<_> = found.into_iter().take(page.limit).map(|revision| revision.view()).collect();
    // What follows the last item at the end of the list is not for this reader.
    let end = name(last.max(after));
    let cursor = items.last().filter(|_| more).map_or(end, |last| last.id.clone());
    Ok(Json(Changes { items, next: more.then(|| cursor.clone()), cursor }))
}
