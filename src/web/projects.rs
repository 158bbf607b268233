//! `/projects`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Access, READERS};
use super::etag::IfMatch;
use super::extract::{Date, Id, Json, Query, object};
use super::paging::{List, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::resource::{self, Resource};
use super::{App, words};
use crate::domain::registry::{Project, Registry, Role, Targets};
use crate::store::registry::{self, Kind};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"community": "xinhua", "organization": "xinhua-juweihui", "starts": "2026-09-01",
    "targets": {"participation": 0.9, "awareness": 0.95}}))]
pub(super) struct ProjectFields {
    #[schema(schema_with = words::id)]
    pub community: String,
    #[schema(schema_with = words::id)]
    pub organization: String,
    #[schema(value_type = String, format = Date)]
    pub starts: Date,
    #[serde(default, deserialize_with = "object")]
    pub targets: Targets,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Project)]
pub(super) struct ProjectView {
    pub id: String,
    pub community: String,
    pub organization: String,
    #[schema(value_type = String, format = Date)]
    pub starts: NaiveDate,
    pub targets: Targets,
}

struct Projects;

impl Resource for Projects {
    type View = ProjectView;
    const KIND: Kind = Kind::Project;
    const READERS: &'static [Role] = READERS;

    fn ids(registry: &Registry) -> impl Iterator<Item = &String> {
        registry.projects.keys()
    }

    fn seen(access: &Access, id: &str) -> bool {
        access.sees_project(id)
    }

    fn view(registry: &Registry, id: &str) -> Option<ProjectView> {
        let Project { id, community, organization, starts, targets } = registry.projects.get(id)?.clone();
        Some(ProjectView { id, community, organization, starts, targets })
    }
}

/// Lists the projects that the token sees.
#[utoipa::path(get, path = "/projects", tag = "registry", params(PageQuery),
    responses((status = 200, body = List<ProjectView>), ReadProblems))]
pub(super) async fn list_projects(
    access: Access,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<ProjectView>>, Problem> {
    resource::list::<Projects>(&access, &query).map(Json)
}

/// Reads a project.
#[utoipa::path(get, path = "/projects/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 200, body = ProjectView), ReadProblems))]
pub(super) async fn get_project(access: Access, Id(id): Id) -> Result<Json<ProjectView>, Problem> {
    resource::get::<Projects>(&access, &id).map(Json)
}

/// Creates or changes a project.
#[utoipa::path(put, path = "/projects/{id}", tag = "registry", params(("id" = String, Path)),
    request_body = ProjectFields,
    responses((status = 200, body = ProjectView), (status = 201, body = ProjectView), WriteProblems))]
pub(super) async fn put_project(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
    Json(fields): Json<ProjectFields>,
) -> Result<(StatusCode, Json<ProjectView>), Problem> {
    let targets = fields.targets;
    for (name, target) in [("participation", targets.participation), ("awareness", targets.awareness)] {
        if !target.is_none_or(|target| (0.0..=1.0).contains(&target)) {
            return Err(Problem::bad_request(format!("`targets.{name}` must be a number from 0 to 1")));
        }
    }
    // A project makes its community visible to its organization: only who sees the community may give that away.
    let known = access.sees_community(&fields.community);
    let unknown = format!("there is no community {}: create it first", fields.community);
    let ProjectFields { community, organization, starts: Date(starts), targets } = fields;
    let project = Project { id: id.clone(), community, organization, starts, targets };
    let put = resource::put::<Projects>(&app, &access, &id, if_match, move |session| {
        if !known {
            return Err(Problem::bad_request(unknown));
        }
        Ok(registry::put_project(session.connection, &project)?)
    });
    put.await.map(|(status, view)| (status, Json(view)))
}

/// Deletes a project.
#[utoipa::path(delete, path = "/projects/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_project(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    resource::delete::<Projects>(&app, &access, &id, if_match).await
}
