//! As much of HTTP/1.1 as the SDK and moto speak: messages with a `Content-Length`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

/// A request or an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    /// The first line and the headers, each with its line's end.
    pub head: String,
    pub body: Vec<u8>,
}

impl Message {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The same with another header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Message {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The same without a header.
    pub(crate) fn without(mut self, name: &str) -> Message {
        let prefix = format!("{}:", name.to_ascii_lowercase());
        let keep = |line: &&str| !line.to_ascii_lowercase().starts_with(&prefix);
        self.head = self.head.split_inclusive('\n').filter(keep).collect();
        self
    }

    pub(crate) fn write(&self, stream: &mut impl Write) -> std::io::Result<()> {
        stream.write_all(self.head.as_bytes())?;
        stream.write_all(b"\r\n")?;
        stream.write_all(&self.body)?;
        stream.flush()
    }
}

/// Reads a message; none at the end of the connection.
pub(crate) fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Message>> {
    read_some(stream, true)
}

fn read_some(stream: &mut impl BufRead, has_body: bool) -> std::io::Result<Option<Message>> {
    let mut message = Message::default();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        message.head.push_str(&line);
    }
    if !has_body {
        return Ok(Some(message));
    }
    let length = message.header("content-length").and_then(|text| text.parse().ok());
    match length {
        Some(length) => {
            message.body = vec![0; length];
            stream.read_exact(&mut message.body)?;
        }
        // An answer that ends with the connection.
        None if message.head.starts_with("HTTP/") => drop(stream.read_to_end(&mut message.body)?),
        None => {}
    }
    Ok(Some(message))
}

/// Asks a server on this machine on a connection of its own.
pub(crate) fn ask(port: u16, request: &Message) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    request.clone().without("connection").with("Connection", "close").write(&mut stream)?;
    // The answer to HEAD tells the length of a body that does not come.
    let has_body = !request.head.starts_with("HEAD ");
    let answer = read_some(&mut BufReader::new(stream), has_body)?;
    answer.ok_or_else(|| std::io::Error::other("the server hung up"))
}

/// Decodes a value of a form.
pub(crate) fn form_value(body: &str, name: &str) -> Option<String> {
    let pair = body.split('&').find_map(|pair| pair.split_once('=').filter(|pair| pair.0 == name));
    let text = pair?.1.replace('+', " ");
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
