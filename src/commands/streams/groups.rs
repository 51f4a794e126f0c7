//! XGROUP: creates, moves and removes consumer groups and their consumers.
//!
//! A group is a position in a stream (its last-delivered-id) and the entries that are pending with its consumers; see
//! [`crate::store::stream::group`]. It is part of the stream's value, so it is copied, renamed and deleted with the key.
//!
//! CREATE and SETID set the last-delivered-id. ENTRIESREAD says how many entries were ever added up to that ID. The
//! server needs the number for the group's lag, and cannot know it for an ID in the middle of the stream.
//!
//! # What is reported and propagated
//!
//! | command | key modified (WATCH) | key ready (waiting clients) |
//! |---|---|---|
//! | CREATE with MKSTREAM, if the key did not exist | yes | yes |
//! | DESTROY | no | yes: the consumers that wait for the group get NOGROUP |
//! | all others | no | no |
//!
//! A command that changed something propagates itself and reports a keyspace event `xgroup-…`.

use super::replies::{bad_options, no_group_in_key};
use crate::commands::args::{Cursor, help as reply_help};
use crate::commands::command::Handler::{Container, Plain, Write};
use crate::commands::command::flags::{DENYOOM, LOADING, NONE, STALE, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{DELETE, INSERT, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::stream::{Group, Stream, StreamId};
use crate::store::{Class, Db};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xgroup", -2, Container, NONE, 0, &[])
        .doc("stream", "5.0.0", "Depends on subcommand.", "",
             "Manages consumer groups.")
        .subcommands(SUBCOMMANDS),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("create", -5, Write(create), WRITE | DENYOOM, acl::STREAM, &[key(2, RW | INSERT)])
        .doc("stream", "5.0.0", "O(1)", "key groupname <id|$> [MKSTREAM] [ENTRIESREAD entries_read]",
             "Creates a consumer group."),
    cmd("createconsumer", 5, Write(createconsumer), WRITE | DENYOOM, acl::STREAM, &[key(2, RW | INSERT)])
        .doc("stream", "6.2.0", "O(1)", "key groupname consumername",
             "Adds a consumer to a group."),
    cmd("delconsumer", 5, Write(delconsumer), WRITE, acl::STREAM, &[key(2, RW | DELETE)])
        .doc("stream", "5.0.0", "O(1)", "key groupname consumername",
             "Removes a consumer and its pending entries."),
    cmd("destroy", 4, Write(destroy), WRITE, acl::STREAM, &[key(2, RW | DELETE)])
        .doc("stream", "5.0.0", "O(N)", "key groupname",
             "Removes a consumer group."),
    cmd("help", 2, Plain(help), LOADING | STALE, acl::STREAM, &[])
        .doc("stream", "5.0.0", "O(1)", "",
             "Explains the subcommands of XGROUP."),
    cmd("setid", -5, Write(setid), WRITE, acl::STREAM, &[key(2, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(1)", "key groupname <id|$> [ENTRIESREAD entries_read]",
             "Sets the last-delivered-id of a group."),
];

/// The error for a key that does not exist.
const NO_KEY: Error = Error::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);

/// The stream at the key in argument 2.
///
/// # Errors
///
/// [`NO_KEY`], or WRONGTYPE.
fn stream_of<'d>(ctx: &Context, db: &'d mut Db) -> Result<&'d mut Stream, Error> {
    ctx.get_mut(db, &ctx.args[2])?.ok_or(NO_KEY)
}

/// The group named by argument 3, in the stream at the key in argument 2.
///
/// # Errors
///
/// [`NO_KEY`], WRONGTYPE, or NOGROUP.
fn group_of<'d>(ctx: &Context, db: &'d mut Db) -> Result<&'d mut Group, Error> {
    let missing = || no_group_in_key(&ctx.args[2], &ctx.args[3]);
    let stream = stream_of(ctx, db)?;
    stream.group_mut(&ctx.args[3]).ok_or_else(missing)
}

/// Reports a change of a group: an event, but no modified key, as in Redis.
fn report(ctx: &mut Context, db: &mut Db, event: &'static str) {
    let key = &ctx.args[2];
    db.changed_silently(key);
    db.event(Class::Stream, event, key);
    ctx.dirty += 1;
}

/// The options of XGROUP CREATE and SETID.
struct GroupOptions {
    /// MKSTREAM: create the stream if the key does not exist.
    make_stream: bool,
    /// ENTRIESREAD; `None` if it is unknown (not given, or -1).
    entries_read: Option<u64>,
}

impl GroupOptions {
    /// Reads the options. Only CREATE takes MKSTREAM.
    fn read(ctx: &Context, create: bool) -> Result<GroupOptions, Error> {
        const NEGATIVE: Error = Error::text("ERR value for ENTRIESREAD must be positive or -1");
        let (mut make_stream, mut entries_read) = (false, None);
        let mut options = Cursor::new(&ctx.args, 5);
        while options.remaining() > 0 {
            if create && options.keyword("MKSTREAM") {
                make_stream = true;
            } else if options.remaining() > 1 && options.keyword("ENTRIESREAD") {
                entries_read = match options.int()? {
                    -1 => None,
                    n => Some(u64::try_from(n).map_err(|_| NEGATIVE)?),
                };
            } else {
                return Err(bad_options(ctx, "XGROUP"));
            }
        }
        Ok(GroupOptions {
            make_stream,
            entries_read,
        })
    }
}

/// `XGROUP CREATE key groupname <id | $> [MKSTREAM] [ENTRIESREAD entries-read]`
///
/// Creates a group whose last-delivered-id is `id`; `$` means the stream's last ID. With MKSTREAM it creates the stream
/// if the key does not exist, and reports the key as modified and ready. Replies OK, or BUSYGROUP if the group exists.
/// O(log N) for N groups.
pub fn create(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = GroupOptions::read(ctx, true)?;
    let stream = ctx.get_mut::<Stream>(db, &ctx.args[2])?;
    if stream.is_none() && !options.make_stream {
        return Err(NO_KEY);
    }
    if ctx.args.len() > 8 {
        return Err(bad_options(ctx, "XGROUP"));
    }
    let start = match &ctx.args[4] {
        b"$" => stream.map_or(StreamId::MIN, |s| s.last_id),
        id => StreamId::parse_strict(id, 0)?,
    };
    let stream: &mut Stream = ctx.get_or_create(db, &ctx.args[2])?;
    if !stream.add_group(&ctx.args[3], Group::new(start, options.entries_read)) {
        return Err(Error::text("BUSYGROUP Consumer Group name already exists"));
    }
    report(ctx, db, "xgroup-create");
    ctx.reply.ok();
    Ok(())
}

/// `XGROUP SETID key groupname <id | $> [ENTRIESREAD entries-read]`
///
/// Sets the group's last-delivered-id and replies OK. Without ENTRIESREAD, entries-read is unknown afterwards. O(log N)
/// for N groups.
pub fn setid(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = GroupOptions::read(ctx, false)?;
    group_of(ctx, db)?;
    if ctx.args.len() > 7 {
        return Err(bad_options(ctx, "XGROUP"));
    }
    let start = match &ctx.args[4] {
        b"$" => stream_of(ctx, db)?.last_id,
        id => StreamId::parse(id, 0)?,
    };
    let group = group_of(ctx, db)?;
    group.last_id = start;
    group.entries_read = options.entries_read;
    report(ctx, db, "xgroup-setid");
    ctx.reply.ok();
    Ok(())
}

/// `XGROUP DESTROY key groupname`
///
/// Replies with how many groups it removed, 0 or 1. O(N) for N pending entries. Reports the key as ready, so that
/// consumers that wait for the group get NOGROUP.
pub fn destroy(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let removed = stream_of(ctx, db)?.remove_group(&ctx.args[3]);
    if removed {
        report(ctx, db, "xgroup-destroy");
        db.ready(&ctx.args[2]);
    }
    ctx.reply.int(removed.into());
    Ok(())
}

/// `XGROUP CREATECONSUMER key groupname consumername`: replies with how many consumers it created, 0 or 1. O(log N) for N
/// consumers.
pub fn createconsumer(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let group = group_of(ctx, db)?;
    let new = group.find_consumer(&ctx.args[4]).is_none();
    if new {
        group.find_or_create_consumer(&ctx.args[4], ctx.now);
        report(ctx, db, "xgroup-createconsumer");
    }
    ctx.reply.int(new.into());
    Ok(())
}

/// `XGROUP DELCONSUMER key groupname consumername`
///
/// Removes the consumer and its pending entries, and replies with the number of those entries; 0 if there is no such
/// consumer. O(N log M) for N of them and M pending entries in the group.
pub fn delconsumer(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let pending = group_of(ctx, db)?.remove_consumer(&ctx.args[4]);
    if pending.is_some() {
        report(ctx, db, "xgroup-delconsumer");
    }
    ctx.reply.int(pending.unwrap_or(0) as i64);
    Ok(())
}

/// `XGROUP HELP`: replies with the subcommands. O(N) for N subcommands.
pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "xgroup", SUBCOMMANDS)
}
