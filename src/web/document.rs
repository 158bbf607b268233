//! The OpenAPI document: what utoipa makes of the handlers, and what holds for all of them.

use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Object, RefOr, Schema};

use super::problem::{Problem, documented};
use super::words;

#[derive(OpenApi)]
#[openapi(
    info(title = "Fenlei", description = "Waste-sorting sites: registry, schedules, figures, ledger.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(Problem)),
    security(("bearer" = [])),
    modifiers(&Bearer)
)]
pub(super) struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let about = "A token made by `fenlei token add`";
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// Collections whose items are known by an id that people give, each with one of the sample neighbourhood.
const EXAMPLES: [(&str, &str); 5] = [
    ("/communities/{id}", "xinhua"),
    ("/devices/{id}", "xinhua-east-projector"),
    ("/organizations/{id}", "xinhua-juweihui"),
    ("/projects/{id}", "xinhua-sorting"),
    ("/sites/{id}", "xinhua-east"),
];

/// Adds to every operation what every operation may answer: that too much is asked, and what is left.
pub(super) fn complete(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let example = |path: &str| EXAMPLES.iter().find(|(start, _)| path.contains(start)).map(|(_, example)| *example);
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            let too_many = documented(&[(429, "Too many requests: wait as long as `Retry-After` says")]);
            operation.responses.responses.extend(too_many);
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response {
                    for (name, about) in LEFT {
                        response.headers.insert(name.to_owned(), header(words::text().build(), about).into());
                    }
                    if matches!(status.as_str(), "429" | "503") {
                        let wait = header(words::seconds(), "Seconds");
                        response.headers.insert("Retry-After".to_owned(), wait.into());
                    }
                }
            }
            if let Some(example) = example(path) {
                of_the_sample(operation, example);
            }
        }
    }
    document
}

const LEFT: [(&str, &str); 2] = [
    ("RateLimit-Policy", "What a caller may ask: `q` requests at once, all there again after `w` seconds without any"),
    ("RateLimit", "`r` of them are left, and all are there again after `t` seconds"),
];

fn header(schema: Object, about: &str) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(about)).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().flatten()
}

/// Says what an id in the path looks like.
fn of_the_sample(operation: &mut Operation, example: &str) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.parameter_in == ParameterIn::Path
            && parameter.name == "id"
        {
            let mut id = words::id();
            id.examples = vec![Value::from(example)];
            parameter.schema = Some(RefOr::T(Schema::Object(id)));
        }
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "documents", security(()),
    responses((status = 200, body = Object, description = "OpenAPI 3.1")))]
pub(super) async fn openapi(Extension(document): Extension<Arc<utoipa::openapi::OpenApi>>) -> Response {
    axum::Json(&*document).into_response()
}
