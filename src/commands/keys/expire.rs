//! When keys expire: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, PERSIST, and the commands that ask for it.
//!
//! The four commands that set an expiry differ only in how they state it ([`Form`]). All of them are logged as PEXPIREAT, so a
//! replica that runs the log later lets the key expire at the same time. A time that has passed deletes the key at once, and
//! is logged as DEL.
//!
//! Conditions restrict the change. A key that does not expire counts as one that expires later than any other:
//!
//! | option | sets the expiry only if |
//! |---|---|
//! | NX | the key has none |
//! | XX | the key has one |
//! | GT | the new one is later |
//! | LT | the new one is sooner |
//!
//! # Invariant
//!
//! * On a replica no key is deleted here: it is hidden once its time has come, until the primary deletes it.

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
             "Takes a key's expiry away."),
];

/// Conditions under which EXPIRE does something.
#[derive(Default)]
struct When {
    no_expiry: bool,
    has_expiry: bool,
    later: bool,
    sooner: bool,
}

impl When {
    /// Reads the conditions.
    fn read(mut options: Cursor) -> Result<When, Error> {
        let mut when = When::default();
        while let Some(word) = options.next() {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => when.no_expiry = true,
                b"XX" => when.has_expiry = true,
                b"GT" => when.later = true,
                b"LT" => when.sooner = true,
                _ => return Err(Error::new([b"ERR Unsupported option ", word].concat())),
            }
        }
        if when.no_expiry && (when.has_expiry || when.later || when.sooner) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(Error::text(text));
        }
        if when.later && when.sooner {
            let text = "ERR GT and LT options at the same time are not compatible";
            return Err(Error::text(text));
        }
        Ok(when)
    }

    /// Whether a key that expires at `old` gets the expiry `new`.
    fn allows(&self, old: Option<i64>, new: i64) -> bool {
        let is_forbidden = self.no_expiry && old.is_some()
            || self.has_expiry && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.sooner && old.is_some_and(|old| new >= old);
        !is_forbidden
    }
}

/// What EXPIRE and its relatives do. They reply 1 if they set the expiry, or deleted the key because its time has passed, and
/// 0 if there is no key or the condition does not hold.
fn set_expiry(ctx: &mut Context, db: &mut Db, form: Form, command: &str) -> CommandResult {
    let when = When::read(Cursor::new(&ctx.args, 3))?;
    let at = form.deadline(int(&ctx.args[2])?, ctx.now, command)?;
    let key = &ctx.args[1];
    let old = ctx.find_mut(db, key).map(|object| object.expiry());
    if !old.is_some_and(|old| when.allows(old, at)) {
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

/// `EXPIRE key seconds [NX | XX | GT | LT]`: lets a key live for so many seconds. Replies 1 or 0. O(1).
///
/// Propagates `PEXPIREAT key unix-time-milliseconds`, or `DEL key` for a time that has passed.
pub fn expire(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiry(ctx, db, Form::EX, "expire")
}

/// `PEXPIRE key milliseconds [NX | XX | GT | LT]`: the same in milliseconds.
pub fn pexpire(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiry(ctx, db, Form::PX, "pexpire")
}

/// `EXPIREAT key unix-time-seconds [NX | XX | GT | LT]`: the same until a Unix time in seconds.
pub fn expireat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiry(ctx, db, Form::EXAT, "expireat")
}

/// `PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]`: the same until a Unix time in milliseconds.
pub fn pexpireat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiry(ctx, db, Form::PXAT, "pexpireat")
}

/// Replies -2 for no key, -1 for no expiry, or what `form` makes of it.
fn reply_expiry(ctx: &mut Context, db: &Db, form: impl Fn(i64) -> i64) -> CommandResult {
    let answer = match ctx.peek(db, &ctx.args[1]).map(|o| o.expiry()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => form(at),
    };
    ctx.reply.int(answer);
    Ok(())
}

fn round_to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

/// `TTL key`: replies with the seconds that the key has left; -1 if it does not expire, -2 if there is none. O(1).
pub fn ttl(ctx: &mut Context, db: &Db) -> CommandResult {
    let now = ctx.now;
    reply_expiry(ctx, db, |at| round_to_seconds(at - now))
}

/// `PTTL key`: the same in milliseconds.
pub fn pttl(ctx: &mut Context, db: &Db) -> CommandResult {
    let now = ctx.now;
    reply_expiry(ctx, db, |at| at - now)
}

/// `EXPIRETIME key`: replies with the Unix time in seconds at which the key expires; -1 if it does not, -2 if there is none.
/// O(1).
pub fn expiretime(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_expiry(ctx, db, round_to_seconds)
}

/// `PEXPIRETIME key`: the same in milliseconds.
pub fn pexpiretime(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_expiry(ctx, db, |at| at)
}

/// `PERSIST key`: takes the expiry of a key away. Replies 1 if there was one, else 0. O(1).
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
