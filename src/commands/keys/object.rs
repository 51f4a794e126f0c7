//! OBJECT: how a value is stored, and how its key is used.
//!
//! OBJECT does not count as a use of the key. A key has room for one figure about its use, and the setting
//! `maxmemory-policy` says which: with an LFU policy it is a counter of uses (OBJECT FREQ), otherwise the time of the
//! last use (OBJECT IDLETIME). The other subcommand replies with an error.

use crate::commands::args::help as reply_help;
use crate::commands::command::Handler::{Container, Plain, Read};
use crate::commands::command::flags::{LOADING, NONE, READONLY, STALE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::RO;
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::{Db, Object, StringValue, Value};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("object", -2, Container, NONE, 0, &[])
        .doc("generic", "2.2.3", "Depends on subcommand.", "",
             "Shows how a value is stored and used.")
        .subcommands(SUBCOMMANDS),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("encoding", 3, Read(encoding), READONLY, acl::KEYSPACE, &[key(2, RO)])
        .doc("generic", "2.2.3", "O(1)", "key",
             "Tells the representation of a value in memory.")
        .tips(&["nondeterministic_output"]),
    cmd("freq", 3, Read(freq), READONLY, acl::KEYSPACE, &[key(2, RO)])
        .doc("generic", "4.0.0", "O(1)", "key",
             "Tells how often a key is used, on a logarithmic scale.")
        .tips(&["nondeterministic_output"]),
    cmd("help", 2, Plain(help), LOADING | STALE, acl::KEYSPACE, &[])
        .doc("generic", "6.2.0", "O(1)", "",
             "Explains the subcommands of OBJECT."),
    cmd("idletime", 3, Read(idletime), READONLY, acl::KEYSPACE, &[key(2, RO)])
        .doc("generic", "2.2.3", "O(1)", "key",
             "Tells the seconds since a key was last used.")
        .tips(&["nondeterministic_output"]),
    cmd("refcount", 3, Read(refcount), READONLY, acl::KEYSPACE, &[key(2, RO)])
        .doc("generic", "2.2.3", "O(1)", "key",
             "Tells the number of references to a value.")
        .tips(&["nondeterministic_output"]),
];

/// Redis shares one object for each integer from 0 up to this number, which is excluded. Their reference count is the
/// largest 32-bit integer.
const SHARED_INTEGERS: i64 = 10_000;

/// Runs `body`, which replies for the object at the key; replies null if there is no key.
fn with_object(
    ctx: &mut Context,
    db: &Db,
    body: impl FnOnce(&mut Context, &Object) -> CommandResult,
) -> CommandResult {
    match ctx.peek(db, &ctx.args[2]) {
        Some(object) => body(ctx, object),
        None => {
            ctx.reply.null();
            Ok(())
        }
    }
}

/// `OBJECT ENCODING key`: replies with the name of the value's representation in memory, such as `int`; null for no
/// key. O(1).
pub fn encoding(ctx: &mut Context, db: &Db) -> CommandResult {
    with_object(ctx, db, |ctx, object| {
        ctx.reply.bulk(object.value.as_type().encoding().as_bytes());
        Ok(())
    })
}

/// `OBJECT REFCOUNT key`: replies with the number of references to the value; null for no key. O(1).
///
/// This server does not share values, but replies as Redis does, which shares small integers.
pub fn refcount(ctx: &mut Context, db: &Db) -> CommandResult {
    with_object(ctx, db, |ctx, object| {
        let is_shared = |n: &i64| (0..SHARED_INTEGERS).contains(n);
        let shared = matches!(&object.value, Value::String(StringValue::Int(n)) if is_shared(n));
        ctx.reply.int(if shared { i64::from(i32::MAX) } else { 1 });
        Ok(())
    })
}

/// `OBJECT IDLETIME key`: replies with the seconds since the last use of the key; null for no key, an error with an LFU
/// policy. O(1).
pub fn idletime(ctx: &mut Context, db: &Db) -> CommandResult {
    with_object(ctx, db, |ctx, object| {
        if ctx.config.is_lfu() {
            return Err(Error::text(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        ctx.reply.int(idle_seconds(ctx, object));
        Ok(())
    })
}

/// The seconds since the object was last used. Without meaning under an LFU policy.
pub fn idle_seconds(ctx: &Context, object: &Object) -> i64 {
    (ctx.now / 1000 - i64::from(object.used())).max(0)
}

/// `OBJECT FREQ key`: replies with the logarithmic counter of uses; null for no key, an error without an LFU policy.
/// O(1).
pub fn freq(ctx: &mut Context, db: &Db) -> CommandResult {
    with_object(ctx, db, |ctx, object| {
        if !ctx.config.is_lfu() {
            return Err(Error::text(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
                 when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        ctx.reply.int(i64::from(ctx.usage.frequency(object.used())));
        Ok(())
    })
}

/// `OBJECT HELP`: replies with the subcommands and their summaries. O(1).
pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "object", SUBCOMMANDS)
}
