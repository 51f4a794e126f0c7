//! XCLAIM and XAUTOCLAIM: a consumer takes over pending entries of another consumer.
//!
//! When a consumer fails, its entries stay pending with it. Another consumer takes over those that have been idle for
//! long enough. XCLAIM names the entries by ID. XAUTOCLAIM goes through all pending entries of the group with a cursor:
//!
//! ```text
//!   XAUTOCLAIM k g bob 60000 0-0 COUNT 2     pending: 1-0 ann idle 90 s    3-0 ann 70 s    4-0 ann 65 s
//!     1) "4-0"                                        the cursor: the next call begins here
//!     2) entries 1-0 and 3-0                          now pending with bob, idle for 0 s
//!     3) (empty)                                      IDs that were pending but are no longer in the stream;
//!                                                     they are no longer pending
//! ```
//!
//! Several consumers may claim at the same time: the first claim resets the idle time, so the others do not get the
//! entry.
//!
//! # Propagation
//!
//! These commands are not propagated as they were sent, because a replica would compare the idle times with its own
//! clock. For each entry that was claimed or removed, one XCLAIM is propagated, with FORCE, JUSTID, the delivery time
//! and the delivery count. For an entry that is no longer in the stream, the replica's XCLAIM also removes it from the
//! pending entries.
//!
//! As in Redis these commands report the key neither as modified (WATCH) nor as ready (waiting clients).

use super::range::{Endpoint, bound};
use super::replies::{no_group, propagate_claim, propagate_group_id, reply_entry, reply_id};
use crate::commands::args::Cursor;
use crate::commands::command::Handler::Write;
use crate::commands::command::flags::{FAST, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{DELETE, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::{Error, Reply};
use crate::state::propagation::Propagation;
use crate::store::stream::{Nack, Stream, StreamId};
use crate::store::{Class, Db};
use crate::util::number;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xclaim", -6, Write(xclaim), WRITE | FAST, acl::STREAM, &[key(1, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(log N)", "key group consumer min-idle-time id... [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]",
             "Takes pending entries over from another consumer.")
        .tips(&["nondeterministic_output"]),
    cmd("xautoclaim", -6, Write(xautoclaim), WRITE | FAST, acl::STREAM, &[key(1, RW | DELETE)])
        .doc("stream", "6.2.0", "O(1) if COUNT is small.", "key group consumer min-idle-time start [COUNT count] [JUSTID]",
             "Takes over pending entries that have been idle for long.")
        .tips(&["nondeterministic_output"]),
];

/// XAUTOCLAIM examines at most COUNT times this many pending entries.
const ATTEMPTS_PER_ENTRY: usize = 10;
/// XAUTOCLAIM claims at most this many entries if COUNT is not given.
const DEFAULT_COUNT: usize = 100;
/// From this COUNT on, Redis cannot allocate the list of deleted IDs: 16 bytes each, and 2^47 bytes of address space.
const TOO_MANY: usize = (1 << 43) - 1;

/// The options of XCLAIM.
#[derive(Default)]
struct ClaimOptions {
    /// The entries to claim.
    ids: Vec<StreamId>,
    /// IDLE or TIME: the new delivery time, a Unix time in milliseconds.
    delivered: Option<i64>,
    /// RETRYCOUNT: the new delivery count.
    retry_count: Option<u64>,
    /// FORCE: an entry that is not pending becomes pending.
    force: bool,
    /// JUSTID: the reply has only IDs, and the delivery count does not change.
    just_id: bool,
    /// LASTID: the group's last-delivered-id becomes at least this ID.
    last_id: StreamId,
}

impl ClaimOptions {
    fn read(ctx: &Context) -> Result<ClaimOptions, Error> {
        let mut read = ClaimOptions::default();
        let mut options = Cursor::new(&ctx.args, 5);
        // The options begin with the first argument that is not an ID.
        while let Some(text) = options.next() {
            match StreamId::parse_strict(text, 0) {
                Ok(id) => read.ids.push(id),
                Err(_) => {
                    read.option(text, &mut options, ctx.now)?;
                    break;
                }
            }
        }
        while let Some(word) = options.next() {
            read.option(word, &mut options, ctx.now)?;
        }
        // A time in the future or before 1970 is ignored, so the delivery time is now: another server's clock may be
        // fast.
        let is_past = |at: &i64| (0..=ctx.now).contains(at);
        read.delivered = read.delivered.filter(is_past);
        Ok(read)
    }

    /// Reads the option `word` and its value.
    ///
    /// # Errors
    ///
    /// Redis's error for an unknown option or an invalid value.
    fn option(&mut self, word: &[u8], options: &mut Cursor, now: i64) -> Result<(), Error> {
        let has_value = options.remaining() > 0;
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("FORCE") {
            self.force = true;
        } else if is("JUSTID") {
            self.just_id = true;
        } else if has_value && is("IDLE") {
            let idle = integer(options, "ERR Invalid IDLE option argument for XCLAIM")?;
            self.delivered = Some(now.wrapping_sub(idle));
        } else if has_value && is("TIME") {
            let time = integer(options, "ERR Invalid TIME option argument for XCLAIM")?;
            self.delivered = Some(time);
        } else if has_value && is("RETRYCOUNT") {
            let count = integer(options, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
            self.retry_count = u64::try_from(count).ok();
        } else if has_value && is("LASTID") {
            self.last_id = StreamId::parse_strict(options.value()?, 0)?;
        } else {
            let text = [b"ERR Unrecognized XCLAIM option '", word, b"'"];
            return Err(Error::new(text.concat()));
        }
        Ok(())
    }
}

/// Reads the next argument as an integer, or returns `error`.
fn integer(options: &mut Cursor, error: &'static str) -> Result<i64, Error> {
    number::parse_i64(options.value()?).ok_or(Error::text(error))
}

/// How XCLAIM or XAUTOCLAIM assigns pending entries to a consumer.
struct Claim<'a> {
    /// The key of the stream.
    key: &'a [u8],
    /// The name of the group.
    group: &'a [u8],
    /// The name of the consumer that claims.
    consumer: &'a [u8],
    /// Milliseconds for which an entry must have been idle; 0 means that any pending entry can be claimed.
    min_idle: i64,
    /// The new delivery time, a Unix time in milliseconds.
    delivered: i64,
    /// The new delivery count; `None` means one more than before, or unchanged with `just_id`.
    retry_count: Option<u64>,
    /// The reply has only IDs.
    just_id: bool,
    /// An entry that is not pending becomes pending.
    force: bool,
    /// Unix time in milliseconds.
    now: i64,
}

/// The result for one entry.
#[derive(PartialEq)]
enum Claimed {
    /// Now pending with the consumer.
    Yes,
    /// Not pending, or not idle for long enough.
    No,
    /// No longer in the stream, and removed from the pending entries.
    Gone,
}

/// What a claim of several entries changed.
#[derive(Default)]
struct ClaimResult {
    /// How many entries were claimed or removed.
    changes: u64,
    /// The consumer was created.
    new_consumer: bool,
}

impl Claim<'_> {
    /// Claims one entry, propagates that, and writes the entry to the reply.
    fn take(
        &self,
        reply: &mut Reply,
        propagation: &mut Propagation,
        stream: &mut Stream,
        id: StreamId,
        done: &mut ClaimResult,
    ) -> Claimed {
        let gone = stream.get(id).is_none();
        let place = (self.key, self.group);
        let Some(group) = stream.group_mut(self.group) else {
            return Claimed::No;
        };
        if gone {
            let Some(nack) = group.pel().get(&id) else {
                return Claimed::No;
            };
            let owned = (group.owner(nack), nack);
            propagate_claim(propagation, place, group.last_id, id, owned);
            group.remove_pending(id);
            done.changes += 1;
            return Claimed::Gone;
        }
        let count = match group.pel().get(&id) {
            Some(nack) if self.min_idle > 0 && self.now - nack.delivered < self.min_idle => {
                return Claimed::No;
            }
            Some(nack) => nack.count,
            None if self.force => 1,
            None => return Claimed::No,
        };
        let (consumer, is_new) = group.find_or_create_consumer(self.consumer, self.now);
        done.new_consumer |= is_new;
        let delivered_once_more = if self.just_id { count } else { count + 1 };
        let nack = Nack {
            consumer,
            delivered: self.delivered,
            count: self.retry_count.unwrap_or(delivered_once_more),
        };
        let owned = (self.consumer, &nack);
        propagate_claim(propagation, place, group.last_id, id, owned);
        group.assign(id, nack);
        if self.just_id {
            reply_id(reply, id);
        } else if let Some(entry) = stream.get(id) {
            reply_entry(reply, entry);
        }
        done.changes += 1;
        Claimed::Yes
    }

    /// Goes through the pending entries from `start` on, until `count` of them were claimed or removed, or
    /// [`ATTEMPTS_PER_ENTRY`] × `count` were examined. Writes the claimed entries. Returns the cursor, and the IDs that
    /// were removed because they are no longer in the stream.
    fn take_from(
        &self,
        out: (&mut Reply, &mut Propagation),
        stream: &mut Stream,
        start: StreamId,
        mut count: usize,
        done: &mut ClaimResult,
    ) -> (StreamId, Vec<StreamId>) {
        let next = |stream: &Stream, from: Option<StreamId>| {
            let group = stream.group(self.group)?;
            group.pel().range_from(&from?).next().map(|(id, _)| *id)
        };
        let mut attempts = count.saturating_mul(ATTEMPTS_PER_ENTRY);
        let (mut from, mut gone) = (Some(start), vec![]);
        let (reply, propagation) = out;
        reply.array_of(|reply| {
            let mut claimed = 0;
            while attempts > 0 && count > 0 {
                let Some(id) = next(stream, from) else {
                    from = None;
                    break;
                };
                from = id.next();
                attempts -= 1;
                match self.take(reply, propagation, stream, id, done) {
                    Claimed::Yes => claimed += 1,
                    Claimed::Gone => gone.push(id),
                    Claimed::No => continue,
                }
                count -= 1;
            }
            claimed
        });
        (next(stream, from).unwrap_or(StreamId::MIN), gone)
    }
}

/// Reads the minimum idle time in milliseconds, argument 4 of both commands. A negative one counts as 0.
fn min_idle(ctx: &Context, error: &'static str) -> Result<i64, Error> {
    let ms = number::parse_i64(&ctx.args[4]);
    Ok(ms.ok_or(Error::text(error))?.max(0))
}

/// The stream at the key in argument 1, which has the group named by argument 2.
///
/// # Errors
///
/// NOGROUP if the key or the group does not exist, or WRONGTYPE.
fn stream_with_group<'d>(ctx: &Context, db: &'d mut Db) -> Result<&'d mut Stream, Error> {
    let missing = || no_group(&ctx.args[1], &ctx.args[2]);
    let stream: &mut Stream = ctx.read_mut(db, &ctx.args[1])?.ok_or_else(missing)?;
    stream.group(&ctx.args[2]).ok_or_else(missing)?;
    Ok(stream)
}

/// Reports the changes to the stream at the key in argument 1: an event, but no modified key, as in Redis.
fn report(ctx: &mut Context, db: &mut Db, done: &ClaimResult) {
    let key = &ctx.args[1];
    db.changed_silently(key);
    if done.new_consumer {
        db.event(Class::Stream, "xgroup-createconsumer", key);
    }
    ctx.dirty += done.changes + u64::from(done.new_consumer);
}

/// `XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count]
/// [FORCE] [JUSTID] [LASTID lastid]`
///
/// Replies with the entries that it claimed; with JUSTID, their IDs. O(log N) per ID, for N pending entries. Propagates
/// one XCLAIM per entry that it claimed or removed; an XGROUP SETID if there is none and LASTID moved the
/// last-delivered-id.
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
        force: options.force,
        now: ctx.now,
    };
    let mut done = ClaimResult::default();
    let propagation = &mut ctx.propagation;
    ctx.reply.array_of(|reply| {
        let ids = options.ids.into_iter();
        let claimed = ids.map(|id| claim.take(reply, propagation, stream, id, &mut done));
        claimed.filter(|claimed| *claimed == Claimed::Yes).count()
    });
    // A propagated XCLAIM has the group's last-delivered-id as its LASTID.
    if moved
        && done.changes == 0
        && let Some(group) = stream.group(claim.group)
    {
        propagate_group_id(&mut ctx.propagation, claim.key, claim.group, group);
        ctx.dirty += 1;
    }
    report(ctx, db, &done);
    Ok(())
}

/// `XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]`
///
/// Replies with the cursor for the next call (0-0 at the end), the claimed entries (with JUSTID their IDs), and the IDs
/// that it removed from the pending entries because they are no longer in the stream. O(COUNT × log N) for N pending
/// entries. Propagates one XCLAIM per entry that it claimed or removed.
pub fn xautoclaim(ctx: &mut Context, db: &mut Db) -> CommandResult {
    const NO_COUNT: Error = Error::text("ERR COUNT must be > 0");
    const NO_MEMORY: Error =
        Error::text("ERR Insufficient memory, failed allocating transient memory, COUNT too high.");
    // The errors of the options come first, but a key that has expired is deleted before them.
    let stream = stream_with_group(ctx, db);
    let min_idle = min_idle(ctx, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = bound(&ctx.args[5], Endpoint::Start)?;
    let (mut count, mut just_id) = (DEFAULT_COUNT, false);
    let mut options = Cursor::new(&ctx.args, 6);
    while options.remaining() > 0 {
        if options.remaining() > 1 && options.keyword("COUNT") {
            // Redis multiplies COUNT by 10, and by 16 bytes per ID, and checks that neither overflows.
            let n = number::parse_i64(options.value()?);
            let n = n.filter(|n| (1..=i64::MAX / 16).contains(n));
            count = n.ok_or(NO_COUNT)? as usize;
        } else if options.keyword("JUSTID") {
            just_id = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let stream = stream?;
    if count >= TOO_MANY {
        return Err(NO_MEMORY);
    }
    ctx.propagation.nothing();
    let claim = Claim {
        key: &ctx.args[1],
        group: &ctx.args[2],
        consumer: &ctx.args[3],
        min_idle,
        delivered: ctx.now,
        retry_count: None,
        just_id,
        force: false,
        now: ctx.now,
    };
    let mut done = ClaimResult::default();
    ctx.reply.array(3);
    let start_of_entries = ctx.reply.out.len();
    let (cursor, gone) = claim.take_from(
        (&mut *ctx.reply, &mut ctx.propagation),
        stream,
        start,
        count,
        &mut done,
    );
    ctx.reply
        .insert(start_of_entries, |reply| reply_id(reply, cursor));
    ctx.reply.array(gone.len());
    gone.into_iter().for_each(|id| reply_id(ctx.reply, id));
    report(ctx, db, &done);
    Ok(())
}
