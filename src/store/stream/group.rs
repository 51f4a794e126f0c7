//! Consumer groups: handing a stream's entries out among workers.
//!
//! A reader with XREAD sees every entry. A *consumer group* reads a stream once for many consumers: each new
//! entry goes to the first consumer that asks, and stays *pending* until that consumer acknowledges it.
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
//! The *pending entries list* is kept twice: the group's says which consumer has an entry, when it was delivered and how
//! often; each consumer's holds only the IDs. Both are ordered by ID, so acknowledging, claiming and listing a range
//! cost O(log n) however many are pending. XACK takes an entry off both. When a consumer dies its entries stay,
//! and another can take them over (XCLAIM, XAUTOCLAIM) once they have been idle for long enough.
//!
//! A group may have a million pending entries, so both lists are [`SharedMap`]s: a snapshot of the stream takes a share,
//! and the next XACK copies two leaves of each, not the list. For the same reason each consumer is behind an [`Arc`]. A
//! pending entry names its consumer by a number of four bytes, which leads to the consumer without a comparison of names.
//!
//! # Invariants
//!
//! * An entry is in the group's list exactly if it is in the list of one consumer, the one that its [`Nack`] names.
//!   [`Group::assign`], [`Group::remove_pending`] and [`Group::remove_consumer`] are the only ways to change either.
//! * A number that a [`Nack`] names has a consumer. Numbers are given again only after their entries are gone.
//! * Only while a stream is restored, a pending entry may have no consumer; see [`Group::restore_pending`].
//!
//! A pending entry does not keep the stream's entry alive: it may be trimmed or deleted in the meantime, and
//! a consumer that asks for it then learns that it is gone.
//!
//! # How far behind
//!
//! `entries-read` is how many of the entries ever added the group has passed by. With it the lag is a subtraction:
//! entries-added − entries-read. The counter is exact as long as the group goes forward entry by entry. It is *unknown*
//! when the group was set to some ID in the middle, because the entries before that ID were not counted; and entries
//! deleted from ahead of the group make the subtraction wrong. Then [`Stream::entries_up_to`] may still know the
//! number, from the ends of the stream:
//!
//! ```text
//!    added 7, of which 5 are left      at the first entry:  7 − 5 + 1 were added up to here
//!     ▫  ▫  3-0  4-0  5-0  6-0  7-0    before it:           7 − 5
//!            ▲                   ▲     at the last:         all 7
//!          first               last    in between:          unknown
//! ```
//!
//! A file can claim that fewer entries were added than are left. Redis accepts it, and reckons with 64 bits that wrap
//! around; so does this module, with the same results. The ID of the first entry is never taken from a file.
//!
//! When it is unknown the lag is nil, until the group has caught up with the end of the stream.

use std::sync::Arc;

use super::restore::Flaw;
use super::{EntryRef, Stream, StreamId};
use crate::store::shared_map::SharedMap;

/// A consumer within its group. Valid until the consumer is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

impl ConsumerId {
    /// The owner of entries whose consumer has not been restored yet.
    const NOBODY: ConsumerId = ConsumerId(u32::MAX);
}

/// A pending entry: delivered, and not acknowledged yet.
#[derive(Clone, Debug)]
pub struct Nack {
    pub consumer: ConsumerId,
    /// Unix time in milliseconds of the last delivery.
    pub delivered: i64,
    /// How often it was delivered.
    pub count: u64,
}

/// A member of a group.
#[derive(Clone)]
pub struct Consumer {
    pub name: Arc<[u8]>,
    /// When it last sent a command: Unix time in milliseconds.
    pub seen: i64,
    pel: SharedMap<StreamId, ()>,
}

impl Consumer {
    /// How many entries are pending with the consumer.
    pub fn pending(&self) -> usize {
        self.pel.len()
    }

    /// The IDs of the consumer's pending entries from `start` on, in order.
    pub fn pending_from(&self, start: StreamId) -> impl Iterator<Item = StreamId> {
        self.pel.range_from(&start).map(|(id, ())| *id)
    }
}

/// A consumer group.
#[derive(Clone, Default)]
pub struct Group {
    /// The largest ID delivered to any consumer.
    pub last_id: StreamId,
    /// How many entries the group has read, of all ever added; `None` if that is unknown.
    pub entries_read: Option<u64>,
    pel: SharedMap<StreamId, Nack>,
    /// Where each name is in `consumers`.
    names: SharedMap<Arc<[u8]>, ConsumerId>,
    /// Consumers by number; `None` where one was removed.
    consumers: Vec<Option<Arc<Consumer>>>,
    /// The numbers that are free.
    free: Vec<ConsumerId>,
}

impl Group {
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            last_id,
            entries_read,
            ..Group::default()
        }
    }

    /// The group's pending entries. [`Group::consumer`] tells whose one is.
    pub fn pel(&self) -> &SharedMap<StreamId, Nack> {
        &self.pel
    }

    /// A pending entry, so that its time and count can be changed.
    pub fn nack_mut(&mut self, id: StreamId) -> Option<&mut Nack> {
        self.pel.get_mut(&id)
    }

    /// How many consumers the group has.
    pub fn consumer_count(&self) -> usize {
        self.names.len()
    }

    /// All consumers, ordered by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.names.iter().filter_map(|(_, &id)| self.consumer(id))
    }

    /// The consumer with this number.
    pub fn consumer(&self, id: ConsumerId) -> Option<&Consumer> {
        self.consumers.get(id.0 as usize)?.as_deref()
    }

    /// The name of the consumer that has a pending entry.
    pub fn owner(&self, nack: &Nack) -> &[u8] {
        self.consumer(nack.consumer).map_or(b"", |c| &c.name)
    }

    /// The consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumer(*self.names.get(name)?)
    }

    fn consumer_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        let consumer = self.consumers.get_mut(id.0 as usize)?;
        consumer.as_mut().map(Arc::make_mut)
    }

    /// Notes that a consumer sent a command, and creates it if there is none of that name. Returns its number, and whether
    /// it is new.
    pub fn find_or_create_consumer(&mut self, name: &[u8], now: i64) -> (ConsumerId, bool) {
        if let Some(&known) = self.names.get(name) {
            if let Some(consumer) = self.consumer_mut(known) {
                consumer.seen = now;
            }
            return (known, false);
        }
        let name: Arc<[u8]> = name.into();
        let consumer = Some(Arc::new(Consumer {
            name: name.clone(),
            seen: now,
            pel: SharedMap::default(),
        }));
        let id = match self.free.pop() {
            Some(id) => {
                self.consumers[id.0 as usize] = consumer;
                id
            }
            None => {
                self.consumers.push(consumer);
                ConsumerId(self.consumers.len() as u32 - 1)
            }
        };
        self.names.insert(name, id);
        (id, true)
    }

    /// Makes an entry pending with a consumer of this group, whichever had it before.
    pub fn assign(&mut self, id: StreamId, nack: Nack) {
        let consumer = nack.consumer;
        let old = self.pel.insert(id, nack).map(|old| old.consumer);
        if old == Some(consumer) {
            return;
        }
        if let Some(old) = old.and_then(|old| self.consumer_mut(old)) {
            old.pel.remove(&id);
        }
        if let Some(consumer) = self.consumer_mut(consumer) {
            consumer.pel.insert(id, ());
        }
    }

    /// Removes an entry from the pending entries. Returns whether it was there.
    pub fn remove_pending(&mut self, id: StreamId) -> bool {
        let Some(nack) = self.pel.remove(&id) else {
            return false;
        };
        if let Some(consumer) = self.consumer_mut(nack.consumer) {
            consumer.pel.remove(&id);
        }
        true
    }

    /// Removes a consumer and its pending entries. Returns how many entries that were, or `None` if there is no such
    /// consumer.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.names.remove(name)?;
        let consumer = self.consumers.get_mut(id.0 as usize)?.take()?;
        for pending in consumer.pending_from(StreamId::MIN) {
            self.pel.remove(&pending);
        }
        self.free.push(id);
        Some(consumer.pending())
    }

    /// Adds a pending entry that was read from outside. Its consumer follows: [`Group::restore_owner`].
    ///
    /// # Errors
    ///
    /// If the entry is pending already.
    pub fn restore_pending(
        &mut self,
        id: StreamId,
        delivered: i64,
        count: u64,
    ) -> Result<(), Flaw> {
        let nack = Nack {
            consumer: ConsumerId::NOBODY,
            delivered,
            count,
        };
        match self.pel.insert(id, nack) {
            Some(_) => Err("an entry is pending twice"),
            None => Ok(()),
        }
    }

    /// Gives a pending entry that has no consumer to this consumer.
    ///
    /// # Errors
    ///
    /// If it is not pending, or another consumer has it.
    pub fn restore_owner(&mut self, consumer: ConsumerId, id: StreamId) -> Result<(), Flaw> {
        let nack = self.pel.get_mut(&id);
        let nack = nack.ok_or("a consumer has an entry that is not pending")?;
        if nack.consumer != ConsumerId::NOBODY {
            return Err("an entry is pending with two consumers");
        }
        nack.consumer = consumer;
        let owner = self.consumer_mut(consumer);
        owner
            .ok_or("an entry is pending with nobody")?
            .pel
            .insert(id, ());
        Ok(())
    }

    /// Whether every pending entry has a consumer, as it must once a group is restored.
    pub fn is_complete(&self) -> bool {
        let held: usize = self.consumers().map(Consumer::pending).sum();
        held == self.pel.len()
    }

    /// Passes by an entry that is handed out, and keeps count if that is possible.
    fn pass(&mut self, id: StreamId, history: &DeletionHistory) {
        if id <= self.last_id {
            return;
        }
        self.entries_read = match self.entries_read {
            Some(n) if !history.has_tombstone_from(id) => known(n.wrapping_add(1)),
            _ if history.entries_added > 0 => history.entries_up_to(id),
            unchanged => unchanged,
        };
        self.last_id = id;
    }

    /// Bytes the group takes, roughly.
    pub fn memory(&self) -> usize {
        let consumers = self
            .consumers()
            .map(|consumer| size_of::<Consumer>() + consumer.name.len() + consumer.pel.memory());
        size_of::<Group>()
            + self.pel.memory()
            + self.names.memory()
            + self.consumers.capacity() * size_of::<Option<Arc<Consumer>>>()
            + consumers.sum::<usize>()
    }
}

/// What a stream remembers of entries that are gone, as far as counting needs it.
#[derive(Clone, Copy)]
pub struct DeletionHistory {
    len: u64,
    entries_added: u64,
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
}

impl DeletionHistory {
    /// Whether an entry from `start` on was deleted out of the midst of the stream.
    fn has_tombstone_from(&self, start: StreamId) -> bool {
        self.len > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to `id`, if that can be told.
    fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last_id {
            return known(self.entries_added);
        }
        if id >= self.last_id {
            return known(self.entries_added).filter(|_| id == self.last_id);
        }
        let whole = self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        let before_first = self.entries_added.wrapping_sub(self.len);
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less if whole => known(before_first),
            std::cmp::Ordering::Equal if whole => known(before_first.wrapping_add(1)),
            _ => None,
        }
    }
}

/// A number of entries, unless it is the one that Redis writes for an unknown number, −1.
fn known(n: u64) -> Option<u64> {
    (n != u64::MAX).then_some(n)
}

impl Stream {
    fn history(&self) -> DeletionHistory {
        DeletionHistory {
            len: self.len,
            entries_added: self.entries_added,
            first_id: self.first_id,
            last_id: self.last_id,
            max_deleted_id: self.max_deleted_id,
        }
    }

    /// How many entries were ever added up to `id`, if that can be told.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        self.history().entries_up_to(id)
    }

    /// How many entries a group has still to read, if that is known. The result can be negative: a group that was moved
    /// back, without saying how much it has read, may have read more entries than were ever added.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let history = self.history();
        let read = match group.entries_read {
            _ if self.entries_added == 0 => Some(0),
            Some(n) if !history.has_tombstone_from(group.last_id) => Some(n),
            _ => history.entries_up_to(group.last_id),
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
        consumer: ConsumerId,
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
                            consumer,
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
        let (consumer, _) = stream
            .group_mut(b"g")
            .unwrap()
            .find_or_create_consumer(consumer.as_bytes(), 0);
        let mut ids = vec![];
        stream.deliver(b"g", consumer, count, false, 7, |e| ids.push(e.id.ms));
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
        assert!(
            group.remove_pending(StreamId::new(1, 0)) && !group.remove_pending(StreamId::new(1, 0))
        );
        let bob = group.pel.get(&StreamId::new(3, 0)).unwrap().consumer;
        group.assign(
            StreamId::new(2, 0),
            Nack {
                consumer: bob,
                delivered: 9,
                count: 2,
            },
        );
        let pending = |name: &[u8]| group.find_consumer(name).unwrap().pending();
        assert_eq!((pending(b"ann"), pending(b"bob")), (0, 4));
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
