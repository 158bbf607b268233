//! `/communities`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Access, READERS};
use super::etag::IfMatch;
use super::extract::{Id, Json, Query, check_text};
use super::paging::{List, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::resource::{self, Resource};
use super::{App, words};
use crate::domain::registry::{Registry, Role};
use crate::domain::zone::{DEFAULT_ZONE, Tz};
use crate::store::registry::{self, Kind};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "新华小区", "committee": "xinhua-juweihui", "time_zone": "Asia/Shanghai"}))]
pub(super) struct CommunityFields {
    #[schema(schema_with = words::words)]
    pub name: String,
    /// The organization that is its residents' committee.
    #[schema(schema_with = words::id)]
    pub committee: String,
    /// IANA name; absent: it keeps its own, a new community is in Asia/Shanghai.
    #[schema(example = "Asia/Shanghai")]
    pub time_zone: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Community)]
pub(super) struct CommunityView {
    pub id: String,
    pub name: String,
    pub committee: String,
    pub time_zone: String,
}

struct Communities;

impl Resource for Communities {
    type View = CommunityView;
    const KIND: Kind = Kind::Community;
    const READERS: &'static [Role] = READERS;

    fn ids(registry: &Registry) -> impl Iterator<Item = &String> {
        registry.communities.keys()
    }

    fn seen(access: &Access, id: &str) -> bool {
        access.sees_community(id)
    }

    fn view(registry: &Registry, id: &str) -> Option<CommunityView> {
        let community = registry.communities.get(id)?.clone();
        let time_zone = community.zone.name().to_owned();
        Some(CommunityView { id: community.id, name: community.name, committee: community.committee, time_zone })
    }
}

/// The zone that a request names, if it names one.
pub(super) fn zone(name: Option<&str>) -> Result<Option<Tz>, Problem> {
    let unknown = |_| Problem::bad_request("`time_zone` must be an IANA name, such as Asia/Shanghai");
    name.map(str::parse).transpose().map_err(unknown)
}

/// Lists the communities that the token sees.
#[utoipa::path(get, path = "/communities", tag = "registry", params(PageQuery),
    responses((status = 200, body = List<CommunityView>), ReadProblems))]
pub(super) async fn list_communities(
    access: Access,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<CommunityView>>, Problem> {
    resource::list::<Communities>(&access, &query).map(Json)
}

/// Reads a community.
#[utoipa::path(get, path = "/communities/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 200, body = CommunityView), ReadProblems))]
pub(super) async fn get_community(access: Access, Id(id): Id) -> Result<Json<CommunityView>, Problem> {
    resource::get::<Communities>(&access, &id).map(Json)
}

/// Creates or changes a community.
#[utoipa::path(put, path = "/communities/{id}", tag = "registry", params(("id" = String, Path)),
    request_body = CommunityFields,
    responses((status = 200, body = CommunityView), (status = 201, body = CommunityView), WriteProblems))]
pub(super) async fn put_community(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
    Json(fields): Json<CommunityFields>,
) -> Result<(StatusCode, Json<CommunityView>), Problem> {
    check_text("name", &fields.name)?;
    let zone = zone(fields.time_zone.as_deref())?;
    let foreign = access.bound_to().is_some_and(|own| own != fields.committee);
    if foreign && !access.registry.communities.contains_key(&id) {
        access.may_see(READERS)?;
        return Err(Problem::forbidden("a token of one organization cannot create another's community"));
    }
    let key = id.clone();
    let put = resource::put::<Communities>(&app, &access, &id, if_match, move |session| {
        let present = session.registry.communities.get(&key).map(|community| community.zone);
        let zone = zone.or(present).unwrap_or(DEFAULT_ZONE);
        Ok(registry::put_community(session.connection, &key, &fields.name, &fields.committee, zone)?)
    });
    put.await.map(|(status, view)| (status, Json(view)))
}

/// Deletes a community that nothing depends on.
#[utoipa::path(delete, path = "/communities/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_community(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    resource::delete::<Communities>(&app, &access, &id, if_match).await
}
