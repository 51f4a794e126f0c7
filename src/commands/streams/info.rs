//! XINFO: figures of a stream, its groups and their consumers.
//!
//! A stream, a group and a consumer are each shown as a map. The fields and their order are Redis's. `radix-tree-keys` is
//! the number of nodes. `radix-tree-nodes` is the number of nodes that Redis's radix tree would have; it is computed
//! from the nodes' master IDs.

use super::replies::{bad_options, no_group_in_key, reply_entries, reply_entry, reply_id};
use crate::commands::args::{help as reply_help, int};
use crate::commands::command::Handler::{Container, Plain, Read};
use crate::commands::command::flags::{LOADING, NONE, READONLY, STALE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RO};
use crate::commands::key_spec::key;
use crate::resp::{Error, Reply};
use crate::store::Db;
use crate::store::stream::{Group, Stream, StreamId};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xinfo", -2, Container, NONE, 0, &[])
        .doc("stream", "5.0.0", "Depends on subcommand.", "",
             "Shows figures of streams, groups and consumers.")
        .subcommands(SUBCOMMANDS),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("consumers", 4, Read(consumers), READONLY, acl::STREAM, &[key(2, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(1)", "key groupname",
             "Lists the consumers of a group.")
        .tips(&["nondeterministic_output"]),
    cmd("groups", 3, Read(groups), READONLY, acl::STREAM, &[key(2, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(1)", "key",
             "Lists the groups of a stream."),
    cmd("help", 2, Plain(help), LOADING | STALE, acl::STREAM, &[])
        .doc("stream", "5.0.0", "O(1)", "",
             "Explains the subcommands of XINFO."),
    cmd("stream", -3, Read(stream), READONLY, acl::STREAM, &[key(2, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(1)", "key [FULL [COUNT count]]",
             "Describes a stream, in short or in full."),
];

/// How many elements of each list FULL shows if COUNT is not given.
const DEFAULT_COUNT: usize = 10;

/// Writes the name of a field.
fn name(reply: &mut Reply, text: &str) {
    reply.bulk(text.as_bytes());
}

/// Writes a field whose value is a number.
fn count(reply: &mut Reply, text: &str, n: usize) {
    name(reply, text);
    reply.int(n as i64);
}

/// The stream at the key in argument 2.
///
/// # Errors
///
/// Redis's error if the key does not exist, or WRONGTYPE.
fn stream_of<'d>(ctx: &Context, db: &'d Db) -> Result<&'d Stream, Error> {
    ctx.get(db, &ctx.args[2])?.ok_or(Error::NO_SUCH_KEY)
}

/// `XINFO STREAM key [FULL [COUNT count]]`
///
/// Replies with a map. FULL adds the entries, the groups, their consumers and the pending entries; COUNT bounds each
/// list of entries, and 0 means all. O(N) for N nodes, because of `radix-tree-nodes`; with FULL also O(M) for M
/// elements in the reply.
pub fn stream(ctx: &mut Context, db: &Db) -> CommandResult {
    let stream = stream_of(ctx, db)?;
    let full = match ctx.args.len() {
        3 => None,
        4 if ctx.args.is(3, "FULL") => Some(DEFAULT_COUNT),
        6 if ctx.args.is(3, "FULL") && ctx.args.is(4, "COUNT") => Some(match int(&ctx.args[5])? {
            0 => usize::MAX,
            n => usize::try_from(n).unwrap_or(DEFAULT_COUNT),
        }),
        _ => return Err(bad_options(ctx, "XINFO")),
    };
    ctx.reply.map(if full.is_some() { 9 } else { 10 });
    reply_counters(ctx.reply, stream);
    match full {
        Some(limit) => reply_all(ctx.reply, stream, limit),
        None => reply_ends(ctx.reply, stream),
    }
    Ok(())
}

/// Writes the first seven fields of XINFO STREAM.
fn reply_counters(reply: &mut Reply, stream: &Stream) {
    count(reply, "length", stream.len() as usize);
    count(reply, "radix-tree-keys", stream.node_count());
    count(reply, "radix-tree-nodes", stream.radix_nodes());
    name(reply, "last-generated-id");
    reply_id(reply, stream.last_id);
    name(reply, "max-deleted-entry-id");
    reply_id(reply, stream.max_deleted_id);
    count(reply, "entries-added", stream.entries_added as usize);
    name(reply, "recorded-first-entry-id");
    reply_id(reply, stream.first_id);
}

/// Writes the remaining fields of XINFO STREAM FULL: entries and groups. `limit` bounds each list of entries.
fn reply_all(reply: &mut Reply, stream: &Stream, limit: usize) {
    name(reply, "entries");
    reply_entries(reply, stream.range(StreamId::MIN, StreamId::MAX), limit);
    name(reply, "groups");
    reply.array(stream.group_count());
    for (group_name, group) in stream.groups() {
        reply_full_group(reply, stream, group_name, group, limit);
    }
}

/// Writes the remaining fields of XINFO STREAM: the number of groups, the first and the last entry.
fn reply_ends(reply: &mut Reply, stream: &Stream) {
    count(reply, "groups", stream.group_count());
    let (min, max) = (StreamId::MIN, StreamId::MAX);
    let first = stream.range(min, max).next();
    let last = stream.range_backwards(min, max).next();
    for (text, entry) in [("first-entry", first), ("last-entry", last)] {
        name(reply, text);
        match entry {
            Some(entry) => reply_entry(reply, entry),
            None => reply.null(),
        }
    }
}

/// Writes the fields that say how far a group has read.
fn reply_progress(reply: &mut Reply, stream: &Stream, group: &Group) {
    name(reply, "last-delivered-id");
    reply_id(reply, group.last_id);
    for (text, n) in [
        ("entries-read", group.entries_read.map(|n| n as i64)),
        ("lag", stream.lag(group)),
    ] {
        name(reply, text);
        match n {
            Some(n) => reply.int(n),
            None => reply.null(),
        }
    }
}

/// Writes a group in XINFO STREAM FULL. `limit` bounds each list of pending entries.
fn reply_full_group(
    reply: &mut Reply,
    stream: &Stream,
    group_name: &[u8],
    group: &Group,
    limit: usize,
) {
    reply.map(7);
    name(reply, "name");
    reply.bulk(group_name);
    reply_progress(reply, stream, group);
    count(reply, "pel-count", group.pel().len());
    name(reply, "pending");
    reply.array(group.pel().len().min(limit));
    for (id, nack) in group.pel().iter().take(limit) {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.owner(nack));
        reply.int(nack.delivered);
        reply.int(nack.count as i64);
    }
    name(reply, "consumers");
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        reply.map(4);
        name(reply, "name");
        reply.bulk(&consumer.name);
        name(reply, "seen-time");
        reply.int(consumer.seen);
        count(reply, "pel-count", consumer.pending());
        name(reply, "pending");
        reply.array(consumer.pending().min(limit));
        for id in consumer.pending_from(StreamId::MIN).take(limit) {
            reply.array(3);
            reply_id(reply, id);
            // An ID in a consumer's list is always in the group's list too, so the default is never used.
            let (delivered, times) = group
                .pel()
                .get(&id)
                .map_or((0, 0), |nack| (nack.delivered, nack.count));
            reply.int(delivered);
            reply.int(times as i64);
        }
    }
}

/// `XINFO GROUPS key`: replies with an array of maps, one per group. O(N) for N groups.
pub fn groups(ctx: &mut Context, db: &Db) -> CommandResult {
    let stream = stream_of(ctx, db)?;
    ctx.reply.array(stream.group_count());
    for (group_name, group) in stream.groups() {
        ctx.reply.map(6);
        name(ctx.reply, "name");
        ctx.reply.bulk(group_name);
        count(ctx.reply, "consumers", group.consumer_count());
        count(ctx.reply, "pending", group.pel().len());
        reply_progress(ctx.reply, stream, group);
    }
    Ok(())
}

/// `XINFO CONSUMERS key groupname`: replies with an array of maps, one per consumer, or with NOGROUP. O(N) for N
/// consumers.
pub fn consumers(ctx: &mut Context, db: &Db) -> CommandResult {
    let stream = stream_of(ctx, db)?;
    let missing = || no_group_in_key(&ctx.args[2], &ctx.args[3]);
    let group = stream.group(&ctx.args[3]).ok_or_else(missing)?;
    ctx.reply.array(group.consumer_count());
    for consumer in group.consumers() {
        ctx.reply.map(3);
        name(ctx.reply, "name");
        ctx.reply.bulk(&consumer.name);
        count(ctx.reply, "pending", consumer.pending());
        name(ctx.reply, "idle");
        ctx.reply.int((ctx.now - consumer.seen).max(0));
    }
    Ok(())
}

/// `XINFO HELP`: replies with the subcommands. O(N) for N subcommands.
pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "xinfo", SUBCOMMANDS)
}
