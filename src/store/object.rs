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
    pub value: Value,
    /// Unix time in milliseconds, or [`NEVER`]. Only [`super::Db`] changes it, since it counts such keys.
    pub(super) expire: i64,
    /// See [`AccessPolicy`]. Readers note their visit under a shared lock, hence the atomic.
    used: AtomicU32,
}

impl Object {
    pub fn new(value: Value, expire: i64) -> Object {
        Object {
            value,
            expire,
            used: AtomicU32::new(0),
        }
    }

    /// When the key expires, if it does.
    pub fn expiry(&self) -> Option<i64> {
        (self.expire != NEVER).then_some(self.expire)
    }

    #[inline]
    pub fn is_expired(&self, now: i64) -> bool {
        self.expire <= now
    }

    /// Notes a visit.
    #[inline]
    pub fn visit(&self, usage: AccessPolicy) {
        let old = self.used.load(Relaxed);
        let new = usage.visited(old);
        if new != old {
            self.used.store(new, Relaxed);
        }
    }

    /// The mark of the last use: a time for LRU, a time and a counter for LFU.
    pub fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

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

/// How visits to keys are noted: as the time of the last one, or, under an LFU policy, as a
/// counter that grows ever more slowly and decays.
#[derive(Clone, Copy, Debug)]
pub enum AccessPolicy {
    /// CLIENT NO-TOUCH: only the making of a key is.
    Ignored { now: u32 },
    /// Seconds of Unix time.
    Lru { now: u32 },
    /// Bits 8 to 23 are minutes of Unix time, the low 8 the counter.
    Lfu {
        minute: u16,
        log_factor: u32,
        decay_time: u32,
        dice: u32,
    },
}

impl AccessPolicy {
    /// The counter of a key that was just made.
    const LFU_INIT: u32 = 5;

    #[inline]
    fn visited(self, old: u32) -> u32 {
        match self {
            AccessPolicy::Ignored { .. } => old,
            AccessPolicy::Lru { now } => now,
            AccessPolicy::Lfu {
                minute,
                log_factor,
                dice,
                ..
            } => {
                let mut counter = self.frequency(old);
                let above = counter.saturating_sub(Self::LFU_INIT);
                // Up by one with probability 1 / (above × factor + 1).
                let chance = u64::from(u32::MAX) / (u64::from(above) * u64::from(log_factor) + 1);
                if counter < 255 && u64::from(dice) <= chance {
                    counter += 1;
                }
                (u32::from(minute) << 8) | counter
            }
        }
    }

    /// The mark of a new key.
    pub fn fresh(self) -> u32 {
        match self {
            AccessPolicy::Ignored { now } | AccessPolicy::Lru { now } => now,
            AccessPolicy::Lfu { minute, .. } => (u32::from(minute) << 8) | Self::LFU_INIT,
        }
    }

    /// The LFU counter of a mark, less its decay since then. OBJECT FREQ replies this.
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
