//! Somebody who signs certificates, for brokers, pages and devices.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};

/// The last day on which what it signs holds.
pub(crate) const EXPIRES: i32 = 2035;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Fenlei devices");
        let own = params.self_signed(&key).unwrap();
        let (der, pem) = (own.der().to_vec(), own.pem());
        Self { issuer: Issuer::new(params, key), der, pem }
    }

    /// Of a server of that name, which is also on this machine.
    pub(crate) fn certify(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        self.sign(params, EXPIRES)
    }

    /// Of a device.
    pub(crate) fn device(&self, id: &str) -> Pair {
        self.device_until(id, EXPIRES)
    }

    pub(crate) fn device_until(&self, id: &str, year: i32) -> Pair {
        let mut params = CertificateParams::new([id.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Fenlei device");
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        self.sign(params, year)
    }

    fn sign(&self, mut params: CertificateParams, year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(year, 1, 1));
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}
