//! Whom a client's certificate names.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The DNS names of a certificate whose signature was verified. What cannot be read names nobody.
pub(super) fn of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let certificate = EndEntityCert::try_from(certificate);
    certificate.map(|certificate| certificate.valid_dns_names().map(str::to_owned).collect()).unwrap_or_default()
}
