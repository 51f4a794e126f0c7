//! What several stream commands write: IDs, entries, error texts, and the requests that they log.
//!
//! Each text stands here once. Redis has three texts for a missing group; which one a client gets depends on the
//! command:
//!
//! | text | commands |
//! |---|---|
//! | [`no_group`] | XPENDING, XCLAIM, XAUTOCLAIM |
//! | [`no_group_to_read`] | XREADGROUP |
//! | [`no_group_in_key`] | XGROUP, XINFO CONSUMERS, where the key is known to exist |

use crate::commands::context::Context;
use crate::resp::{Error, Reply};
use crate::state::propagation::Propagation;
use crate::store::stream::{Element, EntryRef, Group, Nack, StreamId};
use crate::util::number;

/// The longest text of an ID: two numbers of 64 bits and a dash.
const LONGEST_ID: usize = 41;

/// Writes an ID.
pub fn reply_id(reply: &mut Reply, id: StreamId) {
    let mut text = Vec::with_capacity(LONGEST_ID);
    id.push(&mut text);
    reply.bulk(&text);
}

fn reply_element(reply: &mut Reply, element: Element) {
    match element {
        Element::Str(bytes) => reply.bulk(bytes),
        Element::Int(n) => reply.bulk_int(n),
    }
}

/// Writes an entry: its ID and its fields.
pub fn reply_entry(reply: &mut Reply, entry: EntryRef) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(entry.fields * 2);
    for (name, value) in entry.iter() {
        reply_element(reply, name);
        reply_element(reply, value);
    }
}

/// Writes a list of entries, at most `count` of them.
pub fn reply_entries<'a>(
    reply: &mut Reply,
    entries: impl Iterator<Item = EntryRef<'a>>,
    count: usize,
) {
    reply.array_of(|reply| entries.take(count).map(|e| reply_entry(reply, e)).count());
}

/// Writes the key of one stream in the reply of XREAD and XREADGROUP. The list of its entries must follow.
pub fn reply_stream_key(reply: &mut Reply, key: &[u8]) {
    if !reply.resp3 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// Completes the reply of XREAD and XREADGROUP. Answers from `n` streams were written since the reply had `start` bytes:
/// RESP3 gets a map from keys to entries, RESP2 a list of pairs.
pub fn complete_streams(reply: &mut Reply, start: usize, n: usize) {
    reply.insert(start, |reply| match reply.resp3 {
        true => reply.map(n),
        false => reply.array(n),
    });
}

/// The error for a key or a group that does not exist.
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

/// The same for XREADGROUP.
pub fn no_group_to_read(key: &[u8], group: &[u8]) -> Error {
    let mut text = no_group(key, group).0.into_owned();
    text.extend_from_slice(b" in XREADGROUP with GROUP option");
    Error::new(text)
}

/// The error for a group that does not exist in a key that does.
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

/// The error of XGROUP and XINFO for options that do not fit the subcommand.
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

/// Logs that an entry is pending with a consumer, and that the group's last-delivered-id is `last_id`. Every delivery is
/// logged in this form.
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

/// Logs the group's last-delivered-id and entries-read, where no entry became pending.
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
