//! A server of HTTP, for what asks one for little.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::PATIENCE;

/// A server on this machine, which answers one request after the other for as long as the test
/// program runs.
pub struct HttpServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl HttpServer {
    /// Starts one. `respond` gets the head of each request, and gives a whole response, such as that of
    /// [`response`].
    pub fn answering(respond: impl Fn(&str) -> Vec<u8> + Send + 'static) -> HttpServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever asked may be gone.
                let _ = serve(stream, &respond, &kept);
            }
        });
        HttpServer { address, requests }
    }

    /// Its address and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where its root is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The heads of the requests since the last look.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// Answers a request without a body.
fn serve(
    mut stream: TcpStream,
    respond: &dyn Fn(&str) -> Vec<u8>,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let answer = respond(&head);
    requests.lock().unwrap().push(head);
    stream.write_all(&answer)
}

/// A response of status 200 after which the connection ends. Each of `headers` is a line of its own.
pub fn response(headers: &[&str], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
