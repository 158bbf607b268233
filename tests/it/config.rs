//! The settings: defaults, file, environment, and what is said about mistakes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fenlei::config::{BrokerUrl, Config, DEFAULT};
use fenlei::webhook::Reach;

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
    assert_eq!((config.store.cache_mib, config.store.readers), (8, 4));
    assert_eq!(config.privacy.card_key_file, Path::new("fenlei.card-key"));
    assert_eq!(config.store_options().quarantine_cap, 1_000);
    assert_eq!((config.webhooks, config.http.sealed.is_some()), (Reach::Anywhere, false));
    assert_eq!(config.log.filter, "info");
    assert!(config.influx.is_none());
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
        http.certificate http.connections http.connections_per_address http.head_seconds http.key http.listen \
        http.requests_per_second http.sign_in_failures_per_address http.streams http.streams_per_caller \
        http.tls_listen influx.batch influx.bucket influx.org influx.timeout_seconds influx.token influx.url log.filter \
        mqtt.bytes_per_second mqtt.ca mqtt.certificate mqtt.client_ca mqtt.client_certificates mqtt.client_id \
        mqtt.connect_seconds mqtt.connections mqtt.connections_per_address mqtt.failures_per_address \
        mqtt.failures_per_device mqtt.key mqtt.listen mqtt.publishes_per_second mqtt.share mqtt.subscriptions \
        mqtt.tls_listen mqtt.url privacy.card_key_file projector.evening_seconds projector.evening_start projector.evening_text quarantine.max_per_device \
        retention.audit_days retention.departed_days retention.visits_days store.cache_mib store.readers store.url \
        webhooks.private_addresses";
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
fn a_mistake_is_one_line_whatever_its_key_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "\"a\\nforged:1: b\" = 1\n");
    let told = Config::from_layers(Some(&path), []).unwrap_err().to_string();
    assert!(told.starts_with(&format!("{}:1: `a\\nforged:1: b` is not", path.display())), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn what_goes_together_is_given_together() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\
        [http]\ntls_listen = \"127.0.0.1:8443\"\n\n\
        [mqtt]\nkey = \"key.pem\"\ncertificate = \"cert.pem\"\nclient_certificates = \"required\"\nca = \"ca.pem\"\nshare = \"all\"\n";
    let path = file(&folder, text);
    let mistakes = Config::from_layers(Some(&path), []).unwrap_err().to_string();
    insta::assert_snapshot!(mistakes.replace(&path.display().to_string(), "fenlei.toml"), @r"
    fenlei.toml:2: `http.tls_listen` needs `http.certificate` and `http.key` beside it
    fenlei.toml:6: `mqtt.certificate` needs `mqtt.tls_listen` beside it
    fenlei.toml:7: `mqtt.client_certificates` needs `mqtt.client_ca` beside it
    fenlei.toml:7: `mqtt.client_certificates` needs `mqtt.tls_listen` beside it
    fenlei.toml:8: `mqtt.ca` needs a `mqtt.url` of the scheme mqtts
    fenlei.toml:9: `mqtt.share` needs a `mqtt.url`: what comes to the embedded broker comes to one backend
    ");
    // A URL that is wrong is the one mistake: it is there.
    let wrong = "[mqtt]\nurl = \"10.0.0.7\"\nca = \"ca.pem\"\nshare = \"all\"\n";
    let mistakes = Config::from_layers(Some(&file(&folder, wrong)), []).unwrap_err().to_string();
    assert!(mistakes.lines().count() == 1 && mistakes.contains("`mqtt.url` must be"), "{mistakes}");
    let path = file(&folder, text);
    // Nothing of it is missing where another layer has it.
    let variables = environment(&[
        ("FENLEI__HTTP__CERTIFICATE", "cert.pem"),
        ("FENLEI__HTTP__KEY", "key.pem"),
        ("FENLEI__MQTT__TLS_LISTEN", "127.0.0.1:8883"),
        ("FENLEI__MQTT__CLIENT_CA", "devices.pem"),
        ("FENLEI__MQTT__URL", "mqtts://fenlei@broker.example"),
        ("FENLEI__WEBHOOKS__PRIVATE_ADDRESSES", "false"),
    ]);
    let config = Config::from_layers(Some(&path), variables).unwrap();
    assert!(config.http.sealed.is_some() && config.mqtt.sealed.is_some());
    assert_eq!((config.mqtt.url.unwrap().port, config.webhooks), (8883, Reach::Public));
}

#[test]
fn a_variable_with_too_few_underscores_is_no_setting_that_passes_unseen() {
    let refused =
        |name: &str| Config::from_layers(None, environment(&[(name, "127.0.0.1:1")])).unwrap_err().to_string();
    let said = "is not read: write FENLEI__HTTP__LISTEN, with two underscores before the section and the key";
    for name in ["FENLEI_HTTP_LISTEN", "FENLEI_HTTP__LISTEN"] {
        assert_eq!(refused(name), format!("environment variable {name}: {said}"));
    }
    assert!(refused("FENLEI_INFLUX_TOKEN_FILE").contains("write FENLEI__INFLUX__TOKEN_FILE,"));
    // What Kubernetes sets where a service is called so.
    let others = [("FENLEI_PORT", "tcp://10.0.0.1:8080"), ("FENLEI_MQTT_SERVICE_HOST", "10.0.0.2")];
    assert!(Config::from_layers(None, environment(&others)).is_ok());
}

#[test]
fn a_secret_is_in_no_message_and_no_debug_print() {
    let folder = tempfile::tempdir().unwrap();
    let variables = environment(&[
        ("FENLEI__MQTT__URL", "mqtt://fenlei:hunter2@h"),
        ("FENLEI__INFLUX__URL", "http://127.0.0.1:8086"),
        ("FENLEI__INFLUX__ORG", "o"),
        ("FENLEI__INFLUX__BUCKET", "b"),
        ("FENLEI__INFLUX__TOKEN", "hunter2"),
    ]);
    let config = Config::from_layers(None, variables).unwrap();
    assert!(config.influx.is_some() && !format!("{config:?}").contains("hunter2"));
    let stored = "[store]\nurl = \"postgres://fenlei:hunter2@h/fenlei\"";
    let config = Config::from_layers(Some(&file(&folder, stored)), []).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for text in [
        "[mqtt]\nurl = \"https://fenlei:hunter2@h\"",
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

#[test]
fn a_variable_may_name_a_file_with_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("mqtt-url");
    std::fs::write(&secret, "mqtt://fenlei:pw@10.0.0.7:1884\n").unwrap();
    let readers = folder.path().join("readers");
    std::fs::write(&readers, "16").unwrap();
    let path = file(&folder, "[store]\nreaders = 8\n[mqtt]\nurl = \"mqtt://other@h\"\n");
    let variables = environment(&[
        ("FENLEI__MQTT__URL_FILE", secret.to_str().unwrap()),
        ("FENLEI__STORE__READERS_FILE", readers.to_str().unwrap()),
        // A key of its own, whose name only ends like that; and a file for it.
        ("FENLEI__PRIVACY__CARD_KEY_FILE", "/var/lib/key"),
    ]);
    let config = Config::from_layers(Some(&path), variables).unwrap();
    assert_eq!(config.mqtt.url, Some(BrokerUrl::parse("mqtt://fenlei:pw@10.0.0.7:1884").unwrap()));
    assert_eq!(config.store.readers, 16);
    assert_eq!(config.privacy.card_key_file, Path::new("/var/lib/key"));
    std::fs::write(&readers, " /run/key \n").unwrap();
    let variables = environment(&[("FENLEI__PRIVACY__CARD_KEY_FILE_FILE", readers.to_str().unwrap())]);
    assert_eq!(Config::from_layers(None, variables).unwrap().privacy.card_key_file, Path::new("/run/key"));
}

#[test]
fn a_file_of_a_variable_that_cannot_be_meant_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "https://fenlei:hunter2@h").unwrap();
    let of = |variables: &[(&str, &str)]| Config::from_layers(None, environment(variables)).unwrap_err().to_string();
    let both = of(&[("FENLEI__MQTT__URL", "mqtt://h"), ("FENLEI__MQTT__URL_FILE", "/run/secrets/url")]);
    assert_eq!(
        both,
        "environment variable FENLEI__MQTT__URL_FILE: is set beside environment variable FENLEI__MQTT__URL: keep one of the two"
    );
    let absent = of(&[("FENLEI__MQTT__URL_FILE", "/run/secrets/no-such-file")]);
    assert_eq!(
        absent,
        "environment variable FENLEI__MQTT__URL_FILE: names the file /run/secrets/no-such-file for `mqtt.url`, which \
         cannot be read: No such file or directory (os error 2)"
    );
    let unknown = of(&[("FENLEI__MQTT__URLL_FILE", "/x")]);
    assert!(unknown.contains("`mqtt.urll_file` is not a known key"), "{unknown}");
    for told in [
        of(&[("FENLEI__MQTT__URL_FILE", wrong.to_str().unwrap())]),
        of(&[("FENLEI__MQTT__URL_FILE", "mqtt://fenlei:hunter2@h")]),
    ] {
        assert!(told.contains("FENLEI__MQTT__URL_FILE") && !told.contains("hunter2"), "{told}");
    }
    // Only a variable may name one: in a settings file the value itself can stand.
    let path = file(&folder, "[mqtt]\nurl_file = \"/run/secrets/url\"\n");
    let told = Config::from_layers(Some(&path), []).unwrap_err().to_string();
    assert!(told.contains("`mqtt.url_file` is not a known key"), "{told}");
}
