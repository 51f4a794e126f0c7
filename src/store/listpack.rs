//! The listpack: a list of small strings and integers in one piece of memory.
//!
//! ```text
//!  ┌──────────┬───────┬───────────┬───────────┬───┬────┐
//!  │ bytes u32│ n  u16│ element   │ element   │ … │ FF │
//!  └──────────┴───────┴───────────┴───────────┴───┴────┘
//!                      ┌──────────────┬──────┬─────────┐
//!                      │ encoding,len │ data │ backlen │
//!                      └──────────────┴──────┴─────────┘
//! ```
//!
//! An element says how long it is in front, so the list can be read forwards, and again behind
//! (*backlen*), so that it can be read backwards. What looks like an integer is stored as one, in as few bytes as it
//! needs: the number 5 takes two bytes. The format is Redis's, byte for byte, because this is also
//! how it stands in RDB files and goes over the wire to replicas.
//!
//! | first byte | element |
//! |---|---|
//! | `0xxxxxxx` | integer 0 to 127 |
//! | `10xxxxxx` | string of up to 63 bytes |
//! | `110xxxxx` +1 | integer of 13 bits, signed |
//! | `1110xxxx` +1 | string of up to 4095 bytes |
//! | `F0` +4 | longer string |
//! | `F1` `F2` `F3` `F4` | integer of 16, 24, 32, 64 bits |

use std::sync::Arc;

use crate::util::number;

const HEADER: usize = 6;
const END: u8 = 0xFF;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'a> {
    Int(i64),
    Str(&'a [u8]),
}

impl Element<'_> {
    /// Whether the element stands for these bytes.
    pub fn equals(&self, bytes: &[u8]) -> bool {
        match *self {
            Element::Str(own) => own == bytes,
            Element::Int(n) => number::parse_i64(bytes) == Some(n),
        }
    }
}

/// A list of elements. Positions are byte offsets; [`Listpack::first`] is the only one to begin with. A clone shares the
/// bytes until one of the two changes.
#[derive(Clone)]
pub struct Listpack(Arc<Vec<u8>>);

impl Default for Listpack {
    fn default() -> Listpack {
        Listpack(Arc::new(vec![7, 0, 0, 0, 0, 0, END]))
    }
}

impl Listpack {
    pub fn with_capacity(bytes: usize) -> Listpack {
        let mut own = Vec::with_capacity(bytes.max(HEADER + 1));
        own.extend_from_slice(&Listpack::default().0);
        Listpack(Arc::new(own))
    }

    /// How many bytes the list takes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub fn shrink_to_fit(&mut self) {
        if let Some(own) = Arc::get_mut(&mut self.0) {
            own.shrink_to_fit();
        }
    }

    /// The position of the first element, or of the end.
    pub const fn first() -> usize {
        HEADER
    }

    /// The position of the end.
    pub fn end(&self) -> usize {
        self.0.len() - 1
    }

    /// The element at `at`, and the position of the next.
    #[inline]
    pub fn get(&self, at: usize) -> (Element<'_>, usize) {
        let rest = &self.0[at..];
        let int = |n: usize| {
            let mut wide = [0u8; 8];
            wide[8 - n..].copy_from_slice(&rest[1..1 + n]);
            (
                Element::Int(i64::from_le_bytes(wide) >> (64 - 8 * n)),
                at + n + 2,
            )
        };
        let string = |head: usize, len: usize| {
            (
                Element::Str(&rest[head..head + len]),
                at + head + len + backlen_size(head + len),
            )
        };
        match rest[0] {
            n @ 0..0x80 => (Element::Int(i64::from(n)), at + 2),
            n @ 0x80..0xC0 => string(1, usize::from(n & 0x3F)),
            n @ 0xC0..0xE0 => {
                let value = (i64::from(n & 0x1F) << 8) | i64::from(rest[1]);
                (
                    Element::Int(if value >= 1 << 12 {
                        value - (1 << 13)
                    } else {
                        value
                    }),
                    at + 3,
                )
            }
            n @ 0xE0..0xF0 => string(2, (usize::from(n & 0x0F) << 8) | usize::from(rest[1])),
            0xF0 => string(
                5,
                u32::from_le_bytes([rest[1], rest[2], rest[3], rest[4]]) as usize,
            ),
            0xF1 => int(2),
            0xF2 => int(3),
            0xF3 => int(4),
            _ => int(8),
        }
    }

    /// The integer at `at`, and the position of the next element. A string counts as 0; no list that
    /// was built here has one where this is asked.
    #[inline]
    pub fn int(&self, at: usize) -> (i64, usize) {
        match self.get(at) {
            (Element::Int(n), next) => (n, next),
            (Element::Str(_), next) => (0, next),
        }
    }

    /// The position after the element at `at`.
    #[inline]
    pub fn next(&self, at: usize) -> usize {
        self.get(at).1
    }

    /// The position after `n` elements from `at` on.
    #[inline]
    pub fn skip(&self, mut at: usize, n: usize) -> usize {
        for _ in 0..n {
            at = self.next(at);
        }
        at
    }

    /// The position of the element before `at`, which must not be the first.
    pub fn previous(&self, at: usize) -> usize {
        let (mut len, mut shift, mut i) = (0usize, 0, at - 1);
        loop {
            let byte = self.0[i];
            len |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            i -= 1;
        }
        i - len
    }

    /// Appends elements: `write` is handed a writer that takes them.
    pub fn append(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let own = Arc::make_mut(&mut self.0);
        own.pop();
        let mut writer = Writer { out: own, count: 0 };
        write(&mut writer);
        let added = writer.count;
        own.push(END);
        seal(own, added as isize);
    }

    /// Puts an integer in place of the element at `at`.
    pub fn replace_int(&mut self, at: usize, value: i64) {
        let next = self.next(at);
        let mut new = Vec::with_capacity(12);
        push_int(&mut new, value);
        let own = Arc::make_mut(&mut self.0);
        if new.len() == next - at {
            own[at..next].copy_from_slice(&new);
        } else {
            own.splice(at..next, new);
            seal(own, 0);
        }
    }

    /// A list from bytes that came from outside; `None` unless they are one, whole and consistent, so that all other
    /// methods can trust it.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Listpack> {
        let end = bytes.len().checked_sub(1)?;
        let header = bytes.get(..HEADER)?;
        let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        if len as usize != bytes.len() || end < HEADER || bytes[end] != END {
            return None;
        }
        let (mut at, mut count) = (HEADER, 0u64);
        while at < end {
            let byte = |i: usize| bytes[..end].get(at + i).copied().map(usize::from);
            let size = match bytes[at] {
                0..0x80 => 1,
                n @ 0x80..0xC0 => 1 + usize::from(n & 0x3F),
                0xC0..0xE0 => 2,
                n @ 0xE0..0xF0 => 2 + ((usize::from(n & 0x0F) << 8) | byte(1)?),
                0xF0 => 5 + (byte(1)? | byte(2)? << 8 | byte(3)? << 16 | byte(4)? << 24),
                0xF1 => 3,
                0xF2 => 4,
                0xF3 => 5,
                0xF4 => 9,
                _ => return None,
            };
            let behind = backlen_size(size);
            let next = at + size + behind;
            let fits =
                |i: usize| bytes[at + size + i] == backlen_byte(size, behind - 1 - i, behind);
            if next > end || !(0..behind).all(fits) {
                return None;
            }
            at = next;
            count += 1;
        }
        let claimed = u16::from_le_bytes([header[4], header[5]]);
        (claimed == u16::MAX || u64::from(claimed) == count).then(|| Listpack(Arc::new(bytes)))
    }

    /// The list as it stands in memory, in RDB files and on the way to a replica.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Brings the header up to date after `added` elements came.
fn seal(bytes: &mut [u8], added: isize) {
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    // 65535 says "more than fit in here, count them".
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    let count = if count == u16::MAX {
        count
    } else {
        (count as isize + added).min(u16::MAX as isize) as u16
    };
    bytes[4..6].copy_from_slice(&count.to_le_bytes());
}

/// Takes the elements that [`Listpack::append`] adds.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    count: usize,
}

impl Writer<'_> {
    #[inline]
    pub fn int(&mut self, value: i64) {
        push_int(self.out, value);
        self.count += 1;
    }

    /// Adds a string, as an integer if it is the decimal form of one.
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

fn push_int(out: &mut Vec<u8>, value: i64) {
    let bytes = value.to_le_bytes();
    let (code, size) = match value {
        0..=127 => return out.extend_from_slice(&[value as u8, 1]),
        -4096..=4095 => {
            let bits = (value & 0x1FFF) as u16;
            return out.extend_from_slice(&[0xC0 | (bits >> 8) as u8, bits as u8, 2]);
        }
        -0x8000..=0x7FFF => (0xF1, 2),
        -0x80_0000..=0x7F_FFFF => (0xF2, 3),
        -0x8000_0000..=0x7FFF_FFFF => (0xF3, 4),
        _ => (0xF4, 8),
    };
    out.push(code);
    out.extend_from_slice(&bytes[..size]);
    out.push(size as u8 + 1);
}

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

/// How many bytes the length of an element of `len` bytes takes when written behind it.
#[inline]
fn backlen_size(len: usize) -> usize {
    match len {
        // The bounds are Redis's: at each, one byte more than necessary.
        0..128 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// The length, 7 bits a byte, to be read from its last byte backwards: all but the first byte have the top bit set.
fn push_backlen(out: &mut Vec<u8>, len: usize) {
    let size = backlen_size(len);
    out.extend((0..size).rev().map(|i| backlen_byte(len, i, size)));
}

/// The byte of such a length, of `size` bytes, that holds its bits from 7 × `i` on.
#[inline]
fn backlen_byte(len: usize, i: usize, size: usize) -> u8 {
    let bits = (len >> (7 * i)) as u8 & 0x7F;
    if i == size - 1 { bits } else { bits | 0x80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_survive_forwards_and_backwards() {
        let ints = [
            0,
            1,
            127,
            128,
            4095,
            4096,
            -1,
            -4096,
            -4097,
            32767,
            -32768,
            1 << 20,
            -(1 << 23),
            1 << 31,
        ];
        let ints = ints
            .into_iter()
            .chain([i64::MAX, i64::MIN, i64::from(i32::MIN)]);
        let strings = [0, 1, 63, 64, 127, 4095, 4096, 20_000, 3_000_000].map(|n| vec![b'x'; n]);
        let mut list = Listpack::default();
        let mut expected: Vec<(Option<i64>, Vec<u8>)> = vec![];
        list.append(|w| {
            for n in ints {
                w.string(n.to_string().as_bytes());
                expected.push((Some(n), vec![]));
            }
            for s in &strings {
                w.string(s);
                expected.push((None, s.clone()));
            }
        });
        let same = |element: Element<'_>, (int, string): &(Option<i64>, Vec<u8>)| match element {
            Element::Int(n) => Some(n) == *int,
            Element::Str(s) => int.is_none() && s == string,
        };
        let mut at = Listpack::first();
        for item in &expected {
            let (element, next) = list.get(at);
            assert!(same(element, item));
            assert_eq!(list.previous(next), at);
            at = next;
        }
        assert_eq!(at, list.end());
        assert_eq!(
            u32::from_le_bytes(list.0[..4].try_into().unwrap()) as usize,
            list.0.len()
        );
        assert_eq!(
            u16::from_le_bytes([list.0[4], list.0[5]]) as usize,
            expected.len()
        );
    }

    #[test]
    fn integers_can_be_replaced() {
        let mut list = Listpack::default();
        list.append(|w| (0..5).for_each(|i| w.int(i)));
        for value in [7, 300, -5, i64::MAX, 1] {
            list.replace_int(Listpack::first() + 2, value);
            assert_eq!(list.int(Listpack::first() + 2).0, value);
            assert_eq!(list.int(list.previous(list.end())).0, 4);
        }
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        let mut list = Listpack::default();
        list.append(|w| {
            w.string(b"1");
            w.string(b"abc");
            w.int(-1);
        });
        assert_eq!(
            *list.0,
            [
                17, 0, 0, 0, 3, 0, 1, 1, 0x83, b'a', b'b', b'c', 4, 0xDF, 0xFF, 2, 0xFF
            ],
        );
    }

    #[test]
    fn equality_with_bytes() {
        assert!(
            Element::Int(5).equals(b"5")
                && !Element::Int(5).equals(b"05")
                && Element::Str(b"x").equals(b"x")
        );
    }
}
