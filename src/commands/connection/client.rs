//! CLIENT: shows connections and changes their state.
//!
//! This file has the rows of all subcommands, and the handlers of most. CLIENT LIST and CLIENT INFO are in [`list`],
//! CLIENT KILL is in [`kill`].
//!
//! Other threads see a connection as its [`Client`]. The client's own thread changes the session, and copies into the
//! `Client` what other threads need. To wake another thread or to close a connection is the executor's task, so UNBLOCK
//! and KILL return an [`Action`].

use std::sync::atomic::Ordering::Relaxed;

use super::{kill, list};
use crate::commands::args::{help as reply_help, int, on_off, subcommand_syntax};
use crate::commands::command::Handler::{Container, Plain};
use crate::commands::command::flags::{ADMIN, LOADING, NONE, NOSCRIPT, STALE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::blocking::Outcome;
use crate::state::clients::Client;
use crate::state::lock;
use crate::state::session::ReplyMode;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("client", -2, Container, NONE, 0, &[])
        .doc("connection", "2.4.0", "Depends on subcommand.", "",
             "Shows connections and changes their state.")
        .subcommands(SUBCOMMANDS),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("getname", 2, Plain(getname), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.6.9", "O(1)", "",
             "Tells the name this connection was given."),
    cmd("help", 2, Plain(help), LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "5.0.0", "O(1)", "",
             "Explains the subcommands of CLIENT."),
    cmd("id", 2, Plain(id), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "5.0.0", "O(1)", "",
             "Tells the number of this connection; numbers are never used twice."),
    cmd("info", 2, Plain(list::info), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "6.2.0", "O(1)", "",
             "Describes this connection in one line.")
        .tips(&["nondeterministic_output"]),
    cmd("kill", -3, Plain(kill::kill), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.4.0", "O(N)", "<ip:port|<[ID client-id]|[TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME yes/no]>...>",
             "Closes the connections that match."),
    cmd("list", -2, Plain(list::list), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.4.0", "O(N)", "[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id...]",
             "Describes every connection, a line each.")
        .tips(&["nondeterministic_output"]),
    cmd("no-evict", 3, Plain(no_evict), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "7.0.0", "O(1)", "<ON|OFF>",
             "Turns this connection's protection from client eviction on or off."),
    cmd("no-touch", 3, Plain(no_touch), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "7.2.0", "O(1)", "<ON|OFF>",
             "Lets this connection read keys without marking them as recently used."),
    cmd("reply", 3, Plain(reply), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "3.2.0", "O(1)", "<ON|OFF|SKIP>",
             "Turns the replies to this connection off and on."),
    cmd("setinfo", 4, Plain(setinfo), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "7.2.0", "O(1)", "<LIB-NAME libname|LIB-VER libver>",
             "Notes the name or version of the client library in use."),
    cmd("setname", 3, Plain(setname), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.6.9", "O(1)", "connection-name",
             "Gives this connection a name."),
    cmd("unblock", -3, Plain(unblock), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "5.0.0", "O(log N)", "client-id [TIMEOUT|ERROR]",
             "Wakes another connection from its blocking command."),
];

/// `CLIENT ID`: replies with the number of this connection. A later connection has a larger number. O(1).
pub fn id(ctx: &mut Context) -> CommandResult {
    ctx.reply.int(ctx.session.client.id as i64);
    Ok(())
}

/// `CLIENT GETNAME`: replies with the name of this connection, or null. O(1).
pub fn getname(ctx: &mut Context) -> CommandResult {
    let name = lock(&ctx.session.client.name);
    if name.is_empty() {
        ctx.reply.null()
    } else {
        ctx.reply.bulk(&name)
    }
    Ok(())
}

/// Sets the name of a client; an empty name removes it.
///
/// # Errors
///
/// Redis's error for a name with a byte other than a visible ASCII character. Spaces and line breaks would corrupt the
/// lines of CLIENT LIST.
pub fn set_name(client: &Client, name: &[u8]) -> CommandResult {
    if !name.iter().all(|b| b.is_ascii_graphic()) {
        return Err(Error::text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    *lock(&client.name) = name.to_vec();
    Ok(())
}

/// `CLIENT SETNAME connection-name`: sets the name of this connection; an empty name removes it. Replies OK. O(1).
pub fn setname(ctx: &mut Context) -> CommandResult {
    set_name(&ctx.session.client, &ctx.args[2])?;
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT SETINFO <LIB-NAME libname | LIB-VER libver>`: records the name or the version of the client library, which
/// CLIENT LIST shows. Replies OK. O(1).
pub fn setinfo(ctx: &mut Context) -> CommandResult {
    let value = ctx.args[3].to_vec();
    let option = String::from_utf8_lossy(&ctx.args[2]).to_lowercase();
    if option != "lib-name" && option != "lib-ver" {
        let given = String::from_utf8_lossy(&ctx.args[2]);
        return Err(Error::new(format!("ERR Unrecognized option '{given}'")));
    }
    if !value.iter().all(|b| b.is_ascii_graphic()) {
        let text = format!("ERR {option} cannot contain spaces, newlines or special characters.");
        return Err(Error::new(text));
    }
    let mut library = lock(&ctx.session.client.library);
    if option == "lib-name" {
        library.0 = value;
    } else {
        library.1 = value;
    }
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT REPLY <ON | OFF | SKIP>`: turns the replies to this connection on or off, or skips the reply to the next
/// command. Replies OK to ON, and nothing to OFF and SKIP. O(1).
pub fn reply(ctx: &mut Context) -> CommandResult {
    let mode = match ctx.args[2].to_ascii_lowercase().as_slice() {
        b"on" => ReplyMode::On,
        b"off" => ReplyMode::Off,
        b"skip" if ctx.session.reply_mode == ReplyMode::Off => ReplyMode::Off,
        b"skip" => ReplyMode::SkipNext,
        _ => return Err(Error::SYNTAX),
    };
    ctx.session.reply_mode = mode;
    if mode == ReplyMode::On {
        ctx.reply.ok();
    }
    Ok(())
}

/// `CLIENT UNBLOCK client-id [TIMEOUT | ERROR]`: ends the wait of another client, as if its timeout had passed, or with
/// an error. Replies 1 if the client waited, else 0. O(log N) for N connections.
pub fn unblock(ctx: &mut Context) -> CommandResult {
    if ctx.args.len() > 4 {
        return Err(subcommand_syntax(&ctx.args));
    }
    let reason = ctx.args.get(3).map(<[u8]>::to_ascii_lowercase);
    let outcome = match reason.as_deref() {
        None | Some(b"timeout") => Outcome::TimedOut,
        Some(b"error") => {
            Outcome::Failed(Error::text("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
        }
        Some(_) => {
            return Err(Error::text(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
    };
    let id = int(&ctx.args[2])?;
    let client = ctx.server.clients.get(id as u64);
    ctx.action = Some(Action::Unblock(client, outcome));
    Ok(())
}

/// `CLIENT NO-EVICT <ON | OFF>`: exempts this connection from being closed to free memory. This server closes no
/// clients for that reason yet; CLIENT LIST shows the flag. Replies OK. O(1).
pub fn no_evict(ctx: &mut Context) -> CommandResult {
    let on = on_off(&ctx.args[2])?;
    ctx.session.client.no_evict.store(on, Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT NO-TOUCH <ON | OFF>`: with ON, this connection's lookups do not count as uses of keys (LRU, LFU). Storing a
/// value still sets the key's time of use, and TOUCH counts all the same. Replies OK. O(1).
pub fn no_touch(ctx: &mut Context) -> CommandResult {
    let on = on_off(&ctx.args[2])?;
    ctx.session.client.no_touch.store(on, Relaxed);
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT HELP`: replies with the subcommands. O(N) for N subcommands.
pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "client", SUBCOMMANDS)
}
