//! Two PostgreSQL servers that stand for each other, as an operator runs them: a Patroni beside each, which starts it and
//! makes it the primary or the standby, and etcd, in which they agree who is what. A commit is answered when both have it.

use std::fs::File;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::server::{as_postgres, give_to_postgres, programs};
use crate::support::ports::free_port;

/// For a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// For how many seconds a primary that is not heard of is still the primary. One round of Patroni's and two attempts at
/// etcd must fit in, or a primary that is well gives up its place.
const UNHEARD: u32 = 8;
const ROUND: u32 = 1;
const ATTEMPT: u32 = 3;

pub struct Pair {
    folder: TempDir,
    etcd: Child,
    members: [Member; 2],
    /// The process that listens for the standby, while it is stopped.
    deaf: Option<u32>,
    client: Client,
}

/// A machine, so to speak.
struct Member {
    name: &'static str,
    sql: u16,
    /// Where Patroni answers what it is.
    rest: u16,
    patroni: Option<Child>,
}

impl Pair {
    /// Comes back when one is the primary and the other its synchronous standby.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        give_to_postgres(folder.path());
        let [clients, peers] = [(); 2].map(|()| free_port());
        let mut etcd = beside(&folder, "etcd", "etcd");
        let address = |port| format!("http://127.0.0.1:{port}");
        etcd.args(["--data-dir", "etcd", "--initial-cluster", &format!("default={}", address(peers))]);
        for (option, port) in [("client", clients), ("peer", peers)] {
            etcd.args([format!("--listen-{option}-urls"), address(port)]);
        }
        etcd.args(["--advertise-client-urls", &address(clients), "--initial-advertise-peer-urls", &address(peers)]);
        let etcd = etcd.spawn().expect("etcd is installed: tests/all installs it");
        let member = |name| Member { name, sql: free_port(), rest: free_port(), patroni: None };
        let client = Client::builder().no_proxy().timeout(PATIENCE / 10).build().unwrap();
        let mut pair = Self { folder, etcd, members: ["one", "two"].map(member), deaf: None, client };
        pair.until("etcd listens", async |_| TcpStream::connect(("127.0.0.1", clients)).is_ok()).await;
        for member in &pair.members {
            let settings = pair.settings(member, clients).to_string();
            std::fs::write(pair.folder.path().join(member.settings()), settings).unwrap();
        }
        pair.start_again();
        pair.whole().await;
        pair
    }

    /// What Patroni is told, as JSON: that is YAML too.
    fn settings(&self, member: &Member, etcd: u16) -> Value {
        let at = |port| format!("127.0.0.1:{port}");
        let place = |port| json!({"listen": at(port), "connect_address": at(port)});
        let mut postgresql = json!({
            "data_dir": self.data(member),
            "bin_dir": programs(),
            "pgpass": self.folder.path().join(format!("{}.pgpass", member.name)),
            "authentication": {"superuser": {"username": "fenlei"}, "replication": {"username": "replicator"}},
            "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
            "parameters": {"unix_socket_directories": ""},
        });
        postgresql.as_object_mut().unwrap().extend(place(member.sql).as_object().unwrap().clone());
        json!({
            "scope": "pair",
            "name": member.name,
            "restapi": place(member.rest),
            "etcd3": {"host": at(etcd)},
            "bootstrap": {
                "dcs": {
                    "ttl": UNHEARD,
                    "loop_wait": ROUND,
                    "retry_timeout": ATTEMPT,
                    // Strict: while there is no standby, a commit waits for one.
                    "synchronous_mode": true,
                    "synchronous_mode_strict": true,
                    "postgresql": {"use_pg_rewind": true},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}],
            },
            "postgresql": postgresql,
        })
    }

    fn data(&self, member: &Member) -> PathBuf {
        self.folder.path().join(member.name)
    }

    /// Where tests make their databases.
    pub fn url(&self) -> String {
        let [one, two] = self.members.each_ref().map(|member| member.sql);
        format!("postgres://fenlei@127.0.0.1:{one},127.0.0.1:{two}")
    }

    /// Starts whichever is down. Its Patroni finds out by itself what it is to be: the standby of one that took its place,
    /// after it has taken back, by `pg_rewind`, what it wrote and that one never had.
    pub fn start_again(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.patroni.is_none()) {
            let mut patroni = beside(&self.folder, "patroni", member.name);
            let patroni = patroni.arg(member.settings()).spawn().expect("Patroni is installed: tests/all installs it");
            member.patroni = Some(patroni);
        }
    }

    /// `kill -9` of everything of the primary at once, as if its machine had lost its power: of its Patroni, which would
    /// start the server again in its place, of the server, and of each of the server's processes, which would end in order.
    /// Only its connections end as no dead machine's do: the system closes them, so nobody waits to hear from it.
    pub async fn kill_primary(&mut self) {
        self.whole().await;
        let primary = self.is("primary").await.expect("it stays the primary");
        self.kill(primary);
    }

    /// The standby hears nothing any more, until the primary is killed: what that commits from now on, it alone has.
    pub async fn deafen_standby(&mut self) {
        self.whole().await;
        let primary = self.is("primary").await.expect("it stays the primary");
        let standby = self.server(&self.members[1 - primary]).expect("the standby runs");
        let listens = |process: &u32| command(*process).contains("walreceiver");
        self.deaf = family(standby).into_iter().find(listens);
        signal("-STOP", self.deaf);
        assert!(self.deaf.is_some(), "the standby listens");
    }

    fn kill(&mut self, member: usize) {
        let Some(mut patroni) = self.members[member].patroni.take() else { return };
        let server = self.server(&self.members[member]);
        signal("-9", family(patroni.id()).into_iter().chain(server.into_iter().flat_map(family)));
        patroni.wait().unwrap();
        // It ends before it looks at what the system still holds for it, and the next one finds nobody to ask.
        if self.deaf.is_some() {
            signal("-TERM", self.deaf);
            signal("-CONT", self.deaf.take());
        }
    }

    /// The server's first process, unless the file names one that ended, whose number may be another's now.
    fn server(&self, member: &Member) -> Option<u32> {
        let data = self.data(member);
        let process = std::fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()?;
        command(process).contains(data.to_str().unwrap()).then_some(process)
    }

    /// Comes back when the one that is left is the primary.
    pub async fn succeeded(&self) {
        let left = self.members.iter().position(|member| member.patroni.is_some());
        self.until("the other one becomes the primary", async |pair| pair.is("primary").await == left).await;
    }

    /// Comes back when one is the primary and may be killed: the other has everything and is allowed to take its place.
    pub async fn whole(&self) {
        let both = async |pair: &Self| pair.is("primary").await.is_some() && pair.is("synchronous").await.is_some();
        self.until("there is a primary with a synchronous standby", both).await;
    }

    /// The one whose Patroni says that it is this.
    async fn is(&self, role: &str) -> Option<usize> {
        for (place, member) in self.members.iter().enumerate() {
            let answer = self.client.get(format!("http://127.0.0.1:{}/{role}", member.rest)).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return Some(place);
            }
        }
        None
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let wait = async {
            while !holds(self).await {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "it does not come about that {what}: {}", self.logs());
    }

    /// The last of what each has said.
    fn logs(&self) -> String {
        let last = |name: &str| {
            let log = std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap();
            let lines: Vec<&str> = log.lines().collect();
            format!("\n{name}:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"))
        };
        ["etcd", "one", "two"].map(last).concat()
    }
}

impl Member {
    fn settings(&self) -> String {
        format!("{}.yml", self.name)
    }
}

/// A program in the folder, whose output goes there too.
fn beside(folder: &TempDir, program: &str, name: &str) -> Command {
    let log = File::options().create(true).append(true).open(folder.path().join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(program);
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    // Nothing that is set here for something else: etcd and Patroni take settings from their environment.
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
    as_postgres(&mut command);
    command
}

/// To all at once. Some may just have ended by themselves.
fn signal(name: &str, processes: impl IntoIterator<Item = u32>) {
    let processes = processes.into_iter().map(|process| process.to_string());
    Command::new("kill").arg(name).args(processes).stderr(Stdio::null()).status().unwrap();
}

/// What a process was started with, or calls itself.
fn command(process: u32) -> String {
    std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default()
}

/// A process, those that it started, those that they started, and so on.
fn family(process: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children = children.split_whitespace().flat_map(|child| family(child.parse().unwrap()));
    std::iter::once(process).chain(children).collect()
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.kill(0);
        self.kill(1);
        // One that has ended by itself is ended.
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
    }
}
