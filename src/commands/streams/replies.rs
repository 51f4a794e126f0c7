//! What several stream commands write: IDs, entries, error texts, and the commands that they propagate.
//!
//! Redis has three texts for a missing group. Which one a client gets depends on the command:
//!
//! | text | commands |
//! |---|---|
//! | [`no_group`] | XPENDING, XCLAIM, XAUTOCLAIM |
//! | [`no_group_to_read`] | XREADGROUP |
//! | [`no_group_in_key`] | XGROUP, XINFO CONSUMERS, which have another error for a missing key |

use crate::commands::context::Context;
use crate::resp::{Error, Reply};
use crate::state::propagation::Propagation;
use crate::store::stream::{Element, EntryRef, Group, Nack, StreamId};
use crate::util::number;

/// The length in bytes of the longest ID: two numbers of 20 digits and a dash.
const LONGEST_ID: usize = 41;

/// Writes an ID.
pub fn reply_id(reply: &mut Reply, id: StreamId) {
    let mut text = Vec::with_capacity(LONGEST_ID);
    id.push(&mut text);
    reply.bulk(&text);
}

/// Writes a field's name or value as a bulk string.
fn reply_element(reply: &mut Reply, element: Element) {
    match element {
        Element::Str(bytes) => reply.bulk(bytes),
        Element::Int(n) => reply.bulk_int(n),
    }
}

/// Writes an entry: an array of its ID and its fields.
pub fn reply_entry(reply: &mut Reply, entry: EntryRef) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(entry.fields * 2);
    for (name, value) in entry.iter() {
        reply_element(reply, name);
        reply_element(reply, value);
    }
}

/// Writes an array of entries, at most `count` of them.
pub fn reply_entries<'a>(
    reply: &mut Reply,
    entries: impl Iterator<Item = EntryRef<'a>>,
    count: usize,
) {
    reply.array_of(|reply| entries.take(count).map(|e| reply_entry(reply, e)).count());
}

/// Writes the key of one stream in the reply of XREAD or XREADGROUP. The caller writes the array of its entries next.
pub fn reply_stream_key(reply: &mut Reply, key: &[u8]) {
    if !reply.resp3 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// Completes the reply of XREAD or XREADGROUP: puts the header in front of the `n` streams that were written from byte
/// `start` on. RESP3 has a map from keys to entries, RESP2 an array of pairs.
pub fn complete_streams(reply: &mut Reply, start: usize, n: usize) {
    reply.insert(start, |reply| match reply.resp3 {
        true => reply.map(n),
        false => reply.array(n),
    });
}

/// The error of XPENDING, XCLAIM and XAUTOCLAIM for a key or a group that does not exist.
pub fn no_group(key: &[u8], group: &[u8]) -> Error {
    let parts = [
        b"NOGROUP No such key '",
        key,
        b"' or consumer group '",
        group,
        b"'",
    ];
    Error::new(parts.concat())
}

/// The error of XREADGROUP for a key or a group that does not exist.
pub fn no_group_to_read(key: &[u8], group: &[u8]) -> Error {
    let mut text = no_group(key, group).0.into_owned();
    text.extend_from_slice(b" in XREADGROUP with GROUP option");
    Error::new(text)
}

/// The error for a group that does not exist in a stream that does.
pub fn no_group_in_key(key: &[u8], group: &[u8]) -> Error {
    let parts = [
        b"NOGROUP No such consumer group '",
        group,
        b"' for key name '",
        key,
        b"'",
    ];
    Error::new(parts.concat())
}

/// The error of XGROUP and XINFO for invalid options of a subcommand. `container` is the name of the command.
pub fn bad_options(ctx: &Context, container: &str) -> Error {
    let help = format!("'. Try {container} HELP.");
    let parts = [
        b"ERR unknown subcommand or wrong number of arguments for '",
        &ctx.args[1],
        help.as_bytes(),
    ];
    Error::new(parts.concat())
}

/// The decimal text of an integer.
fn decimal(n: i64) -> Vec<u8> {
    let mut text = Vec::with_capacity(20);
    number::push_i64(&mut text, n);
    text
}

/// Propagates an XCLAIM which says that entry `id` is pending with the consumer `owner`, and that the group's
/// last-delivered-id is `last_id`. XREADGROUP, XCLAIM and XAUTOCLAIM propagate each entry in this form.
pub fn propagate_claim(
    propagation: &mut Propagation,
    (key, group): (&[u8], &[u8]),
    last_id: StreamId,
    id: StreamId,
    (owner, nack): (&[u8], &Nack),
) {
    if propagation.is_wanted() {
        let (id, last_id) = (id.to_string(), last_id.to_string());
        let (time, count) = (decimal(nack.delivered), decimal(nack.count as i64));
        propagation.add(&[
            b"XCLAIM",
            key,
            group,
            owner,
            b"0",
            id.as_bytes(),
            b"TIME",
            &time,
            b"RETRYCOUNT",
            &count,
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last_id.as_bytes(),
        ]);
    }
}

/// Propagates an XGROUP SETID with the group's last-delivered-id and entries-read, for a change that made no entry
/// pending.
pub fn propagate_group_id(propagation: &mut Propagation, key: &[u8], name: &[u8], group: &Group) {
    if propagation.is_wanted() {
        let id = group.last_id.to_string();
        let read = decimal(group.entries_read.map_or(-1, |n| n as i64));
        propagation.add(&[
            b"XGROUP",
            b"SETID",
            key,
            name,
            id.as_bytes(),
            b"ENTRIESREAD",
            &read,
        ]);
    }
}
