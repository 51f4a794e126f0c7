//! The databases as a whole, and the server's clock: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB, TIME.
//!
//! FLUSHALL and FLUSHDB put an empty keyspace in place of the old one, and SWAPDB exchanges two keyspaces. So the
//! number of keys does not matter under the write lock. The client's thread frees the old keys after it has released
//! the lock; ASYNC and SYNC are therefore the same here.
//!
//! These three commands report that all keys were replaced. Of the keys that existed before or exist now, those that a
//! client watches count as modified, and the streams that a client waits for are ready. That costs one lookup per such
//! key.

use crate::commands::args::{Cursor, db_index_of, int32};
use crate::commands::command::Handler::{Plain, Read, WriteAll};
use crate::commands::command::flags::{FAST, LOADING, READONLY, STALE, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::resp::Error;
use crate::store::{Db, Store};
use crate::util::clock;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("time", 1, Plain(time), LOADING | STALE | FAST, 0, &[])
        .doc("server", "2.6.0", "O(1)", "",
             "Tells the server's clock in seconds and microseconds.")
        .tips(&["nondeterministic_output"]),
    cmd("dbsize", 1, Read(dbsize), READONLY | FAST, acl::KEYSPACE, &[])
        .doc("server", "1.0.0", "O(1)", "",
             "Counts the keys of the database.")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    cmd("flushall", -1, WriteAll(flushall), WRITE, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("server", "1.0.0", "O(N)", "[ASYNC|SYNC]",
             "Empties every database.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("flushdb", -1, WriteAll(flushdb), WRITE, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("server", "1.0.0", "O(N)", "[ASYNC|SYNC]",
             "Empties the database.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("swapdb", 3, WriteAll(swapdb), WRITE | FAST, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("server", "4.0.0", "O(N)", "index1 index2",
             "Exchanges two databases, for all clients at once."),
];

/// `TIME`: replies with the server's clock: Unix time in seconds, and the microseconds of the current second. O(1).
pub fn time(ctx: &mut Context) -> CommandResult {
    let now = clock::since_epoch();
    ctx.reply.array(2);
    ctx.reply.bulk(now.as_secs().to_string().as_bytes());
    ctx.reply.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

/// `DBSIZE`: replies with the number of keys, including keys that have expired but are not deleted yet. O(1).
pub fn dbsize(ctx: &mut Context, db: &Db) -> CommandResult {
    ctx.reply.int(db.len() as i64);
    Ok(())
}

/// Reads `[ASYNC | SYNC]`, which makes no difference here.
///
/// # Errors
///
/// A syntax error for other arguments.
fn check_flush_option(ctx: &Context) -> CommandResult {
    let mut options = Cursor::new(&ctx.args, 1);
    let is_known = options.remaining() == 0 || options.keyword("ASYNC") || options.keyword("SYNC");
    if !is_known || options.remaining() > 0 {
        return Err(Error::SYNTAX);
    }
    Ok(())
}

/// `FLUSHALL [ASYNC | SYNC]`: empties all databases. Replies OK. O(N) for N databases, and watched or waited-for keys
/// in them. Propagates itself even if there were no keys, because a replica may differ.
pub fn flushall(ctx: &mut Context, store: &mut Store) -> CommandResult {
    check_flush_option(ctx)?;
    let removed: usize = store.dbs.iter_mut().map(Db::clear).sum();
    ctx.dirty += removed as u64 + 1;
    ctx.reply.ok();
    Ok(())
}

/// `FLUSHDB [ASYNC | SYNC]`: empties the database of this connection. Replies OK. O(N) for N watched or waited-for keys
/// in it. Propagates itself even if there were no keys, because a replica may differ.
pub fn flushdb(ctx: &mut Context, store: &mut Store) -> CommandResult {
    check_flush_option(ctx)?;
    ctx.dirty += store.dbs[ctx.session.db].clear() as u64;
    ctx.propagate_edited(&[]);
    ctx.reply.ok();
    Ok(())
}

/// `SWAPDB index1 index2`: exchanges two databases, for all clients at once. Replies OK. O(N) for N watched or
/// waited-for keys in them.
pub fn swapdb(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let index = |i: usize, error| int32(&ctx.args[i]).map_err(|_| Error::text(error));
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    store.swap(db_index_of(first, ctx)?, db_index_of(second, ctx)?);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}
