//! COMMAND DOCS: what commands are for and what arguments they take.
//!
//! A row of the table has one line of syntax, as a manual would print it, and the tree of arguments that
//! clients get is read from it. In that line
//!
//! * a word in lower case is an argument: `key`, `seconds`;
//! * a word in upper case, or a sign, stands for itself: `NX`, `*`; an argument right after one belongs to it:
//!   `EX seconds`;
//! * `[…]` may be left out, `a|b` is one of them, `…...` can be repeated, `<…>` groups.

use crate::commands::command::Command;
use crate::resp::Reply;

/// An argument, or a group of them.
#[derive(Debug, PartialEq, Default, Clone)]
struct Node {
    name: String,
    kind: &'static str,
    token: Option<String>,
    optional: bool,
    multiple: bool,
    children: Vec<Node>,
}

/// Writes the entry of COMMAND DOCS for a command.
pub fn reply_docs(reply: &mut Reply, command: &Command) {
    let arguments = parse(command.syntax);
    let fields =
        4 + usize::from(!arguments.is_empty()) + usize::from(!command.subcommands.is_empty());
    reply.map(fields);
    for (name, text) in [
        ("summary", command.summary),
        ("since", command.since),
        ("group", command.group),
        ("complexity", command.complexity),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !arguments.is_empty() {
        reply.bulk(b"arguments");
        reply.array(arguments.len());
        arguments.iter().for_each(|node| reply_node(reply, node));
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

fn reply_node(reply: &mut Reply, node: &Node) {
    let is_key = node.kind == "key";
    let flags: Vec<&str> = [(node.optional, "optional"), (node.multiple, "multiple")]
        .iter()
        .filter(|f| f.0)
        .map(|f| f.1)
        .collect();
    let fields = [
        is_key,
        node.token.is_some(),
        !flags.is_empty(),
        !node.children.is_empty(),
    ];
    reply.map(2 + fields.iter().filter(|&&f| f).count());
    let text = |reply: &mut Reply, name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    text(reply, "name", &node.name);
    text(reply, "type", node.kind);
    if is_key {
        reply.bulk(b"key_spec_index");
        reply.int(0);
    }
    if let Some(token) = &node.token {
        text(reply, "token", token);
    }
    if !flags.is_empty() {
        reply.bulk(b"flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if !node.children.is_empty() {
        reply.bulk(b"arguments");
        reply.array(node.children.len());
        node.children
            .iter()
            .for_each(|child| reply_node(reply, child));
    }
}

/// Reads a line of syntax.
fn parse(syntax: &str) -> Vec<Node> {
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

/// Reads nodes up to what ends a group.
fn sequence(words: &mut &[&str]) -> Vec<Node> {
    let mut alternatives: Vec<Vec<Node>> = vec![vec![]];
    while let Some((&word, rest)) = words.split_first() {
        if matches!(word, "]" | ">") {
            break;
        }
        *words = rest;
        let current = alternatives.len() - 1;
        match word {
            "|" => alternatives.push(vec![]),
            "..." => {
                if let Some(node) = alternatives[current].last_mut() {
                    node.multiple = true;
                }
            }
            "[" | "<" => {
                let mut node = group(sequence(words));
                node.optional = word == "[";
                *words = words.get(1..).unwrap_or_default(); // the closing bracket
                alternatives[current].push(node);
            }
            _ if is_token(word) => {
                // A token takes the argument after it along, if that is a plain one.
                let argument = words
                    .first()
                    .filter(|next| next.starts_with(|c: char| c.is_ascii_lowercase()));
                let node = match argument {
                    Some(name) => {
                        *words = &words[1..];
                        Node {
                            token: Some(word.into()),
                            ..argument_node(name)
                        }
                    }
                    None => Node {
                        name: word.to_lowercase(),
                        kind: "pure-token",
                        token: Some(word.into()),
                        ..Node::default()
                    },
                };
                alternatives[current].push(node);
            }
            name => alternatives[current].push(argument_node(name)),
        }
    }
    if alternatives.len() == 1 {
        return alternatives.remove(0);
    }
    let children: Vec<Node> = alternatives.into_iter().map(group).collect();
    vec![Node {
        name: joined(&children, "_or_"),
        kind: "oneof",
        children,
        ..Node::default()
    }]
}

fn is_token(word: &str) -> bool {
    !word.contains(|c: char| c.is_ascii_lowercase())
}

fn argument_node(name: &str) -> Node {
    let kind = match name {
        "key" | "newkey" | "source" | "destination" | "key1" | "key2" => "key",
        "pattern" => "pattern",
        n if n.contains("unix-time") => "unix-time",
        "seconds" | "milliseconds" | "count" | "offset" | "start" | "end" | "index"
        | "increment" | "decrement" | "db" | "len" | "cursor" | "ms" | "client-id" | "index1"
        | "index2" => "integer",
        _ => "string",
    };
    Node {
        name: name.into(),
        kind,
        ..Node::default()
    }
}

/// Several nodes as one.
fn group(mut nodes: Vec<Node>) -> Node {
    if nodes.len() == 1 {
        return nodes.remove(0);
    }
    Node {
        name: joined(&nodes, "_"),
        kind: "block",
        children: nodes,
        ..Node::default()
    }
}

fn joined(nodes: &[Node], by: &str) -> String {
    nodes
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
