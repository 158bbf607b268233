//! The settings: defaults, file, environment, and what is said about mistakes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fenlei::config::{BrokerUrl, Config, DEFAULT};

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn file(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("fenlei.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_defaults_are_complete() {
    let config = Config::from_layers(None, []).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.mqtt.listen.to_string(), "127.0.0.1:1883");
    assert_eq!(config.mqtt.url, None);
    assert_eq!(config.mqtt.client_id, "fenlei");
    assert_eq!(config.store.url.to_string(), "sqlite:fenlei.db");
    assert_eq!((config.store.cache_mib, config.store.readers), (64, 4));
    assert_eq!(config.privacy.card_key_file, Path::new("fenlei.card-key"));
    assert_eq!(config.store_options().quarantine_cap, 1_000);
    assert_eq!(config.log.filter, "info,mqtt5=warn");
}

#[test]
fn every_key_of_the_defaults_has_a_comment_above_it() {
    let mut above = "";
    let mut keys = BTreeSet::new();
    let mut section = "";
    for line in DEFAULT.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ") {
            let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if is_key {
                assert!(above.starts_with("# "), "[{section}] {key} has no comment above it");
                keys.insert(format!("{section}.{key}"));
            }
        }
        above = line;
    }
    // The optional keys, which stand there as comments, are keys too.
    let all = "\
        http.listen http.requests_per_second log.filter mqtt.client_id mqtt.listen mqtt.url privacy.card_key_file \
        projector.evening_seconds projector.evening_start projector.evening_text quarantine.max_per_device \
        retention.audit_days retention.departed_days retention.visits_days store.cache_mib store.readers store.url";
    assert_eq!(keys.iter().map(String::as_str).collect::<Vec<_>>().join(" "), all);
}

#[test]
fn the_example_for_production_is_good() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml");
    let config = Config::from_layers(Some(&path), []).unwrap();
    let url = config.mqtt.url.unwrap();
    assert_eq!((url.host.as_str(), url.port), ("127.0.0.1", 1884));
    assert_eq!(url.login.unwrap().user, "fenlei");
    assert_eq!(config.store.url.to_string(), "sqlite:/var/lib/fenlei/fenlei.db");
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "[store]\ncache_mib = 128\nreaders = 8\n");
    let variables = environment(&[
        ("FENLEI__STORE__READERS", "16"),
        ("FENLEI__MQTT__URL", "mqtt://fenlei:pw@10.0.0.7:1884"),
        ("FENLEI_OTHER", "is not ours"),
    ]);
    let config = Config::from_layers(Some(&path), variables).unwrap();
    assert_eq!(config.store.readers, 16);
    assert_eq!(config.store.cache_mib, 128);
    assert_eq!(config.store.url.to_string(), "sqlite:fenlei.db");
    assert_eq!(config.mqtt.url, Some(BrokerUrl::parse("mqtt://fenlei:pw@10.0.0.7:1884").unwrap()));
}

#[test]
fn a_mistake_is_named_even_where_a_later_layer_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "[store]\nreaders = 0\n");
    let mistakes = Config::from_layers(Some(&path), environment(&[("FENLEI__STORE__READERS", "16")])).unwrap_err();
    let expected = format!("{}:2: `store.readers` must be a whole number from 1 to 64", path.display());
    assert_eq!(mistakes.to_string(), expected);
}

#[test]
fn a_secret_is_in_no_message_and_no_debug_print() {
    let folder = tempfile::tempdir().unwrap();
    let variables = environment(&[("FENLEI__MQTT__URL", "mqtt://fenlei:hunter2@h")]);
    let config = Config::from_layers(None, variables).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let stored = "[store]\nurl = \"postgres://fenlei:hunter2@h/fenlei\"";
    let config = Config::from_layers(Some(&file(&folder, stored)), []).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for text in [
        "[mqtt]\nurl = \"mqtts://fenlei:hunter2@h\"",
        "[mqtt]\nurl = [\"mqtt://fenlei:hunter2@h\"]",
        "[mqtt]\nurl = mqtt://fenlei:hunter2@h",
        "[mqtt]\nurl = \"mqtt://fenlei:hunter2@h",
        "[mqtt]\nurl = 'mqtt://fenlei:hunter2@h\nlisten = 3",
        "[mqtt]\nurll = \"mqtt://fenlei:hunter2@h\"",
        "[mqtt]\nurl = \"mqtt://fenlei:hunter2\\q@h\"",
        "[mqtt]\nlisten = \"hunter2\"",
        "[store]\nurl = \"postgres://fenlei:hunter2@h/fenlei?sslmode=require\"",
    ] {
        let mistakes = Config::from_layers(Some(&file(&folder, text)), []).unwrap_err();
        for printed in [mistakes.to_string(), format!("{mistakes:?}")] {
            assert!(!printed.contains("hunter2"), "{text}: {printed}");
        }
    }
}
