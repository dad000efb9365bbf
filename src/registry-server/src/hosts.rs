//! Hosts that the server may send requests to: those that its administrator named, and for webhooks
//! those outside of its own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ingot_base::proxy::Proxies;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// How long looking up a name may take.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Whether one of `hosts` (`HOST`, `HOST:PORT` or `*.DOMAIN`) is that of a URL.
pub(super) fn names(hosts: &[String], url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    hosts.iter().any(|named| {
        let (name, port) = split_port(named);
        let name_fits = match name.strip_prefix("*.") {
            Some(domain) => {
                host.strip_suffix(&domain.to_ascii_lowercase()).is_some_and(|it| it.ends_with('.'))
            }
            None => name.eq_ignore_ascii_case(&host),
        };
        name_fits && port.is_none_or(|port| url.port_or_known_default() == Some(port))
    })
}

/// `HOST` or `HOST:PORT`, with an IPv6 address in brackets if there is a port, without which every
/// port is meant.
fn split_port(named: &str) -> (&str, Option<u16>) {
    let bare_v6 = named.matches(':').count() > 1 && !named.contains(']');
    match named.rsplit_once(':') {
        Some((host, port)) if !bare_v6 => match port.parse() {
            Ok(port) => (host.trim_matches(['[', ']']), Some(port)),
            Err(_) => (named.trim_matches(['[', ']']), None),
        },
        _ => (named.trim_matches(['[', ']']), None),
    }
}

/// Checks the URL of a webhook that somebody adds who does not have the server itself: `https`, and
/// not to the server's own network, but for the hosts that `named` has.
///
/// # Errors
/// Why it is refused, as a sentence.
pub(super) async fn check_webhook(named: &[String], text: &str) -> Result<(), String> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let url = url.ok_or("This is not a URL: write https://HOST/PATH.")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("A webhook’s URL begins with https://, not {}:.", url.scheme()));
    }
    if names(named, &url) {
        return Ok(());
    }
    if url.scheme() != "https" {
        return Err(
            "A webhook’s URL begins with https://: otherwise others can read the events on the \
                    way."
                .into(),
        );
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host.as_str(), port)));
    let addresses: Vec<IpAddr> = match found.await {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect(),
        _ => Vec::new(),
    };
    if addresses.is_empty() {
        return Err(format!("The server cannot find the host {host}."));
    }
    match addresses.into_iter().all(is_public) {
        true => Ok(()),
        false => Err(format!(
            "{host} is in the server’s own network. Whoever runs the server can allow it with \
             -webhook-host {host}."
        )),
    }
}

/// Whether the host of a URL is an address of the server's own network. No name is looked up for it.
pub(super) fn is_private_literal(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.parse().is_ok_and(|address: IpAddr| !is_public(address))
}

/// Looks names up, and finds only addresses outside of the server's own network.
#[derive(Debug)]
pub(super) struct PublicOnly {
    /// The proxy of the environment, which may be anywhere: what a request sent to it reaches is its
    /// to say.
    proxy: Option<String>,
}

impl PublicOnly {
    pub(super) fn new() -> Arc<Self> {
        let proxies = Proxies::from_environment();
        let proxy = proxies.https().and_then(Url::host_str).map(str::to_owned);
        Arc::new(PublicOnly { proxy })
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let proxy = self.proxy.as_deref();
        let any = proxy.is_some_and(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        Box::pin(look_up(name, any))
    }
}

/// The addresses of a name that are public, or all of them.
async fn look_up(name: Name, any: bool) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let found: Vec<SocketAddr> = found.filter(|it| any || is_public(it.ip())).collect();
    if found.is_empty() {
        return Err(
            "it is in the server's own network, where webhooks that were added on the pages \
                    may not be"
                .into(),
        );
    }
    Ok(Box::new(found.into_iter()))
}

/// Whether an address may be one of the internet at large (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!(
            (a, b, c),
            (0 | 224.., ..) | (100, 64..=127, _) | (192, 0, 0) | (198, 18..=19, _)
        );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // An IPv4 address in another form: mapped, translated, 6to4.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            let [.., a, b, c, d] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2002, ..] => {
            let [_, _, a, b, c, d, ..] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Of what is not for a network of its own only this part is given out.
        [first, second, ..] => {
            first & 0xe000 == 0x2000 && !matches!((first, second), (0x2001, 0..=0x1ff | 0xdb8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        let public = |text: &str| is_public(text.parse().expect("an address"));
        for text in ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(public(text), "{text}");
        }
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(!public(text), "{text}");
        }
    }

    #[tokio::test]
    async fn webhooks_go_where_they_may() {
        let named = ["127.0.0.1:8080".to_owned(), "*.corp.example".to_owned()];
        for url in ["http://127.0.0.1:8080/hook", "https://ci.corp.example/x", "https://1.1.1.1/"] {
            assert_eq!(check_webhook(&named, url).await, Ok(()), "{url}");
        }
        for (url, why) in [
            ("hook", "not a URL"),
            ("ftp://1.1.1.1/", "https://"),
            ("http://1.1.1.1/", "https://"),
            ("https://127.0.0.1:8081/", "-webhook-host 127.0.0.1"),
            ("https://[::1]/", "own network"),
            ("https://localhost/", "own network"),
            ("https://nowhere.invalid/", "cannot find the host nowhere.invalid"),
        ] {
            let message = check_webhook(&named, url).await.expect_err(url);
            assert!(message.contains(why), "{url}: {message}");
        }
    }

    #[tokio::test]
    async fn names_that_lead_to_the_own_network_are_not_found() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let refused = look_up(name("localhost"), false).await.err().expect("it is refused");
        assert!(refused.to_string().contains("own network"), "{refused}");
        // A proxy may be anywhere.
        assert!(look_up(name("localhost"), true).await.is_ok());
        for (url, private) in [("https://127.0.0.1/", true), ("https://[::1]/", true)]
            .into_iter()
            .chain([("https://1.1.1.1/", false), ("https://localhost/", false)])
        {
            assert_eq!(is_private_literal(&Url::parse(url).expect("a URL")), private, "{url}");
        }
    }
}
