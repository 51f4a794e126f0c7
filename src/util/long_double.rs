//! The 80-bit floating point number of x86, which is what INCRBYFLOAT computes with.
//!
//! In 64 bits `0.1 + 0.2` is `0.30000000000000004`; Redis answers `0.3`, because C's `long double` has a
//! 64-bit mantissa there and the result is printed with 17 decimals, fewer than it is good for. To answer the
//! same we compute the same: a number is `mantissa × 2^exponent` with the mantissa's top bit set, every
//! operation rounds to the nearest such number, ties to even.
//!
//! Reading and printing must be exact as well, and a decimal fraction has no exact binary form; both
//! therefore go through integers as long as needed (`Big`).

use std::cmp::Ordering;

/// A finite `long double`, or an infinity. `NaN` is never made: Redis takes none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LongDouble {
    Finite {
        negative: bool,
        mantissa: u64,
        exponent: i32,
    },
    Infinite {
        negative: bool,
    },
}

use LongDouble::{Finite, Infinite};

/// 2 to this power overflows to infinity.
const MAX_EXPONENT: i32 = 16384;
/// Longer texts than this are not numbers to Redis.
const MAX_CHARS: usize = 5 * 1024;

impl LongDouble {
    /// Reads what `strtold` reads, whole and without leading blanks: decimal or hexadecimal, with
    /// or without an exponent, or `inf`. `None` for anything else, for `nan` and for overflow.
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

    /// The sum, rounded to nearest. `None` if it is not a finite number.
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
        // 62 spare bits below the mantissa: enough that only "was anything lost" matters further down.
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

    /// The form INCRBYFLOAT stores: 17 decimals (`%.17Lf`) less their trailing zeros.
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
            // 64 + 57 bits: the scaled number fits, and what is shifted out decides the rounding.
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

/// Shifts right by 1 to 126 bits, to the nearest, ties to even.
fn shift_right_to_even(value: u128, down: u32) -> u128 {
    let kept = value >> down;
    let lost = value & ((1 << down) - 1);
    match lost.cmp(&(1 << (down - 1))) {
        Ordering::Less => kept,
        Ordering::Equal => kept + (kept & 1),
        Ordering::Greater => kept + 1,
    }
}

/// Rounds `wide × 2^exponent` to 64 bits of mantissa; `sticky` tells that there was more below.
fn round(negative: bool, wide: u128, sticky: bool, exponent: i32) -> LongDouble {
    if wide == 0 {
        return Finite {
            negative: false,
            mantissa: 0,
            exponent: 0,
        };
    }
    let excess = 64 - wide.leading_zeros() as i32;
    let (mut mantissa, mut exponent) = if excess <= 0 {
        (wide << -excess, exponent + excess)
    } else {
        // The sticky bit only breaks a tie: with at least one bit to lose, put it below all of them.
        let with_sticky = (wide & !1) | (wide & 1) | u128::from(sticky && excess > 1);
        (
            shift_right_to_even(with_sticky, excess as u32),
            exponent + excess,
        )
    };
    if mantissa >> 64 != 0 {
        mantissa >>= 1;
        exponent += 1;
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

/// Reads `digits[.digits][mark[±]digits]` in base 10 or 16.
fn parse_digits(text: &str, base: u32, mark: char, negative: bool) -> Option<LongDouble> {
    let (number, exponent) = match text.split_once(mark) {
        Some((number, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            // Anything beyond the range is as far out as its edge.
            let size = digits.parse::<i32>().unwrap_or(i32::MAX).min(30_000);
            (
                number,
                if exponent.starts_with('-') {
                    -size
                } else {
                    size
                },
            )
        }
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut digits = Big::default();
    for c in whole.chars().chain(fraction.chars()) {
        digits.multiply_add(base, c.to_digit(base)?);
    }
    let mut below = Big::from(1);
    if digits.is_zero() {
        return Some(Finite {
            negative: false,
            mantissa: 0,
            exponent: 0,
        });
    }
    if base == 16 {
        return Some(divide(
            negative,
            digits,
            below,
            exponent - 4 * fraction.len() as i32,
        ));
    }
    let exponent = exponent - fraction.len() as i32;
    if exponent + (whole.len() + fraction.len()) as i32 > 5000 {
        return Some(Infinite { negative });
    }
    if exponent < -10_000 {
        return None; // underflow: an error to Redis
    }
    for _ in 0..exponent.unsigned_abs() {
        if exponent > 0 {
            &mut digits
        } else {
            &mut below
        }
        .multiply_add(10, 0);
    }
    Some(divide(negative, digits, below, 0))
}

/// `above / below × 2^exponent`, to the nearest: 66 bits of quotient by long division, the rest is sticky.
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

/// A natural number of any size, least significant limb first, without zero limbs on top.
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
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> u32 {
        self.0
            .last()
            .map_or(0, |top| self.0.len() as u32 * 32 - top.leading_zeros())
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
            "", "abc", "1x", " 1", "1 ", "nan", "1e", "--1", ".", "1e99999",
        ] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(
            LongDouble::parse(b"-inf"),
            Some(Infinite { negative: true })
        );
        assert!(LongDouble::parse(b"+.5").is_some() && LongDouble::parse(b"5.").is_some());
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
