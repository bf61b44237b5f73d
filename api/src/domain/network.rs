//! IP networks: those of trusted proxies, and those by which clients are counted.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// Parses a network like `10.0.0.0/8` or `fd00::/8`, or one address. The error is a message for the operator.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = if text.contains('/') { text.parse().ok() } else { text.parse().ok().map(|address: IpAddr| IpNet::from(address)) };
    network.ok_or_else(|| format!("{text:?} is no network like 10.0.0.0/8 or fd00::/8"))
}

/// The network that one customer has: an IPv4 address itself, and the /64 of an IPv6 address, since providers give each customer
/// one.
pub fn customer_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |network: &str, address: &str| {
            let address: IpAddr = address.parse().unwrap();
            parse_network(network).unwrap().contains(&address.to_canonical())
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(holds("10.1.2.3/8", "10.255.0.1"));
        assert!(holds(" 10.0.0.0/8 ", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(!holds("::/0", "203.0.113.9"));
        assert!(holds("fd00::/8", "fd12::1"));
        assert!(!holds("fd00::/8", "fe80::1"));
        assert!(holds("127.0.0.1", "127.0.0.1"));
        assert!(!holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "x", "::/129"] {
            assert!(parse_network(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_customer_with_many_ipv6_addresses_is_one() {
        let of = |text: &str| text.parse().map(customer_network).map(|address| address.to_string()).unwrap_or_default();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
        assert_eq!(of("203.0.113.9"), "203.0.113.9");
    }
}
