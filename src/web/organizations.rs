//! `/organizations`

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
use crate::domain::registry::{Organization, OrganizationKind, Registry, Role};
use crate::store::registry::{self, Kind};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "新华小区居民委员会", "kind": "committee"}))]
pub(super) struct OrganizationFields {
    #[schema(schema_with = words::words)]
    pub name: String,
    pub kind: OrganizationKind,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Organization)]
pub(super) struct OrganizationView {
    pub id: String,
    pub name: String,
    pub kind: OrganizationKind,
}

struct Organizations;

impl Resource for Organizations {
    type View = OrganizationView;
    const KIND: Kind = Kind::Organization;
    const READERS: &'static [Role] = READERS;

    fn ids(registry: &Registry) -> impl Iterator<Item = &String> {
        registry.organizations.keys()
    }

    fn seen(access: &Access, id: &str) -> bool {
        access.sees_organization(id)
    }

    fn view(registry: &Registry, id: &str) -> Option<OrganizationView> {
        let Organization { id, name, kind } = registry.organizations.get(id)?.clone();
        Some(OrganizationView { id, name, kind })
    }
}

/// Lists the organizations that the token sees.
#[utoipa::path(get, path = "/organizations", tag = "registry", params(PageQuery),
    responses((status = 200, body = List<OrganizationView>), ReadProblems))]
pub(super) async fn list_organizations(
    access: Access,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<OrganizationView>>, Problem> {
    resource::list::<Organizations>(&access, &query).map(Json)
}

/// Reads an organization.
#[utoipa::path(get, path = "/organizations/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 200, body = OrganizationView), ReadProblems))]
pub(super) async fn get_organization(access: Access, Id(id): Id) -> Result<Json<OrganizationView>, Problem> {
    resource::get::<Organizations>(&access, &id).map(Json)
}

/// Creates or changes an organization.
#[utoipa::path(put, path = "/organizations/{id}", tag = "registry", params(("id" = String, Path)),
    request_body = OrganizationFields,
    responses((status = 200, body = OrganizationView), (status = 201, body = OrganizationView), WriteProblems))]
pub(super) async fn put_organization(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
    Json(fields): Json<OrganizationFields>,
) -> Result<(StatusCode, Json<OrganizationView>), Problem> {
    check_text("name", &fields.name)?;
    let foreign = access.bound_to().is_some_and(|own| own != id);
    if foreign && !access.registry.organizations.contains_key(&id) {
        access.may_see(READERS)?;
        return Err(Problem::forbidden("a token of one organization cannot create another"));
    }
    let organization = Organization { id: id.clone(), name: fields.name, kind: fields.kind };
    let put = resource::put::<Organizations>(&app, &access, &id, if_match, move |session| {
        Ok(registry::put_organization(session.connection, &organization)?)
    });
    put.await.map(|(status, view)| (status, Json(view)))
}

/// Deletes an organization that nothing depends on.
#[utoipa::path(delete, path = "/organizations/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_organization(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    resource::delete::<Organizations>(&app, &access, &id, if_match).await
}
