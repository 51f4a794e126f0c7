//! Reading one string: GET, and the commands that read a string and change its key in the same step.
//!
//! | command | change | logged as |
//! |---|---|---|
//! | GET | none | |
//! | GETSET | stores another string | `SET key value` |
//! | GETEX | changes or removes the expiry | `PEXPIREAT key unix-time-milliseconds`, `PERSIST key` or `DEL key` |
//! | GETDEL | removes the key | `DEL key` |
//!
//! A replica does not need the reply, so the log has only the change.
//!
//! # Invariant
//!
//! * A key that holds another type gives WRONGTYPE, and does not change.

use crate::commands::args::Cursor;
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{DENYOOM, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, DELETE, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::commands::strings::options::{SetOptions, SetSyntax};
use crate::commands::strings::value::{reply_string, reply_value, value_of};
use crate::store::{Class, Db, NEVER};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("get", 2, Read(get), READONLY | FAST, acl::STRING, &[key(1, RO | ACCESS)])
        .doc("string", "1.0.0", "O(1)", "key",
             "Reads the string at a key."),
    cmd("getset", 3, Write(getset), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE)])
        .doc("string", "1.0.0", "O(1)", "key value",
             "Stores a new string and returns the old one."),
    cmd("getex", -2, Write(getex), WRITE | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE).note("writes because the expiry changes")])
        .doc("string", "6.2.0", "O(1)", "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
             "Reads a string and sets or removes its expiry."),
    cmd("getdel", 2, Write(getdel), WRITE | FAST, acl::STRING, &[key(1, RW | ACCESS | DELETE)])
        .doc("string", "6.2.0", "O(1)", "key",
             "Reads a string and removes the key."),
];

/// `GET key`: replies with the string at the key, or null for no key. O(1).
pub fn get(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_string(ctx, db)
}

/// `GETSET key value`: stores a string, and removes the expiry. Replies with the old string, or null for no key. O(1).
///
/// Propagates `SET key value`.
pub fn getset(ctx: &mut Context, db: &mut Db) -> CommandResult {
    reply_string(ctx, db)?;
    let value = value_of(ctx, 2);
    ctx.set(db, &ctx.args[1], value);
    db.event(Class::String, "set", &ctx.args[1]);
    ctx.dirty += 1;
    ctx.propagate_edited(&[(0, b"SET")]);
    Ok(())
}

/// `GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]`: changes
/// the expiry of a key, or removes it with PERSIST. Replies with the string at the key, or null for no key. O(1).
///
/// Propagates `PEXPIREAT key unix-time-milliseconds` or `PERSIST key`; `DEL key` for a Unix time that has passed;
/// nothing without an option.
pub fn getex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = SetOptions::read(Cursor::new(&ctx.args, 2), SetSyntax::GetEx)?;
    let key = &ctx.args[1];
    let Some(object) = ctx.find(db, key) else {
        ctx.reply.null();
        return Ok(());
    };
    object.value.as_string()?;
    let until = options.deadline(ctx.now, "getex")?;
    reply_value(ctx.reply, &object.value)?;
    let has_expiry = object.expiry().is_some();
    match until {
        Some(at) if options.has_unix_time() && db.goes_at_once(at, ctx.now) => {
            db.delete(key, ctx.now);
            db.event(Class::Generic, "del", key);
            ctx.propagation.add(&[b"DEL", key]);
        }
        Some(at) => {
            db.set_expiry(key, at);
            db.event(Class::Generic, "expire", key);
            let at = at.to_string();
            ctx.propagation.add(&[b"PEXPIREAT", key, at.as_bytes()]);
        }
        None if options.persist && has_expiry => {
            db.set_expiry(key, NEVER);
            db.event(Class::Generic, "persist", key);
            ctx.propagation.add(&[b"PERSIST", key]);
        }
        None => return Ok(()),
    }
    ctx.dirty += 1;
    Ok(())
}

/// `GETDEL key`: removes a key. Replies with the string at the key, or null for no key. O(1).
///
/// Propagates `DEL key`.
pub fn getdel(ctx: &mut Context, db: &mut Db) -> CommandResult {
    reply_string(ctx, db)?;
    let key = &ctx.args[1];
    // As in Redis, on a writable replica this deletes an expired key too, although the reply is null.
    if db.delete(key, ctx.now) {
        db.event(Class::Generic, "del", key);
        ctx.propagation.add(&[b"DEL", key]);
        ctx.dirty += 1;
    }
    Ok(())
}
