//! Addresses of stores and brokers: a password is shown neither where the address is taken nor where it is refused.

#![no_main]

use fenlei::config::BrokerUrl;
use fenlei::store::StoreUrl;
use libfuzzer_sys::fuzz_target;

/// Nothing that a host or a message would hold by chance, and the same however it is encoded.
const SECRET: &str = "Zq7Xk2Vw";

fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    // Where an input has no place of its own for it.
    let text = if text.contains('*') { text.replacen('*', SECRET, 1) } else { format!("{text}:{SECRET}@h/d") };
    match StoreUrl::parse(&text) {
        Ok(url) => {
            let shown = format!("{url} {url:?}");
            match &url {
                StoreUrl::Postgres(server) => {
                    let password = server.config().get_password().unwrap_or_default();
                    let is_secret = String::from_utf8_lossy(password).contains(SECRET);
                    assert!(!is_secret || !shown.contains(SECRET), "{shown}");
                }
                StoreUrl::Sqlite(_) => assert_eq!(StoreUrl::parse(&url.to_string()).as_ref(), Ok(&url)),
            }
        }
        Err(expected) => assert!(!expected.contains(SECRET), "{expected}"),
    }
    match BrokerUrl::parse(&text) {
        Ok(url) => {
            let shown = format!("{url:?}");
            let is_secret = url.login.as_ref().is_some_and(|login| login.password.contains(SECRET));
            assert!(!is_secret || !shown.contains(SECRET), "{shown}");
        }
        Err(expected) => assert!(!expected.contains(SECRET), "{expected}"),
    }
});
