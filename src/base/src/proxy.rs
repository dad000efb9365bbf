//! Which requests go through a proxy: by the rules of programs in Go, as Packer and its plugins
//! (`golang.org/x/net/http/httpproxy`). Other libraries read the same variables in the way of curl,
//! which sends through a proxy also what is for this machine.

use std::net::IpAddr;

use reqwest::Url;

use crate::environment::set_text;
use crate::network::Network;

/// The proxies of the environment. They may hold passwords, and so cannot be printed.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    without: Vec<Entry>,
}

/// One entry of `NO_PROXY`.
#[derive(Clone)]
enum Entry {
    /// `*`
    All,
    /// `10.0.0.0/8`
    Network(Network),
    /// `192.0.2.1`, `192.0.2.1:8080`; without a port it is empty.
    Address { address: IpAddr, port: String },
    /// `example.com`, `.example.com`, `*.example.com`, also with a port. The domain begins with a dot.
    Domain { domain: String, with_itself: bool, port: String },
}

impl Proxies {
    /// What `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say, or these names in lower case where one is
    /// not set or empty.
    pub fn from_environment() -> Proxies {
        Proxies::read(set_text)
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let first = |upper: &str| variable(upper).or_else(|| variable(&upper.to_ascii_lowercase()));
        // In a program that a web server runs for each request (CGI), clients set it with a header.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http = first("HTTP_PROXY").filter(|_| !is_cgi);
        let without = first("NO_PROXY").unwrap_or_default();
        Proxies {
            http: http.as_deref().and_then(proxy),
            https: first("HTTPS_PROXY").as_deref().and_then(proxy),
            without: without.split(',').filter_map(Entry::read).collect(),
        }
    }

    /// The proxy for requests to `url`; none if they go straight there, as to this machine itself.
    pub fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        };
        proxy.filter(|_| !self.passes_by(url))
    }

    /// The proxy for `https` URLs.
    pub fn https(&self) -> Option<&Url> {
        self.https.as_ref()
    }

    fn passes_by(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse().ok();
        let address = address.map(|address: IpAddr| address.to_canonical());
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        let port = url.port_or_known_default().map_or_else(String::new, |port| port.to_string());
        self.without.iter().any(|entry| entry.matches(host, address, &port))
    }
}

/// The URL of a proxy; `HOST:PORT` is one for HTTP. As in Go, what is none counts as not set.
fn proxy(text: &str) -> Option<Url> {
    let whole = Url::parse(text).ok().filter(Url::has_host);
    let mut url = whole.or_else(|| Url::parse(&format!("http://{text}")).ok())?;
    // Go has names looked up by the proxy in both cases.
    if url.scheme() == "socks5" {
        url.set_scheme("socks5h").ok()?;
    }
    Some(url)
}

impl Entry {
    fn read(text: &str) -> Option<Entry> {
        let text = text.trim().to_lowercase();
        if text == "*" {
            return Some(Entry::All);
        }
        if text.contains('/')
            && let Ok(network) = text.parse()
        {
            return Some(Entry::Network(network));
        }
        let (host, port) = split_port(&text);
        let port = port.to_owned();
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Entry::Address { address: address.to_canonical(), port });
        }
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let (name, with_itself) = match name.strip_prefix('.') {
            Some(name) => (name, false),
            None if name.is_empty() => return None,
            None => (name, true),
        };
        Some(Entry::Domain { domain: format!(".{}", as_in_urls(name)), with_itself, port })
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, asked: &str) -> bool {
        let port_fits = |port: &str| port.is_empty() || port == asked;
        match (self, address) {
            (Entry::All, _) => true,
            (Entry::Network(network), Some(address)) => network.contains(address),
            (Entry::Address { address: one, port }, Some(address)) => {
                *one == address && port_fits(port)
            }
            (Entry::Domain { domain, with_itself, port }, None) => {
                let is_itself = *with_itself && domain.strip_prefix('.') == Some(host);
                (is_itself || host.ends_with(domain.as_str())) && port_fits(port)
            }
            _ => false,
        }
    }
}

/// `HOST:PORT` and `[IPV6]:PORT`. What is not of this form has no port.
fn split_port(entry: &str) -> (&str, &str) {
    let split = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => entry.split_once(':'),
    };
    split.filter(|(_, port)| !port.contains(':')).unwrap_or((entry, ""))
}

/// A name in the form that it has in a URL: with letters of ASCII alone.
fn as_in_urls(name: &str) -> String {
    let url = match name.is_ascii() {
        true => None,
        false => Url::parse(&format!("http://{name}/")).ok(),
    };
    url.as_ref().and_then(|url| url.host_str()).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "http://proxy.example:3128/";

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(one, value)| *one == name && !value.is_empty());
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&url.parse().unwrap()).map(Url::to_string)
    }

    #[test]
    fn this_machine_is_never_asked_through_a_proxy() {
        let all = proxies(&[("HTTP_PROXY", PROXY), ("HTTPS_PROXY", PROXY)]);
        for near in [
            "http://localhost/",
            "https://localhost:8200/",
            "http://127.0.0.1:5985/wsman",
            "http://127.9.9.9/",
            "http://[::1]:8500/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert_eq!(of(&all, near), None, "{near}");
        }
        for far in ["http://localhost.example/", "http://10.0.0.1/", "https://[2001:db8::1]/"] {
            assert_eq!(of(&all, far).as_deref(), Some(PROXY), "{far}");
        }
        assert_eq!(of(&all, "ftp://example.com/"), None);
    }

    #[test]
    fn entries_of_no_proxy() {
        for (entries, url, is_proxied) in [
            ("", "http://example.com/", true),
            ("*", "http://example.com/", false),
            ("other.example, *", "https://192.0.2.1/", false),
            ("*:80", "http://example.com/", true),
            // A name is also the names below it.
            ("example.com", "http://example.com/", false),
            ("example.com", "http://www.EXAMPLE.com:8080/", false),
            ("Example.COM", "http://example.com/", false),
            ("example.com", "http://myexample.com/", true),
            ("example.com", "http://example.com.other/", true),
            // With a dot it is these alone.
            (".example.com", "http://example.com/", true),
            (".example.com", "http://a.b.example.com/", false),
            ("*.example.com", "http://example.com/", true),
            ("*.example.com", "http://www.example.com/", false),
            ("*.example.com:8080", "http://www.example.com:8080/", false),
            ("*.example.com:8080", "http://www.example.com/", true),
            ("*example.com", "http://www.example.com/", true),
            ("www.*.com", "http://www.example.com/", true),
            // Ports.
            ("example.com:80", "http://example.com/", false),
            ("example.com:443", "https://www.example.com/", false),
            ("example.com:443", "http://example.com/", true),
            ("example.com:", "http://example.com:81/", false),
            (":80", "http://example.com/", true),
            // Addresses, and networks.
            ("192.0.2.2", "http://192.0.2.2:18082/", false),
            ("192.0.2.2:18082", "http://192.0.2.2:18082/", false),
            ("192.0.2.2:18082", "http://192.0.2.2/", true),
            ("192.0.2", "http://192.0.2.2/", true),
            ("192.0.2.0/24", "https://192.0.2.2:8443/", false),
            ("192.0.2.0/24", "http://192.0.3.2/", true),
            ("192.0.2.0/33", "http://192.0.2.0/", true),
            ("2001:db8::1", "http://[2001:db8::1]:8080/", false),
            ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080/", false),
            ("[2001:db8::1]:8080", "http://[2001:db8::1]/", true),
            ("2001:db8::/32", "http://[2001:db8:1::1]/", false),
            ("192.0.2.2", "http://[::ffff:192.0.2.2]/", false),
            // Several.
            ("a.example,, b.example ,c.example", "http://b.example/", false),
            ("a.example b.example", "http://b.example/", true),
            ("bücher.example", "http://bücher.example/", false),
            (".bücher.example", "http://www.xn--bcher-kva.example/", false),
        ] {
            let all = [("HTTP_PROXY", PROXY), ("HTTPS_PROXY", PROXY), ("NO_PROXY", entries)];
            let got = of(&proxies(&all), url);
            assert_eq!(got.as_deref(), is_proxied.then_some(PROXY), "{entries:?}: {url}");
        }
    }

    #[test]
    fn variables_are_read_as_in_go() {
        let lower = proxies(&[
            ("HTTP_PROXY", ""),
            ("http_proxy", "proxy.example:3128"),
            ("NO_PROXY", ""),
            ("no_proxy", "near.example"),
        ]);
        assert_eq!(of(&lower, "http://example.com/").as_deref(), Some(PROXY));
        assert_eq!(of(&lower, "http://near.example/"), None);
        assert_eq!(of(&lower, "https://example.com/"), None);
        let both = [("https_proxy", "http://other.example"), ("HTTPS_PROXY", PROXY)];
        assert_eq!(proxies(&both).https().map(Url::as_str), Some(PROXY));
        // Go does not know it.
        assert_eq!(of(&proxies(&[("ALL_PROXY", PROXY)]), "http://example.com/"), None);
        let cgi = [("HTTP_PROXY", PROXY), ("HTTPS_PROXY", PROXY), ("REQUEST_METHOD", "GET")];
        assert_eq!(of(&proxies(&cgi), "http://example.com/"), None);
        assert_eq!(of(&proxies(&cgi), "https://example.com/").as_deref(), Some(PROXY));
    }

    #[test]
    fn urls_of_proxies() {
        for (text, url) in [
            ("proxy.example", Some("http://proxy.example/")),
            ("localhost:3128", Some("http://localhost:3128/")),
            ("me:p%40w@proxy.example:3128", Some("http://me:p%40w@proxy.example:3128/")),
            ("https://proxy.example", Some("https://proxy.example/")),
            ("socks5://proxy.example:1080", Some("socks5h://proxy.example:1080")),
            ("a b", None),
        ] {
            assert_eq!(proxy(text).as_ref().map(Url::as_str), url, "{text}");
        }
    }
}
