//! What a newcomer does in the first minute, with the real programs: starts the demonstration, asks for the figures with
//! the line it prints, makes a deposit with the other, asks again. And the same devices against a backend of one's own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A program that is killed if the test fails before it ends.
struct Program {
    process: Child,
    output: BufReader<ChildStdout>,
    said: String,
}

impl Program {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fenlei"));
        let settings = [("FENLEI__HTTP__LISTEN", "127.0.0.1:0"), ("FENLEI__MQTT__LISTEN", "127.0.0.1:0")];
        command.current_dir(folder).args(arguments).envs(settings);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output, said: String::new() }
    }

    /// The next line that begins so. Comes to an end with the program, which `--for` ends in any case.
    fn line(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "no line begins with {beginning:?}:\n{}",
                self.said
            );
            self.said.push_str(&line);
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    fn interrupt(mut self) -> Option<i32> {
        let killed = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn shell(line: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
    assert!(output.status.success(), "{line}{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_printed_lines_show_the_figures_and_move_them() {
    let parent = tempfile::tempdir().unwrap();
    let mut demo = Program::start(parent.path(), &["demo", "--dir", "fresh", "--for", "120"]);
    let ask = demo.line("curl ");
    let deposit = demo.line("mosquitto_pub ");
    demo.line("History stored: ");
    let period = || {
        let figures: Value = serde_json::from_str(&shell(&ask)).unwrap();
        figures["periods"][0].clone()
    };
    let before = period();
    assert_eq!(before["households"], 400);
    let rate = before["participation_rate"].as_f64().unwrap();
    assert!((0.6..0.8).contains(&rate), "{before}");
    assert!(before["windows"]["observed"].as_u64().unwrap() > 50, "{before}");

    // A PUBACK of the embedded broker means stored: there is nothing to wait for.
    shell(&deposit);
    let participating = |period: &Value| period["participating"].as_u64().unwrap();
    let after = period();
    assert_eq!(participating(&after), participating(&before) + 1, "{before} {after}");
    assert_eq!(demo.interrupt(), Some(0));
    assert!(parent.path().join("fresh/fenlei.db").exists(), "everything is in the folder");
}

#[test]
fn an_own_backend_receipts_every_event_of_the_simulated_devices() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fenlei"));
        let output = command.current_dir(folder.path()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told, error) = run(&["simulate", "--prepare", "devices.csv"]);
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "18 devices registered; their secrets are in devices.csv\n"),
        "{error}"
    );
    let serve = Served::start(folder.path());
    let (code, told, error) = run(&["simulate", "--devices", "devices.csv", "--days", "3", "--broker", &serve.broker]);
    assert_eq!(code, Some(0), "{told}{error}");
    let accepted: u64 = told.split(' ').next().unwrap().parse().unwrap();
    assert!(accepted > 1_000, "{told}");
    assert_eq!(told, format!("{accepted} events accepted, {accepted} receipted, 0 waiting\n"));
    let store = fenlei::store::connection::open_reader(folder.path().join("fenlei.db")).unwrap();
    let stored: i64 = store.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap();
    assert_eq!(stored.unsigned_abs(), accepted);

    let (code, told, error) = run(&["simulate", "--devices", "none.csv"]);
    assert_eq!((code, told.as_str()), (Some(1), ""));
    assert!(error.contains("none.csv"), "{error}");
}

/// `fenlei serve` on ports of its own.
struct Served {
    process: Child,
    broker: String,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fenlei"));
        let listen = format!("127.0.0.1:{port}");
        let settings = [("FENLEI__HTTP__LISTEN", "127.0.0.1:0"), ("FENLEI__MQTT__LISTEN", &listen)];
        let process = command.current_dir(folder).arg("serve").envs(settings).stderr(Stdio::null()).spawn().unwrap();
        // Devices try again by themselves until it listens.
        Self { process, broker: format!("mqtt://{listen}") }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
