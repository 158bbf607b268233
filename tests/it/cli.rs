//! The commands, through the real program: what they print, how they end, and beside a busy backend.

mod accounts;
mod card_keys;
mod recount;
mod restore;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fenlei::card_key;
use fenlei::credentials;
use fenlei::domain::card::CardKey;
use fenlei::domain::inbound::Inbound;
use fenlei::domain::registry::{Organization, OrganizationKind, Role};
use fenlei::sheets::{Cell, Table, xlsx};
use fenlei::store::registry::{DeviceFields, SiteFields};
use fenlei::store::sql::Connection;
use fenlei::store::{self, Store, registry, tokens};
use fenlei_wire::vocabulary::DeviceKind;

use crate::support::place::Place;

/// A working folder with a store of one community, one site and the bin `bin-1`.
pub(crate) struct Folder {
    place: Place,
    pub(crate) secret: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self::at(Place::new())
    }

    pub(crate) fn at(place: Place) -> Self {
        let (secret, password) = credentials::generate().unwrap();
        let store = store::open_beside(place.url()).unwrap();
        let committee = Organization { id: "jwh".into(), name: "居委会".into(), kind: OrganizationKind::Committee };
        registry::put_organization(&store, &committee).unwrap();
        let zone = "Asia/Shanghai".parse().unwrap();
        registry::put_community(&store, "garden", "花园小区", "jwh", zone).unwrap();
        let site = SiteFields { id: "north", community: "garden", name: "北", zone, latitude: None, longitude: None };
        registry::put_site(&store, &registry::load(&store).unwrap(), &site).unwrap();
        for (id, password) in [("bin-1", password.as_str()), ("bin-2", &credentials::generate().unwrap().1)] {
            let device = DeviceFields { id, site: "north", kind: DeviceKind::Bin, name: None, streams: None, password };
            registry::put_device(&store, &registry::load(&store).unwrap(), &device).unwrap();
        }
        Self { place, secret }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn store(&self) -> Connection {
        store::open_beside(self.place.url()).unwrap()
    }

    pub(crate) fn fenlei(&self, arguments: &[&str]) -> Output {
        let environment = self.place.environment();
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fenlei(self.place.path(), arguments, &environment)
    }

    /// What a program must be told to find the store, if it would not by itself.
    pub(crate) fn environment(&self) -> Option<(&'static str, String)> {
        self.place.environment()
    }

    /// The same with its store in another place.
    pub(crate) fn moved(self, place: Place) -> Self {
        std::fs::copy(self.path("fenlei.card-key"), place.path().join("fenlei.card-key")).unwrap();
        Self { place, secret: self.secret }
    }

    /// Whether its store is a file, of which there are backups.
    pub(crate) fn is_file(&self) -> bool {
        self.place.is_file()
    }

    pub(crate) fn url(&self) -> store::StoreUrl {
        self.place.url()
    }

    /// Runs a command that is to succeed, and answers its standard output.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let output = self.fenlei(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that is to fail without an answer; gives its exit code and what it says.
    pub(crate) fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.fenlei(arguments);
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        (output.status.code().unwrap(), text(&output.stderr))
    }
}

fn fenlei(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fenlei"));
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("FENLEI__"));
    for name in ours {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).envs(environment.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
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

const CSV: &str = "household,building,enrolled_from,enrolled_until,cards\n\
    h1,3栋,2026-01-01,,c1;c2\nh2,,2026-01-01,2026-12-31,c3\n";

#[test]
fn an_import_is_made_as_a_whole_or_not_at_all() {
    let folder = Folder::new();
    folder.write("good.csv", CSV);
    folder.write("bad.csv", &format!("{CSV}h3,,2026-01-01,,c1\nH4,,2026-01-01,,c4\n"));
    let import =
        |file: &str, community: &str| ["import", "households", "--community", community, file].map(String::from);
    let run = |file, community| {
        let arguments = import(file, community);
        folder.refused(&arguments.each_ref().map(String::as_str))
    };
    let (code, said) = run("bad.csv", "garden");
    assert_eq!(code, 1);
    insta::assert_snapshot!(said, @r"
    bad.csv row 3: shares a card with row 1 on the same days
    bad.csv row 4: `household` must match [a-z0-9][a-z0-9_-]{0,47}
    fenlei: nothing was imported: mend what is named above (2) and repeat
    ");
    assert_eq!(households(&folder.store()), 0);
    assert!(run("good.csv", "nowhere").1.contains("there is no community nowhere"));
    let good = ["import", "households", "--community", "garden", "good.csv"];
    assert_eq!(folder.done(&good), "2 households created, 0 updated\n");
    assert_eq!(folder.done(&good), "0 households created, 2 updated\n");
    assert_eq!(households(&folder.store()), 2);
    assert_eq!(mode(&folder.path("fenlei.card-key")), 0o600);
    // Cards are kept under this installation's key, and under no other.
    let key = card_key::load_or_create(&folder.path("fenlei.card-key")).unwrap();
    let known = "SELECT count(*) FROM card WHERE hash = ?1";
    let count: i64 = folder.store().query_row(known, [key.hash("c1").0], |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    std::fs::rename(folder.path("fenlei.card-key"), folder.path("lost")).unwrap();
    assert!(run("good.csv", "garden").1.contains("put it back"));
}

#[test]
fn visits_are_imported_as_a_whole_too() {
    let folder = Folder::new();
    folder.write("households.csv", CSV);
    folder.done(&["import", "households", "--community", "garden", "households.csv"]);
    let good = "household,date,kind,outcome,claimed,tested\nh1,2026-01-20,survey,answered,true,false\n";
    folder.write("good.csv", good);
    folder.write("bad.csv", &format!("{good}h1,2026-01-21,survey,refused,true,\nh7,2026-01-21,visit,absent,,\n"));
    let run = |file: &'static str| ["import", "visits", "--community", "garden", file];
    let (code, said) = folder.refused(&run("bad.csv"));
    assert_eq!(code, 1);
    insta::assert_snapshot!(said, @r"
    bad.csv row 2: `claimed` and `tested` are answers: they go with the outcome `answered` only
    bad.csv row 3: no such household is in the community: import it first
    fenlei: nothing was imported: mend what is named above (2) and repeat
    ");
    assert_eq!(visits(&folder.store()), 0);
    for _ in 0..2 {
        assert_eq!(folder.done(&run("good.csv")), "1 visits recorded\n");
        assert_eq!(visits(&folder.store()), 1);
    }
}

#[test]
fn a_workbook_is_imported_as_csv_is() {
    let folder = Folder::new();
    let write = |name: &str, columns: &[&str], rows: &[&[&str]]| {
        let rows = rows.iter().map(|row| row.iter().map(|text| Cell::from(*text)).collect()).collect();
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let file = xlsx(&[Table { title: "t".to_owned(), columns, rows }], chrono::DateTime::default()).unwrap();
        std::fs::write(folder.path(name), file).unwrap();
    };
    write("households.xlsx", &["household", "enrolled_from"], &[&["h1", "2026-01-01"]]);
    let columns = ["household", "date", "kind", "outcome"];
    write("good.xlsx", &columns, &[&["h1", "2026-01-20", "visit", "absent"]]);
    write("bad.xlsx", &columns, &[&["h1", "2026-01-20", "visit", "absent"], &["h1", "2026-01-20", "call", "absent"]]);
    let run = |what: &'static str, file: &'static str| ["import", what, "--community", "garden", file];
    assert_eq!(folder.done(&run("households", "households.xlsx")), "1 households created, 0 updated\n");
    let (code, said) = folder.refused(&run("visits", "bad.xlsx"));
    assert_eq!((code, visits(&folder.store())), (1, 0));
    assert!(said.contains("bad.xlsx row 3: `kind` must be visit or survey"), "{said}");
    assert_eq!(folder.done(&run("visits", "good.xlsx")), "1 visits recorded\n");
}

fn visits(store: &Connection) -> i64 {
    store.query_row("SELECT count(*) FROM visit", [], |row| row.get(0)).unwrap()
}

fn households(store: &Connection) -> i64 {
    store.query_row("SELECT count(*) FROM household", [], |row| row.get(0)).unwrap()
}

/// What must agree at every moment: events in the ledger, and the same counted by the rollups.
fn counts(store: &Connection) -> (i64, i64) {
    let counts = "SELECT (SELECT count(*) FROM ledger),
        (SELECT coalesce(sum(in_window + makeup + off_hours), 0) FROM hour_count)";
    store.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_beside_a_busy_backend_without_an_error_on_either_side() {
    let folder = Arc::new(Folder::new());
    folder.write("households.csv", CSV);
    let store = Store::open(&store::Options::at(folder.url())).unwrap();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let key = card_key::load_or_create(&folder.path("fenlei.card-key")).unwrap();
    let device = tokio::spawn(keep_sending(store.clone(), key, Arc::clone(&stop), Arc::clone(&sent)));
    let commands = tokio::task::spawn_blocking({
        let (folder, sent) = (Arc::clone(&folder), Arc::clone(&sent));
        move || {
            let mut tokens = Vec::new();
            for round in 0..5 {
                let before = sent.load(Ordering::SeqCst);
                tokens.push(folder.done(&["token", "add", "--role", "admin"]));
                folder.done(&["import", "households", "--community", "garden", "households.csv"]);
                folder.done(&["token", "list"]);
                let least = sent.load(Ordering::SeqCst);
                if !folder.is_file() {
                    continue;
                }
                let name = format!("{round}.db");
                folder.done(&["backup", &name]);
                let after = sent.load(Ordering::SeqCst);
                assert!(before < least, "the backend was not busy");
                let backup = Connection::open_file(&folder.path(&name)).unwrap();
                let (ledger, rollups) = counts(&backup);
                assert_eq!(ledger, rollups, "the backup is of no one moment");
                // The last commit may be answered a moment after it is in the file.
                assert!((least as i64..=after as i64 + 1).contains(&ledger), "{least} {ledger} {after}");
                let check: String = backup.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
                assert_eq!(check, "ok");
                assert_eq!(households(&backup), 2);
            }
            tokens
        }
    });
    let tokens = commands.await.unwrap();
    stop.store(true, Ordering::SeqCst);
    device.await.unwrap();
    let last = sent.load(Ordering::SeqCst) as i64;
    let counted = store.read(|connection| Ok(counts(connection))).await.unwrap();
    assert_eq!(counted, (last, last));
    for token in tokens {
        assert!(tokens::caller(&folder.store(), token.trim()).unwrap().is_some());
    }
}

/// A bin that deposits as fast as the store takes it.
async fn keep_sending(store: Store, key: CardKey, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    let received = chrono::DateTime::parse_from_rfc3339("2026-11-20T08:20:00+08:00").unwrap().timestamp_millis();
    while !stop.load(Ordering::SeqCst) {
        let seq = sent.load(Ordering::SeqCst) + 1;
        let event = format!(
            r#"{{"boot":1,"seq":{seq},"time":"2026-11-20T08:15:30+08:00","type":"deposit","stream":"food","grams":900,"card":"c1"}}"#
        );
        let inbound = Inbound::read("fenlei/v1/north/bin/bin-1/event", event.as_bytes(), received, &key);
        store.commit(inbound).await.unwrap();
        sent.store(seq, Ordering::SeqCst);
    }
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
    let drafts = std::fs::read_dir(folder.place.path()).unwrap();
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
