//! SET, and the commands that are a SET with another syntax: SETNX, SETEX, PSETEX.
//!
//! All of them end in [`store`]. It replaces whatever was at the key, of any type, and its expiry too, and reports the event
//! `set`, followed by `expire` if the key has an expiry now.
//!
//! # Propagation
//!
//! A replica runs a SET later than this server, so a relative expiry becomes an absolute one: `SET k v EX 10` is logged as
//! `SET k v PXAT 1700000010000`, without the options that were met. GET is left out of a SET without an expiry.

use crate::commands::args::{Cursor, int};
use crate::commands::command::Handler::Write;
use crate::commands::command::flags::{DENYOOM, FAST, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::expiry::Form;
use crate::commands::key_spec::flags::{ACCESS, INSERT, OW, RW, UPDATE, VARIABLE_FLAGS};
use crate::commands::key_spec::key;
use crate::commands::strings::options::{SetOptions, SetSyntax};
use crate::commands::strings::value::{reply_old, value_of};
use crate::store::{Class, Db, Ttl};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("set", -3, Write(set), WRITE | DENYOOM, acl::STRING, &[key(1, RW | ACCESS | UPDATE | VARIABLE_FLAGS).note("reads too when GET is given")])
        .doc("string", "1.0.0", "O(1)", "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
             "Stores a string at a key, whatever was there before."),
    cmd("setnx", 3, Write(setnx), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, OW | INSERT)])
        .doc("string", "1.0.0", "O(1)", "key value",
             "Stores a string unless the key exists."),
    cmd("setex", 4, Write(setex), WRITE | DENYOOM, acl::STRING, &[key(1, OW | UPDATE)])
        .doc("string", "2.0.0", "O(1)", "key seconds value",
             "Stores a string that lives for a number of seconds."),
    cmd("psetex", 4, Write(psetex), WRITE | DENYOOM, acl::STRING, &[key(1, OW | UPDATE)])
        .doc("string", "2.6.0", "O(1)", "key milliseconds value",
             "Stores a string that lives for a number of milliseconds."),
];

/// Stores argument `value` at the key, and reports it.
fn store(ctx: &mut Context, db: &mut Db, value: usize, ttl: Ttl) {
    let value = value_of(ctx, value);
    let key = &ctx.args[1];
    db.set(key, value, ttl, ctx.usage, ctx.now);
    db.event(Class::String, "set", key);
    if matches!(ttl, Ttl::At(_)) {
        db.event(Class::Generic, "expire", key);
    }
    ctx.dirty += 1;
}

/// `SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds |
/// KEEPTTL]`: stores a string. Replies OK, or null if NX or XX prevents it; with GET the old string, or null. O(1).
///
/// With an expiry, propagates `SET key value PXAT unix-time-milliseconds`; without one it leaves GET out.
pub fn set(ctx: &mut Context, db: &mut Db) -> CommandResult {
    if ctx.args.len() == 3 {
        store(ctx, db, 2, Ttl::Clear);
        ctx.reply.ok();
        return Ok(());
    }
    let options = SetOptions::read(Cursor::new(&ctx.args, 3), SetSyntax::Set)?;
    let until = options.deadline(ctx.now, "set")?;
    if options.get {
        reply_old(ctx, db)?;
    }
    let exists = db.get_mut(&ctx.args[1], ctx.now).is_some();
    if options.only_new && exists || options.only_existing && !exists {
        if !options.get {
            ctx.reply.null();
        }
        return Ok(());
    }
    let ttl = match until {
        Some(at) => Ttl::At(at),
        None if options.keep_ttl => Ttl::Keep,
        None => Ttl::Clear,
    };
    store(ctx, db, 2, ttl);
    match until {
        Some(at) => propagate_expiring_set(ctx, 2, at),
        None if options.get => propagate_without_get(ctx),
        None => {}
    }
    if !options.get {
        ctx.reply.ok();
    }
    Ok(())
}

/// Logs `SET key value PXAT at`. `value` is the argument that holds the value.
fn propagate_expiring_set(ctx: &mut Context, value: usize, at: i64) {
    if ctx.propagation.is_wanted() {
        let (key, value, at) = (&ctx.args[1], &ctx.args[value], at.to_string());
        let words = [b"SET", key, value, b"PXAT", at.as_bytes()];
        ctx.propagation.add(&words);
    }
}

/// Logs the SET without its option GET, which is of no use to a replica.
fn propagate_without_get(ctx: &mut Context) {
    if ctx.propagation.is_wanted() {
        let words = (0..ctx.args.len()).filter(|&i| i < 3 || !ctx.args.is(i, "GET"));
        let words: Vec<&[u8]> = words.map(|i| &ctx.args[i]).collect();
        ctx.propagation.add(&words);
    }
}

/// `SETNX key value`: stores a string unless the key exists. Replies 1 if it did, else 0. O(1).
pub fn setnx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let is_free = db.get_mut(&ctx.args[1], ctx.now).is_none();
    if is_free {
        store(ctx, db, 2, Ttl::Clear);
    }
    ctx.reply.int(is_free.into());
    Ok(())
}

/// `SETEX key seconds value`: stores a string that lives for so many seconds. Replies OK. O(1).
///
/// Propagates `SET key value PXAT unix-time-milliseconds`.
pub fn setex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiring(ctx, db, Form::EX, "setex")
}

/// `PSETEX key milliseconds value`: the same in milliseconds.
pub fn psetex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiring(ctx, db, Form::PX, "psetex")
}

fn set_expiring(ctx: &mut Context, db: &mut Db, form: Form, command: &str) -> CommandResult {
    let amount = int(&ctx.args[2])?;
    let at = form.positive_deadline(amount, ctx.now, command)?;
    store(ctx, db, 3, Ttl::At(at));
    propagate_expiring_set(ctx, 3, at);
    ctx.reply.ok();
    Ok(())
}
