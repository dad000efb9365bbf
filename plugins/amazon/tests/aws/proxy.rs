//! A loopback proxy in front of moto that spoils the first calls.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// An answer with this status and body.
    Answer(u16, &'static str),
    /// The connection ends without an answer.
    Cut,
    /// The connection ends in the middle of moto's answer.
    Half,
}

/// The proxy. Its thread ends with the test's process.
pub(crate) struct Proxy {
    pub port: u16,
    calls: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy to `moto` whose first calls suffer `faults` in turn.
    pub(crate) fn start(moto: u16, faults: &[Fault]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Mutex::new(faults.iter().rev().copied().collect::<Vec<_>>());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let fault = faults.lock().unwrap().pop();
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = serve(client.unwrap(), moto, fault);
            }
        });
        Proxy { port, calls }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many calls came.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

/// One call per connection: every answer says that the connection ends.
fn serve(mut client: TcpStream, moto: u16, fault: Option<Fault>) -> std::io::Result<()> {
    let request = read_request(&mut client)?;
    let answer = match fault {
        Some(Fault::Cut) => return Ok(()),
        Some(Fault::Answer(status, body)) => format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
        Some(Fault::Half) | None => {
            let mut server = TcpStream::connect(("127.0.0.1", moto))?;
            let text = String::from_utf8_lossy(&request);
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            write!(server, "{head}\r\nConnection: close\r\n\r\n{body}")?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer)?;
            if matches!(fault, Some(Fault::Half)) {
                answer.truncate(answer.len() / 2);
            }
            answer
        }
    };
    client.write_all(&answer)
}

fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(request);
            }
        }
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return Ok(request);
        }
        request.extend_from_slice(&buffer[..read]);
    }
}
