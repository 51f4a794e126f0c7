//! What a change reports.
//!
//! A change to the data has consequences outside the data. Clients that watch a key must see that it changed, clients that
//! wait for a key must be served, and replicas must delete a key that expired. The command itself cannot do these things.
//! So the [`Db`](super::Db) records what happened, in order, and the [`WriteTxn`](crate::write::WriteTxn) that holds the
//! write lock acts on the reports before it releases the lock.
//!
//! As in Redis, a change reports two different things:
//!
//! | report | means | Redis's function | who needs it |
//! |---|---|---|---|
//! | [`Report::Modified`] | the key's value changed, or the key came or went | `signalModifiedKey` | WATCH |
//! | [`Report::Ready`] | a client that waits for the key may find something | `signalKeyAsReady` | blocked clients |
//!
//! Examples: EXPIRE modifies a key and makes nothing ready. XGROUP DESTROY makes the stream ready, because
//! its blocked consumers must get an error, and does not count as a modification. XACK is neither.
//!
//! # No command can forget
//!
//! Methods of the Db that add, replace or remove a key report by themselves. A command that changes a value in place
//! calls [`Db::modified`](super::Db::modified), or [`Db::changed_silently`](super::Db::changed_silently) where Redis
//! signals nothing. In debug builds an [`Audit`] takes a fingerprint of each value that a command may change. At the end of
//! the command it panics if the value differs and nothing was reported.
//!
//! For example, APPEND calls [`Db::get_mut`](super::Db::get_mut) (the audit takes the fingerprint), adds bytes, and calls
//! `Db::modified`. If some client watches any key, the list of reports is then `[Modified("key")]`. If no client watches a key, it
//! is empty.
//!
//! # Cost
//!
//! While no client watches a key or waits for one, a report costs the test of one flag ([`Wanted`]). Expired and replaced
//! keys are always reported.
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
    /// A keyspace event. No part of the server acts on events yet.
    #[allow(dead_code, reason = "read by keyspace notifications")]
    Event(Event),
    /// All keys were replaced or removed. These are the old ones.
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
    /// The check that each change is reported.
    #[cfg(debug_assertions)]
    audit: Audit,
}

impl Reports {
    /// Whether there are no reports.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Takes the reports out, and leaves an empty list.
    pub fn take(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.list)
    }

    /// Reports that the key's value changed, or that the key came or went.
    #[inline]
    pub fn modified(&mut self, key: &[u8]) {
        self.audit_reported(key);
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

    /// In debug builds: records the value as it is before a command changes it.
    #[inline]
    #[cfg(debug_assertions)]
    pub fn audit_before_change(&mut self, key: &[u8], value: &Value) {
        self.audit.before_change(key, value);
    }

    /// In debug builds: records that a change of this key was reported.
    #[inline]
    #[cfg_attr(not(debug_assertions), allow(unused_variables))]
    pub fn audit_reported(&mut self, key: &[u8]) {
        #[cfg(debug_assertions)]
        self.audit.reported(key);
    }

    /// In debug builds: takes out the records of this command, so that [`Audit::check`] can compare them with the present
    /// values.
    #[cfg(debug_assertions)]
    pub fn take_audit(&mut self) -> Audit {
        std::mem::take(&mut self.audit)
    }
}

/// In debug builds: what a check needs to find changes that were not reported.
#[cfg(debug_assertions)]
#[derive(Default)]
pub struct Audit {
    /// Fingerprints of values, taken before a command could change them.
    before: Vec<(Key, u64)>,
    /// Keys for which a change was reported.
    reported: std::collections::HashSet<Key>,
}

#[cfg(debug_assertions)]
impl Audit {
    fn before_change(&mut self, key: &[u8], value: &Value) {
        self.before.push((key.to_vec(), fingerprint(value)));
    }

    fn reported(&mut self, key: &[u8]) {
        if !self.before.is_empty() {
            self.reported.insert(key.to_vec());
        }
    }

    /// Panics if a value changed and no report was made. `now` looks up the present value of a key.
    pub fn check<'d>(self, now: impl Fn(&[u8]) -> Option<&'d Value>) {
        for (key, before) in self.before {
            let changed = now(&key).is_some_and(|value| fingerprint(value) != before);
            assert!(
                !changed || self.reported.contains(&key),
                "the value at '{}' was changed and no report was made",
                String::from_utf8_lossy(&key)
            );
        }
    }
}

/// A number that usually differs if two values have different contents.
#[cfg(debug_assertions)]
fn fingerprint(value: &Value) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    value.as_type().fingerprint(&mut hasher);
    hasher.finish()
}
