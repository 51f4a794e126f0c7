//! When keys expire.

use crate::commands::args::int;
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::{Db, NEVER};

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
    fn read(ctx: &Context) -> Result<When, Error> {
        let mut when = When::default();
        for word in ctx.args.iter_from(3) {
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
            return Err(Error::text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(when)
    }

    /// Whether a key that expires at `old` shall expire at `new`. Never is later than any time.
    fn allows(&self, old: Option<i64>, new: i64) -> bool {
        !(self.no_expiry && old.is_some()
            || self.has_expiry && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.sooner && old.is_some_and(|old| new >= old))
    }
}

fn set_expiry(ctx: &mut Context, db: &mut Db, unit: i64, base: i64) -> CommandResult {
    let when = When::read(ctx)?;
    let invalid = || {
        let name = String::from_utf8_lossy(&ctx.args[0]).to_lowercase();
        Error::new(format!("ERR invalid expire time in '{name}' command"))
    };
    let n = int(&ctx.args[2])?;
    let at = n
        .checked_mul(unit)
        .and_then(|ms| ms.checked_add(base))
        .ok_or_else(invalid)?
        .min(NEVER - 1);
    let done = match ctx.find_mut(db, &ctx.args[1]).map(|o| o.expiry()) {
        Some(old) if when.allows(old, at) => {
            if db.goes_at_once(at, ctx.now) {
                db.delete(&ctx.args[1], ctx.now);
                ctx.propagation.add(&[b"DEL", &ctx.args[1]]);
            } else {
                db.set_expiry(&ctx.args[1], at);
                if (unit, base) != (1, 0) {
                    let at = at.to_string();
                    ctx.propagate_edited(&[(0, b"PEXPIREAT"), (2, at.as_bytes())]);
                }
            }
            true
        }
        _ => false,
    };
    ctx.dirty += u64::from(done);
    ctx.reply.int(done.into());
    Ok(())
}

pub fn expire(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let now = ctx.now;
    set_expiry(ctx, db, 1000, now)
}

pub fn pexpire(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let now = ctx.now;
    set_expiry(ctx, db, 1, now)
}

pub fn expireat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiry(ctx, db, 1000, 0)
}

pub fn pexpireat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiry(ctx, db, 1, 0)
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

pub fn ttl(ctx: &mut Context, db: &Db) -> CommandResult {
    let now = ctx.now;
    reply_expiry(ctx, db, |at| round_to_seconds(at - now))
}

pub fn pttl(ctx: &mut Context, db: &Db) -> CommandResult {
    let now = ctx.now;
    reply_expiry(ctx, db, |at| at - now)
}

pub fn expiretime(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_expiry(ctx, db, round_to_seconds)
}

pub fn pexpiretime(ctx: &mut Context, db: &Db) -> CommandResult {
    reply_expiry(ctx, db, |at| at)
}

pub fn persist(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let had = ctx
        .find_mut(db, &ctx.args[1])
        .is_some_and(|o| o.expiry().is_some());
    if had {
        db.set_expiry(&ctx.args[1], NEVER);
        ctx.dirty += 1;
    }
    ctx.reply.int(had.into());
    Ok(())
}
