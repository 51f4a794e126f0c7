//! Storing one string: SET, and the commands that are a SET with another syntax: SETNX, SETEX, PSETEX.
//!
//! All of them end in [`store`]. It replaces the value at the key, of any type, and the expiry too, unless KEEPTTL is
//! given. It reports the event `set`, and then `expire` if the command sets an expiry.
//!
//! # Propagation
//!
//! A replica runs the log later than this server, so an expiry is always logged as a Unix time. GET is left out,
//! because a replica does not need the reply. Example, at Unix time 1,700,000,000:
//!
//! | the client sends | the log gets, if the command stores the string |
//! |---|---|
//! | `SET k v XX` | `SET k v XX` |
//! | `SET k v XX GET` | `SET k v XX` |
//! | `SET k v NX EX 10` | `SET k v PXAT 1700000010000` |
//! | `SETEX k 10 v` | `SET k v PXAT 1700000010000` |

use crate::commands::args::{Cursor, int};
use crate::commands::command::Handler::Write;
use crate::commands::command::flags::{DENYOOM, FAST, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::expiry::Form;
use crate::commands::key_spec::flags::{ACCESS, INSERT, OW, RW, UPDATE, VARIABLE_FLAGS};
use crate::commands::key_spec::key;
use crate::commands::strings::options::{SetOptions, SetSyntax};
use crate::commands::strings::value::{reply_string, value_of};
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

/// Stores argument `i` at the key, and reports the change.
fn store(ctx: &mut Context, db: &mut Db, i: usize, ttl: Ttl) {
    let value = value_of(ctx, i);
    let key = &ctx.args[1];
    db.set(key, value, ttl, ctx.usage, ctx.now);
    db.event(Class::String, "set", key);
    if matches!(ttl, Ttl::At(_)) {
        db.event(Class::Generic, "expire", key);
    }
    ctx.dirty += 1;
}

/// `SET key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds
/// | KEEPTTL]`: stores a string. Replies OK, or null if NX or XX prevents it; with GET, replies with the old string, or
/// null for no key. O(1).
///
/// Propagates `SET key value PXAT unix-time-milliseconds` if there is an expiry, otherwise the command without GET.
/// Reports a stream that it replaces as ready.
pub fn set(ctx: &mut Context, db: &mut Db) -> CommandResult {
    if ctx.args.len() == 3 {
        store(ctx, db, 2, Ttl::Clear);
        ctx.reply.ok();
        return Ok(());
    }
    let options = SetOptions::read(Cursor::new(&ctx.args, 3), SetSyntax::Set)?;
    let until = options.deadline(ctx.now, "set")?;
    if options.get {
        reply_string(ctx, db)?;
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

/// Logs `SET key value PXAT at`. Argument `i` is the value; `at` is Unix time in milliseconds.
fn propagate_expiring_set(ctx: &mut Context, i: usize, at: i64) {
    if ctx.propagation.is_wanted() {
        let (key, value, at) = (&ctx.args[1], &ctx.args[i], at.to_string());
        let words = [b"SET", key, value, b"PXAT", at.as_bytes()];
        ctx.propagation.add(&words);
    }
}

/// Logs the command without its option GET.
fn propagate_without_get(ctx: &mut Context) {
    if ctx.propagation.is_wanted() {
        let words = (0..ctx.args.len()).filter(|&i| i < 3 || !ctx.args.is(i, "GET"));
        let words: Vec<&[u8]> = words.map(|i| &ctx.args[i]).collect();
        ctx.propagation.add(&words);
    }
}

/// `SETNX key value`: stores a string, unless the key exists. Replies 1 if it did, else 0. O(1).
pub fn setnx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let is_free = db.get_mut(&ctx.args[1], ctx.now).is_none();
    if is_free {
        store(ctx, db, 2, Ttl::Clear);
    }
    ctx.reply.int(is_free.into());
    Ok(())
}

/// `SETEX key seconds value`: stores a string that expires after so many seconds. Replies OK. O(1).
///
/// Propagates `SET key value PXAT unix-time-milliseconds`. Reports a stream that it replaces as ready.
pub fn setex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiring(ctx, db, Form::EX, "setex")
}

/// `PSETEX key milliseconds value`: as SETEX, in milliseconds.
pub fn psetex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiring(ctx, db, Form::PX, "psetex")
}

/// Does the work of SETEX and PSETEX. The error for an expiry out of range names `command`.
fn set_expiring(ctx: &mut Context, db: &mut Db, form: Form, command: &str) -> CommandResult {
    let amount = int(&ctx.args[2])?;
    let at = form.positive_deadline(amount, ctx.now, command)?;
    store(ctx, db, 3, Ttl::At(at));
    propagate_expiring_set(ctx, 3, at);
    ctx.reply.ok();
    Ok(())
}
