//! The table of commands: the rows of all families, joined into one index.
//!
//! Each file of a family lists the rows of its own commands (`COMMANDS`), beside their handlers. This file only names
//! the files. COMMAND, COMMAND DOCS, the statistics and the executor read the [`Index`] that is built from them.
//!
//! # Invariant
//!
//! * A command has the same number in every index, also in one with renamed commands.

use std::sync::LazyLock;

use super::command::{Command, Index};
use super::{connection, keys, replication, server, streams, strings, transactions};

/// The rows of every file, by family.
static FAMILIES: &[&[Command]] = &[
    connection::session::COMMANDS,
    connection::login::COMMANDS,
    connection::client::COMMANDS,
    server::command::COMMANDS,
    server::config::COMMANDS,
    server::databases::COMMANDS,
    server::debug::COMMANDS,
    server::info::COMMANDS,
    server::memory::COMMANDS,
    server::shutdown::COMMANDS,
    replication::roles::COMMANDS,
    replication::failover::COMMANDS,
    replication::replconf::COMMANDS,
    replication::sync::COMMANDS,
    replication::wait::COMMANDS,
    transactions::COMMANDS,
    keys::generic::COMMANDS,
    keys::scan::COMMANDS,
    keys::naming::COMMANDS,
    keys::expire::COMMANDS,
    keys::object::COMMANDS,
    strings::set::COMMANDS,
    strings::get::COMMANDS,
    strings::multi::COMMANDS,
    strings::range::COMMANDS,
    strings::counters::COMMANDS,
    strings::lcs::COMMANDS,
    streams::add::COMMANDS,
    streams::range::COMMANDS,
    streams::read::COMMANDS,
    streams::groups::COMMANDS,
    streams::read_group::COMMANDS,
    streams::pending::COMMANDS,
    streams::claim::COMMANDS,
    streams::info::COMMANDS,
];

/// The index of all commands under their own names. It is built once and never changes.
pub static INDEX: LazyLock<Index> = LazyLock::new(|| Index::new(FAMILIES));

/// The index of a server whose settings rename these commands. An index with renamed commands is never freed, because
/// threads that outlive the `Server` value may still use it.
///
/// # Errors
///
/// Those of [`renamed`].
pub fn index_for(renames: &[(String, String)]) -> Result<&'static Index, String> {
    if renames.is_empty() {
        return Ok(&INDEX);
    }
    Ok(Box::leak(Box::new(renamed(renames)?)))
}

/// The index with some commands renamed; see [`Index::renamed`].
pub fn renamed(renames: &[(String, String)]) -> Result<Index, String> {
    Index::renamed(FAMILIES, renames)
}

#[cfg(test)]
mod tests {
    use super::super::command::{Handler, flags};
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        for (number, row) in INDEX.commands().enumerate() {
            let command = row.command;
            let upper = command.name.to_uppercase();
            assert_eq!(INDEX.find(command.name.as_bytes()), Some(number));
            assert_eq!(INDEX.find(upper.as_bytes()), Some(number));
            for sub in command.subcommands {
                let name = sub.name.to_uppercase();
                let found = INDEX.find_sub(number, name.as_bytes()).unwrap();
                let full_name = format!("{}|{}", command.name, sub.name);
                assert_eq!(INDEX.rows[found].full_name, full_name);
            }
        }
        assert_eq!(INDEX.find(b"nosuchcommand"), None);
        assert_eq!(INDEX.find(b""), None);
    }

    #[test]
    fn commands_are_renamed_one_after_the_other() {
        let renames = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(old, new)| (old.to_string(), new.to_string()));
            renamed(&pairs.collect::<Vec<_>>())
        };
        let index = renames(&[("GET", "Fetch"), ("set", "GET"), ("Config", "")]).unwrap();
        let command = |name: &str| {
            index
                .find(name.as_bytes())
                .map(|n| index.rows[n].command.name)
        };
        assert_eq!(command("FETCH"), Some("get"));
        assert_eq!(command("get"), Some("set"));
        assert_eq!(
            (command("set"), command("config"), command("")),
            (None, None, None)
        );
        // Numbers and full names are those of the commands as they were.
        assert_eq!(index.find(b"fetch"), INDEX.find(b"get"));
        assert_eq!(
            index.rows[INDEX.find(b"config").unwrap()].full_name,
            "config"
        );
        let why = |pairs| renames(pairs).err().unwrap_or_default();
        assert_eq!(why(&[("nosuch", "x")]), "No such command in rename-command");
        assert_eq!(
            why(&[("client|id", "x")]),
            "No such command in rename-command"
        );
        assert_eq!(why(&[("get", "SET")]), "Target command name already exists");
        assert_eq!(
            why(&[("get", ""), ("get", "x")]),
            "No such command in rename-command"
        );
        assert_eq!(why(&[("get", "GET")]), "");
    }

    #[test]
    fn flags_and_handlers_agree() {
        for row in &INDEX.rows {
            let (c, name) = (row.command, &row.full_name);
            match c.handler {
                Handler::Write(_) => assert!(c.has(flags::WRITE), "{name}"),
                Handler::Read(_) | Handler::ReadAll(_) => assert!(!c.has(flags::WRITE), "{name}"),
                Handler::Container => assert!(!c.subcommands.is_empty(), "{name}"),
                Handler::Plain(_) | Handler::WriteAll(_) | Handler::Table(_) | Handler::Exec => {}
            }
            assert!(!c.summary.is_empty() && c.summary.ends_with('.'), "{name}");
        }
    }
}
