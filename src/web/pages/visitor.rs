//! Who looks at a page: somebody who signed in, in a language.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use crate::faults::Part;
use crate::web::App;
use crate::web::access::{Access, Credential, authenticate};
use crate::web::language::Language;
use crate::web::problem::Problem;
use crate::web::session::Session;

/// Somebody who signed in. A token opens no page.
#[derive(Clone)]
pub(super) struct Visitor {
    pub access: Access,
    pub lang: Language,
    /// The token that each form of this session carries.
    pub csrf: String,
    /// The path and query of the page that was asked for, to come back to.
    pub here: String,
    /// The host under which the pages were reached, without a port.
    pub host: String,
    /// What does not work as the page is made.
    pub faults: Vec<Part>,
}

impl Visitor {
    /// As the account is called.
    pub(super) fn name(&self) -> &str {
        let who = &self.access.caller.who;
        who.strip_prefix("account:").unwrap_or(who)
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let session = Session::of(&parts.headers).ok_or_else(|| Problem::unauthorized("sign in first"))?;
        let csrf = session.csrf();
        let access = authenticate(app, Credential::Session(session)).await?;
        let here = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        // An IPv6 address keeps its brackets.
        let host = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(host, |(host, _)| host);
        let host = host.to_owned();
        let faults = app.faults().into_keys().collect();
        Ok(Self { access, lang: Language::of(&parts.headers), csrf, here, host, faults })
    }
}
