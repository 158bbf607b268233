//! The address of an external broker, with a login that no message and no debug print shows.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

const EXPECTED: &str = "mqtt://user:password@host:port, or mqtts:// with TLS, special characters of the password \
                        percent-encoded (# as %23)";

/// Where an external broker is, and how to log in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerUrl {
    pub host: String,
    pub port: u16,
    /// Whether it is reached by TLS.
    pub tls: bool,
    pub login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    /// Empty where the broker asks for none.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl BrokerUrl {
    /// Reads a URL; answers what is expected when it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| EXPECTED.to_owned())?;
        let (tls, default_port) = match url.scheme() {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(EXPECTED.to_owned()),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(Host::Domain(_)) | None => return Err(EXPECTED.to_owned()),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{EXPECTED}, and nothing after the port"));
        }
        let decode =
            |text: &str| percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| EXPECTED.to_owned());
        let (user, password) = (decode(url.username())?, decode(url.password().unwrap_or_default())?);
        let login = match (user.is_empty(), password.is_empty()) {
            (false, _) => Some(Login { user, password }),
            (true, true) => None,
            (true, false) => return Err(EXPECTED.to_owned()),
        };
        Ok(Self { host, port: url.port().unwrap_or(default_port), tls, login })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_decoded_and_never_printed() {
        let url = BrokerUrl::parse("mqtt://fenlei:p%23ss%20w@broker.example:2883").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("broker.example", 2883));
        assert_eq!(url.login.as_ref().map(|login| login.password.as_str()), Some("p#ss w"));
        let printed = format!("{url:?}");
        assert!(printed.contains("fenlei") && !printed.contains("ss"), "{printed}");
    }

    #[test]
    fn host_and_port_have_their_forms() {
        let parse = |text| BrokerUrl::parse(text).unwrap();
        assert_eq!(parse("mqtt://[::1]:99"), BrokerUrl { host: "::1".into(), port: 99, tls: false, login: None });
        assert_eq!(
            parse("mqtt://10.0.0.1"),
            BrokerUrl { host: "10.0.0.1".into(), port: 1883, tls: false, login: None }
        );
        assert_eq!(parse("mqtts://h"), BrokerUrl { host: "h".into(), port: 8883, tls: true, login: None });
    }

    #[test]
    fn what_is_no_broker_is_refused_without_being_repeated() {
        for wrong in [
            "secret",
            "mqtt:secret",
            "mqtt://",
            "https://u:secret@h",
            "mqtt://u:secret#x@h:1",
            "mqtt://:secret@h",
            "mqtt://u:secret@h:99999",
            "mqtt://u:secret@h/path",
            "mqtt://u:%ffsecret@h",
        ] {
            let expected = BrokerUrl::parse(wrong).unwrap_err();
            assert!(expected.starts_with(EXPECTED) && !expected.contains("secret"), "{wrong}: {expected}");
        }
    }
}
