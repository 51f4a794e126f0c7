//! The commands: one plain function each, and the one table of all of them.
//!
//! A command does its work on the data and writes its reply. It takes no lock, writes to no socket,
//! wakes nobody: all that is [`crate::execute`]'s business, which calls it. What a command may touch shows in
//! its type. The table ([`table::TABLE`]) names its handler as one of
//!
//! * [`Handler::Plain`], which gets no data at all,
//! * [`Handler::Read`], which gets `&Db` and so cannot change a key,
//! * [`Handler::Write`], which gets `&mut Db`,
//! * [`Handler::ReadAll`] and [`Handler::WriteAll`], which get all databases,
//!
//! and the executor holds the lock that goes with it. Everything else a handler needs is in [`Cx`]: its
//! arguments, its reply, its client's session, the time.
//!
//! Adding a command is one function in the file of its family, and one row in the table: COMMAND,
//! COMMAND DOCS, MULTI, the statistics and the router read that row.

pub mod args;
pub mod client;
pub mod config;
pub mod connection;
pub mod counters;
pub mod docs;
pub mod expire;
pub mod groups;
pub mod info;
pub mod introspect;
pub mod keys;
pub mod lcs;
pub mod memory;
pub mod object;
pub mod pending;
pub mod replication;
pub mod server;
pub mod streams;
pub mod strings;
pub mod table;
pub mod transactions;
pub mod xinfo;

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::Duration;

use crate::resp::{Args, Error, Reply};
use crate::state::Shared;
use crate::state::blocking::{Service, Wait};
use crate::state::config::Config;
use crate::state::journal::Effects;
use crate::state::session::Session;
use crate::store::{Db, Object, Store, Usage};
pub use table::TABLE;

/// How a handler ends: its reply is written, or there is an error to write in its stead.
pub type Done = Result<(), Error>;

/// What a command works with, its data aside.
pub struct Cx<'a> {
    pub shared: &'a Shared,
    pub config: &'a Config,
    pub session: &'a mut Session,
    /// The command's words; the first is its name.
    pub args: Args<'a>,
    pub reply: &'a mut Reply,
    /// Unix time in milliseconds. All commands of a batch see the same, so nothing expires in between.
    pub now: i64,
    /// How a visit to a key is noted.
    pub usage: Usage,
    /// The command may wait: it is not part of a transaction.
    pub may_block: bool,
    /// Keys that a reader met whose time has come. A reader cannot delete them; the executor does, after it.
    pub expired: RefCell<Vec<Vec<u8>>>,
    /// How many changes the command made to the data. If there are any, the command as it was sent goes to the
    /// replicas, unless it says otherwise in `effects`.
    pub dirty: u64,
    /// What of the command goes to the replicas.
    pub effects: &'a mut Effects,
    /// Set by a command that must wait instead of replying.
    pub wait: Option<Wait>,
}

impl Cx<'_> {
    /// The object at the key that argument `i` names, for a reader. Counts as a use of it.
    #[inline]
    pub fn find<'d>(&self, db: &'d Db, i: usize) -> Option<&'d Object> {
        let object = self.peek(db, i);
        if let Some(object) = object {
            object.visit(self.usage);
        }
        object
    }

    /// The same, without counting as a use: for commands that look at a key and not into it.
    #[inline]
    pub fn peek<'d>(&self, db: &'d Db, i: usize) -> Option<&'d Object> {
        let key = &self.args[i];
        let object = match db.get_any(key) {
            Some(object) if object.is_expired(self.now) => {
                self.expired.borrow_mut().push(key.to_vec());
                None
            }
            found => found,
        };
        let counter = if object.is_some() {
            &self.session.hits
        } else {
            &self.session.misses
        };
        counter.set(counter.get() + 1);
        object
    }

    /// The object at the key that argument `i` names, for a writer.
    #[inline]
    pub fn find_mut<'d>(&self, db: &'d mut Db, i: usize) -> Option<&'d mut Object> {
        let object = db.get_mut(&self.args[i], self.now)?;
        object.visit(self.usage);
        Some(object)
    }

    /// The bytes of argument `i`, taken over instead of copied if they are many and nobody else needs them.
    pub fn take_big(&mut self, i: usize) -> Option<Vec<u8>> {
        if self.effects.on() {
            return None; // the replicas get them as well
        }
        self.args.take_big(i)
    }

    /// The command goes to the replicas as it was sent, but with other words in some places.
    pub fn propagate_with(&mut self, changes: &[(usize, &[u8])]) {
        if self.effects.on() {
            let word = |i| {
                let change = changes.iter().find(|(at, _)| *at == i);
                change.map_or(&self.args[i], |(_, word)| word)
            };
            let words: Vec<&[u8]> = (0..self.args.len()).map(word).collect();
            self.effects.instead(&words);
        }
    }

    /// Asks to wait for one of `keys` instead of replying now.
    pub fn block(&mut self, keys: Vec<Vec<u8>>, timeout: Option<Duration>, service: Service) {
        self.wait = Some(Wait {
            keys,
            timeout,
            service,
            on_timeout: None,
            acks: None,
        });
    }
}

/// The code of a command, and what of the data it may touch.
#[derive(Clone, Copy)]
pub enum Handler {
    Plain(fn(&mut Cx) -> Done),
    Read(fn(&mut Cx, &Db) -> Done),
    Write(fn(&mut Cx, &mut Db) -> Done),
    ReadAll(fn(&mut Cx, &Store) -> Done),
    WriteAll(fn(&mut Cx, &mut Store) -> Done),
    /// EXEC, which runs other commands: the executor itself.
    Exec,
    /// Only its subcommands do anything.
    Container,
}

/// What is special about a command: a set of the constants in [`flags`].
pub type Flags = u32;

/// The flags that COMMAND INFO shows, in its order.
pub mod flags {
    pub const NONE: u32 = 0;
    pub const WRITE: u32 = 1 << 0;
    pub const READONLY: u32 = 1 << 1;
    pub const DENYOOM: u32 = 1 << 2;
    pub const ADMIN: u32 = 1 << 3;
    pub const NOSCRIPT: u32 = 1 << 4;
    pub const BLOCKING: u32 = 1 << 5;
    pub const LOADING: u32 = 1 << 6;
    pub const STALE: u32 = 1 << 7;
    pub const SKIP_SLOWLOG: u32 = 1 << 8;
    pub const FAST: u32 = 1 << 9;
    pub const NO_AUTH: u32 = 1 << 10;
    pub const NO_ASYNC_LOADING: u32 = 1 << 11;
    pub const NO_MULTI: u32 = 1 << 12;
    pub const ALLOW_BUSY: u32 = 1 << 13;

    /// Names by bit.
    pub const NAMES: [&str; 14] = [
        "write",
        "readonly",
        "denyoom",
        "admin",
        "noscript",
        "blocking",
        "loading",
        "stale",
        "skip_slowlog",
        "fast",
        "no_auth",
        "no_async_loading",
        "no_multi",
        "allow_busy",
    ];
}

/// Categories of commands, for ACL rules and COMMAND LIST.
pub mod acl {
    pub const KEYSPACE: u32 = 1 << 0;
    pub const READ: u32 = 1 << 1;
    pub const WRITE: u32 = 1 << 2;
    pub const STRING: u32 = 1 << 3;
    pub const STREAM: u32 = 1 << 4;
    pub const FAST: u32 = 1 << 5;
    pub const SLOW: u32 = 1 << 6;
    pub const BLOCKING: u32 = 1 << 7;
    pub const ADMIN: u32 = 1 << 8;
    pub const DANGEROUS: u32 = 1 << 9;
    pub const CONNECTION: u32 = 1 << 10;
    pub const TRANSACTION: u32 = 1 << 11;

    /// Names by bit.
    pub const NAMES: [&str; 12] = [
        "keyspace",
        "read",
        "write",
        "string",
        "stream",
        "fast",
        "slow",
        "blocking",
        "admin",
        "dangerous",
        "connection",
        "transaction",
    ];
}

/// Where in a command its keys are.
pub struct KeySpec {
    /// What the command does to the keys, as COMMAND INFO words it.
    pub flags: &'static str,
    pub note: Option<&'static str>,
    pub begin: Begin,
    /// The last key: counted from the first if not negative, else from the end of the command.
    pub last: i32,
    pub step: i32,
    /// The keys are only the first 1/limit of the words that `last` covers; 0 is all of them.
    pub limit: i32,
}

/// Where the first key is.
pub enum Begin {
    /// At this position.
    Index(usize),
    /// After this word, which is looked for from a position on.
    After(&'static str, usize),
}

/// A row of the table of commands.
pub struct Command {
    pub name: &'static str,
    /// How many words the command has, its name included; -n is "n or more".
    pub arity: i32,
    pub handler: Handler,
    pub flags: Flags,
    /// The categories that do not follow from the flags; see [`Command::categories`].
    pub acl: u32,
    pub keys: &'static [KeySpec],
    pub tips: &'static [&'static str],
    pub group: &'static str,
    /// The version of Redis that brought the command.
    pub since: &'static str,
    pub complexity: &'static str,
    /// What may follow the command's name; see [`docs`] for how to read it.
    pub syntax: &'static str,
    pub summary: &'static str,
    pub subcommands: &'static [Command],
}

impl Command {
    pub const fn has(&self, flag: Flags) -> bool {
        self.flags & flag != 0
    }

    /// All categories the command is in.
    pub fn categories(&self) -> u32 {
        let implied = [
            (flags::WRITE, acl::WRITE),
            (flags::READONLY, acl::READ),
            (flags::ADMIN, acl::ADMIN | acl::DANGEROUS),
            (flags::BLOCKING, acl::BLOCKING),
        ];
        let speed = if self.has(flags::FAST) {
            acl::FAST
        } else {
            acl::SLOW
        };
        implied
            .iter()
            .filter(|(flag, _)| self.has(*flag))
            .fold(self.acl | speed, |all, (_, c)| all | c)
    }

    /// Whether `words` words are a right number.
    #[inline]
    pub fn accepts(&self, words: usize) -> bool {
        let arity = self.arity.unsigned_abs() as usize;
        if self.arity < 0 {
            words >= arity
        } else {
            words == arity
        }
    }
}

/// A command of the table, with what the server needs to find and to count it.
pub struct Row {
    pub command: &'static Command,
    /// The name that errors and statistics use: `get`, `client|id`.
    pub full_name: String,
    /// The number of the first subcommand; the others follow.
    subcommands: usize,
}

/// All commands and subcommands by number, and an index of the commands' names.
pub struct Index {
    pub rows: Vec<Row>,
    slots: [u16; SLOTS],
}

const SLOTS: usize = 512;

/// The index of the table. It is derived from the table once and never changes.
pub static INDEX: LazyLock<Index> = LazyLock::new(Index::new);

impl Index {
    fn new() -> Index {
        let row = |command, full_name| Row {
            command,
            full_name,
            subcommands: 0,
        };
        let mut rows: Vec<Row> = TABLE.iter().map(|c| row(c, c.name.to_string())).collect();
        let mut slots = [u16::MAX; SLOTS];
        for (number, command) in TABLE.iter().enumerate() {
            rows[number].subcommands = rows.len();
            rows.extend(
                command
                    .subcommands
                    .iter()
                    .map(|s| row(s, format!("{}|{}", command.name, s.name))),
            );
            let mut at = slot_of(command.name.as_bytes());
            while slots[at] != u16::MAX {
                at = (at + 1) % SLOTS;
            }
            slots[at] = number as u16;
        }
        Index { rows, slots }
    }

    /// The number of the command with this name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let mut at = slot_of(name);
        loop {
            let number = usize::from(*self.slots.get(at)?);
            let row = self.rows.get(number)?;
            if row.command.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(number);
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// The number of a subcommand of command `number`.
    pub fn find_sub(&self, number: usize, name: &[u8]) -> Option<usize> {
        let Row {
            command,
            subcommands,
            ..
        } = &self.rows[number];
        let at = command
            .subcommands
            .iter()
            .position(|s| s.name.as_bytes().eq_ignore_ascii_case(name))?;
        Some(subcommands + at)
    }

    /// Whether a request changes data.
    pub fn is_write(&self, args: &Args) -> bool {
        let top = self.find(&args[0]);
        let sub = top.and_then(|top| self.find_sub(top, args.get(1)?));
        let number = sub.or(top);
        number.is_some_and(|number| self.rows[number].command.has(flags::WRITE))
    }
}

/// A name's place in the index: any hash will do, the names are ours.
fn slot_of(name: &[u8]) -> usize {
    let hash = name.iter().fold(0u32, |h, b| {
        h.wrapping_mul(31).wrapping_add(u32::from(b | 0x20))
    });
    hash as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        for (number, command) in TABLE.iter().enumerate() {
            assert_eq!(INDEX.find(command.name.as_bytes()), Some(number));
            assert_eq!(
                INDEX.find(command.name.to_uppercase().as_bytes()),
                Some(number)
            );
            for sub in command.subcommands {
                let found = INDEX
                    .find_sub(number, sub.name.to_uppercase().as_bytes())
                    .unwrap();
                assert_eq!(
                    INDEX.rows[found].full_name,
                    format!("{}|{}", command.name, sub.name)
                );
            }
        }
        assert_eq!(INDEX.find(b"nosuchcommand"), None);
        assert_eq!(INDEX.find(b""), None);
    }

    #[test]
    fn flags_and_handlers_agree() {
        for row in &INDEX.rows {
            let (c, name) = (row.command, &row.full_name);
            match c.handler {
                Handler::Write(_) => assert!(c.has(flags::WRITE), "{name}"),
                Handler::Read(_) | Handler::ReadAll(_) => assert!(!c.has(flags::WRITE), "{name}"),
                Handler::Container => assert!(!c.subcommands.is_empty(), "{name}"),
                Handler::Plain(_) | Handler::WriteAll(_) | Handler::Exec => {}
            }
            assert!(!c.summary.is_empty() && c.summary.ends_with('.'), "{name}");
        }
    }
}
