//! Where the browser comes back to from HCP's page, with a code or the reason why there is none.

use std::time::Duration;

use ingot_sdk::{Context as _, Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The address that HCP sends browsers back to; it knows no other for this client.
pub(super) const URL: &str = "http://localhost:8443/oidc/callback";
const PATH: &str = "/oidc/callback";
const PORT: u16 = 8443;
/// How long a browser may take to ask, and how much it may say, in bytes.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST: usize = 16 << 10;

/// What waits for the browser.
pub(super) struct Callback {
    listeners: Vec<TcpListener>,
}

impl Callback {
    /// Listens on this machine only.
    ///
    /// # Errors
    /// Something else does.
    pub(super) async fn listen() -> Result<Callback> {
        let first = TcpListener::bind(("127.0.0.1", PORT)).await.map_err(|error| {
            Error::new(format!(
                "cannot listen on port {PORT}, where the browser comes back to: {error}"
            ))
            .hint("another login or another program may use it; end that first")
        })?;
        let mut listeners = vec![first];
        // `localhost` may be either, and a machine may have no IPv6.
        listeners.extend(TcpListener::bind(("::1", PORT)).await.ok());
        Ok(Callback { listeners })
    }

    /// Waits for the code that comes with `state`, which only the page that was opened knows.
    ///
    /// # Errors
    /// HCP says why there is none.
    pub(super) async fn code(self, state: &str) -> Result<String> {
        loop {
            let stream = match self.listeners.as_slice() {
                [first, second] => tokio::select! {
                    found = first.accept() => found,
                    found = second.accept() => found,
                },
                [first, ..] => first.accept().await,
                [] => return Err(Error::new("nothing listens for the browser")),
            };
            let (mut stream, _) = stream.context("waiting for the browser")?;
            let read = tokio::time::timeout(TIMEOUT, request(&mut stream)).await;
            let Some(target) = read.ok().flatten() else { continue };
            let (answer, status, text) = match meaning(&target, state) {
                Meaning::Other => (None, "404 Not Found", "There is nothing here."),
                Meaning::Strange => (
                    None,
                    "400 Bad Request",
                    "This is not the login that `ingot registry login` waits for. Open its link again.",
                ),
                Meaning::Refused(why) => {
                    (Some(Err(why)), "200 OK", "You are not logged in. The terminal says why.")
                }
                Meaning::Code(code) => (
                    Some(Ok(code)),
                    "200 OK",
                    "You are logged in. Close this page and go back to the terminal.",
                ),
            };
            let sent = tokio::time::timeout(TIMEOUT, respond(&mut stream, status, text)).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!("the browser did not wait for its page");
            }
            match answer {
                None => {}
                Some(Ok(code)) => return Ok(code),
                Some(Err(why)) => {
                    return Err(Error::new(format!("HCP did not log you in: {why}")));
                }
            }
        }
    }
}

/// The path and query that are asked for.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut piece = [0; 2048];
    while !text.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut piece).await.ok()?;
        if length == 0 || text.len() + length > MOST {
            return None;
        }
        text.extend_from_slice(&piece[..length]);
    }
    let line = text.split(|&byte| byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut parts = line.split(' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("GET"), Some(target), Some(_)) => Some(target.to_owned()),
        _ => Some(String::new()),
    }
}

async fn respond(stream: &mut TcpStream, status: &str, text: &str) -> std::io::Result<()> {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Ingot</title><p>{text}</p></html>\n"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// What a browser brings.
#[derive(Debug, PartialEq)]
enum Meaning {
    /// Nothing of a login.
    Other,
    /// Another login.
    Strange,
    /// Why there is no code.
    Refused(String),
    Code(String),
}

fn meaning(target: &str, state: &str) -> Meaning {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != PATH {
        return Meaning::Other;
    }
    let value = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let value = pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        value.filter(|value| !value.is_empty())
    };
    if value("state").as_deref() != Some(state) {
        return Meaning::Strange;
    }
    match (value("error"), value("code")) {
        (Some(error), _) => {
            let why = value("error_description").unwrap_or(error);
            let plain = why.chars().filter(|c| !c.is_control()).take(300);
            Meaning::Refused(plain.collect())
        }
        (None, Some(code)) => Meaning::Code(code),
        (None, None) => Meaning::Strange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_login_that_was_begun_counts() {
        let ask = |query: &str| meaning(&format!("{PATH}?{query}"), "s1");
        assert_eq!(ask("code=c%2B1&state=s1"), Meaning::Code("c+1".into()));
        assert_eq!(ask("code=c&state=s2"), Meaning::Strange);
        assert_eq!(ask("code=c"), Meaning::Strange);
        assert_eq!(ask("state=s1"), Meaning::Strange);
        let refused = ask("error=access_denied&error_description=not%1b+you&state=s1");
        assert_eq!(refused, Meaning::Refused("not you".into()));
        assert_eq!(meaning("/favicon.ico", "s1"), Meaning::Other);
    }
}
