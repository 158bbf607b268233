//! Addresses of stores and brokers: a password is shown neither where the address is taken nor where it is refused.

#![no_main]

use fenlei::config::BrokerUrl;
use fenlei::store::StoreUrl;
use libfuzzer_sys::fuzz_target;

/// Nothing that a host or a message would hold by chance, and the same however it is encoded.
const SECRET: &str = "Zq7Xk2Vw";
/// The like, to tell what is there because of the other one.
const OTHER: &str = "Jb4Yd9Ts";

fuzz_target!(|text: &str| {
    for read in [store, broker] {
        let (shown, hidden) = read(&with(text, SECRET));
        let (shown_anyway, hidden_anyway) = read(&with(text, OTHER));
        // An input may spell the secret by itself, in ways of its own.
        assert!(hidden == hidden_anyway || !shown.contains(SECRET) || shown_anyway.contains(SECRET), "{shown}");
    }
});

/// Puts a word where the input has a place for it, or makes it the password.
fn with(text: &str, word: &str) -> String {
    if text.contains('*') { text.replacen('*', word, 1) } else { format!("{text}:{word}@h/d") }
}

/// What is shown of an address, and what of it must not be: of one that is refused, all.
fn store(text: &str) -> (String, Vec<u8>) {
    match StoreUrl::parse(text) {
        Ok(url) => {
            let password = match &url {
                StoreUrl::Postgres(server) => server.config().get_password().unwrap_or_default().to_vec(),
                StoreUrl::Sqlite(_) => {
                    assert_eq!(StoreUrl::parse(&url.to_string()).as_ref(), Ok(&url));
                    Vec::new()
                }
            };
            (format!("{url} {url:?}"), password)
        }
        Err(expected) => (expected, text.into()),
    }
}

fn broker(text: &str) -> (String, Vec<u8>) {
    match BrokerUrl::parse(text) {
        Ok(url) => (format!("{url:?}"), url.login.map(|login| login.password.into()).unwrap_or_default()),
        Err(expected) => (expected, text.into()),
    }
}
