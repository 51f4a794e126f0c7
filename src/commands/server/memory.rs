//! MEMORY: what a key costs.

use crate::commands::args::{help as reply_help, int};
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
             "Looks into the use of memory.")
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

pub fn usage(ctx: &mut Context, db: &Db) -> CommandResult {
    // SAMPLES bounds how many elements of a collection are measured; here nothing is that costly to measure whole.
    let mut i = 3;
    while i < ctx.args.len() {
        if !ctx.args.is(i, "SAMPLES") || i + 1 >= ctx.args.len() {
            return Err(Error::SYNTAX);
        }
        if int(&ctx.args[i + 1])? < 0 {
            return Err(Error::SYNTAX);
        }
        i += 2;
    }
    match ctx.peek(db, &ctx.args[2]) {
        Some(object) => {
            let bytes = Db::key_overhead(&ctx.args[2]) + object.value.heap_size();
            ctx.reply.int(bytes as i64);
        }
        None => ctx.reply.null(),
    }
    Ok(())
}

pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "memory", SUBCOMMANDS)
}
