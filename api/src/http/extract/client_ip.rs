//! Where a request comes from. `X-Forwarded-For` is believed only from proxies that were named.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

use crate::state::AppState;

/// The address of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl FromRequestParts<AppState> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
        Ok(Self(client(peer, &parts.headers, &state.trusted_proxies)))
    }
}

/// The address that a trusted proxy gave for the client; nothing where none did. The peer itself may then be a proxy that nobody
/// named, and stand for everyone.
pub fn named_client(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    if trusted.is_empty() {
        return None;
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip();
    let client = client(peer, request.headers(), trusted);
    let is_named = client != peer.to_canonical() && !trusted.iter().any(|network| network.contains(&client));
    is_named.then_some(client)
}

/// Walks `X-Forwarded-For` from the nearest hop outward, as long as each hop is a trusted proxy.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    let hops = headers.get_all("x-forwarded-for").iter().rev().filter_map(|value| value.to_str().ok());
    for hop in hops.flat_map(|value| value.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::domain::network::parse_network;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|text| parse_network(text).unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_forged_header_changes_nothing() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("10.1.2.3", &["6.6.6.6, 198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(seen("10.1.2.3", &["6.6.6.6", "198.51.100.1, 10.9.9.9"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(seen("10.1.2.3", &["garbage"], &["10.0.0.0/8"]), "10.1.2.3");
    }

    #[test]
    fn only_a_trusted_proxy_names_a_client() {
        let named = |peer: &str, forwarded: &str, trusted: &[&str]| {
            let trusted: Vec<IpNet> = trusted.iter().map(|text| parse_network(text).unwrap()).collect();
            let mut request = Request::new(axum::body::Body::empty());
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4_000)));
            request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
            named_client(&request, &trusted).map(|address| address.to_string())
        };
        assert_eq!(named("10.1.2.3", "198.51.100.1", &["10.0.0.0/8"]).as_deref(), Some("198.51.100.1"));
        // A proxy that was not named, one that names nobody, and one that names another.
        assert_eq!(named("203.0.113.9", "198.51.100.1", &[]), None);
        assert_eq!(named("203.0.113.9", "198.51.100.1", &["10.0.0.0/8"]), None);
        assert_eq!(named("10.1.2.3", "garbage", &["10.0.0.0/8"]), None);
        assert_eq!(named("10.1.2.3", "10.9.9.9", &["10.0.0.0/8"]), None);
    }
}
