//! One connection to the broker: packets as `rumqttc` reads and writes them.
//!
//! Its event loop is not used here: it takes an acknowledgement at a time, writes each by itself, and reads on while they
//! wait, so that what is under way has no bound.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use rumqttc::v5::mqttbytes::v5::{Codec, Connect, ConnectProperties, ConnectReturnCode, Login, Packet};
use rumqttc::v5::mqttbytes::{Error, v5};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::super::MAX_PACKET;
use super::{KEEP_ALIVE, Options};

/// How long the broker may take to answer a connection, and to take what is written.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes read at once.
const READ: usize = 64 * 1_024;

/// What comes.
pub(super) struct Incoming(FramedRead<OwnedReadHalf, Codec>);

/// What goes: when it is flushed, or is some KiB.
pub(super) struct Outgoing(FramedWrite<OwnedWriteHalf, Codec>);

/// How a session is asked for.
pub(super) struct Session {
    /// Publishes the broker may have sent without our acknowledgement.
    pub window: u16,
    /// Whether it outlives the connection.
    pub lasting: bool,
}

/// Connects. Answers also how long the broker wants to wait at most for a word of ours.
pub(super) async fn connect(options: &Options, session: Session) -> Result<(Incoming, Outgoing, Duration), String> {
    let connecting = async {
        let stream = TcpStream::connect(format!("{}:{}", options.host, options.port)).await?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    };
    let unanswered = |_| "the broker does not answer".to_owned();
    let stream = timeout(PATIENCE, connecting).await.map_err(unanswered)?.map_err(|error| error.to_string())?;
    let (reading, writing) = stream.into_split();
    let codec = Codec { max_incoming_size: Some(MAX_PACKET), max_outgoing_size: None };
    let mut incoming = Incoming(FramedRead::with_capacity(reading, codec.clone(), READ));
    let mut outgoing = Outgoing(FramedWrite::new(writing, codec));

    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(if session.lasting { u32::MAX } else { 0 });
    properties.receive_maximum = Some(session.window);
    properties.max_packet_size = Some(MAX_PACKET);
    let connect = Connect {
        keep_alive: u16::try_from(KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX),
        client_id: options.client_id.clone(),
        clean_start: !session.lasting,
        properties: Some(properties),
    };
    let login = options.credentials.clone().map(|(username, password)| Login { username, password });
    outgoing.put(Packet::Connect(connect, None, login)).await?;
    outgoing.flush().await?;
    match timeout(PATIENCE, incoming.next()).await.map_err(unanswered)?? {
        Packet::ConnAck(v5::ConnAck { code: ConnectReturnCode::Success, properties, .. }) => {
            let wanted = properties.and_then(|properties| properties.server_keep_alive);
            Ok((incoming, outgoing, wanted.map_or(KEEP_ALIVE, |seconds| Duration::from_secs(seconds.max(1).into()))))
        }
        Packet::ConnAck(refusal) => Err(format!("the broker refuses the connection: {:?}", refusal.code)),
        _ => Err("the broker does not answer as MQTT 5 says".to_owned()),
    }
}

impl Incoming {
    /// The next packet. Whoever no longer waits for it misses nothing: it comes the next time.
    pub(super) async fn next(&mut self) -> Result<Packet, String> {
        match self.0.next().await {
            Some(packet) => packet.map_err(describe),
            None => Err("the broker closed the connection".to_owned()),
        }
    }
}

impl Outgoing {
    pub(super) async fn put(&mut self, packet: Packet) -> Result<(), String> {
        taken(self.0.feed(packet)).await
    }

    pub(super) async fn flush(&mut self) -> Result<(), String> {
        taken(self.0.flush()).await
    }
}

async fn taken(writing: impl Future<Output = Result<(), Error>>) -> Result<(), String> {
    let taken = timeout(PATIENCE, writing).await.map_err(|_| "the broker takes nothing".to_owned())?;
    taken.map_err(describe)
}

fn describe(error: Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        error => format!("what the broker sends cannot be read: {error}"),
    }
}
