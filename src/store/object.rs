//! What the keyspace knows about a key: its value, its expiry and its last use.
//!
//! An [`Object`] adds to a [`Value`] what every key has. Key and object together take 64 bytes, a cache line: a GET of a short
//! string reads that line and one slot of the index.
//!
//! # The last use
//!
//! OBJECT IDLETIME and OBJECT FREQ show when, or how often, a key was used. An object has 32 bits for that, and the setting
//! `maxmemory-policy` decides what they hold ([`AccessPolicy`]):
//!
//! ```text
//!   LRU   ┌ Unix time in seconds, 32 bits ────────────────────────┐
//!   LFU   ┌ unused, 8 ┬ Unix time in minutes, 16 ┬ counter, 8 bits ┐
//! ```

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::value::Value;

/// The expiry of a key that does not expire.
pub const NEVER: i64 = i64::MAX;

/// A value with its expiry and its last use.
pub struct Object {
    /// The value.
    pub value: Value,
    /// Unix time in milliseconds, or [`NEVER`]. Only [`super::Db`] changes it, because the shard's summary must follow.
    pub(super) expire: i64,
    /// The last use, as [`AccessPolicy`] encodes it. Atomic, because readers change it while they share the store's lock.
    used: AtomicU32,
}

impl Object {
    /// An object that expires at `expire`, and was not used yet.
    pub fn new(value: Value, expire: i64) -> Object {
        Object {
            value,
            expire,
            used: AtomicU32::new(0),
        }
    }

    /// When the key expires: Unix time in milliseconds. `None` if it does not expire.
    pub fn expiry(&self) -> Option<i64> {
        (self.expire != NEVER).then_some(self.expire)
    }

    /// Whether the expiry has passed at the Unix time `now`, in milliseconds.
    #[inline]
    pub fn is_expired(&self, now: i64) -> bool {
        self.expire <= now
    }

    /// Records that the key was used.
    #[inline]
    pub fn visit(&self, usage: AccessPolicy) {
        let old = self.used.load(Relaxed);
        let new = usage.visited(old);
        if new != old {
            self.used.store(new, Relaxed);
        }
    }

    /// The last use, as [`AccessPolicy`] encodes it.
    pub fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    /// Replaces the record of the last use.
    pub fn set_used(&self, used: u32) {
        self.used.store(used, Relaxed);
    }
}

impl Clone for Object {
    fn clone(&self) -> Object {
        Object {
            value: self.value.clone(),
            expire: self.expire,
            used: AtomicU32::new(self.used()),
        }
    }
}

/// How the uses of keys are recorded: as the time of the last one, or, under an LFU policy, as a counter. The counter grows
/// more slowly the higher it is, and decreases while the key is not used.
#[derive(Clone, Copy, Debug)]
pub enum AccessPolicy {
    /// The time of the last use.
    Lru {
        /// Unix time in seconds.
        now: u32,
    },
    /// A time and a counter: see the head of this file.
    Lfu {
        /// The lower 16 bits of the Unix time in minutes.
        minute: u16,
        /// The setting `lfu-log-factor`: how slowly the counter grows.
        log_factor: u32,
        /// The setting `lfu-decay-time`: after how many minutes without use the counter decreases by one. 0 means never.
        decay_time: u32,
        /// A random number.
        dice: u32,
    },
}

impl AccessPolicy {
    /// The counter of a new key.
    const LFU_INIT: u32 = 5;

    /// The record of a use, after the record `old`.
    #[inline]
    fn visited(self, old: u32) -> u32 {
        match self {
            AccessPolicy::Lru { now } => now,
            AccessPolicy::Lfu {
                minute,
                log_factor,
                dice,
                ..
            } => {
                let mut counter = self.frequency(old);
                let above = counter.saturating_sub(Self::LFU_INIT);
                // The counter increases with probability 1 / (above × log_factor + 1).
                let chance = u64::from(u32::MAX) / (u64::from(above) * u64::from(log_factor) + 1);
                if counter < 255 && u64::from(dice) <= chance {
                    counter += 1;
                }
                (u32::from(minute) << 8) | counter
            }
        }
    }

    /// The record of a new key.
    pub fn fresh(self) -> u32 {
        match self {
            AccessPolicy::Lru { now } => now,
            AccessPolicy::Lfu { minute, .. } => (u32::from(minute) << 8) | Self::LFU_INIT,
        }
    }

    /// The LFU counter in the record `used`, less its decay since then. OBJECT FREQ replies this. 0 unless the policy is
    /// LFU.
    pub fn frequency(self, used: u32) -> u32 {
        match self {
            AccessPolicy::Lfu {
                minute, decay_time, ..
            } => {
                let elapsed = u32::from(minute.wrapping_sub((used >> 8) as u16));
                let periods = elapsed.checked_div(decay_time).unwrap_or(0);
                (used & 255).saturating_sub(periods)
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_object_fill_a_cache_line() {
        assert_eq!(size_of::<super::super::dict::Entry<Object>>(), 64);
    }

    #[test]
    fn lfu_counts_and_decays() {
        let at = |minute| AccessPolicy::Lfu {
            minute,
            log_factor: 10,
            decay_time: 1,
            dice: 0,
        };
        let object = Object::new(Value::int(1), NEVER);
        object.set_used(at(100).fresh());
        for _ in 0..3 {
            object.visit(at(100));
        }
        assert_eq!(at(100).frequency(object.used()), 8);
        assert_eq!(at(106).frequency(object.used()), 2);
        assert_eq!(at(500).frequency(object.used()), 0);
    }
}
