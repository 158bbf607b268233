//! A PostgreSQL server of a test's own, which can be killed and started again.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::ports::free_port;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    process: Option<Child>,
    pub port: u16,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        give_to_postgres(folder.path());
        let mut server = Self { folder, programs: programs(), process: None, port: free_port() };
        let data = server.data();
        let mut init = server.command("initdb");
        init.arg("--pgdata").arg(data).args(["--username=fenlei", "--auth=trust", "--encoding=UTF8"]);
        let made = init.args(["--locale=C.UTF-8", "--no-sync"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.start_again();
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        as_postgres(&mut command);
        command
    }

    /// Comes back when it accepts connections. What was committed before it was killed is there.
    pub fn start_again(&mut self) {
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data());
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", &format!("port={}", self.port)] {
            postgres.args(["-c", setting]);
        }
        let begun = Instant::now();
        // The processes of one that was killed end a moment later, and hold what it held until then.
        while self.process.is_none() {
            let mut process = postgres.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            while process.try_wait().unwrap().is_none() {
                if self.accepts() {
                    self.process = Some(process);
                    return;
                }
                std::thread::sleep(LOOK_AGAIN);
            }
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn accepts(&self) -> bool {
        let mut ready = self.command("pg_isready");
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        ready.status().unwrap().success()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Where tests make their databases, as `FENLEI_TEST_STORE` would say it.
    pub fn url(&self) -> String {
        format!("postgres://fenlei@127.0.0.1:{}", self.port)
    }

    /// The same, behind a host that nobody is at.
    pub fn url_behind_nobody(&self) -> String {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        format!("postgres://fenlei@127.0.0.1:{nobody},127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// Where the programs of the newest version here are.
pub fn programs() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed: tests/all installs it");
    installed.map(|entry| entry.unwrap().path().join("bin")).max().expect("a version of PostgreSQL")
}

/// The server refuses to run as root.
pub fn as_postgres(command: &mut Command) {
    if is_root() {
        let (user, group) = of_postgres();
        command.uid(user).gid(group);
    }
}

/// For what [`as_postgres`] is to write.
pub fn give_to_postgres(folder: &Path) {
    if is_root() {
        let (user, group) = of_postgres();
        std::os::unix::fs::chown(folder, Some(user), Some(group)).unwrap();
    }
}

fn is_root() -> bool {
    // The owner of one's own process.
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// The user and the group that Debian's package makes.
fn of_postgres() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres");
    let mut fields = user.split(':').skip(2).map(|field| field.parse().unwrap());
    (fields.next().unwrap(), fields.next().unwrap())
}
