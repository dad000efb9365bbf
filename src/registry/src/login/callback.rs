//! Where the browser comes back to from HCP's page, with a code or the reason why there is none.

use std::io::ErrorKind;
use std::time::Duration;

use ingot_base::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The address that HCP sends browsers back to; it knows no other for this client.
pub(super) const URL: &str = "http://localhost:8443/oidc/callback";
const PATH: &str = "/oidc/callback";
const PORT: u16 = 8443;
/// How long a browser may take to ask, and how much it may say, in bytes.
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST: usize = 16 << 10;
/// How many connections are open at once.
const MOST_CONNECTIONS: usize = 16;

const NOT_LOGGED_IN: &str = "You are not logged in. The terminal says why.";
const OF_ANOTHER: &str =
    "This is not the login that `ingot registry login` waits for. Open its link again.";

/// What waits for the browser.
pub(super) struct Callback {
    listeners: Vec<TcpListener>,
}

/// A browser that came back with a code.
pub(super) struct AuthorizationResponse {
    pub code: String,
    stream: TcpStream,
}

impl AuthorizationResponse {
    /// Says in the browser how it ended.
    pub(super) async fn answer(mut self, logged_in: bool) {
        let text = match logged_in {
            true => "You are logged in. Close this page and go back to the terminal.",
            false => NOT_LOGGED_IN,
        };
        respond(&mut self.stream, "200 OK", text).await;
    }
}

impl Callback {
    /// Listens on this machine only.
    ///
    /// # Errors
    /// Something else does.
    pub(super) async fn listen() -> Result<Callback> {
        let busy = |error: std::io::Error| {
            Error::new(format!(
                "cannot listen on port {PORT}, where the browser comes back to: {error}"
            ))
            .hint("another login or another program may use it; end that first")
        };
        let first = TcpListener::bind(("127.0.0.1", PORT)).await.map_err(busy)?;
        let mut listeners = vec![first];
        // `localhost` may be either: a program that listens on the other one would get the code.
        match TcpListener::bind(("::1", PORT)).await {
            Ok(second) => listeners.push(second),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(busy(error)),
            Err(error) => tracing::debug!(%error, "this machine has no IPv6"),
        }
        Ok(Callback { listeners })
    }

    /// Waits for the code that comes with `state`, which only the page that was opened knows.
    ///
    /// # Errors
    /// HCP says why there is none.
    pub(super) async fn authorization_response(self, state: &str) -> Result<AuthorizationResponse> {
        // Browsers open connections that say nothing, and none must keep another waiting.
        let (found, mut responses) = mpsc::channel(1);
        let mut open = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                response = responses.recv() => {
                    return response.unwrap_or_else(|| Err(Error::new("no browser came back")));
                }
                accepted = accept(&self.listeners) => accepted,
            };
            match accepted {
                Ok(stream) => {
                    while open.len() >= MOST_CONNECTIONS {
                        open.join_next().await;
                    }
                    open.spawn(serve(stream, state.to_owned(), found.clone()));
                }
                Err(error) => {
                    tracing::debug!(%error, "a connection of the browser did not come to be");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn accept(listeners: &[TcpListener]) -> std::io::Result<TcpStream> {
    let accepted = match listeners {
        [first, second] => tokio::select! {
            found = first.accept() => found,
            found = second.accept() => found,
        },
        [first, ..] => first.accept().await,
        [] => std::future::pending().await,
    };
    accepted.map(|(stream, _)| stream)
}

/// Answers one request; what ends the login goes to `found`.
async fn serve(
    mut stream: TcpStream,
    state: String,
    found: mpsc::Sender<Result<AuthorizationResponse>>,
) {
    let read = tokio::time::timeout(TIMEOUT, request(&mut stream)).await;
    let Some(target) = read.ok().flatten() else { return };
    match meaning(&target, &state) {
        Meaning::Other => respond(&mut stream, "404 Not Found", "There is nothing here.").await,
        Meaning::OfAnother => respond(&mut stream, "400 Bad Request", OF_ANOTHER).await,
        Meaning::Refused(why) => {
            respond(&mut stream, "200 OK", NOT_LOGGED_IN).await;
            let why = Error::new(format!("HCP did not log you in: {why}"));
            let _ = found.send(Err(why)).await;
        }
        Meaning::Code(code) => {
            let _ = found.send(Ok(AuthorizationResponse { code, stream })).await;
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

async fn respond(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Ingot</title><p>{text}</p></html>\n"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\n\
         Connection: close\r\n\r\n{page}",
        page.len()
    );
    let send = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    if !matches!(tokio::time::timeout(TIMEOUT, send).await, Ok(Ok(()))) {
        tracing::debug!("the browser did not wait for its page");
    }
}

/// What a browser brings.
#[derive(Debug, PartialEq)]
enum Meaning {
    /// Nothing of a login.
    Other,
    /// Another login.
    OfAnother,
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
        return Meaning::OfAnother;
    }
    match (value("error"), value("code")) {
        (Some(error), _) => {
            let why = value("error_description").unwrap_or(error);
            let plain = why.chars().filter(|c| !c.is_control()).take(300);
            Meaning::Refused(plain.collect())
        }
        (None, Some(code)) => Meaning::Code(code),
        (None, None) => Meaning::OfAnother,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_login_that_was_begun_counts() {
        let ask = |query: &str| meaning(&format!("{PATH}?{query}"), "s1");
        assert_eq!(ask("code=c%2B1&state=s1"), Meaning::Code("c+1".into()));
        assert_eq!(ask("code=c&state=s2"), Meaning::OfAnother);
        assert_eq!(ask("code=c"), Meaning::OfAnother);
        assert_eq!(ask("state=s1"), Meaning::OfAnother);
        let refused = ask("error=access_denied&error_description=not%1b+you&state=s1");
        assert_eq!(refused, Meaning::Refused("not you".into()));
        assert_eq!(meaning("/favicon.ico", "s1"), Meaning::Other);
    }
}
