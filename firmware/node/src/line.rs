//! The line to the broker: TCP, with the feature `tls` TLS on it, and MQTT 5 for as long as they hold. Each connection begins
//! afresh: what must not be lost is with the device, not with the line.

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_time::{Duration, with_timeout};
use fenlei_wire::limits::MAX_CONFIG_BYTES;
use fenlei_wire::vocabulary::Channel;
use heapless::Deque;
use minimq::{
    Buffers, ConfigBuilder, Connection, Error, InboundPublish, Io, Op, PubError, Publication, QoS, Session,
    TopicFilter, Will,
};

use crate::device::{Device, Next, SCRATCH};
use crate::say;
use crate::settings::Topic;
#[cfg(feature = "tls")]
use crate::tls;

/// Longest packet that comes: a config with all that MQTT puts before it.
pub const INBOUND: usize = MAX_CONFIG_BYTES + 256;
/// Publishes that wait for the broker, and what it takes to write them.
const OUTBOUND: usize = 2560;
const RECEIVED: usize = 1024;
const SENT: usize = 1536;
/// How long a broker may take for one thing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may say nothing.
const KEEP_ALIVE: u16 = 20;
const HEARD: [Channel; 3] = [Channel::Receipt, Channel::Command, Channel::Config];

/// What a line needs room for.
pub struct Room {
    /// For a packet that comes.
    pub inbound: [u8; INBOUND],
    outbound: [u8; OUTBOUND],
    scratch: [u8; SCRATCH],
    receive: [u8; RECEIVED],
    send: [u8; SENT],
    #[cfg(feature = "tls")]
    sealed: tls::Room,
}

/// A line that holds is not over.
pub(crate) type Broken = Result<core::convert::Infallible, &'static str>;

impl Room {
    /// Empty room.
    pub const fn new() -> Self {
        Self {
            inbound: [0; INBOUND],
            outbound: [0; OUTBOUND],
            scratch: [0; SCRATCH],
            receive: [0; RECEIVED],
            send: [0; SENT],
            #[cfg(feature = "tls")]
            sealed: tls::Room::new(),
        }
    }
}

/// Keeps a line as long as there is one, and tries again when the device says so.
pub async fn keep(device: &mut Device, stack: Stack<'static>, room: &mut Room) -> ! {
    device.recall(&mut room.inbound);
    loop {
        match device.act(&mut room.scratch) {
            Next::Connect => {
                let Err(why) = connect(device, stack, room).await;
                say!("line: {why}");
                device.connected(false);
            }
            Next::Publish { .. } | Next::Wait => device.attend().await,
        }
    }
}

/// A line from its beginning to its end, and why it ended.
async fn connect(device: &mut Device, stack: Stack<'static>, room: &mut Room) -> Broken {
    let mut socket = TcpSocket::new(stack, &mut room.receive, &mut room.send);
    socket.set_timeout(Some(PATIENCE * 2));
    let broker = device.settings.broker;
    let reached = device.meanwhile(with_timeout(PATIENCE, socket.connect(broker))).await;
    reached.map_err(|_| "the broker does not answer")?.map_err(|_| "the broker is not reached")?;

    let (packets, scratch) = (Buffers::new(&mut room.inbound, &mut room.outbound), &mut room.scratch);
    #[cfg(feature = "tls")]
    {
        let socket = core::cell::RefCell::new(socket);
        let opened = tls::open(device.settings, &socket, &mut room.sealed);
        let opened = device.meanwhile(with_timeout(PATIENCE, opened)).await;
        let mut opened = opened.map_err(|_| "the broker does not shake hands")??;
        let plain = tls::Plain::new();
        match select(opened.carry(&plain), greet(device, plain.line(), packets, scratch)).await {
            Either::First(broken) | Either::Second(broken) => broken,
        }
    }
    #[cfg(not(feature = "tls"))]
    greet(device, socket, packets, scratch).await
}

/// Logs in, subscribes, and talks.
async fn greet<IO: Io>(device: &mut Device, line: IO, packets: Buffers<'_>, scratch: &mut [u8]) -> Broken {
    let settings = device.settings;
    let (will, will_topic) = (device.will(), settings.topic(Channel::State));
    let will = Will::new(&will_topic, &will, &[]).map_err(|_| "the will is too long")?;
    let config = ConfigBuilder::new(packets)
        .client_id(&settings.device)
        .and_then(|config| config.auth(&settings.device, settings.secret.as_bytes()))
        .and_then(|config| config.will(will.retained().qos(QoS::AtLeastOnce)))
        .map_err(|_| "the settings do not fit")?;
    let mut session = Session::new(config.keepalive_interval(KEEP_ALIVE));
    let greeted = device.meanwhile(with_timeout(PATIENCE, session.connect(line))).await;
    let mut connection = greeted.map_err(|_| "the broker does not greet")?.map_err(|_| "the broker refuses")?;

    let topics = HEARD.map(|channel| settings.topic(channel));
    let filters = topics.each_ref().map(|topic| TopicFilter::new(topic));
    let op = connection.subscribe(&filters, &[]).await.map_err(|_| "the broker hears no subscription")?;
    while connection.is_pending(&op) {
        let heard = device.meanwhile(with_timeout(PATIENCE, connection.poll())).await;
        let message = heard.map_err(|_| "the broker grants no subscription")?.map_err(|_| "the line broke")?;
        take(device, &topics, message);
    }
    device.connected(true);
    talk(device, &mut connection, &topics, scratch).await
}

type Topics = [Topic; HEARD.len()];

async fn talk<IO: Io>(
    device: &mut Device,
    connection: &mut Connection<'_, '_, IO>,
    topics: &Topics,
    scratch: &mut [u8],
) -> Broken {
    let mut unacked = Deque::<Op, 8>::new();
    let mut outgoing = None;
    loop {
        while unacked.front().is_some_and(|op| !connection.is_pending(op)) {
            unacked.pop_front();
            device.acked();
        }
        if outgoing.is_none() {
            outgoing = match device.act(scratch) {
                Next::Publish { channel, retained, payload } => Some((channel, retained, payload)),
                Next::Wait => None,
                Next::Connect => return Err("the device asks for another"),
            };
        }
        if let Some((channel, retained, payload)) = &outgoing
            && !unacked.is_full()
        {
            let topic = device.settings.topic(*channel);
            let publication = Publication::bytes(&topic, &scratch[payload.clone()]).qos(QoS::AtLeastOnce);
            let publication = if *retained { publication.retain() } else { publication };
            match device.meanwhile(connection.publish(publication)).await {
                Ok(op) => {
                    // There is room: it was looked for.
                    let _ = op.map(|op| unacked.push_back(op));
                    outgoing = None;
                    continue;
                }
                // There is room again once the broker has what it was sent before.
                Err(PubError::Payload(()) | PubError::Session(Error::NotReady | Error::Resource(_)))
                    if !unacked.is_empty() => {}
                Err(_) => return Err("a publish did not go out"),
            }
        }
        match select(connection.poll(), device.attend()).await {
            Either::First(Ok(message)) => take(device, topics, message),
            Either::First(Err(_)) => return Err("the line broke"),
            Either::Second(()) => {}
        }
    }
}

/// Takes in what came, if it is for the device.
fn take(device: &mut Device, topics: &Topics, message: Option<InboundPublish<'_>>) {
    if let Some(message) = message
        && let Some(index) = topics.iter().position(|topic| topic == message.topic())
    {
        device.received(HEARD[index], message.payload());
    }
}
