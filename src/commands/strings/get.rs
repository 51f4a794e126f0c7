//! Reading one string: GET, and the commands that read a string and change its key at the same time.
//!
//! | command | reads, and then | logged as |
//! |---|---|---|
//! | GET | nothing | |
//! | GETSET | stores another string | SET |
//! | GETEX | changes the expiry | PEXPIREAT, PERSIST or DEL |
//! | GETDEL | removes the key | DEL |
//!
//! A replica does not need what was read, so the log has only the change, in the form that gives the same result there.
//!
//! # Invariant
//!
//! * A key that holds something else than a string is an error, and is left as it is.

use crate::commands::args::Cursor;
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{DENYOOM, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, DELETE, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::commands::strings::options::{SetOptions, SetSyntax};
use crate::commands::strings::value::{reply_old, reply_value, value_of};
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

/// `GET key`: replies with the string at the key, or null. O(1).
pub fn get(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_old(ctx, db).map(|_| ())
}

/// `GETSET key value`: stores a string, and replies with the old one, or null. O(1). Propagates SET.
pub fn getset(ctx: &mut Context, db: &mut Db) -> CommandResult {
    reply_old(ctx, db)?;
    let value = value_of(ctx, 2);
    ctx.set(db, &ctx.args[1], value);
    db.event(Class::String, "set", &ctx.args[1]);
    ctx.dirty += 1;
    ctx.propagate_edited(&[(0, b"SET")]);
    Ok(())
}

/// `GETEX key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]`: replies with
/// the string at the key, or null, and changes or removes its expiry. O(1).
///
/// Propagates `PEXPIREAT key unix-time-milliseconds` or `PERSIST key`; `DEL key` for a Unix time that has passed.
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

/// `GETDEL key`: replies with the string at the key, or null, and removes the key. O(1). Propagates DEL.
pub fn getdel(ctx: &mut Context, db: &mut Db) -> CommandResult {
    reply_old(ctx, db)?;
    let key = &ctx.args[1];
    // On a writable replica an expired key is hidden from the reply, and deleted all the same.
    if db.delete(key, ctx.now) {
        db.event(Class::Generic, "del", key);
        ctx.propagation.add(&[b"DEL", key]);
        ctx.dirty += 1;
    }
    Ok(())
}
