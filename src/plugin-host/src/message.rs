//! MessagePack values on a stream, one after the other and without lengths, as Go's net/rpc with
//! the codec `GoRpc` of github.com/ugorji/go sends them.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmpv::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest message that is accepted. Files do not travel in messages.
const MAX_MESSAGE: usize = 64 << 20;
/// How deep values may nest.
const MAX_DEPTH: usize = 128;

/// Finds where a value ends, without keeping anything of it.
#[derive(Debug)]
struct Scanner {
    /// How many values are still to come, nested ones included.
    values: u64,
    /// How far the bytes were looked at.
    at: usize,
}

impl Scanner {
    fn new() -> Self {
        Scanner { values: 1, at: 0 }
    }

    /// Goes on over `bytes`, which start with the value. Whether its end was found, at
    /// [`Scanner::at`].
    fn advance(&mut self, bytes: &[u8]) -> io::Result<bool> {
        while self.values > 0 {
            let Some(&marker) = bytes.get(self.at) else { return Ok(false) };
            let number = |width: usize| {
                let digits = bytes.get(self.at + 1..self.at + 1 + width)?;
                Some(digits.iter().fold(0u64, |number, &digit| (number << 8) | u64::from(digit)))
            };
            // The bytes before the payload, the bytes of the payload, the values in it.
            let head = |width| number(width).map(|length| (1 + width, length, 0));
            let items = |width, each| number(width).map(|count| (1 + width, 0, count * each));
            let found = match marker {
                0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Some((1, 0, 0)),
                0x80..=0x8f => Some((1, 0, u64::from(marker & 0xf) * 2)),
                0x90..=0x9f => Some((1, 0, u64::from(marker & 0xf))),
                0xa0..=0xbf => Some((1, u64::from(marker & 0x1f), 0)),
                0xc4 | 0xd9 => head(1),
                0xc5 | 0xda => head(2),
                0xc6 | 0xdb => head(4),
                0xc7 => head(1).map(|(head, length, _)| (head + 1, length, 0)),
                0xc8 => head(2).map(|(head, length, _)| (head + 1, length, 0)),
                0xc9 => head(4).map(|(head, length, _)| (head + 1, length, 0)),
                0xca | 0xce | 0xd2 => Some((1, 4, 0)),
                0xcb | 0xcf | 0xd3 => Some((1, 8, 0)),
                0xcc | 0xd0 => Some((1, 1, 0)),
                0xcd | 0xd1 => Some((1, 2, 0)),
                0xd4..=0xd8 => Some((2, 1 << (marker - 0xd4), 0)),
                0xdc => items(2, 1),
                0xdd => items(4, 1),
                0xde => items(2, 2),
                0xdf => items(4, 2),
                0xc1 => return Err(invalid("a byte that MessagePack does not use")),
            };
            let Some((head, payload, inner)) = found else { return Ok(false) };
            let payload = usize::try_from(payload).unwrap_or(usize::MAX);
            let end = self.at.saturating_add(head).saturating_add(payload);
            self.values = self.values - 1 + inner;
            // Each value still to come takes a byte at least.
            if end.saturating_add(usize::try_from(self.values).unwrap_or(usize::MAX)) > MAX_MESSAGE
            {
                return Err(invalid("a message of more than 64 MiB"));
            }
            if end > bytes.len() {
                // Looked at again when more has come.
                self.values = self.values + 1 - inner;
                return Ok(false);
            }
            self.at = end;
        }
        Ok(true)
    }
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Reads values from a stream.
pub(crate) struct MessageReader<R> {
    source: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> MessageReader<R> {
    /// Reads from `source`.
    pub(crate) fn new(source: R) -> Self {
        MessageReader { source, buffer: Vec::new() }
    }

    /// The next value; none where the stream ends in front of one. Must not be dropped half way:
    /// what was read would be read again.
    ///
    /// # Errors
    /// The stream breaks off or does not hold MessagePack.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Value>> {
        let mut scanner = Scanner::new();
        while !scanner.advance(&self.buffer)? {
            let mut piece = [0; 8192];
            match self.source.read(&mut piece).await? {
                0 if self.buffer.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.buffer.extend_from_slice(&piece[..count]),
            }
        }
        let value = decode(&self.buffer[..scanner.at])?;
        self.buffer.drain(..scanner.at);
        Ok(Some(value))
    }
}

/// The value that `bytes` hold.
///
/// # Errors
/// They do not hold one, or it nests too deep.
pub(crate) fn decode(bytes: &[u8]) -> io::Result<Value> {
    // Also bounds what the decoder may allocate for lengths that lie.
    if !Scanner::new().advance(bytes)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = bytes;
    rmpv::decode::read_value_with_max_depth(&mut bytes, MAX_DEPTH)
        .map_err(|error| invalid(error.to_string()))
}

/// `value` in MessagePack.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = rmpv::encode::write_value(&mut bytes, value);
    bytes
}

/// A Go struct.
pub(crate) fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.map(|(name, value)| (Value::from(name), value)).into())
}

/// A field of a Go struct; null where it is absent.
pub(crate) fn field<'v>(record: &'v Value, name: &str) -> &'v Value {
    let entries = record.as_map().into_iter().flatten();
    let mut found = entries.filter(|(key, _)| key.as_str() == Some(name));
    found.next().map_or(&Value::Nil, |(_, value)| value)
}

/// A field that is a string; empty where it is absent.
pub(crate) fn string(record: &Value, name: &str) -> String {
    text(field(record, name))
}

/// A field that numbers a stream; 0 where it is absent.
pub(crate) fn stream_id(record: &Value, name: &str) -> u32 {
    field(record, name).as_u64().and_then(|id| u32::try_from(id).ok()).unwrap_or(0)
}

/// A field that is a list of strings.
pub(crate) fn strings(record: &Value, name: &str) -> Vec<String> {
    list(field(record, name))
}

/// A list of strings; empty for null.
pub(crate) fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// A string, whose bytes need not be UTF-8 in Go.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        Value::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

/// A time as MessagePack's extension -1 with 8 bytes: nanoseconds in the upper 30 bits, seconds in
/// the lower 34.
pub(crate) fn timestamp(time: SystemTime) -> Value {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let word = (u64::from(since.subsec_nanos()) << 34) | (since.as_secs() & ((1 << 34) - 1));
    Value::Ext(-1, word.to_be_bytes().to_vec())
}

/// The time, in whole seconds, that a value is in one of the three forms of that extension; none for
/// other values and for times before 1970, as Go's zero.
pub(crate) fn moment(value: &Value) -> Option<SystemTime> {
    let (-1, bytes) = value.as_ext()? else { return None };
    let number = bytes.iter().rev().take(8).rev();
    let number = number.fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
    let seconds = match bytes.len() {
        4 => number,
        8 => number & ((1 << 34) - 1),
        12 => i64::from_be_bytes(number.to_be_bytes()).try_into().ok()?,
        _ => return None,
    };
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The message of a field that is an SDK's error; none where it is null.
pub(crate) fn error(record: &Value, name: &str) -> Option<String> {
    match field(record, name) {
        Value::Nil => None,
        error => Some(string(error, "Message")),
    }
}

/// JSON as a value of Go's `interface{}`.
pub(crate) fn from_json(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::F64(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        Json::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(name, value)| (Value::from(name.as_str()), from_json(value)))
                .collect(),
        ),
    }
}

/// A value of Go's `interface{}` as JSON. Bytes that are not UTF-8 become null, and so does what
/// JSON does not have.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Nil | Value::Ext(..) => Json::Null,
        Value::Boolean(truth) => Json::Bool(*truth),
        Value::Integer(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Json::from(number),
            (None, Some(number)) => Json::from(number),
            (None, None) => Json::Null,
        },
        Value::F32(number) => Json::from(*number),
        Value::F64(number) => Json::from(*number),
        Value::String(text) => Json::from(String::from_utf8_lossy(text.as_bytes())),
        Value::Binary(bytes) => std::str::from_utf8(bytes).map_or(Json::Null, Json::from),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|(key, value)| {
                    let key = match key {
                        Value::String(_) | Value::Binary(_) => text(key),
                        other => other.to_string(),
                    };
                    (key, to_json(value))
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_all_forms() {
        let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        let exact = UNIX_EPOCH + Duration::new(1_000_000_000, 999_999_999);
        assert_eq!(moment(&timestamp(exact)), at(1_000_000_000));
        assert_eq!(moment(&Value::Ext(-1, vec![0, 0, 1, 0])), at(256));
        let long =
            |seconds: i64| Value::Ext(-1, [&[0u8; 4][..], &seconds.to_be_bytes()[..]].concat());
        assert_eq!(moment(&long(1 << 34)), at(1 << 34));
        // Go's zero.
        assert_eq!(moment(&long(-62_135_596_800)), None);
        assert_eq!(moment(&Value::Ext(-1, vec![1])), None);
        assert_eq!(moment(&Value::Nil), None);
    }

    fn read_all(bytes: &[u8]) -> io::Result<Vec<Value>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut reader = MessageReader::new(bytes);
            let mut values = Vec::new();
            while let Some(value) = reader.next().await? {
                values.push(value);
            }
            Ok(values)
        })
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,40}".prop_map(|text| Value::from(text.as_str())),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Binary),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Ext(-1, bytes)),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
                prop::collection::vec((".{0,8}", inner), 0..20).prop_map(|entries| {
                    let entries = entries.into_iter();
                    Value::Map(entries.map(|(key, value)| (key.as_str().into(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_come_back_one_by_one(values in prop::collection::vec(value(), 0..5)) {
            let bytes: Vec<u8> = values.iter().flat_map(encode).collect();
            prop_assert_eq!(read_all(&bytes).unwrap(), values);
        }

        #[test]
        fn rubbish_is_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_all(&bytes);
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn lengths_that_lie_cost_no_memory() {
        for bytes in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff\xc0",
            b"\xc6\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(read_all(bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        let deep = [0x91; 4000];
        assert!(decode(&deep).is_err());
        let mut deep = deep.to_vec();
        deep.push(0xc0);
        assert_eq!(decode(&deep).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn json_survives_the_way_through_go() {
        let json = serde_json::json!({"a": [1, -2, 2.5, true, null, "x"], "b": {"c": u64::MAX}});
        assert_eq!(to_json(&from_json(&json)), json);
    }
}
