//! Where a backend says what does not work.

use std::collections::BTreeSet;

use fenlei::domain::registry::Role;
use fenlei::passwords;
use fenlei::store::accounts;
use reqwest::StatusCode;
use serde_json::Value;

use super::until;
use crate::support::backend::Backend;
use crate::support::folder::Folder;
use crate::support::pages::{Browser, PASSWORD};

/// More small changes than find room where a transaction did not.
const ROOM: u32 = 200;

/// Of a store that cannot be written, on the pages.
const BANNER: [&str; 2] = ["现在不能存储", "Nothing can be stored at the moment"];

/// Somebody who signed in while everything worked.
pub(crate) async fn signed_in(folder: &Folder, backend: &Backend) -> Browser {
    let roles = BTreeSet::from([Role::Admin]);
    assert!(accounts::add(&folder.store(), "li", &passwords::hash(PASSWORD).unwrap(), None, &roles, 0).unwrap());
    let mut browser = Browser::at(backend.base());
    let shown = browser.sign_in("li", PASSWORD).await;
    assert_eq!(shown.status, StatusCode::SEE_OTHER, "{shown:?}");
    browser
}

/// What `/readyz` answers.
pub(crate) async fn readiness(backend: &Backend) -> (StatusCode, Value) {
    let (status, text) = backend.outside("/readyz").await;
    (status, serde_json::from_str(&text).unwrap())
}

/// Comes back once everybody is told that nothing can be stored, and why.
pub(crate) async fn store_fails(backend: &Backend, browser: &mut Browser, why: &str) {
    until("it is not ready", async || readiness(backend).await.0 == StatusCode::SERVICE_UNAVAILABLE).await;
    let (_, said) = readiness(backend).await;
    let reason = format!("nothing can be stored: {why}");
    assert_eq!(said, serde_json::json!({"ready": false, "mqtt": true, "store": false, "reasons": [reason]}));
    assert_eq!(backend.counter("fenlei_fault{part=\"store\"}").await, 1.0);
    assert_eq!(backend.outside("/healthz").await.0, StatusCode::OK, "it lives");
    assert!(browser.see("/").await.contains(BANNER[0]));
    let (path, mut number) = ("/admin/organizations", 0);
    let saved = loop {
        number += 1;
        let id = format!("new-{number}");
        let saved = browser.submit(path, path, &[("id", &id), ("name", "志愿队"), ("kind", "volunteer_group")]).await;
        // What a large transaction had begun to write on a disk that became full is room for something small, for a while.
        if saved.status != StatusCode::SEE_OTHER || number == ROOM {
            break saved;
        }
    };
    assert_eq!(saved.status, StatusCode::SERVICE_UNAVAILABLE, "{saved:?}");
    assert!(saved.body.contains("没有保存:系统现在不能存储"), "{saved:?}");
    let mut english = browser.clone();
    english.english();
    assert!(english.see("/fleet").await.contains(BANNER[1]));
}

/// Comes back once everything works again, and nobody is told anything else.
pub(crate) async fn all_works(backend: &mut Backend, browser: &Browser) {
    backend.ready().await;
    let (_, said) = readiness(backend).await;
    assert_eq!(said, serde_json::json!({"ready": true, "mqtt": true, "store": true, "reasons": []}));
    assert_eq!(backend.counter("fenlei_fault{part=\"store\"}").await, 0.0);
    assert!(!browser.see("/").await.contains(BANNER[0]));
}
