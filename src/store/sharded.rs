//! A hash table of any size whose every step is short.
//!
//! One [`Dict`] of ten million entries has two long pauses. When it grows, it copies all of its memory. When a snapshot
//! shares it, the first change copies all of it, too. So a [`Sharded`] map consists of many Dicts (*shards*) of some
//! thousand entries, each behind an [`Arc`]. A step copies one shard at most. The keyspace is such a map.
//!
//! # Which shard
//!
//! The tag of a key is 32 bits of its hash. The first bits of the tag choose the shard. So each shard contains a range of
//! tags, and the shards are in the order of their ranges:
//!
//! ```text
//!   tags      000…                011…  100…                                111…
//!            ┌─────────┬─────────┬─────────┬─────────┬───────────────────┬───────────────────┐
//!   shards   │ 0: 000… │ 1: 001… │ 2: 010… │ 3: 011… │ 4: 10…            │ 5: 11…            │
//!            └─────────┴─────────┴─────────┴─────────┴───────────────────┴───────────────────┘
//!             depth + 1 bits                          ▲ depth = 2 bits
//!                                                     └ split = 2: the next one to be split
//! ```
//!
//! The map grows by one shard at a time (*linear hashing*). When there are [`MEAN`] entries per shard or more, the next
//! insertion divides one shard by one more bit. In the picture that is shard 4, and `split` becomes 3. When all shards are
//! divided, `depth` increases by one, and `split` begins at 0 again. When few entries are left, removals join the shards
//! again, in the opposite order. The number of the shard of a key is computed from `depth` and `split`; there is no directory.
//!
//! With a fixed number of shards, all shards would have nearly the same number of entries, since hashes spread keys evenly.
//! Then the vectors of all shards would have to grow at nearly the same moment. Here a shard that was divided has half as
//! many entries as one that was not, so they grow at different times.
//!
//! # SCAN
//!
//! A walk visits the shards in order, and the entries of each shard from the end to the beginning (see [`super::dict`]). A
//! cursor says where the range of the shard begins, and how many entries of the shard are still to be visited. Between two
//! steps of a walk, these things can happen to the shard:
//!
//! * It is divided. The entries that leave it go to the next shard, which the walk has not reached. The others keep their
//!   order and only move towards the front, so the walk misses none.
//! * It is joined with another shard. Then the order of its entries is a new one. So each shard has a *stamp*, which changes
//!   when the shard is joined. The cursor contains the stamp. A walk that finds another stamp visits the shard from its end
//!   again.
//!
//! ```text
//!   cursor   ┌─ 1 + first 20 bits of the range ─┬─ stamp, 18 bits ─┬─ entries to visit, 24 bits ─┐
//! ```
//!
//! # Invariants
//!
//! * There are 2^`depth` + `split` shards, and `split` < 2^`depth`.
//! * Each entry is in the shard that the first bits of its tag choose.
//! * `len` is the sum of the lengths of all shards.
//! * A shard's summary is the result of [`Summary::add`] for each of its entries, and of [`Summary::remove`] for each entry
//!   that was removed since the summary was last computed anew.
//!
//! # Cost
//!
//! For n entries in s = n / 2048 shards, or up to four times as many after removals.
//!
//! | operation | time |
//! |---|---|
//! | `get` | O(1) |
//! | `get_mut`, `insert`, `remove` | O(1) amortised; one step divides, joins or copies one shard: O(4096), about 0.1 ms |
//! | `len` | O(1) |
//! | `random` | O(1) expected |
//! | `scan` | O(count), and O(1) for each shard that is empty |
//! | `clone` (a snapshot) | O(s): 5,000 counters for 10,000,000 entries, 0.1 ms |
//! | `clear` | O(1); the caller drops the old contents |
//!
//! A map with few entries is one shard. It costs one allocation and some 150 bytes more than a Dict.

use std::hash::RandomState;
use std::sync::Arc;

use super::dict::{self, Dict, Entry};
use super::small_bytes::SmallBytes;

/// From this mean number of entries per shard on, the map grows. A larger number makes steps longer: with 1024, 2048 and
/// 4096 the first change of a shard after a snapshot took 59, 116 and 213 µs (99.99th percentile). A smaller number means more
/// shards, and so more counters that a snapshot increments. Lookups took the same time.
const MEAN: usize = 2048;

/// The map shrinks when its shards have fewer than [`MEAN`] / `SPARSE` entries on average.
const SPARSE: usize = 4;

/// How many bits of a tag choose the shard at most.
const PREFIX_BITS: u32 = 20;

/// Bits of a cursor for the number of entries that are still to be visited in the shard.
const LEFT_BITS: u32 = 24;

/// Bits of a cursor for the shard's stamp.
const STAMP_BITS: u32 = 18;

/// What a shard knows about all of its entries together. For example, the keyspace counts the keys that have an expiry. The
/// map updates the summary when entries are added and removed. A caller that changes a value updates it itself
/// ([`Sharded::get_with_summary`]).
pub trait Summary<V>: Clone + Default {
    /// An entry with this value was added.
    fn add(&mut self, value: &V);

    /// An entry with this value was removed.
    fn remove(&mut self, value: &V);
}

impl<V> Summary<V> for () {
    fn add(&mut self, _: &V) {}
    fn remove(&mut self, _: &V) {}
}

/// A part of a map: the entries whose tags begin with the same bits.
#[derive(Clone)]
pub struct Shard<V, S = ()> {
    dict: Dict<V>,
    summary: S,
    /// Changes when the shard is joined with another one.
    stamp: u32,
}

impl<V, S> Shard<V, S> {
    /// The entries.
    pub fn dict(&self) -> &Dict<V> {
        &self.dict
    }

    /// The summary of the entries.
    pub fn summary(&self) -> &S {
        &self.summary
    }
}

impl<V, S: Summary<V>> Shard<V, S> {
    /// An empty shard.
    fn new(seed: RandomState) -> Shard<V, S> {
        Shard {
            dict: Dict::with_seed(seed),
            summary: S::default(),
            stamp: 0,
        }
    }

    /// Moves the entries whose tags have this bit to a new shard.
    fn split_off(&mut self, bit: u32) -> Shard<V, S> {
        let mut right = Shard {
            dict: self.dict.split_off(bit),
            summary: S::default(),
            stamp: self.stamp,
        };
        self.summarize();
        right.summarize();
        right
    }

    /// Computes the summary anew. O(entries).
    fn summarize(&mut self) {
        self.summary = S::default();
        for entry in self.dict.entries() {
            self.summary.add(&entry.value);
        }
    }
}

/// The work that one step of [`Sharded::remove_if`] may do. The step counts it down.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// How many entries to read at most. Each shard counts as one entry more, even if the step skips it.
    pub looks: usize,
    /// How many entries to remove at most.
    pub removals: usize,
}

impl Work {
    /// Whether the step may go on.
    fn remains(&self) -> bool {
        self.looks > 0 && self.removals > 0
    }

    /// Accounts for joining two sparse shards. Returns whether the step may do that.
    fn allow_join(&mut self) -> bool {
        let may = self.remains();
        self.looks = self.looks.saturating_sub(2 * MEAN / SPARSE);
        may
    }
}

/// A map from byte strings to `V`, with a summary `S` per shard. A clone shares all shards.
#[derive(Clone)]
pub struct Sharded<V, S = ()> {
    shards: Vec<Arc<Shard<V, S>>>,
    /// How many bits choose a shard that was not divided at this depth.
    depth: u32,
    /// How many shards were divided at this depth.
    split: usize,
    /// How many entries there are.
    len: usize,
    /// How often shards were joined. The source of stamps.
    joined: u32,
    seed: RandomState,
}

impl<V: Clone, S: Summary<V>> Default for Sharded<V, S> {
    fn default() -> Sharded<V, S> {
        Sharded::with_seed(RandomState::new())
    }
}

impl<V: Clone, S: Summary<V>> Sharded<V, S> {
    /// An empty map whose hashes are keyed with `seed`. Maps with the same seed have the same hashes.
    pub fn with_seed(seed: RandomState) -> Sharded<V, S> {
        Sharded {
            shards: vec![Arc::new(Shard::new(seed.clone()))],
            depth: 0,
            split: 0,
            len: 0,
            joined: 0,
            seed,
        }
    }

    /// The hash of a key. Methods take it beside the key, so that a caller hashes a key only once.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        dict::hash(&self.seed, key)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All shards, in the order of a scan.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &Shard<V, S>> {
        self.shards.iter().map(|shard| &**shard)
    }

    /// The shard that contains the keys with this hash.
    #[inline]
    pub fn shard(&self, hash: u64) -> &Shard<V, S> {
        &self.shards[self.index(hash as u32)]
    }

    /// All entries, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<V>> {
        self.shards.iter().flat_map(|shard| shard.dict.entries())
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&V> {
        self.shard(hash).dict.get(hash, key)
    }

    /// The value of a key, to be changed in a way that does not affect the summary.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        self.get_with_summary(hash, key).map(|(value, _)| value)
    }

    /// The value of a key, and the summary of its shard, which the caller keeps up to date.
    #[inline]
    pub fn get_with_summary(&mut self, hash: u64, key: &[u8]) -> Option<(&mut V, &mut S)> {
        let index = self.index(hash as u32);
        let shard = &mut self.shards[index];
        if Arc::strong_count(shard) > 1 {
            // Checked first, so that a shared shard is not copied for a key that does not exist.
            shard.dict.get(hash, key)?;
        }
        let shard = Arc::make_mut(shard);
        let value = shard.dict.get_mut(hash, key)?;
        Some((value, &mut shard.summary))
    }

    /// Adds a key that is not in the map; the caller has checked that.
    pub fn insert_new(&mut self, hash: u64, key: SmallBytes, value: V) {
        if self.len >= self.shards.len() * MEAN {
            self.divide();
        }
        let index = self.index(hash as u32);
        let shard = Arc::make_mut(&mut self.shards[index]);
        shard.summary.add(&value);
        shard.dict.insert_new(hash, key, value);
        self.len += 1;
    }

    /// Sets the value of a key. Returns the old value.
    pub fn insert(&mut self, hash: u64, key: &[u8], value: V) -> Option<V> {
        match self.get_with_summary(hash, key) {
            Some((old, summary)) => {
                summary.remove(old);
                summary.add(&value);
                Some(std::mem::replace(old, value))
            }
            None => {
                self.insert_new(hash, key.into(), value);
                None
            }
        }
    }

    /// Removes a key and returns its entry.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Entry<V>> {
        let index = self.index(hash as u32);
        self.shards[index].dict.get(hash, key)?;
        let shard = Arc::make_mut(&mut self.shards[index]);
        let entry = shard.dict.remove(hash, key)?;
        shard.summary.remove(&entry.value);
        self.len -= 1;
        if self.is_sparse() {
            self.join();
        }
        Some(entry)
    }

    /// One step of a walk that removes the entries for which `goes` is true. The step begins at `cursor`, stays within the
    /// bounds of `work`, and skips the shards for whose summary `enter` is false. Returns the removed entries and the cursor
    /// for the next step. The cursor 0 begins a walk, and ends it when it is returned.
    ///
    /// When the walk leaves a shard that it entered, it computes that shard's summary anew.
    pub fn remove_if(
        &mut self,
        cursor: u64,
        work: &mut Work,
        enter: impl Fn(&S) -> bool,
        mut goes: impl FnMut(&Entry<V>) -> bool,
    ) -> (Vec<Entry<V>>, u64) {
        let mut removed = vec![];
        let Some((mut index, mut left)) = self.resume(cursor) else {
            return (removed, 0);
        };
        while index < self.shards.len() {
            if !work.remains() {
                return (removed, self.cursor(index, left));
            }
            work.looks = work.looks.saturating_sub(1);
            if enter(&self.shards[index].summary) {
                left = self.remove_in_shard(index, left, work, &mut goes, &mut removed);
                if left > 0 {
                    return (removed, self.cursor(index, left));
                }
                Arc::make_mut(&mut self.shards[index]).summarize();
                if self.is_sparse() {
                    // Joining changes the numbers of the shards, so the step ends here.
                    let next = self.shards.get(index + 1).map(|_| self.first(index + 1));
                    while self.is_sparse() && work.allow_join() {
                        self.join();
                    }
                    let next = next.map_or(0, |first| self.cursor_at(first));
                    return (removed, next);
                }
            }
            (index, left) = (index + 1, usize::MAX);
        }
        (removed, 0)
    }

    /// Removes entries for which `goes` is true from the first `left` entries of a shard, from the last of them to the first.
    /// Returns how many of them are still to be visited.
    fn remove_in_shard(
        &mut self,
        index: usize,
        left: usize,
        work: &mut Work,
        goes: &mut impl FnMut(&Entry<V>) -> bool,
        removed: &mut Vec<Entry<V>>,
    ) -> usize {
        let shard = &mut self.shards[index];
        let mut left = left.min(shard.dict.len());
        while left > 0 && work.remains() {
            left -= 1;
            work.looks -= 1;
            // A removal moves the last entry to this place, and the last entry was visited before.
            if goes(&shard.dict.entries()[left]) {
                let shard = Arc::make_mut(shard);
                let entry = shard.dict.remove_at(left);
                shard.summary.remove(&entry.value);
                removed.push(entry);
                self.len -= 1;
                work.removals -= 1;
            }
        }
        left
    }

    /// Removes all entries and returns them as a map. Dropping it may take long: do that after the lock is released.
    #[must_use = "dropping the old contents may take long"]
    pub fn clear(&mut self) -> Sharded<V, S> {
        let empty = Sharded::with_seed(self.seed.clone());
        std::mem::replace(self, empty)
    }

    /// An entry chosen at random. `below(n)` returns a random number less than `n`. `None` if the map is empty.
    ///
    /// A random tag chooses the shard, so a shard with twice the range of tags is chosen twice as often. Then a random number
    /// chooses the entry. It is at most twice the length that is expected of a shard with this range. If the shard has no
    /// such entry, a new try begins. So every entry has the same chance, and the mean number of tries is two. (A shard
    /// longer than twice its expected length does not occur with a good hash.)
    pub fn random(&self, mut below: impl FnMut(usize) -> usize) -> Option<&Entry<V>> {
        if self.is_empty() {
            return None;
        }
        if let [only] = &self.shards[..] {
            return only.dict.entries().get(below(self.len));
        }
        for _ in 0..100 {
            let tag = (below(1 << PREFIX_BITS) as u32) << (u32::BITS - PREFIX_BITS);
            let index = self.index(tag);
            let expected = self.len >> self.bits(index);
            let entries = self.shards[index].dict.entries();
            if let Some(entry) = entries.get(below(2 * expected + 1)) {
                return Some(entry);
            }
        }
        // With a good hash, 100 tries never fail.
        self.entries().nth(below(self.len))
    }

    /// One step of a walk through all entries: visits about `count` entries from `cursor` on. Returns the cursor for the next
    /// step. The cursor 0 begins a walk, and ends it when it is returned.
    ///
    /// A walk visits every entry that is in the map from the beginning of the walk to its end. It may visit an entry that is
    /// added or removed meanwhile, and it may visit some entries twice.
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'a Entry<V>),
    ) -> u64 {
        let Some((mut index, mut left)) = self.resume(cursor) else {
            return 0;
        };
        let mut budget = count.max(1);
        while let Some(shard) = self.shards.get(index) {
            let entries = shard.dict.entries();
            left = left.min(entries.len());
            if left > 0 && budget == 0 {
                return self.cursor(index, left);
            }
            let visited = left.min(budget);
            let part = entries[left - visited..left].iter();
            part.rev().for_each(&mut visit);
            budget -= visited;
            left -= visited;
            if left == 0 {
                index += 1;
                left = usize::MAX;
            }
        }
        0
    }

    /// The cursor of a walk that still has to visit the first `left` entries of shard number `index`.
    fn cursor(&self, index: usize, left: usize) -> u64 {
        let place = (self.first(index) + 1) << (STAMP_BITS + LEFT_BITS);
        let stamp = u64::from(self.shards[index].stamp) & ((1 << STAMP_BITS) - 1);
        let left = left.min((1 << LEFT_BITS) - 1) as u64;
        place | stamp << LEFT_BITS | left
    }

    /// The cursor of a walk that next visits the range that begins at `first`.
    fn cursor_at(&self, first: u64) -> u64 {
        let index = self.index((first as u32) << (u32::BITS - PREFIX_BITS));
        self.cursor(index, usize::MAX)
    }

    /// The number of the shard at which a walk goes on, and how many of its entries are still to be visited at most. `None`
    /// if no walk of this map can have this cursor.
    fn resume(&self, cursor: u64) -> Option<(usize, usize)> {
        if cursor == 0 {
            return Some((0, usize::MAX));
        }
        let first = (cursor >> (STAMP_BITS + LEFT_BITS)).checked_sub(1)?;
        if first >> PREFIX_BITS != 0 {
            return None; // the client invented the cursor
        }
        let index = self.index((first as u32) << (u32::BITS - PREFIX_BITS));
        let stamp = (cursor >> LEFT_BITS) as u32;
        let mask = (1 << STAMP_BITS) - 1;
        let is_same = self.first(index) == first && (self.shards[index].stamp ^ stamp) & mask == 0;
        let left = (cursor & ((1 << LEFT_BITS) - 1)) as usize;
        Some((index, if is_same { left } else { usize::MAX }))
    }

    /// The number of the shard that a tag chooses.
    #[inline]
    fn index(&self, tag: u32) -> usize {
        // `depth + 1` bits. In shards that are not divided, the last of them does not count.
        let bits = (tag >> (u32::BITS - 1 - self.depth)) as usize;
        if bits / 2 < self.split {
            bits
        } else {
            bits / 2 + self.split
        }
    }

    /// How many bits of the tag choose this shard.
    fn bits(&self, index: usize) -> u32 {
        self.depth + u32::from(index < 2 * self.split)
    }

    /// Where the range of a shard begins: its bits, followed by zeros up to [`PREFIX_BITS`].
    fn first(&self, index: usize) -> u64 {
        let bits = if index < 2 * self.split {
            index
        } else {
            index - self.split
        };
        (bits as u64) << (PREFIX_BITS - self.bits(index))
    }

    /// Divides the next shard.
    fn divide(&mut self) {
        if self.depth == PREFIX_BITS {
            return; // there are a million shards, and from now on they only become larger
        }
        let at = 2 * self.split;
        let bit = 1 << (u32::BITS - 1 - self.depth);
        let right = Arc::make_mut(&mut self.shards[at]).split_off(bit);
        self.shards.insert(at + 1, Arc::new(right));
        self.split += 1;
        if self.split == 1 << self.depth {
            (self.depth, self.split) = (self.depth + 1, 0);
        }
    }

    /// Whether there are too few entries for the number of shards.
    #[inline]
    fn is_sparse(&self) -> bool {
        self.len < self.shards.len() * (MEAN / SPARSE) && self.shards.len() > 1
    }

    /// Joins the two shards that were divided last. There is more than one shard.
    fn join(&mut self) {
        if self.split == 0 {
            (self.depth, self.split) = (self.depth - 1, 1 << (self.depth - 1));
        }
        self.split -= 1;
        let at = 2 * self.split;
        let right = Arc::unwrap_or_clone(self.shards.remove(at + 1));
        let left = Arc::make_mut(&mut self.shards[at]);
        left.dict.absorb(right.dict);
        left.summarize();
        self.joined = self.joined.wrapping_add(1);
        left.stamp = self.joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};
    use std::time::Instant;

    /// Counts even values.
    #[derive(Clone, Default, PartialEq, Debug)]
    struct Even(usize);

    impl Summary<u32> for Even {
        fn add(&mut self, value: &u32) {
            self.0 += usize::from(value.is_multiple_of(2));
        }

        fn remove(&mut self, value: &u32) {
            self.0 -= usize::from(value.is_multiple_of(2));
        }
    }

    type Map = Sharded<u32, Even>;

    fn put(map: &mut Map, key: &str, value: u32) -> Option<u32> {
        map.insert(map.hash(key.as_bytes()), key.as_bytes(), value)
    }

    fn take(map: &mut Map, key: &str) -> Option<u32> {
        let hash = map.hash(key.as_bytes());
        map.remove(hash, key.as_bytes()).map(|e| e.value)
    }

    fn check(map: &Map, model: &HashMap<String, u32>) {
        assert_eq!(map.len(), model.len());
        assert_eq!(map.shards.len(), (1 << map.depth) + map.split);
        assert!(map.split < 1 << map.depth);
        for (key, value) in model {
            let hash = map.hash(key.as_bytes());
            assert_eq!(map.get(hash, key.as_bytes()), Some(value));
        }
        for (index, shard) in map.shards().enumerate() {
            let even = shard
                .dict()
                .entries()
                .iter()
                .filter(|e| e.value.is_multiple_of(2));
            assert_eq!(*shard.summary(), Even(even.count()));
            let tag = (map.first(index) as u32) << (u32::BITS - PREFIX_BITS);
            assert_eq!(map.index(tag), index);
        }
        assert_eq!(map.entries().count(), model.len());
    }

    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: usize) -> usize {
            let (x, c) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
            self.0 = self.0.wrapping_mul(x).wrapping_add(c);
            (self.0 >> 33) as usize % n
        }
    }

    #[test]
    fn behaves_as_the_standard_map_does() {
        let (mut map, mut model) = (Map::default(), HashMap::new());
        let mut snapshots: Vec<(Map, HashMap<String, u32>)> = vec![];
        let mut dice = Dice(5);
        for step in 0..200_000u32 {
            let grows = step % 100_000 < 50_000;
            let key = format!("k{}", dice.below(30_000));
            match dice.below(10) {
                0..7 if grows => {
                    assert_eq!(put(&mut map, &key, step), model.insert(key.clone(), step))
                }
                0..9 => assert_eq!(take(&mut map, &key), model.remove(&key)),
                _ => {
                    let hash = map.hash(key.as_bytes());
                    let ours = map.get_with_summary(hash, key.as_bytes());
                    let ours = ours.map(|(value, summary)| {
                        summary.remove(value);
                        *value += 1;
                        summary.add(value);
                    });
                    assert_eq!(ours, model.get_mut(&key).map(|v| *v += 1));
                }
            }
            if step % 25_000 == 0 {
                check(&map, &model);
                snapshots.push((map.clone(), model.clone()));
            }
        }
        let mut cursor = 0;
        loop {
            let mut work = Work {
                looks: 700,
                removals: 100,
            };
            let (gone, next) = map.remove_if(cursor, &mut work, |_| true, |e| e.value % 3 == 0);
            gone.iter().for_each(|e| {
                assert!(model.remove(std::str::from_utf8(&e.key).unwrap()).is_some())
            });
            assert!(gone.len() <= 100);
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        assert!(map.entries().all(|e| e.value % 3 != 0));
        check(&map, &model);
        // What a snapshot shares did not change.
        snapshots.iter().for_each(|(map, model)| check(map, model));
        assert_eq!(map.clear().len(), model.len());
        check(&map, &HashMap::new());
    }

    #[test]
    fn a_scan_sees_all_that_stays() {
        for (mostly, first, seed) in [("grows", 20, 1), ("shrinks", 30_000, 2), ("both", 9000, 3)] {
            let (mut map, mut dice) = (Map::default(), Dice(seed));
            for i in 0..first {
                put(&mut map, &format!("goes{i}"), i);
            }
            for i in 0..2000 {
                put(&mut map, &format!("stays{i}"), i);
            }
            let (mut seen, mut cursor, mut calls, mut n) = (HashSet::new(), 0, 0, first);
            loop {
                cursor = map.scan(cursor, 7, |e| {
                    seen.insert(e.key.to_vec());
                });
                calls += 1;
                if cursor == 0 {
                    break;
                }
                for _ in 0..50 {
                    match mostly {
                        "grows" if n < 60_000 => n += 1,
                        "shrinks" => n = n.saturating_sub(1),
                        _ if calls / 100 % 2 == 0 => n += 1,
                        _ => n = n.saturating_sub(1),
                    }
                    let key = format!("goes{n}");
                    if take(&mut map, &key).is_none() {
                        put(&mut map, &key, 0);
                    }
                    take(&mut map, &format!("goes{}", dice.below(60_000)));
                }
            }
            assert!((0..2000).all(|i| seen.contains(format!("stays{i}").as_bytes())));
            assert_eq!(map.scan(u64::MAX, 10, |_| {}), 0);
        }
    }

    #[test]
    fn every_entry_has_the_same_chance() {
        let (mut map, mut dice) = (Map::default(), Dice(11));
        assert!(map.random(|n| dice.below(n)).is_none());
        for i in 0..5000 {
            put(&mut map, &i.to_string(), i);
        }
        assert!(map.split > 0);
        let mut chosen = vec![0u32; 5000];
        for _ in 0..500_000 {
            chosen[map.random(|n| dice.below(n)).unwrap().value as usize] += 1;
        }
        // A hundred times each, give or take six standard deviations.
        assert!(chosen.iter().all(|n| (40..165).contains(n)));
    }

    /// Prints the longest steps of a large map: `cargo test --release --lib longest -- --ignored --nocapture`.
    #[test]
    #[ignore = "measures"]
    fn the_longest_steps() {
        const N: u32 = 10_000_000;
        let mut map = Sharded::<u32>::default();
        let mut longest = std::time::Duration::ZERO;
        let all = Instant::now();
        for i in 0..N {
            let key = i.to_string();
            let (hash, start) = (map.hash(key.as_bytes()), Instant::now());
            map.insert_new(hash, key.as_bytes().into(), i);
            longest = longest.max(start.elapsed());
        }
        println!("{N} insertions: {:?}, longest {longest:?}", all.elapsed());
        let start = Instant::now();
        let snapshot = map.clone();
        println!("snapshot: {:?}", start.elapsed());
        longest = std::time::Duration::ZERO;
        for i in 0..N {
            let key = i.to_string();
            let (hash, start) = (map.hash(key.as_bytes()), Instant::now());
            map.remove(hash, key.as_bytes());
            longest = longest.max(start.elapsed());
        }
        println!("removals with a snapshot: longest {longest:?}");
        assert_eq!((map.len(), snapshot.len()), (0, N as usize));
    }
}
