//! Pending entries: looking at them (XPENDING), and taking them over from a consumer that has not finished its work
//! (XCLAIM, XAUTOCLAIM).

use super::entries::{bound, reply_entry, reply_id};
use super::groups::{no_group, propagate_claim, propagate_group_id};
use crate::commands::args::int;
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, DELETE, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::{Error, Reply};
use crate::state::propagation::Propagation;
use crate::store::stream::{Group, Nack, Stream, StreamId};
use crate::store::{Db, Type};
use crate::util::number;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xpending", -3, Read(xpending), READONLY, acl::STREAM, &[key(1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "key group [[IDLE min-idle-time] start end count [consumer]]",
             "Looks at the entries that were delivered and not acknowledged.")
        .tips(&["nondeterministic_output"]),
    cmd("xclaim", -6, Write(xclaim), WRITE | FAST, acl::STREAM, &[key(1, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(log N)", "key group consumer min-idle-time id... [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]",
             "Takes pending entries over from another consumer.")
        .tips(&["nondeterministic_output"]),
    cmd("xautoclaim", -6, Write(xautoclaim), WRITE | FAST, acl::STREAM, &[key(1, RW | DELETE)])
        .doc("stream", "6.2.0", "O(1) if COUNT is small.", "key group consumer min-idle-time start [COUNT count] [JUSTID]",
             "Takes over pending entries that have been idle for long.")
        .tips(&["nondeterministic_output"]),
];

pub fn xpending(ctx: &mut Context, db: &Db) -> CommandResult {
    let words = ctx.args.len();
    if words != 3 && !(6..=9).contains(&words) {
        return Err(Error::SYNTAX);
    }
    let (mut min_idle, mut at) = (0, 3);
    let mut range = None;
    if words >= 6 {
        if ctx.args.is(3, "IDLE") {
            min_idle = int(&ctx.args[4])?;
            if words < 8 {
                return Err(Error::SYNTAX);
            }
            at = 5;
        }
        let count = int(&ctx.args[at + 2])?.max(0) as usize;
        range = Some((
            bound(&ctx.args[at], true)?,
            bound(&ctx.args[at + 1], false)?,
            count,
        ));
    }
    let missing = || no_group(&ctx.args[1], &ctx.args[2]);
    let object = ctx.find(db, &ctx.args[1]).ok_or_else(missing)?;
    let group = Stream::of(&object.value)?
        .group(&ctx.args[2])
        .ok_or_else(missing)?;
    let Some((start, end, count)) = range else {
        reply_summary(ctx.reply, group);
        return Ok(());
    };
    let now = ctx.now;
    let idle = |nack: &Nack| (now - nack.delivered).max(0);
    let wanted = |(_, nack): &(&StreamId, &Nack)| min_idle == 0 || idle(nack) >= min_idle;
    let show = |reply: &mut Reply, (id, nack): (&StreamId, &Nack)| {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.owner(nack));
        reply.int(idle(nack));
        reply.int(nack.count as i64);
    };
    let empty = start > end;
    match ctx.args.get(at + 3) {
        _ if empty => ctx.reply.array(0),
        Some(name) => {
            let consumer = group.find_consumer(name);
            let ids = consumer.into_iter().flat_map(|c| c.pending_from(start));
            let ids: Vec<StreamId> = ids
                .take_while(|&id| id <= end)
                .filter(|id| group.pel().get(id).is_some_and(|nack| wanted(&(id, nack))))
                .take(count)
                .collect();
            let entries = ids.iter().filter_map(|id| Some((id, group.pel().get(id)?)));
            ctx.reply
                .array_of(|reply| entries.map(|entry| show(reply, entry)).count());
        }
        None => {
            let entries = group.pel().range(&start, &end).filter(wanted);
            ctx.reply
                .array_of(|reply| entries.take(count).map(|entry| show(reply, entry)).count());
        }
    }
    Ok(())
}

/// XPENDING without a range: how many, from where to where, and how many with whom.
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

/// The options of XCLAIM.
#[derive(Default)]
struct ClaimOptions {
    ids: Vec<StreamId>,
    delivered: Option<i64>,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl ClaimOptions {
    fn read(ctx: &Context) -> Result<ClaimOptions, Error> {
        let mut o = ClaimOptions::default();
        let integer = |i: usize, error| number::parse_i64(&ctx.args[i]).ok_or(Error::text(error));
        let mut i = 5;
        // What is no ID any more is an option.
        while let Some(Ok(id)) = ctx.args.get(i).map(|text| StreamId::parse_strict(text, 0)) {
            o.ids.push(id);
            i += 1;
        }
        while i < ctx.args.len() {
            let more = i + 1 < ctx.args.len();
            if ctx.args.is(i, "FORCE") {
                o.force = true;
            } else if ctx.args.is(i, "JUSTID") {
                o.just_id = true;
            } else if ctx.args.is(i, "IDLE") && more {
                i += 1;
                o.delivered = Some(
                    ctx.now
                        .wrapping_sub(integer(i, "ERR Invalid IDLE option argument for XCLAIM")?),
                );
            } else if ctx.args.is(i, "TIME") && more {
                i += 1;
                o.delivered = Some(integer(i, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if ctx.args.is(i, "RETRYCOUNT") && more {
                i += 1;
                let n = integer(i, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                o.retry_count = u64::try_from(n).ok();
            } else if ctx.args.is(i, "LASTID") && more {
                i += 1;
                o.last_id = StreamId::parse_strict(&ctx.args[i], 0)?;
            } else {
                let text = [b"ERR Unrecognized XCLAIM option '", &ctx.args[i], b"'"];
                return Err(Error::new(text.concat()));
            }
            i += 1;
        }
        // A time that lies ahead, or before all time, is taken for now: clocks differ.
        o.delivered = o.delivered.filter(|&at| (0..=ctx.now).contains(&at));
        Ok(o)
    }
}

/// What XCLAIM and XAUTOCLAIM have in common: handing pending entries over to a consumer.
struct Claim<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    min_idle: i64,
    delivered: i64,
    retry_count: Option<u64>,
    just_id: bool,
    now: i64,
}

/// What became of an entry that was to be claimed.
enum Claimed {
    Yes,
    /// Not pending, or not idle for long enough.
    No,
    /// It is no longer in the stream, and was struck off the list.
    Gone,
}

impl Claim<'_> {
    /// Claims one entry and writes it to the reply. With `force` one that is not pending becomes so.
    fn take(
        &self,
        reply: &mut Reply,
        propagation: &mut Propagation,
        stream: &mut Stream,
        id: StreamId,
        force: bool,
    ) -> Claimed {
        let gone = stream.get(id).is_none();
        let place = (self.key, self.group);
        if gone {
            let Some(group) = stream.group_mut(self.group) else {
                return Claimed::No;
            };
            // A replica that is told to claim it finds out for itself that it is gone.
            match group.pel().get(&id) {
                Some(nack) => {
                    let owned = (group.owner(nack), nack);
                    propagate_claim(propagation, place, group.last_id, id, owned);
                }
                None => return Claimed::No,
            }
            group.acknowledge(id);
            return Claimed::Gone;
        }
        let Some(group) = stream.group_mut(self.group) else {
            return Claimed::No;
        };
        let count = match group.pel().get(&id) {
            Some(nack) if self.min_idle > 0 && self.now - nack.delivered < self.min_idle => {
                return Claimed::No;
            }
            Some(nack) => nack.count,
            None if force => 1,
            None => return Claimed::No,
        };
        let (consumer, _) = group.meet(self.consumer, self.now);
        let count = self
            .retry_count
            .unwrap_or(if self.just_id { count } else { count + 1 });
        let nack = Nack {
            consumer,
            delivered: self.delivered,
            count,
        };
        let owned = (self.consumer, &nack);
        propagate_claim(propagation, place, group.last_id, id, owned);
        group.assign(id, nack);
        if self.just_id {
            reply_id(reply, id);
        } else if let Some(entry) = stream.get(id) {
            reply_entry(reply, entry);
        }
        Claimed::Yes
    }
}

/// The shortest idle time, which is argument 4 of both commands.
fn min_idle(ctx: &Context, error: &'static str) -> Result<i64, Error> {
    Ok(number::parse_i64(&ctx.args[4])
        .ok_or(Error::text(error))?
        .max(0))
}

/// The stream that has the group which arguments 1 and 2 name.
fn stream_with_group<'d>(ctx: &Context, db: &'d mut Db) -> Result<&'d mut Stream, Error> {
    let missing = || no_group(&ctx.args[1], &ctx.args[2]);
    let stream: &mut Stream = ctx.get_mut(db, &ctx.args[1])?.ok_or_else(missing)?;
    stream.group(&ctx.args[2]).ok_or_else(missing)?;
    Ok(stream)
}

pub fn xclaim(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let stream = stream_with_group(ctx, db)?;
    let min_idle = min_idle(ctx, "ERR Invalid min-idle-time argument for XCLAIM")?;
    let options = ClaimOptions::read(ctx)?;
    ctx.propagation.nothing();
    let mut moved = false;
    if let Some(group) = stream.group_mut(&ctx.args[2]) {
        moved = options.last_id > group.last_id;
        group.last_id = group.last_id.max(options.last_id);
    }
    let claim = Claim {
        key: &ctx.args[1],
        group: &ctx.args[2],
        consumer: &ctx.args[3],
        min_idle,
        delivered: options.delivered.unwrap_or(ctx.now),
        retry_count: options.retry_count,
        just_id: options.just_id,
        now: ctx.now,
    };
    let (dirty, propagation) = (&mut ctx.dirty, &mut ctx.propagation);
    let before = *dirty;
    ctx.reply.array_of(|reply| {
        let mut claimed = 0;
        for id in options.ids {
            match claim.take(reply, propagation, stream, id, options.force) {
                Claimed::Yes => claimed += 1,
                Claimed::Gone => {}
                Claimed::No => continue,
            }
            *dirty += 1;
        }
        claimed
    });
    if let Some(group) = stream.group(&ctx.args[2])
        && moved
        && ctx.dirty == before
    {
        propagate_group_id(&mut ctx.propagation, &ctx.args[1], &ctx.args[2], group);
        ctx.dirty += 1;
    }
    db.changed_silently(&ctx.args[1]);
    Ok(())
}

pub fn xautoclaim(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let min_idle = min_idle(ctx, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = bound(&ctx.args[5], true)?;
    let (mut count, mut just_id, mut i) = (100, false, 6);
    while i < ctx.args.len() {
        if ctx.args.is(i, "COUNT") && i + 1 < ctx.args.len() {
            i += 1;
            // Ten entries are looked at for each that is wanted, and that must fit a number, too.
            let fits = |n: &i64| (1..=i64::MAX / 16).contains(n);
            let n = number::parse_i64(&ctx.args[i]).filter(fits);
            count = n.ok_or(Error::text("ERR COUNT must be > 0"))? as usize;
        } else if ctx.args.is(i, "JUSTID") {
            just_id = true;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 1;
    }
    ctx.propagation.nothing();
    let stream = stream_with_group(ctx, db)?;
    let claim = Claim {
        key: &ctx.args[1],
        group: &ctx.args[2],
        consumer: &ctx.args[3],
        min_idle,
        delivered: ctx.now,
        retry_count: None,
        just_id,
        now: ctx.now,
    };
    let mut attempts = count.saturating_mul(10);
    let (mut deleted, mut claimed, mut from) = (vec![], 0, Some(start));
    let entries = std::mem::take(&mut ctx.reply.out);
    let next = |stream: &Stream, from: Option<StreamId>| {
        let group = stream.group(claim.group)?;
        group.pel().range_from(&from?).next().map(|(id, _)| *id)
    };
    while attempts > 0 && count > 0 {
        let Some(id) = next(stream, from) else {
            from = None;
            break;
        };
        from = id.next();
        attempts -= 1;
        match claim.take(ctx.reply, &mut ctx.propagation, stream, id, false) {
            Claimed::Yes => claimed += 1,
            Claimed::Gone => deleted.push(id),
            Claimed::No => continue,
        }
        ctx.dirty += 1;
        count -= 1;
    }
    let cursor = next(stream, from).unwrap_or(StreamId::MIN);
    let entries = std::mem::replace(&mut ctx.reply.out, entries);
    ctx.reply.array(3);
    reply_id(ctx.reply, cursor);
    ctx.reply.array(claimed);
    ctx.reply.out.extend_from_slice(&entries);
    ctx.reply.array(deleted.len());
    deleted.into_iter().for_each(|id| reply_id(ctx.reply, id));
    db.changed_silently(&ctx.args[1]);
    Ok(())
}
