//! `/devices`: their registration, their secrets, and how they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use fenlei_wire::vocabulary::{DeviceKind, Stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::{Access, OPERATORS, READERS};
use super::configs::ConfigView;
use super::etag::{Edited, IfMatch, Tagged};
use super::extract::{Id, Json, Object, Query, check_text, rfc3339};
use super::lids::LidView;
use super::paging::{List, Page};
use super::problem::{Problem, ReadProblems, WriteProblems};
use super::resource::{self, Resource};
use super::{App, words};
use crate::credentials;
use crate::domain::inbound::Sender;
use crate::domain::registry::{Device, Registry, Role};
use crate::store::fleet::{self, Range};
use crate::store::registry::{self, DeviceFields as Stored, Kind};
use crate::store::sql::Connection;
use crate::store::vitals::{self, Vital};
use crate::store::{StoreError, audit};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"site": "xinhua-east", "kind": "bin", "name": "厨余垃圾桶3", "streams": ["food"]}))]
pub(super) struct DeviceFields {
    #[schema(schema_with = words::id)]
    pub site: String,
    #[schema(schema_with = words::device_kind)]
    pub kind: DeviceKind,
    #[schema(schema_with = words::words, required = false)]
    pub name: Option<String>,
    /// At least one; absent: all.
    #[schema(schema_with = words::some_streams, required = false)]
    pub streams: Option<Vec<Stream>>,
}

/// What of a device is put.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Registration {
    pub id: String,
    pub site: String,
    #[schema(schema_with = words::device_kind)]
    pub kind: DeviceKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::streams, required = false)]
    pub streams: Option<Vec<Stream>>,
}

impl Registration {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            id: device.id.clone(),
            site: device.site.clone(),
            kind: device.kind,
            name: device.name.clone(),
            streams: device.streams.clone(),
        }
    }
}

/// A device and how it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Device)]
pub(super) struct DeviceView {
    #[serde(flatten)]
    pub registration: Registration,
    pub online: bool,
    /// Since when it is online or not; null: it never said.
    #[schema(format = DateTime)]
    pub since: Option<String>,
    pub boot: Option<u32>,
    pub firmware: Option<String>,
    pub config: ConfigView,
    /// Of a bin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub lid: Option<LidView>,
    /// When an event of it came last.
    #[schema(format = DateTime)]
    pub last_received: Option<String>,
    /// Events that have not come though later ones have; the first 100 ranges, newest boot first.
    pub gaps: Vec<Range>,
    /// How many events are missing in all.
    pub missing: i64,
    /// What it declared it can never deliver; the first 100 ranges.
    pub lost: Vec<Range>,
    /// Events that came again under the same name with different content.
    pub conflicts: i64,
    pub quarantined: i64,
    /// Refused beyond its cap, and not kept.
    pub quarantine_overflow: i64,
    /// What it last measured, by name: `millivolts`, `celsius`, `rssi`, or `fill/` and a stream (percent).
    pub vitals: BTreeMap<String, VitalView>,
}

/// A measurement.
#[derive(Serialize, ToSchema)]
#[schema(as = Vital)]
pub(super) struct VitalView {
    pub value: f64,
    #[schema(format = DateTime)]
    pub at: String,
}

impl DeviceView {
    fn read(
        connection: &Connection,
        registry: &Registry,
        device: &Device,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        let status = fleet::status(connection, device)?;
        Ok(Self {
            registration: Registration::of(device),
            online: status.online,
            since: status.since.map(rfc3339),
            boot: status.boot,
            firmware: status.firmware,
            config: ConfigView::read(connection, registry, device, status.config)?,
            lid: LidView::read(connection, registry, device, now)?,
            last_received: status.received.map(rfc3339),
            gaps: status.gaps,
            missing: status.missing,
            lost: status.lost,
            conflicts: status.conflicts,
            quarantined: status.quarantined,
            quarantine_overflow: status.quarantine_overflow,
            vitals: vitals::of(connection, device.key)?.into_iter().map(|(name, vital)| (name, vital.into())).collect(),
        })
    }
}

impl From<Vital> for VitalView {
    fn from(vital: Vital) -> Self {
        Self { value: vital.value, at: rfc3339(vital.at) }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct DevicePut {
    #[serde(flatten)]
    pub device: DeviceView,
    /// Of a new device, and told only now: its password on the broker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

struct Devices;

impl Resource for Devices {
    type View = Registration;
    const KIND: Kind = Kind::Device;
    const READERS: &'static [Role] = READERS;

    fn ids(registry: &Registry) -> impl Iterator<Item = &String> {
        registry.devices.keys()
    }

    fn seen(access: &Access, id: &str) -> bool {
        access.sees_device(id)
    }

    fn view(registry: &Registry, id: &str) -> Option<Registration> {
        registry.devices.get(id).map(Registration::of)
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DevicesQuery {
    pub site: Option<String>,
    #[param(schema_with = words::device_kind, required = false)]
    pub kind: Option<DeviceKind>,
    /// The `next` of the page before.
    #[param(schema_with = words::cursor, required = false)]
    pub cursor: Option<String>,
    /// Items on a page: 1 to 1000, 100 where absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// Lists the devices that the token sees, with how they stand.
#[utoipa::path(get, path = "/devices", tag = "devices", params(DevicesQuery),
    responses((status = 200, body = List<DeviceView>), ReadProblems))]
pub(super) async fn list_devices(
    State(app): State<Arc<App>>,
    access: Access,
    Query(query): Query<DevicesQuery>,
) -> Result<Json<List<DeviceView>>, Problem> {
    let page = Page::new(query.cursor.as_deref(), query.limit)?;
    let registry = Arc::clone(&access.registry);
    let wanted = |id: &str| {
        let device = registry.devices.get(id);
        device.is_some_and(|device| {
            query.site.as_ref().is_none_or(|site| *site == device.site)
                && query.kind.is_none_or(|kind| kind == device.kind)
        })
    };
    let ids = resource::ids::<Devices>(&access, &page, wanted)?;
    let now = app.clock.now();
    let devices: Vec<Device> = ids.filter_map(|id| registry.devices.get(id).cloned()).collect();
    let read = app.store.read(move |connection| {
        devices.iter().map(|device| DeviceView::read(connection, &registry, device, now)).collect::<Result<Vec<_>, _>>()
    });
    Ok(Json(page.cut(read.await?, |device| device.registration.id.clone())))
}

/// Reads a device, with how it stands. `If-Match` is held against its registration alone.
#[utoipa::path(get, path = "/devices/{id}", tag = "devices", params(("id" = String, Path)),
    responses((status = 200, body = DeviceView), ReadProblems))]
pub(super) async fn get_device(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
) -> Result<Tagged<DeviceView>, Problem> {
    let edited = Edited::of(&resource::get::<Devices>(&access, &id)?);
    let device = access.device(&id)?.clone();
    let (registry, now) = (Arc::clone(&access.registry), app.clock.now());
    let body = app.store.read(move |connection| DeviceView::read(connection, &registry, &device, now)).await?;
    Ok(Tagged { edited, body })
}

/// Creates or changes a device; creating answers its secret, once. Once it has sent events it keeps its site and kind.
#[utoipa::path(put, path = "/devices/{id}", tag = "devices", params(("id" = String, Path)),
    request_body = DeviceFields,
    responses((status = 200, body = DevicePut), (status = 201, body = DevicePut), WriteProblems))]
pub(super) async fn put_device(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
    Json(fields): Json<DeviceFields>,
) -> Result<impl IntoResponse, Problem> {
    let (status, put) = put(app, access, id, if_match, fields).await?;
    Ok((status, [(header::CACHE_CONTROL, "no-store")], put))
}

/// The same, for whoever shows the secret otherwise.
pub(super) async fn put(
    app: Arc<App>,
    access: Access,
    id: String,
    if_match: IfMatch,
    fields: DeviceFields,
) -> Result<(StatusCode, Json<DevicePut>), Problem> {
    if let Some(name) = &fields.name {
        check_text("name", name)?;
    }
    if fields.streams.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::bad_request("`streams` must name at least one stream, or be absent"));
    }
    let known = access.sees_site(&fields.site);
    let unknown = format!("there is no site {}: create it first", fields.site);
    let (secret, password) = new_secret().await?;
    let key = id.clone();
    let put = resource::put::<Devices>(&app, &access, &id, if_match, move |session| {
        if !known {
            return Err(Problem::bad_request(unknown));
        }
        let device = Stored {
            id: &key,
            site: &fields.site,
            kind: fields.kind,
            name: fields.name.as_deref(),
            streams: fields.streams.as_deref(),
            password: &password,
        };
        registry::put_device(session.connection, &session.registry, &device)?;
        Ok(())
    });
    let (status, _) = put.await?;
    let (registry, now) = (app.store.registry(), app.clock.now());
    let device = registry.devices.get(&id).cloned().ok_or_else(Problem::not_found)?;
    let device = app.store.read(move |connection| DeviceView::read(connection, &registry, &device, now)).await?;
    let secret = (status == StatusCode::CREATED).then_some(secret);
    Ok((status, Json(DevicePut { device, secret })))
}

/// Deletes a device that has sent no events.
#[utoipa::path(delete, path = "/devices/{id}", tag = "devices", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), WriteProblems))]
pub(super) async fn delete_device(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let gone = access.device(&id).map(sender).ok();
    let deleted = resource::delete::<Devices>(&app, &access, &id, if_match).await?;
    if let Some(gone) = gone {
        (app.on_secret_changed)(gone, true);
    }
    Ok(deleted)
}

#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Rotation {
    /// The hardware was replaced or wiped: its boots may start again from 1.
    #[serde(default)]
    pub replaced: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Secret {
    pub secret: String,
}

/// Gives a device a new secret, told only now; the old one no longer opens the broker.
#[utoipa::path(post, path = "/devices/{id}/secret", tag = "devices", params(("id" = String, Path)),
    request_body(content = Option<Rotation>, content_type = "application/json"),
    responses((status = 200, body = Secret), WriteProblems))]
pub(super) async fn rotate_secret(
    State(app): State<Arc<App>>,
    access: Access,
    Id(id): Id,
    body: Bytes,
) -> Result<([(header::HeaderName, &'static str); 1], Json<Secret>), Problem> {
    access.may_see(READERS)?;
    let device = sender(access.device(&id)?);
    access.may_do(OPERATORS)?;
    let Rotation { replaced } = if body.trim_ascii().is_empty() {
        Rotation::default()
    } else {
        serde_json::from_slice(&body)
            .map(|Object(rotation)| rotation)
            .map_err(|_| Problem::bad_request("the body must be {\"replaced\":true}, {\"replaced\":false} or absent"))?
    };
    let (secret, password) = new_secret().await?;
    let (now, who) = (app.clock.now().timestamp_millis(), access.caller.who.clone());
    let rotated = app.store.write(move |session| {
        audit::note(session.connection, now, &who, "device.secret", &id)?;
        registry::rotate_secret(session.connection, &session.registry, &id, &password, replaced, now)
    });
    rotated.await?;
    (app.on_secret_changed)(device, replaced);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Secret { secret })))
}

fn sender(device: &Device) -> Sender {
    Sender { site: device.site.clone(), kind: device.kind, device: device.id.clone() }
}

/// Made off the threads that serve requests: hashing takes its time.
async fn new_secret() -> Result<(String, String), Problem> {
    let failed = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no secret could be made: try again later");
    let made = tokio::task::spawn_blocking(credentials::generate).await;
    made.map_err(|_| failed())?.map_err(|_| failed())
}
