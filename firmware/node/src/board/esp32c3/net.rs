//! Wi-Fi, kept up, and the time of day from a server of the network, since the chip has no clock that survives a power cut.

use core::net::SocketAddr;

use embassy_net::udp::{PacketMetadata, UdpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use esp_hal::peripherals::WIFI;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{AuthenticationMethodConfig, Config, ControllerConfig, Interface, WifiController};
use fenlei_wire::time::UnixMillis;
use sntpc::{NtpContext, NtpTimestampGenerator, NtpUdpSocket};

use crate::say;
use crate::settings::endpoint;

/// The network.
pub type Network = Interface;
/// One for the lease of the address, one for the time.
pub const SOCKETS: usize = 2;

/// How long an answer with the time may take, and how often it is asked for: while it is not known, and afterwards.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(10);
const REFRESH: Duration = Duration::from_secs(3600);
/// A time near which answers lie: the protocol counts seconds only modulo 136 years. In seconds.
const NEARBY: u64 = 1_790_000_000;
/// An NTP packet.
const PACKET: usize = 48;

/// What keeps the network up.
pub struct Link {
    radio: WifiController<'static>,
    time: IpEndpoint,
}

/// Starts the radio for the network that these lines of the settings name.
pub(super) fn start<'a>(
    lines: impl Iterator<Item = &'a str>,
    wifi: WIFI<'static>,
) -> Result<(Network, Link), &'static str> {
    let (mut name, mut password, mut time) = ("", "", None);
    for line in lines {
        match line.split_once('=').unwrap_or((line, "")) {
            ("wifi", value) => name = value,
            ("password", value) => password = value,
            ("time", value) => time = Some(endpoint(value).ok_or("time= is not ADDRESS:PORT")?),
            _ => {}
        }
    }
    if name.is_empty() {
        return Err("needed: wifi= password= time=");
    }
    let time = time.ok_or("needed: time=, a server of the time as ADDRESS:PORT")?;
    let station = StationConfig::default()
        .with_ssid(name.try_into().map_err(|_| "wifi= is too long")?)
        .with_authentication(match password {
            "" => AuthenticationMethodConfig::Open,
            _ => AuthenticationMethodConfig::Wpa2Personal(password.try_into().map_err(|_| "password= is too long")?),
        });
    let config = ControllerConfig::default().with_initial_config(Config::Station(station));
    let radio = WifiController::new(wifi, config).map_err(|_| "the radio does not start with these wifi= password=")?;
    Ok((Interface::station(), Link { radio, time }))
}

impl Link {
    /// Joins the network whenever it is not joined, and keeps the clock.
    pub async fn keep(mut self, stack: Stack<'static>) -> ! {
        let join = async {
            loop {
                if self.radio.connect_async().await.is_ok() {
                    say!("wifi joined");
                    // Whether it is told why or not, the network is gone.
                    let _ = self.radio.wait_for_disconnect_async().await;
                    say!("wifi lost");
                }
                Timer::after(AGAIN / 5).await;
            }
        };
        embassy_futures::join::join(join, keep_time(stack, self.time)).await.0
    }
}

async fn keep_time(stack: Stack<'static>, server: IpEndpoint) -> ! {
    loop {
        stack.wait_config_up().await;
        match with_timeout(PATIENCE, ask(stack, server)).await {
            Ok(Some(now)) => {
                super::set_wall_clock(now);
                Timer::after(REFRESH).await;
            }
            Ok(None) | Err(_) => Timer::after(AGAIN).await,
        }
    }
}

/// Asks for the time of day once.
async fn ask(stack: Stack<'static>, server: IpEndpoint) -> Option<UnixMillis> {
    let (mut from, mut to) = ([PacketMetadata::EMPTY; 2], [PacketMetadata::EMPTY; 1]);
    let (mut received, mut sent) = ([0; 2 * PACKET], [0; PACKET]);
    let mut socket = UdpSocket::new(stack, &mut from, &mut received, &mut to, &mut sent);
    // Any port: the question is not to be guessed from it.
    socket.bind(0).ok()?;
    let server = SocketAddr::from((server.addr, server.port));
    let asked = Instant::now();
    let answer = sntpc::get_time(server, &Socket(socket), NtpContext::new(SinceStart::default())).await.ok()?;
    let millis = i64::try_from(answer.sec()).ok()?.checked_mul(1000)?;
    let part = sntpc::fraction_to_milliseconds(answer.sec_fraction());
    // The answer was half as long on its way as the question and the answer together.
    let way = asked.elapsed().as_millis() / 2;
    Some(UnixMillis(millis + i64::from(part) + i64::try_from(way).ok()?))
}

struct Socket<'a>(UdpSocket<'a>);

impl NtpUdpSocket for Socket<'_> {
    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> sntpc::Result<usize> {
        let SocketAddr::V4(to) = to else { return Err(sntpc::Error::Network) };
        self.0.send_to(bytes, to).await.map_err(|_| sntpc::Error::Network)?;
        Ok(bytes.len())
    }

    async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        let (length, from) = self.0.recv_from(bytes).await.map_err(|_| sntpc::Error::Network)?;
        Ok((length, SocketAddr::from((from.endpoint.addr, from.endpoint.port))))
    }
}

/// The time since the start, after one that lies near.
#[derive(Clone, Copy, Default)]
struct SinceStart(u64);

impl NtpTimestampGenerator for SinceStart {
    fn init(&mut self) {
        self.0 = Instant::now().as_micros();
    }

    fn timestamp_sec(&self) -> u64 {
        NEARBY + self.0 / 1_000_000
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        (self.0 % 1_000_000) as u32
    }
}
