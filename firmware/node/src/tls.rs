//! TLS 1.3 on the line to the broker, by `embedded-tls` with its verifier of P-256 certificates.
//!
//! What must hold before a byte of MQTT goes out: the broker's certificate is signed by the authority that the device was
//! provisioned with, has the name that it was provisioned with, is in date as far as the device knows the date, and the
//! broker proved that it has the certificate's key. A device that does not know the date yet looks at all but the dates,
//! and begins afresh once it does. Nobody asks whether a certificate was revoked.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::pin::pin;

use embassy_futures::select::{Either3, select3};
use embassy_net::tcp::{self, TcpSocket};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_time::Timer;
use embedded_io_async::{ErrorType, Read, Write};
use embedded_tls::pki::CertVerifier;
use embedded_tls::{
    Aes128GcmSha256, Certificate, CertificateEntryRef, CertificateRef, CertificateVerifyRef, CryptoProvider,
    CryptoRngCore, TlsClock, TlsConfig, TlsConnection, TlsContext, TlsError, TlsVerifier,
};

use crate::board;
use crate::line::Broken;
use crate::settings::Settings;

type Suite = Aes128GcmSha256;

/// Longest record that may come, with what TLS adds to it.
const RECORD: usize = 16_640;
/// Longest record that is sent, in which the first greeting must fit too.
const SENT: usize = 1024;
/// Longest certificates that a broker may send.
const CERTIFICATES: usize = 2048;
/// What is on its way between TLS and MQTT.
const PLAIN: usize = 512;

/// What TLS needs room for.
pub struct Room {
    received: [u8; RECORD],
    sent: [u8; SENT],
}

impl Room {
    /// Empty room.
    pub const fn new() -> Self {
        Self { received: [0; RECORD], sent: [0; SENT] }
    }
}

/// A line that is encrypted, to a broker that proved who it is.
pub struct Opened<'a, 's> {
    connection: TlsConnection<'a, Shared<'a, 's>, Suite>,
    /// Whether the dates of the certificate were looked at.
    dated: bool,
}

/// Encrypts the line, and has the broker prove who it is.
pub async fn open<'a, 's>(
    settings: &Settings,
    socket: &'a RefCell<TcpSocket<'s>>,
    room: &'a mut Room,
) -> Result<Opened<'a, 's>, &'static str> {
    let mut connection = TlsConnection::new(Shared(socket), &mut room.received, &mut room.sent);
    let config = TlsConfig::new().with_server_name(&settings.name);
    let mut proof = Proof {
        authority: &settings.authority,
        certificates: CertVerifier::new(Certificate::X509(&settings.authority)),
        stage: Stage::Nothing,
    };
    let dated = board::wall_clock().is_some();
    let opened = connection.open(TlsContext::new(&config, &mut proof)).await;
    match (opened, proof.stage) {
        (Ok(()), Stage::Proven) => Ok(Opened { connection, dated }),
        (Err(_), Stage::Nothing) => Err("no TLS with the broker"),
        (Ok(()), _) | (Err(_), Stage::Certified | Stage::Refused | Stage::Proven) => {
            Err("the broker does not prove who it is")
        }
    }
}

impl Opened<'_, '_> {
    /// Carries what is read and written in plain, until the line breaks. It is not to be left half done, which the
    /// records of TLS would not survive: hence the pipes between it and MQTT, which leaves off what it does at any time.
    pub async fn carry(&mut self, plain: &Plain) -> Broken {
        let dated = self.dated;
        let (mut reader, mut writer) = self.connection.split();
        let inward = async {
            while let Ok(mut record) = reader.read_buffered().await {
                plain.inward.write_all(record.pop_all()).await;
            }
            "the line broke"
        };
        let outward = async {
            let mut bytes = [0; PLAIN];
            loop {
                let count = plain.outward.read(&mut bytes).await;
                if writer.write_all(&bytes[..count]).await.is_err() || writer.flush().await.is_err() {
                    return "the line broke";
                }
            }
        };
        let clock = async {
            while dated || board::wall_clock().is_none() {
                Timer::after_secs(1).await;
            }
            "the date is known now: the certificate is looked at again"
        };
        match select3(inward, outward, clock).await {
            Either3::First(why) | Either3::Second(why) | Either3::Third(why) => Err(why),
        }
    }
}

/// What goes to and comes from the broker, in plain.
pub struct Plain {
    inward: Pipe<NoopRawMutex, PLAIN>,
    outward: Pipe<NoopRawMutex, PLAIN>,
}

impl Plain {
    /// Nothing on its way.
    pub const fn new() -> Self {
        Self { inward: Pipe::new(), outward: Pipe::new() }
    }

    /// MQTT's end of it.
    pub fn line(&self) -> PlainLine<'_> {
        PlainLine(self)
    }
}

/// MQTT's end of the line.
pub struct PlainLine<'a>(&'a Plain);

impl ErrorType for PlainLine<'_> {
    type Error = Infallible;
}

impl Read for PlainLine<'_> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.0.inward.read(bytes).await)
    }
}

impl Write for PlainLine<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.0.outward.write(bytes).await)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The socket, read and written at the same time.
#[derive(Clone)]
struct Shared<'a, 's>(&'a RefCell<TcpSocket<'s>>);

impl ErrorType for Shared<'_, '_> {
    type Error = tcp::Error;
}

impl Read for Shared<'_, '_> {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, tcp::Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().read(bytes)).poll(cx)).await
    }
}

impl Write for Shared<'_, '_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, tcp::Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().write(bytes)).poll(cx)).await
    }

    async fn flush(&mut self) -> Result<(), tcp::Error> {
        poll_fn(|cx| pin!(self.0.borrow_mut().flush()).poll(cx)).await
    }
}

/// The device's clock, for the dates of certificates.
struct Clock;

impl TlsClock for Clock {
    fn now() -> Option<u64> {
        u64::try_from(board::wall_clock()?.0 / 1000).ok()
    }
}

/// The board's randomness.
struct Random;

impl rand_core::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        board::random(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        board::random(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for Random {}

/// How far the broker came with proving who it is. `embedded-tls` itself ends a handshake well in which the broker never
/// sent a certificate, or never proved that it has its key.
#[derive(Clone, Copy)]
enum Stage {
    Nothing,
    Certified,
    Refused,
    Proven,
}

/// Has the broker prove who it is.
struct Proof<'a> {
    authority: &'a [u8],
    certificates: CertVerifier<'a, Suite, Clock, CERTIFICATES>,
    stage: Stage,
}

impl CryptoProvider for Proof<'_> {
    type CipherSuite = Suite;
    /// A device has no certificate: it logs in with its secret.
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        Random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, TlsError> {
        Ok(self)
    }
}

impl TlsVerifier<Suite> for Proof<'_> {
    fn set_hostname_verification(&mut self, name: &str) -> Result<(), TlsError> {
        self.certificates.set_hostname_verification(name)
    }

    fn verify_certificate(
        &mut self,
        transcript: &<Suite as embedded_tls::TlsCipherSuite>::Hash,
        certificate: CertificateRef<'_>,
    ) -> Result<(), TlsError> {
        self.stage = Stage::Refused;
        // Nothing looks whether a certificate may issue others: only the authority issues, and only it may come along.
        let issuers = certificate.entries.get(1..).unwrap_or_default();
        let is_authority =
            |entry: &CertificateEntryRef<'_>| matches!(entry, CertificateEntryRef::X509(der) if *der == self.authority);
        if certificate.entries.is_empty() || !issuers.iter().all(is_authority) {
            return Err(TlsError::InvalidCertificate);
        }
        self.certificates.verify_certificate(transcript, certificate)?;
        self.stage = Stage::Certified;
        Ok(())
    }

    fn verify_signature(&mut self, signature: CertificateVerifyRef<'_>) -> Result<(), TlsError> {
        // It can be asked only after a certificate, and once.
        let Stage::Certified = core::mem::replace(&mut self.stage, Stage::Refused) else {
            return Err(TlsError::InvalidHandshake);
        };
        self.certificates.verify_signature(signature)?;
        self.stage = Stage::Proven;
        Ok(())
    }
}
