//! Whether who connects is a device, and what it is answered.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use mqtt5_protocol::ReasonCode;
use mqtt5_protocol::packet::connack::ConnAckPacket;
use mqtt5_protocol::packet::connect::ConnectPacket;

use super::packets::{FIVE, THREE};
use super::{Engine, MAX_PACKET, SESSION, SILENCE, TOPIC_ALIASES, UNANSWERED, refused};
use crate::entrance;
use crate::mqtt::authority;

/// Who stands at the door.
pub(super) struct Visitor {
    pub(super) from: IpAddr,
    /// Of which listener.
    pub(super) entrance: &'static str,
    /// Whom its certificate names.
    pub(super) names: Option<Vec<String>>,
}

/// What a device asks for when it connects.
pub(super) struct Wishes {
    pub(super) version: u8,
    pub(super) anew: bool,
    /// How long its session is to be kept when it is gone.
    pub(super) kept: Duration,
    /// How long it may be silent.
    pub(super) silence: Duration,
    /// Messages that it takes before it has acknowledged one,
    pub(super) window: u16,
    /// and bytes in a packet.
    pub(super) most: usize,
}

impl Engine {
    /// Whether this may connect. Who may not is counted, and logged as a device that is known or as nobody.
    pub(super) fn admit(&self, connect: &ConnectPacket, visitor: &Visitor) -> Result<(), ReasonCode> {
        if ![THREE, FIVE].contains(&connect.protocol_version) {
            return Err(ReasonCode::UnsupportedProtocolVersion);
        }
        let properties = &connect.properties;
        if properties.get_authentication_method().is_some() {
            return Err(ReasonCode::BadAuthenticationMethod);
        }
        if properties.get_receive_maximum() == Some(0) || properties.get_maximum_packet_size() == Some(0) {
            return Err(ReasonCode::ProtocolError);
        }
        let (registry, user) = ((self.registry)(), connect.username.as_deref());
        let name = user.unwrap_or_default();
        if self.attempts.wait(visitor.from, name, Instant::now()).is_some() {
            entrance::refused(visitor.entrance, "attempts");
            return Err(ReasonCode::ConnectionRateExceeded);
        }
        // What is no device's id may be a secret.
        let known = registry.devices.get(name).map_or("unknown", |device| device.id.as_str());
        // Whoever goes on has to wait, so that its lines are no flood.
        match authority::login(&registry, &connect.client_id, user, connect.password.as_deref()) {
            Ok(()) => self.attempts.succeeded(visitor.from, name),
            Err(authority::Refused::Credentials) => {
                self.attempts.failed(visitor.from, name, Instant::now());
                refused("login");
                tracing::warn!(device = known, from = %visitor.from, "a login was refused");
                return Err(ReasonCode::BadUsernameOrPassword);
            }
            Err(authority::Refused::ClientId) => {
                self.attempts.failed(visitor.from, name, Instant::now());
                refused("client_id");
                tracing::warn!(device = known, from = %visitor.from, "a login was refused: a device's client id is its id");
                return Err(ReasonCode::ClientIdentifierNotValid);
            }
        }
        if !authority::is_named(self.limits.certificates, visitor.names.as_deref(), name) {
            entrance::refused(visitor.entrance, "certificate");
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(())
    }
}

impl Wishes {
    pub(super) fn of(connect: &ConnectPacket) -> Self {
        let five = connect.protocol_version == FIVE;
        let asked = match connect.properties.get_session_expiry_interval() {
            Some(seconds) => Duration::from_secs(seconds.into()),
            None if five || connect.clean_start => Duration::ZERO,
            None => SESSION,
        };
        let silence = match connect.keep_alive {
            0 => SILENCE,
            seconds => Duration::from_secs(seconds.into()).mul_f64(1.5),
        };
        let most = connect.properties.get_maximum_packet_size().and_then(|most| usize::try_from(most).ok());
        Self {
            version: connect.protocol_version,
            anew: connect.clean_start,
            kept: asked.min(SESSION),
            silence,
            window: connect.properties.get_receive_maximum().unwrap_or(u16::MAX).min(UNANSWERED),
            most: most.unwrap_or(usize::MAX),
        }
    }
}

/// What a device that is let in is told.
pub(super) fn welcome(connect: &ConnectPacket, wishes: &Wishes, found: bool) -> ConnAckPacket {
    let mut answer =
        ConnAckPacket { protocol_version: wishes.version, ..ConnAckPacket::new(found, ReasonCode::Success) }
            .with_receive_maximum(UNANSWERED)
            .with_maximum_packet_size(MAX_PACKET)
            .with_topic_alias_maximum(TOPIC_ALIASES);
    let asked = connect.properties.get_session_expiry_interval().unwrap_or(0);
    if wishes.kept != Duration::from_secs(asked.into()) {
        answer = answer.with_session_expiry_interval(u32::try_from(wishes.kept.as_secs()).unwrap_or(u32::MAX));
    }
    if connect.keep_alive == 0 {
        answer = answer.with_server_keep_alive(u16::try_from(SILENCE.as_secs()).unwrap_or(u16::MAX));
    }
    answer
}

/// What one that is not is told, in words of its version, or of 3.1.1 where it is another.
pub(super) fn refusal(version: u8, reason: ReasonCode) -> ConnAckPacket {
    let protocol_version = if version == FIVE { FIVE } else { THREE };
    ConnAckPacket { protocol_version, ..ConnAckPacket::new(false, reason) }
}
