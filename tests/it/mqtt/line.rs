//! A connection that is spoken packet by packet.

use bytes::{Buf, BufMut};
use fenlei::mqtt::embedded::packets::{Incoming, Outgoing};
use fenlei::simulate::fleet::Credential;
use fenlei_wire::vocabulary::Channel;
use mqtt5_protocol::packet::MqttPacket;
use mqtt5_protocol::packet::connect::ConnectPacket;
use mqtt5_protocol::packet::publish::PublishPacket;
use mqtt5_protocol::packet::subscribe::SubscribePacket;
use mqtt5_protocol::{FixedHeader, Packet, PacketType, QoS, ReasonCode};
use tokio::net::TcpStream;

use super::world::{PATIENCE, World};

/// A connection that says what it is told to say.
pub(super) struct Line {
    pub(super) incoming: Incoming<TcpStream>,
    pub(super) outgoing: Outgoing<TcpStream>,
    pub(super) version: u8,
}

/// Bytes that need be no packet.
pub(super) struct Raw(pub(super) Vec<u8>);

impl MqttPacket for Raw {
    fn packet_type(&self) -> PacketType {
        PacketType::Publish
    }

    fn encode_body<B: BufMut>(&self, _: &mut B) -> mqtt5_protocol::Result<()> {
        Ok(())
    }

    fn decode_body<B: Buf>(_: &mut B, _: &FixedHeader) -> mqtt5_protocol::Result<Self> {
        Ok(Self(Vec::new()))
    }

    fn encode<B: BufMut>(&self, bytes: &mut B) -> mqtt5_protocol::Result<()> {
        bytes.put_slice(&self.0);
        Ok(())
    }
}

impl Line {
    pub(super) async fn open(world: &World, version: u8) -> Self {
        let (from, to) = tokio::io::split(TcpStream::connect(("127.0.0.1", world.port())).await.unwrap());
        Self { incoming: Incoming::new(from), outgoing: Outgoing::new(to), version }
    }

    /// Logged in, with whether its session was found.
    pub(super) async fn connect(world: &World, connect: ConnectPacket) -> (Self, bool) {
        let mut line = Self::open(world, connect.protocol_version).await;
        line.say(&connect).await;
        let Packet::ConnAck(answer) = line.hear().await else { panic!("no CONNACK") };
        // Both versions have 0 for success alone.
        assert_eq!(answer.reason_code, ReasonCode::Success);
        (line, answer.session_present)
    }

    pub(super) async fn say(&mut self, packet: &impl MqttPacket) {
        self.outgoing.put(packet).unwrap();
        self.outgoing.write().await.unwrap();
    }

    pub(super) async fn try_hear(&mut self) -> Option<Packet> {
        let heard = tokio::time::timeout(PATIENCE, self.incoming.next(self.version, 2 << 20));
        heard.await.expect("the broker answers or hangs up").ok()
    }

    pub(super) async fn hear(&mut self) -> Packet {
        self.try_hear().await.expect("the connection goes on")
    }

    pub(super) async fn message(&mut self) -> PublishPacket {
        loop {
            if let Packet::Publish(publish) = self.hear().await {
                return publish;
            }
        }
    }

    pub(super) async fn subscribe(&mut self, device: &Credential, channel: Channel) {
        let mut asked = SubscribePacket::new(9).add_filter(device.topic(channel), QoS::AtLeastOnce);
        asked.protocol_version = self.version;
        self.say(&asked).await;
        while !matches!(self.hear().await, Packet::SubAck(_)) {}
    }

    /// Why the broker hung up.
    pub(super) async fn farewell(&mut self) -> Option<ReasonCode> {
        let mut reason = None;
        while let Some(packet) = self.try_hear().await {
            if let Packet::Disconnect(said) = packet {
                reason = Some(said.reason_code);
            }
        }
        reason
    }
}
