//! The hash table.
//!
//! Redis's hash table has four properties that clients rely on. The standard `HashMap` has only the last:
//!
//! 1. SCAN returns every element that exists during the whole scan, although the table grows and elements are deleted
//!    meanwhile.
//! 2. A random element costs O(1).
//! 3. No step takes long when the table grows.
//! 4. The hash is keyed, so a client cannot choose keys that collide.
//!
//! A [`Dict`] has the properties 1, 2 and 4. Its growth is one long step, so large maps consist of many small Dicts
//! ([`super::sharded`]), which gives property 3.
//!
//! The entries are in a dense `Vec`, in no order. An index beside it says where each entry is:
//!
//! ```text
//!   slots    ┌──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────┐   one u64 each:
//!            │      │ tag,2│      │ tag,0│ tag,1│      │      │      │   32 bits of the hash, and the
//!            └──────┴──────┴──────┴──────┴──────┴──────┴──────┴──────┘   number of an entry (0 = free)
//!   entries  ┌────────────┬────────────┬────────────┐
//!            │ key, value │ key, value │ key, value │                     dense: no holes
//!            └────────────┴────────────┴────────────┘
//!              0            1            2
//! ```
//!
//! The low bits of a key's tag choose the slot in which a search begins, its *home*. If another key occupies that slot, the
//! search goes on to the next slot, until it finds the key or a free slot (*linear probing*). A search compares tags first,
//! so it nearly always reads only one entry: the right one. That is one cache miss for the slot and one for the entry.
//! When the index grows, it needs only the tags, so it reads neither keys nor values.
//!
//! A deletion moves the last entry into the gap (`swap_remove`). In the index it moves later slots back to close the hole,
//! so there are no tombstones.
//!
//! # SCAN
//!
//! A scan walks the entries *from the end to the beginning*, and its cursor is the number of entries that are still to be
//! visited. A new entry is added at the end, behind the cursor. An entry that a deletion moves comes from the end, which
//! was visited already. So an entry may be visited twice, but none is missed:
//!
//! ```text
//!   entries  A B C D E     visit E, D; the cursor is 3
//!   DEL B    A E C D       E moves to the place of B
//!            A E C         visit C, E (again), A
//! ```
//!
//! # Invariants
//!
//! * For each entry there is one slot, with the entry's number and the tag of its key. All other slots are free.
//! * No free slot lies between a slot and its home. So a search may end at the first free slot.
//! * At most three quarters of the slots are in use, and their number is a power of two or 0.
//!
//! # Cost
//!
//! | operation | time |
//! |---|---|
//! | `get`, `get_mut` | O(1): one slot, one entry |
//! | `insert_new`, `remove` | O(1) amortised; O(n) when it grows or shrinks |
//! | `split_off`, `absorb` | O(n), without reading a key |
//! | an entry by its number | O(1) |

use std::hash::{BuildHasher, Hasher, RandomState};

use super::small_bytes::SmallBytes;

/// A key and its value.
#[derive(Clone)]
pub struct Entry<V> {
    /// The key. It never changes.
    pub key: SmallBytes,
    /// The value.
    pub value: V,
}

/// A map from byte strings to `V`.
#[derive(Clone)]
pub struct Dict<V> {
    slots: Vec<u64>,
    entries: Vec<Entry<V>>,
    seed: RandomState,
}

/// A slot: the tag in the upper half, and the entry's index plus one in the lower half.
fn slot(tag: u32, index: usize) -> u64 {
    (u64::from(tag) << 32) | (index as u64 + 1)
}

/// The tag in a slot.
fn tag_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

/// The index of the entry to which a slot leads. The slot is not free.
fn index_of(slot: u64) -> usize {
    slot as u32 as usize - 1
}

impl<V> Default for Dict<V> {
    fn default() -> Dict<V> {
        Dict::with_seed(RandomState::new())
    }
}

impl<V> Dict<V> {
    /// An empty map whose hashes are keyed with `seed`. Maps with the same seed have the same hashes.
    pub fn with_seed(seed: RandomState) -> Dict<V> {
        Dict {
            slots: Vec::new(),
            entries: Vec::new(),
            seed,
        }
    }

    /// The hash of a key. Methods take it beside the key, so that a caller hashes a key only once.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        hash(&self.seed, key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&V> {
        let at = self.find(hash as u32, key)?;
        Some(&self.entries[index_of(self.slots[at])].value)
    }

    /// The contents of the slot in which a search for this hash begins. With [`Dict::entry`], a caller can fetch the memory
    /// of many keys before it looks them up.
    #[inline]
    pub fn home_slot(&self, hash: u64) -> u64 {
        let mask = self.slots.len().wrapping_sub(1);
        self.slots.get(hash as usize & mask).copied().unwrap_or(0)
    }

    /// The entry to which a slot leads, or `None` if the slot is free.
    #[inline]
    pub fn entry(&self, slot: u64) -> Option<&Entry<V>> {
        self.entries.get((slot as u32 as usize).wrapping_sub(1))
    }

    /// The value of a key, to be changed.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        let at = self.find(hash as u32, key)?;
        Some(&mut self.entries[index_of(self.slots[at])].value)
    }

    /// Adds a key that is not in the map; the caller has checked that.
    pub fn insert_new(&mut self, hash: u64, key: SmallBytes, value: V) -> &mut V {
        if (self.entries.len() + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(8));
        }
        if self.entries.len() == self.entries.capacity() {
            // Grows by half and not to the double, so that at most a third of the memory is unused.
            self.entries.reserve_exact((self.entries.len() / 2).max(4));
        }
        let index = self.entries.len();
        self.entries.push(Entry { key, value });
        self.place(slot(hash as u32, index));
        &mut self.entries[index].value
    }

    /// Removes a key and returns its entry.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry<V>> {
        let at = self.find(hash as u32, key)?;
        Some(self.remove_slot(at))
    }

    /// Removes the entry at position `index` of [`Dict::entries`].
    pub fn remove_at(&mut self, index: usize) -> Entry<V> {
        let tag = self.hash(&self.entries[index].key) as u32;
        self.remove_slot(self.find_index(tag, index))
    }

    /// Moves the entries whose tags have this bit to a new map. The other entries keep their order. (The tag is the lower
    /// half of the hash. It is in the slots, so no key is read.)
    pub fn split_off(&mut self, bit: u32) -> Dict<V> {
        let tags = self.tags();
        let going = tags.iter().filter(|&tag| tag & bit != 0).count();
        let mut stay = self.empty_for(tags.len() - going);
        let mut go = self.empty_for(going);
        for (entry, tag) in std::mem::take(&mut self.entries).into_iter().zip(tags) {
            let half = if tag & bit == 0 { &mut stay } else { &mut go };
            half.insert_new(tag.into(), entry.key, entry.value);
        }
        *self = stay;
        go
    }

    /// Adds all entries of another map, which has the same seed and none of the keys of this map.
    pub fn absorb(&mut self, other: Dict<V>) {
        let tags = other.tags();
        for (entry, tag) in other.entries.into_iter().zip(tags) {
            self.insert_new(tag.into(), entry.key, entry.value);
        }
    }

    /// The tags of all entries, in the order of the entries.
    fn tags(&self) -> Vec<u32> {
        let mut tags = vec![0; self.entries.len()];
        for &slot in self.slots.iter().filter(|&&slot| slot != 0) {
            tags[index_of(slot)] = tag_of(slot);
        }
        tags
    }

    /// An empty map of the same seed with room for `entries`, and for half as many more before it must grow.
    fn empty_for(&self, entries: usize) -> Dict<V> {
        Dict {
            slots: vec![0; (entries * 4 / 3 + 1).next_power_of_two().max(8)],
            entries: Vec::with_capacity(entries + entries / 2),
            seed: self.seed.clone(),
        }
    }

    /// All entries, in no order. Positions change when an entry is removed.
    pub fn entries(&self) -> &[Entry<V>] {
        &self.entries
    }

    /// The position of the slot that leads to `key`.
    #[inline]
    fn find(&self, tag: u32, key: &[u8]) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if tag_of(slot) == tag && *self.entries[index_of(slot)].key == *key {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// The position of the slot that leads to the entry at `index`, which exists and has this tag.
    fn find_index(&self, tag: u32, index: usize) -> usize {
        let mask = self.slots.len() - 1;
        let wanted = slot(tag, index);
        let mut at = tag as usize & mask;
        while self.slots[at] != wanted {
            at = (at + 1) & mask;
        }
        at
    }

    /// Puts a slot into the first free place, beginning at its home.
    #[inline]
    fn place(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = tag_of(slot) as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    /// Removes the entry to which the slot at position `at` leads.
    fn remove_slot(&mut self, at: usize) -> Entry<V> {
        let index = index_of(self.slots[at]);
        self.close_hole(at);
        let last = self.entries.len() - 1;
        if index != last {
            let tag = self.hash(&self.entries[last].key) as u32;
            let moved = self.find_index(tag, last);
            self.slots[moved] = slot(tag, index);
        }
        let entry = self.entries.swap_remove(index);
        if self.slots.len() > 64 && self.entries.len() * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
            self.entries.shrink_to(self.entries.len() * 2);
        }
        entry
    }

    /// Frees the slot at position `hole`, and moves later slots back where that brings them nearer to their homes.
    fn close_hole(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            let home = tag_of(slot) as usize & mask;
            // The slot may move unless its home lies behind the hole.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = 0;
    }

    /// Gives the index this many slots.
    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, vec![0; size]);
        for slot in old.into_iter().filter(|&s| s != 0) {
            self.place(slot);
        }
    }
}

/// The hash of a key: SipHash, keyed with `seed`. A client that does not know the seed cannot find keys that collide.
#[inline]
pub fn hash(seed: &RandomState, key: &[u8]) -> u64 {
    let mut hasher = seed.build_hasher();
    hasher.write(key);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    fn put(dict: &mut Dict<u32>, key: &str, value: u32) {
        let hash = dict.hash(key.as_bytes());
        match dict.get_mut(hash, key.as_bytes()) {
            Some(old) => *old = value,
            None => {
                dict.insert_new(hash, key.as_bytes().into(), value);
            }
        }
    }

    fn take(dict: &mut Dict<u32>, key: &str) -> Option<u32> {
        dict.remove(dict.hash(key.as_bytes()), key.as_bytes())
            .map(|e| e.value)
    }

    #[test]
    fn behaves_as_the_standard_map_does() {
        let (mut ours, mut std) = (Dict::default(), HashMap::new());
        let mut x = 12345u32;
        for step in 0..60_000u32 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // The map grows and shrinks in waves. There are few keys, so the same ones return.
            let key = format!(
                "k{}",
                (x >> 8) % if step % 20_000 < 10_000 { 5000 } else { 700 }
            );
            if (x >> 4) % 5 < if step % 20_000 < 10_000 { 4 } else { 1 } {
                put(&mut ours, &key, step);
                std.insert(key, step);
            } else {
                assert_eq!(take(&mut ours, &key), std.remove(&key));
            }
            assert_eq!(ours.len(), std.len());
        }
        for (key, value) in &std {
            assert_eq!(
                ours.get(ours.hash(key.as_bytes()), key.as_bytes()),
                Some(value)
            );
        }
        let seen: HashSet<_> = ours.entries().iter().map(|e| e.key.to_vec()).collect();
        assert_eq!(seen.len(), std.len());
    }

    #[test]
    fn a_walk_from_the_end_misses_nothing_that_stays() {
        let mut dict = Dict::default();
        for i in 0..1000 {
            put(&mut dict, &format!("stays{i}"), i);
            put(&mut dict, &format!("goes{i}"), i);
        }
        let (mut seen, mut cursor, mut round) = (HashSet::new(), dict.len(), 0);
        while cursor > 0 {
            let stop = cursor.saturating_sub(7);
            while cursor > stop {
                cursor -= 1;
                if let Some(entry) = dict.entries().get(cursor) {
                    seen.insert(entry.key.to_vec());
                }
            }
            take(&mut dict, &format!("goes{}", (round * 37) % 1000));
            take(&mut dict, &format!("goes{}", (round * 11) % 1000));
            put(&mut dict, &format!("new{round}"), 0);
            round += 1;
        }
        assert!((0..1000).all(|i| seen.contains(format!("stays{i}").as_bytes())));
    }

    #[test]
    fn an_entry_can_be_removed_by_its_place() {
        let mut dict = Dict::default();
        for i in 0..100 {
            put(&mut dict, &i.to_string(), i);
        }
        while dict.len() > 0 {
            let key = dict.entries()[dict.len() / 2].key.clone();
            assert_eq!(*dict.remove_at(dict.len() / 2).key, *key);
            assert!(dict.get(dict.hash(&key), &key).is_none());
        }
    }
}
