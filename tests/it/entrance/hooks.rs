//! How far webhooks reach: not to what only Fenlei can reach.

use fenlei::webhook::{Client, NoAnswer, Reach};
use reqwest::StatusCode;
use serde_json::json;

use crate::alarms::receiver::{Receiver, Reply};
use crate::support::api::Api;

#[tokio::test]
async fn a_webhook_leads_to_public_addresses_only() {
    let api = Api::guarded().await;
    for url in ["http://127.0.0.1:1/x", "http://localhost/x", "http://169.254.169.254/latest", "https://[fd00::1]/x"] {
        for (path, body) in
            [("alarms/webhooks", json!({"url": url, "format": "generic"})), ("linkage/webhooks", json!({"url": url}))]
        {
            let answer = api.post(path, body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
            assert!(answer.detail().contains("`webhooks.private_addresses`"), "{answer:?}");
        }
    }
    let public = json!({"url": "https://platform.example/fenlei"});
    assert_eq!(api.post("linkage/webhooks", public).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_address_is_judged_when_it_is_connected_to() {
    let receiver = Receiver::start().await;
    let named = receiver.url("x").replace("127.0.0.1", "localhost");
    for url in [receiver.url("x"), named.clone()] {
        let answer = Client::new(Reach::Public).post(&url, &[], b"{}".to_vec()).await;
        assert_eq!(answer, Err(NoAnswer::Private), "{url}");
    }
    assert!(receiver.posted().is_empty(), "nobody knocked");
    assert_eq!(Client::new(Reach::Anywhere).post(&named, &[], b"{}".to_vec()).await.unwrap().status, 200);
    assert_eq!(receiver.posted().len(), 1);
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let location: &'static str = elsewhere.url("x").leak();
    receiver.reply(Reply { status: 307, location: Some(location), ..crate::alarms::receiver::OK });
    let answer = Client::new(Reach::Anywhere).post(&receiver.url("x"), &[], b"{}".to_vec()).await.unwrap();
    assert_eq!((answer.status, elsewhere.posted().len()), (307, 0));
}
