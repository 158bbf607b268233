//! Who may connect, publish and subscribe on the embedded broker. A device is its id, and sees only itself.

use fenlei_wire::topic::Topic;
use fenlei_wire::vocabulary::Channel;

use crate::credentials;
use crate::domain::registry::Registry;
use crate::entrance::tls::ClientCertificates;

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No such device, or not its secret: which of the two is nobody's business.
    Credentials,
    /// A device's client id is its own id, so that nobody can take another's session over.
    ClientId,
}

/// Whether a device may connect.
pub fn login(registry: &Registry, client_id: &str, user: Option<&str>, secret: Option<&[u8]>) -> Result<(), Refused> {
    let device = user.and_then(|user| registry.devices.get(user)).ok_or(Refused::Credentials)?;
    let secret = secret.and_then(|secret| std::str::from_utf8(secret).ok()).ok_or(Refused::Credentials)?;
    if !credentials::verify(&device.password, secret) {
        return Err(Refused::Credentials);
    }
    if client_id == device.id { Ok(()) } else { Err(Refused::ClientId) }
}

/// Whether the certificate that a device showed, which names these, is its own; some need to show none.
pub fn is_named(asked: ClientCertificates, shown: Option<&[String]>, device: &str) -> bool {
    match (asked, shown) {
        (ClientCertificates::Off, _) | (ClientCertificates::Optional, None) => true,
        (ClientCertificates::Required, None) => false,
        (_, Some(names)) => names.iter().any(|name| name == device),
    }
}

/// Whether a device may publish to a topic, by a publish or by its will.
pub fn may_publish(registry: &Registry, device: Option<&str>, topic: &str) -> bool {
    own(registry, device, topic, &[Channel::Event, Channel::State])
}

/// Whether a device may subscribe to a filter: its own topics by their full names, shared or not.
pub fn may_subscribe(registry: &Registry, device: Option<&str>, filter: &str) -> bool {
    let filter = match filter.strip_prefix("$share/") {
        Some(shared) => match shared.split_once('/') {
            Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) => filter,
            _ => return false,
        },
        None => filter,
    };
    own(registry, device, filter, &[Channel::Command, Channel::Config, Channel::Receipt])
}

fn own(registry: &Registry, device: Option<&str>, topic: &str, channels: &[Channel]) -> bool {
    let Some(device) = device.and_then(|device| registry.devices.get(device)) else { return false };
    Topic::parse(topic).is_some_and(|topic| {
        topic.device == device.id
            && topic.site == device.site
            && topic.kind == device.kind
            && channels.contains(&topic.channel)
    })
}

#[cfg(test)]
mod tests {
    use fenlei_wire::vocabulary::DeviceKind;

    use super::*;
    use crate::domain::registry::Device;

    fn registry() -> (Registry, String) {
        let (secret, password) = credentials::generate().unwrap();
        let device = Device {
            key: 1,
            id: "bin-1".into(),
            site: "north".into(),
            kind: DeviceKind::Bin,
            name: None,
            streams: None,
            incarnation: 1,
            password,
        };
        let mut registry = Registry::default();
        registry.devices.insert(device.id.clone(), device);
        (registry, secret)
    }

    #[test]
    fn a_device_logs_in_as_itself_only() {
        let (registry, secret) = registry();
        let login = |client, user, secret: &str| login(&registry, client, user, Some(secret.as_bytes()));
        assert_eq!(login("bin-1", Some("bin-1"), &secret), Ok(()));
        assert_eq!(login("bin-2", Some("bin-1"), &secret), Err(Refused::ClientId));
        assert_eq!(login("bin-1", Some("bin-1"), "wrong"), Err(Refused::Credentials));
        assert_eq!(login("bin-2", Some("bin-2"), &secret), Err(Refused::Credentials));
        assert_eq!(login("bin-1", None, &secret), Err(Refused::Credentials));
    }

    #[test]
    fn a_certificate_is_of_the_device_that_it_names() {
        use ClientCertificates::{Off, Optional, Required};
        let named = |asked, names: Option<&[&str]>| {
            let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
            is_named(asked, names.as_deref(), "bin-1")
        };
        for asked in [Off, Optional, Required] {
            assert!(named(asked, Some(&["Fenlei", "bin-1"])), "{asked:?}");
            assert_eq!(named(asked, Some(&["bin-2"])), asked == Off, "{asked:?}");
            assert_eq!(named(asked, Some(&[])), asked == Off, "{asked:?}");
            assert_eq!(named(asked, None), asked != Required, "{asked:?}");
        }
    }

    #[test]
    fn a_device_reaches_only_its_own_topics() {
        let (registry, _) = registry();
        let publish = |topic| may_publish(&registry, Some("bin-1"), topic);
        assert!(publish("fenlei/v1/north/bin/bin-1/event") && publish("fenlei/v1/north/bin/bin-1/state"));
        for foreign in [
            "fenlei/v1/north/bin/bin-2/event",
            "fenlei/v1/south/bin/bin-1/event",
            "fenlei/v1/north/camera/bin-1/event",
            "fenlei/v1/north/bin/bin-1/command",
            "fenlei/v1/north/bin/bin-1/receipt",
            "elsewhere",
        ] {
            assert!(!publish(foreign), "{foreign}");
        }
        let subscribe = |filter| may_subscribe(&registry, Some("bin-1"), filter);
        assert!(subscribe("fenlei/v1/north/bin/bin-1/command") && subscribe("fenlei/v1/north/bin/bin-1/receipt"));
        assert!(subscribe("$share/group/fenlei/v1/north/bin/bin-1/config"));
        for foreign in [
            "#",
            "fenlei/#",
            "fenlei/v1/north/bin/+/command",
            "fenlei/v1/north/bin/bin-1/event",
            "$share/g/#",
            "$share//fenlei/v1/north/bin/bin-1/config",
            "$share/+/fenlei/v1/north/bin/bin-1/config",
            "$share/g",
        ] {
            assert!(!subscribe(foreign), "{foreign}");
        }
        assert!(!may_publish(&registry, None, "fenlei/v1/north/bin/bin-1/event"));
    }
}
