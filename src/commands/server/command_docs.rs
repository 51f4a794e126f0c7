//! COMMAND DOCS: what commands are for and what arguments they take.
//!
//! A row of the table has the syntax of its command as one line. Clients get the arguments as a tree, which this file
//! parses from that line:
//!
//! | in the line | meaning |
//! |---|---|
//! | a word with a lower-case letter: `key` | an argument |
//! | any other word: `NX`, `*` | a token, which the client writes as it is |
//! | a token before an argument: `EX seconds` | an argument that the client writes with its token |
//! | `[a]` | `a` is optional |
//! | `a\|b` | either `a` or `b` |
//! | `a...` | `a` may be repeated |
//! | `<a b>` | `a` and `b` are one block |
//!
//! Example: `key [NX|XX]` gives the argument `key` of type `key`, and the optional argument `nx_or_xx` of type `oneof`,
//! whose children are the tokens `NX` and `XX`.

use crate::commands::command::Command;
use crate::resp::Reply;

/// An argument, or a group of arguments.
#[derive(Debug, PartialEq, Default, Clone)]
struct Argument {
    /// The name. That of a group is made of the names of its children.
    name: String,
    /// The type as COMMAND DOCS names it, such as `key`, `integer` or `oneof`.
    kind: &'static str,
    /// The token that the client writes before the value, or in place of it.
    token: Option<String>,
    /// The argument may be left out.
    optional: bool,
    /// The argument may be repeated.
    multiple: bool,
    /// The members of a group.
    children: Vec<Argument>,
}

/// Writes the entry of COMMAND DOCS for a command.
pub fn reply_docs(reply: &mut Reply, command: &Command) {
    let arguments = parse(command.syntax);
    // As in Redis, PSYNC and SYNC have no complexity.
    let texts = [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group),
        ("complexity", command.complexity),
    ];
    let texts: Vec<_> = texts.iter().filter(|(_, text)| !text.is_empty()).collect();
    let lists = [!arguments.is_empty(), !command.subcommands.is_empty()];
    reply.map(texts.len() + lists.into_iter().filter(|is_there| *is_there).count());
    for (name, text) in texts {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        reply.array(arguments.len());
        arguments
            .iter()
            .for_each(|argument| reply_argument(reply, argument));
    }
    if !command.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.len());
        for sub in command.subcommands {
            let full_name = format!("{}|{}", command.name, sub.name);
            reply.bulk(full_name.as_bytes());
            reply_docs(reply, sub);
        }
    }
}

/// Writes an argument and its children.
fn reply_argument(reply: &mut Reply, argument: &Argument) {
    let is_key = argument.kind == "key";
    let flags: Vec<&str> = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
    ]
    .iter()
    .filter(|f| f.0)
    .map(|f| f.1)
    .collect();
    let fields = [
        is_key,
        argument.token.is_some(),
        !flags.is_empty(),
        !argument.children.is_empty(),
    ];
    reply.map(2 + fields.iter().filter(|&&f| f).count());
    let text = |reply: &mut Reply, name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    text(reply, "name", &argument.name);
    text(reply, "type", argument.kind);
    if is_key {
        reply.bulk(b"key_spec_index");
        reply.int(0);
    }
    if let Some(token) = &argument.token {
        text(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if !argument.children.is_empty() {
        reply.bulk(b"arguments");
        reply.array(argument.children.len());
        argument
            .children
            .iter()
            .for_each(|child| reply_argument(reply, child));
    }
}

/// Parses a line of syntax.
fn parse(syntax: &str) -> Vec<Argument> {
    let spaced: String = syntax
        .replace("...", " ... ")
        .chars()
        .flat_map(|c| {
            if "[]<>|".contains(c) {
                vec![' ', c, ' ']
            } else {
                vec![c]
            }
        })
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    sequence(&mut words.as_slice())
}

/// Parses arguments up to a closing bracket or the end, and takes them off `words`.
fn sequence(words: &mut &[&str]) -> Vec<Argument> {
    let mut alternatives: Vec<Vec<Argument>> = vec![vec![]];
    while let Some((&word, rest)) = words.split_first() {
        if matches!(word, "]" | ">") {
            break;
        }
        *words = rest;
        let current = alternatives.len() - 1;
        match word {
            "|" => alternatives.push(vec![]),
            "..." => {
                if let Some(argument) = alternatives[current].last_mut() {
                    argument.multiple = true;
                }
            }
            "[" | "<" => {
                let mut argument = group(sequence(words));
                argument.optional = word == "[";
                *words = words.get(1..).unwrap_or_default(); // skip the closing bracket
                alternatives[current].push(argument);
            }
            _ if is_token(word) => alternatives[current].push(token(word, words)),
            name => alternatives[current].push(plain_argument(name)),
        }
    }
    if alternatives.len() == 1 {
        return alternatives.remove(0);
    }
    let children: Vec<Argument> = alternatives.into_iter().map(group).collect();
    vec![Argument {
        name: joined(&children, "_or_"),
        kind: "oneof",
        children,
        ..Argument::default()
    }]
}

/// The argument of a token. If a plain argument follows the token, the two are one argument.
fn token(word: &str, words: &mut &[&str]) -> Argument {
    let value = words
        .first()
        .filter(|next| next.starts_with(|c: char| c.is_ascii_lowercase()));
    match value {
        Some(name) => {
            *words = &words[1..];
            Argument {
                token: Some(word.into()),
                ..plain_argument(name)
            }
        }
        None => Argument {
            name: word.to_lowercase(),
            kind: "pure-token",
            token: Some(word.into()),
            ..Argument::default()
        },
    }
}

/// Whether a word of the syntax is a token: it has no lower-case letter.
fn is_token(word: &str) -> bool {
    !word.contains(|c: char| c.is_ascii_lowercase())
}

/// A plain argument. Its type follows from its name.
fn plain_argument(name: &str) -> Argument {
    let kind = match name {
        "key" | "newkey" | "source" | "destination" | "key1" | "key2" => "key",
        "pattern" => "pattern",
        n if n.contains("unix-time") => "unix-time",
        "seconds" | "milliseconds" | "count" | "offset" | "start" | "end" | "index"
        | "increment" | "decrement" | "db" | "len" | "cursor" | "ms" | "client-id" | "index1"
        | "index2" => "integer",
        _ => "string",
    };
    Argument {
        name: name.into(),
        kind,
        ..Argument::default()
    }
}

/// Makes one argument of several: a block, or the argument itself if there is only one.
fn group(mut arguments: Vec<Argument>) -> Argument {
    if arguments.len() == 1 {
        return arguments.remove(0);
    }
    Argument {
        name: joined(&arguments, "_"),
        kind: "block",
        children: arguments,
        ..Argument::default()
    }
}

/// The names of the arguments, joined with `by`.
fn joined(arguments: &[Argument], by: &str) -> String {
    arguments
        .iter()
        .map(|n| n.name.as_str())
        .collect::<Vec<_>>()
        .join(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_becomes_a_tree() {
        let nodes = parse("key value [NX|XX] [EX seconds|KEEPTTL] <field value>...");
        let shown: Vec<_> = nodes
            .iter()
            .map(|n| (n.name.as_str(), n.kind, n.optional, n.multiple))
            .collect();
        assert_eq!(
            shown,
            [
                ("key", "key", false, false),
                ("value", "string", false, false),
                ("nx_or_xx", "oneof", true, false),
                ("seconds_or_keepttl", "oneof", true, false),
                ("field_value", "block", false, true),
            ]
        );
        assert_eq!(nodes[3].children[0].token.as_deref(), Some("EX"));
        assert_eq!(nodes[3].children[1].kind, "pure-token");
    }

    #[test]
    fn every_syntax_of_the_table_balances() {
        for row in &crate::commands::table::INDEX.rows {
            let syntax = row.command.syntax;
            let count = |c| syntax.matches(c).count();
            assert_eq!(
                (count('['), count('<')),
                (count(']'), count('>')),
                "{}",
                row.full_name
            );
            assert_eq!(parse(syntax).is_empty(), syntax.is_empty());
        }
    }
}
