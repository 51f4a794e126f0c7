//! The connection itself: greeting, logging in, choosing a database.

use super::client::set_name;
use crate::VERSION;
use crate::commands::args::{db_index, wrong_arity};
use crate::commands::command::Handler::Plain;
use crate::commands::command::flags::{
    ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, NOT_QUEUED, STALE,
};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::resp::Error;
use crate::state::session::ReplyMode;
use crate::util::number;

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
             "Puts the connection back into the state it was born in."),
    cmd("select", 2, Plain(select), LOADING | STALE | FAST, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(1)", "index",
             "Chooses the database that later commands of this connection work on."),
    cmd("hello", -1, Plain(hello), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "6.0.0", "O(1)", "[protover [AUTH username password] [SETNAME clientname]]",
             "Negotiates the protocol version, and can log in and name the connection too."),
    cmd("auth", -2, Plain(auth), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(N)", "[username] password",
             "Logs the connection in."),
];

pub fn ping(ctx: &mut Context) -> CommandResult {
    match ctx.args.len() {
        1 => ctx.reply.simple("PONG"),
        2 => ctx.reply.bulk(&ctx.args[1]),
        _ => return Err(wrong_arity("ping")),
    }
    Ok(())
}

pub fn echo(ctx: &mut Context) -> CommandResult {
    ctx.reply.bulk(&ctx.args[1]);
    Ok(())
}

pub fn quit(ctx: &mut Context) -> CommandResult {
    ctx.session.close_after_reply = true;
    ctx.reply.ok();
    Ok(())
}

pub fn reset(ctx: &mut Context) -> CommandResult {
    let session = &mut *ctx.session;
    session.set_multi(None);
    session.unwatch(ctx.server);
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

pub fn select(ctx: &mut Context) -> CommandResult {
    let db = db_index(ctx, 1)?;
    ctx.session.select(db);
    ctx.reply.ok();
    Ok(())
}

/// Checks a name and a password. There is one user, `default`; without a password set, any will do.
fn log_in(ctx: &mut Context, user: &str, password: usize) -> CommandResult {
    let wanted = ctx.config.requirepass.as_slice();
    let given = &ctx.args[password];
    // Compared to the end whatever differs, so that the time taken tells nothing.
    let differs = given
        .iter()
        .zip(wanted)
        .fold(given.len() ^ wanted.len(), |d, (a, b)| {
            d | usize::from(a ^ b)
        });
    if user != "default" || !wanted.is_empty() && differs != 0 {
        return Err(Error::text(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    }
    ctx.session.authenticated = true;
    Ok(())
}

pub fn auth(ctx: &mut Context) -> CommandResult {
    match ctx.args.len() {
        2 if ctx.config.requirepass.is_empty() => {
            return Err(Error::text(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        2 => log_in(ctx, "default", 1)?,
        3 => {
            let user = String::from_utf8_lossy(&ctx.args[1]).into_owned();
            log_in(ctx, &user, 2)?;
        }
        _ => return Err(Error::SYNTAX),
    }
    ctx.reply.ok();
    Ok(())
}

pub fn hello(ctx: &mut Context) -> CommandResult {
    let mut resp3 = ctx.session.resp3;
    if ctx.args.len() > 1 {
        let version = number::parse_i64(&ctx.args[1]);
        resp3 = match version.ok_or(Error::text(
            "ERR Protocol version is not an integer or out of range",
        ))? {
            2 => false,
            3 => true,
            _ => return Err(Error::text("NOPROTO unsupported protocol version")),
        };
    }
    let (mut credentials, mut name, mut i) = (None, None, 2);
    while i < ctx.args.len() {
        let more = ctx.args.len() - 1 - i;
        if ctx.args.is(i, "AUTH") && more >= 2 {
            credentials = Some((i + 1, i + 2));
            i += 2;
        } else if ctx.args.is(i, "SETNAME") && more >= 1 {
            name = Some(i + 1);
            i += 1;
        } else {
            let option = String::from_utf8_lossy(&ctx.args[i]);
            return Err(Error::new(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
        i += 1;
    }
    if let Some((user, password)) = credentials {
        let user = String::from_utf8_lossy(&ctx.args[user]).into_owned();
        log_in(ctx, &user, password)?;
    }
    if !ctx.session.authenticated {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same \
             time",
        ));
    }
    if let Some(i) = name {
        set_name(&ctx.session.client, &ctx.args[i])?;
    }
    ctx.session.set_resp3(resp3);
    let reply = &mut *ctx.reply;
    reply.resp3 = resp3;
    reply.map(7);
    let text = |reply: &mut crate::resp::Reply, name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    text(reply, "server", "redis");
    text(reply, "version", VERSION);
    reply.bulk(b"proto");
    reply.int(if resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.int(ctx.session.client.id as i64);
    text(reply, "mode", "standalone");
    text(
        reply,
        "role",
        if ctx.server.link.is_replica() {
            "replica"
        } else {
            "master"
        },
    );
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}
