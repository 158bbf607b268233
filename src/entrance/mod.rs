//! What stands before every listener, whatever is spoken behind it: how many connections there may be, TLS with its
//! certificates, how long a handshake may take, and how often somebody may guess.
//!
//! Whoever is turned away is counted, with the entrance and the reason, and never by address or name. What is remembered
//! of those outside is bounded, however many they are.

pub mod attempts;
mod listener;
mod names;
pub mod slots;
pub mod tls;

use std::net::{IpAddr, Ipv6Addr};

pub use attempts::Attempts;
pub use listener::{Guest, Listener, Stream};
pub use slots::{Place, Slots};
pub use tls::Tls;

/// Counts who was turned away, and why.
pub fn refused(entrance: &'static str, reason: &'static str) {
    metrics::counter!("fenlei_refused_total", "entrance" => entrance, "reason" => reason).increment(1);
}

/// Whom limits for each address take for one: a site of IPv6 has more addresses than anybody could remember, so all of
/// a /64 are one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), IpAddr::from([10, 0, 0, 1]));
    }
}
