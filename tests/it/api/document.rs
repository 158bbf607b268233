//! The OpenAPI document says what is served: no more, no less.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::api::{Api, send};

/// What the public contract promises of this part of the API.
const PROMISED: &[&str] = &[
    "GET /organizations",
    "GET /organizations/{id}",
    "PUT /organizations/{id}",
    "DELETE /organizations/{id}",
    "GET /communities",
    "GET /communities/{id}",
    "PUT /communities/{id}",
    "DELETE /communities/{id}",
    "GET /communities/{id}/households",
    "POST /communities/{id}/households",
    "DELETE /communities/{id}/households/{household}",
    "GET /communities/{id}/visits",
    "POST /communities/{id}/visits",
    "GET /communities/{id}/participation",
    "GET /communities/{id}/awareness",
    "GET /sites",
    "GET /sites/{id}",
    "PUT /sites/{id}",
    "DELETE /sites/{id}",
    "GET /sites/{id}/schedule",
    "PUT /sites/{id}/schedule",
    "GET /sites/{id}/hours",
    "POST /sites/{id}/schedule/what-if",
    "POST /sites/{id}/deposits",
    "GET /sites/{id}/openings",
    "POST /sites/{id}/openings",
    "DELETE /sites/{id}/openings/{opening}",
    "GET /devices",
    "GET /devices/{id}",
    "PUT /devices/{id}",
    "DELETE /devices/{id}",
    "POST /devices/{id}/secret",
    "GET /projects",
    "GET /projects/{id}",
    "PUT /projects/{id}",
    "DELETE /projects/{id}",
    "GET /alarms",
    "GET /alarms/{id}",
    "POST /alarms/{id}/acknowledge",
    "GET /alarms/webhooks",
    "POST /alarms/webhooks",
    "GET /alarms/webhooks/{id}",
    "DELETE /alarms/webhooks/{id}",
    "GET /linkage/communities",
    "GET /linkage/changes",
    "GET /linkage/webhooks",
    "POST /linkage/webhooks",
    "GET /linkage/webhooks/{id}",
    "DELETE /linkage/webhooks/{id}",
    "POST /linkage/webhooks/{id}/secret",
    "POST /linkage/webhooks/{id}/replay",
    "GET /linkage/webhooks/{id}/deliveries",
    "GET /projectors/messages",
    "POST /projectors/messages",
    "GET /projectors/messages/{id}",
    "DELETE /projectors/messages/{id}",
    "GET /projectors/displays",
    "GET /quarantine",
    "DELETE /quarantine/{id}",
    "POST /quarantine/{id}/retry",
    "GET /events",
    "GET /stream",
    "GET /openapi.json",
    "GET /asyncapi.json",
];

/// For anybody, without a token.
const DOCUMENTS: [&str; 2] = ["/openapi.json", "/asyncapi.json"];

#[tokio::test]
async fn the_document_is_openapi_3_1_and_complete() {
    let api = Api::with_registry().await;
    // No token is needed to read it.
    let document = send(api.client.get(format!("{}/api/v1/openapi.json", api.base))).await;
    assert!(document.etag.is_some());
    let document = document.body;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let paths = document["paths"].as_object().unwrap();
    for promised in PROMISED {
        let (method, path) = promised.split_once(' ').unwrap();
        let operation = &paths[&format!("/api/v1{path}")][method.to_lowercase()];
        let answers = operation["responses"].as_object().unwrap_or_else(|| panic!("{promised} is not documented"));
        assert!(answers.keys().any(|status| status.starts_with('2')), "{promised}");
        if !DOCUMENTS.contains(&path) {
            let problem = &answers["401"]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{promised}");
        }
    }
    let mut ids: Vec<_> = operations(&document).map(|(_, _, operation)| operation["operationId"].clone()).collect();
    let all = ids.len();
    assert_eq!(all, PROMISED.len(), "an operation is documented that this test does not know");
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    assert_eq!(ids.len(), all, "operation ids are unique");
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name} is referred to and missing");
    }
}

/// A path takes the methods that the document gives it, and answers 405 to all others.
#[tokio::test]
async fn every_route_is_documented() {
    let api = Api::with_registry().await;
    let document = api.get("openapi.json").await.body;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let url = format!("{}{}", api.base, path.replace("{id}", "no-such"));
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            let documented = methods.get(method.as_str().to_lowercase()).is_some();
            // Without a token every handler but the document's stops at once, streams included.
            let status = api.client.request(method.clone(), &url).send().await.unwrap().status();
            let open =
                path.strip_prefix("/api/v1").is_some_and(|path| DOCUMENTS.contains(&path)) && method == Method::GET;
            let expected = match (documented, open) {
                (true, true) => StatusCode::OK,
                (true, false) => StatusCode::UNAUTHORIZED,
                (false, _) => StatusCode::METHOD_NOT_ALLOWED,
            };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
}

/// Whoever writes a client sees what to send, and is told what every operation may answer.
#[tokio::test]
async fn every_body_has_an_example_and_every_operation_a_limit() {
    let api = Api::start().await;
    let document = api.get("openapi.json").await.body;
    let schemas = &document["components"]["schemas"];
    for (path, method, operation) in operations(&document) {
        let name = format!("{method} {path}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers["429"]["headers"]["Retry-After"].is_object(), "{name}");
        for (status, answer) in answers {
            for header in ["RateLimit", "RateLimit-Policy"] {
                assert!(answer["headers"][header].is_object(), "{name} {status} {header}");
            }
        }
        let Some(body) = operation.get("requestBody") else { continue };
        let schema = &body["content"]["application/json"]["schema"];
        assert!(has_example(schema, schemas), "{name} shows no example of its body: {schema}");
    }
}

/// Of its own, of what it refers to, of one of its alternatives, or of each of its fields.
fn has_example(schema: &Value, schemas: &Value) -> bool {
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        return has_example(&schemas[name], schemas);
    }
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let fields = schema["properties"].as_object();
    schema.get("example").is_some()
        || schema.get("examples").is_some()
        || schema["type"] == "boolean"
        || schema["type"] == serde_json::json!(["boolean", "null"])
        || alternatives.clone().any(|one| has_example(one, schemas))
        || schema.get("items").is_some_and(|items| has_example(items, schemas))
        || fields.is_some_and(|fields| fields.values().all(|field| has_example(field, schemas)))
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    })
}
