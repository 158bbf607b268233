//! A network that can be spoilt: what connects to it on loopback reaches its target through it, as the weather is.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToBroker,
    ToClient,
}

/// What passes, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Weather {
    /// How long each part of it takes, towards the broker and towards the client.
    pub delay: [Duration; 2],
    /// Whatever passes is torn into pieces of so many bytes.
    pub pieces: Option<RangeInclusive<usize>>,
    /// The broker's acknowledgements never arrive; everything else does.
    pub acks_lost: bool,
    /// Nothing arrives this way, and nobody is told.
    pub dead: Option<Way>,
    /// Whoever connects is cut off at once.
    pub refused: bool,
}

/// What it has done.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub cut: AtomicU64,
    pub acks: AtomicU64,
    /// Bytes that never arrived.
    pub swallowed: AtomicU64,
    /// Pieces that something was torn into.
    pub pieces: AtomicU64,
    pub refused: AtomicU64,
}

pub(crate) struct Proxy {
    pub port: u16,
    pub counts: Arc<Counts>,
    weather: watch::Sender<Weather>,
    cut: watch::Sender<u64>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Leads to a port of loopback.
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (weather, fair) = watch::channel(Weather::default());
        let (cut, uncut) = watch::channel(0);
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        let accepting = tokio::spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                while lines.try_join_next().is_some() {}
                if fair.borrow().refused {
                    counted.refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                // While the target is being started again nobody answers there either.
                let Ok(broker) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
                let line = Line { weather: fair.clone(), cut: uncut.clone(), counts: Arc::clone(&counted) };
                lines.spawn(line.carry(client, broker));
            }
        });
        Self { port, counts, weather, cut, accepting: accepting.abort_handle() }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Ends every connection, wherever in a packet it is.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection through it.
struct Line {
    weather: watch::Receiver<Weather>,
    cut: watch::Receiver<u64>,
    counts: Arc<Counts>,
}

impl Line {
    async fn carry(self, client: TcpStream, broker: TcpStream) {
        for end in [&client, &broker] {
            // What is torn is to arrive torn.
            end.set_nodelay(true).unwrap();
        }
        let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
        let mut cut = self.cut.clone();
        cut.borrow_and_update();
        tokio::select! {
            () = self.pass(Way::ToBroker, from_client, to_broker) => {}
            () = self.pass(Way::ToClient, from_broker, to_client) => {}
            _ = cut.changed() => { self.counts.cut.fetch_add(1, Ordering::Relaxed); }
        }
    }

    /// Passes everything on until one of the ends closes.
    async fn pass(&self, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut buffer, mut packets, mut random) = (vec![0; 16 * 1024], Packets::default(), Rng::new());
        loop {
            let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
            let weather = self.weather.borrow().clone();
            let mut bytes = buffer[..read].to_vec();
            if way == Way::ToClient {
                // Cut into packets all the time, so that where one begins is known when acknowledgements are to go.
                let before = packets.acks;
                bytes = packets.take(&bytes, weather.acks_lost);
                self.counts.acks.fetch_add(packets.acks - before, Ordering::Relaxed);
            }
            tokio::time::sleep(weather.delay[way as usize]).await;
            if weather.dead == Some(way) {
                self.counts.swallowed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                continue;
            }
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let size = weather.pieces.clone().map_or(rest.len(), |pieces| random.usize(pieces).min(rest.len()));
                let (piece, after) = rest.split_at(size);
                if to.write_all(piece).await.is_err() {
                    return;
                }
                if weather.pieces.is_some() {
                    self.counts.pieces.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
                rest = after;
            }
        }
    }
}

/// MQTT as a broker sends it, cut into its packets.
#[derive(Default)]
struct Packets {
    begun: Vec<u8>,
    /// Acknowledgements that were taken out.
    acks: u64,
}

impl Packets {
    /// The packets that are whole by now, without the PUBACKs among them if they are to go.
    fn take(&mut self, bytes: &[u8], without_acks: bool) -> Vec<u8> {
        const PUBACK: u8 = 4;
        self.begun.extend_from_slice(bytes);
        let mut whole = Vec::new();
        while let Some(length) = packet(&self.begun) {
            let packet: Vec<_> = self.begun.drain(..length).collect();
            if without_acks && packet[0] >> 4 == PUBACK {
                self.acks += 1;
            } else {
                whole.extend(packet);
            }
        }
        whole
    }
}

/// The length of the packet in front, if it is whole.
fn packet(bytes: &[u8]) -> Option<usize> {
    let mut remaining = 0;
    for (place, byte) in bytes.iter().skip(1).take(4).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let length = 2 + place + remaining;
            return (bytes.len() >= length).then_some(length);
        }
    }
    None
}

#[test]
fn acknowledgements_are_told_from_all_else_wherever_the_bytes_are_torn() {
    let (publish, ack) = ([&[0x32, 0x83, 0x01][..], &[7; 131]].concat(), [0x40, 0x02, 0x00, 0x01]);
    let sent = [&publish[..], &ack, &ack, &publish].concat();
    for piece in 1..sent.len() {
        let mut packets = Packets::default();
        let passed: Vec<_> = sent.chunks(piece).flat_map(|bytes| packets.take(bytes, true)).collect();
        assert_eq!((passed, packets.acks), (publish.repeat(2), 2), "in pieces of {piece}");
    }
    assert_eq!(Packets::default().take(&sent, false), sent);
}
