//! A node: up to a hundred entries of a stream in one listpack. (The settings `stream-node-max-entries` and
//! `stream-node-max-bytes` decide how many.)
//!
//! Entries of a stream are similar: their IDs are close together, and their fields usually have the same names. A node saves
//! memory with both. It begins with a *master entry*, which holds the field names of the first entry. Each entry with the same
//! names stores only its values. IDs are stored as differences from the first ID, which is the node's *master ID*.
//!
//! ```text
//!  master entry                               entry                                    entry …
//! ┌───────┬─────────┬───┬───────────┬───┐ ┌───────┬────────┬─────────┬────────┬───────┐
//! │ count │ deleted │ n │ n names   │ 0 │ │ flags │ ms − m │ seq − s │ values │ parts │
//! └───────┴─────────┴───┴───────────┴───┘ └───────┴────────┴─────────┴────────┴───────┘
//!                                           flags 2: the names are those of the master entry
//!                                           flags 0: … seq − s │ n │ name value name value … │ parts
//!                                           flags 1: deleted (added to either)
//! ```
//!
//! `m` and `s` are time and sequence of the master ID. `parts` is the number of the entry's elements before it. A reader that
//! goes backwards needs it to find the beginning of the entry. Deleting an entry sets a flag; its memory is freed with the
//! whole node. The format is Redis's.
//!
//! `XADD s 5-0 temp 20` and `XADD s 6-1 temp 21` give a node with the master ID 5-0 and these elements:
//!
//! ```text
//!   2  0  1  "temp"  0      2  0  0  20  4      2  1  1  21  4
//!   master entry            5-0                 6-1
//! ```
//!
//! # Invariants
//!
//! * `count` is the number of entries without the flag for deleted ones, and `deleted` the number of the others.
//! * IDs of entries that are not deleted ascend, and none is less than the master ID.

use super::id::StreamId;
use crate::store::listpack::{Element, Listpack};

/// The flag of a deleted entry.
const DELETED: i64 = 1;

/// The flag of an entry whose field names are those of the master entry.
const SAME_FIELDS: i64 = 2;

/// Some consecutive entries. A clone shares the listpack.
#[derive(Clone)]
pub struct Node {
    /// The ID of the first entry that was added, even if that entry was deleted since.
    pub master_id: StreamId,
    /// The master entry, and then the entries.
    pub list: Listpack,
}

/// The master entry, decoded.
pub struct Master {
    /// How many entries are not deleted.
    pub count: i64,
    /// How many field names there are.
    fields: usize,
    /// The position of the first field name.
    names: usize,
    /// The position of the first entry.
    pub entries: usize,
}

/// An entry in its node.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    /// The ID.
    pub id: StreamId,
    list: &'a Listpack,
    /// How many fields the entry has.
    pub fields: usize,
    /// The position of the values; if the entry has names of its own, of its names and values in turn.
    values: usize,
    /// The position of the names in the master entry, if the entry has no names of its own.
    names: Option<usize>,
}

/// An entry that may be deleted, with its place in the node.
pub struct EntryPlace<'a> {
    /// The position of the entry, which is the position of its flags.
    pub at: usize,
    /// The position of the next entry, or of the end.
    pub next: usize,
    flags: i64,
    /// The entry.
    pub entry: EntryRef<'a>,
}

impl EntryPlace<'_> {
    /// Whether the entry is deleted.
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }
}

impl Node {
    /// A node with one entry, and with room for `capacity` bytes.
    pub fn new<'f>(
        id: StreamId,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
        capacity: usize,
    ) -> Node {
        let mut list = Listpack::with_capacity(capacity);
        list.append(|w| {
            w.int(0);
            w.int(0);
            w.int(fields.clone().count() as i64);
            fields.clone().for_each(|(name, _)| w.string(name));
            w.int(0);
        });
        let mut node = Node {
            master_id: id,
            list,
        };
        node.append(id, fields);
        node
    }

    /// Appends an entry. Its ID is larger than all IDs in the node, except those of deleted entries.
    pub fn append<'f>(
        &mut self,
        id: StreamId,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    ) {
        let (count, _) = self.list.int(Listpack::first());
        self.list.replace_int(Listpack::first(), count + 1);
        let (n, same) = self.compare_names(fields.clone());
        let ms = id.ms.wrapping_sub(self.master_id.ms) as i64;
        let seq = id.seq.wrapping_sub(self.master_id.seq) as i64;
        self.list.append(|w| {
            w.int(if same { SAME_FIELDS } else { 0 });
            w.int(ms);
            w.int(seq);
            if same {
                fields.for_each(|(_, value)| w.string(value));
                w.int(n as i64 + 3);
            } else {
                w.int(n as i64);
                for (name, value) in fields {
                    w.string(name);
                    w.string(value);
                }
                w.int(2 * n as i64 + 4);
            }
        });
    }

    /// The number of `fields`, and whether their names are those of the master entry.
    fn compare_names<'f>(
        &self,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    ) -> (usize, bool) {
        let deleted = self.list.next(Listpack::first());
        let (wanted, mut at) = self.list.int(self.list.next(deleted));
        let (mut n, mut same) = (0, true);
        for (name, _) in fields {
            same = same && n < wanted as usize && {
                let (own, next) = self.list.get(at);
                at = next;
                own.equals(name)
            };
            n += 1;
        }
        (n, same && n == wanted as usize)
    }

    /// The number of entries, deleted ones included. O(1).
    pub fn count_with_deleted(&self) -> i64 {
        let (count, at) = self.list.int(Listpack::first());
        let (deleted, _) = self.list.int(at);
        count + deleted
    }

    /// Decodes the master entry. O(field names).
    pub fn read_master(&self) -> Master {
        let (count, at) = self.list.int(Listpack::first());
        let at = self.list.next(at);
        let (fields, names) = self.list.int(at);
        let fields = fields as usize;
        Master {
            count,
            fields,
            names,
            entries: self.list.skip(names, fields + 1),
        }
    }

    /// The entry at position `at`. O(its fields).
    #[inline]
    pub fn place(&self, master: &Master, at: usize) -> EntryPlace<'_> {
        let list = &self.list;
        let (flags, p) = list.int(at);
        let (ms, p) = list.int(p);
        let (seq, p) = list.int(p);
        let id = StreamId {
            ms: self.master_id.ms.wrapping_add(ms as u64),
            seq: self.master_id.seq.wrapping_add(seq as u64),
        };
        let (fields, values, names, elements) = if flags & SAME_FIELDS != 0 {
            (master.fields, p, Some(master.names), master.fields)
        } else {
            let (n, p) = list.int(p);
            (n as usize, p, None, n as usize * 2)
        };
        let next = list.skip(values, elements + 1);
        EntryPlace {
            at,
            next,
            flags,
            entry: EntryRef {
                id,
                list,
                fields,
                values,
                names,
            },
        }
    }

    /// All entries in order, deleted ones included.
    pub fn places<'a>(&'a self, master: &'a Master) -> impl Iterator<Item = EntryPlace<'a>> {
        let mut at = master.entries;
        std::iter::from_fn(move || {
            if at >= self.list.end() {
                return None;
            }
            let place = self.place(master, at);
            at = place.next;
            Some(place)
        })
    }

    /// The entry before position `at`, which may be the end. `None` if there is no entry before it.
    pub fn place_before(&self, master: &Master, at: usize) -> Option<EntryPlace<'_>> {
        if at <= master.entries {
            return None;
        }
        let mut start = self.list.previous(at);
        let (parts, _) = self.list.int(start);
        for _ in 0..parts {
            start = self.list.previous(start);
        }
        Some(self.place(master, start))
    }

    /// The ID of the last entry in the node, even if that entry is deleted.
    pub fn last_id(&self) -> StreamId {
        self.place_before(&self.read_master(), self.list.end())
            .map_or(self.master_id, |p| p.entry.id)
    }

    /// Marks the entry at `at` as deleted. The caller then calls [`Node::count_deleted`].
    pub fn delete(&mut self, at: usize) {
        let (flags, _) = self.list.int(at);
        // The flags are a small integer before and after this, so nothing moves.
        self.list.replace_int(at, flags | DELETED);
    }

    /// Updates the counts of the master entry after `n` entries were marked as deleted.
    pub fn count_deleted(&mut self, n: i64) {
        let (count, _) = self.list.int(Listpack::first());
        self.list.replace_int(Listpack::first(), count - n);
        let at = self.list.next(Listpack::first());
        let (deleted, _) = self.list.int(at);
        self.list.replace_int(at, deleted + n);
    }
}

impl<'a> EntryRef<'a> {
    /// The fields, each name with its value.
    pub fn iter(self) -> impl Iterator<Item = (Element<'a>, Element<'a>)> {
        let (mut values, mut names) = (self.values, self.names);
        (0..self.fields).map(move |_| {
            let name = match &mut names {
                Some(at) => take(self.list, at),
                None => take(self.list, &mut values),
            };
            (name, take(self.list, &mut values))
        })
    }
}

/// Reads the element at position `at`, and moves `at` to the next element.
#[inline]
fn take<'a>(list: &'a Listpack, at: &mut usize) -> Element<'a> {
    let (element, next) = list.get(*at);
    *at = next;
    element
}
