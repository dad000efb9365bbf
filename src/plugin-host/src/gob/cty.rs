//! Types and values of go-cty in gobs. Each is a gob of its own within the gob around it. Neither
//! unknown values nor the type "any" can be in one: Go refuses to write them.

use std::collections::BTreeMap;
use std::io;

use super::{Gob, invalid};
use crate::cty::{CtyType, CtyValue};

/// How deep types may nest.
const MAX_DEPTH: usize = 32;
/// The largest power of two, by its exponent, that numbers may hold.
const MAX_EXPONENT: i64 = 4096;

/// A type, from the bytes that it encoded itself into.
pub(super) fn type_of(bytes: &[u8], depth: usize) -> io::Result<CtyType> {
    if depth > MAX_DEPTH {
        return Err(invalid("types nest too deep"));
    }
    let gob = Gob::decode(bytes)?;
    let Gob::Named(name, body) = gob.field("Impl") else {
        return Err(invalid("a type without its kind"));
    };
    let inner = |gob: &Gob| match gob {
        Gob::Bytes(bytes) => type_of(bytes, depth + 1),
        _ => Err(invalid("a type without the type of its items")),
    };
    let item = || inner(body.field("ElementTypeT")).map(Box::new);
    match name.rsplit('.').next().unwrap_or(name) {
        "primitiveType" => match body.field("Kind") {
            Gob::Uint(0x42) => Ok(CtyType::Bool),
            Gob::Uint(0x4e) => Ok(CtyType::Number),
            Gob::Uint(0x53) => Ok(CtyType::String),
            _ => Err(invalid("a primitive type that is not known")),
        },
        "typeList" => Ok(CtyType::List(item()?)),
        "typeSet" => Ok(CtyType::Set(item()?)),
        "typeMap" => Ok(CtyType::Map(item()?)),
        "typeTuple" => match body.field("ElemTypes") {
            Gob::List(items) => {
                Ok(CtyType::Tuple(items.iter().map(inner).collect::<Result<_, _>>()?))
            }
            _ => Ok(CtyType::Tuple(Vec::new())),
        },
        "typeObject" => match body.field("AttrTypes") {
            Gob::Map(entries) => {
                let entries = entries.iter().map(|(name, ty)| Ok((name.text(), inner(ty)?)));
                Ok(CtyType::Object(entries.collect::<io::Result<_>>()?))
            }
            _ => Ok(CtyType::Object(BTreeMap::new())),
        },
        other => Err(invalid(format!("the type {other} is not known"))),
    }
}

/// The value that a data source sent.
///
/// # Errors
/// The bytes do not hold one.
pub(crate) fn value(bytes: &[u8]) -> io::Result<CtyValue> {
    match Gob::decode(bytes)? {
        Gob::Bytes(bytes) => plain(Gob::decode(bytes)?.field("V"), 0),
        _ => Err(invalid("this is not a value")),
    }
}

fn plain(gob: &Gob, depth: usize) -> io::Result<CtyValue> {
    if depth > MAX_DEPTH {
        return Err(invalid("values nest too deep"));
    }
    let list = |items: &[Gob]| {
        let items = items.iter().map(|item| plain(item, depth + 1));
        items.collect::<io::Result<_>>().map(CtyValue::List)
    };
    match gob {
        Gob::Nil => Ok(CtyValue::Null),
        Gob::Named(name, body) => match (name.as_str(), &**body) {
            ("math/big.Float" | "*big.Float", Gob::Bytes(bytes)) => {
                Ok(CtyValue::Number(decimal(bytes)?))
            }
            (name, Gob::Bytes(bytes)) if name.ends_with("set.Set") => {
                match Gob::decode(bytes)?.field("Values") {
                    Gob::List(items) => list(items),
                    _ => Ok(CtyValue::List(Vec::new())),
                }
            }
            (_, body) => plain(body, depth),
        },
        Gob::Bool(truth) => Ok(CtyValue::Bool(*truth)),
        Gob::String(text) => Ok(CtyValue::String(text.clone())),
        Gob::List(items) => list(items),
        Gob::Map(entries) => {
            let entries =
                entries.iter().map(|(name, value)| Ok((name.text(), plain(value, depth + 1)?)));
            entries.collect::<io::Result<_>>().map(CtyValue::Map)
        }
        _ => Err(invalid("a value of a kind that is not known")),
    }
}

/// The decimal digits of a `big.Float`: a version, flags, the precision (4 bytes), the exponent
/// (4 bytes), and the mantissa, whose first bit is worth a half.
fn decimal(bytes: &[u8]) -> io::Result<String> {
    let wrong = || invalid("a number that cannot be read");
    let (&flags, rest) = match bytes {
        [1, flags, rest @ ..] => (flags, rest),
        _ => return Err(wrong()),
    };
    let sign = if flags & 1 == 1 { "-" } else { "" };
    match (flags >> 1) & 3 {
        0 => return Ok("0".to_owned()),
        1 => {}
        _ => return Err(invalid("an infinite number")),
    }
    let exponent = rest.get(4..8).and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
    let exponent = i64::from(i32::from_be_bytes(exponent));
    let mantissa = rest.get(8..).unwrap_or_default();
    if mantissa.len() > 512 || exponent.abs() > MAX_EXPONENT {
        return Err(invalid("a number that is too large"));
    }
    let mut number = Digits::default();
    mantissa.iter().for_each(|&byte| number.multiply_add(256, u32::from(byte)));
    let mut shift = exponent - 8 * mantissa.len() as i64;
    // The lower bits of the mantissa are often zero.
    while shift < 0 && number.halve() {
        shift += 1;
    }
    (0..shift).for_each(|_| number.multiply_add(2, 0));
    // Halving is the same as multiplying with five and moving the point.
    (shift..0).for_each(|_| number.multiply_add(5, 0));
    let mut digits = number.to_string();
    let places = usize::try_from(-shift.min(0)).unwrap_or(0);
    if places > 0 {
        let missing = (places + 1).saturating_sub(digits.len());
        digits.insert_str(0, &"0".repeat(missing));
        digits.insert(digits.len() - places, '.');
    }
    Ok(format!("{sign}{digits}"))
}

/// A whole number of any size, nine decimal digits in each item, the lowest first.
#[derive(Default)]
struct Digits(Vec<u32>);

const NINE_DIGITS: u64 = 1_000_000_000;

impl Digits {
    fn multiply_add(&mut self, factor: u32, plus: u32) {
        let mut carry = u64::from(plus);
        for item in &mut self.0 {
            let product = u64::from(*item) * u64::from(factor) + carry;
            *item = (product % NINE_DIGITS) as u32;
            carry = product / NINE_DIGITS;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// Halves the number if it is even and not zero; whether it did.
    fn halve(&mut self) -> bool {
        if self.0.first().is_none_or(|lowest| lowest % 2 == 1) {
            return false;
        }
        let mut carry = 0;
        for item in self.0.iter_mut().rev() {
            let whole = u64::from(*item) + carry * NINE_DIGITS;
            *item = (whole / 2) as u32;
            carry = whole % 2;
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        true
    }
}

impl std::fmt::Display for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut items = self.0.iter().rev();
        write!(f, "{}", items.next().unwrap_or(&0))?;
        items.try_for_each(|item| write!(f, "{item:09}"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::gob::decode::tests::unhex;

    /// An object with a value of each kind, written by Go.
    pub(crate) const SAMPLE: &str = include_str!("value.hex");

    #[test]
    fn a_value_that_go_wrote_is_read() {
        let value = value(&unhex(SAMPLE)).unwrap();
        let CtyValue::Map(entries) = &value else { panic!("{value:?}") };
        assert_eq!(entries["big"], CtyValue::Number("123456789012345678901234567890".into()));
        assert_eq!(entries["null"], CtyValue::Null);
        let mut json = value.to_json();
        json.as_object_mut().unwrap().remove("big");
        assert_eq!(
            json,
            json!({
                "s": "hi", "n": 42, "f": 1.5, "b": true, "l": ["x", "y"], "neg": -7, "null": null,
                "m": {"k": "v"}, "set": ["x"],
            })
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        let float = |flags: u8, exponent: i32, mantissa: &[u8]| {
            let head = [&[1, flags, 0, 0, 0, 64][..], &exponent.to_be_bytes()].concat();
            decimal(&[&head[..], mantissa].concat()).unwrap()
        };
        assert_eq!(float(0x0a, 1, &[0xc0, 0, 0, 0]), "1.5");
        assert_eq!(float(0x0b, 3, &[0xe0]), "-7");
        assert_eq!(float(0x0a, -2, &[0x80]), "0.125");
        assert_eq!(float(0x0a, 100, &[0x80]), "633825300114114700748351602688");
        assert_eq!(float(0x08, 0, &[]), "0");
        assert!(decimal(&[1, 0x0c, 0, 0, 0, 64]).is_err());
    }
}
