//! Reads and prints numbers as Redis does.
//!
//! Redis is strict about integers: `007`, `+7` and ` 7` are strings, not numbers. So a value that is stored as an
//! integer prints back unchanged. [`parse_i64`] has these rules. Redis reads some other numbers with the C library, which
//! is less strict:
//!
//! | text | [`parse_i64`] | [`parse_u64_lenient`] (stream IDs) | [`parse_cursor`] (SCAN) | [`parse_i64_lenient`] (settings) |
//! |---|---|---|---|---|
//! | `7` | 7 | 7 | 7 | 7 |
//! | `007`, `+7` | none | 7 | 7 | 7 |
//! | ` 7` | none | 7 | none | 7 |
//! | `-1` | -1 | none | 2^64 - 1 | -1 |
//! | (empty) | none | none | 0 | 0 |
//! | `7x` | none | none | none | none |
//!
//! Invariant: for every number, `parse_i64` reads the text that [`push_i64`] prints, and no other text.

/// Reads a signed integer strictly: decimal digits without leading zeros, and at most one `-` before them.
/// `None` for every other text, and for numbers of more than 64 bits.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        // 19 digits cannot overflow 64 unsigned bits.
        value = value * 10 + u64::from(digit - b'0');
    }
    if negative {
        (value <= 1 << 63).then(|| (value as i64).wrapping_neg())
    } else {
        i64::try_from(value).ok()
    }
}

/// Reads one part of a stream ID, as Redis's `string2ull` does: first strictly, then as C's `strtoull`, which accepts
/// leading white space, a sign and leading zeros. A zero byte ends the text. `None` if the text is no number, or does
/// not fit 64 bits.
pub fn parse_u64_lenient(text: &[u8]) -> Option<u64> {
    let text = until_zero(text);
    match parse_i64(text) {
        Some(value) => u64::try_from(value).ok(),
        None if text.is_empty() => None,
        None => strtoull(text),
    }
}

/// Reads the cursor of SCAN, as Redis's `parseScanCursorOrReply` does: like C's `strtoul`, but leading white space
/// is an error. The empty text is 0, and `-1` is the largest number. A zero byte ends the text. `None` if the text is no
/// number, or does not fit 64 bits.
pub fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = until_zero(text);
    match text.first() {
        None => Some(0),
        Some(b' ' | b'\t'..=b'\r') => None,
        Some(_) => strtoull(text),
    }
}

/// The text before the first zero byte, because a zero byte ends a string in C.
pub fn until_zero(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    &text[..end]
}

/// C's `strtoull` in base 10 for a whole text: white space, a sign, digits. A negative number wraps around.
/// `None` if a digit is missing, something follows the digits, or the number needs more than 64 bits.
fn strtoull(text: &[u8]) -> Option<u64> {
    let start = text
        .iter()
        .position(|b| !matches!(b, b' ' | b'\t'..=b'\r'))?;
    let (negative, digits) = match &text[start..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// Appends the decimal form of `value`. Allocates no `String`, because most replies need it.
pub fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

/// Appends the decimal form of `value`.
pub fn push_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The length of the decimal form of `value`.
pub fn digits_i64(value: i64) -> usize {
    let sign = usize::from(value < 0);
    sign + value
        .unsigned_abs()
        .checked_ilog10()
        .map_or(1, |log| log as usize + 1)
}

/// Reads a size in bytes as redis.conf writes it: `100`, `1k` (1000), `1kb` (1024), and so on up to `gb`. `None` if the
/// unit is unknown.
///
/// As lenient as Redis's `memtoull`: a text without digits is 0, a number that does not fit 64 bits becomes the largest
/// number, and the unit multiplies without a check for overflow. 128 digits and more are an error.
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let split = text
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    if digits.len() >= 128 {
        return None;
    }
    let value = digits.iter().fold(0u64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(value.wrapping_mul(factor))
}

/// Reads an integer as C's `strtoll` does: it accepts leading white space, a sign and leading zeros. A number that does
/// not fit becomes the nearest number. The empty text is 0. `None` if a digit is missing or something follows the digits.
pub fn parse_i64_lenient(text: &[u8]) -> Option<i64> {
    let start = text
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'..=b'\r'));
    let (negative, digits) = match &text[start.count()..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if !digits.iter().all(u8::is_ascii_digit) || digits.is_empty() && !text.is_empty() {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    Some(if negative { -magnitude } else { magnitude })
}

/// Prints a number of bytes in the form of INFO's `_human` fields: 1,572,864 bytes are `1.50M`.
pub fn human_bytes(bytes: u64) -> String {
    let scaled = |shift: u32| bytes as f64 / (1u64 << shift) as f64;
    match bytes {
        0..1024 => format!("{bytes}B"),
        1024..0x10_0000 => format!("{:.2}K", scaled(10)),
        0x10_0000..0x4000_0000 => format!("{:.2}M", scaled(20)),
        0x4000_0000..0x100_0000_0000 => format!("{:.2}G", scaled(30)),
        _ => format!("{:.2}T", scaled(40)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_integers() {
        for good in [
            "0",
            "7",
            "-7",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(parse_i64(good.as_bytes()), good.parse().ok(), "{good}");
        }
        for bad in [
            "",
            "-",
            "+7",
            "007",
            "-0",
            " 7",
            "7 ",
            "1e3",
            "9223372036854775808",
            "-9223372036854775809",
        ] {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn lenient_unsigned() {
        assert_eq!(parse_u64_lenient(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64_lenient(b"18446744073709551616"), None);
        assert_eq!(parse_u64_lenient(b"007"), Some(7));
        assert_eq!(parse_u64_lenient(b" +7"), Some(7));
        assert_eq!(parse_u64_lenient(b"-7"), None);
        assert_eq!(parse_u64_lenient(b"x"), None);
        assert_eq!(parse_u64_lenient(b""), None);
        assert_eq!(parse_u64_lenient(b"1\0x"), Some(1));
    }

    #[test]
    fn cursors() {
        // Each was tried with SCAN of redis-server 7.0.15.
        for (text, value) in [
            ("", 0),
            ("0", 0),
            ("-0", 0),
            ("+5", 5),
            ("007", 7),
            ("-1", u64::MAX),
            ("18446744073709551615", u64::MAX),
            ("-18446744073709551615", 1),
            ("00000000000000000000000000000001", 1),
            ("1\0x", 1),
            ("\0", 0),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), Some(value), "{text:?}");
        }
        for bad in [
            " 1",
            "\t1",
            "\x0b1",
            "1 ",
            "1x",
            "x",
            "-",
            "+",
            "--1",
            "+-1",
            "- 1",
            "0x10",
            "18446744073709551616",
            "-18446744073709551616",
        ] {
            assert_eq!(parse_cursor(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn lenient_signed() {
        assert_eq!(parse_i64_lenient(b""), Some(0));
        assert_eq!(parse_i64_lenient(b" +07"), Some(7));
        assert_eq!(parse_i64_lenient(b"-7"), Some(-7));
        assert_eq!(parse_i64_lenient(b"99999999999999999999"), Some(i64::MAX));
        for bad in [&b"7x"[..], b"-", b" ", b"7 "] {
            assert_eq!(parse_i64_lenient(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn printing_is_the_inverse_of_reading() {
        for value in [0, 1, 9, 10, 99, 100, -1, -10, i64::MAX, i64::MIN, 1 << 40] {
            let mut text = vec![];
            push_i64(&mut text, value);
            assert_eq!(parse_i64(&text), Some(value));
            assert_eq!(digits_i64(value), text.len());
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_memory(b"1gb"), Some(1 << 30));
        assert_eq!(parse_memory(b"5K"), Some(5000));
        assert_eq!(parse_memory(b"kb"), Some(0));
        assert_eq!(parse_memory(b"18446744073709551616"), Some(u64::MAX));
        for bad in [&b"5x"[..], b"-1", b" 1", b"1 mb", b"1.5"] {
            assert_eq!(parse_memory(bad), None, "{bad:?}");
        }
        assert_eq!(human_bytes(916_928), "895.44K");
    }
}
