//! When keys expire.

use super::args::int;
use super::{Cx, Done};
use crate::resp::Error;
use crate::store::{Db, NEVER};

/// Conditions under which EXPIRE does something.
#[derive(Default)]
struct When {
    no_expiry: bool,
    has_expiry: bool,
    later: bool,
    sooner: bool,
}

impl When {
    fn read(cx: &Cx) -> Result<When, Error> {
        let mut when = When::default();
        for word in cx.args.iter_from(3) {
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

fn set_expiry(cx: &mut Cx, db: &mut Db, unit: i64, base: i64) -> Done {
    let when = When::read(cx)?;
    let invalid = || {
        let name = String::from_utf8_lossy(&cx.args[0]).to_lowercase();
        Error::new(format!("ERR invalid expire time in '{name}' command"))
    };
    let n = int(&cx.args[2])?;
    let at = n
        .checked_mul(unit)
        .and_then(|ms| ms.checked_add(base))
        .ok_or_else(invalid)?
        .min(NEVER - 1);
    let done = match cx.find_mut(db, 1).map(|o| o.expiry()) {
        Some(old) if when.allows(old, at) => {
            if db.goes_at_once(at, cx.now) {
                db.delete(&cx.args[1], cx.now);
                cx.effects.instead(&[b"DEL", &cx.args[1]]);
            } else {
                db.set_expiry(&cx.args[1], at);
                if (unit, base) != (1, 0) {
                    let at = at.to_string();
                    cx.propagate_with(&[(0, b"PEXPIREAT"), (2, at.as_bytes())]);
                }
            }
            true
        }
        _ => false,
    };
    cx.dirty += u64::from(done);
    cx.reply.int(done.into());
    Ok(())
}

pub fn expire(cx: &mut Cx, db: &mut Db) -> Done {
    let now = cx.now;
    set_expiry(cx, db, 1000, now)
}

pub fn pexpire(cx: &mut Cx, db: &mut Db) -> Done {
    let now = cx.now;
    set_expiry(cx, db, 1, now)
}

pub fn expireat(cx: &mut Cx, db: &mut Db) -> Done {
    set_expiry(cx, db, 1000, 0)
}

pub fn pexpireat(cx: &mut Cx, db: &mut Db) -> Done {
    set_expiry(cx, db, 1, 0)
}

/// Replies -2 for no key, -1 for no expiry, or what `form` makes of it.
fn reply_expiry(cx: &mut Cx, db: &Db, form: impl Fn(i64) -> i64) -> Done {
    let answer = match cx.peek(db, 1).map(|o| o.expiry()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => form(at),
    };
    cx.reply.int(answer);
    Ok(())
}

fn round_to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

pub fn ttl(cx: &mut Cx, db: &Db) -> Done {
    let now = cx.now;
    reply_expiry(cx, db, |at| round_to_seconds(at - now))
}

pub fn pttl(cx: &mut Cx, db: &Db) -> Done {
    let now = cx.now;
    reply_expiry(cx, db, |at| at - now)
}

pub fn expiretime(cx: &mut Cx, db: &Db) -> Done {
    reply_expiry(cx, db, round_to_seconds)
}

pub fn pexpiretime(cx: &mut Cx, db: &Db) -> Done {
    reply_expiry(cx, db, |at| at)
}

pub fn persist(cx: &mut Cx, db: &mut Db) -> Done {
    let had = cx.find_mut(db, 1).is_some_and(|o| o.expiry().is_some());
    if had {
        db.set_expiry(&cx.args[1], NEVER);
        cx.dirty += 1;
    }
    cx.reply.int(had.into());
    Ok(())
}
