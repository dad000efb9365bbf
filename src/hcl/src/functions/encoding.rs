//! Functions that write text as other bytes: base64, gzip, percent signs, character sets.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use encoding_rs::Encoding;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Accepts, Failure, Function, Returns, function, of_text, param, text};
use crate::Value;

const STRING: Accepts = Accepts::String;

pub(super) static FUNCTIONS: &[Function] = &[
    of_text("base64decode", |args, _| {
        String::from_utf8(bytes(args, 0)?)
            .map(Value::from)
            .map_err(|_| Failure::argument(0, "what it decodes to is not text"))
    }),
    of_text("base64encode", |args, _| Ok(BASE64_STANDARD.encode(text(&args[0])).into())),
    of_text("base64gzip", |args, _| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let packed = packed.write_all(text(&args[0]).as_bytes()).and_then(|()| packed.finish());
        let packed = packed.map_err(|error| Failure::new(error.to_string()))?;
        Ok(BASE64_STANDARD.encode(packed).into())
    }),
    function(
        "textdecodebase64",
        &[param("source", STRING), param("encoding", STRING)],
        Returns::String,
        |args, _| {
            let charset = charset(args, 1)?;
            let text = charset.decode(&bytes(args, 0)?);
            text.map(Value::from).ok_or_else(|| {
                Failure::argument(0, format!("these bytes are not text in {}", charset.name()))
            })
        },
    ),
    function(
        "textencodebase64",
        &[param("string", STRING), param("encoding", STRING)],
        Returns::String,
        |args, _| {
            let charset = charset(args, 1)?;
            let bytes = charset.encode(text(&args[0])).ok_or_else(|| {
                Failure::argument(0, format!("{} lacks some of its letters", charset.name()))
            })?;
            Ok(BASE64_STANDARD.encode(bytes).into())
        },
    ),
    // As in a form: a space is a plus sign.
    of_text("urlencode", |args, _| {
        let mut encoded = String::new();
        for byte in text(&args[0]).bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    encoded.push(byte as char);
                }
                b' ' => encoded.push('+'),
                _ => encoded.push_str(&format!("%{byte:02X}")),
            }
        }
        Ok(encoded.into())
    }),
];

/// What base64 stands for. Line breaks in it do not count.
pub(super) fn bytes(args: &[Value], index: usize) -> Result<Vec<u8>, Failure> {
    BASE64_STANDARD
        .decode(text(&args[index]).replace(['\r', '\n'], ""))
        .map_err(|error| Failure::argument(index, format!("this is not base64: {error}")))
}

/// A character set by its IANA name.
enum Charset {
    /// The code points below this one, a byte each.
    Latin { name: &'static str, end: u32 },
    /// UTF-16, with the byte order, and whether a mark that tells it stands first.
    Utf16 { name: &'static str, big: bool, mark: bool },
    /// All that browsers know. They take some of ISO's sets for the larger ones of Windows, whose
    /// additions stand where ISO has control characters.
    Other { encoding: &'static Encoding, iso: bool },
}

fn charset(args: &[Value], index: usize) -> Result<Charset, Failure> {
    let label = text(&args[index]);
    Ok(match label.to_ascii_lowercase().as_str() {
        "us-ascii" | "ascii" | "iso-ir-6" | "ansi_x3.4-1968" | "iso646-us" | "us" => {
            Charset::Latin { name: "US-ASCII", end: 0x80 }
        }
        "iso-8859-1" | "iso_8859-1" | "latin1" | "l1" | "iso-ir-100" | "ibm819" | "cp819" => {
            Charset::Latin { name: "ISO-8859-1", end: 0x100 }
        }
        "utf-16" => Charset::Utf16 { name: "UTF-16", big: true, mark: true },
        "utf-16be" => Charset::Utf16 { name: "UTF-16BE", big: true, mark: false },
        "utf-16le" => Charset::Utf16 { name: "UTF-16LE", big: false, mark: false },
        // A label of browsers only.
        "utf8" => return Err(unsupported(index, label)),
        _ => {
            let found = Encoding::for_label_no_replacement(label.as_bytes());
            let encoding = found.ok_or_else(|| unsupported(index, label))?;
            let iso = label.to_ascii_lowercase().starts_with("iso")
                && encoding.name().starts_with("windows-");
            Charset::Other { encoding, iso }
        }
    })
}

fn unsupported(index: usize, label: &str) -> Failure {
    Failure::argument(
        index,
        format!(
            "the encoding {label:?} is not supported; common ones are UTF-8, UTF-16LE, ISO-8859-1 and windows-1252"
        ),
    )
}

/// The bytes of the second range of control characters.
fn is_control(byte: &u8) -> bool {
    (0x80..0xa0).contains(byte)
}

impl Charset {
    fn name(&self) -> &'static str {
        match self {
            Charset::Latin { name, .. } | Charset::Utf16 { name, .. } => name,
            Charset::Other { encoding, .. } => encoding.name(),
        }
    }

    fn encode(&self, text: &str) -> Option<Vec<u8>> {
        match self {
            Charset::Latin { end, .. } => {
                let byte = |c: char| u8::try_from(c as u32).ok().filter(|_| (c as u32) < *end);
                text.chars().map(byte).collect()
            }
            Charset::Utf16 { big, mark, .. } => {
                let mark = mark.then_some(0xFEFF);
                let units = mark.into_iter().chain(text.encode_utf16());
                let bytes = |unit: u16| if *big { unit.to_be_bytes() } else { unit.to_le_bytes() };
                Some(units.flat_map(bytes).collect())
            }
            Charset::Other { encoding, iso } => {
                let (bytes, _, lost) = encoding.encode(text);
                let lost = lost || *iso && bytes.iter().any(is_control);
                (!lost).then(|| bytes.into_owned())
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Option<String> {
        match self {
            Charset::Latin { end, .. } => {
                let letter = |&byte: &u8| (u32::from(byte) < *end).then_some(byte as char);
                bytes.iter().map(letter).collect()
            }
            Charset::Utf16 { big, mark, .. } => {
                let (pairs, rest) = bytes.as_chunks::<2>();
                let (big, pairs) = match (mark, pairs) {
                    (true, [[0xFF, 0xFE], pairs @ ..]) => (false, pairs),
                    (true, [[0xFE, 0xFF], pairs @ ..]) => (true, pairs),
                    (_, pairs) => (*big, pairs),
                };
                let unit = |&pair: &[u8; 2]| match big {
                    true => u16::from_be_bytes(pair),
                    false => u16::from_le_bytes(pair),
                };
                let units: Vec<u16> = pairs.iter().map(unit).collect();
                if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
            }
            Charset::Other { iso: true, .. } if bytes.iter().any(is_control) => None,
            Charset::Other { encoding, .. } => {
                let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
                // Browsers take undefined bytes of these for control characters.
                let undefined = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
                let windows = encoding.name().starts_with("windows-");
                (!windows || !text.contains(undefined)).then(|| text.into_owned())
            }
        }
    }
}
