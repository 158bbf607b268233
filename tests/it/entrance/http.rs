//! How much the HTTP server may be asked at once, and how slowly.

use std::time::{Duration, Instant};

use fenlei::domain::registry::Role;
use fenlei::web::Quotas;
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{World, hear, say};
use crate::support::api::Api;

const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// Asks, and keeps the connection.
async fn ask(port: u16) -> TcpStream {
    let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    answered(&mut line).await;
    line
}

async fn answered(line: &mut TcpStream) {
    line.write_all(ASK).await.unwrap();
    let answer = heard(line).await;
    assert!(answer.ends_with("ok\n"), "{answer}");
}

/// What comes until it is the answer or the other end hangs up.
async fn heard(line: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    // Whoever hangs up without having read all makes it an error on our side.
    while !heard.ends_with(b"ok\n") && line.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {}
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_so_many_connections_and_is_told_so() {
    const PLACES: usize = 5;
    let world = World::start(&[("FENLEI__HTTP__CONNECTIONS_PER_ADDRESS", &PLACES.to_string())]).await;
    // The test's own client for `/metrics` has one of the places, or two while it changes from one to another.
    let mut kept = Vec::new();
    let refused = loop {
        let mut line = TcpStream::connect(("127.0.0.1", world.backend.http)).await.unwrap();
        line.write_all(ASK).await.unwrap();
        match heard(&mut line).await {
            answer if answer.ends_with("ok\n") => kept.push(line),
            answer => break answer,
        }
    };
    assert!((PLACES - 2..=PLACES).contains(&kept.len()), "{} connections", kept.len());
    assert!(refused.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{refused}");
    assert!(refused.contains("\r\nRetry-After: 5\r\n") && refused.contains("application/problem+json"), "{refused}");
    let (head, body) = refused.split_once("\r\n\r\n").unwrap();
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((&problem["status"], head.contains(&format!("Content-Length: {}", body.len()))), (&503.into(), true));
    assert_eq!(say(world.https, ASK).await, "", "by TLS nothing can be said before the handshake");
    answered(&mut kept[0]).await;
    kept.truncate(1);
    world.until_refused("http", "connections_per_address", 1.0).await;
    world.until_refused("https", "connections_per_address", 1.0).await;
    // Once it is seen that somebody left there is a place.
    while !say(world.backend.http, b"GET /healthz HTTP/1.0\r\n\r\n").await.ends_with("ok\n") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let world = World::start(&[("FENLEI__HTTP__HEAD_SECONDS", "1")]).await;
    let begun = Instant::now();
    let mut slow = TcpStream::connect(("127.0.0.1", world.backend.http)).await.unwrap();
    // A byte now and then does not help.
    let dripping = async {
        for byte in b"GET /healthz HTTP/1.1\r\nHost: somebody-slow\r\n".chunks(1) {
            if slow.write_all(byte).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        hear(&mut slow).await
    };
    assert!(!dripping.await.contains("ok"));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    world.until_refused("http", "slow", 1.0).await;
    // Who is only idle is let go without being counted.
    let mut idle = ask(world.backend.http).await;
    assert_eq!(hear(&mut idle).await, "");
    assert_eq!(world.refused("http", "slow").await, 1.0);
}

#[tokio::test]
async fn streams_are_counted_by_caller_and_in_all() {
    let api = Api::limited(Quotas { streams: 2, streams_per_caller: 1, ..Quotas::UNLIMITED }).await;
    let tokens = [api.token(None, &[Role::Admin]).await, api.token(None, &[Role::Operator]).await];
    let follow = async |token: &str| {
        let request = api.client.get(format!("{}/api/v1/stream", api.base)).bearer_auth(token);
        request.send().await.unwrap()
    };
    let first = follow(&api.admin).await;
    assert_eq!(first.status(), StatusCode::OK);
    let again = follow(&api.admin).await;
    assert_eq!(again.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(again.headers()["content-type"], "application/problem+json");
    assert!(again.headers().contains_key("retry-after"));
    let second = follow(&tokens[0]).await;
    assert_eq!(second.status(), StatusCode::OK);
    let third = follow(&tokens[1]).await;
    assert_eq!(
        (third.status(), third.headers()["retry-after"].to_str().unwrap()),
        (StatusCode::SERVICE_UNAVAILABLE, "5")
    );
    drop(first);
    // Once it is seen that the first has left.
    while follow(&tokens[1]).await.status() != StatusCode::OK {}
    drop(second);
}
