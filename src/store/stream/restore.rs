//! Putting a stream together from parts that came from outside: a file, or another server.
//!
//! All other code trusts that a stream is consistent. This file checks everything that comes from outside: a node that
//! states a hundred entries must have them, in order, with every field where it should be. It costs one pass over the data.
//!
//! Two things are not checked but taken as they are, as Redis takes them: the number of entries ever added, and the largest
//! deleted ID. They only serve to estimate the lag of groups, and any value is harmless there ([`super::group`]). The ID
//! of the first entry is computed from the nodes.

use std::sync::Arc;

use super::node::Node;
use super::{Group, Stream, StreamId};
use crate::store::listpack::{Element, Listpack};

/// What a stream consists of.
pub struct Parts {
    /// Nodes in order: master ID and listpack.
    pub nodes: Vec<(StreamId, Vec<u8>)>,
    pub len: u64,
    pub last_id: StreamId,
    /// Any ID is accepted: it only makes the lag of groups unknown.
    pub max_deleted_id: StreamId,
    /// Any number is accepted, as by Redis; what is reckoned with it wraps around. `None` if that was not recorded: then it is taken for the number of entries that are there.
    pub entries_added: Option<u64>,
}

/// Why parts do not make a stream.
pub type Flaw = &'static str;

impl Stream {
    /// The stream that consists of these parts, without groups.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn restore(parts: Parts) -> Result<Stream, Flaw> {
        let mut stream = Stream::default();
        let mut previous = None;
        for (master_id, bytes) in parts.nodes {
            if previous.is_some_and(|previous| master_id <= previous) {
                return Err("stream nodes are not in order");
            }
            let list = Listpack::from_bytes(bytes).ok_or("a stream node is no listpack")?;
            let node = Node { master_id, list };
            let (live, last) = check(&node).ok_or("a stream node is inconsistent")?;
            previous = Some(last);
            stream.len += live;
            stream.nodes.push_back(node);
        }
        if stream.len != parts.len {
            return Err("a stream has another number of entries than it says");
        }
        if previous.is_some_and(|last| last > parts.last_id) {
            return Err("a stream has entries after its last ID");
        }
        stream.last_id = parts.last_id;
        stream.max_deleted_id = parts.max_deleted_id;
        stream.entries_added = parts.entries_added.unwrap_or(stream.len);
        stream.find_first();
        Ok(stream)
    }

    /// Adds a group. Its pending entries and their consumers were restored separately.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn restore_group(&mut self, name: &[u8], group: Group) -> Result<(), Flaw> {
        if !group.is_complete() {
            return Err("a group has entries that are pending with nobody");
        }
        if self.groups.contains_key(name) {
            return Err("a stream has two groups of one name");
        }
        self.groups.insert(name.to_vec(), Arc::new(group));
        Ok(())
    }
}

/// Looks through a node; returns how many entries it has that were not deleted, and the last ID of all.
fn check(node: &Node) -> Option<(u64, StreamId)> {
    let list = &node.list;
    let mut at = Listpack::first();
    let mut next = || {
        (at < list.end()).then(|| {
            let (element, after) = list.get(at);
            at = after;
            element
        })
    };
    macro_rules! int {
        () => {
            match next()? {
                Element::Int(n) => n,
                Element::Str(_) => return None,
            }
        };
    }
    let (count, deleted, names) = (int!(), int!(), int!());
    (0..names).try_for_each(|_| next().map(drop))?;
    if names < 0 || int!() != 0 {
        return None;
    }
    let (mut live, mut dead, mut last) = (0, 0, None);
    while let Some(first) = next() {
        let Element::Int(flags @ 0..=3) = first else {
            return None;
        };
        let id = StreamId {
            // A difference has 64 bits and wraps around: the largest ID differs from 0-0 by -1.
            ms: node.master_id.ms.wrapping_add(int!() as u64),
            seq: node.master_id.seq.wrapping_add(int!() as u64),
        };
        let (values, parts) = match flags & 2 {
            0 => {
                let n = int!();
                (n.checked_mul(2)?, n.checked_mul(2)?.checked_add(4)?)
            }
            _ => (names, names + 3),
        };
        (0..values).try_for_each(|_| next().map(drop))?;
        if values < 0 || int!() != parts || id < node.master_id {
            return None;
        }
        if flags & 1 != 0 {
            dead += 1;
            continue; // after XSETID a deleted entry can have a larger ID than those after it
        }
        if last.is_some_and(|last| id <= last) {
            return None;
        }
        last = Some(id);
        live += 1;
    }
    ((live, dead) == (count, deleted)).then_some((live as u64, last?))
}

#[cfg(test)]
mod tests {
    use super::super::{NewId, NodeLimits};
    use super::*;

    fn parts(stream: &Stream) -> Parts {
        let nodes = stream.nodes();
        Parts {
            nodes: nodes
                .map(|n| (n.master_id, n.list.as_bytes().to_vec()))
                .collect(),
            len: stream.len(),
            last_id: stream.last_id,
            max_deleted_id: stream.max_deleted_id,
            entries_added: Some(stream.entries_added),
        }
    }

    fn stream() -> Stream {
        let mut stream = Stream::default();
        for i in 1..=50u64 {
            let long = vec![b'x'; 40 * i as usize];
            let fields: [(&[u8], &[u8]); 2] = [(b"a", b"1"), (b"b", &long)];
            let fields = &fields[..1 + (i % 2) as usize];
            let limits = NodeLimits {
                bytes: 4096,
                entries: 10,
            };
            let id = NewId::Exact(StreamId::new(i / 3 + 1, 5 * i));
            stream.add(id, 0, fields.iter().copied(), limits).unwrap();
        }
        stream.delete(StreamId::new(2, 15));
        stream
    }

    #[test]
    fn a_stream_comes_back() {
        let original = stream();
        let restored = Stream::restore(parts(&original)).unwrap();
        let ids = |s: &Stream| -> Vec<_> {
            s.range(StreamId::MIN, StreamId::MAX)
                .map(|e| e.id)
                .collect()
        };
        assert_eq!(ids(&restored), ids(&original));
        assert_eq!(restored.first_id, original.first_id);
    }

    #[test]
    fn the_largest_id_comes_back() {
        let mut original = stream();
        let fields = [(&b"f"[..], &b"v"[..])].into_iter();
        let limits = NodeLimits {
            bytes: 0,
            entries: 0,
        };
        let id = NewId::Exact(StreamId::MAX);
        original.add(id, 0, fields, limits).unwrap();
        let restored = Stream::restore(parts(&original)).unwrap();
        assert_eq!(restored.last_id, StreamId::MAX);
        assert_eq!(restored.len(), original.len());
    }

    #[test]
    fn no_byte_can_be_changed_into_a_panic() {
        let original = stream();
        let whole = parts(&original);
        for node in 0..whole.nodes.len() {
            for at in 0..whole.nodes[node].1.len() {
                for change in [1u8, 0x80, 0xFF] {
                    let mut parts = parts(&original);
                    parts.nodes[node].1[at] ^= change;
                    if let Ok(stream) = Stream::restore(parts) {
                        // What passes is a stream, if another one: it can be walked to its end, both ways.
                        let all = stream.range(StreamId::MIN, StreamId::MAX);
                        let mut n = 0;
                        for entry in all {
                            entry.iter().for_each(drop);
                            n += 1;
                        }
                        let back = stream.range_backwards(StreamId::MIN, StreamId::MAX);
                        assert_eq!((n, back.count() as u64), (stream.len(), stream.len()));
                    }
                }
            }
        }
    }

    /// The lag of groups at 0-0, 3-0, 5-0 and 6-0 in a stream of 5-0, 6-0 and 7-0, and then again after each has read
    /// one entry, with the number of entries read.
    fn reckon(entries_added: u64, max_deleted_id: StreamId) -> [Vec<Option<i64>>; 3] {
        let mut stream = Stream::default();
        let limits = NodeLimits {
            bytes: 0,
            entries: 0,
        };
        let fields = [(&b"f"[..], &b"v"[..])].into_iter();
        let add = |stream: &mut Stream, ms| {
            let id = NewId::Exact(StreamId::new(ms, 0));
            stream.add(id, 0, fields.clone(), limits).unwrap();
        };
        (5..=7).for_each(|ms| add(&mut stream, ms));
        let mut stream = Stream::restore(Parts {
            entries_added: Some(entries_added),
            max_deleted_id,
            ..parts(&stream)
        })
        .unwrap();
        for at in [0, 3, 5, 6u64] {
            let group = Group::new(StreamId::new(at, 0), None);
            stream.add_group(at.to_string().as_bytes(), group);
        }
        let lag = |s: &Stream| s.groups().map(|(_, g)| s.lag(g)).collect();
        let before = lag(&stream);
        for name in [b"0", b"3", b"5", b"6"] {
            let (consumer, _) = stream
                .group_mut(name)
                .unwrap()
                .find_or_create_consumer(b"c", 0);
            assert_eq!(stream.deliver(name, consumer, 1, false, 0, |_| {}), 1);
        }
        let after = lag(&stream);
        let read = stream.groups();
        let read = read
            .map(|(_, g)| g.entries_read.map(|n| n as i64))
            .collect();
        add(&mut stream, 8);
        stream.delete(StreamId::new(5, 0));
        stream.trim(super::super::Trim::MaxLen(1), false, 0);
        lag(&stream);
        [before, after, read]
    }

    #[test]
    fn a_claimed_number_of_entries_does_no_harm() {
        let (no, some) = (None, Some);
        let none = StreamId::MIN;
        // What Redis answers to XINFO GROUPS when a file claims that.
        let one = [
            vec![some(3), some(3), no, no],
            vec![no, no, no, some(0)],
            vec![no, no, no, some(1)],
        ];
        let two = [
            vec![no, no, some(2), no],
            vec![some(2), some(2), no, some(0)],
            vec![some(0), some(0), no, some(2)],
        ];
        let negative = [
            vec![some(3), some(3), some(2), no],
            vec![some(2), some(2), no, no],
            vec![some(-3), some(-3), no, no],
        ];
        assert_eq!(reckon(1, none), one);
        assert_eq!(reckon(2, none), two);
        assert_eq!(reckon(u64::MAX, none), negative);
        let nothing = [vec![some(0); 4], vec![some(0); 4], vec![no; 4]];
        assert_eq!(reckon(0, none), nothing);
        let last = some(i64::MAX - 2);
        assert_eq!(
            reckon(i64::MAX as u64, none)[2],
            [last, last, no, some(i64::MAX)]
        );
        let deleted = [
            vec![no; 4],
            vec![no, no, no, some(0)],
            vec![no, no, no, some(3)],
        ];
        assert_eq!(reckon(3, StreamId::new(60, 0)), deleted);
    }
}
