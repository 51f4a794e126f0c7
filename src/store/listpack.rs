//! The listpack: a list of small strings and integers in one piece of memory.
//!
//! A small list, hash, set or sorted set is one listpack, and so are a hundred entries of a stream. An allocation for each
//! element would cost more than the elements themselves.
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
//! Each element states its length in front, so the list can be read forwards, and again behind
//! (*backlen*), so that it can be read backwards. What looks like an integer is stored as one, in as few bytes as it
//! needs. The format is Redis's, byte for byte, because RDB files and replication contain it.
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
//! A position is the byte offset of an element, or of the end. A change at a position leaves those before it valid, and no
//! others. After an insertion the new element is at the given position; after a deletion the next one is.
//!
//! # Invariants
//!
//! * The header states the length in bytes. It also states the number of elements, or 65535 for "unknown, count them".
//!   A list of 65535 elements or more is always unknown, one that was so large before may be; Redis does the same.
//! * The length is less than 4 GB. [`Listpack::fits`] tells whether more may be added; callers ask before they add.
//! * All bytes from outside go through [`Listpack::from_bytes`]. Other methods trust them.
//!
//! # Cost
//!
//! For a list of n elements in b bytes. Nothing here is meant for long lists: b is some thousand at most.
//!
//! | operation | time |
//! |---|---|
//! | `get`, `next`, `previous`, `last` | O(1) |
//! | `len` | O(1), O(n) if unknown |
//! | `seek` | O(n), from the nearer end |
//! | `find` | O(n) |
//! | `append`, `push_back` | O(1) amortised |
//! | `insert`, `replace`, `delete`, `delete_range` | O(b) to move bytes |
//! | `clone` | O(1): shares the bytes |
//! | first change after a `clone` | O(b) |
//!
//! Read on with [`super::stream::node`], which builds entries of a stream from these elements.

use std::sync::Arc;

use crate::util::number;

const HEADER: usize = 6;
const END: u8 = 0xFF;

/// What the header says when it does not know the number of elements.
const UNKNOWN: u16 = u16::MAX;

/// How large a list may become, as in Redis.
const MAX_BYTES: usize = 1 << 30;

/// More than the bytes of an element that are not its string: 5 in front and 5 behind.
const OVERHEAD: usize = 11;

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

    /// The bytes that the element stands for.
    pub fn to_vec(self) -> Vec<u8> {
        let mut out = vec![];
        match self {
            Element::Str(own) => out.extend_from_slice(own),
            Element::Int(n) => number::push_i64(&mut out, n),
        }
        out
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

    /// Whether `bytes` more can be added.
    pub fn fits(&self, bytes: usize) -> bool {
        self.bytes().saturating_add(bytes) <= MAX_BYTES
    }

    /// Makes room for `bytes` more, and for a quarter of the list at least, so that many small additions cost few
    /// reallocations and a small list wastes little.
    fn reserve(&mut self, bytes: usize) {
        let own = Arc::make_mut(&mut self.0);
        if own.capacity() - own.len() < bytes {
            own.reserve_exact(bytes.max(own.len() / 4));
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match u16::from_le_bytes([self.0[4], self.0[5]]) {
            UNKNOWN => self.iter().count(),
            n => usize::from(n),
        }
    }

    pub fn is_empty(&self) -> bool {
        Listpack::first() == self.end()
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

    /// The position of the last element, if there is one.
    pub fn last(&self) -> Option<usize> {
        (!self.is_empty()).then(|| self.previous(self.end()))
    }

    /// The position of the element with this index. Negative ones count from the end: −1 is the last.
    pub fn seek(&self, index: i64) -> Option<usize> {
        let (len, distance) = (self.len(), usize::try_from(index.unsigned_abs()).ok()?);
        let index = match index {
            0.. => distance,
            _ => len.checked_sub(distance)?,
        };
        if index >= len {
            return None;
        }
        if index <= len / 2 {
            return Some(self.skip(Listpack::first(), index));
        }
        let mut at = self.end();
        for _ in index..len {
            at = self.previous(at);
        }
        Some(at)
    }

    /// All elements, from either end.
    pub fn iter(&self) -> ListpackIter<'_> {
        self.iter_from(Listpack::first())
    }

    /// The elements from position `at` on, from either end.
    pub fn iter_from(&self, at: usize) -> ListpackIter<'_> {
        ListpackIter {
            list: self,
            front: at,
            back: self.end(),
        }
    }

    /// The position of the first element from `at` on that stands for `bytes`. After each comparison `skip` elements are
    /// passed over: 1 finds a field in a list of fields and values.
    pub fn find(&self, mut at: usize, bytes: &[u8], skip: usize) -> Option<usize> {
        let number = number::parse_i64(bytes);
        while at < self.end() {
            let (element, next) = self.get(at);
            let same = match element {
                Element::Str(own) => own == bytes,
                Element::Int(n) => number == Some(n),
            };
            if same {
                return Some(at);
            }
            at = next;
            for _ in 0..skip {
                if at < self.end() {
                    at = self.next(at);
                }
            }
        }
        None
    }

    /// Appends elements: `write` is handed a writer that takes them.
    pub fn append(&mut self, write: impl FnOnce(&mut ListpackWriter<'_>)) {
        let own = Arc::make_mut(&mut self.0);
        own.pop();
        let mut writer = ListpackWriter { out: own, count: 0 };
        write(&mut writer);
        let added = writer.count;
        own.push(END);
        seal(own, added as isize);
    }

    /// Inserts elements before position `at`, which may be the end.
    pub fn insert_with(&mut self, at: usize, write: impl FnOnce(&mut ListpackWriter<'_>)) {
        let own = Arc::make_mut(&mut self.0);
        let old = own.len();
        let mut writer = ListpackWriter { out: own, count: 0 };
        write(&mut writer);
        let added = writer.count;
        // They were written behind everything; this moves them to their place.
        let bytes = own.len() - old;
        own[at..].rotate_right(bytes);
        seal(own, added as isize);
    }

    /// Inserts an element before position `at`, which may be the end.
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.reserve(bytes.len() + OVERHEAD);
        self.insert_with(at, |w| w.string(bytes));
    }

    /// Inserts an integer before position `at`, which may be the end.
    pub fn insert_int(&mut self, at: usize, value: i64) {
        self.reserve(OVERHEAD);
        self.insert_with(at, |w| w.int(value));
    }

    /// Inserts an element after the one at position `at`.
    pub fn insert_after(&mut self, at: usize, bytes: &[u8]) {
        self.insert(self.next(at), bytes);
    }

    pub fn push_front(&mut self, bytes: &[u8]) {
        self.insert(Listpack::first(), bytes);
    }

    pub fn push_back(&mut self, bytes: &[u8]) {
        self.insert(self.end(), bytes);
    }

    /// Appends all elements of another list.
    pub fn extend(&mut self, other: &Listpack) {
        let elements = &other.0[HEADER..other.end()];
        self.reserve(elements.len());
        let added = other.len();
        let own = Arc::make_mut(&mut self.0);
        own.pop();
        own.extend_from_slice(elements);
        own.push(END);
        seal(own, added as isize);
    }

    /// Puts an element in place of the one at `at`.
    pub fn replace(&mut self, at: usize, bytes: &[u8]) {
        self.reserve(bytes.len() + OVERHEAD);
        self.replace_with(at, |w| w.string(bytes));
    }

    /// Puts an integer in place of the element at `at`.
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

    /// Puts what `write` writes, one element, in place of the one at `at`.
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

    /// Deletes the element at `at`.
    pub fn delete(&mut self, at: usize) {
        self.delete_range(at, 1);
    }

    /// Deletes up to `count` elements from position `at` on, and tells how many there were.
    pub fn delete_range(&mut self, at: usize, count: usize) -> usize {
        let (mut to, mut deleted) = (at, 0);
        while deleted < count && to < self.end() {
            to = self.next(to);
            deleted += 1;
        }
        if deleted > 0 {
            let own = Arc::make_mut(&mut self.0);
            own.drain(at..to);
            seal(own, -(deleted as isize));
        }
        deleted
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
        (claimed == UNKNOWN || u64::from(claimed) == count).then(|| Listpack(Arc::new(bytes)))
    }

    /// The list as it stands in memory, in RDB files and on the way to a replica.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Elements of a list, see [`Listpack::iter`].
#[derive(Clone)]
pub struct ListpackIter<'a> {
    list: &'a Listpack,
    front: usize,
    back: usize,
}

impl<'a> Iterator for ListpackIter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (element, next) = self.list.get(self.front);
        self.front = next;
        Some(element)
    }
}

impl<'a> DoubleEndedIterator for ListpackIter<'a> {
    fn next_back(&mut self) -> Option<Element<'a>> {
        if self.front >= self.back {
            return None;
        }
        self.back = self.list.previous(self.back);
        Some(self.list.get(self.back).0)
    }
}

/// Brings the header up to date after `added` elements came, or went if negative.
fn seal(bytes: &mut [u8], added: isize) {
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    let count = match u16::from_le_bytes([bytes[4], bytes[5]]) {
        UNKNOWN => UNKNOWN,
        n => (n as isize + added).clamp(0, UNKNOWN as isize) as u16,
    };
    bytes[4..6].copy_from_slice(&count.to_le_bytes());
}

/// Takes the elements that [`Listpack::append`] adds.
pub struct ListpackWriter<'a> {
    out: &'a mut Vec<u8>,
    count: usize,
}

impl ListpackWriter<'_> {
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

#[inline]
fn push_int(out: &mut Vec<u8>, value: i64) {
    let (bytes, len) = encode_int(value);
    out.extend_from_slice(&bytes[..len]);
}

/// The element for an integer, and how many bytes of the array it takes.
#[inline]
fn encode_int(value: i64) -> ([u8; OVERHEAD], usize) {
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

    /// Elements near every bound of the format.
    fn sample(n: u64) -> Vec<u8> {
        let edges = [0, 127, 4095, 32_767, 1 << 23, 1 << 31, i64::MAX];
        let edge = edges[n as usize / 8 % 7];
        match n % 8 {
            0..4 => edge.wrapping_add(n as i64 % 8 - 2).to_string().into_bytes(),
            4 | 5 => edge
                .wrapping_neg()
                .wrapping_sub(n as i64 % 2)
                .to_string()
                .into(),
            6 => vec![b'x'; [0, 1, 62, 63, 64, 125, 126, 4096][n as usize / 8 % 8]],
            _ => [&b"007"[..], b"-0", b"9223372036854775808", b"1.5"][n as usize / 8 % 4].into(),
        }
    }

    fn check(list: &Listpack, model: &[Vec<u8>]) {
        assert!(list.iter().map(|e| e.to_vec()).eq(model.iter().cloned()));
        let backwards = list.iter().rev().map(|e| e.to_vec());
        assert!(backwards.eq(model.iter().rev().cloned()));
        assert_eq!(
            (list.len(), list.is_empty()),
            (model.len(), model.is_empty())
        );
        assert!(Listpack::from_bytes(list.as_bytes().to_vec()).is_some());
        // Whatever was done to it, the bytes are those of a list that was made at once.
        let mut fresh = Listpack::default();
        fresh.append(|w| model.iter().for_each(|s| w.string(s)));
        assert_eq!(fresh.as_bytes(), list.as_bytes());
    }

    #[test]
    fn behaves_as_a_vector_does() {
        let (mut list, mut model) = (Listpack::default(), Vec::<Vec<u8>>::new());
        let mut x = 99u64;
        let mut random = |n: usize| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 33) as usize % n
        };
        for step in 0..2500 {
            let new = sample(random(1000) as u64);
            let index = random(model.len() + 1);
            let at = match list.seek(index as i64) {
                Some(at) => at,
                None => list.end(),
            };
            let grows = step % 300 < 200;
            match random(10) {
                0..4 if grows => {
                    list.insert(at, &new);
                    model.insert(index, new);
                }
                4 if index < model.len() => {
                    list.insert_after(at, &new);
                    model.insert(index + 1, new);
                }
                5 if index < model.len() => {
                    list.replace(at, &new);
                    model[index] = new;
                }
                6 if index < model.len() => {
                    list.replace_int(at, index as i64 - 50);
                    model[index] = (index as i64 - 50).to_string().into_bytes();
                }
                7 if grows => {
                    list.insert_int(at, step);
                    model.insert(index, step.to_string().into_bytes());
                }
                8 if index < model.len() && !grows => {
                    list.delete(at);
                    model.remove(index);
                }
                9 if step % 7 == 0 => {
                    let count = random(20).min(model.len() - index);
                    let more = if index + count == model.len() { 5 } else { 0 };
                    assert_eq!(list.delete_range(at, count + more), count);
                    model.drain(index..index + count);
                }
                _ => {
                    let shared = list.clone();
                    list.push_front(&new);
                    list.push_back(&new);
                    list.extend(&shared);
                    check(&shared, &model);
                    model = [vec![new.clone()], model.clone(), vec![new], model].concat();
                    list.delete_range(Listpack::first(), model.len() / 2);
                    model.drain(..model.len() / 2);
                }
            }
            check(&list, &model);
            let index = random(model.len() + 2) as i64 - 1;
            let back = index - model.len() as i64;
            if back < 0 {
                assert_eq!(list.seek(back), list.seek(index).filter(|_| index >= 0));
            }
        }
        list.shrink_to_fit();
        assert_eq!(list.capacity(), list.bytes());
    }

    #[test]
    fn elements_are_found() {
        let mut list = Listpack::default();
        for text in ["a", "1", "1", "b", "2", "a"] {
            list.push_back(text.as_bytes());
        }
        let find = |text: &str, from, skip| {
            let at = list.find(list.seek(from)?, text.as_bytes(), skip)?;
            (0..6).position(|i| list.seek(i) == Some(at))
        };
        assert_eq!((find("1", 0, 0), find("1", 0, 1)), (Some(1), Some(2)));
        assert_eq!((find("a", 1, 0), find("a", 2, 1)), (Some(5), None));
        assert_eq!((find("01", 0, 0), find("", 0, 5)), (None, None));
    }

    #[test]
    fn the_header_gives_up_at_65535() {
        let claimed = |l: &Listpack| u16::from_le_bytes([l.0[4], l.0[5]]);
        let mut list = Listpack::default();
        list.append(|w| (0..65_534).for_each(|_| w.int(1)));
        assert_eq!((claimed(&list), list.len()), (65_534, 65_534));
        list.push_back(b"1");
        assert_eq!((claimed(&list), list.len()), (UNKNOWN, 65_535));
        list.delete_range(Listpack::first(), 65_530);
        assert_eq!((claimed(&list), list.len()), (UNKNOWN, 5));
        assert_eq!((list.seek(4), list.seek(-6)), (list.last(), None));
    }

    /// A list that redis-server changed with LINSERT, LSET, LREM, LTRIM and LPUSH, from its DUMP.
    #[test]
    fn changes_give_the_bytes_of_redis() {
        let texts = [
            "",
            "a",
            "0",
            "127",
            "128",
            "-1",
            "4095",
            "-4096",
            "4096",
            "-4097",
            "32767",
            "-32769",
            "8388607",
            "-8388609",
            "2147483648",
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
            "-0",
            "007",
            "1.5",
            &"x".repeat(63),
            &"y".repeat(64),
        ];
        let mut list = Listpack::default();
        texts.iter().for_each(|t| list.push_back(t.as_bytes()));
        let find =
            |list: &Listpack, t: &str| list.find(Listpack::first(), t.as_bytes(), 0).unwrap();
        list.insert(find(&list, "128"), b"new");
        list.insert_after(find(&list, "128"), b"70000");
        list.replace(list.seek(2).unwrap(), b"longer");
        list.replace(list.last().unwrap(), b"5");
        list.delete(find(&list, "4096"));
        list.delete(Listpack::first());
        list.delete(list.last().unwrap());
        list.push_front(b"head");
        let hex: String = list.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        let expected = [
            "ca000000170084686561640581610286",
            "6c6f6e676572077f01836e657704c080",
            "02f270110104dfff02cfff02d00002f1",
            "ffef03f1ff7f03f2ff7fff04f2ffff7f",
            "04f3ffff7fff05f4000000800000000009f4000000000000008009f4ffffffffffffff7f09",
            "93393232333337323033363835343737353830381482",
            "2d3003833030370483312e3504bf",
            &"78".repeat(63),
            "40ff",
        ];
        assert_eq!(hex, expected.concat());
    }
}
