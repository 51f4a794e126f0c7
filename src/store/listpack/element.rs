//! One element of a listpack: its value, and its bytes.
//!
//! The table of encodings is in [`super`]. Reading an element is [`Listpack::get`](super::Listpack::get).

use crate::util::number;

/// An element takes fewer bytes than this besides its string: at most 5 in front of it and 5 behind. An integer also takes
/// fewer bytes: at most 1 + 8 + 1.
pub(super) const OVERHEAD: usize = 11;

/// The value of an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'a> {
    /// A string that is the decimal form of this integer.
    Int(i64),
    /// Any other string.
    Str(&'a [u8]),
}

impl Element<'_> {
    /// Whether the element, as a string, is equal to `bytes`.
    pub fn equals(&self, bytes: &[u8]) -> bool {
        match *self {
            Element::Str(own) => own == bytes,
            Element::Int(n) => number::parse_i64(bytes) == Some(n),
        }
    }
}

/// Encodes elements at the end of a buffer. See [`Listpack::append`](super::Listpack::append).
pub struct ListpackWriter<'a> {
    /// The buffer.
    pub(super) out: &'a mut Vec<u8>,
    /// How many elements were written.
    pub(super) count: usize,
}

impl ListpackWriter<'_> {
    /// Adds an integer.
    #[inline]
    pub fn int(&mut self, value: i64) {
        push_int(self.out, value);
        self.count += 1;
    }

    /// Adds a string. It is stored as an integer if it is the decimal form of one.
    #[inline]
    pub fn string(&mut self, bytes: &[u8]) {
        if matches!(bytes.first(), Some(b'0'..=b'9' | b'-'))
            && let Some(value) = number::parse_i64(bytes)
        {
            return self.int(value);
        }
        push_string(self.out, bytes);
        self.count += 1;
    }
}

/// Appends the element for an integer.
#[inline]
fn push_int(out: &mut Vec<u8>, value: i64) {
    let (bytes, len) = encode_int(value);
    out.extend_from_slice(&bytes[..len]);
}

/// The element for an integer, as the first bytes of an array, and the number of these bytes.
#[inline]
pub(super) fn encode_int(value: i64) -> ([u8; OVERHEAD], usize) {
    let mut out = [0; OVERHEAD];
    let (code, size) = match value {
        0..=127 => {
            (out[0], out[1]) = (value as u8, 1);
            return (out, 2);
        }
        -4096..=4095 => {
            let bits = (value & 0x1FFF) as u16;
            out[..3].copy_from_slice(&[0xC0 | (bits >> 8) as u8, bits as u8, 2]);
            return (out, 3);
        }
        -0x8000..=0x7FFF => (0xF1, 2),
        -0x80_0000..=0x7F_FFFF => (0xF2, 3),
        -0x8000_0000..=0x7FFF_FFFF => (0xF3, 4),
        _ => (0xF4, 8),
    };
    out[0] = code;
    out[1..9].copy_from_slice(&value.to_le_bytes());
    out[size + 1] = size as u8 + 1;
    (out, size + 2)
}

/// Appends the element for a string.
fn push_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = bytes.len();
    let head = match len {
        0..64 => {
            out.push(0x80 | len as u8);
            1
        }
        64..4096 => {
            out.extend_from_slice(&[0xE0 | (len >> 8) as u8, len as u8]);
            2
        }
        _ => {
            out.push(0xF0);
            out.extend_from_slice(&(len as u32).to_le_bytes());
            5
        }
    };
    out.extend_from_slice(bytes);
    push_backlen(out, head + len);
}

/// How many bytes the backlen of an element has. `len` is the length of the element without its backlen.
#[inline]
pub(super) fn backlen_size(len: usize) -> usize {
    match len {
        // These are Redis's bounds. The second and later ones are lower than necessary by one: 16383 fits into two bytes.
        0..128 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Appends the backlen of an element: `len`, with 7 bits per byte. It is read backwards from its last byte. All bytes but the
/// first have the top bit set.
fn push_backlen(out: &mut Vec<u8>, len: usize) {
    let size = backlen_size(len);
    out.extend((0..size).rev().map(|i| backlen_byte(len, i, size)));
}

/// The byte of a backlen of `size` bytes that holds the bits of `len` from 7 × `i` on.
#[inline]
pub(super) fn backlen_byte(len: usize, i: usize, size: usize) -> u8 {
    let bits = (len >> (7 * i)) as u8 & 0x7F;
    if i == size - 1 { bits } else { bits | 0x80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_with_bytes() {
        assert!(
            Element::Int(5).equals(b"5")
                && !Element::Int(5).equals(b"05")
                && Element::Str(b"x").equals(b"x")
        );
    }
}
