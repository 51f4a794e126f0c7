//! Numbers in strings: INCR and its relatives.

use super::args::int;
use super::{Cx, Done};
use crate::resp::Error;
use crate::store::{Db, Keep, NEVER, Value};
use crate::util::long_double::LongDouble;
use crate::util::number;

/// Adds to the integer at the key; a key that is not there counts as 0. The expiry stays.
fn add(cx: &mut Cx, db: &mut Db, by: i64) -> Done {
    let sum = match cx.find_mut(db, 1) {
        Some(object) => {
            let old = match &object.value {
                Value::Int(n) => *n,
                other => number::parse_i64(&other.as_string()?).ok_or(Error::NOT_INTEGER)?,
            };
            let sum = old.checked_add(by).ok_or(Error::OVERFLOW)?;
            object.value = Value::Int(sum);
            db.touch(&cx.args[1]);
            sum
        }
        None => {
            db.set(
                &cx.args[1],
                Value::Int(by),
                Keep::Until(NEVER),
                cx.usage,
                cx.now,
            );
            by
        }
    };
    cx.dirty += 1;
    cx.reply.int(sum);
    Ok(())
}

pub fn incr(cx: &mut Cx, db: &mut Db) -> Done {
    add(cx, db, 1)
}

pub fn decr(cx: &mut Cx, db: &mut Db) -> Done {
    add(cx, db, -1)
}

pub fn incrby(cx: &mut Cx, db: &mut Db) -> Done {
    let by = int(&cx.args[2])?;
    add(cx, db, by)
}

pub fn decrby(cx: &mut Cx, db: &mut Db) -> Done {
    let by = int(&cx.args[2])?;
    add(
        cx,
        db,
        by.checked_neg()
            .ok_or(Error::text("ERR decrement would overflow"))?,
    )
}

pub fn incrbyfloat(cx: &mut Cx, db: &mut Db) -> Done {
    let read = |text: &[u8]| LongDouble::parse(text).ok_or(Error::NOT_FLOAT);
    let old = match cx.find_mut(db, 1) {
        Some(object) => Some(object.value.as_string()?.into_owned()),
        None => None,
    };
    let old = read(old.as_deref().unwrap_or(b"0"))?;
    let sum = old.plus(read(&cx.args[2])?);
    let sum = sum.ok_or(Error::text("ERR increment would produce NaN or Infinity"))?;
    let text = sum.to_text().into_bytes();
    cx.reply.bulk(&text);
    // Floating point may come out differently elsewhere; the result does not.
    cx.effects
        .instead(&[b"SET", &cx.args[1], &text, b"KEEPTTL"]);
    db.set(
        &cx.args[1],
        Value::Str(text.into()),
        Keep::Expiry,
        cx.usage,
        cx.now,
    );
    cx.dirty += 1;
    Ok(())
}
