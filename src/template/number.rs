//! Numbers as HCL has them: binary floats of 512 bits, so that integers of any sensible size and
//! decimal fractions survive arithmetic and come out as they went in.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use dashu_base::{Abs, Approximation, ParseError, Signed};
use dashu_float::round::mode::HalfEven;
use dashu_float::{DBig, FBig};
use dashu_int::IBig;

type Float = FBig<HalfEven, 2>;

/// The precision of all numbers, in bits; HCL's.
const BITS: usize = 512;
/// Larger exponents only come from slips or attacks; writing them out would fill the memory.
const MAX_EXPONENT: isize = 100_000;

/// A number of a template. Always of [`BITS`] bits, so that operators keep that precision.
#[derive(Clone)]
pub struct Number(Float);

impl Number {
    /// Reads a decimal number such as `-1.5e3`. None if it is not one or too large to hold.
    pub fn parse(text: &str) -> Option<Number> {
        let text = text.trim();
        if let Ok(small) = text.parse::<i64>() {
            return Some(Number::from(small));
        }
        let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        if !text.chars().all(plain) || !text.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if let Some((_, exponent)) = text.split_once(['e', 'E'])
            && exponent.parse::<isize>().ok()?.abs() > MAX_EXPONENT
        {
            return None;
        }
        let decimal: Result<DBig, ParseError> = DBig::from_str(text.trim_start_matches('+'));
        Some(Number::from_decimal(decimal.ok()?))
    }

    fn from_decimal(decimal: DBig) -> Number {
        let wide = decimal.with_rounding::<HalfEven>().with_base_and_precision::<2>(BITS);
        Number(value_of(wide))
    }

    fn normal(float: Float) -> Number {
        Number(value_of(float.with_precision(BITS)))
    }

    /// The number as a machine integer, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        self.is_integer().then(|| i64::try_from(self.integer_part()).ok()).flatten()
    }

    /// The number as a size or index, if it is one.
    pub fn as_usize(&self) -> Option<usize> {
        self.as_i64().and_then(|number| usize::try_from(number).ok())
    }

    /// The nearest machine float.
    pub fn to_f64(&self) -> f64 {
        value_of(self.0.to_f64())
    }

    /// From a machine float; none for infinities and NaN.
    pub fn from_f64(float: f64) -> Option<Number> {
        Float::try_from(float).ok().filter(|_| float.is_finite()).map(Number::normal)
    }

    /// Whether there is no fraction.
    pub fn is_integer(&self) -> bool {
        self.0.repr().exponent() >= 0 || self.0.fract() == Float::ZERO
    }

    /// Without the fraction.
    pub fn integer_part(&self) -> IBig {
        value_of(self.0.trunc().to_int())
    }

    /// From an integer of any size, rounded to the precision that numbers have.
    pub fn from_integer(integer: IBig) -> Number {
        Number::normal(Float::from(integer))
    }

    /// The largest integer not above.
    pub fn floor(&self) -> Number {
        Number::normal(self.0.floor())
    }

    /// The smallest integer not below.
    pub fn ceil(&self) -> Number {
        Number::normal(self.0.ceil())
    }

    /// Without its sign.
    pub fn abs(&self) -> Number {
        Number(self.0.clone().abs())
    }

    /// Below zero.
    pub fn is_negative(&self) -> bool {
        !self.is_zero() && self.0.is_negative()
    }

    /// Zero.
    pub fn is_zero(&self) -> bool {
        self.0 == Float::ZERO
    }

    /// Sum.
    pub fn add(&self, other: &Number) -> Number {
        Number(&self.0 + &other.0)
    }

    /// Difference.
    pub fn sub(&self, other: &Number) -> Number {
        Number(&self.0 - &other.0)
    }

    /// Product.
    pub fn mul(&self, other: &Number) -> Number {
        Number(&self.0 * &other.0)
    }

    /// Quotient; none when dividing by zero.
    pub fn div(&self, other: &Number) -> Option<Number> {
        (!other.is_zero()).then(|| Number(&self.0 / &other.0))
    }

    /// What is left of a division that rounds towards zero; none when dividing by zero.
    pub fn rem(&self, other: &Number) -> Option<Number> {
        let quotient = Number::normal(self.div(other)?.0.trunc());
        Some(self.sub(&quotient.mul(other)))
    }

    /// The opposite.
    pub fn neg(&self) -> Number {
        if self.is_zero() { self.clone() } else { Number(-self.0.clone()) }
    }
}

fn value_of<T, E>(result: impl IntoValue<T, E>) -> T {
    result.into_value()
}

/// dashu's operations say how they rounded; nobody here asks.
trait IntoValue<T, E> {
    fn into_value(self) -> T;
}

impl<T, E> IntoValue<T, E> for Approximation<T, E> {
    fn into_value(self) -> T {
        self.value()
    }
}

impl From<i64> for Number {
    fn from(integer: i64) -> Self {
        Number::from_integer(IBig::from(integer))
    }
}

impl From<u64> for Number {
    fn from(integer: u64) -> Self {
        Number::from_integer(IBig::from(integer))
    }
}

impl From<usize> for Number {
    fn from(integer: usize) -> Self {
        Number::from_integer(IBig::from(integer))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Number {
    /// The shortest decimal that reads back as the same number, never with an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_integer() {
            return write!(f, "{}", self.integer_part());
        }
        let short = format!("{}", self.to_f64());
        if Number::parse(&short).as_ref() == Some(self) {
            return f.write_str(&short);
        }
        for digits in 16..=160 {
            let decimal: FBig<HalfEven, 10> =
                value_of(self.0.clone().with_base_and_precision::<10>(digits));
            let text = decimal.to_string();
            if Number::parse(&text).as_ref() == Some(self) {
                return f.write_str(&text);
            }
        }
        f.write_str(&short)
    }
}

#[cfg(test)]
mod tests {
    use super::Number;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn comes_out_as_it_went_in() {
        for text in ["0", "1", "-5", "0.1", "1.5", "123456789012345678901234567890", "-0.25"] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1e3").to_string(), "1000");
        assert_eq!(number("1.50").to_string(), "1.5");
    }

    #[test]
    fn counts_exactly() {
        assert_eq!(number("0.1").add(&number("0.2")).to_string(), "0.3");
        assert_eq!(number("7").rem(&number("3")).unwrap().to_string(), "1");
        assert_eq!(number("-7").rem(&number("3")).unwrap().to_string(), "-1");
        assert!(number("1").div(&number("0")).is_none());
        assert!(number("1").div(&number("3")).unwrap().to_string().starts_with("0.3333333333"));
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in ["", "abc", "1x", "1e999999999", "0x10", "inf", "NaN", "1 2"] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
