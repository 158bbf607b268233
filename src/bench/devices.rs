//! Devices with secrets of their own, connected as devices in the field are.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;
use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::{Channel, DeviceKind};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, LastWill, Packet};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

use super::workload::{self, SITES};
use crate::credentials;
use crate::domain::card::CardKey;
use crate::store::Store;
use crate::store::registry::{DeviceFields, RegistryError, put_device};

/// Publishes of a device that are not acknowledged yet, and as many wait for their turn; the next one waits outside.
const UNDER_WAY: u16 = 10;

/// A bin.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) id: String,
    site: String,
    secret: String,
    /// What is stored of it.
    password: String,
}

/// Registers the neighbourhood and so many bins more, which can log in.
pub(super) async fn register(store: &Store, count: usize) -> anyhow::Result<Vec<Device>> {
    workload::register(store, &CardKey::new([7; 32])).await?;
    let device = |(number, site)| {
        let (secret, password) = credentials::generate()?;
        Ok(Device { id: format!("device-{number}"), site: format!("site-{site}"), secret, password })
    };
    let devices: Vec<Device> =
        (0..count).zip((0..SITES).cycle()).map(device).collect::<Result<_, credentials::NoRandom>>()?;
    let added = devices.clone();
    store
        .write(move |session| -> Result<(), RegistryError> {
            for Device { id, site, password, .. } in &added {
                let fields = DeviceFields { id, site, kind: DeviceKind::Bin, name: None, streams: None, password };
                put_device(session.connection, &session.registry, &fields)?;
            }
            Ok(())
        })
        .await?;
    Ok(devices)
}

impl Device {
    pub(super) fn topic(&self, channel: Channel) -> String {
        Topic { site: &self.site, kind: DeviceKind::Bin, device: &self.id, channel }.to_string()
    }

    /// Whether its secret is found to fit, as a broker finds it.
    pub(super) fn logs_in(&self) -> bool {
        credentials::verify(&self.password, &self.secret)
    }

    /// Logged in and subscribed; polling the connection keeps it.
    pub(super) async fn connect(&self, port: u16) -> anyhow::Result<(AsyncClient, EventLoop)> {
        let mut options = MqttOptions::new(&self.id, "127.0.0.1", port);
        let will = r#"{"online":false,"boot":1}"#;
        let will = LastWill::new(self.topic(Channel::State), will, QoS::AtLeastOnce, true, None);
        options.set_credentials(&self.id, &self.secret).set_last_will(will);
        options.set_keep_alive(Duration::from_secs(60)).set_connection_timeout(60);
        options.set_outgoing_inflight_upper_limit(UNDER_WAY);
        // Else a publish behind an acknowledgement waits for as long as the other side may put off its own.
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut connection) = AsyncClient::new(options, UNDER_WAY.into());
        let filter = |channel| Filter::new(self.topic(channel), QoS::AtLeastOnce);
        client.subscribe_many([Channel::Command, Channel::Config, Channel::Receipt].map(filter)).await?;
        let failed = || format!("{} cannot log in and subscribe", self.id);
        while !matches!(connection.poll().await.with_context(failed)?, Event::Incoming(Packet::SubAck(_))) {}
        Ok((client, connection))
    }
}

/// Mosquitto's file of passwords.
pub(super) fn passwords(devices: &[Device]) -> String {
    devices.iter().fold(String::new(), |mut file, device| {
        // Writing to a text cannot fail.
        let _ = writeln!(file, "{}:{}", device.id, device.password);
        file
    })
}
