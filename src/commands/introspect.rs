//! COMMAND: the table of commands, told to clients.

use super::args::help as reply_help;
use super::docs::reply_docs;
use super::{Begin, Command, Cx, Done, INDEX, KeySpec, Row, TABLE, acl, flags};
use crate::resp::{Args, Error, Reply};
use crate::util::glob;

/// The row that a name stands for; a subcommand is `container|subcommand`.
fn find(name: &[u8]) -> Option<&'static Row> {
    let (top, sub) = match name.iter().position(|&b| b == b'|') {
        Some(at) => (&name[..at], Some(&name[at + 1..])),
        None => (name, None),
    };
    let number = INDEX.find(top)?;
    let number = match sub {
        Some(sub) => INDEX.find_sub(number, sub)?,
        None => number,
    };
    Some(&INDEX.rows[number])
}

pub fn command(cx: &mut Cx) -> Done {
    cx.reply.array(TABLE.len());
    INDEX.rows[..TABLE.len()]
        .iter()
        .for_each(|row| reply_info(cx.reply, row));
    Ok(())
}

pub fn count(cx: &mut Cx) -> Done {
    cx.reply.int(TABLE.len() as i64);
    Ok(())
}

pub fn info(cx: &mut Cx) -> Done {
    if cx.args.len() == 2 {
        return command(cx);
    }
    cx.reply.array(cx.args.len() - 2);
    for name in cx.args.iter_from(2) {
        match find(name) {
            Some(row) => reply_info(cx.reply, row),
            None => cx.reply.null_array(),
        }
    }
    Ok(())
}

pub fn docs(cx: &mut Cx) -> Done {
    let rows: Vec<&Row> = match cx.args.len() {
        2 => INDEX.rows[..TABLE.len()].iter().collect(),
        _ => cx.args.iter_from(2).filter_map(find).collect(),
    };
    cx.reply.map(rows.len());
    for row in rows {
        cx.reply.bulk(row.full_name.as_bytes());
        reply_docs(cx.reply, row);
    }
    Ok(())
}

pub fn list(cx: &mut Cx) -> Done {
    let filter = match cx.args.len() {
        2 => None,
        5 if cx.args.is(2, "FILTERBY") => Some(cx.args[3].to_ascii_lowercase()),
        _ => return Err(Error::SYNTAX),
    };
    let word = cx.args.get(4).unwrap_or_default().to_vec();
    let names: Vec<&str> = match filter.as_deref() {
        None => INDEX.rows.iter().map(|r| r.full_name.as_str()).collect(),
        Some(b"module") => vec![],
        Some(b"aclcat") => {
            let bit = acl::NAMES
                .iter()
                .position(|n| n.as_bytes().eq_ignore_ascii_case(&word));
            let inside = |r: &&Row| bit.is_some_and(|bit| r.command.categories() & (1 << bit) != 0);
            INDEX
                .rows
                .iter()
                .filter(inside)
                .map(|r| r.full_name.as_str())
                .collect()
        }
        Some(b"pattern") => {
            let fits = |r: &&Row| glob::matches(&word, r.full_name.as_bytes(), true);
            INDEX
                .rows
                .iter()
                .filter(fits)
                .map(|r| r.full_name.as_str())
                .collect()
        }
        Some(_) => return Err(Error::SYNTAX),
    };
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name.as_bytes()));
    Ok(())
}

/// The keys in the command that stands in the arguments from `from` on, each with what the command does to it.
fn keys_of(args: &Args, from: usize) -> Result<Vec<(usize, &'static str)>, Error> {
    const INVALID: Error = Error::text("ERR Invalid command specified");
    let top = INDEX.find(&args[from]).ok_or(INVALID)?;
    let number = match args.get(from + 1) {
        Some(name) if !INDEX.rows[top].command.subcommands.is_empty() => {
            INDEX.find_sub(top, name).ok_or(INVALID)?
        }
        _ => top,
    };
    let command = INDEX.rows[number].command;
    if command.keys.is_empty() {
        return Err(Error::text("ERR The command has no key arguments"));
    }
    let words = args.len() - from;
    if !command.accepts(words) {
        return Err(Error::text(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let mut keys = vec![];
    for spec in command.keys {
        // SET is a read as well only if it has GET among its options.
        let reads = args
            .iter_from(from + 3)
            .any(|word| word.eq_ignore_ascii_case(b"GET"));
        let flags = if spec.flags.ends_with(" variable_flags") {
            if reads {
                "RW access update"
            } else {
                "OW update"
            }
        } else {
            spec.flags
        };
        keys.extend(
            positions(spec, args, from)
                .into_iter()
                .map(|at| (at, flags)),
        );
    }
    if keys.is_empty() {
        return Err(Error::text("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

/// Where the keys of a spec are among the arguments from `from` on.
fn positions(spec: &KeySpec, args: &Args, from: usize) -> Vec<usize> {
    let first = match spec.begin {
        Begin::Index(at) => from + at,
        Begin::After(word, start) => match (from + start..args.len()).find(|&i| args.is(i, word)) {
            Some(at) => at + 1,
            None => return vec![],
        },
    };
    let last = match (spec.last, spec.limit) {
        (n @ 0.., _) => first + n as usize,
        (_, 0) => args.len() - spec.last.unsigned_abs() as usize,
        (_, limit) => (first + (args.len() - first) / limit as usize).saturating_sub(1),
    };
    (first..=last.min(args.len() - 1))
        .step_by(spec.step as usize)
        .collect()
}

pub fn getkeys(cx: &mut Cx) -> Done {
    let keys = keys_of(&cx.args, 2)?;
    cx.reply.array(keys.len());
    keys.iter().for_each(|&(at, _)| cx.reply.bulk(&cx.args[at]));
    Ok(())
}

pub fn getkeysandflags(cx: &mut Cx) -> Done {
    let keys = keys_of(&cx.args, 2)?;
    cx.reply.array(keys.len());
    for (at, flags) in keys {
        cx.reply.array(2);
        cx.reply.bulk(&cx.args[at]);
        reply_words(cx.reply, &flags.split(' ').collect::<Vec<_>>());
    }
    Ok(())
}

pub fn help(cx: &mut Cx) -> Done {
    reply_help(cx, "command");
    Ok(())
}

fn reply_words(reply: &mut Reply, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

/// First key, last key and step, as COMMAND showed them before there were key specs.
fn legacy_range(command: &Command) -> (i32, i32, i32) {
    let mut range: Option<(i32, i32, i32)> = None;
    for spec in command.keys {
        let Begin::Index(first) = spec.begin else {
            continue;
        };
        let first = first as i32;
        let last = if spec.last >= 0 {
            first + spec.last
        } else {
            spec.last
        };
        range = Some(match range {
            Some((f, l, s)) => (f.min(first), l.max(last), s.min(spec.step)),
            None => (first, last, spec.step),
        });
    }
    range.unwrap_or((0, 0, 0))
}

/// One element of COMMAND's reply.
fn reply_info(reply: &mut Reply, row: &Row) {
    let command = row.command;
    reply.array(10);
    reply.bulk(row.full_name.as_bytes());
    reply.int(command.arity.into());
    let named = |names: &[&'static str], set: u32| -> Vec<&'static str> {
        names
            .iter()
            .enumerate()
            .filter(|(bit, _)| set & (1 << bit) != 0)
            .map(|(_, name)| *name)
            .collect()
    };
    let mut shown = named(&flags::NAMES, command.flags);
    if command
        .keys
        .iter()
        .any(|k| matches!(k.begin, Begin::After(..)))
    {
        shown.push("movablekeys");
    }
    reply_words(reply, &shown);
    let (first, last, step) = legacy_range(command);
    [first, last, step]
        .iter()
        .for_each(|&n| reply.int(n.into()));
    let categories = named(&acl::NAMES, command.categories());
    reply.set(categories.len());
    categories
        .iter()
        .for_each(|c| reply.simple(&format!("@{c}")));
    reply.set(command.tips.len());
    command
        .tips
        .iter()
        .for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(command.keys.len());
    command
        .keys
        .iter()
        .for_each(|spec| reply_key_spec(reply, spec));
    let subcommands = command
        .subcommands
        .iter()
        .filter_map(|s| find(format!("{}|{}", command.name, s.name).as_bytes()));
    if command.subcommands.is_empty() {
        reply.set(0)
    } else {
        reply.array(command.subcommands.len())
    }
    subcommands.for_each(|sub| reply_info(reply, sub));
}

fn reply_key_spec(reply: &mut Reply, spec: &KeySpec) {
    let text = |reply: &mut Reply, t: &str| reply.bulk(t.as_bytes());
    reply.map(if spec.note.is_some() { 4 } else { 3 });
    if let Some(note) = spec.note {
        text(reply, "notes");
        text(reply, note);
    }
    text(reply, "flags");
    reply_words(reply, &spec.flags.split(' ').collect::<Vec<_>>());
    text(reply, "begin_search");
    reply.map(2);
    text(reply, "type");
    match spec.begin {
        Begin::Index(at) => {
            text(reply, "index");
            text(reply, "spec");
            reply.map(1);
            text(reply, "index");
            reply.int(at as i64);
        }
        Begin::After(word, from) => {
            text(reply, "keyword");
            text(reply, "spec");
            reply.map(2);
            text(reply, "keyword");
            text(reply, word);
            text(reply, "startfrom");
            reply.int(from as i64);
        }
    }
    text(reply, "find_keys");
    reply.map(2);
    text(reply, "type");
    text(reply, "range");
    text(reply, "spec");
    reply.map(3);
    for (name, n) in [
        ("lastkey", spec.last),
        ("keystep", spec.step),
        ("limit", spec.limit),
    ] {
        text(reply, name);
        reply.int(n.into());
    }
}
