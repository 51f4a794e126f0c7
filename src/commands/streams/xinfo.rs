//! XINFO: looking into streams, groups and consumers. And XSETID, which sets by hand what XINFO shows.

use super::entries::{reply_entries, reply_entry, reply_id};
use super::groups::{bad_options, no_group_for_key};
use crate::commands::args::{help as reply_help, int};
use crate::commands::command::Handler::{Container, Plain, Read, Write};
use crate::commands::command::flags::{DENYOOM, FAST, LOADING, NONE, READONLY, STALE, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::{Error, Reply};
use crate::store::Db;
use crate::store::stream::{Group, Stream, StreamId};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xsetid", -3, Write(xsetid), WRITE | DENYOOM | FAST, acl::STREAM, &[key(1, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(1)", "key last-id [ENTRIESADDED entries_added] [MAXDELETEDID max_deleted_entry_id]",
             "Sets the counters of a stream by hand."),
    cmd("xinfo", -2, Container, NONE, 0, &[])
        .doc("stream", "5.0.0", "Depends on subcommand.", "",
             "Looks into streams, groups and consumers.")
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

fn name(reply: &mut Reply, text: &str) {
    reply.bulk(text.as_bytes());
}

fn count(reply: &mut Reply, text: &str, n: usize) {
    name(reply, text);
    reply.int(n as i64);
}

fn stream_of<'d>(ctx: &Context, db: &'d Db) -> Result<&'d Stream, Error> {
    ctx.get(db, &ctx.args[2])?.ok_or(Error::NO_SUCH_KEY)
}

pub fn stream(ctx: &mut Context, db: &Db) -> CommandResult {
    let full = ctx.args.len() > 3;
    let mut limit = 10;
    if full {
        let fits = ctx.args.is(3, "FULL")
            && (ctx.args.len() == 4 || ctx.args.len() == 6 && ctx.args.is(4, "COUNT"));
        if !fits {
            return Err(bad_options(ctx, "XINFO"));
        }
        if ctx.args.len() == 6 {
            limit = match int(&ctx.args[5])? {
                0 => usize::MAX,
                n => usize::try_from(n).unwrap_or(10),
            };
        }
    }
    let stream = stream_of(ctx, db)?;
    let reply = &mut *ctx.reply;
    reply.map(if full { 9 } else { 10 });
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
    if full {
        name(reply, "entries");
        reply_entries(reply, stream.range(StreamId::MIN, StreamId::MAX), limit);
        name(reply, "groups");
        reply.array(stream.group_count());
        stream.groups().for_each(|(group_name, group)| {
            reply_full_group(reply, stream, group_name, group, limit)
        });
        return Ok(());
    }
    count(reply, "groups", stream.group_count());
    let mut all = stream.range(StreamId::MIN, StreamId::MAX);
    let mut backwards = stream.range_backwards(StreamId::MIN, StreamId::MAX);
    for (text, entry) in [
        ("first-entry", all.next()),
        ("last-entry", backwards.next()),
    ] {
        name(reply, text);
        match entry {
            Some(entry) => reply_entry(reply, entry),
            None => reply.null(),
        }
    }
    Ok(())
}

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

/// A group in XINFO STREAM FULL.
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
            // Every entry of a consumer's list is in the group's.
            let (delivered, times) = group
                .pel()
                .get(&id)
                .map_or((0, 0), |nack| (nack.delivered, nack.count));
            reply.int(delivered);
            reply.int(times as i64);
        }
    }
}

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

pub fn consumers(ctx: &mut Context, db: &Db) -> CommandResult {
    let stream = stream_of(ctx, db)?;
    let missing = || no_group_for_key(&ctx.args[2], &ctx.args[3]);
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

pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "xinfo", SUBCOMMANDS)
}

pub fn xsetid(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let id = StreamId::parse_strict(&ctx.args[2], 0)?;
    let (mut entries_added, mut max_deleted) = (None, StreamId::MIN);
    let mut i = 3;
    while i < ctx.args.len() {
        let more = i + 1 < ctx.args.len();
        if ctx.args.is(i, "ENTRIESADDED") && more {
            let n = int(&ctx.args[i + 1])?;
            entries_added = Some(
                u64::try_from(n).map_err(|_| Error::text("ERR entries_added must be positive"))?,
            );
        } else if ctx.args.is(i, "MAXDELETEDID") && more {
            max_deleted = StreamId::parse_strict(&ctx.args[i + 1], 0)?;
            if id < max_deleted {
                let text = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
                return Err(Error::text(text));
            }
        } else {
            return Err(Error::SYNTAX);
        }
        i += 2;
    }
    let stream: &mut Stream = ctx.get_mut(db, &ctx.args[1])?.ok_or(Error::NO_SUCH_KEY)?;
    if let Some(last) = stream.last_entry_id() {
        if id < last {
            let text = "ERR The ID specified in XSETID is smaller than the target stream top item";
            return Err(Error::text(text));
        }
        if entries_added.is_some_and(|n| n < stream.len()) {
            let text = "ERR The entries_added specified in XSETID is smaller than the target stream length";
            return Err(Error::text(text));
        }
    }
    stream.last_id = id;
    stream.entries_added = entries_added.unwrap_or(stream.entries_added);
    if max_deleted != StreamId::MIN {
        stream.max_deleted_id = max_deleted;
    }
    db.changed_silently(&ctx.args[1]);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}
