//! XPENDING: the entries of a group that were delivered and not acknowledged.
//!
//! Without a range it replies with a summary: how many entries are pending, the smallest and the largest ID, and the
//! number per consumer. With a range it lists entries, each with its consumer, the milliseconds since its last delivery
//! and its delivery count. Entries that have been idle for long show that their consumer has failed; XCLAIM
//! ([`super::claim`]) then gives them to another consumer.

use super::range::{Endpoint, bound};
use super::replies::{no_group, reply_id};
use crate::commands::args::int;
use crate::commands::command::Handler::Read;
use crate::commands::command::flags::READONLY;
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RO};
use crate::commands::key_spec::key;
use crate::resp::{Args, Error, Reply};
use crate::store::Db;
use crate::store::stream::{Group, Nack, Stream, StreamId};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xpending", -3, Read(xpending), READONLY, acl::STREAM, &[key(1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "key group [[IDLE min-idle-time] start end count [consumer]]",
             "Shows the entries that were delivered and not acknowledged.")
        .tips(&["nondeterministic_output"]),
];

/// Which pending entries to list.
struct Query<'a> {
    /// IDLE: milliseconds for which an entry must have been idle.
    min_idle: i64,
    /// The smallest ID.
    start: StreamId,
    /// The largest ID.
    end: StreamId,
    /// How many entries to list at most.
    count: usize,
    /// Only the entries of this consumer.
    consumer: Option<&'a [u8]>,
}

impl Query<'_> {
    /// Reads the arguments after the group's name; `None` if there are none.
    ///
    /// # Errors
    ///
    /// A syntax error, or Redis's error for an invalid number or ID.
    fn read<'a>(args: &'a Args<'_>) -> Result<Option<Query<'a>>, Error> {
        let words = args.len();
        match words {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(Error::SYNTAX),
        }
        let (mut min_idle, mut at) = (0, 3);
        if args.is(3, "IDLE") {
            min_idle = int(&args[4])?;
            if words < 8 {
                return Err(Error::SYNTAX);
            }
            at = 5;
        }
        let count = int(&args[at + 2])?.max(0) as usize;
        Ok(Some(Query {
            min_idle,
            start: bound(&args[at], Endpoint::Start)?,
            end: bound(&args[at + 1], Endpoint::End)?,
            count,
            consumer: args.get(at + 3),
        }))
    }
}

/// `XPENDING key group [[IDLE min-idle-time] start end count [consumer]]`
///
/// Replies with a summary, or with the entries of a range. The summary is O(C) for C consumers. A range is O(log N + M)
/// for N pending entries and M examined entries, including those that are not idle for long enough; O(M log N) for one
/// consumer.
pub fn xpending(ctx: &mut Context, db: &Db) -> CommandResult {
    let query = Query::read(&ctx.args)?;
    let missing = || no_group(&ctx.args[1], &ctx.args[2]);
    let stream: &Stream = ctx.get(db, &ctx.args[1])?.ok_or_else(missing)?;
    let group = stream.group(&ctx.args[2]).ok_or_else(missing)?;
    match query {
        Some(query) => reply_range(ctx.reply, group, &query, ctx.now),
        None => reply_summary(ctx.reply, group),
    }
    Ok(())
}

/// XPENDING with a range.
fn reply_range(reply: &mut Reply, group: &Group, query: &Query, now: i64) {
    let &Query {
        min_idle,
        start,
        end,
        count,
        ..
    } = query;
    if start > end {
        return reply.array(0);
    }
    let idle = |nack: &Nack| (now - nack.delivered).max(0);
    let wanted = |(_, nack): &(&StreamId, &Nack)| min_idle == 0 || idle(nack) >= min_idle;
    let show = |reply: &mut Reply, (id, nack): (&StreamId, &Nack)| {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.owner(nack));
        reply.int(idle(nack));
        reply.int(nack.count as i64);
    };
    reply.array_of(|reply| match query.consumer {
        Some(name) => {
            let consumer = group.find_consumer(name);
            let ids = consumer.into_iter().flat_map(|c| c.pending_from(start));
            let ids = ids.take_while(|&id| id <= end);
            let entries = ids.filter_map(|id| Some((id, group.pel().get(&id)?)));
            let entries = entries.filter(|(id, nack)| wanted(&(id, nack)));
            entries
                .take(count)
                .map(|(id, nack)| show(reply, (&id, nack)))
                .count()
        }
        None => {
            let entries = group.pel().range(&start, &end).filter(wanted).take(count);
            entries.map(|entry| show(reply, entry)).count()
        }
    });
}

/// XPENDING without a range: the number of entries, the smallest and the largest ID, and the number per consumer.
fn reply_summary(reply: &mut Reply, group: &Group) {
    reply.array(4);
    reply.int(group.pel().len() as i64);
    match (group.pel().first(), group.pel().last()) {
        (Some((first, _)), Some((last, _))) => {
            reply_id(reply, *first);
            reply_id(reply, *last);
            let busy = group.consumers().filter(|c| c.pending() > 0);
            reply.array_of(|reply| {
                let shown = busy.map(|consumer| {
                    reply.array(2);
                    reply.bulk(&consumer.name);
                    reply.bulk_int(consumer.pending() as i64);
                });
                shown.count()
            });
        }
        _ => {
            reply.null();
            reply.null();
            reply.null_array();
        }
    }
}
