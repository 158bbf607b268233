//! The commands, through the real program: what they print, how they end, and beside a busy backend.

mod accounts;
mod beside;
mod card_keys;
mod imports;
mod recount;
mod restore;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fenlei::credentials;
use fenlei::domain::registry::Role;
use fenlei::store::sql::Connection;
use fenlei::store::tokens;

use crate::support::folder::{Folder, fenlei, text};
use crate::support::place::Place;

/// Two households with three cards.
const CSV: &str = "household,building,enrolled_from,enrolled_until,cards\n\
    h1,3栋,2026-01-01,,c1;c2\nh2,,2026-01-01,2026-12-31,c3\n";

fn households(store: &Connection) -> i64 {
    store.query_row("SELECT count(*) FROM household", [], |row| row.get(0)).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn check_config_names_every_mistake_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let bad = "\
        [http]\nlisten = \"localhost\"\nlistn = 1\n\n[influx]\nurl = \"http://u:hunter2@h\"\n\n\
        [mqtt]\nurl = \"https://u:hunter2@h\"\nclient_id = \"a b\"\nlisten = oops\n\n\
        [store]\nreaders = 99\ncache_mib = \"64\"\nurl = \"postgres://u:hunter2@h/d?sslmode=require\"\n\n[log]\nfilter = 3\n";
    std::fs::write(folder.path().join("bad.toml"), bad).unwrap();
    let environment = [
        ("FENLEI__HTTP", "127.0.0.1:80"),
        ("FENLEI__MQTT__URL", "hunter2"),
        ("FENLEI__PRIVACY__CARD_KEY_FILE", ""),
        ("FENLEI__QUARANTINE__MAX_PER_DEVICE", "many"),
    ];
    let output = fenlei(folder.path(), &["check-config", "bad.toml"], &environment);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(text(&output.stdout), "");
    insta::assert_snapshot!(text(&output.stderr), @r#"
    bad.toml:2: `http.listen` must be an IP address and a port, such as "127.0.0.1:8080" or "[::]:8080"
    bad.toml:3: `http.listn` is not a known key; [http] has: certificate, connections, connections_per_address, head_seconds, key, listen, requests_per_second, sign_in_failures_per_address, streams, streams_per_caller, tls_listen
    bad.toml:6: `influx.url` must be http://host:port or https://host:port, or empty to export nothing, without user and password: `influx.token` is for that
    bad.toml:9: `mqtt.url` must be mqtt://user:password@host:port, or mqtts:// with TLS, special characters of the password percent-encoded (# as %23)
    bad.toml:10: `mqtt.client_id` must be a text of 1 to 64 of A-Z a-z 0-9 _ -
    bad.toml:11: is not TOML here: string values must be quoted, expected literal string
    bad.toml:14: `store.readers` must be a whole number from 1 to 64
    bad.toml:15: `store.cache_mib` must be a whole number from 1 to 65536
    bad.toml:16: `store.url` must be postgres://user:password@host:port/database, several hosts as host1:port1,host2:port2, special characters of the password percent-encoded (# as %23), without `sslmode`, or with sslmode=disable: this build speaks to PostgreSQL without TLS only; over an open network put a tunnel between
    bad.toml:19: `log.filter` must be error, warn, info, debug or trace, or such levels by part, as in "info,fenlei::ingest=debug"
    environment variable FENLEI__HTTP: `http` is a section, not a key; [http] has: certificate, connections, connections_per_address, head_seconds, key, listen, requests_per_second, sign_in_failures_per_address, streams, streams_per_caller, tls_listen
    environment variable FENLEI__MQTT__URL: `mqtt.url` must be mqtt://user:password@host:port, or mqtts:// with TLS, special characters of the password percent-encoded (# as %23)
    environment variable FENLEI__PRIVACY__CARD_KEY_FILE: `privacy.card_key_file` must be the path of a file
    environment variable FENLEI__QUARANTINE__MAX_PER_DEVICE: `quarantine.max_per_device` must be a whole number from 1 to 1000000
    "#);
    // Every command refuses such settings, before it does anything.
    let output = fenlei(folder.path(), &["token", "add", "--role", "admin", "--config", "bad.toml"], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn check_config_says_when_all_is_good() {
    let folder = Folder::new();
    folder.write("good.toml", "[store]\nreaders = 2\n");
    assert_eq!(folder.done(&["check-config", "good.toml"]), "good.toml: good\n");
    let (code, said) = folder.refused(&["check-config", "absent.toml"]);
    assert_eq!((code, said.as_str()), (64, "absent.toml: cannot be read: No such file or directory (os error 2)\n"));
}

#[test]
fn a_token_is_printed_alone_and_opens_what_it_says_until_it_is_revoked() {
    let folder = Folder::new();
    let answer = folder.done(&["token", "add", "--organization", "jwh", "--role", "organization", "scheduler"]);
    let token = answer.strip_suffix('\n').unwrap();
    assert!(!token.contains(char::is_whitespace));
    let caller = tokens::caller(&folder.store(), token).unwrap().unwrap();
    assert_eq!(caller.organization.as_deref(), Some("jwh"));
    assert_eq!(caller.roles.into_iter().collect::<Vec<_>>(), [Role::Organization, Role::Scheduler]);
    let listed = folder.done(&["token", "list"]);
    assert!(listed.contains(&caller.who) && listed.contains("organization scheduler") && !listed.contains(token));
    assert_eq!(folder.done(&["token", "revoke", &caller.who]), "");
    assert_eq!(tokens::caller(&folder.store(), token).unwrap(), None);
    assert_eq!(folder.refused(&["token", "revoke", &caller.who]).0, 1);
    let noted = "SELECT count(*) FROM audit WHERE who = 'command line' AND action LIKE 'token.%' AND subject = ?1";
    let noted: i64 = folder.store().query_row(noted, [&caller.who], |row| row.get(0)).unwrap();
    assert_eq!(noted, 2, "made and revoked");
}

#[test]
fn mistakes_of_the_command_line_end_with_64_and_others_with_1() {
    let folder = Folder::at(Place::in_a_file());
    for arguments in [
        &["token", "add"][..],
        &["token", "add", "--role", "emperor"],
        &["nonsense"],
        &[],
        &["check-config", "a", "--config", "b"],
        &["device", "export", "--format", "emqx", "d"],
    ] {
        assert_eq!(folder.refused(arguments).0, 64, "{arguments:?}");
    }
    folder.write("elsewhere.toml", "[store]\nurl = \"sqlite:elsewhere.db\"\n");
    for arguments in [
        &["token", "add", "--role", "admin", "--organization", "nobody"][..],
        &["token", "list", "--config", "elsewhere.toml"],
        &["backup", "b.db", "--config", "elsewhere.toml"],
        &["import", "households", "--community", "nowhere", "absent.csv"],
    ] {
        let (code, said) = folder.refused(arguments);
        assert_eq!(code, 1, "{arguments:?}: {said}");
        assert!(said.starts_with("fenlei: ") && said.trim_end().lines().count() == 1, "{said}");
    }
    assert!(!folder.path("elsewhere.db").exists(), "a store was made where one was only asked for");
}

#[test]
fn a_backup_is_private_and_overwrites_nothing() {
    let folder = Folder::at(Place::in_a_file());
    let said = folder.done(&["backup", "copy.db"]);
    assert!(said.starts_with("copy.db: ") && said.contains("the card key is not in it"));
    assert_eq!(mode(&folder.path("copy.db")), 0o600);
    let before = std::fs::read(folder.path("copy.db")).unwrap();
    let (code, said) = folder.refused(&["backup", "copy.db"]);
    assert_eq!(code, 1);
    assert_eq!(said, "fenlei: copy.db is there already: choose another name, or remove it first\n");
    assert_eq!(std::fs::read(folder.path("copy.db")).unwrap(), before);
    // A copy is a store: it can be put back as it is.
    folder.write("copy.toml", "[store]\nurl = \"sqlite:copy.db\"\n");
    assert_eq!(folder.done(&["token", "list", "--config", "copy.toml"]).lines().count(), 1);
    let drafts = std::fs::read_dir(folder.path("")).unwrap();
    let drafts = drafts.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("draft"));
    assert_eq!(drafts.count(), 0);
}

#[test]
fn an_export_names_every_topic_of_a_device_and_keeps_its_secret() {
    let folder = Folder::new();
    let export = ["device", "export", "--format", "mosquitto", "broker"];
    let answer = folder.done(&export);
    let read = |name: &str| std::fs::read_to_string(folder.path("broker").join(name)).unwrap();
    let hash = |user: &str| {
        let passwd = read("passwd");
        let line = passwd.lines().find_map(|line| line.strip_prefix(&format!("{user}:")));
        line.unwrap().to_owned()
    };
    assert!(credentials::verify(&hash("fenlei"), answer.trim_end()));
    assert!(credentials::verify(&hash("bin-1"), &folder.secret));
    assert_eq!(read("passwd").lines().count(), 3);
    insta::assert_snapshot!(read("acl"), @r"
    user fenlei
    topic readwrite fenlei/v1/#

    user bin-1
    topic write fenlei/v1/north/bin/bin-1/event
    topic write fenlei/v1/north/bin/bin-1/state
    topic read fenlei/v1/north/bin/bin-1/command
    topic read fenlei/v1/north/bin/bin-1/config
    topic read fenlei/v1/north/bin/bin-1/receipt

    user bin-2
    topic write fenlei/v1/north/bin/bin-2/event
    topic write fenlei/v1/north/bin/bin-2/state
    topic read fenlei/v1/north/bin/bin-2/command
    topic read fenlei/v1/north/bin/bin-2/config
    topic read fenlei/v1/north/bin/bin-2/receipt
    ");
    assert_eq!([mode(&folder.path("broker")), mode(&folder.path("broker/passwd"))], [0o700, 0o600]);
    assert_eq!(mode(&folder.path("broker/acl")), 0o600);
    folder.write("password", "correct horse\n");
    let given = [&export[..], &["--backend-password-file", "password"]].concat();
    assert_eq!(folder.done(&given), "", "a password that is known already is printed nowhere");
    assert!(credentials::verify(&hash("fenlei"), "correct horse"));
    folder.write("password", "\n");
    assert_eq!(folder.refused(&given).0, 64);
    folder.write("named.toml", "[mqtt]\nclient_id = \"bin-2\"\n");
    let (code, said) = folder.refused(&[&export[..], &["--config", "named.toml"]].concat());
    assert!(code == 1 && said.contains("the device bin-2 has a name under which Fenlei itself logs in"), "{said}");
}
