//! A node: up to a hundred entries of a stream in one listpack.
//!
//! Entries of a stream look alike: their IDs are close together and their fields usually have the same
//! names. A node makes use of both. It begins with a *master entry* that holds the field names of
//! the first entry; every entry that has the same ones stores values only; and IDs are stored as differences from the
//! first ID, which is the node's key.
//!
//! ```text
//!  master entry                               entry                                    entry …
//! ┌───────┬─────────┬───┬───────────┬───┐ ┌───────┬────────┬─────────┬────────┬───────┐
//! │ count │ deleted │ n │ n names   │ 0 │ │ flags │ ms − m │ seq − s │ values │ parts │
//! └───────┴─────────┴───┴───────────┴───┘ └───────┴────────┴─────────┴────────┴───────┘
//!                                           flags 2: the names are the master's
//!                                           flags 0: … seq − s │ n │ name value name value … │ parts
//!                                           flags 1: deleted (added to either)
//! ```
//!
//! `parts` is how many elements the entry has before it, so that a reader that goes backwards finds its
//! beginning. Deleting an entry sets a flag; the bytes go when the whole node goes. All of this is
//! Redis's own format.

use super::id::StreamId;
use crate::store::listpack::{Element, Listpack};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Some consecutive entries.
#[derive(Clone)]
pub struct Node {
    /// The ID of the first entry that was put in, even if that was deleted since.
    pub master_id: StreamId,
    pub list: Listpack,
}

/// The master entry, decoded.
pub struct Master {
    /// Entries that are there, and entries that were deleted.
    pub count: i64,
    pub deleted: i64,
    /// How many field names there are, and where the first one is.
    fields: usize,
    names: usize,
    /// Where the first entry is.
    pub entries: usize,
}

/// An entry, as it lies in its node.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    pub id: StreamId,
    list: &'a Listpack,
    /// How many fields it has.
    pub fields: usize,
    /// Where its values begin, or names and values in turn.
    values: usize,
    /// Where its names are, if they are the master's.
    names: Option<usize>,
}

/// An entry's place: its flags and its neighbours, whether or not it is deleted.
pub struct EntryPlace<'a> {
    /// The position of the entry, which is that of its flags.
    pub at: usize,
    /// The position of the next entry, or of the end.
    pub next: usize,
    flags: i64,
    pub entry: EntryRef<'a>,
}

impl EntryPlace<'_> {
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }
}

impl Node {
    /// A node with one entry, its first.
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

    /// Appends an entry, whose ID is larger than all in here.
    pub fn append<'f>(
        &mut self,
        id: StreamId,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    ) {
        let mut master = self.read_master();
        let end = self.list.end();
        self.list.replace_int(Listpack::first(), master.count + 1);
        // The count's encoding may have another length now, so what follows it may have moved.
        master.names = master.names + self.list.end() - end;
        let (n, same) = self.compare_names(&master, fields.clone());
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

    /// How many fields are given, and whether their names are those of the master entry.
    fn compare_names<'f>(
        &self,
        master: &Master,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    ) -> (usize, bool) {
        let (mut n, mut same, mut at) = (0, true, master.names);
        for (name, _) in fields {
            same = same && n < master.fields && {
                let (own, next) = self.list.get(at);
                at = next;
                own.equals(name)
            };
            n += 1;
        }
        (n, same && n == master.fields)
    }

    pub fn read_master(&self) -> Master {
        let (count, at) = self.list.int(Listpack::first());
        let (deleted, at) = self.list.int(at);
        let (fields, names) = self.list.int(at);
        let fields = fields as usize;
        Master {
            count,
            deleted,
            fields,
            names,
            entries: self.list.skip(names, fields + 1),
        }
    }

    /// The entry at position `at`.
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

    /// All entries, oldest first, deleted ones included.
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

    /// The entry before position `at`, which may be the end.
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

    /// The largest ID that was ever put in here.
    pub fn last_id(&self) -> StreamId {
        self.place_before(&self.read_master(), self.list.end())
            .map_or(self.master_id, |p| p.entry.id)
    }

    /// Marks the entry at `at` as deleted, which it must not be yet.
    pub fn delete(&mut self, at: usize) {
        let (flags, _) = self.list.int(at);
        // Flags are one small integer before and after: nothing moves.
        self.list.replace_int(at, flags | DELETED);
    }

    /// Corrects the master entry's counts for `n` entries that were marked as deleted.
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

#[inline]
fn take<'a>(list: &'a Listpack, at: &mut usize) -> Element<'a> {
    let (element, next) = list.get(*at);
    *at = next;
    element
}
