//! A listener: takes a connection where there is a place for it, and hands it over once it speaks as it should.

use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::slots::{Place, Slots};
use super::tls::Tls;
use super::{names, network, refused};

/// How long a listener that cannot accept waits: it lacks files or memory, and asking at once would use up the rest.
const BREATH: Duration = Duration::from_millis(100);
/// How many who are turned away are told so at once, and how long each has to hear it.
const FAREWELLS: usize = 64;
const FAREWELL: Duration = Duration::from_secs(1);

/// A place to connect to.
#[derive(Debug)]
pub struct Listener {
    /// As metrics have it.
    name: &'static str,
    socket: TcpListener,
    tls: Option<Tls>,
    slots: Slots<IpAddr>,
    /// How long a handshake may take.
    patience: Duration,
    /// What is sent to whom there is no place for, where there is no TLS.
    farewell: Arc<[u8]>,
    farewells: Arc<Semaphore>,
}

/// Somebody who connected.
#[derive(Debug)]
pub struct Guest {
    pub stream: Stream,
    pub peer: SocketAddr,
    /// Of the listener.
    pub entrance: &'static str,
    /// Whom its certificate names, if it showed one.
    pub names: Option<Vec<String>>,
    /// Left when this is dropped.
    pub place: Place<IpAddr>,
}

/// A connection, by TLS or without.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    Sealed(Box<TlsStream<TcpStream>>),
}

impl Listener {
    /// Listens without TLS.
    pub async fn bind(
        name: &'static str,
        address: SocketAddr,
        slots: Slots<IpAddr>,
        patience: Duration,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let farewells = Arc::new(Semaphore::new(FAREWELLS));
        Ok(Self { name, socket, tls: None, slots, patience, farewell: Arc::default(), farewells })
    }

    /// With TLS.
    pub fn sealed(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Tells so whom there is no place for.
    pub fn with_farewell(self, farewell: Arc<[u8]>) -> Self {
        Self { farewell, ..self }
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Hands everybody over until `stop`, and then waits until all have gone.
    pub async fn run<F>(self, stop: CancellationToken, serve: impl Fn(Guest) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let (open, mut closed) = mpsc::channel::<()>(1);
        let watching = async {
            match self.tls.clone() {
                Some(tls) => tls.watch().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.accept(&open, serve) => {}
            () = watching => {}
            () = stop.cancelled() => {}
        }
        drop((self.socket, open));
        closed.recv().await;
    }

    async fn accept<F>(&self, open: &mpsc::Sender<()>, serve: impl Fn(Guest) -> F + Clone + Send + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let mut failing = false;
        loop {
            let (connection, peer) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(entrance = self.name, %error, "connections cannot be accepted for now");
                    }
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            failing = false;
            let place = match self.slots.take(network(peer.ip())) {
                Ok(place) => place,
                Err(full) => {
                    refused(self.name, full.reason());
                    self.turn_away(connection);
                    continue;
                }
            };
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
            let (name, tls, patience) = (self.name, self.tls.as_ref().map(Tls::config), self.patience);
            let (serve, open) = (serve.clone(), open.clone());
            tokio::spawn(async move {
                let stream = match tls {
                    None => Stream::Plain(connection),
                    Some(config) => {
                        match tokio::time::timeout(patience, TlsAcceptor::from(config).accept(connection)).await {
                            Ok(Ok(sealed)) => Stream::Sealed(Box::new(sealed)),
                            Ok(Err(error)) => {
                                tracing::debug!(entrance = name, %peer, %error, "no TLS came about");
                                return refused(name, "handshake");
                            }
                            Err(_) => return refused(name, "slow"),
                        }
                    }
                };
                let names = stream.names();
                serve(Guest { stream, peer, entrance: name, names, place }).await;
                drop(open);
            });
        }
    }

    /// Says why, if it can be said, and hangs up. Who hangs up before it has read what was sent is not heard.
    fn turn_away(&self, connection: TcpStream) {
        let Ok(turn) = Arc::clone(&self.farewells).try_acquire_owned() else { return };
        let farewell = Arc::clone(&self.farewell);
        if self.tls.is_some() || farewell.is_empty() {
            return;
        }
        tokio::spawn(async move {
            let told = async {
                let mut connection = connection.into_std()?;
                connection.write_all(&farewell)?;
                connection.shutdown(std::net::Shutdown::Write)?;
                let (mut connection, mut heard) = (TcpStream::from_std(connection)?, [0; 1024]);
                while connection.read(&mut heard).await? > 0 {}
                io::Result::Ok(())
            };
            // Whether it was heard is up to whom it was told.
            let _ = tokio::time::timeout(FAREWELL, told).await;
            drop(turn);
        });
    }
}

impl Stream {
    fn names(&self) -> Option<Vec<String>> {
        let Self::Sealed(sealed) = self else { return None };
        sealed.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(names::of)
    }

    pub fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Sealed(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, buffer),
            Self::Sealed(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Self::Sealed(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Sealed(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Sealed(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Sealed(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
