//! TLS of a listener, whose certificates are looked at again while it runs.
//!
//! A new pair holds for new connections once it stood unchanged for two looks, so that a pair of which half is written is
//! not taken for a bad one. One that cannot be used changes nothing but the log and a metric: the old one goes on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whether devices must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    #[default]
    Off,
    /// Who shows one must be the one it names.
    Optional,
    /// Everybody must show one.
    Required,
}

/// Where the certificates of a listener are, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The section of the settings that names them.
    pub section: &'static str,
    /// With what leads to the authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who signs the certificates of clients, if they are asked for any.
    pub client_ca: Option<PathBuf>,
    pub clients: ClientCertificates,
}

/// Why certificates cannot be used: the setting, its file and what is wrong, and nothing of what is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsError {
    setting: String,
    file: PathBuf,
    what: String,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` = \"{}\": {}", self.setting, self.file.display(), self.what)
    }
}

impl std::error::Error for TlsError {}

/// What a listener shows and asks for. Clones share it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Files,
    protocols: Vec<Vec<u8>>,
    holds: ArcSwap<ServerConfig>,
    /// Of the contents that hold.
    loaded: [u8; 32],
}

/// The contents of the files.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files. `protocols` are those of ALPN, if any is spoken.
    pub fn load(files: Files, protocols: &[&str]) -> Result<Self, TlsError> {
        let protocols: Vec<_> = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let contents = files.read()?;
        let holds = ArcSwap::from_pointee(files.build(&contents, &protocols)?);
        Ok(Self(Arc::new(Inner { loaded: contents.digest(), files, protocols, holds })))
    }

    /// For a connection that begins now.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.0.holds.load_full()
    }

    /// Looks for new files, for ever.
    pub async fn watch(self) {
        let (files, section) = (&self.0.files, self.0.files.section);
        let (mut seen, mut judged) = (Ok(self.0.loaded), Ok(self.0.loaded));
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let reading = files.clone();
            let read = tokio::task::spawn_blocking(move || reading.read()).await;
            let Ok(read) = read else { continue };
            let now = read.as_ref().map(Contents::digest).map_err(Clone::clone);
            let settled = std::mem::replace(&mut seen, now.clone()) == now;
            if !settled || judged == now {
                continue;
            }
            judged = now;
            match read.and_then(|contents| files.build(&contents, &self.0.protocols)) {
                Ok(config) => {
                    self.0.holds.store(Arc::new(config));
                    reloaded(section, "accepted");
                    tracing::info!(section, "new certificates are in use");
                }
                Err(error) => {
                    reloaded(section, "refused");
                    tracing::error!(%error, "new certificates cannot be used: the old ones go on");
                }
            }
        }
    }
}

fn reloaded(section: &'static str, result: &'static str) {
    metrics::counter!("fenlei_certificate_reloads_total", "result" => result, "section" => section).increment(1);
}

impl Files {
    fn error(&self, key: &str, file: &Path, what: impl fmt::Display) -> TlsError {
        TlsError { setting: format!("{}.{key}", self.section), file: file.to_owned(), what: what.to_string() }
    }

    fn read(&self) -> Result<Contents, TlsError> {
        let read = |key, file: &PathBuf| std::fs::read(file).map_err(|error| self.error(key, file, error));
        let client_ca = self.client_ca.as_ref().map(|file| read("client_ca", file)).transpose()?;
        Ok(Contents { certificate: read("certificate", &self.certificate)?, key: read("key", &self.key)?, client_ca })
    }

    fn build(&self, contents: &Contents, protocols: &[Vec<u8>]) -> Result<ServerConfig, TlsError> {
        let chain = self.certificates("certificate", &self.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| self.error("key", &self.key, "there is no private key in PEM in it"))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(|error| self.error("certificate", &self.certificate, error))?;
        let builder = match self.verifier(contents, &provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            self.error("certificate", &self.certificate, format!("it does not go with `{}.key`: {error}", self.section))
        })?;
        config.alpn_protocols = protocols.to_vec();
        Ok(config)
    }

    fn verifier(
        &self,
        contents: &Contents,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(file), Some(content)) = (&self.client_ca, &contents.client_ca) else { return Ok(None) };
        let bad = |what: &dyn fmt::Display| self.error("client_ca", file, what);
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates("client_ca", file, content)? {
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = match self.clients {
            ClientCertificates::Off => return Ok(None),
            ClientCertificates::Optional => builder.allow_unauthenticated(),
            ClientCertificates::Required => builder,
        };
        Ok(Some(builder.build().map_err(|error| bad(&error))?))
    }

    fn certificates(&self, key: &str, file: &Path, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
        let found = found.ok().filter(|found| !found.is_empty());
        found.ok_or_else(|| self.error(key, file, "there is no certificate in PEM in it"))
    }
}

impl Contents {
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for content in [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten() {
            digest.update(Sha256::digest(content));
        }
        digest.finalize().into()
    }
}
