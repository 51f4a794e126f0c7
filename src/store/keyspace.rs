//! All keys of a database: a [`Sharded`] map from keys to objects, with a summary of expiries per shard.
//!
//! A [`Keyspace`] is only data. What happens to keys (expiry, reports, garbage) is in [`super::db`]. It is a type of its own
//! because the keys can outlive their place in the database: FLUSHALL reports the keys that it replaced, a snapshot shares
//! all keys, and both are dropped after the lock is released.
//!
//! # Invariants
//!
//! * The summary of a shard counts exactly the keys of the shard that have an expiry.
//! * Its `next_expiry` is not later than the first of these expiries. It may be earlier: when a key is removed, the summary
//!   does not search for the next expiry, but the sweep does when it reads the shard.

use super::object::{NEVER, Object};
use super::sharded::{Sharded, Summary};

/// The summary of a shard: what it knows about the expiries of its keys.
#[derive(Clone)]
pub struct Expiries {
    /// How many keys have an expiry.
    pub(super) volatile: usize,
    /// No key expires before this Unix time in milliseconds. [`NEVER`] if no key has an expiry.
    pub(super) next_expiry: i64,
}

impl Default for Expiries {
    fn default() -> Expiries {
        Expiries {
            volatile: 0,
            next_expiry: NEVER,
        }
    }
}

impl Expiries {
    /// A key got the expiry `at`, or none if `at` is [`NEVER`].
    #[inline]
    pub(super) fn add_expiry(&mut self, at: i64) {
        self.volatile += usize::from(at != NEVER);
        self.next_expiry = self.next_expiry.min(at);
    }

    /// A key lost the expiry `at`, or had none if `at` is [`NEVER`].
    #[inline]
    pub(super) fn remove_expiry(&mut self, at: i64) {
        self.volatile -= usize::from(at != NEVER);
        if self.volatile == 0 {
            self.next_expiry = NEVER;
        }
    }
}

impl Summary<Object> for Expiries {
    #[inline]
    fn add(&mut self, object: &Object) {
        self.add_expiry(object.expire);
    }

    #[inline]
    fn remove(&mut self, object: &Object) {
        self.remove_expiry(object.expire);
    }
}

/// All keys of a database. A clone is a snapshot, which shares all shards. O(number of shards).
#[derive(Clone, Default)]
pub struct Keyspace(pub(super) Sharded<Object, Expiries>);

impl Keyspace {
    /// The object at `key`, even one that has expired. O(1).
    pub fn get(&self, key: &[u8]) -> Option<&Object> {
        self.0.get(self.0.hash(key), key)
    }

    /// How many keys there are, expired ones included. O(1).
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key, not even one that has expired. O(1).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys have an expiry. O(number of shards).
    pub fn volatile_len(&self) -> usize {
        self.0.shards().map(|s| s.summary().volatile).sum()
    }

    /// All keys with their objects, expired ones included, in no order.
    pub fn keys(&self) -> impl Iterator<Item = (&[u8], &Object)> {
        self.0.entries().map(|e| (&*e.key, &e.value))
    }
}
