//! When keys expire. EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT set an expiry, PERSIST removes it, and TTL, PTTL,
//! EXPIRETIME and PEXPIRETIME reply with it.
//!
//! The four commands that set an expiry differ only in how the client writes it ([`Form`]). They are logged as
//! PEXPIREAT, so the key expires on a replica at the same time, although the replica runs the log later. If the time
//! has passed, they delete the key at once, and the log gets DEL. Example, at Unix time 1,700,000,000:
//!
//! | the client sends | the log gets |
//! |---|---|
//! | `EXPIRE k 10` | `PEXPIREAT k 1700000010000` |
//! | `EXPIRE k 10 NX` | `PEXPIREAT k 1700000010000 NX` |
//! | `EXPIRE k -1` | `DEL k` |
//!
//! Options restrict the change. For GT and LT, a key without an expiry expires later than every other key:
//!
//! | option | sets the expiry only if |
//! |---|---|
//! | NX | the key has none |
//! | XX | the key has one |
//! | GT | the new one is later |
//! | LT | the new one is earlier |
//!
//! # Invariant
//!
//! * On a replica, a time that has passed does not delete the key. The key gets the expiry, so it is hidden from
//!   clients.

use crate::commands::args::{Cursor, int};
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::expiry::Form;
use crate::commands::key_spec::flags::{ACCESS, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::{Class, Db, NEVER};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("expire", -3, Write(expire), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | UPDATE)])
        .doc("generic", "1.0.0", "O(1)", "key seconds [NX|XX|GT|LT]",
             "Lets a key live for a number of seconds."),
    cmd("pexpire", -3, Write(pexpire), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | UPDATE)])
        .doc("generic", "2.6.0", "O(1)", "key milliseconds [NX|XX|GT|LT]",
             "Lets a key live for a number of milliseconds."),
    cmd("expireat", -3, Write(expireat), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | UPDATE)])
        .doc("generic", "1.2.0", "O(1)", "key unix-time-seconds [NX|XX|GT|LT]",
             "Lets a key live until a Unix time in seconds."),
    cmd("pexpireat", -3, Write(pexpireat), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | UPDATE)])
        .doc("generic", "2.6.0", "O(1)", "key unix-time-milliseconds [NX|XX|GT|LT]",
             "Lets a key live until a Unix time in milliseconds."),
    cmd("ttl", 2, Read(ttl), READONLY | FAST, acl::KEYSPACE, &[key(1, RO | ACCESS)])
        .doc("generic", "1.0.0", "O(1)", "key",
             "Tells how many seconds a key has left.")
        .tips(&["nondeterministic_output"]),
    cmd("pttl", 2, Read(pttl), READONLY | FAST, acl::KEYSPACE, &[key(1, RO | ACCESS)])
        .doc("generic", "2.6.0", "O(1)", "key",
             "Tells how many milliseconds a key has left.")
        .tips(&["nondeterministic_output"]),
    cmd("expiretime", 2, Read(expiretime), READONLY | FAST, acl::KEYSPACE, &[key(1, RO | ACCESS)])
        .doc("generic", "7.0.0", "O(1)", "key",
             "Tells the Unix time in seconds at which a key will expire."),
    cmd("pexpiretime", 2, Read(pexpiretime), READONLY | FAST, acl::KEYSPACE, &[key(1, RO | ACCESS)])
        .doc("generic", "7.0.0", "O(1)", "key",
             "Tells the Unix time in milliseconds at which a key will expire."),
    cmd("persist", 2, Write(persist), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | UPDATE)])
        .doc("generic", "2.2.0", "O(1)", "key",
             "Removes the expiry of a key."),
];

/// The conditions under which EXPIRE and its relatives set the expiry. All that are given must hold.
#[derive(Default)]
struct Conditions {
    /// NX: the key has no expiry.
    no_expiry: bool,
    /// XX: the key has an expiry.
    has_expiry: bool,
    /// GT: the new expiry is later than the old one.
    later: bool,
    /// LT: the new expiry is earlier than the old one.
    earlier: bool,
}

impl Conditions {
    /// Reads the conditions.
    ///
    /// # Errors
    ///
    /// Redis's errors for an unknown option, and for options that exclude each other.
    fn read(mut options: Cursor) -> Result<Conditions, Error> {
        let mut conditions = Conditions::default();
        while let Some(word) = options.next() {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => conditions.no_expiry = true,
                b"XX" => conditions.has_expiry = true,
                b"GT" => conditions.later = true,
                b"LT" => conditions.earlier = true,
                _ => return Err(Error::new([b"ERR Unsupported option ", word].concat())),
            }
        }
        let has_other = conditions.has_expiry || conditions.later || conditions.earlier;
        if conditions.no_expiry && has_other {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(Error::text(text));
        }
        if conditions.later && conditions.earlier {
            let text = "ERR GT and LT options at the same time are not compatible";
            return Err(Error::text(text));
        }
        Ok(conditions)
    }

    /// Whether a key gets the expiry `new`. `old` is its expiry until now, if it has one.
    fn allows(&self, old: Option<i64>, new: i64) -> bool {
        let is_forbidden = self.no_expiry && old.is_some()
            || self.has_expiry && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.earlier && old.is_some_and(|old| new >= old);
        !is_forbidden
    }
}

/// Does the work of EXPIRE, PEXPIRE, EXPIREAT and PEXPIREAT. Replies 1 if it set the expiry, or deleted the key because
/// the time has passed; 0 if there is no key or a condition does not hold. Errors name `command`.
fn change_expiry(ctx: &mut Context, db: &mut Db, form: Form, command: &str) -> CommandResult {
    let conditions = Conditions::read(Cursor::new(&ctx.args, 3))?;
    let at = form.deadline(int(&ctx.args[2])?, ctx.now, command)?;
    let key = &ctx.args[1];
    let old = ctx.find_mut(db, key).map(|object| object.expiry());
    if !old.is_some_and(|old| conditions.allows(old, at)) {
        ctx.reply.int(0);
        return Ok(());
    }
    if db.goes_at_once(at, ctx.now) {
        db.delete(key, ctx.now);
        db.event(Class::Generic, "del", key);
        ctx.propagation.add(&[b"DEL", key]);
    } else {
        db.set_expiry(key, at);
        db.event(Class::Generic, "expire", key);
        if form != Form::PXAT {
            let at = at.to_string();
            ctx.propagate_edited(&[(0, b"PEXPIREAT"), (2, at.as_bytes())]);
        }
    }
    ctx.dirty += 1;
    ctx.reply.int(1);
    Ok(())
}

/// `EXPIRE key seconds [NX | XX | GT | LT]`: the key expires after so many seconds. Replies 1 if it set the expiry,
/// else 0. O(1).
///
/// Propagates `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]`, or `DEL key` if the time has passed; then it
/// also reports a removed stream as ready.
pub fn expire(ctx: &mut Context, db: &mut Db) -> CommandResult {
    change_expiry(ctx, db, Form::EX, "expire")
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`: as EXPIRE, in milliseconds.
pub fn pexpire(ctx: &mut Context, db: &mut Db) -> CommandResult {
    change_expiry(ctx, db, Form::PX, "pexpire")
}

/// `EXPIREAT key unix-time-seconds [NX | XX | GT | LT]`: as EXPIRE, at a Unix time in seconds.
pub fn expireat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    change_expiry(ctx, db, Form::EXAT, "expireat")
}

/// `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]`: as EXPIRE, at a Unix time in milliseconds.
pub fn pexpireat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    change_expiry(ctx, db, Form::PXAT, "pexpireat")
}

/// Replies -2 for no key, -1 for no expiry, or what `convert` makes of the expiry, a Unix time in milliseconds.
fn reply_expiry(ctx: &mut Context, db: &Db, convert: impl Fn(i64) -> i64) -> CommandResult {
    let answer = match ctx.peek(db, &ctx.args[1]).map(|o| o.expiry()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => convert(at),
    };
    ctx.reply.int(answer);
    Ok(())
}

/// Milliseconds as seconds, rounded to the nearest, as in Redis.
fn round_to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

/// `TTL key`: replies with the seconds until the key expires, rounded; -1 if it does not expire, -2 for no key. O(1).
pub fn ttl(ctx: &mut Context, db: &Db) -> CommandResult {
    let now = ctx.now;
    reply_expiry(ctx, db, |at| round_to_seconds(at - now))
}

/// `PTTL key`: as TTL, in milliseconds.
pub fn pttl(ctx: &mut Context, db: &Db) -> CommandResult {
    let now = ctx.now;
    reply_expiry(ctx, db, |at| at - now)
}

/// `EXPIRETIME key`: replies with the Unix time in seconds at which the key expires, rounded; -1 if it does not expire,
/// -2 for no key. O(1).
pub fn expiretime(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_expiry(ctx, db, round_to_seconds)
}

/// `PEXPIRETIME key`: as EXPIRETIME, in milliseconds.
pub fn pexpiretime(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_expiry(ctx, db, |at| at)
}

/// `PERSIST key`: removes the expiry of a key. Replies 1 if there was one, else 0. O(1).
pub fn persist(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let key = &ctx.args[1];
    let had_expiry = ctx.find_mut(db, key).is_some_and(|o| o.expiry().is_some());
    if had_expiry {
        db.set_expiry(key, NEVER);
        db.event(Class::Generic, "persist", key);
        ctx.dirty += 1;
    }
    ctx.reply.int(had_expiry.into());
    Ok(())
}
