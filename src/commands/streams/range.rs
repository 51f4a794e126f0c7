//! XRANGE and XREVRANGE: the entries between two IDs.
//!
//! An interval has two ends, and both are included. Each is a complete ID or one of these forms:
//!
//! | text | as start | as end |
//! |---|---|---|
//! | `-`, `+` | the smallest, the largest ID | the same |
//! | `5` | `5-0` | `5-18446744073709551615` |
//! | `(5-3` | the ID after 5-3 | the ID before 5-3 |
//!
//! XPENDING and XAUTOCLAIM also read their intervals with [`bound`].

use super::replies::reply_entries;
use crate::commands::args::Cursor;
use crate::commands::command::Handler::Read;
use crate::commands::command::flags::READONLY;
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RO};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::Db;
use crate::store::stream::{Stream, StreamId};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xrange", -4, Read(xrange), READONLY, acl::STREAM, &[key(1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "key start end [COUNT count]",
             "Reads the entries between two IDs, oldest first."),
    cmd("xrevrange", -4, Read(xrevrange), READONLY, acl::STREAM, &[key(1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "key end start [COUNT count]",
             "Reads the entries between two IDs, newest first."),
];

/// Which end of an interval an ID is.
#[derive(Clone, Copy, PartialEq)]
pub enum Endpoint {
    /// The smallest ID of the interval.
    Start,
    /// The largest ID of the interval.
    End,
}

/// Reads one end of an interval.
///
/// # Errors
///
/// Redis's error if the text is not an ID, or excludes every ID, as `(` before the largest ID does at the start.
pub fn bound(text: &[u8], end: Endpoint) -> Result<StreamId, Error> {
    const NO_START: Error = Error::text("ERR invalid start ID for the interval");
    const NO_END: Error = Error::text("ERR invalid end ID for the interval");
    let missing_seq = match end {
        Endpoint::Start => 0,
        Endpoint::End => u64::MAX,
    };
    match (text, end) {
        ([b'(', id @ ..], Endpoint::Start) if !id.is_empty() => {
            let id = StreamId::parse_strict(id, missing_seq)?;
            id.next().ok_or(NO_START)
        }
        ([b'(', id @ ..], Endpoint::End) if !id.is_empty() => {
            let id = StreamId::parse_strict(id, missing_seq)?;
            id.previous().ok_or(NO_END)
        }
        (id, _) => Ok(StreamId::parse(id, missing_seq)?),
    }
}

/// The order of the entries in the reply.
#[derive(PartialEq)]
enum Order {
    /// By growing ID: XRANGE.
    OldestFirst,
    /// By falling ID: XREVRANGE.
    NewestFirst,
}

/// XRANGE and XREVRANGE. `start` and `end` are the positions of these arguments.
fn range(ctx: &mut Context, db: &Db, (start, end): (usize, usize), order: Order) -> CommandResult {
    let start = bound(&ctx.args[start], Endpoint::Start)?;
    let end = bound(&ctx.args[end], Endpoint::End)?;
    let mut count = usize::MAX;
    let mut options = Cursor::new(&ctx.args, 4);
    while options.remaining() > 0 {
        if !options.keyword("COUNT") {
            return Err(Error::SYNTAX);
        }
        count = options.int()?.max(0) as usize;
    }
    let Some(stream) = ctx.get::<Stream>(db, &ctx.args[1])? else {
        ctx.reply.array(0);
        return Ok(());
    };
    match order {
        _ if count == 0 => ctx.reply.null_array(),
        Order::OldestFirst => reply_entries(ctx.reply, stream.range(start, end), count),
        Order::NewestFirst => reply_entries(ctx.reply, stream.range_backwards(start, end), count),
    }
    Ok(())
}

/// `XRANGE key start end [COUNT count]`
///
/// Replies with the entries, oldest first; with an empty array if the key does not exist, else with null if COUNT is
/// zero or negative. O(log N + M) for N nodes and M entries in the reply.
pub fn xrange(ctx: &mut Context, db: &Db) -> CommandResult {
    range(ctx, db, (2, 3), Order::OldestFirst)
}

/// `XREVRANGE key end start [COUNT count]`
///
/// Replies as XRANGE does, but newest first. O(log N + M).
pub fn xrevrange(ctx: &mut Context, db: &Db) -> CommandResult {
    range(ctx, db, (3, 2), Order::NewestFirst)
}
