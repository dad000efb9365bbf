//! Proxies in front of the server, which say for whom they ask.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ingot_base::network::Network;

/// The header in which proxies add, at its end, whose request they pass on.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose word is taken.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(pub Vec<Network>);

impl TrustedProxies {
    /// Whether an address is such a proxy's.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Who asks: the peer, or whoever trusted proxies asked for. What is before the last one that is
    /// not trusted, anybody may have written.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.trust(peer.ip()) {
            return peer;
        }
        let values = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        let mut client = peer.ip();
        for hop in hops.into_iter().rev() {
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.trust(address) {
                break;
            }
        }
        SocketAddr::new(client, 0)
    }
}

/// An address as proxies write it: also with a port, and IPv6 in brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let plain = hop.trim_start_matches('[').trim_end_matches(']').parse().ok();
    plain.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_no_proxy_has_is_the_clients() {
        let proxies = ["10.0.0.0/8", "fd00::/8", "192.0.2.1"];
        let proxies = proxies.map(|it| it.parse().expect("a network"));
        let proxies = TrustedProxies(proxies.to_vec());
        let client = |peer: &str, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, forwarded.parse().expect("a header"));
            let peer = SocketAddr::new(peer.parse().expect("an address"), 5);
            proxies.client(peer, &headers).ip().to_string()
        };
        assert_eq!(client("10.1.2.3", "198.51.100.7"), "198.51.100.7");
        assert_eq!(client("10.1.2.3", "1.1.1.1, 198.51.100.7, 192.0.2.1"), "198.51.100.7");
        assert_eq!(client("fd00::1", "[2001:db8::5]:443"), "2001:db8::5");
        assert_eq!(client("10.1.2.3", "198.51.100.7:1234"), "198.51.100.7");
        // Who is not trusted says what they like.
        assert_eq!(client("198.51.100.9", "1.1.1.1"), "198.51.100.9");
        assert_eq!(client("10.1.2.3", "who knows"), "10.1.2.3");
    }
}
