//! One database: the map from keys to objects.
//!
//! The keyspace is split into a fixed number of shards by the top bits of a key's hash, each a
//! [`Dict`] of its own. No client feels a table grow, then: what grows is a thousandth of it. SCAN walks shard by
//! shard, the expiry cycle too, and so can whoever wants a picture of the whole piece by piece.
//!
//! # Expiry
//!
//! A key whose time has come is gone: a reader, who may change nothing, acts as if it did not see it, and has it
//! deleted afterwards; a writer that meets it deletes it first; the rest is swept away by the cron. A shard knows how many of
//! its keys expire at all and a time before which none of them does ([`Db::sweep`]), so nothing is searched in vain, and
//! the sweep reads the shard's dense entries in a row: nothing else is kept for it, no second table of expiries.
//!
//! # Snapshots
//!
//! Whoever wants to write all of a database to a file or to a replica needs it as it was at one moment, while clients go
//! on changing it. Redis forks for that, and lets the kernel copy each page that is written to. Here a snapshot takes a
//! share in each shard ([`Cow`]), and a writer that comes to a shard in which somebody else has a share copies that
//! shard first. So a snapshot stops nobody; the first change of each shard costs the copying of a thousandth of the
//! keys, and what is inside a stream is shared in the same way, node by node.
//!
//! # What a change leaves behind
//!
//! The Db reports what happened to it ([`super::reports`]). And a large value that was removed must be dropped,
//! which takes time that no client should wait for: it is kept as [`Garbage`] until the lock is released.

use std::hash::RandomState;
use std::ops::Deref;
use std::sync::Arc;

use super::cow::Cow;
use super::dict::{self, Dict, Entry};
use super::object::{NEVER, Object, Usage, Value};
use super::reports::{Class, Reports};
use super::small_bytes::SmallBytes;

/// The number of shards is 2 to this power.
const SHARD_BITS: u32 = 10;
const SHARDS: usize = 1 << SHARD_BITS;

/// One part of the keyspace.
#[derive(Clone)]
pub struct Shard {
    dict: Dict<Object>,
    /// How many of the keys have an expiry.
    volatile: usize,
    /// No key expires before this time.
    next_expiry: i64,
}

/// What was taken out of the store, to be dropped when the lock is free.
pub enum Garbage {
    Value(#[allow(dead_code, reason = "kept to be dropped")] Value),
    Keyspace(#[allow(dead_code, reason = "kept to be dropped")] Keyspace),
}

/// All keys of a database as they were at one moment.
pub type KeyspaceSnapshot = Shards<Arc<Shard>>;

/// All keys of a database, in shards that a snapshot can share.
pub type Keyspace = Shards<Cow<Shard>>;

/// All keys of a database, in shards.
pub struct Shards<P>(Vec<P>);

/// What setting a value does to the key's expiry.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Keep {
    /// The expiry stays as it was.
    Expiry,
    /// The key expires at this Unix time in milliseconds, or never if it is [`NEVER`].
    Until(i64),
}

/// One database.
pub struct Db {
    shards: Keyspace,
    /// What writers do with keys whose time has come.
    pub expiry: Expiry,
    /// What happened since the reports were last taken.
    pub reports: Reports,
    garbage: Vec<Garbage>,
    seed: RandomState,
}

impl Default for Db {
    fn default() -> Db {
        let seed = RandomState::new();
        Db {
            shards: Keyspace::new(&seed),
            expiry: Expiry::Delete,
            reports: Reports::default(),
            garbage: vec![],
            seed,
        }
    }
}

impl Keyspace {
    fn new(seed: &RandomState) -> Keyspace {
        let shards = (0..SHARDS).map(|_| Cow::Own(Shard::new(seed.clone())));
        Shards(shards.collect())
    }

    /// The object at `key`, even one whose time has come. O(1).
    pub fn get(&self, key: &[u8]) -> Option<&Object> {
        // All shards of a keyspace have the same seed.
        let hash = self.0.first()?.dict.hash(key);
        self.0[shard_of(hash)].dict.get(hash, key)
    }
}

impl<P: Deref<Target = Shard>> Shards<P> {
    /// How many keys there are, expired ones included.
    pub fn len(&self) -> usize {
        self.0.iter().map(|s| s.dict.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys have an expiry.
    pub fn volatile_len(&self) -> usize {
        self.0.iter().map(|s| s.volatile).sum()
    }

    /// Every key with its object, in no order; expired ones too.
    pub fn keys(&self) -> impl Iterator<Item = (&[u8], &Object)> {
        self.0
            .iter()
            .flat_map(|s| s.dict.entries().iter().map(|e| (&*e.key, &e.value)))
    }
}

/// What becomes of a key whose time has come when a writer meets it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Expiry {
    /// It is deleted: this server decides when keys expire.
    #[default]
    Delete,
    /// It is hidden, and stays until the primary has it deleted: the server is a replica.
    Hide,
    /// It is there as any other: the writer is the primary itself, which knows what it does.
    Ignore,
}

impl Default for Shard {
    fn default() -> Shard {
        Shard::new(RandomState::new())
    }
}

impl Shard {
    fn new(seed: RandomState) -> Shard {
        Shard {
            dict: Dict::with_seed(seed),
            volatile: 0,
            next_expiry: NEVER,
        }
    }

    fn note_expiry(&mut self, from: i64, to: i64) {
        self.volatile -= usize::from(from != NEVER);
        self.volatile += usize::from(to != NEVER);
        self.next_expiry = if self.volatile == 0 {
            NEVER
        } else {
            self.next_expiry.min(to)
        };
    }
}

fn shard_of(hash: u64) -> usize {
    (hash >> (64 - SHARD_BITS)) as usize
}

impl Db {
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        dict::hash(&self.seed, key)
    }

    /// The shard of a hash, to be changed: copied first if a snapshot still holds it.
    #[inline]
    fn shard_mut(&mut self, hash: u64) -> &mut Shard {
        self.shards.0[shard_of(hash)].make_mut()
    }

    /// A picture of all keys as they are now.
    pub fn snapshot(&mut self) -> KeyspaceSnapshot {
        if self.is_empty() {
            return Shards(vec![]); // most databases are
        }
        Shards(self.shards.0.iter_mut().map(Cow::share).collect())
    }

    /// Prepares for deleting or overwriting a key: if its time has come, it goes now, and is noted as expired.
    pub fn expire_if_due(&mut self, key: &[u8], now: i64) {
        if self.expiry == Expiry::Delete && self.get_any(key).is_some_and(|o| o.is_expired(now)) {
            self.expire_key(key);
        }
    }

    /// Whether a key that is told to expire at `at` goes at once. On a replica it stays until the primary deletes it.
    pub fn goes_at_once(&self, at: i64, now: i64) -> bool {
        at <= now && self.expiry == Expiry::Delete
    }

    /// A writer meets a key whose time has come: tells whether it counts as gone, which it then is if it may be.
    fn lets_go(&mut self, key: &[u8]) -> bool {
        if self.expiry == Expiry::Delete {
            self.expire_key(key);
        }
        self.expiry != Expiry::Ignore
    }

    /// The object at `key`, even one whose time has come.
    #[inline]
    pub fn get_any(&self, key: &[u8]) -> Option<&Object> {
        let hash = self.hash(key);
        self.shards.0[shard_of(hash)].dict.get(hash, key)
    }

    /// The object at `key`, unless it has expired.
    #[inline]
    pub fn get(&self, key: &[u8], now: i64) -> Option<&Object> {
        self.get_any(key).filter(|o| !o.is_expired(now))
    }

    /// The same for a change of the value. A key that has expired is deleted first.
    pub fn get_mut(&mut self, key: &[u8], now: i64) -> Option<&mut Object> {
        let hash = self.hash(key);
        // Asked twice because of the expired case, which borrows the whole; the second time it is cached.
        let object = self.shards.0[shard_of(hash)].dict.get(hash, key)?;
        if object.is_expired(now) && self.lets_go(key) {
            return None;
        }
        #[cfg(debug_assertions)]
        if let Some(object) = self.shards.0[shard_of(hash)].dict.get(hash, key) {
            self.reports.lend(key, &object.value);
        }
        self.shard_mut(hash).dict.get_mut(hash, key)
    }

    /// Touches the memory in which `keys` are, or would be, so that looking them up afterwards does not wait
    /// for it.
    ///
    /// A lookup in a large keyspace is two visits to memory that is in no cache, the second of which has to
    /// wait for the first. The lookups of a pipeline would do that one after the other. Here all first visits are made
    /// in a row, and then all second ones; none waits for another, and the processor makes many at once.
    pub fn warm<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut slots = [(0, 0u64); Db::WARM];
        let mut n = 0;
        for (slot, key) in slots.iter_mut().zip(keys) {
            let hash = self.hash(key);
            *slot = (
                shard_of(hash),
                self.shards.0[shard_of(hash)].dict.home_slot(hash),
            );
            n += 1;
        }
        let entries = slots[..n]
            .iter()
            .filter_map(|&(shard, slot)| self.shards.0[shard].dict.entry(slot));
        let sum = entries.fold(0, |sum, e| sum ^ e.key.len() ^ e.value.expire as usize);
        std::hint::black_box(sum);
    }

    /// How many keys [`Db::warm`] takes at once.
    pub const WARM: usize = 16;

    pub fn contains(&self, key: &[u8], now: i64) -> bool {
        self.get(key, now).is_some()
    }

    /// Sets `key` to `value`, whatever was there before. One whose time had come counts as expired.
    pub fn set(&mut self, key: &[u8], value: Value, keep: Keep, usage: Usage, now: i64) {
        let hash = self.hash(key);
        let can_be_awaited = value.can_be_awaited();
        let shard = self.shards.0[shard_of(hash)].make_mut();
        let (is_new, is_ready) = match shard.dict.get_mut(hash, key) {
            Some(object) => {
                let from = object.expire;
                if let Keep::Until(to) = keep {
                    object.expire = to;
                }
                let to = object.expire;
                object.set_used(usage.fresh());
                let old = std::mem::replace(&mut object.value, value);
                if from != to {
                    shard.note_expiry(from, to);
                }
                if from <= now && self.expiry == Expiry::Delete {
                    self.reports.expired(key);
                }
                let was_awaited = old.can_be_awaited();
                self.discard(old);
                (false, was_awaited)
            }
            None => {
                let expire = match keep {
                    Keep::Until(at) => at,
                    Keep::Expiry => NEVER,
                };
                let object = Object::new(value, expire);
                object.set_used(usage.fresh());
                if expire != NEVER {
                    shard.note_expiry(NEVER, expire);
                }
                shard.dict.insert_new(hash, key.into(), object);
                (true, can_be_awaited)
            }
        };
        if is_new {
            self.event(Class::New, "new", key);
        }
        self.reports.modified(key);
        if is_ready {
            self.reports.ready(key);
        }
    }

    /// Inserts an object as it was taken out of a database. The key is absent, or present but expired and hidden; then
    /// the hidden object is dropped.
    pub fn insert(&mut self, key: &[u8], object: Object) {
        if let Some(hidden) = self.take(key) {
            self.discard(hidden.value);
        }
        let hash = self.hash(key);
        let shard = self.shard_mut(hash);
        let is_ready = object.value.can_be_awaited();
        shard.note_expiry(NEVER, object.expire);
        shard.dict.insert_new(hash, key.into(), object);
        self.event(Class::New, "new", key);
        self.reports.modified(key);
        if is_ready {
            self.reports.ready(key);
        }
    }

    /// Changes when an existing key expires; [`NEVER`] takes the expiry away.
    pub fn set_expiry(&mut self, key: &[u8], at: i64) {
        let hash = self.hash(key);
        let shard = self.shard_mut(hash);
        if let Some(object) = shard.dict.get_mut(hash, key) {
            let from = std::mem::replace(&mut object.expire, at);
            shard.note_expiry(from, at);
            self.reports.modified(key);
        }
    }

    /// Takes a key out. A key that has expired counts as one that is not there.
    pub fn remove(&mut self, key: &[u8], now: i64) -> Option<Object> {
        if self.get_any(key)?.is_expired(now) && self.lets_go(key) {
            return None;
        }
        let object = self.take(key)?;
        self.report_removal(key, &object.value);
        Some(object)
    }

    fn report_removal(&mut self, key: &[u8], value: &Value) {
        self.reports.modified(key);
        if value.can_be_awaited() {
            self.reports.ready(key); // clients that wait for it learn that it is gone
        }
    }

    /// Removes a key for good and tells whether it was there.
    pub fn delete(&mut self, key: &[u8], now: i64) -> bool {
        match self.remove(key, now) {
            Some(object) => {
                self.discard(object.value);
                true
            }
            None => false,
        }
    }

    fn take(&mut self, key: &[u8]) -> Option<Object> {
        let hash = self.hash(key);
        self.shards.0[shard_of(hash)].dict.get(hash, key)?;
        let shard = self.shard_mut(hash);
        let object = shard.dict.remove(hash, key)?.value;
        shard.note_expiry(object.expire, NEVER);
        Some(object)
    }

    /// Deletes a key whose time has come.
    fn expire_key(&mut self, key: &[u8]) {
        if let Some(object) = self.take(key) {
            self.report_expiry(key, &object.value);
            self.discard(object.value);
        }
    }

    fn report_expiry(&mut self, key: &[u8], value: &Value) {
        self.reports.expired(key);
        self.event(Class::Expired, "expired", key);
        self.report_removal(key, value);
    }

    /// Reports that the value at `key` was changed in place. Mirrors `signalModifiedKey`.
    #[inline]
    pub fn modified(&mut self, key: &[u8]) {
        self.reports.modified(key);
    }

    /// Reports that clients that wait for `key` may be served. Mirrors `signalKeyAsReady`.
    #[inline]
    pub fn ready(&mut self, key: &[u8]) {
        self.reports.ready(key);
    }

    /// Says that the value at `key` was changed in a way that Redis does not signal, as XACK does.
    #[inline]
    pub fn changed_silently(&mut self, key: &[u8]) {
        self.reports.excuse(key);
    }

    /// Reports a keyspace event. Mirrors `notifyKeyspaceEvent`.
    #[inline]
    pub fn event(&mut self, class: Class, name: &'static str, key: &[u8]) {
        self.reports.event(class, name, key);
    }

    /// In debug builds, panics if a value was changed and that was not reported.
    pub fn audit(&mut self) {
        #[cfg(debug_assertions)]
        {
            let audit = self.reports.take_audit();
            audit.check(|key| self.get_any(key).map(|object| &object.value));
        }
    }

    /// Puts aside what is costly to drop.
    fn discard(&mut self, value: Value) {
        if value.is_costly_to_drop() {
            self.garbage.push(Garbage::Value(value));
        }
    }

    /// What waits to be dropped, outside the lock.
    pub fn take_garbage(&mut self) -> Vec<Garbage> {
        std::mem::take(&mut self.garbage)
    }

    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// Removes every key and tells how many there were.
    pub fn clear(&mut self) -> usize {
        let removed = self.len();
        if removed > 0 {
            let old = std::mem::replace(&mut self.shards, Keyspace::new(&self.seed));
            self.reports.replaced(old);
        }
        removed
    }

    /// Exchanges all keys with those of another database. The caller reports it.
    pub fn swap_contents(&mut self, other: &mut Db) {
        std::mem::swap(&mut self.shards, &mut other.shards);
        std::mem::swap(&mut self.seed, &mut other.seed);
    }

    /// Takes over all keys of another database, and reports that its own were replaced.
    pub fn replace_contents(&mut self, mut other: Db) {
        self.swap_contents(&mut other);
        self.reports.replaced(other.shards);
    }

    /// All keys.
    pub fn keyspace(&self) -> &Keyspace {
        &self.shards
    }

    /// How many keys there are, those included that have expired and not been deleted yet.
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys have an expiry.
    pub fn volatile_len(&self) -> usize {
        self.shards.volatile_len()
    }

    /// The mean time that keys with an expiry have left, in milliseconds, from a sample of them.
    pub fn average_ttl(&self, now: i64) -> i64 {
        let volatile = |e: &&Entry<Object>| e.value.expire != NEVER && !e.value.is_expired(now);
        let entries = self
            .shards
            .0
            .iter()
            .filter(|s| s.volatile > 0)
            .flat_map(|s| s.dict.entries().iter().take(64));
        let (mut sum, mut n) = (0i64, 0i64);
        for entry in entries.filter(volatile).take(1024) {
            sum = sum.saturating_add(entry.value.expire - now);
            n += 1;
        }
        if n == 0 { 0 } else { sum / n }
    }

    /// Every key with its object, in no order; expired ones too.
    pub fn keys(&self) -> impl Iterator<Item = (&[u8], &Object)> {
        self.shards.keys()
    }

    /// A key chosen at random, with its object, even one that has expired. `below(n)` is a random number under `n`. `None`
    /// if there are no keys. O(number of shards).
    pub fn random_key(&self, below: impl Fn(usize) -> usize) -> Option<(&[u8], &Object)> {
        let total = self.len();
        if total == 0 {
            return None;
        }
        let mut n = below(total);
        for shard in &self.shards.0 {
            if let Some(entry) = shard.dict.entries().get(n) {
                return Some((&entry.key, &entry.value));
            }
            n -= shard.dict.len();
        }
        None
    }

    /// Visits about `count` keys from where `cursor` points, and returns the cursor to go on with; 0 begins a
    /// walk and ends it.
    ///
    /// Every key that is there from the beginning of a walk to its end is visited; one that comes or
    /// goes meanwhile may be or not, and some may be visited twice. A cursor is a shard's number plus
    /// one, times 2⁴⁰, plus how many of that shard's entries are still to see.
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'a [u8], &'a Object),
    ) -> u64 {
        const LEFT_BITS: u32 = 40;
        let (mut shard, mut left) = match cursor >> LEFT_BITS {
            0 => (0, usize::MAX),
            n => ((n - 1) as usize, (cursor & ((1 << LEFT_BITS) - 1)) as usize),
        };
        let mut budget = count;
        while let Some(Shard { dict, .. }) = self.shards.0.get(shard).map(|s| &**s) {
            left = left.min(dict.len());
            while left > 0 && budget > 0 {
                left -= 1;
                budget -= 1;
                let entry = &dict.entries()[left];
                visit(&entry.key, &entry.value);
            }
            if left > 0 {
                return ((shard as u64 + 1) << LEFT_BITS) | left as u64;
            }
            shard += 1;
            left = usize::MAX;
            if budget == 0 {
                // Where a shard begins is known only when it is entered.
                let len = self
                    .shards
                    .0
                    .get(shard..)
                    .and_then(|rest| rest.iter().position(|s| !s.dict.is_empty()));
                let Some(skipped) = len else { return 0 };
                shard += skipped;
                return ((shard as u64 + 1) << LEFT_BITS) | self.shards.0[shard].dict.len() as u64;
            }
        }
        0
    }

    /// True if shard `shard` may hold keys whose time has come.
    pub fn is_due(&self, shard: usize, now: i64) -> bool {
        self.shards.0[shard].next_expiry <= now
    }

    /// The number of shards, for whoever walks them.
    pub const SHARDS: usize = SHARDS;

    /// Deletes expired keys of one shard, at most `limit` of them; tells how many it deleted.
    ///
    /// When it was not stopped by the limit it has seen every expiry of the shard, and knows the next.
    pub fn sweep(&mut self, shard: usize, now: i64, limit: usize) -> usize {
        let mut removed: Vec<Entry<Object>> = vec![];
        let part = self.shards.0[shard].make_mut();
        let mut next = NEVER;
        let mut at = part.dict.len();
        while at > 0 && removed.len() < limit {
            at -= 1;
            // Removing moves the last entry here, and the last one was seen before.
            let expire = part.dict.entries()[at].value.expire;
            if expire <= now {
                removed.push(part.dict.remove_at(at));
            } else {
                next = next.min(expire);
            }
        }
        part.volatile -= removed.len();
        if at == 0 {
            part.next_expiry = next;
        }
        let count = removed.len();
        for Entry { key, value } in removed {
            self.report_expiry(&key, &value.value);
            self.discard(value.value);
        }
        count
    }

    /// The stored form of a key, for MEMORY USAGE.
    pub fn key_overhead(key: &[u8]) -> usize {
        size_of::<Entry<Object>>() + 2 * size_of::<u64>() + SmallBytes::from(key).heap_size()
    }
}

#[cfg(test)]
mod tests {
    use super::super::reports::{Report, Wanted};
    use super::*;
    use std::collections::HashSet;

    fn put(db: &mut Db, key: &str, until: i64) {
        db.set(
            key.as_bytes(),
            Value::Int(1),
            Keep::Until(until),
            Usage::Lru { now: 0 },
            0,
        );
    }

    #[test]
    fn expired_keys_are_invisible_and_swept() {
        let mut db = Db::default();
        for i in 0..1000 {
            put(
                &mut db,
                &format!("k{i}"),
                if i % 2 == 0 { 100 + i } else { NEVER },
            );
        }
        assert_eq!((db.len(), db.volatile_len()), (1000, 500));
        assert!(db.contains(b"k0", 99) && !db.contains(b"k0", 100));
        assert!(db.get_mut(b"k0", 100).is_none());
        assert_eq!((db.len(), db.volatile_len()), (999, 499));
        for shard in 0..Db::SHARDS {
            if db.is_due(shard, 600) {
                db.sweep(shard, 600, usize::MAX);
            }
        }
        let left: Vec<_> = db.keys().filter_map(|(_, o)| o.expiry()).collect();
        assert!(left.len() == db.volatile_len() && left.iter().all(|&at| at > 600));
        assert_eq!(db.reports.take().len(), 1000 - db.len());
    }

    #[test]
    fn a_scan_sees_all_that_stays() {
        let mut db = Db::default();
        for i in 0..5000 {
            put(&mut db, &format!("stays{i}"), NEVER);
            put(&mut db, &format!("goes{i}"), NEVER);
        }
        let (mut seen, mut cursor, mut i) = (HashSet::new(), 0, 0);
        loop {
            cursor = db.scan(cursor, 10, |key, _| {
                seen.insert(key.to_vec());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..3 {
                db.delete(format!("goes{}", (i * 7919) % 5000).as_bytes(), 0);
                put(&mut db, &format!("new{i}"), NEVER);
                i += 1;
            }
        }
        assert!((0..5000).all(|i| seen.contains(format!("stays{i}").as_bytes())));
    }

    /// The reports as text: `m:key` modified, `r:key` ready, `x:key` expired, `*` replaced.
    fn reports(db: &mut Db) -> Vec<String> {
        let text = |key: Vec<u8>| String::from_utf8(key).unwrap();
        let show = |report| match report {
            Report::Modified(key) => format!("m:{}", text(key)),
            Report::Ready(key) => format!("r:{}", text(key)),
            Report::Expired(key) => format!("x:{}", text(key)),
            Report::Event(event) => format!("{}:{}", event.name, text(event.key)),
            Report::Replaced(_) => "*".to_string(),
        };
        db.reports.take().into_iter().map(show).collect()
    }

    #[test]
    fn changes_are_reported_while_somebody_wants_it() {
        let mut db = Db::default();
        put(&mut db, "a", NEVER);
        assert!(db.reports.is_empty());
        db.reports.wanted = Wanted {
            modified: true,
            ready: true,
            events: true,
        };
        put(&mut db, "b", 5);
        db.delete(b"a", 0);
        assert_eq!(reports(&mut db), ["new:b", "m:b", "m:a"]);
        assert!(db.get_mut(b"b", 5).is_none());
        assert_eq!(reports(&mut db), ["x:b", "expired:b", "m:b"]);
        let stream = || Value::Stream(Arc::default());
        db.set(b"s", stream(), Keep::Until(NEVER), Usage::Lru { now: 0 }, 0);
        put(&mut db, "s", NEVER);
        assert_eq!(reports(&mut db), ["new:s", "m:s", "r:s", "m:s", "r:s"]);
        db.event(Class::String, "set", b"s");
        assert_eq!((db.clear(), db.clear()), (1, 0));
        assert_eq!(reports(&mut db), ["set:s", "*"]);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "no report was made")]
    fn a_change_without_a_report_is_noticed() {
        let mut db = Db::default();
        put(&mut db, "a", NEVER);
        db.get_mut(b"a", 0).unwrap().value = Value::Int(2);
        db.audit();
    }

    #[test]
    fn a_change_with_a_report_is_in_order() {
        let mut db = Db::default();
        put(&mut db, "a", NEVER);
        db.get_mut(b"a", 0).unwrap().value = Value::Int(2);
        db.modified(b"a");
        db.audit();
        db.get_mut(b"a", 0).unwrap().value = Value::Int(3);
        db.changed_silently(b"a");
        db.get_mut(b"a", 0).unwrap();
        db.audit();
    }
}
