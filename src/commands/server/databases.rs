//! The server as a whole: its clock, its databases.

use crate::commands::command::Handler::{Plain, Read, WriteAll};
use crate::commands::command::flags::{ADMIN, FAST, LOADING, NOSCRIPT, READONLY, STALE, WRITE};
use crate::commands::command::{Command, acl, cmd};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::commands::args::{db_index_of, int32};
use crate::commands::context::{CommandResult, Context};
use crate::commands::keys::object::idle_seconds;
use crate::resp::Error;
use crate::store::{Db, Store};
use crate::util::{clock, number};

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
    cmd("debug", -2, WriteAll(debug), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "1.0.0", "Depends on subcommand.", "",
             "Tools for testing the server."),
];

pub fn time(ctx: &mut Context) -> CommandResult {
    let now = clock::since_epoch();
    ctx.reply.array(2);
    ctx.reply.bulk(now.as_secs().to_string().as_bytes());
    ctx.reply.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

pub fn dbsize(ctx: &mut Context, db: &Db) -> CommandResult {
    ctx.reply.int(db.len() as i64);
    Ok(())
}

/// ASYNC and SYNC are one here: the keys are dropped by this client's thread, after the lock is released.
fn check_flush_option(ctx: &Context) -> CommandResult {
    match ctx.args.len() {
        1 => Ok(()),
        2 if ctx.args.is(1, "ASYNC") || ctx.args.is(1, "SYNC") => Ok(()),
        _ => Err(Error::SYNTAX),
    }
}

pub fn flushall(ctx: &mut Context, store: &mut Store) -> CommandResult {
    check_flush_option(ctx)?;
    let removed: usize = store.dbs.iter_mut().map(Db::clear).sum();
    ctx.dirty += removed as u64 + 1;
    ctx.reply.ok();
    Ok(())
}

pub fn flushdb(ctx: &mut Context, store: &mut Store) -> CommandResult {
    check_flush_option(ctx)?;
    ctx.dirty += store.dbs[ctx.session.db].clear() as u64;
    ctx.propagate_edited(&[]); // even if there was nothing: a replica may differ
    ctx.reply.ok();
    Ok(())
}

pub fn swapdb(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let index = |i: usize, error| int32(&ctx.args[i]).map_err(|_| Error::text(error));
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    store.swap(db_index_of(first, ctx)?, db_index_of(second, ctx)?);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}

pub fn debug(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let allowed = match ctx.config.enable_debug_command {
        "yes" => true,
        "local" => ctx.session.client.peer.ip().is_loopback(),
        _ => false,
    };
    if !allowed {
        return Err(Error::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
             from a local connection, otherwise you need to set this option in the configuration file, and then \
             restart the server.",
        ));
    }
    match (ctx.args[1].to_ascii_lowercase().as_slice(), ctx.args.len()) {
        (b"sleep", 3) => {
            // The whole server sleeps, as it does in Redis: the lock is held.
            let seconds = String::from_utf8_lossy(&ctx.args[2])
                .parse::<f64>()
                .unwrap_or(0.0);
            let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
            ctx.server.stop.wait(time);
            ctx.reply.ok();
        }
        (b"set-active-expire", 3) => {
            let on = number::parse_i64(&ctx.args[2]).unwrap_or(0) != 0;
            ctx.server.active_expire.store(on, Relaxed);
            ctx.reply.ok();
        }
        (b"object", 3) => {
            let object = store.dbs[ctx.session.db]
                .get(&ctx.args[2], ctx.now)
                .ok_or(Error::NO_SUCH_KEY)?;
            let line = format!(
                "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
                object,
                object.value.encoding(),
                object.value.serialized_len(),
                object.used() & 0xFF_FFFF,
                idle_seconds(ctx, object),
            );
            ctx.reply.simple(&line);
        }
        (b"help", 2) => {
            let lines = [
                "DEBUG <subcommand> [<arg> ...], where <subcommand> is one of:",
                "SLEEP seconds",
                "    Stops the whole server for a while.",
                "SET-ACTIVE-EXPIRE <0|1>",
                "    Lets expired keys be deleted without being asked for, or not.",
                "OBJECT key",
                "    Shows how a value is kept.",
                "HELP",
                "    Prints this.",
            ];
            ctx.reply.array(lines.len());
            lines.iter().for_each(|line| ctx.reply.simple(line));
        }
        _ => {
            let name = String::from_utf8_lossy(&ctx.args[1]);
            let text = format!(
                "ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
            );
            return Err(Error::new(text));
        }
    }
    Ok(())
}
