//! Mosquitto as a process of its own: what the embedded broker and the way to an external one stand beside.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

pub(super) struct Mosquitto {
    process: Child,
    pub(super) port: u16,
}

impl Mosquitto {
    /// With a configuration in `folder` that ends with the lines `access`: who may log in.
    pub(super) fn start(folder: &Path, access: &str) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = folder.join("mosquitto.conf");
        // Started by root it would go on as a user who cannot enter this folder.
        std::fs::write(
            &configuration,
            format!(
                "listener {port} 127.0.0.1\nuser root\npersistence false\nmax_queued_messages 0\n\
                 max_inflight_messages 1000\nset_tcp_nodelay true\nlog_type error\n{access}"
            ),
        )?;
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"].map(PathBuf::from);
        let program = program.into_iter().find(|path| path.exists()).unwrap_or_else(|| "mosquitto".into());
        let process = Command::new(program)
            .arg("-c")
            .arg(&configuration)
            .stderr(Stdio::null())
            .spawn()
            .context("mosquitto: install the package mosquitto")?;
        let broker = Self { process, port };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(broker);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        anyhow::bail!("mosquitto does not listen on 127.0.0.1:{port}")
    }

    pub(super) fn process(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It holds nothing but the bench's own devices and queue.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
