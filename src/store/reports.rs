//! What a change reports.
//!
//! Things must follow from a change to the data that the command itself may not do: clients that watch a key must be
//! told, clients that wait for a key must be served, keyspace events must be sent, replicas must delete a key that
//! expired. So the [`Db`](super::Db) notes what happened, in order, and whoever holds the write lock (`write.rs`)
//! acts on the notes before it releases the lock.
//!
//! A change says two different things, as in Redis, and they are not the same set of moments:
//!
//! | report | means | Redis's function | who needs it |
//! |---|---|---|---|
//! | [`Report::Modified`] | the logical value of the key is another one | `signalModifiedKey` | WATCH, tracking |
//! | [`Report::Ready`] | a client that waits for the key may find something | `signalKeyAsReady` | blocked clients |
//!
//! Examples: EXPIRE modifies a key and makes nothing ready. XGROUP DESTROY makes the stream ready, because
//! its blocked consumers must get an error, and does not count as a modification. XACK is neither.
//!
//! # Nobody can forget
//!
//! Methods of the Db that add, replace or remove a key report by themselves. A command that changes a value in place
//! calls [`Db::modified`](super::Db::modified), or [`Db::changed_silently`](super::Db::changed_silently) where Redis
//! signals nothing. In debug builds an [`Audit`] takes a fingerprint of every value that is lent out for a change, and
//! panics at the end of the command if the value differs and nothing was reported.
//!
//! # Cost
//!
//! While nobody watches, waits or listens, a report is one test of a flag.

use super::db::Keyspace;
use super::object::Value;

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
    /// A keyspace event.
    #[allow(dead_code, reason = "read by keyspace notifications")]
    Event(Event),
    /// All keys were replaced; these are the old ones.
    Replaced(Keyspace),
}

/// A keyspace event: what `notify-keyspace-events` publishes.
#[allow(dead_code, reason = "read by keyspace notifications")]
pub struct Event {
    pub class: Class,
    /// The event's name, such as `set` or `xadd`.
    pub name: &'static str,
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

/// Which reports somebody needs.
#[derive(Clone, Copy, Default)]
pub struct Wanted {
    /// Somebody watches keys.
    pub modified: bool,
    /// Somebody waits for keys.
    pub ready: bool,
    /// Somebody listens to keyspace events.
    pub events: bool,
}

/// The reports of one database, in the order in which things happened.
#[derive(Default)]
pub struct Reports {
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

    #[inline]
    pub fn modified(&mut self, key: &[u8]) {
        self.excuse(key);
        if self.wanted.modified {
            self.list.push(Report::Modified(key.to_vec()));
        }
    }

    #[inline]
    pub fn ready(&mut self, key: &[u8]) {
        if self.wanted.ready {
            self.list.push(Report::Ready(key.to_vec()));
        }
    }

    #[inline]
    pub fn event(&mut self, class: Class, name: &'static str, key: &[u8]) {
        if self.wanted.events {
            let key = key.to_vec();
            self.list.push(Report::Event(Event { class, name, key }));
        }
    }

    pub fn expired(&mut self, key: &[u8]) {
        self.list.push(Report::Expired(key.to_vec()));
    }

    pub fn replaced(&mut self, old: Keyspace) {
        self.list.push(Report::Replaced(old));
    }

    /// Notes, in debug builds, that a value is about to be lent out for a change.
    #[inline]
    #[cfg_attr(not(debug_assertions), allow(unused_variables))]
    pub fn lend(&mut self, key: &[u8], value: &Value) {
        #[cfg(debug_assertions)]
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

/// The memory of debug builds: what values were before they were lent out.
#[cfg(debug_assertions)]
#[derive(Default)]
pub struct Audit {
    lent: Vec<(Key, u64)>,
    reported: std::collections::HashSet<Key>,
}

#[cfg(debug_assertions)]
impl Audit {
    fn lend(&mut self, key: &[u8], value: &Value) {
        self.lent.push((key.to_vec(), value.fingerprint()));
    }

    fn excuse(&mut self, key: &[u8]) {
        if !self.lent.is_empty() {
            self.reported.insert(key.to_vec());
        }
    }

    /// Panics if a value is another one now, and that was not reported. `now` looks a key up.
    pub fn check<'d>(self, now: impl Fn(&[u8]) -> Option<&'d Value>) {
        for (key, before) in self.lent {
            let changed = now(&key).is_some_and(|value| value.fingerprint() != before);
            assert!(
                !changed || self.reported.contains(&key),
                "the value at '{}' was changed and no report was made",
                String::from_utf8_lossy(&key)
            );
        }
    }
}
