//! The listpack: many small strings and integers in one allocation.
//!
//! A node of a stream is one listpack of some hundred entries. An allocation for each element would cost more than the
//! elements themselves.
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
//! The first byte of an element gives its encoding and length, so the list can be read forwards. The length of both parts is
//! repeated at the end (*backlen*), so the list can be read backwards. A string that is the decimal form of an integer is
//! stored as an integer, in as few bytes as the table allows. The format is Redis's, byte for byte, because RDB files and
//! replication contain it.
//!
//! | first byte | element |
//! |---|---|
//! | `0xxxxxxx` | integer 0 to 127 |
//! | `10xxxxxx` | string of up to 63 bytes |
//! | `110xxxxx` +1 | integer of 13 bits, signed |
//! | `1110xxxx` +1 | string of up to 4095 bytes |
//! | `F0` +4 | longer string |
//! | `F1` `F2` `F3` `F4` | integer of 16, 24, 32, 64 bits |
//!
//! The list `["1", "abc", "-1"]` takes 17 bytes:
//!
//! ```text
//!  11 00 00 00   03 00   01 01   83 61 62 63 04   DF FF 02   FF
//!  17 bytes      3       1       "abc"            -1         end
//! ```
//!
//! # Positions
//!
//! A position is the byte offset of an element, or of the end. After a change at a position, the positions before it are
//! still valid, and those behind it are not. After an insertion the new element is at the given position. After a deletion
//! the next element is.
//!
//! # Invariants
//!
//! * The header holds the length of the list in bytes. It also holds the number of elements, or 65535 for "unknown, count
//!   them". A list of 65535 elements or more is always unknown, and stays so when it becomes shorter, as in Redis.
//! * The list has less than 4 GB. A node of a stream ends at 1 GB ([`super::stream::NodeLimits::MAX_BYTES`]).
//! * Bytes from outside become a list only through [`Listpack::from_bytes`], which checks them. All other methods trust the
//!   bytes.
//!
//! # Cost
//!
//! For a list of n elements in b bytes. All costs assume a short list: b is usually a few thousand.
//!
//! | operation | time |
//! |---|---|
//! | `get`, `next`, `previous` | O(1) |
//! | `skip` | O(elements skipped) |
//! | `append` | O(1) amortised per element |
//! | `replace_int` | O(1) if the integer keeps its length, else O(b) |
//! | `from_bytes` | O(n) |
//! | `clone` | O(1): shares the bytes |
//! | first change after a `clone` | O(b) |
//!
//! # Where to read next
//!
//! The encoding of one element: `element.rs`. What small collections need besides (index, search, changes in the middle):
//! `list.rs`. How the entries of a stream are built from elements: [`super::stream::node`].

mod element;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "for small lists, hashes, sets and sorted sets")
)]
mod list;

use std::sync::Arc;

pub use element::{Element, ListpackWriter};
use element::{OVERHEAD, backlen_byte, backlen_size, encode_int};

/// Bytes in front of the first element.
const HEADER: usize = 6;

/// The byte behind the last element.
const END: u8 = 0xFF;

/// What the header says when it does not know the number of elements.
const UNKNOWN: u16 = u16::MAX;

/// A list of elements. Positions are byte offsets; a walk begins at [`Listpack::first`]. A clone shares the bytes until one
/// of both changes.
#[derive(Clone)]
pub struct Listpack(Arc<Vec<u8>>);

impl Default for Listpack {
    fn default() -> Listpack {
        Listpack(Arc::new(vec![7, 0, 0, 0, 0, 0, END]))
    }
}

impl Listpack {
    /// An empty list with room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Listpack {
        let mut own = Vec::with_capacity(bytes.max(HEADER + 1));
        own.extend_from_slice(&Listpack::default().0);
        Listpack(Arc::new(own))
    }

    /// How many bytes the list has.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// How many bytes are allocated.
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Frees the memory that is not used. Does nothing if a snapshot shares the list.
    pub fn shrink_to_fit(&mut self) {
        if let Some(own) = Arc::get_mut(&mut self.0) {
            own.shrink_to_fit();
        }
    }

    /// Makes room for `bytes` more. Grows by at least a quarter of the list, so that many small insertions cost few
    /// reallocations and a small list leaves little memory unused.
    fn reserve(&mut self, bytes: usize) {
        let own = Arc::make_mut(&mut self.0);
        if own.capacity() - own.len() < bytes {
            own.reserve_exact(bytes.max(own.len() / 4));
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

    /// The element at `at`, and the position of the next element.
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

    /// The integer at `at`, and the position of the next element. A string counts as 0; callers call this only where the
    /// format has an integer.
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

    /// The position `n` elements after `at`.
    #[inline]
    pub fn skip(&self, mut at: usize, n: usize) -> usize {
        for _ in 0..n {
            at = self.next(at);
        }
        at
    }

    /// The position of the element before `at`. `at` is not the first element.
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

    /// Appends elements, which `write` gives to its writer.
    pub fn append(&mut self, write: impl FnOnce(&mut ListpackWriter<'_>)) {
        let own = Arc::make_mut(&mut self.0);
        own.pop();
        let mut writer = ListpackWriter { out: own, count: 0 };
        write(&mut writer);
        let added = writer.count;
        own.push(END);
        seal(own, added as isize);
    }

    /// Replaces the element at `at` by an integer.
    pub fn replace_int(&mut self, at: usize, value: i64) {
        let next = self.next(at);
        let (new, len) = encode_int(value);
        if len == next - at {
            Arc::make_mut(&mut self.0)[at..next].copy_from_slice(&new[..len]);
        } else {
            self.reserve(OVERHEAD);
            self.replace_with(at, |w| w.int(value));
        }
    }

    /// Replaces the element at `at` by the one element that `write` writes.
    fn replace_with(&mut self, at: usize, write: impl FnOnce(&mut ListpackWriter<'_>)) {
        let next = self.next(at);
        let own = Arc::make_mut(&mut self.0);
        let old = own.len();
        write(&mut ListpackWriter { out: own, count: 0 });
        let bytes = own.len() - old;
        if bytes == next - at {
            own.copy_within(old.., at);
            own.truncate(old);
        } else {
            own[at..].rotate_right(bytes);
            own.drain(at + bytes..next + bytes);
            seal(own, 0);
        }
    }

    /// The list in these bytes, which came from outside. `None` if they are not a consistent list. All other methods trust
    /// a list that passed this check.
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
        (claimed == UNKNOWN || u64::from(claimed) == count).then(|| Listpack(Arc::new(bytes)))
    }

    /// The bytes of the list: as in memory, so in RDB files and in a copy for a replica.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Updates the header after `added` elements were added; a negative number were removed.
fn seal(bytes: &mut [u8], added: isize) {
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    let count = match u16::from_le_bytes([bytes[4], bytes[5]]) {
        UNKNOWN => UNKNOWN,
        n => (n as isize + added).clamp(0, UNKNOWN as isize) as u16,
    };
    bytes[4..6].copy_from_slice(&count.to_le_bytes());
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
}
