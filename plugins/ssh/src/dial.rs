//! Sockets to SSH servers.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_socks::tcp::Socks5Stream;

use crate::auth::{Endpoint, Failure, Kind};
use crate::settings::Proxy;

/// How long one attempt to connect may take, as in Packer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long one address of a name is tried alone before the next is tried beside it; Go's.
const HEAD_START: Duration = Duration::from_millis(300);

/// How long what was sent may stay unacknowledged before the system gives the connection up.
/// With the server asked for signs of life, this is how a machine that is gone is noticed.
const DEAD_PEER: Duration = Duration::from_secs(60);

/// Connects to the server at `endpoint`.
pub(crate) async fn direct(endpoint: &Endpoint) -> Result<OwnedFd, Failure> {
    let name = endpoint.to_string();
    let connecting = connect(&endpoint.host, endpoint.port, &name);
    match tokio::time::timeout(DIAL_TIMEOUT, connecting).await {
        Ok(stream) => ready(stream?),
        Err(_) => Err(no_answer(&name)),
    }
}

/// Connects to a port of `host`, which messages call `what`.
async fn connect(host: &str, port: u16, what: &str) -> Result<TcpStream, Failure> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        tracing::debug!(host, %error, "looking up a name");
        let message = format!("cannot connect to {what}: there is no host of that name");
        Failure::new(Kind::Network, message)
            .hint("check the name; an address works where there is no DNS")
    })?;
    any_of(found.collect()).await.map_err(|error| dial_failure(&error, what))
}

/// Connects to what a remote tunnel leads to.
pub(crate) async fn tunnel_target(host: &str, port: u16) -> std::io::Result<std::net::TcpStream> {
    let connecting = async { any_of(tokio::net::lookup_host((host, port)).await?.collect()).await };
    tokio::time::timeout(DIAL_TIMEOUT, connecting).await??.into_std()
}

/// Connects to the first of `addresses` that answers. One that is silent, as where a firewall drops
/// IPv6, must not use up the time of the others.
async fn any_of(addresses: Vec<SocketAddr>) -> std::io::Result<TcpStream> {
    let mut left = by_turns(addresses).into_iter();
    let mut attempts = JoinSet::new();
    let mut failed = None;
    loop {
        let next = left.next();
        if let Some(address) = next {
            attempts.spawn(TcpStream::connect(address));
        }
        tokio::select! {
            biased;
            Some(ended) = attempts.join_next() => {
                match ended.unwrap_or_else(|error| Err(error.into())) {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failed = Some(error),
                }
            }
            () = tokio::time::sleep(HEAD_START), if next.is_some() => {}
            else => return Err(failed.unwrap_or_else(|| std::io::Error::other("it has no address"))),
        }
    }
}

/// Addresses of IPv6 and of IPv4 by turns, beginning with the first.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins_with_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let is_first = |address: &SocketAddr| address.is_ipv6() == begins_with_v6;
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_first);
    let turns = 0..first.len().max(second.len());
    turns.flat_map(|turn| [first.get(turn), second.get(turn)]).flatten().copied().collect()
}

/// Connects to the server at `endpoint` through a SOCKS5 proxy, which looks up its name.
pub(crate) async fn through_proxy(proxy: &Proxy, endpoint: &Endpoint) -> Result<OwnedFd, Failure> {
    let name = format!("the proxy {}:{} (ssh_proxy_host)", proxy.host, proxy.port);
    let connecting = async {
        let stream = connect(&proxy.host, proxy.port, &name).await?;
        let target = (endpoint.host.as_str(), endpoint.port);
        let connected = match &proxy.login {
            Some((user, password)) => {
                Socks5Stream::connect_with_password_and_socket(stream, target, user, password).await
            }
            None => Socks5Stream::connect_with_socket(stream, target).await,
        };
        connected
            .map(Socks5Stream::into_inner)
            .map_err(|error| proxy_failure(&error, &name, endpoint))
    };
    match tokio::time::timeout(DIAL_TIMEOUT, connecting).await {
        Ok(stream) => ready(stream?),
        Err(_) => Err(no_answer(&format!("{endpoint} through {name}"))),
    }
}

fn ready(stream: TcpStream) -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| Failure::new(Kind::Network, error.to_string());
    stream.set_nodelay(true).map_err(failed)?;
    let stream = stream.into_std().map_err(failed)?;
    #[cfg(target_os = "linux")]
    {
        let limit = u32::try_from(DEAD_PEER.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, limit) {
            tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
        }
    }
    Ok(stream.into())
}

fn no_answer(what: &str) -> Failure {
    let seconds = DIAL_TIMEOUT.as_secs();
    Failure::new(Kind::Network, format!("no response from {what} within {seconds} seconds"))
        .hint("check the address, and that no firewall drops connections to this port")
}

fn dial_failure(error: &std::io::Error, what: &str) -> Failure {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let message = |problem: &str| format!("cannot connect to {what}: {problem}");
    match error.kind() {
        ConnectionRefused => Failure::new(Kind::Network, message("the connection was refused"))
            .hint("check the port, and that a server is running there"),
        HostUnreachable | NetworkUnreachable => {
            Failure::new(Kind::Network, message("the host cannot be reached"))
                .hint("check the address and the network")
        }
        _ => Failure::new(Kind::Network, message(&error.to_string())),
    }
}

fn proxy_failure(error: &tokio_socks::Error, name: &str, endpoint: &Endpoint) -> Failure {
    use tokio_socks::Error;
    match error {
        Error::PasswordAuthFailure(_) | Error::NoAcceptableAuthMethods => {
            Failure::new(Kind::Login, format!("{name} does not let us in"))
                .hint("check ssh_proxy_username and ssh_proxy_password")
        }
        Error::ConnectionRefused
        | Error::HostUnreachable
        | Error::NetworkUnreachable
        | Error::TtlExpired
        | Error::ConnectionNotAllowedByRuleset
        | Error::GeneralSocksServerFailure => {
            Failure::new(Kind::Network, format!("{name} cannot connect to {endpoint}: {error}"))
                .hint("check the address as the proxy sees it, and the proxy's rules")
        }
        _ => Failure::new(Kind::Network, format!("{name} does not speak SOCKS5: {error}"))
            .hint("check ssh_proxy_host and ssh_proxy_port"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_others() {
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = silent.listen(0).unwrap();
        let there = silent.local_addr().unwrap();
        // Nobody accepts them. Once there is no room for another, nothing is answered.
        let mut queue = Vec::new();
        while queue.len() < 16 {
            let limit = Duration::from_millis(200);
            let Ok(one) = std::net::TcpStream::connect_timeout(&there, limit) else { break };
            queue.push(one);
        }
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![there, good.local_addr().unwrap()];
        let connecting = tokio::time::timeout(Duration::from_secs(5), any_of(addresses));
        let stream = connecting.await.unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good.local_addr().unwrap());
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over() {
        let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(any_of(vec![refused, good.local_addr().unwrap()]).await.is_ok());
        let error = any_of(vec![refused, refused]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(any_of(Vec::new()).await.is_err());
    }

    #[test]
    fn families_take_turns() {
        let of = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let found = of(&["[::1]:22", "[::2]:22", "[::3]:22", "10.0.0.1:22"]);
        assert_eq!(by_turns(found), of(&["[::1]:22", "10.0.0.1:22", "[::2]:22", "[::3]:22"]));
        assert!(by_turns(Vec::new()).is_empty());
    }
}
