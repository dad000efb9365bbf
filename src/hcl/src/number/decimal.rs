//! Numbers as decimal digits, and the notations of Go's `strconv` and `math/big`, which is what
//! HCL shows.

use dashu_base::{Abs, BitTest};
use dashu_int::IBig;

use super::Number;

/// The decimal digits of a number: 0.d₁d₂d₃… times ten to the `point`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Neither the first nor the last one is `0`; empty for zero.
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// All digits of a number.
    pub fn exact(number: &Number) -> Decimal {
        let (significand, exponent) = number.float.clone().into_repr().into_parts();
        let negative = significand < IBig::ZERO;
        let magnitude = significand.abs();
        match usize::try_from(exponent) {
            Ok(shift) => Decimal::new(negative, &(magnitude << shift), 0),
            // A half is five tenths.
            Err(_) => {
                let places = exponent.unsigned_abs();
                Decimal::new(negative, &(magnitude * IBig::from(5).pow(places)), places as i64)
            }
        }
    }

    /// As few digits as tell the number from its neighbours of the same precision.
    pub fn shortest(number: &Number) -> Decimal {
        let (significand, exponent) = number.float.clone().into_repr().into_parts();
        let negative = significand < IBig::ZERO;
        let magnitude = significand.abs();
        if magnitude == IBig::ZERO {
            return Decimal::new(negative, &magnitude, 0);
        }
        // With all its bits, the number is `full` times two to the `power`; half the way to its
        // neighbours is half a unit. Counted in units of 10^-places, all of them are integers.
        let missing = number.bits - magnitude.bit_len();
        let full = magnitude << missing;
        let power = exponent - missing as isize;
        let even = !full.bit(0);
        let (scale, places) = match usize::try_from(power - 1) {
            Ok(shift) => (IBig::ONE << shift, 0),
            Err(_) => {
                let places = (power - 1).unsigned_abs();
                (IBig::from(5).pow(places), places as i64)
            }
        };
        let value = (&full << 1) * &scale;
        // The neighbour below a power of two is only half as far away.
        let closer = full == IBig::ONE << (number.bits - 1);
        let (low, high) = match closer {
            true => ((&full << 2) * &scale - &scale, (&full << 2) * &scale + (&scale << 1)),
            false => ((&value - &scale) << 1, (&value + &scale) << 1),
        };
        // Both ends doubled once more, so that the closer one is an integer too.
        let inside = |candidate: &IBig| {
            let doubled = candidate << 1;
            match even {
                true => low <= doubled && doubled <= high,
                false => low < doubled && doubled < high,
            }
        };
        let width = ((&high - &low) >> 1).to_string().len();
        for zeros in (0..=width).rev() {
            let unit = IBig::from(10).pow(zeros);
            let below = (&value / &unit) * &unit;
            let above = &below + &unit;
            let nearest = match (inside(&below), inside(&above)) {
                (true, true) => match (&value - &below).cmp(&(&above - &value)) {
                    std::cmp::Ordering::Less => below,
                    std::cmp::Ordering::Greater => above,
                    std::cmp::Ordering::Equal => match (&below / &unit).bit(0) {
                        true => above,
                        false => below,
                    },
                },
                (true, false) => below,
                (false, true) => above,
                (false, false) => continue,
            };
            return Decimal::new(negative, &nearest, places);
        }
        Decimal::new(negative, &value, places)
    }

    /// The shortest digits of a machine float.
    pub fn of_f64(float: f64) -> Decimal {
        Number::from_f64(float)
            .map_or(Decimal::new(false, &IBig::ZERO, 0), |number| Decimal::shortest(&number))
    }

    fn new(negative: bool, magnitude: &IBig, places: i64) -> Decimal {
        let mut digits = magnitude.to_string().into_bytes();
        if digits == b"0" {
            return Decimal { negative: false, digits: Vec::new(), point: 0 };
        }
        let point = digits.len() as i64 - places;
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        Decimal { negative, digits, point }
    }

    /// Keeps `count` digits; a tie goes to the even one.
    fn round(&mut self, count: i64) {
        let Ok(count) = usize::try_from(count) else {
            *self = Decimal { negative: self.negative, digits: Vec::new(), point: 0 };
            return;
        };
        let Some(&next) = self.digits.get(count) else { return };
        let tie = next == b'5' && self.digits.len() == count + 1;
        let up = match tie {
            true => count > 0 && self.digits[count - 1] % 2 == 1,
            false => next >= b'5',
        };
        self.digits.truncate(count);
        if up {
            while self.digits.last() == Some(&b'9') {
                self.digits.pop();
            }
            match self.digits.last_mut() {
                Some(last) => *last += 1,
                None => {
                    self.digits.push(b'1');
                    self.point += 1;
                }
            }
        }
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
    }

    fn signed(&self, magnitude: String) -> String {
        if self.negative { format!("-{magnitude}") } else { magnitude }
    }

    /// The digit at a place after the point, `0` where there is none.
    fn digit(&self, index: i64) -> char {
        let digit = usize::try_from(index).ok().and_then(|index| self.digits.get(index));
        digit.map_or('0', |&digit| digit as char)
    }

    /// Without exponent (`%f`), with so many digits after the point or as many as there are.
    pub fn fixed(mut self, places: Option<usize>) -> String {
        if let Some(places) = places {
            self.round(self.point + places as i64);
        }
        let places = places.map_or((self.digits.len() as i64 - self.point).max(0), |n| n as i64);
        let mut text: String = (0..self.point.max(0)).map(|index| self.digit(index)).collect();
        if text.is_empty() {
            text.push('0');
        }
        if places > 0 {
            text.push('.');
            text.extend((0..places).map(|index| self.digit(self.point + index)));
        }
        self.signed(text)
    }

    /// With an exponent (`%e`), with so many digits after the point or as many as there are.
    pub fn scientific(mut self, places: Option<usize>) -> String {
        if let Some(places) = places {
            self.round(places as i64 + 1);
        }
        let places = places.unwrap_or(self.digits.len().saturating_sub(1)) as i64;
        let mut text = String::from(self.digit(0));
        if places > 0 {
            text.push('.');
            text.extend((1..=places).map(|index| self.digit(index)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        text.push_str(&format!("e{sign}{:02}", exponent.abs()));
        self.signed(text)
    }

    /// Whichever of the two is handier (`%g`), with so many digits or as many as there are.
    pub fn general(mut self, count: Option<usize>) -> String {
        if let Some(count) = count {
            self.round(count.max(1) as i64);
        }
        let length = self.digits.len() as i64;
        let limit = match count.map(|count| count.max(1) as i64) {
            None => 6,
            Some(count) if count > length && length >= self.point => length,
            Some(count) => count,
        };
        match self.point - 1 {
            exponent if exponent < -4 || exponent >= limit => self.scientific(None),
            _ => self.fixed(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn few_digits_that_read_back() {
        let third = number("1").div(&number("3")).unwrap();
        let text = third.to_string();
        assert_eq!(text.len(), "0.".len() + 155);
        assert_eq!(number(&text), third);
        let difference = number("1.4").sub(&number("0.3"));
        assert_eq!(number(&difference.to_string()), difference);
        assert_eq!(Decimal::of_f64(0.1).fixed(None), "0.1");
        assert_eq!(Decimal::of_f64(f64::MAX).general(None), "1.7976931348623157e+308");
        assert_eq!(Number::from(1i64).div(&Number::from(3i64)).unwrap().to_string().len(), 22);
    }

    #[test]
    fn agrees_with_the_machine() {
        let mut bits = 0x9E37_79B9_7F4A_7C15u64;
        for _ in 0..2000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let float = f64::from_bits(bits);
            if float.is_finite() && float.is_normal() {
                assert_eq!(Decimal::of_f64(float).fixed(None), format!("{float}"));
            }
        }
    }

    #[test]
    fn notations() {
        let shown = |text: &str| Decimal::exact(&number(text));
        assert_eq!(shown("2.5").fixed(Some(0)), "2");
        assert_eq!(shown("3.5").fixed(Some(0)), "4");
        assert_eq!(shown("0.5").fixed(Some(0)), "0");
        assert_eq!(shown("9.99").fixed(Some(1)), "10.0");
        assert_eq!(shown("0.001").fixed(Some(1)), "0.0");
        assert_eq!(shown("-1234.5").scientific(Some(2)), "-1.23e+03");
        assert_eq!(shown("0").scientific(Some(1)), "0.0e+00");
        assert_eq!(shown("1234.5").general(Some(3)), "1.23e+03");
        assert_eq!(shown("100000").general(Some(3)), "1e+05");
        assert_eq!(shown("100").general(Some(3)), "100");
    }
}
