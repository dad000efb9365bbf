//! `ssh_local_tunnels` and `ssh_remote_tunnels`.

/// A port that is forwarded through the connection, written `PORT:HOST:HOSTPORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tunnel {
    /// The port of localhost that is listened on: the machine's for remote tunnels, this one's
    /// for local tunnels.
    pub listen: u16,
    /// The host that the other side connects to.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Tunnel {
    /// Reads `PORT:HOST:HOSTPORT`; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// What is wrong with `text`.
    pub(crate) fn parse(text: &str) -> Result<Tunnel, String> {
        let shape = || format!("{text:?} is not of the form PORT:HOST:HOSTPORT");
        let (listen, address) = text.split_once(':').ok_or_else(shape)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(shape)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(shape());
        }
        let number = |port: &str| match port.parse::<u16>() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(format!("{port:?} in {text:?} is not a port (1 to 65535)")),
        };
        Ok(Tunnel { listen: number(listen)?, host: host.to_owned(), port: number(port)? })
    }
}

impl std::fmt::Display for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.listen, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let of = |text| Tunnel::parse(text).map(|tunnel| (tunnel.listen, tunnel.host, tunnel.port));
        assert_eq!(of("8080:localhost:80"), Ok((8080, "localhost".into(), 80)));
        assert_eq!(of("8080:[::1]:80"), Ok((8080, "::1".into(), 80)));
        assert!(of("8080").unwrap_err().contains("PORT:HOST:HOSTPORT"));
        assert!(of("8080:80").unwrap_err().contains("PORT:HOST:HOSTPORT"));
        assert!(of("http:localhost:80").unwrap_err().contains("\"http\""));
        assert!(of("8080:localhost:99999").unwrap_err().contains("99999"));
    }
}
