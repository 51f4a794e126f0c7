//! Consumer groups: handing a stream's entries out among workers.
//!
//! A reader with XREAD sees every entry. A *consumer group* reads a stream once for many consumers: each new
//! entry goes to one of them, whoever asks first, and stays *pending* until that consumer acknowledges it.
//!
//! ```text
//!    stream   1-0   2-0   3-0   4-0   5-0   6-0   7-0
//!                                    ▲           ▲
//!                                    │           └─ the stream's last ID
//!                 the group's last-delivered-id: XREADGROUP > hands out what comes after it
//!
//!    PEL      1-0 → ann, delivered once, 12 s ago          consumers   ann: { 1-0 }
//!             3-0 → bob, delivered three times, 2 s ago                bob: { 3-0, 4-0 }
//!             4-0 → bob, delivered once, 2 s ago
//! ```
//!
//! The *pending entries list* is kept twice: the group's says who has an entry, when it was delivered and how often;
//! each consumer's says only which. Both are ordered by ID, so acknowledging, claiming and listing a range
//! cost O(log n) however many are pending. XACK takes an entry off both. When a consumer dies its entries stay,
//! and another can take them over (XCLAIM, XAUTOCLAIM) once they have been idle for long enough.
//!
//! A pending entry does not keep the stream's entry alive: it may be trimmed or deleted in the meantime, and
//! whoever comes for it then learns that it is gone.
//!
//! # How far behind
//!
//! `entries-read` is how many of the entries ever added the group has passed by. With it the lag is a subtraction:
//! entries-added − entries-read. The counter is exact as long as the group goes forward entry by entry. It is *unknown*
//! when the group was set to some ID in the middle, since nobody has counted the entries before that; and entries
//! deleted from ahead of the group make the subtraction wrong. Then [`Stream::entries_before`] may still know the
//! number, from the ends of the stream:
//!
//! ```text
//!    added 7, of which 5 are left      at the first entry:  7 − 5 + 1 were added up to here
//!     ▫  ▫  3-0  4-0  5-0  6-0  7-0    before it:           7 − 5
//!            ▲                   ▲     at the last:         all 7
//!          first               last    in between:          nobody knows
//! ```
//!
//! When it is unknown the lag is nil, until the group has caught up with the end of the stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{EntryRef, Stream, StreamId};

/// A consumer's name, shared by all pending entries that it has.
pub type Name = Arc<[u8]>;

/// A pending entry: delivered, and not acknowledged yet.
#[derive(Clone, Debug)]
pub struct Nack {
    pub consumer: Name,
    /// Unix time in milliseconds of the last delivery.
    pub delivered: i64,
    /// How often it was delivered.
    pub count: u64,
}

/// A member of a group.
#[derive(Clone, Default)]
pub struct Consumer {
    /// When it last made itself heard: Unix time in milliseconds.
    pub seen: i64,
    /// The entries that are pending with it.
    pub pel: BTreeSet<StreamId>,
}

/// A consumer group.
#[derive(Clone, Default)]
pub struct Group {
    /// The largest ID delivered to any consumer.
    pub last_id: StreamId,
    /// How many entries the group has read, of all ever added; `None` if that is unknown.
    pub entries_read: Option<u64>,
    pub pel: BTreeMap<StreamId, Nack>,
    pub consumers: BTreeMap<Name, Consumer>,
}

impl Group {
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            last_id,
            entries_read,
            ..Group::default()
        }
    }

    /// Notes that a consumer was heard of, and makes it if there is none of that name. Returns its name, and whether it is
    /// new.
    pub fn meet(&mut self, name: &[u8], now: i64) -> (Name, bool) {
        if let Some((known, _)) = self.consumers.get_key_value(name) {
            let known = known.clone();
            if let Some(consumer) = self.consumers.get_mut(name) {
                consumer.seen = now;
            }
            return (known, false);
        }
        let name: Name = name.into();
        self.consumers.insert(
            name.clone(),
            Consumer {
                seen: now,
                ..Consumer::default()
            },
        );
        (name, true)
    }

    /// Makes an entry pending with a consumer, whoever had it before.
    pub fn assign(&mut self, id: StreamId, nack: Nack) {
        let consumer = nack.consumer.clone();
        let old = self.pel.insert(id, nack).map(|old| old.consumer);
        if old.as_ref() == Some(&consumer) {
            return;
        }
        if let Some(old) = old.and_then(|name| self.consumers.get_mut(&name)) {
            old.pel.remove(&id);
        }
        if let Some(consumer) = self.consumers.get_mut(&consumer) {
            consumer.pel.insert(id);
        }
    }

    /// An entry is pending no more; tells whether it was.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(nack) = self.pel.remove(&id) else {
            return false;
        };
        if let Some(consumer) = self.consumers.get_mut(&nack.consumer) {
            consumer.pel.remove(&id);
        }
        true
    }

    /// Removes a consumer with all that is pending with it; tells how many entries that were, or that there is no such
    /// consumer.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(name)?;
        consumer.pel.iter().for_each(|id| drop(self.pel.remove(id)));
        Some(consumer.pel.len())
    }

    /// Passes by an entry that is handed out, and keeps count if that is possible.
    fn pass(&mut self, id: StreamId, history: &History) {
        if id <= self.last_id {
            return;
        }
        self.entries_read = match self.entries_read {
            Some(n) if !history.has_tombstone_from(id) => Some(n + 1),
            _ if history.entries_added > 0 => history.entries_before(id),
            unchanged => unchanged,
        };
        self.last_id = id;
    }

    /// Bytes the group takes, roughly.
    pub fn memory(&self) -> usize {
        // A B-tree is two thirds full on average.
        let pending =
            self.pel.len() * (size_of::<(StreamId, Nack)>() + size_of::<StreamId>()) * 3 / 2;
        let consumers = self
            .consumers
            .keys()
            .map(|name| size_of::<Consumer>() + 2 * name.len())
            .sum::<usize>();
        size_of::<Group>() + pending + consumers
    }
}

/// What a stream remembers of entries that are gone, as far as counting needs it.
#[derive(Clone, Copy)]
pub struct History {
    len: u64,
    entries_added: u64,
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
}

impl History {
    /// Whether an entry from `start` on was deleted out of the midst of the stream.
    fn has_tombstone_from(&self, start: StreamId) -> bool {
        self.len > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to `id`, if that can be told.
    fn entries_before(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(self.entries_added);
        }
        let whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less if whole => Some(self.entries_added - self.len),
            std::cmp::Ordering::Equal if whole => Some(self.entries_added - self.len + 1),
            _ => None,
        }
    }
}

impl Stream {
    fn history(&self) -> History {
        History {
            len: self.len,
            entries_added: self.entries_added,
            first_id: self.first_id,
            last_id: self.last_id,
            max_deleted_id: self.max_deleted_id,
        }
    }

    /// How many entries were ever added up to `id`, if that can be told.
    pub fn entries_before(&self, id: StreamId) -> Option<u64> {
        self.history().entries_before(id)
    }

    /// How many entries a group has still to read, if that can be told. A group that was set back by hand, and not told
    /// how much it has read, can have read more than there ever was.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let history = self.history();
        let read = match group.entries_read {
            _ if self.entries_added == 0 => Some(0),
            Some(n) if !history.has_tombstone_from(group.last_id) => Some(n),
            _ => history.entries_before(group.last_id),
        };
        read.map(|n| self.entries_added.wrapping_sub(n) as i64)
    }

    pub fn groups(&self) -> impl Iterator<Item = (&Vec<u8>, &Group)> {
        self.groups.iter().map(|(name, group)| (name, &**group))
    }

    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name).map(|group| &**group)
    }

    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name).map(Arc::make_mut)
    }

    /// Adds a group; tells whether the name was free.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        let free = !self.groups.contains_key(name);
        if free {
            self.groups.insert(name.to_vec(), Arc::new(group));
        }
        free
    }

    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    /// Hands out entries that the group has not read yet to a consumer, `count` at most, and shows each to `deliver`.
    /// With `no_ack` they do not become pending. Returns how many there were.
    pub fn deliver(
        &mut self,
        group: &[u8],
        consumer: &Name,
        count: usize,
        no_ack: bool,
        now: i64,
        mut deliver: impl FnMut(EntryRef<'_>),
    ) -> usize {
        let history = self.history();
        // The group is taken out while the entries are read: they are in the same stream.
        let mut groups = std::mem::take(&mut self.groups);
        let mut delivered = 0;
        if let Some(group) = groups.get_mut(group).map(Arc::make_mut)
            && let Some(start) = group.last_id.next()
        {
            for entry in self.range(start, StreamId::MAX).take(count) {
                group.pass(entry.id, &history);
                if !no_ack {
                    group.assign(
                        entry.id,
                        Nack {
                            consumer: consumer.clone(),
                            delivered: now,
                            count: 1,
                        },
                    );
                }
                deliver(entry);
                delivered += 1;
            }
        }
        self.groups = groups;
        delivered
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NewId, NodeLimits};
    use super::*;

    fn stream(entries: u64) -> Stream {
        let mut stream = Stream::default();
        for ms in 1..=entries {
            let fields = [(&b"f"[..], &b"v"[..])].into_iter();
            stream
                .add(
                    NewId::Exact(StreamId::new(ms, 0)),
                    0,
                    fields,
                    NodeLimits {
                        bytes: 0,
                        entries: 3,
                    },
                )
                .unwrap();
        }
        stream
    }

    fn read(stream: &mut Stream, consumer: &str, count: usize) -> Vec<u64> {
        let (name, _) = stream.group_mut(b"g").unwrap().meet(consumer.as_bytes(), 0);
        let mut ids = vec![];
        stream.deliver(b"g", &name, count, false, 7, |e| ids.push(e.id.ms));
        ids
    }

    #[test]
    fn each_entry_goes_to_one_consumer() {
        let mut s = stream(5);
        assert!(
            s.add_group(b"g", Group::new(StreamId::MIN, Some(0)))
                && !s.add_group(b"g", Group::default())
        );
        assert_eq!(
            (
                read(&mut s, "ann", 2),
                read(&mut s, "bob", 10),
                read(&mut s, "ann", 1)
            ),
            (vec![1, 2], vec![3, 4, 5], vec![])
        );
        let group = s.group_mut(b"g").unwrap();
        assert!(group.acknowledge(StreamId::new(1, 0)) && !group.acknowledge(StreamId::new(1, 0)));
        let bob = group.pel[&StreamId::new(3, 0)].consumer.clone();
        group.assign(
            StreamId::new(2, 0),
            Nack {
                consumer: bob,
                delivered: 9,
                count: 2,
            },
        );
        assert_eq!(
            (
                group.consumers[&b"ann"[..]].pel.len(),
                group.consumers[&b"bob"[..]].pel.len()
            ),
            (0, 4)
        );
        assert_eq!(group.remove_consumer(b"bob"), Some(4));
        assert!(group.pel.is_empty());
    }

    #[test]
    fn the_lag_is_known_until_it_is_not() {
        let mut s = stream(6);
        s.add_group(b"g", Group::new(StreamId::MIN, None));
        let lag = |s: &Stream| s.lag(s.group(b"g").unwrap());
        assert_eq!(lag(&s), Some(6));
        read(&mut s, "ann", 2);
        assert_eq!(lag(&s), Some(4));
        s.delete(StreamId::new(5, 0));
        assert_eq!(lag(&s), None::<i64>);
        read(&mut s, "ann", 10);
        assert_eq!(
            (lag(&s), s.group(b"g").unwrap().entries_read),
            (Some(0), Some(6))
        );
    }
}
