//! The connection itself: PING, ECHO, QUIT, RESET, SELECT.
//!
//! These commands use no keys. They work on the [`Session`](crate::state::session::Session), which only the client's own
//! thread uses. Authentication and the choice of the protocol are in [`login`](super::login).

use crate::commands::args::{db_index, wrong_arity};
use crate::commands::command::Handler::Plain;
use crate::commands::command::flags::{
    ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, NOT_QUEUED, STALE,
};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::resp::Error;
use crate::state::session::ReplyMode;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("ping", -1, Plain(ping), FAST, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "[message]",
             "Answers PONG, or the message it was given.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("echo", 2, Plain(echo), LOADING | STALE | FAST, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "message",
             "Sends the message back."),
    cmd("quit", -1, Plain(quit), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | NOT_QUEUED, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "",
             "Says OK and closes the connection."),
    cmd("reset", 1, Plain(reset), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY | NOT_QUEUED, acl::CONNECTION, &[])
        .doc("connection", "6.2.0", "O(1)", "",
             "Puts the connection back into the state of a new one."),
    cmd("select", 2, Plain(select), LOADING | STALE | FAST, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "index",
             "Chooses the database that later commands of this connection work on."),
];

/// `PING [message]`: replies PONG, or the message. O(1).
pub fn ping(ctx: &mut Context) -> CommandResult {
    match ctx.args.len() {
        1 => ctx.reply.simple("PONG"),
        2 => ctx.reply.bulk(&ctx.args[1]),
        _ => return Err(wrong_arity("ping")),
    }
    Ok(())
}

/// `ECHO message`: replies with the message. O(1).
pub fn echo(ctx: &mut Context) -> CommandResult {
    ctx.reply.bulk(&ctx.args[1]);
    Ok(())
}

/// `QUIT`: replies OK, and closes the connection. O(1).
pub fn quit(ctx: &mut Context) -> CommandResult {
    ctx.session.close_after_reply = true;
    ctx.reply.ok();
    Ok(())
}

/// `RESET`: puts the connection back into the state of a new one: no transaction, no watched keys, database 0, RESP2,
/// replies on, no name, NO-TOUCH off, not authenticated if there is a password. As in Redis 7.0, NO-EVICT stays.
/// Replies RESET. O(N) for N watched keys and queued commands.
///
/// # Errors
///
/// If the client is a replica or this server's primary.
pub fn reset(ctx: &mut Context) -> CommandResult {
    let session = &mut *ctx.session;
    if session.is_primary || session.is_replica() {
        return Err(Error::text("ERR can only reset normal client connections"));
    }
    session.set_multi(None);
    session.unwatch(&ctx.server.watches);
    session.select(0);
    session.set_resp3(false);
    // As in Redis, CLIENT REPLY SKIP still takes this command's own reply.
    if session.reply_mode != ReplyMode::Skipping {
        session.reply_mode = ReplyMode::On;
    }
    session.authenticated = ctx.config.requirepass.is_empty();
    session.client.reset();
    ctx.reply.resp3 = false;
    ctx.reply.simple("RESET");
    Ok(())
}

/// `SELECT index`: chooses the database that later commands of this connection work on. Replies OK. O(1). The log gets
/// its own SELECT when a command in another database is propagated.
pub fn select(ctx: &mut Context) -> CommandResult {
    let db = db_index(ctx, 1)?;
    ctx.session.select(db);
    ctx.reply.ok();
    Ok(())
}
