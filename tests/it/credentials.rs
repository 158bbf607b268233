//! Secrets of devices beside Mosquitto's own tool.

use std::process::Command;

use fenlei::credentials::verify;

#[test]
fn what_mosquitto_hashes_we_verify() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let made =
        Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(&file).args(["bin-1", "a secret"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let line = std::fs::read_to_string(&file).unwrap();
    let (name, hash) = line.trim().split_once(':').unwrap();
    assert_eq!(name, "bin-1");
    assert!(hash.starts_with("$7$101$"));
    assert!(verify(hash, "a secret"));
    assert!(!verify(hash, "another"));
}
