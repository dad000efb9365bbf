//! Gobs to values.

use std::collections::{BTreeMap, HashMap};
use std::io;

/// How deep values may nest.
pub(super) const MAX_DEPTH: usize = 64;

/// A value of a gob.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Gob<'a> {
    /// An interface without a value.
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// Bytes; also what a type encoded by itself.
    Bytes(&'a [u8]),
    String(String),
    /// A slice or an array.
    List(Vec<Gob<'a>>),
    Map(Vec<(Gob<'a>, Gob<'a>)>),
    /// The fields that are not zero.
    Struct(BTreeMap<String, Gob<'a>>),
    /// A value in an interface, with the registered name of its type.
    Named(String, Box<Gob<'a>>),
}

impl<'a> Gob<'a> {
    /// The first value of a gob.
    ///
    /// # Errors
    /// The bytes do not hold one.
    pub(crate) fn decode(bytes: &'a [u8]) -> io::Result<Gob<'a>> {
        let mut decoder = Decoder { rest: bytes, types: HashMap::new() };
        // How long the first message is. Where the others begin follows from what is in them.
        decoder.uint()?;
        let id = decoder.type_id()?;
        decoder.top(id, 0)
    }

    /// A field of a struct; null where it is zero.
    pub(crate) fn field(&self, name: &str) -> &Gob<'a> {
        match self {
            Gob::Struct(fields) => fields.get(name).unwrap_or(&Gob::Nil),
            _ => &Gob::Nil,
        }
    }

    /// A string; empty where it is zero.
    pub(crate) fn text(&self) -> String {
        match self {
            Gob::String(text) => text.clone(),
            _ => String::new(),
        }
    }
}

pub(crate) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("invalid gob: {}", what.into()))
}

/// What a type is, as far as its values tell.
#[derive(Debug, Clone)]
pub(super) enum Type {
    Array(i64),
    Slice(i64),
    Struct(Vec<(String, i64)>),
    Map(i64, i64),
    /// Its values are bytes that the type itself made.
    Opaque,
}

/// The types that need no description.
mod basic {
    pub(crate) const BOOL: i64 = 1;
    pub(crate) const INT: i64 = 2;
    pub(crate) const UINT: i64 = 3;
    pub(crate) const FLOAT: i64 = 4;
    pub(crate) const BYTES: i64 = 5;
    pub(crate) const STRING: i64 = 6;
    pub(crate) const INTERFACE: i64 = 8;
}

struct Decoder<'a> {
    rest: &'a [u8],
    types: HashMap<i64, Type>,
}

impl<'a> Decoder<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        if count > self.rest.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    fn uint(&mut self) -> io::Result<u64> {
        match self.take(1)?[0] {
            small @ 0..=127 => Ok(u64::from(small)),
            // The number of bytes, negated.
            count => {
                let width = 256 - usize::from(count);
                if width > 8 {
                    return Err(invalid("a number of more than 8 bytes"));
                }
                let digits = self.take(width)?;
                Ok(digits.iter().fold(0, |number, &digit| (number << 8) | u64::from(digit)))
            }
        }
    }

    fn int(&mut self) -> io::Result<i64> {
        let number = self.uint()?;
        let half = (number >> 1).cast_signed();
        Ok(if number & 1 == 1 { !half } else { half })
    }

    fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let length = self.uint()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn string(&mut self) -> io::Result<String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// How many items follow; each takes a byte at least.
    fn count(&mut self) -> io::Result<usize> {
        match usize::try_from(self.uint()?) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The type of the value that follows, after the descriptions of types in front of it.
    fn type_id(&mut self) -> io::Result<i64> {
        loop {
            let id = self.int()?;
            if id >= 0 {
                return Ok(id);
            }
            let described = self.description()?;
            self.types.insert(-id, described);
            // The length of the next message, or of the value that waits.
            self.uint()?;
        }
    }

    /// A value that is no field of a struct.
    fn top(&mut self, id: i64, depth: usize) -> io::Result<Gob<'a>> {
        if !matches!(self.types.get(&id), Some(Type::Struct(_))) && self.uint()? != 0 {
            return Err(invalid("a field where there is no struct"));
        }
        self.value(id, depth)
    }

    fn value(&mut self, id: i64, depth: usize) -> io::Result<Gob<'a>> {
        if depth > MAX_DEPTH {
            return Err(invalid("values nest too deep"));
        }
        Ok(match id {
            basic::BOOL => Gob::Bool(self.uint()? != 0),
            basic::INT => Gob::Int(self.int()?),
            basic::UINT => Gob::Uint(self.uint()?),
            basic::FLOAT => Gob::Float(f64::from_bits(self.uint()?.swap_bytes())),
            basic::BYTES => Gob::Bytes(self.bytes()?),
            basic::STRING => Gob::String(self.string()?),
            basic::INTERFACE => {
                let name = self.string()?;
                if name.is_empty() {
                    return Ok(Gob::Nil);
                }
                let id = self.type_id()?;
                // The length of the value.
                self.uint()?;
                Gob::Named(name, Box::new(self.top(id, depth + 1)?))
            }
            id => match self.types.get(&id).cloned() {
                Some(Type::Opaque) => Gob::Bytes(self.bytes()?),
                Some(Type::Slice(item) | Type::Array(item)) => {
                    let count = self.count()?;
                    Gob::List(
                        (0..count)
                            .map(|_| self.value(item, depth + 1))
                            .collect::<Result<_, _>>()?,
                    )
                }
                Some(Type::Map(key, item)) => {
                    let count = self.count()?;
                    let mut entries = Vec::new();
                    for _ in 0..count {
                        entries.push((self.value(key, depth + 1)?, self.value(item, depth + 1)?));
                    }
                    Gob::Map(entries)
                }
                Some(Type::Struct(fields)) => {
                    let mut values = BTreeMap::new();
                    self.fields(|decoder, number| {
                        let field = usize::try_from(number).ok().and_then(|at| fields.get(at));
                        let (name, id) =
                            field.ok_or_else(|| invalid("a field that is not described"))?;
                        values.insert(name.clone(), decoder.value(*id, depth + 1)?);
                        Ok(())
                    })?;
                    Gob::Struct(values)
                }
                None => return Err(invalid(format!("the type {id} is not described"))),
            },
        })
    }

    /// Reads the fields of a struct, each by its number.
    fn fields(&mut self, mut read: impl FnMut(&mut Self, i64) -> io::Result<()>) -> io::Result<()> {
        let mut number = -1i64;
        loop {
            match self.uint()? {
                0 => return Ok(()),
                step => {
                    let step = i64::try_from(step).unwrap_or(i64::MAX);
                    number = number.saturating_add(step);
                    read(self, number)?;
                }
            }
        }
    }

    /// The description of a type: a struct with one field for each kind of type.
    fn description(&mut self) -> io::Result<Type> {
        let mut found = None;
        self.fields(|decoder, kind| {
            let mut numbers = [0i64; 3];
            let mut members = Vec::new();
            decoder.fields(|decoder, field| {
                match (kind, field) {
                    // What all kinds have: a name, and the number that it is known by anyway.
                    (_, 0) => decoder.fields(|decoder, field| match field {
                        0 => decoder.string().map(|_| ()),
                        _ => decoder.int().map(|_| ()),
                    }),
                    (2, 1) => {
                        let count = decoder.count()?;
                        for _ in 0..count {
                            let (mut name, mut id) = (String::new(), 0);
                            decoder.fields(|decoder, field| {
                                match field {
                                    0 => name = decoder.string()?,
                                    _ => id = decoder.int()?,
                                }
                                Ok(())
                            })?;
                            members.push((name, id));
                        }
                        Ok(())
                    }
                    (_, field @ 1..=2) => {
                        numbers[usize::try_from(field).unwrap_or(0)] = decoder.int()?;
                        Ok(())
                    }
                    _ => Err(invalid("a description of a type that is not known")),
                }
            })?;
            found = Some(match kind {
                0 => Type::Array(numbers[1]),
                1 => Type::Slice(numbers[1]),
                2 => Type::Struct(members),
                3 => Type::Map(numbers[1], numbers[2]),
                4..=6 => Type::Opaque,
                _ => return Err(invalid("a kind of type that is not known")),
            });
            Ok(())
        })?;
        found.ok_or_else(|| invalid("a type without a description"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::{cty, cty_value, decode_exit_status, encode_exit_status, object_spec, spec};
    use super::*;

    pub(crate) fn unhex(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    /// What Go wrote for these exit codes.
    #[test]
    fn exit_codes_are_written_as_go_writes_them() {
        let head =
            "2b7f0301010f436f6d6d616e6446696e697368656401ff80000101010a45786974537461747573010400
            0000";
        for (status, tail) in [
            (0, "03ff8000"),
            (3, "05ff80010600"),
            (2_300_218, "08ff8001fd46327400"),
            (-1, "05ff80010100"),
        ] {
            let bytes = unhex(&format!("{head}{tail}"));
            assert_eq!(encode_exit_status(status), bytes, "{status}");
            assert_eq!(decode_exit_status(&bytes).unwrap(), status);
        }
    }

    proptest! {
        #[test]
        fn exit_codes_come_back(status: i64) {
            prop_assert_eq!(decode_exit_status(&encode_exit_status(status)).unwrap(), status);
        }

        #[test]
        fn rubbish_is_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Gob::decode(&bytes);
            let _ = object_spec(&bytes);
            let _ = cty_value(&bytes);
        }

        #[test]
        fn a_damaged_gob_is_no_panic(at in 0usize..2000, byte: u8, cut in 0usize..2000) {
            for sample in [spec::tests::SAMPLE, cty::tests::SAMPLE] {
                let mut bytes = unhex(sample);
                let length = bytes.len();
                bytes[at % length] = byte;
                let _ = object_spec(&bytes);
                let _ = cty_value(&bytes);
                bytes.truncate(cut % length);
                let _ = object_spec(&bytes);
                let _ = cty_value(&bytes);
            }
        }
    }
}
