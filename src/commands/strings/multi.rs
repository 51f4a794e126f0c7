//! Several strings at once: MSET, MSETNX, MGET.
//!
//! The arguments of MSET and MSETNX are pairs of a key and a value. All pairs are stored under one lock, so no client sees
//! some of them without the others. A key that is named twice gets the last value, as if its pairs were stored one after the
//! other.
//!
//! MGET never fails because of a type: a key that does not hold a string gives null.

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

/// Fails unless every key has a value.
fn check_pairs(ctx: &Context, command: &str) -> CommandResult {
    if ctx.args.len().is_multiple_of(2) {
        return Err(wrong_arity(command));
    }
    Ok(())
}

/// Stores all pairs.
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
pub fn mset(ctx: &mut Context, db: &mut Db) -> CommandResult {
    check_pairs(ctx, "mset")?;
    set_pairs(ctx, db);
    ctx.reply.ok();
    Ok(())
}

/// `MSETNX key value [key value ...]`: the same, unless one of the keys exists; then it stores nothing. Replies 1 if it
/// stored the strings, else 0. O(N) for N keys.
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

/// `MGET key [key ...]`: replies with the string at each key, or null where there is none. O(N) for N keys.
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
