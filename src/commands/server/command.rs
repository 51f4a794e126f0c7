//! COMMAND: shows the table of commands to clients.
//!
//! The replies are made from the same rows ([`Command`]) by which the server runs commands. COMMAND GETKEYS applies a
//! command's key specs to the arguments that the client gives; see [`crate::commands::key_spec`].

use super::command_docs::reply_docs;
use crate::commands::args::help as reply_help;
use crate::commands::command::Handler::{Plain, Table};
use crate::commands::command::flags::{self, LOADING, STALE};
use crate::commands::command::{Command, Index, Row, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, OW, RW, UPDATE, VARIABLE_FLAGS};
use crate::commands::key_spec::{Begin, Find, KeyFlags, KeySpec, flags as key_flags};
use crate::resp::{Args, Error, Reply};
use crate::util::glob;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("command", -1, Table(command), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(N)", "",
             "Describes every command of this server.")
        .tips(&["nondeterministic_output_order"])
        .subcommands(SUBCOMMANDS),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("count", 2, Table(count), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(1)", "",
             "Counts the commands of this server."),
    cmd("docs", -2, Table(docs), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "7.0.0", "O(N)", "[command-name]...",
             "Tells what commands are for and what arguments they take.")
        .tips(&["nondeterministic_output_order"]),
    cmd("getkeys", -4, Table(getkeys), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(N)", "",
             "Picks the keys out of a whole command."),
    cmd("getkeysandflags", -4, Table(getkeysandflags), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "7.0.0", "O(N)", "",
             "Picks the keys out of a whole command and tells what it does to each."),
    cmd("help", 2, Plain(help), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "5.0.0", "O(1)", "",
             "Explains the subcommands of COMMAND."),
    cmd("info", -2, Table(info), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "2.8.13", "O(N)", "[command-name]...",
             "Describes the commands that are named.")
        .tips(&["nondeterministic_output_order"]),
    cmd("list", -2, Table(list), LOADING | STALE, acl::CONNECTION, &[])
        .doc("server", "7.0.0", "O(N)", "[FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>]",
             "Lists command names, all or filtered.")
        .tips(&["nondeterministic_output_order"]),
];

/// The row with this name. The name of a subcommand is `container|subcommand`.
fn find<'i>(index: &'i Index, name: &[u8]) -> Option<&'i Row> {
    let (top, sub) = match name.iter().position(|&b| b == b'|') {
        Some(at) => (&name[..at], Some(&name[at + 1..])),
        None => (name, None),
    };
    let number = index.find(top)?;
    let number = match sub {
        Some(sub) => index.find_sub(number, sub)?,
        None => number,
    };
    Some(&index.rows[number])
}

/// `COMMAND`: replies with what COMMAND INFO shows, for every command. O(N) for N commands.
pub fn command(ctx: &mut Context, index: &'static Index) -> CommandResult {
    ctx.reply.array(index.commands().count());
    for row in index.commands() {
        reply_info(ctx.reply, index, row);
    }
    Ok(())
}

/// `COMMAND COUNT`: replies with the number of commands. O(N) for N commands.
pub fn count(ctx: &mut Context, index: &'static Index) -> CommandResult {
    ctx.reply.int(index.commands().count() as i64);
    Ok(())
}

/// `COMMAND INFO [command-name ...]`: replies with the arity, the flags, the key specs and more of each command; with
/// null for an unknown name. Without names it replies as COMMAND does. O(N) for N names.
pub fn info(ctx: &mut Context, index: &'static Index) -> CommandResult {
    if ctx.args.len() == 2 {
        return command(ctx, index);
    }
    ctx.reply.array(ctx.args.len() - 2);
    for name in ctx.args.iter_from(2) {
        match find(index, name) {
            Some(row) => reply_info(ctx.reply, index, row),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// `COMMAND DOCS [command-name ...]`: replies with a map from names to their documentation; unknown names are left out.
/// O(N) for N names.
pub fn docs(ctx: &mut Context, index: &'static Index) -> CommandResult {
    let rows: Vec<&Row> = match ctx.args.len() {
        2 => index.commands().collect(),
        _ => (ctx.args.iter_from(2))
            .filter_map(|name| find(index, name))
            .collect(),
    };
    ctx.reply.map(rows.len());
    for row in rows {
        ctx.reply.bulk(row.full_name.as_bytes());
        reply_docs(ctx.reply, row.command);
    }
    Ok(())
}

/// `COMMAND LIST [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]`: replies with the names of
/// commands and subcommands. O(N) for N of them.
pub fn list(ctx: &mut Context, index: &'static Index) -> CommandResult {
    let filter = match ctx.args.len() {
        2 => None,
        5 if ctx.args.is(2, "FILTERBY") => Some(ctx.args[3].to_ascii_lowercase()),
        _ => return Err(Error::SYNTAX),
    };
    let word = ctx.args.get(4).unwrap_or_default();
    let rows: Vec<&Row> = match filter.as_deref() {
        None => index.rows.iter().collect(),
        Some(b"module") => vec![],
        Some(b"aclcat") => {
            let is_wanted = |name: &&str| name.as_bytes().eq_ignore_ascii_case(word);
            let bit = acl::NAMES.iter().position(is_wanted);
            let inside = |r: &&Row| bit.is_some_and(|bit| r.command.categories() & (1 << bit) != 0);
            index.rows.iter().filter(inside).collect()
        }
        Some(b"pattern") => {
            let fits = |r: &&Row| glob::matches(word, r.full_name.as_bytes(), true);
            index.rows.iter().filter(fits).collect()
        }
        Some(_) => return Err(Error::SYNTAX),
    };
    ctx.reply.array(rows.len());
    for row in rows {
        ctx.reply.bulk(row.full_name.as_bytes());
    }
    Ok(())
}

/// The positions of the keys of the command that begins at argument `from`, each with what the command does to the key.
///
/// # Errors
///
/// Redis's error for an unknown command, a command without keys, or a wrong number of arguments.
fn keys_of(index: &Index, args: &Args, from: usize) -> Result<Vec<(usize, KeyFlags)>, Error> {
    const INVALID: Error = Error::text("ERR Invalid command specified");
    let top = index.find(&args[from]).ok_or(INVALID)?;
    let number = match args.get(from + 1) {
        Some(name) if !index.rows[top].command.subcommands.is_empty() => {
            index.find_sub(top, name).ok_or(INVALID)?
        }
        _ => top,
    };
    let command = index.rows[number].command;
    if command.keys.is_empty() {
        return Err(Error::text("ERR The command has no key arguments"));
    }
    if !command.accepts(args.len() - from) {
        return Err(Error::text(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let mut keys = vec![];
    for spec in command.keys {
        let flags = match spec.flags & VARIABLE_FLAGS {
            0 => spec.flags,
            _ => flags_of_set(args, from),
        };
        keys.extend(spec.positions(args, from).into_iter().map(|at| (at, flags)));
    }
    if keys.is_empty() {
        return Err(Error::text("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

/// What SET does to its key: with the option GET it also reads the old value.
fn flags_of_set(args: &Args, from: usize) -> KeyFlags {
    let mut options = args.iter_from(from + 3);
    if options.any(|word| word.eq_ignore_ascii_case(b"GET")) {
        RW | ACCESS | UPDATE
    } else {
        OW | UPDATE
    }
}

/// `COMMAND GETKEYS command [arg ...]`: replies with the keys of a whole command. O(N) for N arguments.
pub fn getkeys(ctx: &mut Context, index: &'static Index) -> CommandResult {
    let keys = keys_of(index, &ctx.args, 2)?;
    ctx.reply.array(keys.len());
    for (at, _) in keys {
        ctx.reply.bulk(&ctx.args[at]);
    }
    Ok(())
}

/// `COMMAND GETKEYSANDFLAGS command [arg ...]`: replies with the keys of a whole command, each with what the command
/// does to it. O(N) for N arguments.
pub fn getkeysandflags(ctx: &mut Context, index: &'static Index) -> CommandResult {
    let keys = keys_of(index, &ctx.args, 2)?;
    ctx.reply.array(keys.len());
    for (at, flags) in keys {
        ctx.reply.array(2);
        ctx.reply.bulk(&ctx.args[at]);
        reply_words(ctx.reply, &named(&key_flags::NAMES, flags.into()));
    }
    Ok(())
}

/// `COMMAND HELP`: replies with the subcommands. O(N) for N subcommands.
pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "command", SUBCOMMANDS)
}

/// The names of the bits that are set in `set`; `names` has a name per bit.
fn named(names: &[&'static str], set: u32) -> Vec<&'static str> {
    let bits = names.iter().enumerate();
    let chosen = bits.filter(|(bit, _)| set & (1 << bit) != 0);
    chosen.map(|(_, name)| *name).collect()
}

/// Writes a set of simple strings.
fn reply_words(reply: &mut Reply, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

/// The first key, the last key and the step. Clients that do not know key specs find the keys with these numbers.
fn legacy_range(command: &Command) -> (i32, i32, i32) {
    let mut range: Option<(i32, i32, i32)> = None;
    for spec in command.keys {
        let (Begin::Index(first), Find::Range { last, step, .. }) = (spec.begin, spec.find) else {
            continue;
        };
        let (first, step) = (first as i32, step as i32);
        let last = if last >= 0 { first + last } else { last };
        range = Some(match range {
            Some((f, l, s)) => (f.min(first), l.max(last), s.min(step)),
            None => (first, last, step),
        });
    }
    range.unwrap_or((0, 0, 0))
}

/// Writes one command in the reply of COMMAND and COMMAND INFO, with its subcommands.
fn reply_info(reply: &mut Reply, index: &Index, row: &Row) {
    let command = row.command;
    reply.array(10);
    reply.bulk(row.full_name.as_bytes());
    reply.int(command.arity.into());
    let mut shown = named(&flags::NAMES, command.flags);
    let is_movable = |k: &KeySpec| matches!(k.begin, Begin::Keyword(..));
    if command.keys.iter().any(is_movable) {
        shown.push("movablekeys");
    }
    reply_words(reply, &shown);
    let (first, last, step) = legacy_range(command);
    for n in [first, last, step] {
        reply.int(n.into());
    }
    let categories = named(&acl::NAMES, command.categories());
    reply.set(categories.len());
    for category in categories {
        reply.simple(&format!("@{category}"));
    }
    reply.set(command.tips.len());
    for tip in command.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(command.keys.len());
    for spec in command.keys {
        reply_key_spec(reply, spec);
    }
    if command.subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(command.subcommands.len());
    }
    for sub in command.subcommands {
        let name = format!("{}|{}", command.name, sub.name);
        if let Some(row) = find(index, name.as_bytes()) {
            reply_info(reply, index, row);
        }
    }
}

/// Writes a key spec.
fn reply_key_spec(reply: &mut Reply, spec: &KeySpec) {
    reply.map(if spec.note.is_some() { 4 } else { 3 });
    if let Some(note) = spec.note {
        reply.bulk(b"notes");
        reply.bulk(note.as_bytes());
    }
    reply.bulk(b"flags");
    reply_words(reply, &named(&key_flags::NAMES, spec.flags.into()));
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(at) => {
            reply_part(reply, "index", 1);
            reply_field(reply, "index", at as i64);
        }
        Begin::Keyword(word, from) => {
            reply_part(reply, "keyword", 2);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply_field(reply, "startfrom", from as i64);
        }
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            reply_part(reply, "range", 3);
            reply_field(reply, "lastkey", last.into());
            reply_field(reply, "keystep", step as i64);
            reply_field(reply, "limit", limit as i64);
        }
        Find::NumKeys { at, first, step } => {
            reply_part(reply, "keynum", 3);
            reply_field(reply, "keynumidx", at as i64);
            reply_field(reply, "firstkey", first as i64);
            reply_field(reply, "keystep", step as i64);
        }
    }
}

/// Writes the beginning of one part of a key spec: its type, and the header of a map of `fields` fields, which the
/// caller writes next.
fn reply_part(reply: &mut Reply, kind: &str, fields: usize) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields);
}

/// Writes a field whose value is a number.
fn reply_field(reply: &mut Reply, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.int(value);
}
