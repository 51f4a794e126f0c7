//! CLIENT: looking at connections, and steering them.

use crate::commands::command::Handler::{Container, Plain};
use crate::commands::command::flags::{ADMIN, LOADING, NONE, NOSCRIPT, STALE};
use crate::commands::command::{Command, acl, cmd};
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use crate::commands::args::{help as reply_help, int, on_off};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::blocking::Outcome;
use crate::state::clients::Client;
use crate::state::lock;
use crate::state::session::ReplyMode;
use crate::util::number;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("client", -2, Container, NONE, 0, &[])
        .doc("connection", "2.4.0", "Depends on subcommand.", "",
             "Looks at connections and steers them.")
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
    cmd("info", 2, Plain(info), NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "6.2.0", "O(1)", "",
             "Describes this connection in one line.")
        .tips(&["nondeterministic_output"]),
    cmd("kill", -3, Plain(kill), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.4.0", "O(N)", "<ip:port|<[ID client-id]|[TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME yes/no]>...>",
             "Closes the connections that match."),
    cmd("list", -2, Plain(list), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "2.4.0", "O(N)", "[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id...]",
             "Describes every connection, a line each.")
        .tips(&["nondeterministic_output"]),
    cmd("no-evict", 3, Plain(no_evict), ADMIN | NOSCRIPT | LOADING | STALE, acl::CONNECTION, &[])
        .doc("connection", "7.0.0", "O(1)", "<ON|OFF>",
             "Spares this connection, or stops sparing it, when clients are closed for want of memory."),
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

/// The line of CLIENT LIST for one connection.
fn describe(ctx: &Context, client: &Client) -> String {
    let now = ctx.now;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seconds = |since: i64| (now - since).max(0) / 1000;
    let mut flags = String::new();
    let marks = [
        (client.replica.load(Relaxed), 'S'),
        (client.primary.load(Relaxed), 'M'),
        (client.is_blocked(), 'b'),
        (client.queued.load(Relaxed) >= 0, 'x'),
        (client.is_closing(), 'A'),
        (client.no_evict.load(Relaxed), 'e'),
        (client.no_touch.load(Relaxed), 'T'),
    ];
    flags.extend(marks.iter().filter(|(on, _)| *on).map(|(_, mark)| mark));
    if flags.is_empty() {
        flags.push('N');
    }
    let pending = client.outbox.pending();
    let used = client.input_used.load(Relaxed);
    let input = client.input_capacity.load(Relaxed);
    let output = client.output_capacity.load(Relaxed);
    let (args, queued) = (
        client.args_memory.load(Relaxed),
        client.queued_memory.load(Relaxed),
    );
    let command = ctx
        .server
        .stats
        .commands
        .get(client.last_command.load(Relaxed) as usize);
    let mut line = String::new();
    // Writing into a `String` cannot fail.
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db={} sub=0 psub=0 ssub=0 multi={} \
         qbuf={used} qbuf-free={} argv-mem={args} multi-mem={queued} rbs={output} rbp={output} obl=0 oll={} omem={pending} \
         tot-mem={} events=r cmd={} user=default redir=-1 resp={}",
        client.id,
        client.peer,
        client.local,
        client.fd(),
        text(&lock(&client.name)),
        seconds(client.created),
        seconds(client.last_seen.load(Relaxed)),
        client.db.load(Relaxed),
        client.queued.load(Relaxed),
        input.saturating_sub(used),
        usize::from(pending > 0),
        size_of::<Client>() + input + output + pending + args + queued,
        command.map_or("NULL", |stats| stats.name),
        if client.resp3.load(Relaxed) { 3 } else { 2 },
    );
    let library = lock(&client.library);
    if !library.0.is_empty() || !library.1.is_empty() {
        let _ = write!(
            line,
            " lib-name={} lib-ver={}",
            text(&library.0),
            text(&library.1)
        );
    }
    line
}

/// Whether a client is of the kind that CLIENT LIST and KILL name so.
fn is_of_kind(kind: &[u8]) -> Result<fn(&Client) -> bool, Error> {
    match kind.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(|client| !client.is_peer()),
        b"master" => Ok(|client| client.primary.load(Relaxed)),
        b"slave" | b"replica" => Ok(|client| client.replica.load(Relaxed)),
        b"pubsub" => Ok(|_| false),
        _ => {
            let kind = String::from_utf8_lossy(kind);
            Err(Error::new(format!("ERR Unknown client type '{kind}'")))
        }
    }
}

pub fn list(ctx: &mut Context) -> CommandResult {
    let mut chosen = ctx.server.clients.all();
    match ctx.args.len() {
        2 => {}
        4 if ctx.args.is(2, "TYPE") => {
            let wanted = is_of_kind(&ctx.args[3])?;
            chosen.retain(|client| wanted(client));
        }
        4.. if ctx.args.is(2, "ID") => {
            chosen.clear();
            for text in ctx.args.iter_from(3) {
                let id = number::parse_i64(text).ok_or(Error::text("ERR Invalid client ID"))?;
                chosen.extend(ctx.server.clients.get(id as u64));
            }
        }
        _ => return Err(Error::SYNTAX),
    }
    let lines: String = chosen
        .iter()
        .map(|client| describe(ctx, client) + "\n")
        .collect();
    ctx.reply.verbatim("txt", lines.as_bytes());
    Ok(())
}

pub fn info(ctx: &mut Context) -> CommandResult {
    let line = describe(ctx, &ctx.session.client) + "\n";
    ctx.reply.verbatim("txt", line.as_bytes());
    Ok(())
}

pub fn id(ctx: &mut Context) -> CommandResult {
    ctx.reply.int(ctx.session.client.id as i64);
    Ok(())
}

pub fn getname(ctx: &mut Context) -> CommandResult {
    let name = lock(&ctx.session.client.name);
    if name.is_empty() {
        ctx.reply.null()
    } else {
        ctx.reply.bulk(&name)
    }
    Ok(())
}

/// Names a client. A name must not disturb the lines of CLIENT LIST.
pub fn set_name(client: &Client, name: &[u8]) -> CommandResult {
    if !name.iter().all(|b| b.is_ascii_graphic()) {
        return Err(Error::text(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    *lock(&client.name) = name.to_vec();
    Ok(())
}

pub fn setname(ctx: &mut Context) -> CommandResult {
    set_name(&ctx.session.client, &ctx.args[2])?;
    ctx.reply.ok();
    Ok(())
}

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

/// The clients that CLIENT KILL is to close.
#[derive(Default)]
struct Victims {
    id: Option<u64>,
    addr: Option<Vec<u8>>,
    laddr: Option<Vec<u8>>,
    /// Whether a client is of the wanted kind.
    kind: Option<fn(&Client) -> bool>,
    spare_me: bool,
}

pub fn kill(ctx: &mut Context) -> CommandResult {
    let mut victims = Victims {
        spare_me: true,
        ..Victims::default()
    };
    let old_style = ctx.args.len() == 3;
    if old_style {
        victims.addr = Some(ctx.args[2].to_vec());
        victims.spare_me = false;
    }
    let mut i = if old_style { 3 } else { 2 };
    while i < ctx.args.len() {
        if i + 1 >= ctx.args.len() {
            return Err(Error::SYNTAX);
        }
        let value = &ctx.args[i + 1];
        if ctx.args.is(i, "ID") {
            let id = number::parse_i64(value).filter(|&id| id > 0);
            let error = Error::text("ERR client-id should be greater than 0");
            victims.id = Some(id.ok_or(error)? as u64);
        } else if ctx.args.is(i, "TYPE") {
            victims.kind = Some(is_of_kind(value)?);
        } else if ctx.args.is(i, "USER") {
            if value != b"default" {
                let user = String::from_utf8_lossy(value);
                return Err(Error::new(format!("ERR No such user '{user}'")));
            }
        } else if ctx.args.is(i, "ADDR") {
            victims.addr = Some(value.to_vec());
        } else if ctx.args.is(i, "LADDR") {
            victims.laddr = Some(value.to_vec());
        } else if ctx.args.is(i, "SKIPME") && value.eq_ignore_ascii_case(b"yes") {
            victims.spare_me = true;
        } else if ctx.args.is(i, "SKIPME") && value.eq_ignore_ascii_case(b"no") {
            victims.spare_me = false;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 2;
    }
    let me = ctx.session.client.id;
    let (mut killed, mut others) = (0, vec![]);
    for client in ctx.server.clients.all() {
        let is = |wanted: &Option<Vec<u8>>, own: String| {
            wanted.as_ref().is_none_or(|w| *w == own.as_bytes())
        };
        let chosen = victims.kind.is_none_or(|is_wanted| is_wanted(&client))
            && victims.id.is_none_or(|id| id == client.id)
            && is(&victims.addr, client.peer.to_string())
            && is(&victims.laddr, client.local.to_string())
            && !(victims.spare_me && client.id == me);
        if !chosen {
            continue;
        }
        killed += 1;
        if client.id == me {
            ctx.session.close_after_reply = true;
        } else {
            others.push(client);
        }
    }
    ctx.action = Some(Action::Kill(others));
    match (old_style, killed) {
        (true, 0) => return Err(Error::text("ERR No such client")),
        (true, _) => ctx.reply.ok(),
        (false, n) => ctx.reply.int(n),
    }
    Ok(())
}

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

pub fn unblock(ctx: &mut Context) -> CommandResult {
    let outcome = match ctx.args.get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        _ if ctx.args.len() > 4 => return Err(Error::SYNTAX),
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

pub fn no_evict(ctx: &mut Context) -> CommandResult {
    let on = on_off(&ctx.args[2])?;
    ctx.session.client.no_evict.store(on, Relaxed);
    ctx.reply.ok();
    Ok(())
}

pub fn no_touch(ctx: &mut Context) -> CommandResult {
    let on = on_off(&ctx.args[2])?;
    ctx.session.client.no_touch.store(on, Relaxed);
    ctx.reply.ok();
    Ok(())
}

pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "client", SUBCOMMANDS)
}
