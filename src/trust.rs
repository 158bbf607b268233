//! Whom we trust where we connect to others by TLS: the authorities of the system, or the one that the settings name.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why an authority cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("there is no certificate of an authority in PEM in it")]
    NoCertificate,
}

/// Trusts the authorities that the system trusts.
pub fn system() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (trusted, _) = roots.add_parsable_certificates(found.certs);
    if trusted == 0 {
        tracing::warn!("the system has no trusted certificates: nothing can be reached by TLS that needs one");
    }
    client(roots)
}

/// Trusts those in a file of PEM, and nobody else.
pub fn authority(file: &Path) -> Result<ClientConfig, TrustError> {
    let pem = std::fs::read(file)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| TrustError::NoCertificate)?;
        roots.add(certificate).map_err(|_| TrustError::NoCertificate)?;
    }
    if roots.is_empty() { Err(TrustError::NoCertificate) } else { Ok(client(roots)) }
}

fn client(roots: RootCertStore) -> ClientConfig {
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS);
    match versions {
        Ok(versions) => versions.with_root_certificates(roots).with_no_client_auth(),
        // ring knows both versions of TLS: this is never so.
        Err(_) => ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
    }
}
