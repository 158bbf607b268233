//! `fenlei serve` as a process of its own: what it takes to start; and how much memory a process holds.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hyper::header;

use super::client::Client;
use crate::clock::SharedClock;
use crate::domain::registry::Role;
use crate::store::{self, tokens};

/// How long a backend may take to be ready before the bench gives it up.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Backend {
    process: Child,
    /// Where its broker takes devices.
    pub mqtt: SocketAddr,
    /// Sees everything.
    pub client: Client,
    /// From the start of the process until `/readyz` answered 200.
    pub ready_after: Duration,
}

impl Backend {
    /// Runs on `bench.db` in `folder`, which must be there.
    pub async fn start(folder: &Path, clock: &SharedClock) -> anyhow::Result<Self> {
        let token = {
            let connection = store::open_beside(folder.join("bench.db"))?;
            tokens::add(&connection, None, &BTreeSet::from([Role::Admin]), clock.now().timestamp_millis())?
        };
        let (http, mqtt) = (free_port()?, free_port()?);
        let client = Client::new(format!("http://{http}"), header::AUTHORIZATION, format!("Bearer {token}"));
        let begun = Instant::now();
        let mut process = Command::new(std::env::current_exe()?)
            .arg("serve")
            .current_dir(folder)
            .env("FENLEI__STORE__URL", "sqlite:bench.db")
            .env("FENLEI__HTTP__LISTEN", http.to_string())
            .env("FENLEI__MQTT__LISTEN", mqtt.to_string())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("serve.log"))?)
            .spawn()
            .context("`fenlei serve` cannot be started")?;
        while client.get("/readyz").await.is_err() {
            ensure!(begun.elapsed() < PATIENCE, "`fenlei serve` is not ready after {} s", PATIENCE.as_secs());
            if let Some(status) = process.try_wait()? {
                let log = std::fs::read_to_string(folder.join("serve.log"))?;
                anyhow::bail!("`fenlei serve` ended with {status}: {log}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(Self { process, mqtt, client, ready_after: begun.elapsed() })
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Ends it and waits until it is gone.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        // Whatever it had confirmed is on the disk: it may go at once.
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end.
        let _ = self.end();
    }
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// Where the system does not tell, which is anywhere but on Linux.
pub fn resident(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).context("resident memory")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()).context("resident memory")?.parse()?;
    Ok(kib * 1024)
}

/// A loopback address that nothing listens on.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
