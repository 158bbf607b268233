//! TLS to an external broker. That of `rumqttc` itself brings a version of webpki with known flaws, so it connects without to
//! a port on loopback that this process alone listens on, and from there everything goes on by TLS.
//!
//! Whoever else on this machine connects to that port is where they could have connected to themselves: at the broker,
//! without a login.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// How long a connection and its handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a listener that cannot accept waits.
const BREATH: Duration = Duration::from_millis(100);

/// A port on loopback that leads to a broker by TLS, until it is dropped.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    _task: JoinSet<()>,
}

#[derive(Clone)]
struct Target {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
    /// Whether the last connection came to nothing, which is said once.
    failing: Arc<AtomicBool>,
}

impl Relay {
    /// Leads to the broker of this name or address, which must prove to be it by what `trusted` trusts.
    pub async fn start(host: &str, port: u16, trusted: ClientConfig) -> anyhow::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).context("the host of the broker has no name to be proven")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (connector, failing) = (TlsConnector::from(Arc::new(trusted)), Arc::default());
        let target = Target { host: host.to_owned(), port, name, connector, failing };
        let mut task = JoinSet::new();
        task.spawn(accept(listener, target));
        Ok(Self { address, _task: task })
    }
}

async fn accept(listener: TcpListener, target: Target) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) => {
                    let target = target.clone();
                    connections.spawn(async move {
                        if let Err(error) = target.relay(connection).await {
                            target.failed(&error);
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the way to the broker cannot be opened for now");
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

impl Target {
    fn failed(&self, error: &std::io::Error) {
        if self.failing.swap(true, Ordering::Relaxed) {
            tracing::debug!(host = self.host, port = self.port, %error, "TLS with the broker");
        } else {
            tracing::warn!(host = self.host, port = self.port, %error, "TLS with the broker; it is tried again");
        }
    }

    async fn relay(&self, mut near: TcpStream) -> std::io::Result<()> {
        let connect = async {
            let far = TcpStream::connect((self.host.as_str(), self.port)).await?;
            // What is small must not wait for company.
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            self.connector.connect(self.name.clone(), far).await
        };
        let mut far = tokio::time::timeout(PATIENCE, connect).await??;
        self.failing.store(false, Ordering::Relaxed);
        // However it ends, both ends see it.
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        Ok(())
    }
}
