//! The groups of a stream: finding, adding and removing them, delivering entries to them, and their lag.
//!
//! One group by itself is in `group.rs`. What is here needs the stream and its groups together: a delivery reads entries of
//! the stream and changes a group, and the lag compares a group with the stream's figures.

use std::sync::Arc;

use super::group::{ConsumerId, DeletionHistory, Group, Nack};
use super::{EntryRef, Stream, StreamId};

impl Stream {
    /// The figures of the stream's past.
    fn history(&self) -> DeletionHistory {
        DeletionHistory {
            len: self.len,
            entries_added: self.entries_added,
            first_id: self.first_id,
            last_id: self.last_id,
            max_deleted_id: self.max_deleted_id,
        }
    }

    /// How many entries were ever added up to `id`, `id` included. `None` if that is unknown.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        self.history().entries_up_to(id)
    }

    /// How many entries the group still has to read. `None` if that is unknown. The result can be negative, as in Redis: a
    /// group that was moved back without a new value of entries-read may have read more entries than were ever added.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let history = self.history();
        let read = match group.entries_read {
            _ if self.entries_added == 0 => Some(0),
            Some(n) if !history.has_tombstone_from(group.last_id) => Some(n),
            _ => history.entries_up_to(group.last_id),
        };
        read.map(|n| self.entries_added.wrapping_sub(n) as i64)
    }

    /// All groups with their names, ordered by name.
    pub fn groups(&self) -> impl Iterator<Item = (&Vec<u8>, &Group)> {
        self.groups.iter().map(|(name, group)| (name, &**group))
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The group of this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name).map(|group| &**group)
    }

    /// The group of this name, to be changed. If a snapshot shares the group, it is copied first.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name).map(Arc::make_mut)
    }

    /// Adds a group. Returns false, and does nothing, if there is a group of this name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        let free = !self.groups.contains_key(name);
        if free {
            self.groups.insert(name.to_vec(), Arc::new(group));
        }
        free
    }

    /// Removes a group. Returns whether it existed.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    /// Delivers new entries of the group to a consumer, `count` at most: calls `deliver` with each. With `no_ack` they do not
    /// become pending. Returns how many were delivered. `now` is the Unix time in milliseconds.
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
        // The groups are taken out of the stream, so that one can be changed while entries of the stream are read.
        let mut groups = std::mem::take(&mut self.groups);
        let mut delivered = 0;
        if let Some(group) = groups.get_mut(group).map(Arc::make_mut)
            && let Some(start) = group.last_id.next()
        {
            for entry in self.range(start, StreamId::MAX).take(count) {
                group.advance(entry.id, &history);
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
