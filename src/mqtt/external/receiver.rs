//! From the broker: what devices say.
//!
//! A publish is acknowledged after the commit, never before, and in the order in which it came. What a connection had not
//! acknowledged when it ended, the broker sends again on the next one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, PingReq, PubAck, Publish, Subscribe, SubscribeReasonCode};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::super::wished::{Kept, Wish};
use super::super::{CONFIGS, EVENTS, STATES, Sink, Stored, share};
use super::followed::{Followed, changed, follow};
use super::line::{self, Outgoing, Session};
use super::{Backoff, Options};

/// Publishes the broker may have sent without our acknowledgement.
const WINDOW: u16 = 1_000;
/// How many are taken from one that does not keep to that, as Mosquitto does not while it empties a queue.
const ROOM: usize = 4_096;
/// How long what could not be stored is left to the broker.
const UNSTORED: Duration = Duration::from_secs(1);

/// Why a connection came to its end.
enum Ended {
    /// What came could not be stored: the broker, which is well, sends it again on the next connection.
    Unstored,
    Line(String),
}

impl From<String> for Ended {
    fn from(reason: String) -> Self {
        Self::Line(reason)
    }
}

/// What a receiver needs beside the broker.
struct Backend {
    options: Options,
    sink: Arc<dyn Sink>,
    states: Wish,
    kept: Kept,
    connected: watch::Sender<bool>,
}

/// Receives for ever, on a thread of its own: among the threads of others each publish would be handed from one to the
/// next several times, which costs more than to read and to store it. Where there are others, states and configs come as it
/// is wished; `connected` tells whether the subscriptions stand. Whoever drops the task stops it.
pub fn start(
    options: Options,
    sink: Arc<dyn Sink>,
    (states, kept): (Wish, Kept),
    connected: watch::Sender<bool>,
    stop: &CancellationToken,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = stop.child_token();
    let dropped = stop.clone().drop_guard();
    let (ended, end) = oneshot::channel();
    let backend = Backend { options, sink, states, kept, connected };
    std::thread::Builder::new().name("mqtt-receiver".into()).spawn(move || {
        runtime.block_on(stop.run_until_cancelled(receive(backend)));
        // Whoever waited may be gone.
        let _ = ended.send(());
    })?;
    Ok(async move {
        let _dropped = dropped;
        // Should the thread panic, the log has why.
        let _ = end.await;
    })
}

async fn receive(backend: Backend) {
    let mut backoff = Backoff::default();
    loop {
        let Err(ended) = receive_once(&backend, &mut backoff).await;
        metrics::counter!("fenlei_mqtt_disconnects_total").increment(1);
        match ended {
            // The store says so itself.
            Ended::Unstored => tokio::time::sleep(UNSTORED).await,
            Ended::Line(reason) => {
                backend.connected.send_replace(false);
                if backoff.is_news(&reason) {
                    tracing::warn!(broker = ?backend.options, %reason, "the connection to the broker ended");
                } else {
                    tracing::debug!(%reason, "the connection to the broker ended");
                }
                backoff.wait().await;
            }
        }
    }
}

async fn receive_once(backend: &Backend, backoff: &mut Backoff) -> Result<std::convert::Infallible, Ended> {
    let Options { share, alone, .. } = &backend.options;
    let session = Session { window: WINDOW, lasting: *alone };
    let (mut incoming, mut outgoing, keep_alive) = line::connect(&backend.options, session).await?;
    let events = share.as_ref().map_or_else(|| EVENTS.to_owned(), |group| share::filter(group, EVENTS));
    // Where there are others the states come to the one whose turn it is.
    let filters = if *alone { vec![events, STATES.to_owned()] } else { vec![events] };
    let filters = filters.into_iter().map(|filter| Filter::new(filter, QoS::AtLeastOnce));
    outgoing.put(Packet::Subscribe(Subscribe { pkid: 1, filters: filters.collect(), properties: None })).await?;
    outgoing.flush().await?;

    let followed = [(STATES, &backend.states), (CONFIGS, &backend.kept.wish)];
    let mut followed = followed.map(|(filter, wish)| Followed { filter, wish: wish.follow(), asked: None });
    let mut ping = interval_at(Instant::now() + keep_alive / 2, keep_alive / 2);
    // After a machine that stood still the broker has its time to answer too.
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut answered, mut subscribed, mut named) = (true, false, 1);
    let mut under_way = VecDeque::new();
    loop {
        tokio::select! {
            packet = incoming.next(), if under_way.len() < ROOM => match packet? {
                Packet::Publish(publish) => {
                    let stored = take(backend, &publish).await;
                    under_way.push_back(((publish.qos != QoS::AtMostOnce).then_some(publish.pkid), stored));
                }
                Packet::SubAck(answer) => {
                    let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                    if !answer.return_codes.iter().all(granted) {
                        let why = "the broker refuses our subscriptions: its ACL must let this user read fenlei/v1/#";
                        return Err(Ended::Line(why.to_owned()));
                    }
                    if !std::mem::replace(&mut subscribed, true) {
                        backoff.reset();
                        backend.connected.send_replace(true);
                        tracing::info!("subscribed to what devices say");
                        follow(&mut followed, &mut named, &mut outgoing, *alone).await?;
                    }
                }
                Packet::PingResp(_) => answered = true,
                Packet::Disconnect(_) => return Err(Ended::Line("the broker asked us to disconnect".to_owned())),
                _ => {}
            },
            stored = first(&mut under_way) => acknowledge(stored, &mut under_way, &mut outgoing).await?,
            () = changed(&mut followed), if subscribed => follow(&mut followed, &mut named, &mut outgoing, *alone).await?,
            _ = ping.tick() => {
                // While nothing is taken in, an answer is not heard either, and may lie there when there is room again.
                let room = under_way.len() < ROOM;
                if !std::mem::replace(&mut answered, !room) && room {
                    return Err(Ended::Line("the broker does not answer".to_owned()));
                }
                outgoing.put(Packet::PingReq(PingReq)).await?;
                outgoing.flush().await?;
            }
        }
    }
}

async fn take(backend: &Backend, publish: &Publish) -> Stored {
    let topic = String::from_utf8_lossy(&publish.topic);
    if topic.ends_with("/config") {
        backend.kept.hear(&topic, &publish.payload);
        return Box::pin(std::future::ready(true));
    }
    backend.sink.deliver(&topic, &publish.payload).await
}

/// Publishes in the order in which they came, by the names the broker knows them by; one of QoS 0 has none.
type UnderWay = VecDeque<(Option<u16>, Stored)>;

/// Whether what came first is stored; waits for ever while there is nothing.
async fn first(under_way: &mut UnderWay) -> bool {
    match under_way.front_mut() {
        Some((_, stored)) => stored.await,
        None => std::future::pending().await,
    }
}

/// Acknowledges what came first, if it is `stored`, and what was stored with it.
async fn acknowledge(mut stored: bool, under_way: &mut UnderWay, outgoing: &mut Outgoing) -> Result<(), Ended> {
    while stored {
        if let Some((Some(pkid), _)) = under_way.pop_front() {
            outgoing.put(Packet::PubAck(PubAck::new(pkid, None))).await?;
        }
        match first(under_way).now_or_never() {
            Some(next) => stored = next,
            None => return Ok(outgoing.flush().await?),
        }
    }
    // What was stored before this one is.
    outgoing.flush().await?;
    Err(Ended::Unstored)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures::{SinkExt, StreamExt};
    use rumqttc::v5::mqttbytes::v5::{Codec, PingResp, SubAck};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio_util::codec::Framed;

    use super::*;

    /// What a broker sees of one connection.
    type Seen = Framed<TcpStream, Codec>;

    /// Hands every publish to a test, which says whether it is stored, or does not say.
    struct Asked(mpsc::UnboundedSender<(Vec<u8>, oneshot::Sender<bool>)>);

    impl Sink for Asked {
        fn deliver<'a>(&'a self, _: &'a str, payload: &'a [u8]) -> Pin<Box<dyn Future<Output = Stored> + Send + 'a>> {
            let (stored, answer) = oneshot::channel();
            self.0.send((payload.to_vec(), stored)).unwrap();
            let answer: Stored = Box::pin(async { answer.await.unwrap_or(false) });
            Box::pin(std::future::ready(answer))
        }
    }

    /// A receiver, the broker that it is sent to, and what it hands over.
    struct World {
        broker: TcpListener,
        handed: mpsc::UnboundedReceiver<(Vec<u8>, oneshot::Sender<bool>)>,
        _receiving: tokio::task::JoinHandle<()>,
    }

    impl World {
        async fn begin() -> Self {
            let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let options = Options {
                host: "127.0.0.1".to_owned(),
                port: broker.local_addr().unwrap().port(),
                credentials: None,
                client_id: "fenlei".to_owned(),
                share: None,
                alone: true,
            };
            let (hand, handed) = mpsc::unbounded_channel();
            let (connected, stop) = (watch::Sender::new(false), CancellationToken::new());
            let receiving = start(options, Arc::new(Asked(hand)), Default::default(), connected, &stop).unwrap();
            Self { broker, handed, _receiving: tokio::spawn(receiving) }
        }

        /// Takes the next connection in, and grants what it subscribes to.
        async fn connection(&self, keep_alive: Option<u8>) -> Seen {
            let (stream, _) = self.broker.accept().await.unwrap();
            let mut seen = Framed::new(stream, Codec { max_incoming_size: None, max_outgoing_size: None });
            assert!(matches!(next(&mut seen).await, Packet::Connect(..)));
            // CONNACK: no session, success, and maybe the property Server Keep Alive.
            let welcome = match keep_alive {
                None => vec![0x20, 3, 0, 0, 0],
                Some(seconds) => vec![0x20, 6, 0, 0, 3, 0x13, 0, seconds],
            };
            seen.get_mut().write_all(&welcome).await.unwrap();
            let Packet::Subscribe(subscribe) = next(&mut seen).await else { panic!("no subscription") };
            let return_codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); subscribe.filters.len()];
            seen.send(Packet::SubAck(SubAck { pkid: subscribe.pkid, return_codes, properties: None })).await.unwrap();
            seen
        }
    }

    async fn next(seen: &mut Seen) -> Packet {
        seen.next().await.expect("the connection goes on").unwrap()
    }

    fn publish(pkid: u16) -> Packet {
        let mut publish = Publish::new("fenlei/v1/gate/bin/bin-1/event", QoS::AtLeastOnce, pkid.to_string(), None);
        publish.pkid = pkid;
        Packet::Publish(publish)
    }

    #[tokio::test]
    async fn what_is_not_to_be_acknowledged_is_stored_in_its_turn() {
        let mut world = World::begin().await;
        let mut seen = world.connection(None).await;
        let unnamed = || Packet::Publish(Publish::new("fenlei/v1/gate/bin/bin-1/event", QoS::AtMostOnce, "0", None));
        for packet in [unnamed(), publish(1), unnamed(), publish(2)] {
            seen.send(packet).await.unwrap();
        }
        for _ in 0..4 {
            let (_, stored) = world.handed.recv().await.unwrap();
            stored.send(true).unwrap();
        }
        for pkid in 1..=2 {
            assert_eq!(next(&mut seen).await, Packet::PubAck(PubAck::new(pkid, None)));
        }
        seen.send(publish(3)).await.unwrap();
        let (_, stored) = world.handed.recv().await.unwrap();
        stored.send(true).unwrap();
        assert_eq!(next(&mut seen).await, Packet::PubAck(PubAck::new(3, None)), "and of the others none");
    }

    #[tokio::test]
    async fn what_is_stored_is_acknowledged_in_the_order_in_which_it_came_until_something_is_not() {
        let mut world = World::begin().await;
        let mut seen = world.connection(None).await;
        let mut asked = Vec::new();
        for pkid in 1..=4 {
            seen.send(publish(pkid)).await.unwrap();
            let (payload, stored) = world.handed.recv().await.unwrap();
            assert_eq!(payload, pkid.to_string().into_bytes());
            asked.push(stored);
        }
        // The last first, and the third not at all.
        for (stored, is) in asked.into_iter().zip([true, true, false, true]).rev() {
            stored.send(is).unwrap();
        }
        for pkid in 1..=2 {
            assert_eq!(next(&mut seen).await, Packet::PubAck(PubAck::new(pkid, None)));
        }
        assert!(seen.next().await.is_none(), "nothing more is acknowledged");
        world.connection(None).await;
    }

    #[tokio::test]
    async fn of_a_broker_that_sends_without_end_no_more_is_taken_than_there_is_room_for() {
        let mut world = World::begin().await;
        let seen = world.connection(None).await;
        let (mut to, mut from) = seen.split();
        let sending = tokio::spawn(async move {
            for pkid in (1..=u16::MAX).cycle() {
                to.send(publish(pkid)).await.unwrap();
            }
        });
        let mut asked = Vec::new();
        while asked.len() < ROOM {
            asked.push(world.handed.recv().await.unwrap());
        }
        let more = tokio::time::timeout(Duration::from_millis(200), world.handed.recv()).await;
        assert!(more.is_err(), "one more than there is room for");
        // As much as is stored is taken again.
        for (_, stored) in asked.drain(..10) {
            stored.send(true).unwrap();
        }
        for pkid in 1..=10 {
            assert_eq!(from.next().await.unwrap().unwrap(), Packet::PubAck(PubAck::new(pkid, None)));
            world.handed.recv().await.unwrap();
        }
        sending.abort();
    }

    #[tokio::test]
    async fn a_broker_that_falls_silent_is_left() {
        let world = World::begin().await;
        let mut seen = world.connection(Some(1)).await;
        assert_eq!(next(&mut seen).await, Packet::PingReq(PingReq), "as often as the broker wants to hear of it");
        seen.send(Packet::PingResp(PingResp)).await.unwrap();
        assert_eq!(next(&mut seen).await, Packet::PingReq(PingReq), "one that answers is asked again");
        assert!(seen.next().await.is_none());
        world.connection(None).await;
    }
}
