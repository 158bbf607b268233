//! `fenlei account`

use std::io::Write;
use std::process::{Command, Stdio};

use fenlei::passwords;
use fenlei::store::accounts;

use crate::support::folder::{Folder, text};

#[test]
fn an_account_opens_the_pages_with_the_password_from_standard_input() {
    let folder = Folder::new();
    let account = |arguments: &[&str], password: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fenlei"));
        let command = command.current_dir(folder.path("")).arg("account").args(arguments).envs(folder.environment());
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        (output.status.code(), text(&output.stderr))
    };
    let opens = |password: &str| {
        let found = accounts::find(&folder.store(), "王丽").unwrap();
        found.is_some_and(|(_, stored)| passwords::verify(Some(&stored), password))
    };
    let add = ["add", "王丽", "--organization", "jwh", "--role", "organization", "scheduler"];
    assert_eq!(account(&add, "too short\n"), (Some(1), "fenlei: a password has 10 to 256 characters\n".into()));
    assert_eq!(account(&add, "correct horse battery\n"), (Some(0), String::new()));
    assert!(opens("correct horse battery") && !opens("correct horse batter"));
    assert_eq!(account(&add, "correct horse battery\n").0, Some(1), "the name is taken");
    let listed = folder.done(&["account", "list"]);
    assert!(listed.contains("王丽") && listed.contains("jwh") && listed.contains("organization scheduler"), "{listed}");
    assert_eq!(account(&["password", "王丽"], "another horse battery\n").0, Some(0));
    assert!(opens("another horse battery") && !opens("correct horse battery"));
    assert_eq!(account(&["disable", "王丽"], "").0, Some(0));
    assert!(!opens("another horse battery"));
    assert_eq!(account(&["enable", "王丽"], "").0, Some(0));
    assert!(opens("another horse battery"));
    assert_eq!(account(&["disable", "nobody"], "").0, Some(1));
    assert_eq!(account(&["add", " ", "--role", "admin"], "correct horse battery\n").0, Some(64));
    assert_eq!(account(&["add", "li", "--organization", "none", "--role", "admin"], "").0, Some(1));
}
