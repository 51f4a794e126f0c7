//! Transactions: MULTI, DISCARD, WATCH, UNWATCH.
//!
//! MULTI opens a transaction. From then on the executor queues the client's commands instead of running them. EXEC runs
//! the queue; no command of another client runs in between. EXEC is part of the executor ([`crate::execute`]), because
//! it runs commands.
//!
//! With WATCH, EXEC depends on keys. The client watches the keys, reads them, decides, and opens the transaction. EXEC
//! runs the queue only if none of the keys was modified since WATCH:
//!
//! ```text
//!   WATCH balance        OK
//!   GET balance          "100"
//!   MULTI                OK
//!   SET balance 90       QUEUED
//!   EXEC                 runs SET; or null, if balance was modified since WATCH
//! ```
//!
//! A writer that modifies a watched key raises the client's flag, and EXEC reads the flag: see [`crate::state::watch`].
//!
//! # Invariants
//!
//! * A key is watched under the store's lock, so EXEC sees every modification after WATCH.
//! * EXEC and DISCARD of an open transaction end the watch of all keys, whether or not the queue runs.

use std::sync::atomic::Ordering::Relaxed;

use crate::commands::command::Handler::{Exec, Plain, Read};
use crate::commands::command::flags::{
    ALLOW_BUSY, FAST, LOADING, NOSCRIPT, NOT_QUEUED, SKIP_SLOWLOG, STALE,
};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::RO;
use crate::commands::key_spec::keys;
use crate::resp::Error;
use crate::state::session::Multi;
use crate::store::Db;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("multi", 1, Plain(multi), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | NOT_QUEUED, acl::TRANSACTION, &[])
        .doc("transactions", "1.2.0", "O(1)", "",
             "Opens a transaction: commands are queued from here on."),
    cmd("exec", 1, Exec, NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG | NOT_QUEUED, acl::TRANSACTION, &[])
        .doc("transactions", "1.2.0", "Depends on commands in the transaction", "",
             "Runs the queued commands, with nothing in between."),
    cmd("discard", 1, Plain(discard), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | NOT_QUEUED, acl::TRANSACTION, &[])
        .doc("transactions", "2.0.0", "O(N)", "",
             "Drops the queued commands and closes the transaction."),
    cmd("watch", -2, Read(watch), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY | NOT_QUEUED, acl::TRANSACTION, &[keys(1, -1, 1, RO)])
        .doc("transactions", "2.2.0", "O(1) for every key.", "key...",
             "Makes the next EXEC run only if these keys are not modified."),
    cmd("unwatch", 1, Plain(unwatch), NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, acl::TRANSACTION, &[])
        .doc("transactions", "2.2.0", "O(1)", "",
             "Stops watching all keys."),
];

/// `MULTI`: opens a transaction. Replies OK. O(1).
pub fn multi(ctx: &mut Context) -> CommandResult {
    if ctx.session.multi.is_some() {
        return Err(Error::text("ERR MULTI calls can not be nested"));
    }
    ctx.session.set_multi(Some(Multi::default()));
    ctx.reply.ok();
    Ok(())
}

/// `DISCARD`: closes the transaction without running it, and unwatches all keys. Replies OK. O(N) for N queued commands
/// and watched keys.
pub fn discard(ctx: &mut Context) -> CommandResult {
    if ctx.session.set_multi(None).is_none() {
        return Err(Error::text("ERR DISCARD without MULTI"));
    }
    ctx.session.unwatch(&ctx.server.watches);
    ctx.reply.ok();
    Ok(())
}

/// `WATCH key [key ...]`: the next EXEC runs its queue only if nobody modifies these keys until then. Replies OK. O(N)
/// for N keys.
pub fn watch(ctx: &mut Context, db: &Db) -> CommandResult {
    if ctx.session.multi.is_some() {
        return Err(Error::text("ERR WATCH inside MULTI is not allowed"));
    }
    let index = ctx.session.db;
    for key in ctx.args.iter_from(1) {
        let session = &mut *ctx.session;
        if session.watched.insert((index, key.to_vec())) {
            let object = db.get_any(key);
            let expired = object.is_some_and(|object| object.is_expired(ctx.now));
            let watches = &ctx.server.watches;
            watches.add(index, key, &session.watch_flag, expired);
        }
    }
    ctx.session.client.watching.store(true, Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// `UNWATCH`: unwatches all keys. Replies OK. O(N) for N watched keys.
pub fn unwatch(ctx: &mut Context) -> CommandResult {
    ctx.session.unwatch(&ctx.server.watches);
    ctx.reply.ok();
    Ok(())
}
