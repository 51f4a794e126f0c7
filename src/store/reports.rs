//! What a change reports.
//!
//! A change to the data has consequences outside the data. Clients that watch a key must see that it changed, clients that
//! wait for a key must be served, replicas must delete a key that expired. The command itself cannot do these things.
//! So the [`Db`](super::Db) records what happened, in order, and the [`WriteTxn`](crate::write::WriteTxn) that holds the
//! write lock acts on the reports before it releases the lock.
//!
//! As in Redis, a change reports two different things:
//!
//! | report | means | Redis's function | who needs it |
//! |---|---|---|---|
//! | [`Report::Modified`] | the key's value changed, or the key came or went | `signalModifiedKey` | WATCH, tracking |
//! | [`Report::Ready`] | a client that waits for the key may find something | `signalKeyAsReady` | blocked clients |
//!
//! Examples: EXPIRE modifies a key and makes nothing ready. XGROUP DESTROY makes the stream ready, because
//! its blocked consumers must get an error, and does not count as a modification. XACK is neither.
//!
//! # No command can forget
//!
//! Methods of the Db that add, replace or remove a key report by themselves. A command that changes a value in place
//! calls [`Db::modified`](super::Db::modified), or [`Db::changed_silently`](super::Db::changed_silently) where Redis
//! signals nothing. In debug builds an [`Audit`] takes a fingerprint of every value that is lent out for a change, and
//! panics at the end of the command if the value differs and nothing was reported.
//!
//! # Cost
//!
//! While no client watches a key or waits for one, a report costs one test of a flag.
//!
//! # Invariants
//!
//! * Reports are in the order in which things happened.
//! * When a change has ended without a panic, all its reports have been acted on and the list is empty.

use super::keyspace::Keyspace;
#[cfg(debug_assertions)]
use super::value::Value;

/// A key, as a report keeps it.
pub type Key = Vec<u8>;

/// Something that happened to a database.
pub enum Report {
    /// The value at the key changed, or the key came or went.
    Modified(Key),
    /// Clients that wait for the key may be served.
    Ready(Key),
    /// The key was found expired and deleted.
    Expired(Key),
    /// A keyspace event. No part of the server reads them yet.
    #[allow(dead_code, reason = "read by keyspace notifications")]
    Event(Event),
    /// All keys were replaced; these are the old ones.
    Replaced(Keyspace),
}

/// A keyspace event: what `notify-keyspace-events` publishes.
#[allow(dead_code, reason = "read by keyspace notifications")]
pub struct Event {
    /// The event's class, which `notify-keyspace-events` selects by a letter.
    pub class: Class,
    /// The event's name, such as `set` or `xadd`.
    pub name: &'static str,
    /// The key that the event is about.
    pub key: Key,
}

/// The classes of keyspace events.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Class {
    /// `g`: commands that are not specific to a type.
    Generic,
    /// `$`: string commands.
    String,
    /// `t`: stream commands.
    Stream,
    /// `x`: a key expired.
    Expired,
    /// `n`: a key was created.
    New,
}

/// Which reports are needed now. A report that is not needed is not recorded.
#[derive(Clone, Copy, Default)]
pub struct Wanted {
    /// A client watches keys.
    pub modified: bool,
    /// A client waits for keys.
    pub ready: bool,
    /// A client listens to keyspace events.
    pub events: bool,
}

/// The reports of one database, in the order in which things happened.
#[derive(Default)]
pub struct Reports {
    /// The reports that are needed now.
    pub wanted: Wanted,
    list: Vec<Report>,
    #[cfg(debug_assertions)]
    audit: Audit,
}

impl Reports {
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes the reports out.
    pub fn take(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.list)
    }

    /// Reports that the key's value changed, or that the key came or went.
    #[inline]
    pub fn modified(&mut self, key: &[u8]) {
        self.excuse(key);
        if self.wanted.modified {
            self.list.push(Report::Modified(key.to_vec()));
        }
    }

    /// Reports that clients that wait for the key may be served.
    #[inline]
    pub fn ready(&mut self, key: &[u8]) {
        if self.wanted.ready {
            self.list.push(Report::Ready(key.to_vec()));
        }
    }

    /// Reports a keyspace event.
    #[inline]
    pub fn event(&mut self, class: Class, name: &'static str, key: &[u8]) {
        if self.wanted.events {
            let key = key.to_vec();
            self.list.push(Report::Event(Event { class, name, key }));
        }
    }

    /// Reports that the key was found expired and deleted.
    pub fn expired(&mut self, key: &[u8]) {
        self.list.push(Report::Expired(key.to_vec()));
    }

    /// Reports that all keys were replaced; `old` holds the former ones.
    pub fn replaced(&mut self, old: Keyspace) {
        self.list.push(Report::Replaced(old));
    }

    /// Notes, in debug builds, that a value is about to be lent out for a change.
    #[inline]
    #[cfg(debug_assertions)]
    pub fn lend(&mut self, key: &[u8], value: &Value) {
        self.audit.lend(key, value);
    }

    /// Notes, in debug builds, that a change of this key was reported.
    #[inline]
    #[cfg_attr(not(debug_assertions), allow(unused_variables))]
    pub fn excuse(&mut self, key: &[u8]) {
        #[cfg(debug_assertions)]
        self.audit.excuse(key);
    }

    /// In debug builds: the values that were lent out and have not been reported, for a comparison with what they are
    /// now.
    #[cfg(debug_assertions)]
    pub fn take_audit(&mut self) -> Audit {
        std::mem::take(&mut self.audit)
    }
}

/// In debug builds: fingerprints of values, taken before the values were lent out for a change.
#[cfg(debug_assertions)]
#[derive(Default)]
pub struct Audit {
    lent: Vec<(Key, u64)>,
    reported: std::collections::HashSet<Key>,
}

#[cfg(debug_assertions)]
impl Audit {
    fn lend(&mut self, key: &[u8], value: &Value) {
        self.lent.push((key.to_vec(), fingerprint(value)));
    }

    fn excuse(&mut self, key: &[u8]) {
        if !self.lent.is_empty() {
            self.reported.insert(key.to_vec());
        }
    }

    /// Panics if a value changed and no report was made. `now` looks up the current value of a key.
    pub fn check<'d>(self, now: impl Fn(&[u8]) -> Option<&'d Value>) {
        for (key, before) in self.lent {
            let changed = now(&key).is_some_and(|value| fingerprint(value) != before);
            assert!(
                !changed || self.reported.contains(&key),
                "the value at '{}' was changed and no report was made",
                String::from_utf8_lossy(&key)
            );
        }
    }
}

/// A number that differs for values with different contents, nearly always.
#[cfg(debug_assertions)]
fn fingerprint(value: &Value) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    value.as_type().fingerprint(&mut hasher);
    hasher.finish()
}
