//! The databases as a whole, and the server's clock: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB, TIME.
//!
//! A database is emptied by putting an empty one in its place, and two databases are exchanged as a whole, so both cost O(1)
//! under the lock. The old keys are freed by the client's thread after the lock is released, so ASYNC and SYNC are the same
//! here.

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
             "Exchanges two databases for all clients at once."),
];

/// `TIME`: replies with the server's clock: Unix time in seconds, and the microseconds of the current second. O(1).
pub fn time(ctx: &mut Context) -> CommandResult {
    let now = clock::since_epoch();
    ctx.reply.array(2);
    ctx.reply.bulk(now.as_secs().to_string().as_bytes());
    ctx.reply.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

/// `DBSIZE`: replies with the number of keys, expired ones included that have not been deleted yet. O(1).
pub fn dbsize(ctx: &mut Context, db: &Db) -> CommandResult {
    ctx.reply.int(db.len() as i64);
    Ok(())
}

/// Reads `[ASYNC | SYNC]`, which makes no difference here.
fn check_flush_option(ctx: &Context) -> CommandResult {
    let mut options = Cursor::new(&ctx.args, 1);
    let is_known = options.remaining() == 0 || options.keyword("ASYNC") || options.keyword("SYNC");
    if !is_known || options.remaining() > 0 {
        return Err(Error::SYNTAX);
    }
    Ok(())
}

/// `FLUSHALL [ASYNC | SYNC]`: empties all databases. Replies OK. O(N) for N databases.
pub fn flushall(ctx: &mut Context, store: &mut Store) -> CommandResult {
    check_flush_option(ctx)?;
    let removed: usize = store.dbs.iter_mut().map(Db::clear).sum();
    // Logged even if there was nothing, because a replica may differ.
    ctx.dirty += removed as u64 + 1;
    ctx.reply.ok();
    Ok(())
}

/// `FLUSHDB [ASYNC | SYNC]`: empties the database of this connection. Replies OK. O(1). Propagates itself even if there was
/// nothing, because a replica may differ.
pub fn flushdb(ctx: &mut Context, store: &mut Store) -> CommandResult {
    check_flush_option(ctx)?;
    ctx.dirty += store.dbs[ctx.session.db].clear() as u64;
    ctx.propagate_edited(&[]);
    ctx.reply.ok();
    Ok(())
}

/// `SWAPDB index1 index2`: exchanges two databases, for all clients at once. Replies OK. O(N) for N keys that clients watch or
/// wait for in them.
pub fn swapdb(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let index = |i: usize, error| int32(&ctx.args[i]).map_err(|_| Error::text(error));
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    store.swap(db_index_of(first, ctx)?, db_index_of(second, ctx)?);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}
