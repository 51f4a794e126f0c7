//! What the table says about a command: its row, and the index of all rows.
//!
//! A row has two parts. [`cmd`] makes the first, which the server needs to run the command: name, arity, handler,
//! flags, ACL categories and key specs. [`Command::doc`] adds the second, for people: group, the Redis version that
//! introduced the command, complexity, syntax and summary. ([The commands](super) has an example.) Arity, flags,
//! categories and key specs are those of Redis 7.0, because clients route and retry by them.
//!
//! A handler's type says which data it may touch, and so which lock the executor must hold to call it:
//!
//! | variant | the handler gets | lock |
//! |---|---|---|
//! | [`Handler::Plain`] | no data | none |
//! | [`Handler::Read`], [`Handler::ReadAll`] | `&Db`, `&Store` | read |
//! | [`Handler::Write`], [`Handler::WriteAll`] | `&mut Db`, `&mut Store` | write |
//! | [`Handler::Table`] | the index of commands | none |
//!
//! EXEC holds the write lock for the whole transaction, so every queued command runs under it.
//!
//! # Invariants
//!
//! * The row of a `Write` handler has the WRITE flag; the row of a `Read` or `ReadAll` handler does not.
//! * Every container has subcommands.

use super::context::{CommandResult, Context};
use super::key_spec::KeySpec;
use crate::resp::Args;
use crate::store::{Db, Store};

/// A command's function. The variant says which data the function may touch.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Does not touch the data.
    Plain(fn(&mut Context) -> CommandResult),
    /// Reads the current database.
    Read(fn(&mut Context, &Db) -> CommandResult),
    /// Changes the current database.
    Write(fn(&mut Context, &mut Db) -> CommandResult),
    /// Reads all databases.
    ReadAll(fn(&mut Context, &Store) -> CommandResult),
    /// Changes all databases, or the server's role.
    WriteAll(fn(&mut Context, &mut Store) -> CommandResult),
    /// Reads the table of commands.
    Table(fn(&mut Context, &'static Index) -> CommandResult),
    /// EXEC. It runs other commands, so the executor does its work.
    Exec,
    /// A container: only its subcommands can be called.
    Container,
}

/// The properties of a command: a set of the constants in [`flags`].
pub type Flags = u32;

/// The flags of a command, in the order in which COMMAND INFO shows them. The last two are this server's own, and
/// COMMAND INFO does not show them. The line above each flag is about a command that has it.
///
/// The executor acts on WRITE, READONLY, STALE, FAST, NO_AUTH, NO_MULTI and the last two. WRITE, READONLY, BLOCKING,
/// ADMIN and FAST also imply ACL categories ([`Command::categories`]). The other flags only inform clients: this server
/// has no scripts, no slow log and no memory limit, and it answers as usual while it loads a copy from its primary.
pub mod flags {
    /// No flag.
    pub const NONE: u32 = 0;
    /// May change data. A read-only replica refuses it, and a pause of writes delays it.
    pub const WRITE: u32 = 1 << 0;
    /// Reads keys or their values, and changes nothing.
    pub const READONLY: u32 = 1 << 1;
    /// May need more memory. Redis refuses it when `maxmemory` is reached.
    pub const DENYOOM: u32 = 1 << 2;
    /// For administrators, such as SHUTDOWN.
    pub const ADMIN: u32 = 1 << 3;
    /// Scripts may not call it.
    pub const NOSCRIPT: u32 = 1 << 4;
    /// May make the client wait for a key.
    pub const BLOCKING: u32 = 1 << 5;
    /// Redis runs it while it loads its data.
    pub const LOADING: u32 = 1 << 6;
    /// Runs on a replica that has lost its primary, even with `replica-serve-stale-data no`.
    pub const STALE: u32 = 1 << 7;
    /// Not in the slow log.
    pub const SKIP_SLOWLOG: u32 = 1 << 8;
    /// Takes O(1) or O(log N). Calls of one such command in a row are timed together.
    pub const FAST: u32 = 1 << 9;
    /// Runs before the client has authenticated.
    pub const NO_AUTH: u32 = 1 << 10;
    /// Redis refuses it while a replica loads a copy beside its old data.
    pub const NO_ASYNC_LOADING: u32 = 1 << 11;
    /// Not allowed inside a transaction.
    pub const NO_MULTI: u32 = 1 << 12;
    /// Runs while a script blocks the server.
    pub const ALLOW_BUSY: u32 = 1 << 13;
    /// Runs at once, even while MULTI is open.
    pub const NOT_QUEUED: u32 = 1 << 14;
    /// The deletion of each expired key that the command meets is a unit of its own in the log.
    pub const EXPIRE_EACH: u32 = 1 << 15;

    /// The name of each flag that COMMAND INFO shows, by bit.
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

/// The ACL categories, in Redis's order. A constant is missing where no command of this server is in the category.
pub mod acl {
    /// Commands about keys of any type, or about whole databases: DEL, EXPIRE, SCAN, FLUSHALL.
    pub const KEYSPACE: u32 = 1 << 0;
    /// Commands that read keys or values: those with [`READONLY`](super::flags::READONLY).
    pub const READ: u32 = 1 << 1;
    /// Commands that may change data: those with [`WRITE`](super::flags::WRITE).
    pub const WRITE: u32 = 1 << 2;
    /// Commands on strings: GET, SET, INCR.
    pub const STRING: u32 = 1 << 7;
    /// Commands on streams: XADD, XREAD, XGROUP.
    pub const STREAM: u32 = 1 << 11;
    /// Commands for administrators: those with [`ADMIN`](super::flags::ADMIN), such as CONFIG SET and SHUTDOWN, and
    /// ROLE.
    pub const ADMIN: u32 = 1 << 13;
    /// Commands that take O(1) or O(log N): those with [`FAST`](super::flags::FAST).
    pub const FAST: u32 = 1 << 14;
    /// All other commands.
    pub const SLOW: u32 = 1 << 15;
    /// Commands that may make the client wait for a key: those with [`BLOCKING`](super::flags::BLOCKING), such as
    /// XREAD.
    pub const BLOCKING: u32 = 1 << 16;
    /// Commands that can harm a server or take long: those of [`ADMIN`], and others such as FLUSHALL, KEYS and INFO.
    pub const DANGEROUS: u32 = 1 << 17;
    /// Commands about a connection or about the commands themselves: AUTH, SELECT, PING, CLIENT ID, COMMAND.
    pub const CONNECTION: u32 = 1 << 18;
    /// MULTI, EXEC, DISCARD, WATCH and UNWATCH.
    pub const TRANSACTION: u32 = 1 << 19;

    /// The name of each category, by bit.
    pub const NAMES: [&str; 21] = [
        "keyspace",
        "read",
        "write",
        "set",
        "sortedset",
        "list",
        "hash",
        "string",
        "bitmap",
        "hyperloglog",
        "geo",
        "stream",
        "pubsub",
        "admin",
        "fast",
        "slow",
        "blocking",
        "dangerous",
        "connection",
        "transaction",
        "scripting",
    ];
}

/// A row of the table of commands: a command or a subcommand.
pub struct Command {
    /// The name, in lower case.
    pub name: &'static str,
    /// How many arguments the command has, its name included (and a subcommand's container too); -n means "n or more".
    pub arity: i32,
    /// The function that runs the command. Its type says which lock it needs.
    pub handler: Handler,
    /// The command's properties: a set of the constants in [`flags`].
    pub flags: Flags,
    /// The ACL categories that do not follow from the flags: a set of the constants in [`acl`].
    pub acl: u32,
    /// Where the command's keys are.
    pub keys: &'static [KeySpec],
    /// Redis's command tips: hints for clients that route commands in a cluster or compare replies.
    pub tips: &'static [&'static str],
    /// The group in COMMAND DOCS, such as `string`.
    pub group: &'static str,
    /// The version of Redis that introduced the command.
    pub since: &'static str,
    /// The cost in O(); empty if Redis does not say it.
    pub complexity: &'static str,
    /// The arguments after the name, in the notation that COMMAND DOCS parses: `key...` and `<key value>...` are
    /// repeated.
    pub syntax: &'static str,
    /// What the command does: one sentence, with a full stop.
    pub summary: &'static str,
    /// The rows of a container's subcommands; empty for other commands.
    pub subcommands: &'static [Command],
}

/// Begins a row with what the server needs to run the command. [`Command::doc`] adds the rest.
pub const fn cmd(
    name: &'static str,
    arity: i32,
    handler: Handler,
    flags: Flags,
    acl: u32,
    keys: &'static [KeySpec],
) -> Command {
    Command {
        name,
        arity,
        handler,
        flags,
        acl,
        keys,
        tips: &[],
        group: "",
        since: "",
        complexity: "",
        syntax: "",
        summary: "",
        subcommands: &[],
    }
}

impl Command {
    /// Adds what the row says to people.
    pub const fn doc(
        self,
        group: &'static str,
        since: &'static str,
        complexity: &'static str,
        syntax: &'static str,
        summary: &'static str,
    ) -> Command {
        Command {
            group,
            since,
            complexity,
            syntax,
            summary,
            ..self
        }
    }

    /// Adds the command tips.
    pub const fn tips(self, tips: &'static [&'static str]) -> Command {
        Command { tips, ..self }
    }

    /// Makes the command the container of these subcommands.
    pub const fn subcommands(self, subcommands: &'static [Command]) -> Command {
        Command {
            subcommands,
            ..self
        }
    }

    /// Whether the row has one of these flags.
    pub const fn has(&self, flag: Flags) -> bool {
        self.flags & flag != 0
    }

    /// All ACL categories of the command: those of the row, and those that follow from the flags.
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

    /// Whether the command may have `count` arguments, its name included.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        let arity = self.arity.unsigned_abs() as usize;
        if self.arity < 0 {
            count >= arity
        } else {
            count == arity
        }
    }
}

/// A command or subcommand in the [`Index`], with its names.
pub struct Row {
    /// The row of the table.
    pub command: &'static Command,
    /// The name by which clients call the command. The setting `rename-command` can change it: a renamed command has
    /// the new name as the setting writes it, and a removed command has an empty name.
    pub name: String,
    /// The name that errors, statistics and COMMAND INFO use: `get`, `client|id`. Renaming does not change it.
    pub full_name: String,
    /// The number of the command's first subcommand; the others follow it.
    subcommands: usize,
}

/// All commands and subcommands by number, and a hash table of the commands' names.
///
/// Commands come first, in the order of the table; the subcommands of all containers follow:
///
/// ```text
///   number   0         1         …   N              N + 1
///   row      command   command   …   subcommand     subcommand
/// ```
///
/// Numbers never change while the server runs, so the statistics of a command are an element of an array. Renames do
/// not change them: a renamed command keeps its number, and a removed one keeps its row, which no lookup by name finds.
pub struct Index {
    /// Commands first, then subcommands.
    pub rows: Vec<Row>,
    /// How many rows are commands and not subcommands.
    commands: usize,
    /// The hash table, with linear probing: the numbers of commands by the hashes of their names. [`EMPTY`] marks a
    /// slot without a command.
    slots: [u16; SLOTS],
}

/// The size of the hash table. It is larger than the number of commands, so every search meets an empty slot.
const SLOTS: usize = 512;
/// An empty slot of the hash table.
const EMPTY: u16 = u16::MAX;

impl Index {
    /// The index of these families of commands.
    pub fn new(families: &[&'static [Command]]) -> Index {
        let row = |command: &'static Command, full_name| Row {
            command,
            name: command.name.to_string(),
            full_name,
            subcommands: 0,
        };
        let commands = families.iter().flat_map(|family| family.iter());
        let mut rows: Vec<Row> = commands.map(|c| row(c, c.name.to_string())).collect();
        let commands = rows.len();
        for number in 0..commands {
            let command = rows[number].command;
            rows[number].subcommands = rows.len();
            let full_name = |sub: &Command| format!("{}|{}", command.name, sub.name);
            rows.extend(command.subcommands.iter().map(|s| row(s, full_name(s))));
        }
        let mut index = Index {
            rows,
            commands,
            slots: [EMPTY; SLOTS],
        };
        index.fill_slots();
        index
    }

    /// The index of these families with some commands renamed, in the order of `renames`. A rename is the old name and
    /// the new one; an empty new name removes the command.
    ///
    /// # Errors
    ///
    /// Redis's text, if no command has the old name, or if another command has the new name already.
    pub fn renamed(
        families: &[&'static [Command]],
        renames: &[(String, String)],
    ) -> Result<Index, String> {
        let mut index = Index::new(families);
        for (old, new) in renames {
            let number = index.find(old.as_bytes());
            let number = number.ok_or("No such command in rename-command")?;
            index.rows[number].name.clear();
            index.fill_slots();
            if index.find(new.as_bytes()).is_some() {
                return Err("Target command name already exists".into());
            }
            index.rows[number].name.clone_from(new);
            index.fill_slots();
        }
        Ok(index)
    }

    /// Fills the hash table with the names by which clients call the commands.
    fn fill_slots(&mut self) {
        self.slots = [EMPTY; SLOTS];
        for number in 0..self.commands {
            let name = &self.rows[number].name;
            if name.is_empty() {
                continue;
            }
            let mut at = slot_of(name.as_bytes());
            while self.slots[at] != EMPTY {
                at = (at + 1) % SLOTS;
            }
            self.slots[at] = number as u16;
        }
    }

    /// The rows of all commands that clients can call, without the subcommands.
    pub fn commands(&self) -> impl Iterator<Item = &Row> {
        let rows = self.rows[..self.commands].iter();
        rows.filter(|row| !row.name.is_empty())
    }

    /// The number of the command that clients call by this name. ASCII case does not matter.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let mut at = slot_of(name);
        loop {
            let number = usize::from(*self.slots.get(at)?);
            // The number in an empty slot is no row's: the search ends.
            let row = self.rows.get(number)?;
            if row.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(number);
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// The number of the subcommand with this name of command `number`. ASCII case does not matter.
    pub fn find_sub(&self, number: usize, name: &[u8]) -> Option<usize> {
        let row = &self.rows[number];
        let named = |s: &Command| s.name.as_bytes().eq_ignore_ascii_case(name);
        let at = row.command.subcommands.iter().position(named)?;
        Some(row.subcommands + at)
    }

    /// Whether a request calls a command or subcommand that may change data.
    pub fn is_write(&self, args: &Args) -> bool {
        let top = self.find(&args[0]);
        let sub = top.and_then(|top| self.find_sub(top, args.get(1)?));
        let number = sub.or(top);
        number.is_some_and(|number| self.rows[number].command.has(flags::WRITE))
    }
}

/// The slot at which the search for a name begins, the same in upper and lower case. The hash needs no secret key,
/// because clients do not choose the names in the table.
fn slot_of(name: &[u8]) -> usize {
    let hash = name.iter().fold(0u32, |h, b| {
        h.wrapping_mul(31).wrapping_add(u32::from(b | 0x20))
    });
    hash as usize % SLOTS
}
