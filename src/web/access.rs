//! Who asks, what they may see, what they may do.
//!
//! What a token may not see answers 404, in the same words as what is not there; what it may see but not do
//! answers 403. A read is therefore never answered by 403.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::App;
use super::problem::Problem;
use super::session::{CSRF_HEADER, Session};
use crate::domain::registry::{Community, Device, Registry, Role, Site};
use crate::store::tokens::Caller;
use crate::store::{sessions, tokens};

pub(super) const ADMINS: &[Role] = &[Role::Admin];
/// Who runs sites and devices.
pub(super) const OPERATORS: &[Role] = &[Role::Admin, Role::Operator];
/// Who reads communities and their figures.
pub(super) const READERS: &[Role] = &[Role::Admin, Role::Operator, Role::Organization];
/// Who manages what projectors show.
pub(super) const SCHEDULERS: &[Role] = &[Role::Admin, Role::Operator, Role::Scheduler];
/// Who records what volunteers do.
pub(super) const RECORDERS: &[Role] = &[Role::Admin, Role::Organization];
/// Who reads what the linkage platform is told, and has webhooks told of it.
pub(super) const LINKAGE: &[Role] = &[Role::Admin, Role::Linkage];
/// Who reads sites and their schedules.
pub(super) const SITE_READERS: &[Role] = &[Role::Admin, Role::Operator, Role::Organization, Role::Scheduler];

/// Which communities a caller sees.
#[derive(Clone, Debug)]
enum Scope {
    All,
    Communities(BTreeSet<String>),
}

/// A caller, with the registry as it stood when the request came.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub caller: Caller,
    pub registry: Arc<Registry>,
    scope: Scope,
}

impl Access {
    pub(super) fn new(caller: Caller, registry: Arc<Registry>) -> Self {
        let scope = match &caller.organization {
            None => Scope::All,
            Some(organization) => {
                Scope::Communities(registry.communities_of(organization).into_iter().map(str::to_owned).collect())
            }
        };
        Self { caller, registry, scope }
    }

    pub(super) fn is_one_of(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.caller.roles.contains(role))
    }

    /// Whether the caller reads this kind of thing at all.
    pub(super) fn may_see(&self, readers: &[Role]) -> Result<(), Problem> {
        if self.is_one_of(readers) { Ok(()) } else { Err(Problem::not_found()) }
    }

    /// Whether the caller may change what it sees.
    pub(super) fn may_do(&self, doers: &[Role]) -> Result<(), Problem> {
        if self.is_one_of(doers) {
            return Ok(());
        }
        let roles: Vec<_> = doers.iter().map(|role| role.as_str()).collect();
        Err(Problem::forbidden(format!("this takes a token with the role {}", roles.join(" or "))))
    }

    /// The organization the caller is bound to; `None`: to none, it sees all.
    pub(super) fn bound_to(&self) -> Option<&str> {
        self.caller.organization.as_deref()
    }

    pub(super) fn sees_community(&self, id: &str) -> bool {
        let in_scope = match &self.scope {
            Scope::All => true,
            Scope::Communities(own) => own.contains(id),
        };
        in_scope && self.registry.communities.contains_key(id)
    }

    pub(super) fn sees_site(&self, id: &str) -> bool {
        self.registry.sites.get(id).is_some_and(|site| self.sees_community(&site.community))
    }

    pub(super) fn sees_device(&self, id: &str) -> bool {
        self.registry.devices.get(id).is_some_and(|device| self.sees_site(&device.site))
    }

    pub(super) fn sees_project(&self, id: &str) -> bool {
        self.registry.projects.get(id).is_some_and(|project| self.sees_community(&project.community))
    }

    /// Its own, and those it works beside in its communities.
    pub(super) fn sees_organization(&self, id: &str) -> bool {
        let Scope::Communities(own) = &self.scope else { return self.registry.organizations.contains_key(id) };
        let registry = &self.registry;
        let committee = || own.iter().any(|one| registry.communities.get(one).is_some_and(|one| one.committee == id));
        let works = || registry.projects.values().any(|one| one.organization == id && own.contains(&one.community));
        registry.organizations.contains_key(id) && (self.bound_to() == Some(id) || committee() || works())
    }

    pub(super) fn community(&self, id: &str) -> Result<&Community, Problem> {
        let community = self.registry.communities.get(id).filter(|_| self.sees_community(id));
        community.ok_or_else(Problem::not_found)
    }

    pub(super) fn site(&self, id: &str) -> Result<&Site, Problem> {
        self.registry.sites.get(id).filter(|_| self.sees_site(id)).ok_or_else(Problem::not_found)
    }

    pub(super) fn device(&self, id: &str) -> Result<&Device, Problem> {
        self.registry.devices.get(id).filter(|_| self.sees_device(id)).ok_or_else(Problem::not_found)
    }

    /// The keys of the sites the caller sees; `None`: all.
    pub(super) fn site_keys(&self) -> Option<Vec<i64>> {
        match &self.scope {
            Scope::All => None,
            Scope::Communities(own) => {
                let sites = self.registry.sites.values().filter(|site| own.contains(&site.community));
                Some(sites.map(|site| site.key).collect())
            }
        }
    }
}

impl FromRequestParts<Arc<App>> for Access {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        authenticate(app, Credential::from_request_parts(parts, app).await?).await
    }
}

/// The access that a credential gives at this moment.
pub(super) async fn authenticate(app: &App, credential: Credential) -> Result<Access, Problem> {
    let now = app.clock.now().timestamp_millis();
    let asked = credential.clone();
    let caller = app.store.read(move |connection| match &asked {
        Credential::Token(token) => tokens::caller(connection, token),
        Credential::Session(session) => sessions::caller(connection, session.text(), now),
    });
    let Some(caller) = caller.await? else {
        app.limits.reject(&credential);
        return Err(Problem::unauthorized("the token or the session is unknown, revoked or over: get a new one"));
    };
    app.limits.accept(&credential);
    Ok(Access::new(caller, app.store.registry()))
}

/// What a caller shows of itself: a program its token, a browser the session of whoever signed in. It has no `Debug`, so
/// that it is in no log.
#[derive(Clone)]
pub(super) enum Credential {
    Token(String),
    Session(Session),
}

impl Credential {
    /// What a request shows; a token goes before a session.
    pub(super) fn shown(headers: &HeaderMap) -> Option<Self> {
        bearer(headers).map(Self::Token).or_else(|| Session::of(headers).map(Self::Session))
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Token(token) => token,
            Self::Session(session) => session.text(),
        }
    }
}

impl FromRequestParts<Arc<App>> for Credential {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let shown = Self::shown(&parts.headers);
        let shown = shown.ok_or_else(|| Problem::unauthorized("send a token: `Authorization: Bearer …`"))?;
        // A browser sends its cookie along whoever asks it to: what changes something must show that a page of ours asked.
        if let Self::Session(session) = &shown
            && !parts.method.is_safe()
        {
            session.check(&parts.headers, parts.headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok()))?;
        }
        Ok(shown)
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
