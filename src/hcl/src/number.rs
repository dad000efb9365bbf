//! Numbers as HCL has them: binary floats of 512 bits, so that integers of any sensible size and
//! decimal fractions survive arithmetic and come out as they went in. What functions count or
//! compute with machine numbers has fewer bits, as in HCL, which shows in how it is written.

mod decimal;

use std::cmp::Ordering;
use std::fmt;

use dashu_base::{Abs, Approximation, BitTest, Signed};
use dashu_float::round::mode::HalfEven;
use dashu_float::{Context, FBig};
use dashu_int::IBig;

pub use decimal::Decimal;

type Float = FBig<HalfEven, 2>;

/// The precision of numbers that were written, in bits; HCL's.
const BITS: usize = 512;
/// The precision of numbers that were counted.
const INTEGER_BITS: usize = 64;
/// The precision of machine floats.
const FLOAT_BITS: usize = 53;
/// Larger exponents only come from mistakes or attacks; writing them out would fill the memory.
const MAX_EXPONENT: i64 = 100_000;

/// A number of a template.
#[derive(Clone)]
pub struct Number {
    float: Float,
    /// Its precision. That of a result is the larger one of its operands.
    bits: usize,
}

impl Number {
    /// Reads a decimal number such as `-1.5e3`. None if it is not one or too large to hold.
    pub fn parse(text: &str) -> Option<Number> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (digits, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if exponent.abs() > MAX_EXPONENT || digits.len() as i64 > MAX_EXPONENT {
            return None;
        }
        let magnitude = IBig::from_str_radix(&digits, 10).ok()?;
        let signed = if negative { -magnitude } else { magnitude };
        Some(Number::from_decimal(signed, exponent - fraction.len() as i64))
    }

    /// `digits` times ten to the `exponent`, rounded once.
    fn from_decimal(digits: IBig, exponent: i64) -> Number {
        let ten = |power: i64| IBig::from(10).pow(power.unsigned_abs() as usize);
        if exponent >= 0 {
            return Number::new(Float::from(digits * ten(exponent)), BITS);
        }
        // Enough bits that the quotient has two more than are kept; what the division leaves
        // decides only ties, for which one more bit stands.
        let divisor = ten(exponent);
        let shift = (BITS + 2 + divisor.bit_len()).saturating_sub(digits.bit_len());
        let shifted = digits.clone() << shift;
        let (quotient, rest) = (&shifted / &divisor, &shifted % &divisor);
        let sign = if digits < IBig::ZERO { -1 } else { 1 };
        let sticky = if rest == IBig::ZERO { IBig::ZERO } else { IBig::from(sign) };
        Number::new(Float::from_parts((quotient << 1) + sticky, -(shift as isize) - 1), BITS)
    }

    /// Rounds to so many bits, once: a float that claims to have few enough may have more.
    fn new(float: Float, bits: usize) -> Number {
        let exact = Float::from_repr(float.into_repr(), Context::new(0));
        Number { float: value_of(exact.with_precision(bits)), bits }
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
        value_of(self.float.to_f64())
    }

    /// From a machine float; none for infinities and NaN.
    pub fn from_f64(float: f64) -> Option<Number> {
        let exact = Float::try_from(float).ok().filter(|_| float.is_finite());
        exact.map(|float| Number::new(float, FLOAT_BITS))
    }

    /// Whether there is no fraction.
    pub fn is_integer(&self) -> bool {
        self.float.repr().exponent() >= 0
    }

    /// Without the fraction.
    pub fn integer_part(&self) -> IBig {
        value_of(self.float.trunc().to_int())
    }

    /// From an integer of any size, with all its bits.
    pub fn from_integer(integer: IBig) -> Number {
        let bits = integer.bit_len().max(INTEGER_BITS);
        Number::new(Float::from(integer), bits)
    }

    /// The largest integer not above.
    pub fn floor(&self) -> Number {
        Number::new(self.float.floor(), self.bits)
    }

    /// The smallest integer not below.
    pub fn ceil(&self) -> Number {
        Number::new(self.float.ceil(), self.bits)
    }

    /// Without its sign.
    pub fn abs(&self) -> Number {
        Number { float: self.float.clone().abs(), bits: self.bits }
    }

    /// Below zero.
    pub fn is_negative(&self) -> bool {
        !self.is_zero() && self.float.is_negative()
    }

    /// Zero.
    pub fn is_zero(&self) -> bool {
        self.float == Float::ZERO
    }

    fn combine(&self, other: &Number, apply: impl Fn(Float, Float) -> Float) -> Number {
        let bits = self.bits.max(other.bits);
        // Wide enough that sums and products are exact, and quotients as good as that.
        let wide = |number: &Number| value_of(number.float.clone().with_precision(3 * bits));
        Number::new(apply(wide(self), wide(other)), bits)
    }

    /// Sum.
    pub fn add(&self, other: &Number) -> Number {
        self.combine(other, |a, b| a + b)
    }

    /// Difference.
    pub fn sub(&self, other: &Number) -> Number {
        self.combine(other, |a, b| a - b)
    }

    /// Product.
    pub fn mul(&self, other: &Number) -> Number {
        self.combine(other, |a, b| a * b)
    }

    /// Quotient; none when dividing by zero.
    pub fn div(&self, other: &Number) -> Option<Number> {
        (!other.is_zero()).then(|| self.combine(other, |a, b| a / b))
    }

    /// What is left of a division that rounds towards zero; all of it when dividing by zero.
    pub fn rem(&self, other: &Number) -> Number {
        let Some(quotient) = self.div(other) else { return self.clone() };
        let whole = Number::new(quotient.float.trunc(), self.bits);
        let taken = Number::new(whole.mul(other).float, self.bits);
        Number::new(self.sub(&taken).float, self.bits)
    }

    /// The opposite.
    pub fn neg(&self) -> Number {
        match self.is_zero() {
            true => self.clone(),
            false => Number { float: -self.float.clone(), bits: self.bits },
        }
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
        self.float == other.float
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
        self.float.cmp(&other.float)
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
        f.write_str(&Decimal::shortest(self).fixed(None))
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
        assert_eq!(number("7").rem(&number("3")).to_string(), "1");
        assert_eq!(number("-7").rem(&number("3")).to_string(), "-1");
        assert_eq!(number("5").rem(&number("0")).to_string(), "5");
        assert!(number("1").div(&number("0")).is_none());
        assert!(number("1").div(&number("3")).unwrap().to_string().starts_with("0.3333333333"));
    }

    #[test]
    fn refuses_invalid_numbers() {
        for text in ["", "abc", "1x", "1e999999999", "0x10", "inf", "NaN", "1 2", " 1", "+", "."] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
