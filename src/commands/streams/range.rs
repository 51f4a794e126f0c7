//! XRANGE and XREVRANGE: the entries between two IDs.
//!
//! An interval has two ends, each an ID or one of these short forms:
//!
//! | text | as start | as end |
//! |---|---|---|
//! | `-`, `+` | the smallest, the largest ID | the same |
//! | `5` | `5-0` | `5-18446744073709551615` |
//! | `(5-3` | the ID after 5-3 | the ID before 5-3 |
//!
//! XPENDING and XAUTOCLAIM read their intervals with the same function, [`bound`].

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

/// The end of an interval at which an ID stands.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Start,
    End,
}

/// Reads one end of an interval.
///
/// # Errors
///
/// The text is no ID, or excludes every ID.
pub fn bound(text: &[u8], end: End) -> Result<StreamId, Error> {
    const NO_START: Error = Error::text("ERR invalid start ID for the interval");
    const NO_END: Error = Error::text("ERR invalid end ID for the interval");
    let missing_seq = match end {
        End::Start => 0,
        End::End => u64::MAX,
    };
    match (text, end) {
        ([b'(', id @ ..], End::Start) if !id.is_empty() => {
            let id = StreamId::parse_strict(id, missing_seq)?;
            id.next().ok_or(NO_START)
        }
        ([b'(', id @ ..], End::End) if !id.is_empty() => {
            let id = StreamId::parse_strict(id, missing_seq)?;
            id.previous().ok_or(NO_END)
        }
        (id, _) => Ok(StreamId::parse(id, missing_seq)?),
    }
}

/// Which entry comes first in the reply.
#[derive(PartialEq)]
enum Order {
    OldestFirst,
    NewestFirst,
}

/// Both commands. `start` and `end` are the positions of these arguments.
fn range(ctx: &mut Context, db: &Db, (start, end): (usize, usize), order: Order) -> CommandResult {
    let start = bound(&ctx.args[start], End::Start)?;
    let end = bound(&ctx.args[end], End::End)?;
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

/// `XRANGE key start end [COUNT count]`: replies with entries, oldest first; with null for a COUNT of 0. O(log N + M) for M
/// entries in the reply.
pub fn xrange(ctx: &mut Context, db: &Db) -> CommandResult {
    range(ctx, db, (2, 3), Order::OldestFirst)
}

/// `XREVRANGE key end start [COUNT count]`: the same, newest first.
pub fn xrevrange(ctx: &mut Context, db: &Db) -> CommandResult {
    range(ctx, db, (3, 2), Order::NewestFirst)
}
