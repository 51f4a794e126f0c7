//! The one hash table of this server.
//!
//! Redis promises four things of its hash table, and the standard `HashMap` offers only the last:
//!
//! 1. SCAN returns every element that was there all the time, with a cursor that survives growth and
//!    deletion in between;
//! 2. a random element costs O(1);
//! 3. growing makes no long pause;
//! 4. the hash is keyed, so that a client cannot choose keys that collide.
//!
//! So entries live in a dense `Vec`, in no order, and an index beside it says where:
//!
//! ```text
//!   slots    ┌──────┬──────┬──────┬──────┬──────┬──────┬──────┬──────┐   one u64 each:
//!            │      │ tag,2│      │ tag,0│ tag,1│      │      │      │   32 bits of the hash, and
//!            └──────┴───│──┴──────┴───│──┴───│──┴──────┴──────┴──────┘   which entry (0 = free)
//!                       └───────┐  ┌──┘      │
//!   entries  ┌─────────┬────────▼──│─────────│
//!            │ key, value │ key, value │ key, value │                    dense: no holes
//!            └────────────┴────────────┴────────────┘
//! ```
//!
//! A key's search begins at the slot that its tag names and goes on to the next until a free one
//! (*linear probing*). The tag is compared first, so a visit to an entry is nearly always a hit: one
//! cache miss for the slot, one for the entry. As slots hold the tags, growing the index reads
//! neither keys nor values.
//!
//! Deleting an entry moves the last one into the gap (`swap_remove`), and closes the hole in the slots by
//! moving later ones back, so there are no tombstones. And this gives SCAN its promise: it walks the
//! entries *from the end downwards*, its cursor is the number of entries still to see. What a deletion
//! moves comes from the end, which was seen already, so it may be seen twice but never missed; what is
//! added goes to the end.
//!
//! One step of a large Dict can be long: growth copies all entries. [`super::sharded`] builds large maps of many small Dicts.
//!
//! # Invariants
//!
//! * For each entry there is one slot, with the entry's index and the tag of its key; all other slots are free.
//! * No free slot lies between a slot and its home, so that a search may end at the first free one.
//! * At most three quarters of the slots are in use, and their number is a power of two.
//!
//! | operation | time |
//! |---|---|
//! | `get`, `get_mut` | O(1): one slot, one entry |
//! | `insert_new`, `remove` | O(1) amortised; O(n) when it grows or shrinks |
//! | `split_off`, `absorb` | O(n), without reading a key |
//! | an entry by its index | O(1) |

use std::hash::{BuildHasher, Hasher, RandomState};

use super::small_bytes::SmallBytes;

/// A key and its value.
#[derive(Clone)]
pub struct Entry<V> {
    pub key: SmallBytes,
    pub value: V,
}

/// A map from byte strings to `V`.
#[derive(Clone)]
pub struct Dict<V> {
    slots: Vec<u64>,
    entries: Vec<Entry<V>>,
    seed: RandomState,
}

/// What a slot says: the tag in the upper half, the entry's index plus one in the lower.
fn slot(tag: u32, index: usize) -> u64 {
    (u64::from(tag) << 32) | (index as u64 + 1)
}

fn tag_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

fn index_of(slot: u64) -> usize {
    slot as u32 as usize - 1
}

impl<V> Default for Dict<V> {
    fn default() -> Dict<V> {
        Dict::with_seed(RandomState::new())
    }
}

impl<V> Dict<V> {
    /// An empty map whose hashes are keyed with `seed`. Maps that share a seed share hashes.
    pub fn with_seed(seed: RandomState) -> Dict<V> {
        Dict {
            slots: Vec::new(),
            entries: Vec::new(),
            seed,
        }
    }

    /// The hash of a key, for the methods that take one. They exist so that a key need be hashed but once.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        hash(&self.seed, key)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&V> {
        let at = self.find(hash as u32, key)?;
        Some(&self.entries[index_of(self.slots[at])].value)
    }

    /// The slot in which a search for this hash begins. A caller that is about to look up many keys uses it, with
    /// [`Dict::entry`], to fetch their memory all at once.
    #[inline]
    pub fn home_slot(&self, hash: u64) -> u64 {
        let mask = self.slots.len().wrapping_sub(1);
        self.slots.get(hash as usize & mask).copied().unwrap_or(0)
    }

    /// The entry that a slot leads to.
    #[inline]
    pub fn entry(&self, slot: u64) -> Option<&Entry<V>> {
        self.entries.get((slot as u32 as usize).wrapping_sub(1))
    }

    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        let at = self.find(hash as u32, key)?;
        Some(&mut self.entries[index_of(self.slots[at])].value)
    }

    /// Adds a key that is known not to be there.
    pub fn insert_new(&mut self, hash: u64, key: SmallBytes, value: V) -> &mut V {
        if (self.entries.len() + 1) * 4 > self.slots.len() * 3 {
            self.resize((self.slots.len() * 2).max(8));
        }
        if self.entries.len() == self.entries.capacity() {
            // By half, not to the double: what a large table wastes is bounded by a third.
            self.entries.reserve_exact((self.entries.len() / 2).max(4));
        }
        let index = self.entries.len();
        self.entries.push(Entry { key, value });
        self.place(slot(hash as u32, index));
        &mut self.entries[index].value
    }

    /// Takes a key out.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry<V>> {
        let at = self.find(hash as u32, key)?;
        Some(self.remove_slot(at))
    }

    /// Takes out the entry at position `index` of the dense list.
    pub fn remove_at(&mut self, index: usize) -> Entry<V> {
        let tag = self.hash(&self.entries[index].key) as u32;
        self.remove_slot(self.find_index(tag, index))
    }

    /// Moves the entries whose tags have this bit to a new map. Those that stay keep their order. (The tag is the lower
    /// half of the hash; it is in the slots, so no key is read.)
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

    /// Takes in all entries of another map of the same seed, which has none of the keys that are here.
    pub fn absorb(&mut self, other: Dict<V>) {
        let tags = other.tags();
        for (entry, tag) in other.entries.into_iter().zip(tags) {
            self.insert_new(tag.into(), entry.key, entry.value);
        }
    }

    /// The tags of all entries, in their order.
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

    /// The entries, in no order. Positions change when an entry is removed.
    pub fn entries(&self) -> &[Entry<V>] {
        &self.entries
    }

    /// The slot that leads to `key`.
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

    /// The slot that leads to the entry at `index`, which exists and has this tag.
    fn find_index(&self, tag: u32, index: usize) -> usize {
        let mask = self.slots.len() - 1;
        let wanted = slot(tag, index);
        let mut at = tag as usize & mask;
        while self.slots[at] != wanted {
            at = (at + 1) & mask;
        }
        at
    }

    /// Puts a slot into the first free place from its home on.
    #[inline]
    fn place(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = tag_of(slot) as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

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

    /// Frees a slot and moves back those after it that were pushed away from their homes.
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
            // It may move if its home does not lie between the hole and where it is now.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = 0;
    }

    fn resize(&mut self, size: usize) {
        let old = std::mem::replace(&mut self.slots, vec![0; size]);
        for slot in old.into_iter().filter(|&s| s != 0) {
            self.place(slot);
        }
    }
}

/// SipHash, keyed: slow to guess, fast enough.
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
            // Waves of growth and of shrinking, over keys few enough to meet again.
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
