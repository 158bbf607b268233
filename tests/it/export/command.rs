//! `fenlei export` and the settings it goes by.

use crate::support::folder::Folder;

const SETTINGS: &str =
    "[influx]\nurl = \"https://influx.example/base\"\norg = \"jwh\"\nbucket = \"fenlei\"\ntoken = \"hunter2\"\n";

fn listed(folder: &Folder, arguments: &[&str]) -> String {
    let said = folder.done(arguments);
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[test]
fn it_says_how_far_the_export_is_and_what_was_refused() {
    let folder = Folder::new();
    insta::assert_snapshot!(listed(&folder, &["export"]), @r"
    to         nowhere: `influx.url` is empty
    exported   0 of 0 events
    waiting    0
    rewriting  0 spans of deposits whose schedule changed
    refused    0
    ");
    let store = folder.store();
    store
        .execute_batch(
            r#"INSERT INTO boot (id, device, incarnation, boot, next, received) VALUES (1, 'bin-1', 1, 7, 4, 0);
               INSERT INTO ledger (id, boot, seq, time, lag, type, detail) VALUES
                 (1, 1, 1, 1764000000000, 125, 4, '{"open":true,"by":"staff"}'),
                 (2, 1, 2, 1764000001000, 125, 10, NULL), (3, 1, 3, 1764000002000, 125, 10, NULL);
               INSERT INTO ledger_block VALUES (1, 0, 1764000000000, 1764000002000);
               INSERT INTO follower VALUES ('influx', 2);
               INSERT INTO export_dead VALUES (1, 'HTTP 400: field type conflict', 1764000009000, 0);
               INSERT INTO export_retimed (site, first_time, before_time, done) VALUES (1, 0, 1, 0);"#,
        )
        .unwrap();
    folder.write("influx.toml", SETTINGS);
    insta::assert_snapshot!(listed(&folder, &["export", "--config", "influx.toml"]), @r"
    to         https://influx.example/base organization jwh bucket fenlei
    exported   2 of 3 events
    waiting    1, since 2025-11-24T16:00:02Z
    rewriting  1 spans of deposits whose schedule changed
    refused    1
      2025-11-24T16:00:09Z bin-1 boot 7 seq 1 door: HTTP 400: field type conflict
    ");
    assert_eq!(listed(&folder, &["export", "again"]), "1 refused events are tried again\n");
    let asked: i64 = store.query_row("SELECT sum(again) FROM export_dead", [], |row| row.get(0)).unwrap();
    assert_eq!(asked, 1);
    listed(&folder, &["export", "again", "--all"]);
    insta::assert_snapshot!(listed(&folder, &["export"]), @r"
    to         nowhere: `influx.url` is empty
    exported   0 of 3 events
    waiting    3, since 2025-11-24T16:00:00Z
    rewriting  0 spans of deposits whose schedule changed
    refused    0
    ");
}

#[test]
fn settings_that_cannot_work_are_named_without_the_token() {
    let folder = Folder::new();
    folder.write("good.toml", SETTINGS);
    assert_eq!(folder.done(&["check-config", "good.toml"]), "good.toml: good\n");
    folder.write("lacking.toml", "[influx]\nurl = \"http://127.0.0.1:8086\"\norg = \"jwh\"\n");
    folder.write(
        "bad.toml",
        "[influx]\nurl = \"http://u:hunter2@h\"\norg = \"a\\nb\"\nbucket = 3\ntoken = \"hunter2 \"\nbatch = 0\ntimeout_seconds = 601\n",
    );
    folder.write("worse.toml", "[influx]\nurl = \"influx:8086?token=hunter2\"\ntoken = 5\n");
    let said = ["lacking", "bad", "worse"].map(|name| {
        let output = folder.fenlei(&["check-config", &format!("{name}.toml")]);
        assert_eq!(output.status.code(), Some(64), "{name}");
        String::from_utf8(output.stderr).unwrap()
    });
    let said = said.concat();
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said, @r"
    lacking.toml:2: `influx.url` is set, so `influx.bucket` must be set too
    lacking.toml:2: `influx.url` is set, so `influx.token` must be set too
    bad.toml:2: `influx.url` must be http://host:port or https://host:port, or empty to export nothing, without user and password: `influx.token` is for that
    bad.toml:3: `influx.org` must be a text of up to 256 bytes
    bad.toml:4: `influx.bucket` must be a text of up to 256 bytes
    bad.toml:5: `influx.token` must be 1 to 512 visible ASCII characters, without blanks
    bad.toml:6: `influx.batch` must be a whole number from 1 to 50000
    bad.toml:7: `influx.timeout_seconds` must be a whole number from 1 to 600
    worse.toml:2: `influx.url` must be http://host:port or https://host:port, or empty to export nothing
    worse.toml:3: `influx.token` must be 1 to 512 visible ASCII characters, without blanks
    ");
}
