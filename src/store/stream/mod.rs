//! Streams: logs of entries, addressed by ID.
//!
//! A stream is a list of nodes, ordered by ID. Each node is a listpack of some hundred entries:
//!
//! ```text
//!   master ID      1700-0          1742-3          1790-0
//!                 ┌───────┐       ┌───────┐       ┌───────┐
//!                 │ ····· │       │ ····· │       │ ···   │ ◄── XADD appends here
//!                 └───────┘       └───────┘       └───────┘
//!                     ▲               ▲
//!  XTRIM removes here ┘              └── XRANGE 1750 finds its node by binary search
//! ```
//!
//! Adding and trimming work at the ends, and the node of an ID is found in O(log n). An entry takes only a few bytes besides
//! its contents, because a node stores differences ([`node`]).
//!
//! A stream also has figures about its past: the last ID that it gave out (a new ID is larger, even if the last entry was
//! deleted), how many entries were ever added, and the largest ID that was deleted. From these figures a consumer group
//! computes its lag.
//!
//! # Invariants
//!
//! * IDs of entries ascend from node to node, and in each node, except those of deleted entries.
//! * `len` is the number of entries that are not deleted, and `first_id` is the ID of the first of them.
//! * No entry has an ID larger than `last_id`.
//!
//! # Cost
//!
//! For a stream of n nodes.
//!
//! | operation | time |
//! |---|---|
//! | `add` | O(1) |
//! | `range`, `range_backwards`, `get`, `delete` | O(log n) for the node, then O(1) per entry that is read in it |
//! | `delete` of the last entry of a node | O(n) to close the gap in the list of nodes |
//! | `trim` | O(1) per node that is removed, and O(entries) of one node |
//! | first change after a `clone` | O(n) to copy the list of nodes, and one node |
//!
//! Read on with [`id`], then [`super::listpack`], then [`node`], and then [`group`]. How a stream is built from a file:
//! [`restore`].

pub mod group;
mod groups;
pub mod id;
pub mod node;
pub mod restore;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::contents::Contents;
pub use super::listpack::Element;
pub use group::{Group, Nack};
pub use id::{InvalidId, NewId, StreamId};
pub use node::EntryRef;
use node::{Master, Node};

/// How large a node may become.
#[derive(Clone, Copy, Debug)]
pub struct NodeLimits {
    /// Bytes (the setting `stream-node-max-bytes`). 0 means [`NodeLimits::MAX_BYTES`].
    pub bytes: usize,
    /// Entries, deleted ones included (the setting `stream-node-max-entries`). 0 means any number.
    pub entries: i64,
}

impl NodeLimits {
    /// A node of this many bytes gets no more entries, whatever the settings say. The fields of one entry may not have more
    /// bytes than this either.
    pub const MAX_BYTES: usize = 1 << 30;

    /// The limit of bytes that applies.
    fn bytes(self) -> usize {
        if self.bytes == 0 {
            Self::MAX_BYTES
        } else {
            self.bytes.min(Self::MAX_BYTES)
        }
    }
}

/// Which of the oldest entries XTRIM and XADD remove.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trim {
    /// All but this many of the newest entries.
    MaxLen(u64),
    /// The entries before this ID.
    MinId(StreamId),
}

/// Why an entry could not be added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AddError {
    /// Its ID is not larger than the stream's last ID.
    NotLarger,
    /// Its fields have more than [`NodeLimits::MAX_BYTES`] bytes.
    TooLarge,
}

/// A stream. A clone shares the contents of nodes and groups.
#[derive(Clone, Default)]
pub struct Stream {
    /// The nodes, oldest first.
    nodes: VecDeque<Node>,
    /// How many entries there are.
    len: u64,
    /// The last ID that was given out. XSETID can change it.
    pub last_id: StreamId,
    /// The ID of the oldest entry; 0-0 if there is none.
    pub first_id: StreamId,
    /// The largest ID that XDEL deleted; 0-0 if there is none. XSETID can change it.
    pub max_deleted_id: StreamId,
    /// How many entries were ever added.
    pub entries_added: u64,
    /// The consumer groups by name.
    groups: BTreeMap<Vec<u8>, Arc<Group>>,
}

impl Stream {
    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The nodes, oldest first.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The ID that [`Stream::add`] would give to an entry. `None` if it would not be larger than the last ID. `now_ms` is the
    /// Unix time in milliseconds.
    pub fn resolve(&self, wanted: NewId, now_ms: u64) -> Option<StreamId> {
        let last = self.last_id;
        match wanted {
            NewId::Auto if now_ms > last.ms => Some(StreamId { ms: now_ms, seq: 0 }),
            NewId::Auto => last.next(),
            NewId::AutoSeq(ms) if ms > last.ms => Some(StreamId { ms, seq: 0 }),
            NewId::AutoSeq(ms) if ms == last.ms => Some(StreamId {
                ms,
                seq: last.seq.checked_add(1)?,
            }),
            NewId::AutoSeq(_) => None,
            NewId::Exact(id) => (id > last).then_some(id),
        }
    }

    /// Appends an entry and returns its ID.
    ///
    /// # Errors
    ///
    /// See [`AddError`].
    pub fn add<'f>(
        &mut self,
        wanted: NewId,
        now_ms: u64,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
        limits: NodeLimits,
    ) -> Result<StreamId, AddError> {
        let id = self.resolve(wanted, now_ms).ok_or(AddError::NotLarger)?;
        let size: usize = fields
            .clone()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if size > NodeLimits::MAX_BYTES {
            return Err(AddError::TooLarge);
        }
        // XTRIM can leave a node whose entries are all deleted, and XSETID can then allow an ID below its first one.
        while self.nodes.back().is_some_and(|node| id < node.master_id) {
            self.nodes.pop_back();
        }
        match self.nodes.back_mut() {
            Some(node) if has_room(node, size, limits) => node.append(id, fields),
            full => {
                if let Some(node) = full {
                    node.list.shrink_to_fit();
                }
                // The first node of a stream grows as needed, because many streams have few entries.
                let capacity = if self.nodes.is_empty() {
                    0
                } else {
                    limits.bytes().min(1024)
                };
                self.nodes.push_back(Node::new(id, fields, capacity));
            }
        }
        self.len += 1;
        // Wraps around, because a file may contain any number.
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        Ok(id)
    }

    /// The entries from `start` to `end`, both included, in order.
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        let node = self.node_of(start);
        let (master, at) = match self.nodes.get(node) {
            Some(n) => {
                let master = n.read_master();
                let at = master.entries;
                (Some(master), at)
            }
            None => (None, 0),
        };
        Range {
            stream: self,
            start,
            end,
            node,
            master,
            at,
        }
    }

    /// The entries from `start` to `end`, both included, in reverse order.
    pub fn range_backwards(&self, start: StreamId, end: StreamId) -> RangeBackwards<'_> {
        let node = self.nodes.partition_point(|n| n.master_id <= end);
        RangeBackwards {
            stream: self,
            start,
            end,
            node,
            master: None,
            at: 0,
        }
    }

    /// The entry with this ID.
    pub fn get(&self, id: StreamId) -> Option<EntryRef<'_>> {
        self.range(id, id).next()
    }

    /// The ID of the newest entry, if there is one.
    pub fn last_entry_id(&self) -> Option<StreamId> {
        self.range_backwards(StreamId::MIN, StreamId::MAX)
            .next()
            .map(|e| e.id)
    }

    /// The index of the node that contains `id`, if any node does.
    fn node_of(&self, id: StreamId) -> usize {
        self.nodes
            .partition_point(|n| n.master_id <= id)
            .saturating_sub(1)
    }

    /// Deletes an entry. Returns whether it existed.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let index = self.node_of(id);
        let Some(node) = self.nodes.get_mut(index) else {
            return false;
        };
        let master = node.read_master();
        let found = node
            .places(&master)
            .find(|p| !p.is_deleted() && p.entry.id >= id)
            .filter(|p| p.entry.id == id);
        let Some(at) = found.map(|p| p.at) else {
            return false;
        };
        if master.count == 1 {
            self.nodes.remove(index);
        } else {
            node.delete(at);
            node.count_deleted(1);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id || self.is_empty() {
            self.find_first();
        }
        true
    }

    /// Removes old entries and returns how many. With `whole_nodes`, removes a node only if all of its entries are to be
    /// removed, and leaves the others as they are. Removes at most `limit` entries; 0 means no limit. Mirrors `streamTrim`.
    ///
    /// As in Redis, a node may stay although all of its entries are deleted: [`Trim::MinId`] removes a node only if its last
    /// entry, deleted or not, is before the ID.
    pub fn trim(&mut self, trim: Trim, whole_nodes: bool, limit: u64) -> u64 {
        let mut deleted = 0;
        while let Some(node) = self.nodes.front_mut() {
            if matches!(trim, Trim::MaxLen(max) if self.len <= max) {
                break;
            }
            let master = node.read_master();
            let entries = master.count as u64;
            if limit != 0 && deleted + entries > limit {
                break;
            }
            let is_obsolete = match trim {
                Trim::MaxLen(max) => self.len - entries >= max,
                Trim::MinId(id) => node.last_id() < id,
            };
            if is_obsolete {
                self.nodes.pop_front();
                self.len -= entries;
                deleted += entries;
                continue;
            }
            if whole_nodes {
                break;
            }
            let in_node = trim_node(node, &master, trim, self.len);
            self.len -= in_node;
            deleted += in_node;
            break;
        }
        if deleted > 0 {
            self.find_first();
        }
        deleted
    }

    /// Sets `first_id`.
    fn find_first(&mut self) {
        self.first_id = self
            .range(StreamId::MIN, StreamId::MAX)
            .next()
            .map_or(StreamId::MIN, |e| e.id);
    }

    /// How many nodes Redis's radix tree would have for the master IDs of this stream. XINFO STREAM shows the number. O(n).
    pub fn radix_nodes(&self) -> usize {
        let keys: Vec<[u8; 16]> = self.nodes.iter().map(|n| n.master_id.to_bytes()).collect();
        radix_nodes(&keys, 0)
    }
}

impl Contents for Stream {
    fn name(&self) -> &'static str {
        "stream"
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    /// The bytes are estimated. O(nodes + consumers + pending entries / 128).
    fn memory(&self) -> usize {
        let lists = self.nodes.iter().map(|n| n.list.capacity());
        let groups = self.groups().map(|(name, g)| name.len() + g.memory());
        size_of::<Stream>()
            + self.nodes.capacity() * size_of::<Node>()
            + lists.sum::<usize>()
            + groups.sum::<usize>()
    }

    fn serialized_len(&self) -> usize {
        self.memory()
    }

    fn can_be_awaited(&self) -> bool {
        true
    }

    fn is_costly_to_drop(&self) -> bool {
        true
    }

    #[cfg(debug_assertions)]
    fn fingerprint(&self, mut hasher: &mut dyn std::hash::Hasher) {
        use std::hash::Hash;
        let ids = [self.last_id, self.first_id, self.max_deleted_id];
        ids.hash(&mut hasher);
        (self.len, self.entries_added, self.groups.len()).hash(&mut hasher);
        for (name, group) in self.groups() {
            (name, group.last_id, group.entries_read).hash(&mut hasher);
            (group.pel().len(), group.consumer_count()).hash(&mut hasher);
        }
    }
}

/// How many nodes a radix tree has for these sorted keys, which have the same first `depth` bytes. A run of bytes that all
/// keys share is one node. A byte in which keys differ is one node, with a child for each value. Each key ends in a leaf.
fn radix_nodes(keys: &[[u8; 16]], depth: usize) -> usize {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
        return 1;
    };
    if depth == 16 {
        return 1;
    }
    // The keys are sorted, so all of them share what the first and the last one share.
    let shared = (depth..16).take_while(|&i| first[i] == last[i]).count();
    if shared > 0 {
        return 1 + radix_nodes(keys, depth + shared);
    }
    1 + keys
        .chunk_by(|a, b| a[depth] == b[depth])
        .map(|part| radix_nodes(part, depth + 1))
        .sum::<usize>()
}

/// Marks the oldest entries of a node as deleted. `len` is the number of entries in the stream. Returns how many were marked.
fn trim_node(node: &mut Node, master: &Master, trim: Trim, len: u64) -> u64 {
    let mut obsolete = vec![];
    for place in node.places(master) {
        let enough = match trim {
            Trim::MaxLen(max) => len - obsolete.len() as u64 <= max,
            Trim::MinId(id) => place.entry.id >= id,
        };
        if enough {
            break;
        }
        if !place.is_deleted() {
            obsolete.push(place.at);
        }
    }
    obsolete.iter().for_each(|&at| node.delete(at));
    node.count_deleted(obsolete.len() as i64);
    obsolete.len() as u64
}

/// Whether an entry whose fields have `size` bytes may be added to the node.
fn has_room(node: &Node, size: usize, limits: NodeLimits) -> bool {
    if node.list.bytes() + size >= limits.bytes() {
        return false;
    }
    // Deleted entries count, because they still take memory.
    limits.entries == 0 || node.count_with_deleted() < limits.entries
}

/// Entries in order, see [`Stream::range`].
pub struct Range<'a> {
    stream: &'a Stream,
    start: StreamId,
    end: StreamId,
    /// The index of the node that is read.
    node: usize,
    /// The master entry of that node.
    master: Option<Master>,
    /// The position of the next entry in that node.
    at: usize,
}

impl<'a> Iterator for Range<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<EntryRef<'a>> {
        loop {
            let node = self.stream.nodes.get(self.node)?;
            let master = self.master.get_or_insert_with(|| node.read_master());
            while self.at < node.list.end() {
                let place = node.place(master, self.at);
                self.at = place.next;
                if place.is_deleted() {
                    continue; // after XSETID a deleted entry can have a larger ID than those after it
                }
                if place.entry.id > self.end {
                    return None;
                }
                if place.entry.id >= self.start {
                    return Some(place.entry);
                }
            }
            self.node += 1;
            self.master = None;
            self.at = match self.stream.nodes.get(self.node) {
                Some(node) => self.master.insert(node.read_master()).entries,
                None => 0,
            };
        }
    }
}

/// Entries in reverse order, see [`Stream::range_backwards`].
pub struct RangeBackwards<'a> {
    stream: &'a Stream,
    start: StreamId,
    end: StreamId,
    /// The index of the node that is read, plus one.
    node: usize,
    /// The master entry of that node.
    master: Option<Master>,
    /// The position after the next entry in that node.
    at: usize,
}

impl<'a> Iterator for RangeBackwards<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<EntryRef<'a>> {
        loop {
            let node = self.stream.nodes.get(self.node.checked_sub(1)?)?;
            let at = &mut self.at;
            let master = self.master.get_or_insert_with(|| {
                *at = node.list.end();
                node.read_master()
            });
            while let Some(place) = node.place_before(master, self.at) {
                self.at = place.at;
                if place.is_deleted() {
                    continue;
                }
                if place.entry.id < self.start {
                    return None;
                }
                if place.entry.id <= self.end {
                    return Some(place.entry);
                }
            }
            self.node -= 1;
            self.master = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: NodeLimits = NodeLimits {
        bytes: 4096,
        entries: 10,
    };

    fn add(stream: &mut Stream, ms: u64, seq: u64, names: &[&str]) {
        let fields = names.iter().map(|n| (n.as_bytes(), &b"value"[..]));
        stream
            .add(NewId::Exact(StreamId { ms, seq }), 0, fields, LIMITS)
            .unwrap();
    }

    fn ids<'a>(entries: impl Iterator<Item = EntryRef<'a>>) -> Vec<(u64, u64)> {
        entries.map(|e| (e.id.ms, e.id.seq)).collect()
    }

    #[test]
    fn agrees_with_a_plain_list() {
        let mut stream = Stream::default();
        let mut model: Vec<(u64, u64)> = vec![];
        let mut x = 7u64;
        let mut random = |n: u64| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 33) % n
        };
        let (mut ms, mut seq) = (1, 500);
        for step in 0..3000 {
            match random(10) {
                0..6 => {
                    if random(3) == 0 {
                        ms += 1 + random(3);
                        seq = random(3);
                    } else {
                        seq += 1;
                    }
                    let names = [&["a", "b"][..], &["a"][..], &["x", "5"][..]][random(3) as usize];
                    add(&mut stream, ms, seq, names);
                    model.push((ms, seq));
                }
                6..8 if !model.is_empty() => {
                    let (ms, seq) = model.remove(random(model.len() as u64) as usize);
                    assert!(
                        stream.delete(StreamId { ms, seq }) && !stream.delete(StreamId { ms, seq })
                    );
                }
                8 if step % 50 == 0 => {
                    let max = random(200);
                    let cut = model.len().saturating_sub(max as usize);
                    assert_eq!(stream.trim(Trim::MaxLen(max), false, 0), cut as u64);
                    model.drain(..cut);
                }
                9 if step % 50 == 1 => {
                    let min = ms.saturating_sub(random(100));
                    let cut = model.iter().take_while(|e| e.0 < min).count();
                    assert_eq!(
                        stream.trim(Trim::MinId(StreamId::new(min, 0)), false, 0),
                        cut as u64
                    );
                    model.drain(..cut);
                }
                _ => {}
            }
            assert_eq!(stream.len(), model.len() as u64);
            let first = model.first().copied().unwrap_or((0, 0));
            assert_eq!((stream.first_id.ms, stream.first_id.seq), first);
            if step % 20 == 0 {
                let (from, to) = (
                    StreamId::new(random(ms + 1), random(4)),
                    StreamId::new(random(ms + 2), random(4)),
                );
                let inside = |e: &&(u64, u64)| (from..=to).contains(&StreamId::new(e.0, e.1));
                let mut expected: Vec<_> = model.iter().filter(inside).copied().collect();
                assert_eq!(ids(stream.range(from, to)), expected);
                expected.reverse();
                assert_eq!(ids(stream.range_backwards(from, to)), expected);
            }
        }
    }

    #[test]
    fn fields_come_back() {
        let mut stream = Stream::default();
        add(&mut stream, 1, 0, &["a", "b"]);
        add(&mut stream, 1, 1, &["a", "b"]);
        add(&mut stream, 1, 2, &["a", "7", "c"]);
        let names = |seq| -> Vec<String> {
            let entry = stream.get(StreamId::new(1, seq)).unwrap();
            entry.iter().map(|(name, _)| format!("{name:?}")).collect()
        };
        assert_eq!(names(1), ["Str([97])", "Str([98])"]);
        assert_eq!(names(2), ["Str([97])", "Int(7)", "Str([99])"]);
    }

    #[test]
    fn trimming_by_whole_nodes_leaves_the_rest() {
        let mut stream = Stream::default();
        (1..=95).for_each(|i| add(&mut stream, i, 0, &["f"]));
        assert_eq!(stream.node_count(), 10);
        assert_eq!(stream.trim(Trim::MaxLen(42), true, 0), 50);
        assert_eq!(stream.trim(Trim::MaxLen(1), true, 25), 20);
        assert_eq!(stream.len(), 25);
    }

    #[test]
    fn a_deleted_entry_can_have_a_larger_id_than_later_ones() {
        let mut stream = Stream::default();
        add(&mut stream, 1, 0, &["f"]);
        add(&mut stream, 9, 0, &["f"]);
        assert!(stream.delete(StreamId::new(9, 0)));
        stream.last_id = StreamId::new(2, 0); // XSETID
        add(&mut stream, 3, 0, &["f"]);
        add(&mut stream, 4, 0, &["f"]);
        let (from, to) = (StreamId::new(2, 0), StreamId::new(5, 0));
        assert_eq!(ids(stream.range(from, to)), [(3, 0), (4, 0)]);
        let below = stream.range_backwards(StreamId::MIN, to);
        assert_eq!(ids(below), [(4, 0), (3, 0), (1, 0)]);
        assert!(stream.get(StreamId::new(9, 0)).is_none());
        let nodes = stream
            .nodes()
            .map(|n| (n.master_id, n.list.as_bytes().to_vec()));
        let restored = Stream::restore(restore::Parts {
            nodes: nodes.collect(),
            len: 3,
            last_id: stream.last_id,
            max_deleted_id: stream.max_deleted_id,
            entries_added: Some(4),
        });
        assert_eq!(ids(restored.unwrap().range(from, to)), [(3, 0), (4, 0)]);
        assert!(stream.delete(StreamId::new(3, 0)) && stream.delete(StreamId::new(4, 0)));
        assert_eq!(stream.len(), 1);
    }

    #[test]
    fn ids_only_grow() {
        let mut stream = Stream::default();
        add(&mut stream, 5, 5, &["f"]);
        assert_eq!(stream.resolve(NewId::Auto, 3), Some(StreamId::new(5, 6)));
        assert_eq!(stream.resolve(NewId::Auto, 9), Some(StreamId::new(9, 0)));
        assert_eq!(
            stream.resolve(NewId::AutoSeq(5), 0),
            Some(StreamId::new(5, 6))
        );
        assert_eq!(stream.resolve(NewId::AutoSeq(4), 0), None);
        assert_eq!(stream.resolve(NewId::Exact(StreamId::new(5, 5)), 0), None);
        stream.delete(StreamId::new(5, 5));
        assert_eq!(stream.resolve(NewId::Exact(StreamId::new(5, 5)), 0), None);
    }
}
