//! The HTTP API over the store. It decides nothing about waste sorting: it checks who asks, reads the store or
//! writes to it in one transaction, and says what came of it.
//!
//! Always: no handler blocks its thread; every refusal is a [`problem::Problem`]; every path of the API stands in its
//! OpenAPI document, because both are made of the same list.

mod access;
mod alarm_hooks;
mod alarms;
mod assets;
mod asyncapi;
mod board;
mod chart;
mod communities;
mod configs;
mod devices;
mod displays;
mod document;
mod etag;
mod events;
mod explain;
mod extract;
mod figures;
mod hook_url;
mod households;
mod language;
mod layers;
mod lids;
mod limits;
mod linkage;
mod linkage_hooks;
mod messages;
mod notes;
mod once;
mod openings;
mod organizations;
mod outside;
mod pages;
mod paging;
mod problem;
mod projects;
mod quarantine;
mod resource;
mod schedules;
mod serving;
mod session;
mod sites;
mod stream;
mod visits;
mod what_if;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Extension, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

pub use etag::tags_of;
pub use limits::{Limits, Quotas};
pub use paging::{List, Page};
pub use problem::Problem;
pub use serving::{farewell, serve};

use crate::clock::SharedClock;
use crate::domain::card::CardKey;
use crate::domain::inbound::Sender;
use crate::faults::{Faults, Part};
use crate::store::retention::Retention;
use crate::store::{Health, Store};
use crate::telemetry;
use crate::webhook::Reach;

/// What the API works with.
pub struct App {
    pub store: Store,
    pub clock: SharedClock,
    pub card_key: CardKey,
    /// What everybody may ask of the API.
    pub limits: Limits,
    /// How long is kept what concerns single households.
    pub retention: Retention,
    /// Where webhooks may lead.
    pub webhooks: Reach,
    /// Whether MQTT accepts devices.
    pub ready: Arc<dyn Fn() -> bool + Send + Sync>,
    /// What others found not to work.
    pub faults: Faults,
    /// Called when a device's secret no longer holds. `true`: nor does what the broker retains of it, because its
    /// hardware was replaced or its registration deleted.
    pub on_secret_changed: Arc<dyn Fn(Sender, bool) + Send + Sync>,
    /// Where devices reach the broker, for whoever installs them.
    pub broker: BrokerAddress,
}

impl App {
    /// What does not work at this moment, each with the reason.
    fn faults(&self) -> BTreeMap<Part, String> {
        let mut faults = self.faults.now();
        if let Health::Failing(reason) = self.store.health() {
            faults.insert(Part::Store, format!("nothing can be stored: {reason}"));
        }
        if !(self.ready)() {
            faults.insert(
                Part::Mqtt,
                "MQTT does not accept devices: there is no broker, or it does not take us".to_owned(),
            );
        }
        faults
    }
}

/// An MQTT broker as devices are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Absent: the host on which these pages are.
    pub host: Option<String>,
    pub port: u16,
    /// Whether they are to connect by TLS.
    pub tls: bool,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The most bytes of a body other than an import.
const MAX_BODY: usize = 1024 * 1024;
/// The most bytes of an import.
const MAX_IMPORT: usize = 8 * 1024 * 1024;

fn api() -> OpenApiRouter<Arc<App>> {
    let households = routes!(households::list_households, households::import_households);
    let visits = routes!(visits::list_visits, visits::record_visits);
    let import = || DefaultBodyLimit::max(MAX_IMPORT);
    OpenApiRouter::new()
        .routes(routes!(organizations::list_organizations))
        .routes(routes!(
            organizations::get_organization,
            organizations::put_organization,
            organizations::delete_organization
        ))
        .routes(routes!(communities::list_communities))
        .routes(routes!(communities::get_community, communities::put_community, communities::delete_community))
        .routes(households.layer(import()))
        .routes(routes!(households::erase_household))
        .routes(visits.layer(import()))
        .routes(routes!(figures::participation))
        .routes(routes!(visits::awareness))
        .routes(routes!(sites::list_sites))
        .routes(routes!(sites::get_site, sites::put_site, sites::delete_site))
        .routes(routes!(schedules::get_schedule, schedules::put_schedule))
        .routes(routes!(what_if::what_if))
        .routes(routes!(openings::list_openings, openings::post_opening))
        .routes(routes!(openings::delete_opening))
        .routes(routes!(figures::hours))
        .routes(routes!(notes::note))
        .routes(routes!(devices::list_devices))
        .routes(routes!(devices::get_device, devices::put_device, devices::delete_device))
        .routes(routes!(devices::rotate_secret))
        .routes(routes!(projects::list_projects))
        .routes(routes!(projects::get_project, projects::put_project, projects::delete_project))
        .routes(routes!(alarms::list_alarms))
        .routes(routes!(alarms::get_alarm))
        .routes(routes!(alarms::acknowledge))
        .routes(routes!(alarm_hooks::list_alarm_webhooks, alarm_hooks::post_alarm_webhook))
        .routes(routes!(alarm_hooks::get_alarm_webhook, alarm_hooks::delete_alarm_webhook))
        .routes(routes!(linkage::linkage_communities))
        .routes(routes!(linkage::linkage_changes))
        .routes(routes!(linkage_hooks::list_linkage_webhooks, linkage_hooks::post_linkage_webhook))
        .routes(routes!(linkage_hooks::get_linkage_webhook, linkage_hooks::delete_linkage_webhook))
        .routes(routes!(linkage_hooks::rotate_linkage_secret))
        .routes(routes!(linkage_hooks::replay_linkage_webhook))
        .routes(routes!(linkage_hooks::list_linkage_deliveries))
        .routes(routes!(messages::list_messages, messages::post_message))
        .routes(routes!(messages::get_message, messages::delete_message))
        .routes(routes!(displays::get_displays))
        .routes(routes!(events::list_events))
        .routes(routes!(stream::stream))
        .routes(routes!(quarantine::list_quarantine))
        .routes(routes!(quarantine::delete_quarantined))
        .routes(routes!(quarantine::retry_quarantined))
        .routes(routes!(asyncapi::asyncapi))
        .routes(routes!(document::openapi))
}

/// The whole of what is served over HTTP.
pub fn router(app: App) -> Router {
    let document = OpenApiRouter::with_openapi(document::Document::openapi());
    let (api, document) = document.nest("/api/v1", api()).split_for_parts();
    let app = Arc::new(app);
    let all = api
        .merge(pages::router(&app))
        .route("/board/{community}", get(board::board))
        .route("/healthz", get(outside::healthz))
        .route("/readyz", get(outside::readyz))
        .route("/metrics", get(outside::metrics))
        .fallback(pages::unknown_path)
        .method_not_allowed_fallback(layers::unknown_method)
        .with_state(Arc::clone(&app))
        .layer(middleware::from_fn_with_state(app, limits::limit))
        .layer(Extension(Arc::new(document::complete(document))))
        .layer(Extension(telemetry::install()))
        .layer(Extension(Arc::<board::Boards>::default()))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    guarded(all)
}

/// What holds for every request, in whatever way it ends.
fn guarded(router: Router) -> Router {
    router
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(middleware::from_fn(layers::bound))
        .layer(middleware::from_fn(etag::tag_reads))
        .layer(middleware::from_fn(layers::tidy))
        .layer(middleware::from_fn(layers::count))
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::entrance::Slots;

    #[tokio::test]
    async fn a_panic_is_a_problem_and_not_the_end() {
        let (loopback, patience) = ("127.0.0.1:0".parse().unwrap(), std::time::Duration::from_secs(30));
        let listener = crate::entrance::Listener::bind("http", loopback, Slots::new(9, 9), patience).await.unwrap();
        let url = format!("http://{}", listener.address().unwrap());
        let broken: Router = Router::new()
            .route("/", get(|| async { panic!("secret-value") as &'static str }))
            .route("/well", get(|| async { "well" }));
        tokio::spawn(serve(vec![listener], patience, guarded(broken), CancellationToken::new()));
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let broken = client.get(&url).send().await.unwrap();
        assert_eq!(broken.status(), 500);
        assert_eq!(broken.headers()["content-type"], "application/problem+json");
        assert!(!broken.text().await.unwrap().contains("secret-value"));
        assert_eq!(client.get(format!("{url}/well")).send().await.unwrap().text().await.unwrap(), "well");
    }
}
