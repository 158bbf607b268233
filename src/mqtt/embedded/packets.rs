//! Packets as bytes, of MQTT 3.1.1 and 5, as `mqtt5-protocol` has them.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use mqtt5_protocol::packet::MqttPacket;
use mqtt5_protocol::{FixedHeader, MqttError, Packet, PacketType, ReasonCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};

/// MQTT 5, as a CONNECT names it.
pub const FIVE: u8 = 5;
/// And 3.1.1.
pub const THREE: u8 = 4;

/// The longest fixed header: a byte, and the length in up to four.
const HEADER: usize = 5;
/// Bytes of a packet that is no publish.
pub const OTHERS: usize = 16 * 1024;
/// What is read at once.
const CHUNK: usize = 8 * 1024;
/// How long a device may take to read what it is sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why no packet can be read or written any more.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the connection was closed")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What was sent is not MQTT.
    #[error(transparent)]
    Packet(#[from] MqttError),
}

impl Broken {
    /// What the device is told, where it can be.
    pub fn reason(&self) -> Option<ReasonCode> {
        match self {
            Self::Closed | Self::Io(_) => None,
            Self::Packet(MqttError::PacketTooLarge { .. }) => Some(ReasonCode::PacketTooLarge),
            Self::Packet(MqttError::ProtocolError(_)) => Some(ReasonCode::ProtocolError),
            Self::Packet(_) => Some(ReasonCode::MalformedPacket),
        }
    }
}

/// Takes the first packet off what was read; `None` while it is not there as a whole. A CONNECT says its version itself,
/// all others are read as ones of `version`.
///
/// # Errors
/// Where it is no packet, or one of more than `most` bytes, or 16 KiB where it is no publish.
pub fn take(read: &mut BytesMut, version: u8, most: usize) -> Result<Option<Packet>, MqttError> {
    let length_ends = read.iter().take(HEADER).skip(1).any(|byte| byte & 0x80 == 0);
    if !length_ends && read.len() < HEADER {
        return Ok(None);
    }
    let mut rest = &read[..];
    let header = FixedHeader::decode(&mut rest)?;
    if !header.validate_flags() {
        // Not even the begin of a packet: no more of it is waited for.
        return Err(MqttError::MalformedPacket("the flags of a packet are not those of its type".to_owned()));
    }
    // As it was written: a length may be padded.
    let start = read.len() - rest.len();
    let size = start + header.remaining_length as usize;
    let max = if header.packet_type == PacketType::Publish { most } else { most.min(OTHERS) };
    if size > max {
        return Err(MqttError::PacketTooLarge { size, max });
    }
    if read.len() < size {
        return Ok(None);
    }
    let mut body: Bytes = read.split_to(size).freeze();
    body.advance(start);
    let packet = Packet::decode_from_body_with_version(header.packet_type, &header, &mut body, version)?;
    if body.has_remaining() {
        return Err(MqttError::MalformedPacket("a packet is longer than what it holds".to_owned()));
    }
    Ok(Some(packet))
}

/// What a device sends.
pub struct Incoming<S> {
    from: ReadHalf<S>,
    read: BytesMut,
    /// When something came last, be it a part of a packet.
    heard: Instant,
}

impl<S: AsyncRead + Unpin> Incoming<S> {
    pub fn new(from: ReadHalf<S>) -> Self {
        Self { from, read: BytesMut::new(), heard: Instant::now() }
    }

    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// While nothing is read, nobody can be heard.
    pub fn excuse(&mut self) {
        self.heard = Instant::now();
    }

    /// The next packet. What was read of it is kept if this is dropped.
    pub async fn next(&mut self, version: u8, most: usize) -> Result<Packet, Broken> {
        loop {
            if let Some(packet) = take(&mut self.read, version, most)? {
                if self.read.is_empty() {
                    // Devices are silent most of the time: no memory is kept for what they might say.
                    self.read = BytesMut::new();
                }
                return Ok(packet);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Broken> {
        let Self { from, read, heard } = self;
        let count = poll_fn(|context| {
            // On the stack, and only while there is something: for the same reason.
            let mut chunk = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut *from).poll_read(context, &mut chunk))?;
            read.extend_from_slice(chunk.filled());
            *heard = Instant::now();
            std::task::Poll::Ready(io::Result::Ok(chunk.filled().len()))
        });
        if count.await? == 0 { Err(Broken::Closed) } else { Ok(()) }
    }
}

/// What a device is sent: gathered, and written at once.
pub struct Outgoing<S> {
    to: WriteHalf<S>,
    gathered: BytesMut,
    /// Whether a write was begun and not ended: nothing that is written after it would be understood.
    torn: bool,
}

impl<S: AsyncWrite + Unpin> Outgoing<S> {
    pub fn new(to: WriteHalf<S>) -> Self {
        Self { to, gathered: BytesMut::new(), torn: false }
    }

    /// Bytes that wait to be written.
    pub fn gathered(&self) -> usize {
        self.gathered.len()
    }

    pub fn put(&mut self, packet: &impl MqttPacket) -> Result<(), Broken> {
        Ok(packet.encode(&mut self.gathered)?)
    }

    /// Unless it is longer than `most`: then `false`.
    pub fn put_within(&mut self, packet: &impl MqttPacket, most: usize) -> Result<bool, Broken> {
        let before = self.gathered.len();
        packet.encode(&mut self.gathered)?;
        let fits = self.gathered.len() - before <= most;
        if !fits {
            self.gathered.truncate(before);
        }
        Ok(fits)
    }

    /// Writes what was gathered.
    pub async fn write(&mut self) -> Result<(), Broken> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut self.torn, true) {
            return Err(Broken::Closed);
        }
        let bytes = std::mem::take(&mut self.gathered);
        let written = async {
            self.to.write_all(&bytes).await?;
            self.to.flush().await
        };
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        tokio::time::timeout(PATIENCE, written).await.map_err(late)??;
        self.torn = false;
        Ok(())
    }

    /// Ends the connection.
    pub async fn close(mut self) -> io::Result<()> {
        self.to.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use mqtt5_protocol::QoS;
    use mqtt5_protocol::packet::publish::PublishPacket;
    use proptest::prelude::*;

    use super::*;

    fn publish(topic: &str, payload: Vec<u8>) -> BytesMut {
        let mut bytes = BytesMut::new();
        PublishPacket::new(topic, payload, QoS::AtLeastOnce).with_packet_id(7).encode(&mut bytes).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn a_packet_is_read_however_it_is_cut(length in 0_usize..20_000, cuts in prop::collection::vec(0_usize..20_100, 0..5)) {
            let whole = publish("a/b", vec![b'x'; length]);
            let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < whole.len()).chain([0, whole.len()]).collect();
            cuts.sort_unstable();
            let (mut read, mut found) = (BytesMut::new(), None);
            for piece in cuts.windows(2) {
                prop_assert!(found.is_none());
                read.extend_from_slice(&whole[piece[0]..piece[1]]);
                found = take(&mut read, FIVE, 30_000).unwrap();
            }
            let Some(Packet::Publish(found)) = found else { panic!("not a publish: {found:?}") };
            prop_assert_eq!((found.payload.len(), found.packet_id), (length, Some(7)));
            prop_assert!(read.is_empty());
        }

        #[test]
        fn no_bytes_are_the_end_of_it(bytes in prop::collection::vec(any::<u8>(), 0..64), version in THREE..=FIVE) {
            let mut read = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut read, version, 1_000) {}
        }
    }

    #[test]
    fn what_is_too_large_is_refused_by_its_length_alone() {
        let mut whole = publish("a/b", vec![b'x'; 1_000]);
        let size = whole.len();
        let mut begun = whole.split_to(3);
        let refused = take(&mut begun.clone(), FIVE, size - 1);
        assert!(matches!(refused, Err(MqttError::PacketTooLarge { size: found, .. }) if found == size), "{refused:?}");
        assert!(matches!(take(&mut begun, FIVE, size), Ok(None)));
        let mut asked = BytesMut::from(&[0x82, 0xff, 0x7f][..]);
        assert!(matches!(take(&mut asked.clone(), FIVE, size), Err(MqttError::PacketTooLarge { .. })));
        assert!(
            matches!(take(&mut asked, FIVE, 20_000), Err(MqttError::PacketTooLarge { max: OTHERS, .. })),
            "no publish"
        );
        for endless in [&[0x30, 0xff, 0xff, 0xff, 0xff][..], &[0x30, 0x80, 0x80, 0x80, 0x80, 0x01]] {
            assert!(take(&mut BytesMut::from(endless), FIVE, usize::MAX).is_err(), "{endless:?}");
        }
    }

    #[test]
    fn what_is_no_packet_is_not_waited_for() {
        assert!(take(&mut BytesMut::from(&b"GET / HTTP/1.1"[..]), FIVE, 1_000).is_err());
    }

    #[test]
    fn a_packet_holds_nothing_beside_what_it_says() {
        let mut ping = BytesMut::from(&[0xc0, 1, 0][..]);
        assert!(take(&mut ping, FIVE, 100).is_err());
        let mut pings = BytesMut::from(&[0xc0, 0, 0xc0, 0][..]);
        for _ in 0..2 {
            assert!(matches!(take(&mut pings, THREE, 100), Ok(Some(Packet::PingReq))));
        }
        assert!(matches!(take(&mut pings, THREE, 100), Ok(None)));
        let mut padded = BytesMut::from(&[0xc0, 0x80, 0x80, 0, 0xc0, 0][..]);
        for _ in 0..2 {
            assert!(matches!(take(&mut padded, THREE, 100), Ok(Some(Packet::PingReq))));
        }
        assert!(padded.is_empty());
    }
}
