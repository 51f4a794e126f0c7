//! The 80-bit floating point number of x86. INCRBYFLOAT computes with it.
//!
//! With 64-bit numbers (`f64`), `0.1 + 0.2` is `0.30000000000000004`. Redis replies `0.3`, because C's `long double` on
//! x86 has 80 bits, 64 of them for the mantissa, and because Redis prints 17 decimals. To reply the same, this file
//! computes the same.
//!
//! A number is `mantissa × 2^exponent`. For example, `0.5` is `0x8000_0000_0000_0000 × 2^-64`. A decimal text must become
//! the nearest such number, and a number of many digits must be printed exactly. So reading and printing use integers of
//! any size (`Big`).
//!
//! # Invariants
//!
//! * The mantissa's top bit is set, except in zero and in subnormal numbers, whose exponent is `MIN_EXPONENT`.
//! * Every operation rounds to the nearest number; ties go to the even mantissa.
//! * There is no `NaN`, because Redis rejects it. Zero has no sign, because Redis prints none.
//! * The cost is bounded, because a text has at most 5119 bytes.

use std::cmp::Ordering;

/// A `long double` that is not `NaN`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LongDouble {
    /// The number `±mantissa × 2^exponent`.
    Finite {
        /// The sign; false for zero.
        negative: bool,
        /// Zero; or a number whose top bit is set; or, with the smallest exponent, any smaller number.
        mantissa: u64,
        /// The power of two of the mantissa's lowest bit.
        exponent: i32,
    },
    /// An infinity. It can be read, but a sum with it is an error.
    Infinite {
        /// The sign.
        negative: bool,
    },
}

use LongDouble::{Finite, Infinite};

/// Numbers of 2 to this power and more overflow to infinity.
const MAX_EXPONENT: i32 = 16384;
/// The exponent of the smallest number, 2^-16445.
const MIN_EXPONENT: i32 = -16445;
/// A number with this many digits before the decimal point overflows. (The format ends a little earlier, at 1.2 × 10^4932.
/// This limit and the next save the computation of huge powers of ten.)
const MAX_DECIMAL: i32 = 4940;
/// A number with more than 4960 zeros after the decimal point underflows.
const MIN_DECIMAL: i32 = -4960;
/// Redis rejects texts of this many bytes or more, because its buffer also holds a zero byte.
const MAX_CHARS: usize = 5 * 1024;

impl LongDouble {
    /// Reads a number as C's `strtold` does: decimal or hexadecimal, with or without an exponent, or `inf`. `None` for
    /// every other text, for white space before or after the number, for `nan`, for overflow, and for a number that is
    /// not zero but so small that it rounds to zero.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        let text = std::str::from_utf8(text)
            .ok()
            .filter(|t| t.len() < MAX_CHARS)?;
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let lower = digits.to_ascii_lowercase();
        if lower == "inf" || lower == "infinity" {
            return Some(Infinite { negative });
        }
        let value = match lower.strip_prefix("0x") {
            Some(hex) => parse_digits(hex, 16, 'p', negative)?,
            None => parse_digits(&lower, 10, 'e', negative)?,
        };
        matches!(value, Finite { .. }).then_some(value)
    }

    /// The sum. `None` if it is not a finite number.
    pub fn plus(self, other: LongDouble) -> Option<LongDouble> {
        let (
            Finite {
                negative: an,
                mantissa: am,
                exponent: ae,
            },
            Finite {
                negative: bn,
                mantissa: bm,
                exponent: be,
            },
        ) = (self, other)
        else {
            return None;
        };
        if am == 0 || bm == 0 {
            return Some(if am == 0 { other } else { self });
        }
        // Both mantissas get 62 more bits below. Of the bits that are shifted out below those, only one fact matters for
        // rounding: whether one of them is set. The lowest bit records this.
        let widen = |m: u64, down: u32| {
            let wide = u128::from(m) << 62;
            match down {
                0..127 => (wide >> down) | u128::from(wide & ((1 << down) - 1) != 0),
                _ => 1,
            }
        };
        let exponent = ae.max(be);
        let a = widen(am, (exponent - ae) as u32);
        let b = widen(bm, (exponent - be) as u32);
        let (negative, sum) = match (an == bn, a.cmp(&b)) {
            (true, _) => (an, a + b),
            (false, Ordering::Less) => (bn, b - a),
            (false, _) => (an, a - b),
        };
        let sum = round(negative, sum, false, exponent - 62);
        matches!(sum, Finite { .. }).then_some(sum)
    }

    /// The text that INCRBYFLOAT stores: 17 decimals (`%.17Lf`) without trailing zeros.
    pub fn to_text(self) -> String {
        let (negative, mantissa, exponent) = match self {
            Infinite { negative } => return if negative { "-inf" } else { "inf" }.to_string(),
            Finite {
                negative,
                mantissa,
                exponent,
            } => (negative, mantissa, exponent),
        };
        const SCALE: u128 = 100_000_000_000_000_000;
        let digits = if exponent >= 0 {
            let mut whole = Big::from(u128::from(mantissa));
            whole.shift_left(exponent as u32);
            whole.to_decimal()
        } else {
            // The mantissa has 64 bits and SCALE has 57, so the product fits. The bits that are shifted out decide the
            // rounding.
            let scaled = u128::from(mantissa) * SCALE;
            let down = exponent.unsigned_abs();
            let rounded = if down >= 127 {
                0
            } else {
                shift_right_to_even(scaled, down)
            };
            let fraction = format!("{:017}", rounded % SCALE);
            match fraction.trim_end_matches('0') {
                "" => (rounded / SCALE).to_string(),
                fraction => format!("{}.{fraction}", rounded / SCALE),
            }
        };
        if negative && digits != "0" {
            format!("-{digits}")
        } else {
            digits
        }
    }
}

/// Shifts right by 1 to 127 bits. Rounds to the nearest number; ties go to the even one.
fn shift_right_to_even(value: u128, down: u32) -> u128 {
    let kept = value >> down;
    let lost = value & ((1 << down) - 1);
    match lost.cmp(&(1 << (down - 1))) {
        Ordering::Less => kept,
        Ordering::Equal => kept + (kept & 1),
        Ordering::Greater => kept + 1,
    }
}

/// Rounds `wide × 2^exponent` to a `long double`. `sticky` is true if bits below `wide` are set.
fn round(negative: bool, wide: u128, sticky: bool, exponent: i32) -> LongDouble {
    let bits = 128 - wide.leading_zeros() as i32;
    // How many low bits to drop, so that 64 are left and none is worth less than the smallest number.
    let excess = (bits - 64).max(MIN_EXPONENT - exponent);
    if wide == 0 || excess > 127 {
        return ZERO;
    }
    let (mut mantissa, mut exponent) = if excess <= 0 {
        (wide << -excess, exponent + excess)
    } else {
        let wide = wide | u128::from(sticky && excess > 1);
        (shift_right_to_even(wide, excess as u32), exponent + excess)
    };
    if mantissa >> 64 != 0 {
        mantissa >>= 1;
        exponent += 1;
    }
    if mantissa == 0 {
        return ZERO;
    }
    if exponent + 64 > MAX_EXPONENT {
        return Infinite { negative };
    }
    Finite {
        negative,
        mantissa: mantissa as u64,
        exponent,
    }
}

/// The number 0.
const ZERO: LongDouble = Finite {
    negative: false,
    mantissa: 0,
    exponent: 0,
};

/// Reads `digits[.digits][mark[±]digits]` in base 10 or 16. Overflow gives an infinity. `None` if the text has another
/// form, or underflows.
fn parse_digits(text: &str, base: u32, mark: char, negative: bool) -> Option<LongDouble> {
    let (number, exponent) = match text.split_once(mark) {
        Some((number, exponent)) => (number, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits: Option<Vec<u32>> = whole
        .chars()
        .chain(fraction.chars())
        .map(|c| c.to_digit(base))
        .collect();
    let digits = digits?;
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        return Some(ZERO);
    }
    let mut above = Big::from_digits(digits, base);
    let mut below = Big::from(1);
    let fraction = fraction.len() as i32;
    let value = if base == 16 {
        divide(negative, above, below, exponent - 4 * fraction)
    } else {
        let exponent = exponent - fraction;
        match exponent + digits.len() as i32 {
            MAX_DECIMAL.. => return Some(Infinite { negative }),
            ..MIN_DECIMAL => return None,
            _ => {}
        }
        let scaled = if exponent > 0 { &mut above } else { &mut below };
        scaled.multiply_by_ten_to(exponent.unsigned_abs());
        divide(negative, above, below, 0)
    };
    (value != ZERO).then_some(value)
}

/// Reads `[±]digits`. A huge exponent is cut to one that overflows or underflows as well.
fn parse_exponent(text: &str) -> Option<i32> {
    const BEYOND: i32 = 100_000;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse::<i32>().unwrap_or(BEYOND).min(BEYOND);
    Some(if text.starts_with('-') { -size } else { size })
}

/// `above / below × 2^exponent`, rounded. A long division computes the first bits of the quotient, at least 66. Of the
/// remainder, only one fact matters for rounding: whether it is zero.
fn divide(negative: bool, mut above: Big, mut below: Big, exponent: i32) -> LongDouble {
    const BITS: i32 = 66;
    let up = BITS - (above.bits() as i32 - below.bits() as i32);
    if up >= 0 {
        above.shift_left(up as u32)
    } else {
        below.shift_left(up.unsigned_abs())
    }
    below.shift_left(BITS as u32 + 1);
    let mut quotient: u128 = 0;
    for _ in 0..=BITS + 1 {
        quotient <<= 1;
        if above.at_least(&below) {
            above.subtract(&below);
            quotient |= 1;
        }
        below.halve();
    }
    round(negative, quotient, !above.is_zero(), exponent - up)
}

/// A natural number of any size, as limbs of 32 bits. The least significant limb comes first, and the last is not zero.
#[derive(Clone, Default)]
struct Big(Vec<u32>);

impl From<u128> for Big {
    fn from(value: u128) -> Big {
        let mut big = Big((0..4).map(|i| (value >> (32 * i)) as u32).collect());
        big.trim();
        big
    }
}

impl Big {
    /// Removes the zeros at the end, which are the most significant limbs.
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of bits, from the highest set bit down.
    fn bits(&self) -> u32 {
        self.0
            .last()
            .map_or(0, |top| self.0.len() as u32 * 32 - top.leading_zeros())
    }

    /// The number with these digits. Takes several digits at once, as many as fit a limb.
    fn from_digits(digits: &[u32], base: u32) -> Big {
        let at_once = if base == 16 { 7 } else { 9 };
        let mut big = Big::default();
        for chunk in digits.chunks(at_once) {
            let value = chunk.iter().fold(0, |sum, digit| sum * base + digit);
            big.multiply_add(base.pow(chunk.len() as u32), value);
        }
        big
    }

    fn multiply_by_ten_to(&mut self, power: u32) {
        for _ in 0..power / 9 {
            self.multiply_add(1_000_000_000, 0);
        }
        self.multiply_add(10_u32.pow(power % 9), 0);
    }

    fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    fn shift_left(&mut self, bits: u32) {
        self.multiply_add(1 << (bits % 32), 0);
        self.0
            .splice(0..0, std::iter::repeat_n(0, bits as usize / 32));
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.0.iter_mut().rev() {
            let next = *limb << 31;
            *limb = (*limb >> 1) | carry;
            carry = next;
        }
        self.trim();
    }

    fn at_least(&self, other: &Big) -> bool {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())) != Ordering::Less
    }

    /// Subtracts `other`, which must not be greater.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = 0i64;
        for (i, limb) in self.0.iter_mut().enumerate() {
            let difference =
                i64::from(*limb) - i64::from(other.0.get(i).copied().unwrap_or(0)) + borrow;
            *limb = difference as u32;
            borrow = difference >> 32;
        }
        self.trim();
    }

    /// The decimal form. Each division by 10^9 yields nine digits.
    fn to_decimal(&self) -> String {
        let mut rest = self.clone();
        let mut groups = vec![];
        while !rest.is_zero() {
            let mut remainder = 0u64;
            for limb in rest.0.iter_mut().rev() {
                let value = (remainder << 32) | u64::from(*limb);
                *limb = (value / 1_000_000_000) as u32;
                remainder = value % 1_000_000_000;
            }
            rest.trim();
            groups.push(remainder);
        }
        let Some(first) = groups.pop() else {
            return "0".to_string();
        };
        let tail: String = groups.iter().rev().map(|g| format!("{g:09}")).collect();
        format!("{first}{tail}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let read = |t: &str| LongDouble::parse(t.as_bytes()).unwrap();
        read(a).plus(read(b)).unwrap().to_text()
    }

    #[test]
    fn sums_as_the_real_redis_prints_them() {
        // Each recorded from INCRBYFLOAT of redis-server 7.0.15.
        for (a, b, expected) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0", "1.000000000000000005", "4.00000000000000001"),
            (
                "123456789.123456789",
                "0.987654321",
                "123456790.11111110999627272",
            ),
            ("3.3333333333333333333", "1e-10", "3.33333333343333333"),
            ("1", "-1", "0"),
            ("-0.1", "0.05", "-0.05"),
            ("17179869184", "1.5", "17179869185.5"),
            ("1e20", "1", "100000000000000000000"),
            ("0x10", "0", "16"),
            ("0", "1e-17", "0.00000000000000001"),
            ("0", "1e-18", "0"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for bad in [
            "",
            "abc",
            "1x",
            " 1",
            "1 ",
            "nan",
            "1e",
            "--1",
            ".",
            "1e99999",
            "1e-9999",
            "1e-4952",
            "1e4933",
            "1.8e-4951",
            "0x1p-16446",
            "0x1p16384",
            "0x",
            "0x1p",
            "1\0",
        ] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(
            LongDouble::parse(b"-inf"),
            Some(Infinite { negative: true })
        );
        for good in [
            "+.5",
            "5.",
            "0e-99999",
            "1e-4950",
            "1.9e-4951",
            "0x1.8p-16446",
            "0x1p-16445",
            "1e4932",
        ] {
            assert!(LongDouble::parse(good.as_bytes()).is_some(), "{good}");
        }
    }

    #[test]
    fn long_texts() {
        let zeros = "0".repeat(5000);
        let read = |text: String| LongDouble::parse(text.as_bytes());
        assert_eq!(read(format!("1{zeros}e-5000")), LongDouble::parse(b"1"));
        assert_eq!(read(format!("0.{zeros}1e5001")), LongDouble::parse(b"1"));
        assert!(read(format!("1{zeros}e-9950")).is_some_and(|n| n != ZERO));
        assert_eq!(read(format!("1{zeros}e-9952")), None);
        assert_eq!(read(format!("0.{zeros}1")), None);
        assert!(read(format!("0x1{zeros}p-36445")).is_some_and(|n| n != ZERO));
        assert_eq!(read(format!("0x1{zeros}p-36447")), None);
        assert!(read("0".repeat(5118) + "7").is_some() && read("0".repeat(5119) + "7").is_none());
    }

    #[test]
    fn integers_are_exact() {
        for n in [1u64, 3, 1 << 52, (1 << 53) + 1, u64::MAX] {
            assert_eq!(
                LongDouble::parse(n.to_string().as_bytes())
                    .unwrap()
                    .to_text(),
                n.to_string()
            );
        }
    }
}
