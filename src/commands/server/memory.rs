//! MEMORY: how much memory a key takes.
//!
//! MEMORY USAGE replies with what this server allocates for a key: its entry in the keyspace, the bytes of a long key,
//! and the value. The number differs from Redis's, because the data structures differ.

use crate::commands::args::{Cursor, help as reply_help};
use crate::commands::command::Handler::{Container, Plain, Read};
use crate::commands::command::flags::{LOADING, NONE, READONLY, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::RO;
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::Db;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("memory", -2, Container, NONE, 0, &[])
        .doc("server", "4.0.0", "Depends on subcommand.", "",
             "Shows how much memory keys take.")
        .subcommands(SUBCOMMANDS),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("help", 2, Plain(help), LOADING | STALE, 0, &[])
        .doc("server", "4.0.0", "O(1)", "",
             "Explains the subcommands of MEMORY."),
    cmd("usage", -3, Read(usage), READONLY, 0, &[key(2, RO)])
        .doc("server", "4.0.0", "O(N)", "key [SAMPLES count]",
             "Estimates the bytes that a key and its value take."),
];

/// `MEMORY USAGE key [SAMPLES count]`
///
/// Replies with the bytes that a key and its value take, or with null if the key does not exist. O(1) for a string. For
/// a stream O(N) for N nodes, consumers and pending entries. SAMPLES, with which Redis bounds how many elements of a
/// collection it measures, has no effect here. As in Redis, a key that has expired but is still stored is measured, and
/// is not deleted.
pub fn usage(ctx: &mut Context, db: &Db) -> CommandResult {
    let mut options = Cursor::new(&ctx.args, 3);
    while let Some(option) = options.next() {
        let is_samples = option.eq_ignore_ascii_case(b"SAMPLES");
        if !is_samples || options.remaining() == 0 || options.int()? < 0 {
            return Err(Error::SYNTAX);
        }
    }
    let key = &ctx.args[2];
    match db.get_any(key) {
        Some(object) => {
            let bytes = Db::key_overhead(key) + object.value.as_type().memory();
            ctx.reply.int(bytes as i64);
        }
        None => ctx.reply.null(),
    }
    Ok(())
}

/// `MEMORY HELP`: replies with the subcommands. O(N) for N subcommands.
pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "memory", SUBCOMMANDS)
}
