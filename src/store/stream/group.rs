//! Consumer groups: they distribute the entries of a stream among consumers.
//!
//! A client that reads with XREAD sees every entry. A *consumer group* reads a stream once for many consumers: each new
//! entry goes to the first consumer that asks, and stays *pending* until a consumer acknowledges it.
//!
//! ```text
//!    stream   1-0   2-0   3-0   4-0   5-0   6-0   7-0
//!                                    ▲           ▲
//!                                    │           └─ the stream's last ID
//!                 the group's last-delivered-id: XREADGROUP > delivers the entries after it
//!
//!    PEL      1-0 → ann, delivered once, 12 s ago          consumers   ann: { 1-0 }
//!             3-0 → bob, delivered three times, 2 s ago                bob: { 3-0, 4-0 }
//!             4-0 → bob, delivered once, 2 s ago
//! ```
//!
//! There are two kinds of *pending entries list* (PEL). The group's list says which consumer has an entry, when the entry was
//! delivered, and how often. Each consumer's list holds only IDs. Both are ordered by ID, so acknowledging or claiming an
//! entry, and finding the start of a range, cost O(log n). XACK removes an entry from both lists. When a consumer fails, its
//! entries stay pending, and another consumer can claim them (XCLAIM, XAUTOCLAIM).
//!
//! A group may have a million pending entries, so both lists are [`SharedMap`]s, which a snapshot of the stream shares: after
//! the snapshot, XACK copies only a branch and a leaf of each list. For the same reason each consumer is behind an [`Arc`]. A
//! pending entry refers to its consumer by a number of four bytes, so finding the consumer needs no comparison of names.
//!
//! A pending entry may be trimmed or deleted from the stream. It stays pending, and a consumer that reads its own pending
//! entries gets the ID without fields.
//!
//! # Invariants
//!
//! * An entry is in the group's list if and only if it is in the list of exactly one consumer, and its [`Nack`] refers to that
//!   consumer. [`Group::assign`], [`Group::remove_pending`] and [`Group::remove_consumer`] keep this so.
//! * While a stream is restored, pending entries may have no consumer yet; see [`Group::restore_pending`].
//! * The number of a removed consumer is used again only after its entries were removed from the group's list.
//!
//! # Lag
//!
//! The lag is the number of entries that the group still has to read. `entries-read` is how many entries the group has read,
//! of all that were ever added to the stream. So the lag is entries-added − entries-read. The counter is exact as long as
//! the group reads entry by entry. There are two problems:
//!
//! * If the group was set to an ID in the middle of the stream, `entries-read` is *unknown*, because the entries before that ID
//!   were not counted.
//! * If entries after the group's position were deleted, the subtraction gives a wrong result.
//!
//! Then [`Stream::entries_up_to`](super::Stream::entries_up_to) may still compute the number of entries up to the
//! group's position, if the position is at one end of the stream:
//!
//! ```text
//!    added 7, of which 5 are left      at the first entry:  7 − 5 + 1 were added up to here
//!     ▫  ▫  3-0  4-0  5-0  6-0  7-0    before it:           7 − 5
//!            ▲                   ▲     at the last:         all 7
//!          first               last    in between:          unknown
//! ```
//!
//! If that fails too, the lag is unknown (nil), until the group has read up to the end of the stream.
//!
//! A file can claim that fewer entries were added than the stream has. Redis accepts that, and computes with 64 bits that wrap
//! around. This module does the same, with the same results.

use std::sync::Arc;

use super::StreamId;
use crate::store::shared_map::SharedMap;

/// Why parts do not make a stream: a text for the log.
pub type Flaw = &'static str;

/// The number of a consumer in its group. Valid until the consumer is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

impl ConsumerId {
    /// The consumer of entries whose consumer has not been restored yet.
    const NOBODY: ConsumerId = ConsumerId(u32::MAX);
}

/// A pending entry: delivered, and not acknowledged.
#[derive(Clone, Debug)]
pub struct Nack {
    /// The consumer that has the entry.
    pub consumer: ConsumerId,
    /// Unix time in milliseconds of the last delivery.
    pub delivered: i64,
    /// How often the entry was delivered.
    pub count: u64,
}

/// A consumer of a group.
#[derive(Clone)]
pub struct Consumer {
    /// The name, unique in the group.
    pub name: Arc<[u8]>,
    /// Unix time in milliseconds of the consumer's last command.
    pub seen: i64,
    /// The IDs of the consumer's pending entries.
    pel: SharedMap<StreamId, ()>,
}

impl Consumer {
    /// How many pending entries the consumer has.
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
    /// The last-delivered-id: new entries are those after it. XGROUP SETID can change it.
    pub last_id: StreamId,
    /// How many entries the group has read, of all that were ever added. `None` if that is unknown.
    pub entries_read: Option<u64>,
    /// The pending entries.
    pel: SharedMap<StreamId, Nack>,
    /// The number of each consumer, by name.
    names: SharedMap<Arc<[u8]>, ConsumerId>,
    /// The consumers by number. `None` where a consumer was removed.
    consumers: Vec<Option<Arc<Consumer>>>,
    /// The numbers of removed consumers, to be used again.
    free: Vec<ConsumerId>,
}

impl Group {
    /// A group without consumers, which reads the entries after `last_id`.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Group {
        Group {
            last_id,
            entries_read,
            ..Group::default()
        }
    }

    /// The group's pending entries.
    pub fn pel(&self) -> &SharedMap<StreamId, Nack> {
        &self.pel
    }

    /// A pending entry, to change its time and count. Its consumer is changed by [`Group::assign`].
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

    /// The consumer with this number, to be changed.
    fn consumer_mut(&mut self, id: ConsumerId) -> Option<&mut Consumer> {
        let consumer = self.consumers.get_mut(id.0 as usize)?;
        consumer.as_mut().map(Arc::make_mut)
    }

    /// Finds the consumer of this name, or creates it, and records that it sent a command at `now`. Returns its number, and
    /// whether it is new.
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

    /// Makes an entry pending with a consumer of this group. If another consumer has the entry, that one loses it.
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

    /// Removes a consumer and its pending entries. Returns how many pending entries it had, or `None` if there is no such
    /// consumer. O(p log n) for p of its entries.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.names.remove(name)?;
        let consumer = self.consumers.get_mut(id.0 as usize)?.take()?;
        for pending in consumer.pending_from(StreamId::MIN) {
            self.pel.remove(&pending);
        }
        self.free.push(id);
        Some(consumer.pending())
    }

    /// Adds a pending entry that comes from a file. [`Group::restore_owner`] sets its consumer later.
    ///
    /// # Errors
    ///
    /// The entry is pending already.
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

    /// Sets the consumer of a pending entry that [`Group::restore_pending`] added.
    ///
    /// # Errors
    ///
    /// The entry is not pending, or it has a consumer already, or there is no consumer of this number.
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

    /// Whether every pending entry has a consumer. That must be so when the group has been restored.
    pub fn is_complete(&self) -> bool {
        let held: usize = self.consumers().map(Consumer::pending).sum();
        held == self.pel.len()
    }

    /// Moves the group's position to an entry that is delivered, and counts the entry if that is possible.
    pub(super) fn advance(&mut self, id: StreamId, history: &DeletionHistory) {
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

    /// About how many bytes the group takes.
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

/// The figures of a stream from which the number of entries up to an ID is computed. See the fields of
/// [`Stream`](super::Stream).
#[derive(Clone, Copy)]
pub struct DeletionHistory {
    /// How many entries the stream has.
    pub(super) len: u64,
    /// How many entries were ever added.
    pub(super) entries_added: u64,
    /// The ID of the first entry.
    pub(super) first_id: StreamId,
    /// The last ID that was given to an entry.
    pub(super) last_id: StreamId,
    /// The largest ID of a deleted entry.
    pub(super) max_deleted_id: StreamId,
}

impl DeletionHistory {
    /// Whether an entry from `start` on may have been deleted, although an entry before it is left. Mirrors
    /// `streamRangeHasTombstones`.
    pub(super) fn has_tombstone_from(&self, start: StreamId) -> bool {
        self.len > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to `id`. `None` if that is unknown. Mirrors
    /// `streamEstimateDistanceFromFirstEverEntry`.
    pub(super) fn entries_up_to(&self, id: StreamId) -> Option<u64> {
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

/// `n`, but `None` for 2^64 − 1: Redis stores an unknown number as −1.
fn known(n: u64) -> Option<u64> {
    (n != u64::MAX).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::super::{NewId, NodeLimits, Stream};
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
