//! A listpack as a small collection: index, search, iteration, and changes at any position.
//!
//! A stream only appends to its listpacks. A small list, hash, set or sorted set also needs what is in this file.
//!
//! # Cost
//!
//! For a list of n elements in b bytes.
//!
//! | operation | time |
//! |---|---|
//! | `len` | O(1), or O(n) if the header does not know it |
//! | `last` | O(1) |
//! | `seek` | O(n), from the nearer end |
//! | `find` | O(n) |
//! | `push_back`, `extend` | O(1) amortised per element |
//! | `insert`, `replace`, `delete`, `delete_range` | O(b) to move bytes |

use super::element::{Element, ListpackWriter, OVERHEAD};
use super::{END, HEADER, Listpack, UNKNOWN, seal};
use crate::util::number;
use std::sync::Arc;

impl Listpack {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match u16::from_le_bytes([self.0[4], self.0[5]]) {
            UNKNOWN => self.iter().count(),
            n => usize::from(n),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        Listpack::first() == self.end()
    }

    /// The position of the last element, if there is one.
    pub fn last(&self) -> Option<usize> {
        (!self.is_empty()).then(|| self.previous(self.end()))
    }

    /// The position of the element with this index. Negative indexes count from the end: −1 is the last element.
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

    /// All elements. The iterator works from both ends.
    pub fn iter(&self) -> ListpackIter<'_> {
        self.iter_from(Listpack::first())
    }

    /// The elements from position `at` on. The iterator works from both ends.
    pub fn iter_from(&self, at: usize) -> ListpackIter<'_> {
        ListpackIter {
            list: self,
            front: at,
            back: self.end(),
        }
    }

    /// The position of the first element from `at` on that is equal to `bytes`. After each comparison, `skip` elements are
    /// skipped: with 1, this finds a field in a list of fields and values.
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

    /// Inserts elements before position `at`, which may be the end.
    pub fn insert_with(&mut self, at: usize, write: impl FnOnce(&mut ListpackWriter<'_>)) {
        let own = Arc::make_mut(&mut self.0);
        let old = own.len();
        let mut writer = ListpackWriter { out: own, count: 0 };
        write(&mut writer);
        let added = writer.count;
        // The elements were written behind the end. This moves them to their place.
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

    /// Inserts an element before all others.
    pub fn push_front(&mut self, bytes: &[u8]) {
        self.insert(Listpack::first(), bytes);
    }

    /// Inserts an element after all others.
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

    /// Replaces the element at `at`.
    pub fn replace(&mut self, at: usize, bytes: &[u8]) {
        self.reserve(bytes.len() + OVERHEAD);
        self.replace_with(at, |w| w.string(bytes));
    }

    /// Deletes the element at `at`.
    pub fn delete(&mut self, at: usize) {
        self.delete_range(at, 1);
    }

    /// Deletes up to `count` elements from position `at` on. Returns how many it deleted.
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
}

impl Element<'_> {
    /// The element as a string.
    pub fn to_vec(self) -> Vec<u8> {
        let mut out = vec![];
        match self {
            Element::Str(own) => out.extend_from_slice(own),
            Element::Int(n) => number::push_i64(&mut out, n),
        }
        out
    }
}

/// Elements of a list, from both ends. See [`Listpack::iter`].
#[derive(Clone)]
pub struct ListpackIter<'a> {
    list: &'a Listpack,
    /// The position of the next element from the front.
    front: usize,
    /// The position after the next element from the back.
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

#[cfg(test)]
mod tests {
    use super::*;

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
        // The bytes are those of a list to which the elements were appended at once.
        let mut fresh = Listpack::default();
        fresh.append(|w| model.iter().for_each(|s| w.string(s)));
        assert_eq!(fresh.as_bytes(), list.as_bytes());
    }

    /// Makes the same random change to the list and to the model.
    fn change_both(
        list: &mut Listpack,
        model: &mut Vec<Vec<u8>>,
        step: i64,
        random: &mut impl FnMut(usize) -> usize,
    ) {
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
                check(&shared, model);
                *model = [vec![new.clone()], model.clone(), vec![new], model.clone()].concat();
                list.delete_range(Listpack::first(), model.len() / 2);
                model.drain(..model.len() / 2);
            }
        }
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
            change_both(&mut list, &mut model, step, &mut random);
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
