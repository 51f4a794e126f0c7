//! Strings, as values of keys.
//!
//! A string has one of three forms, which OBJECT ENCODING names:
//!
//! | form | for | `OBJECT ENCODING` |
//! |---|---|---|
//! | [`StringValue::Int`] | the decimal form of an integer: `12`, but not `012` | `int` |
//! | [`StringValue::Bytes`] | any other string | `embstr` up to 44 bytes, else `raw` |
//! | [`StringValue::Raw`] | a string after APPEND or SETRANGE | `raw` |
//!
//! The form does not show in replies: GET replies with the same bytes. An integer takes no memory beside the value, INCR
//! need not parse it, and so Redis keeps it as a number, too.

use std::borrow::Cow;

use super::contents::Contents;
use super::small_bytes::SmallBytes;

use crate::util::number;

/// Strings up to this length are `embstr` to OBJECT ENCODING, longer ones `raw`.
const EMBSTR: usize = 44;

/// Strings that occupy more bytes than this are dropped after the lock is released.
const COSTLY_TO_DROP: usize = 64 * 1024;

/// How many bytes at the beginning of a string its fingerprint depends on.
#[cfg(debug_assertions)]
const FINGERPRINT: usize = 4096;

/// A string in one of its forms.
#[derive(Clone)]
pub enum StringValue {
    /// Bytes that do not change.
    Bytes(SmallBytes),
    /// The decimal form of an integer.
    Int(i64),
    /// Bytes that were changed in place (APPEND, SETRANGE), with room to grow. A snapshot copies them all. Boxed, so that
    /// a value has 24 bytes.
    #[allow(
        clippy::box_collection,
        reason = "a `Vec` here would make every value larger"
    )]
    Raw(Box<Vec<u8>>),
}

impl StringValue {
    /// The bytes of the string.
    #[inline]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            StringValue::Bytes(bytes) => Cow::Borrowed(bytes),
            StringValue::Raw(bytes) => Cow::Borrowed(bytes),
            StringValue::Int(n) => Cow::Owned(decimal(*n)),
        }
    }

    /// The string as bytes that can be changed in place. From then on it is [`StringValue::Raw`].
    pub fn raw_mut(&mut self) -> &mut Vec<u8> {
        let bytes = match self {
            StringValue::Raw(_) => None,
            StringValue::Bytes(bytes) => Some(bytes.take()),
            StringValue::Int(n) => Some(decimal(*n)),
        };
        if let Some(bytes) = bytes {
            *self = StringValue::Raw(Box::new(bytes));
        }
        match self {
            StringValue::Raw(bytes) => bytes,
            _ => unreachable!("the string was just made raw"),
        }
    }
}

impl From<&[u8]> for StringValue {
    #[inline]
    fn from(bytes: &[u8]) -> StringValue {
        match integer(bytes) {
            Some(n) => StringValue::Int(n),
            None => StringValue::Bytes(bytes.into()),
        }
    }
}

impl From<Vec<u8>> for StringValue {
    /// Keeps the vector's memory if the string is long.
    fn from(bytes: Vec<u8>) -> StringValue {
        match integer(&bytes) {
            Some(n) => StringValue::Int(n),
            None => StringValue::Bytes(bytes.into()),
        }
    }
}

impl Contents for StringValue {
    fn name(&self) -> &'static str {
        "string"
    }

    fn encoding(&self) -> &'static str {
        match self {
            StringValue::Int(_) => "int",
            StringValue::Bytes(bytes) if bytes.len() <= EMBSTR => "embstr",
            StringValue::Bytes(_) | StringValue::Raw(_) => "raw",
        }
    }

    #[inline]
    fn memory(&self) -> usize {
        match self {
            StringValue::Int(_) => 0,
            StringValue::Bytes(bytes) => bytes.heap_size(),
            StringValue::Raw(bytes) => size_of::<Vec<u8>>() + bytes.capacity(),
        }
    }

    fn serialized_len(&self) -> usize {
        let len = match self {
            StringValue::Int(-0x80..=0x7F) => return 2,
            StringValue::Int(-0x8000..=0x7FFF) => return 3,
            StringValue::Int(-0x8000_0000..=0x7FFF_FFFF) => return 5,
            StringValue::Int(n) => number::digits_i64(*n),
            StringValue::Bytes(bytes) => bytes.len(),
            StringValue::Raw(bytes) => bytes.len(),
        };
        // The length in front of the bytes takes 1, 2 or 5 bytes.
        match len {
            0..64 => len + 1,
            64..16384 => len + 2,
            _ => len + 5,
        }
    }

    #[inline]
    fn can_be_awaited(&self) -> bool {
        false
    }

    #[inline]
    fn is_costly_to_drop(&self) -> bool {
        self.memory() > COSTLY_TO_DROP
    }

    #[cfg(debug_assertions)]
    fn fingerprint(&self, hasher: &mut dyn std::hash::Hasher) {
        let bytes = self.bytes();
        hasher.write_usize(bytes.len());
        hasher.write(&bytes[..bytes.len().min(FINGERPRINT)]);
    }
}

/// The integer whose decimal form `bytes` are, if they are one.
#[inline]
fn integer(bytes: &[u8]) -> Option<i64> {
    // Two cheap tests exclude nearly all other strings: the first character, and 20 characters at most.
    match bytes.first() {
        Some(b'0'..=b'9' | b'-') if bytes.len() <= 20 => number::parse_i64(bytes),
        _ => None,
    }
}

/// The decimal form of an integer.
fn decimal(n: i64) -> Vec<u8> {
    let mut text = Vec::with_capacity(20);
    number::push_i64(&mut text, n);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let encoding = |s: &str| StringValue::from(s.as_bytes()).encoding();
        assert_eq!(encoding("12"), "int");
        assert_eq!(encoding("012"), "embstr");
        assert_eq!(encoding(&"x".repeat(44)), "embstr");
        assert_eq!(encoding(&"x".repeat(45)), "raw");
        let mut string = StringValue::Int(7);
        string.raw_mut().push(b'0');
        assert_eq!((string.encoding(), &*string.bytes()), ("raw", &b"70"[..]));
    }
}
