//! Builds a stream from parts that came from outside: from a file, or from another server.
//!
//! All other code trusts that a stream is consistent, so this file checks what comes from outside. For example, if a node
//! claims a hundred entries, it must have a hundred, in order, each with all of its fields. That costs one pass over the
//! data.
//!
//! Two numbers are accepted without a check, as in Redis: how many entries were ever added, and the largest deleted ID. They
//! are used only to estimate the lag of groups, and any value is harmless there ([`super::group`]). The ID of the first entry
//! is computed from the nodes.

use std::borrow::Cow;
use std::sync::Arc;

use super::group::Flaw;
use super::node::Node;
use super::{Group, Stream, StreamId};
use crate::store::listpack::{Element, Listpack};

/// The parts of a stream, without its groups.
pub struct Parts {
    /// The nodes in order: master ID and listpack.
    pub nodes: Vec<(StreamId, Vec<u8>)>,
    /// How many entries there are.
    pub len: u64,
    /// The last ID that was given out.
    pub last_id: StreamId,
    /// The largest deleted ID. Any ID is accepted: at worst it makes the lag of groups unknown.
    pub max_deleted_id: StreamId,
    /// How many entries were ever added. Any number is accepted, as in Redis, and computations with it wrap around. `None`
    /// if the file does not contain the number; then it is the number of entries that the stream has.
    pub entries_added: Option<u64>,
}

impl Stream {
    /// The stream that consists of these parts, without groups.
    ///
    /// # Errors
    ///
    /// What is inconsistent.
    pub fn restore(parts: Parts) -> Result<Stream, Flaw> {
        let mut stream = Stream::default();
        let (mut previous, mut newest) = (None, None);
        for (master_id, bytes) in parts.nodes {
            let list = Listpack::from_bytes(bytes).ok_or("a stream node is no listpack")?;
            let mut node = Node { master_id, list };
            let live = check(&node).ok_or("a stream node is inconsistent")?;
            if live.first.is_some_and(|first| first < master_id) {
                node = without_deleted(&node).unwrap_or(node);
            }
            if previous.is_some_and(|previous| node.master_id <= previous) {
                return Err("stream nodes are not in order");
            }
            previous = Some(live.last.unwrap_or(node.master_id));
            newest = live.last.or(newest);
            stream.len += live.count;
            stream.nodes.push_back(node);
        }
        if stream.len != parts.len {
            return Err("a stream has another number of entries than it says");
        }
        if newest.is_some_and(|newest| newest > parts.last_id) {
            return Err("a stream has entries after its last ID");
        }
        stream.last_id = parts.last_id;
        stream.max_deleted_id = parts.max_deleted_id;
        stream.entries_added = parts.entries_added.unwrap_or(stream.len);
        stream.find_first();
        Ok(stream)
    }

    /// Adds a group. [`Group::restore_pending`] and [`Group::restore_owner`] have restored its pending entries.
    ///
    /// # Errors
    ///
    /// A pending entry has no consumer, or the stream has a group of this name.
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

/// The entries of a node that are not deleted.
#[derive(Default)]
struct Live {
    /// How many there are.
    count: u64,
    /// The ID of the first of them.
    first: Option<StreamId>,
    /// The ID of the last of them.
    last: Option<StreamId>,
}

/// Checks a node, except that IDs may be less than the master ID. Returns which entries it has. `None` if the node is
/// inconsistent.
fn check(node: &Node) -> Option<Live> {
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
    let (mut live, mut dead) = (Live::default(), 0);
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
        if values < 0 || int!() != parts {
            return None;
        }
        if flags & 1 != 0 {
            dead += 1;
            continue; // after XSETID a deleted entry can have a larger ID than those after it
        }
        if live.last.is_some_and(|last| id <= last) {
            return None;
        }
        live.first.get_or_insert(id);
        live.last = Some(id);
        live.count += 1;
    }
    let claimed = (u64::try_from(count).ok()?, deleted);
    ((live.count, dead) == claimed).then_some(live)
}

/// The node without its deleted entries, and with the ID of the first other entry as the master ID. `None` if all entries
/// are deleted.
///
/// Redis keeps a node whose entries were all deleted by XTRIM MINID. If XSETID then sets a smaller last ID, XADD can add an
/// entry to that node whose ID is less than the master ID. All other code here trusts that no ID is.
fn without_deleted(node: &Node) -> Option<Node> {
    let master = node.read_master();
    let mut rest: Option<Node> = None;
    for place in node.places(&master).filter(|p| !p.is_deleted()) {
        let fields = place.entry.iter();
        let fields: Vec<_> = fields.map(|(n, v)| (bytes(n), bytes(v))).collect();
        let fields = fields.iter().map(|(n, v)| (&n[..], &v[..]));
        match &mut rest {
            Some(rest) => rest.append(place.entry.id, fields),
            None => rest = Some(Node::new(place.entry.id, fields, 0)),
        }
    }
    rest
}

/// The element as a string.
fn bytes(element: Element<'_>) -> Cow<'_, [u8]> {
    match element {
        Element::Str(bytes) => Cow::Borrowed(bytes),
        Element::Int(n) => Cow::Owned(n.to_string().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NewId, NodeLimits, Trim};
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
    fn a_stream_with_ids_far_apart_and_one_with_ids_below_a_trimmed_node_are_restored() {
        let limits = NodeLimits {
            bytes: 4096,
            entries: 10,
        };
        let field: [(&[u8], &[u8]); 1] = [(b"f", b"v")];
        let mut stream = Stream::default();
        for ms in [1, u64::MAX - 1] {
            let id = NewId::Exact(StreamId::new(ms, 1));
            stream.add(id, 0, field.into_iter(), limits).unwrap();
        }
        assert!(Stream::restore(parts(&stream)).is_ok_and(|copy| copy.len() == 2));

        let mut stream = Stream::default();
        for ms in [5, 10] {
            let id = NewId::Exact(StreamId::new(ms, 0));
            stream.add(id, 0, field.into_iter(), limits).unwrap();
        }
        stream.delete(StreamId::new(10, 0));
        stream.trim(Trim::MinId(StreamId::new(10, 0)), false, 0);
        stream.last_id = StreamId::new(3, 0);
        for seq in [0, 5] {
            let id = NewId::Exact(StreamId::new(4, seq));
            stream.add(id, 0, field.into_iter(), limits).unwrap();
        }
        assert!(Stream::restore(parts(&stream)).is_ok_and(|copy| copy.len() == 2));
    }

    #[test]
    fn ids_below_the_master_id_are_accepted() {
        let fields = [(&b"f"[..], &b"1"[..]), (&b"g"[..], &b"v"[..])].into_iter();
        let mut node = Node::new(StreamId::new(5, 0), fields.clone(), 0);
        node.append(StreamId::new(10, 0), fields.clone());
        let master = node.read_master();
        let places: Vec<usize> = node.places(&master).map(|p| p.at).collect();
        places.iter().for_each(|&at| node.delete(at));
        node.count_deleted(2);
        node.append(StreamId::new(4, 0), fields.clone().take(1));
        node.append(StreamId::new(4, 7), fields.clone());
        let mut stream = Stream::restore(Parts {
            nodes: vec![(node.master_id, node.list.as_bytes().to_vec())],
            len: 2,
            last_id: StreamId::new(4, 7),
            max_deleted_id: StreamId::new(10, 0),
            entries_added: None,
        })
        .unwrap();
        let ids = [StreamId::new(4, 0), StreamId::new(4, 7)];
        let all = || stream.range(StreamId::MIN, StreamId::MAX);
        assert!(all().map(|e| e.id).eq(ids));
        assert!(all().map(|e| e.fields).eq([1, 2]));
        let back = stream.range_backwards(StreamId::MIN, ids[1]);
        assert!(back.map(|e| e.id).eq([ids[1], ids[0]]));
        assert_eq!(stream.first_id, ids[0]);
        assert!(stream.delete(ids[0]) && stream.delete(ids[1]));
        assert_eq!(stream.node_count(), 0);
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
    fn a_node_may_have_only_deleted_entries() {
        let mut original = Stream::default();
        let limits = NodeLimits {
            bytes: 0,
            entries: 0,
        };
        for ms in 1..=3 {
            let fields = [(&b"f"[..], &b"v"[..])].into_iter();
            let id = NewId::Exact(StreamId::new(ms, 0));
            original.add(id, 0, fields, limits).unwrap();
        }
        original.delete(StreamId::new(3, 0));
        original.trim(super::super::Trim::MinId(StreamId::new(3, 0)), false, 0);
        assert_eq!((original.len(), original.node_count()), (0, 1));
        let mut restored = Stream::restore(parts(&original)).unwrap();
        assert_eq!((restored.len(), restored.node_count()), (0, 1));
        // The last ID can be set below those of deleted entries.
        original.last_id = StreamId::MIN;
        assert!(Stream::restore(parts(&original)).is_ok());
        let fields = [(&b"f"[..], &b"v"[..])].into_iter();
        let id = NewId::Exact(StreamId::new(4, 0));
        restored.add(id, 0, fields, limits).unwrap();
        assert_eq!(restored.first_id, StreamId::new(4, 0));
        assert_eq!(restored.trim(super::super::Trim::MaxLen(0), false, 0), 1);
        assert_eq!(restored.node_count(), 0);
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
                        // The change made another valid stream: it can be read to its end in both directions.
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

    /// Three results for groups at 0-0, 3-0, 5-0 and 6-0 in a stream of 5-0, 6-0 and 7-0: their lag, their lag after each
    /// has read one entry, and then their number of entries read.
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
        // The replies of redis-server to XINFO GROUPS after it has loaded a file with these numbers.
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
