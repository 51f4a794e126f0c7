//! DEBUG: tools for testing the server.
//!
//! The setting `enable-debug-command` must allow DEBUG, because it can stop the whole server and show memory addresses.
//!
//! A test that needs a key which has expired but is still stored begins with `DEBUG SET-ACTIVE-EXPIRE 0`: the cron then
//! deletes no keys, and the key stays until another command accesses it. DEBUG OBJECT shows such a key and does not
//! delete it.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::commands::args::subcommand_syntax;
use crate::commands::command::Handler::WriteAll;
use crate::commands::command::flags::{ADMIN, LOADING, NOSCRIPT, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::keys::object::idle_seconds;
use crate::resp::Error;
use crate::store::{Db, Store};
use crate::util::number;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("debug", -2, WriteAll(debug), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "1.0.0", "Depends on subcommand.", "",
             "Tools for testing the server."),
];

/// `DEBUG <SLEEP seconds | SET-ACTIVE-EXPIRE <0 | 1> | OBJECT key | HELP>`
///
/// Each subcommand has a function below. All of them hold the store's write lock. O(1), but OBJECT is O(N) for a stream
/// of N nodes, consumers and pending entries. Propagates nothing.
pub fn debug(ctx: &mut Context, store: &mut Store) -> CommandResult {
    if !is_allowed(ctx) {
        return Err(Error::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
             from a local connection, otherwise you need to set this option in the configuration file, and then \
             restart the server.",
        ));
    }
    match (ctx.args[1].to_ascii_lowercase().as_slice(), ctx.args.len()) {
        (b"sleep", 3) => sleep(ctx),
        (b"set-active-expire", 3) => set_active_expire(ctx),
        (b"object", 3) => object(ctx, &store.dbs[ctx.session.db])?,
        (b"help", 2) => help(ctx),
        _ => return Err(subcommand_syntax(&ctx.args)),
    }
    Ok(())
}

/// Whether `enable-debug-command` allows this client to use DEBUG.
fn is_allowed(ctx: &Context) -> bool {
    match ctx.config.enable_debug_command {
        "yes" => true,
        "local" => ctx.session.client.peer.ip().is_loopback(),
        _ => false,
    }
}

/// How often DEBUG SLEEP checks whether the server is stopping.
const SLEEP_ROUND: Duration = Duration::from_millis(20);

/// `DEBUG SLEEP seconds`: sleeps, and so stops the whole server, because it holds the write lock. Replies OK.
fn sleep(ctx: &mut Context) {
    let seconds = String::from_utf8_lossy(&ctx.args[2]).parse::<f64>();
    let seconds = seconds.unwrap_or(0.0).max(0.0);
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    // `Stop::wait` requires that the thread holds no lock. Here the thread holds the store's lock on purpose.
    let began = Instant::now();
    while let Some(left) = time.checked_sub(began.elapsed())
        && !ctx.server.stop.is_requested()
    {
        thread::sleep(left.min(SLEEP_ROUND));
    }
    ctx.reply.ok();
}

/// `DEBUG SET-ACTIVE-EXPIRE <0 | 1>`: sets whether the cron deletes expired keys. Replies OK.
fn set_active_expire(ctx: &mut Context) {
    let on = number::parse_i64(&ctx.args[2]).unwrap_or(0) != 0;
    ctx.server.active_expire.store(on, Relaxed);
    ctx.reply.ok();
}

/// `DEBUG OBJECT key`: replies with a line about the value, even if the key has expired. Here `serializedlength` is an
/// estimate.
///
/// # Errors
///
/// Redis's error if the key does not exist.
fn object(ctx: &mut Context, db: &Db) -> CommandResult {
    let object = db.get_any(&ctx.args[2]).ok_or(Error::NO_SUCH_KEY)?;
    let line = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        object,
        object.value.as_type().encoding(),
        object.value.as_type().serialized_len(),
        object.used() & 0xFF_FFFF,
        idle_seconds(ctx, object),
    );
    ctx.reply.simple(&line);
    Ok(())
}

/// `DEBUG HELP`: replies with the subcommands.
fn help(ctx: &mut Context) {
    let lines = [
        "DEBUG <subcommand> [<arg> ...], where <subcommand> is one of:",
        "SLEEP seconds",
        "    Stops the whole server for a while.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Sets whether the server deletes expired keys that no command accesses.",
        "OBJECT key",
        "    Shows how a value is stored.",
        "HELP",
        "    Prints this.",
    ];
    ctx.reply.array(lines.len());
    lines.iter().for_each(|line| ctx.reply.simple(line));
}
