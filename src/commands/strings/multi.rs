//! Several strings at once: MSET, MSETNX, MGET.
//!
//! The arguments of MSET and MSETNX are pairs of a key and a value. All pairs are stored under one lock, so no client
//! sees only some of them. A key that is given twice gets the last of its values:
//!
//! ```text
//!   MSET a 1 b 2 a 3    OK
//!   MGET a b nosuch     "3", "2", null
//! ```
//!
//! MGET never replies WRONGTYPE: for a key that does not hold a string it replies null.

use crate::commands::args::wrong_arity;
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{DENYOOM, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, INSERT, OW, RO, UPDATE};
use crate::commands::key_spec::keys;
use crate::commands::strings::value::{reply_value, value_of};
use crate::store::{Class, Db};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("mset", -3, Write(mset), WRITE | DENYOOM, acl::STRING, &[keys(1, -1, 2, OW | UPDATE)])
        .doc("string", "1.0.1", "O(N)", "<key value>...",
             "Stores several strings at once.")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    cmd("msetnx", -3, Write(msetnx), WRITE | DENYOOM, acl::STRING, &[keys(1, -1, 2, OW | INSERT)])
        .doc("string", "1.0.1", "O(N)", "<key value>...",
             "Stores several strings at once unless one of the keys exists.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    cmd("mget", -2, Read(mget), READONLY | FAST, acl::STRING, &[keys(1, -1, 1, RO | ACCESS)])
        .doc("string", "1.0.0", "O(N)", "key...",
             "Reads several strings at once.")
        .tips(&["request_policy:multi_shard"]),
];

/// Checks that every key has a value.
///
/// # Errors
///
/// Redis's error for a wrong number of arguments, which names `command`.
fn check_pairs(ctx: &Context, command: &str) -> CommandResult {
    if ctx.args.len().is_multiple_of(2) {
        return Err(wrong_arity(command));
    }
    Ok(())
}

/// Stores all pairs, and reports the changes.
fn set_pairs(ctx: &mut Context, db: &mut Db) {
    for i in (1..ctx.args.len()).step_by(2) {
        let value = value_of(ctx, i + 1);
        let key = &ctx.args[i];
        ctx.set(db, key, value);
        db.event(Class::String, "set", key);
        ctx.dirty += 1;
    }
}

/// `MSET key value [key value ...]`: stores a string at each key. Replies OK. O(N) for N keys.
///
/// Reports each stream that it replaces as ready.
pub fn mset(ctx: &mut Context, db: &mut Db) -> CommandResult {
    check_pairs(ctx, "mset")?;
    set_pairs(ctx, db);
    ctx.reply.ok();
    Ok(())
}

/// `MSETNX key value [key value ...]`: stores a string at each key, or nothing if one of the keys exists. Replies 1 if
/// it stored the strings, else 0. O(N) for N keys.
pub fn msetnx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    check_pairs(ctx, "msetnx")?;
    let mut keys = (1..ctx.args.len()).step_by(2);
    let one_exists = keys.any(|i| db.get_mut(&ctx.args[i], ctx.now).is_some());
    if !one_exists {
        set_pairs(ctx, db);
    }
    ctx.reply.int((!one_exists).into());
    Ok(())
}

/// `MGET key [key ...]`: replies with an array of the string at each key, or null where there is no string. O(N) for N
/// keys.
pub fn mget(ctx: &mut Context, db: &Db) -> CommandResult {
    ctx.reply.array(ctx.args.len() - 1);
    for key in ctx.args.iter_from(1) {
        let found = ctx.find(db, key);
        let replied = found.is_some_and(|object| reply_value(ctx.reply, &object.value).is_ok());
        if !replied {
            ctx.reply.null();
        }
    }
    Ok(())
}
