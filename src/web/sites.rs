//! `/sites`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{Access, SITE_READERS};
use super::communities::zone;
use super::etag::IfMatch;
use super::extract::{Id, Json, Query, check_text};
use super::paging::{List, PageQuery};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::resource::{self, Resource};
use super::{App, words};
use crate::domain::registry::{Registry, Role};
use crate::store::registry::{self, Kind, SiteFields as Stored};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"community": "xinhua", "name": "新华小区北门垃圾箱房", "latitude": 31.2063, "longitude": 121.4217}))]
pub(super) struct SiteFields {
    #[schema(schema_with = words::id)]
    pub community: String,
    #[schema(schema_with = words::words)]
    pub name: String,
    /// IANA name; absent: it keeps its own, a new site takes its community's.
    #[schema(example = "Asia/Shanghai")]
    pub time_zone: Option<String>,
    #[schema(minimum = -90, maximum = 90)]
    pub latitude: Option<f64>,
    #[schema(minimum = -180, maximum = 180)]
    pub longitude: Option<f64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Site)]
pub(super) struct SiteView {
    pub id: String,
    pub community: String,
    pub name: String,
    pub time_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
}

struct Sites;

impl Resource for Sites {
    type View = SiteView;
    const KIND: Kind = Kind::Site;
    const READERS: &'static [Role] = SITE_READERS;

    fn ids(registry: &Registry) -> impl Iterator<Item = &String> {
        registry.sites.keys()
    }

    fn seen(access: &Access, id: &str) -> bool {
        access.sees_site(id)
    }

    fn view(registry: &Registry, id: &str) -> Option<SiteView> {
        let site = registry.sites.get(id)?;
        Some(SiteView {
            id: site.id.clone(),
            community: site.community.clone(),
            name: site.name.clone(),
            time_zone: site.zone.name().to_owned(),
            latitude: site.latitude,
            longitude: site.longitude,
        })
    }
}

/// Lists the sites that the token sees.
#[utoipa::path(get, path = "/sites", tag = "registry", params(PageQuery),
    responses((status = 200, body = List<SiteView>), ReadProblems))]
pub(super) async fn list_sites(
    access: Access,
    Query(query): Query<PageQuery>,
) -> Result<Json<List<SiteView>>, Problem> {
    resource::list::<Sites>(&access, &query).map(Json)
}

/// Reads a site.
#[utoipa::path(get, path = "/sites/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 200, body = SiteView), ReadProblems))]
pub(super) async fn get_site(access: Access, Id(id): Id) -> Result<Json<SiteView>, Problem> {
    resource::get::<Sites>(&access, &id).map(Json)
}

/// Creates or changes a site. Once it has events, its time zone and its community stay.
#[utoipa::path(put, path = "/sites/{id}", tag = "registry", params(("id" = String, Path)), request_body = SiteFields,
    responses((status = 200, body = SiteView), (status = 201, body = SiteView), WriteProblems))]
pub(super) async fn put_site(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
    Json(fields): Json<SiteFields>,
) -> Result<(StatusCode, Json<SiteView>), Problem> {
    check_text("name", &fields.name)?;
    check_degrees("latitude", fields.latitude, 90.0)?;
    check_degrees("longitude", fields.longitude, 180.0)?;
    let zone = zone(fields.time_zone.as_deref())?;
    let unknown = format!("there is no community {}: create it first", fields.community);
    let known = access.sees_community(&fields.community);
    let key = id.clone();
    let put = resource::put::<Sites>(&app, &access, &id, if_match, move |session| {
        let community = session.registry.communities.get(&fields.community).filter(|_| known);
        let community = community.ok_or_else(|| Problem::bad_request(unknown))?;
        let present = session.registry.sites.get(&key).map(|site| site.zone);
        let site = Stored {
            id: &key,
            community: &fields.community,
            name: &fields.name,
            zone: zone.or(present).unwrap_or(community.zone),
            latitude: fields.latitude,
            longitude: fields.longitude,
        };
        Ok(registry::put_site(session.connection, &session.registry, &site)?)
    });
    put.await.map(|(status, view)| (status, Json(view)))
}

fn check_degrees(field: &str, degrees: Option<f64>, most: f64) -> Result<(), Problem> {
    let fits = degrees.is_none_or(|degrees| (-most..=most).contains(&degrees));
    if fits { Ok(()) } else { Err(Problem::bad_request(format!("`{field}` must be a number from -{most} to {most}"))) }
}

/// Deletes a site that has no devices.
#[utoipa::path(delete, path = "/sites/{id}", tag = "registry", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_site(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    resource::delete::<Sites>(&app, &access, &id, if_match).await
}
