//! Strings as numbers: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.
//!
//! An absent key counts as 0. The key keeps its expiry. Integers have 64 bits; if the result does not fit, the command
//! replies with an error and the value stays as it was.
//!
//! INCRBYFLOAT computes with the 80 bits of an x86 `long double` ([`LongDouble`]), so its results have the same digits
//! as those of Redis on x86. A replica on another processor may compute other digits from the same numbers. So the log
//! gets the result, as in Redis: if `f` holds 1, `INCRBYFLOAT f 0.5` is logged as `SET f 1.5 KEEPTTL`.

use crate::commands::args::int;
use crate::commands::command::Handler::Write;
use crate::commands::command::flags::{DENYOOM, FAST, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::{Class, Db, StringValue, Ttl, Type, Value};
use crate::util::long_double::LongDouble;
use crate::util::number;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("incr", 2, Write(incr), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE)])
        .doc("string", "1.0.0", "O(1)", "key",
             "Adds one to the integer at a key."),
    cmd("decr", 2, Write(decr), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE)])
        .doc("string", "1.0.0", "O(1)", "key",
             "Subtracts one from the integer at a key."),
    cmd("incrby", 3, Write(incrby), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE)])
        .doc("string", "1.0.0", "O(1)", "key increment",
             "Adds to the integer at a key."),
    cmd("decrby", 3, Write(decrby), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE)])
        .doc("string", "1.0.0", "O(1)", "key decrement",
             "Subtracts from the integer at a key."),
    cmd("incrbyfloat", 3, Write(incrbyfloat), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE)])
        .doc("string", "2.6.0", "O(1)", "key increment",
             "Adds to the floating point number at a key."),
];

/// Does the work of INCR, DECR, INCRBY and DECRBY: adds `by` to the integer at the key, and replies with the sum.
///
/// # Errors
///
/// Redis's errors for a value that is not an integer, and for a sum of more than 64 bits.
fn add(ctx: &mut Context, db: &mut Db, by: i64) -> CommandResult {
    let key = &ctx.args[1];
    let sum = match ctx.find_mut(db, key) {
        Some(object) => {
            let old = match StringValue::of(&object.value)? {
                StringValue::Int(n) => *n,
                other => number::parse_i64(&other.bytes()).ok_or(Error::NOT_INTEGER)?,
            };
            let sum = old.checked_add(by).ok_or(Error::OVERFLOW)?;
            object.value = Value::int(sum);
            db.modified(key);
            sum
        }
        None => {
            ctx.set(db, key, Value::int(by));
            by
        }
    };
    db.event(Class::String, "incrby", key);
    ctx.dirty += 1;
    ctx.reply.int(sum);
    Ok(())
}

/// `INCR key`: adds one to the integer at the key. Replies with the sum. O(1).
pub fn incr(ctx: &mut Context, db: &mut Db) -> CommandResult {
    add(ctx, db, 1)
}

/// `DECR key`: subtracts one from the integer at the key. Replies with the result. O(1).
pub fn decr(ctx: &mut Context, db: &mut Db) -> CommandResult {
    add(ctx, db, -1)
}

/// `INCRBY key increment`: adds to the integer at the key. Replies with the sum. O(1).
pub fn incrby(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let by = int(&ctx.args[2])?;
    add(ctx, db, by)
}

/// `DECRBY key decrement`: subtracts from the integer at the key. Replies with the result. O(1).
pub fn decrby(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let by = int(&ctx.args[2])?.checked_neg();
    let by = by.ok_or(Error::text("ERR decrement would overflow"))?;
    add(ctx, db, by)
}

/// `INCRBYFLOAT key increment`: adds to the floating point number at the key. Replies with the sum. O(1).
///
/// Propagates `SET key sum KEEPTTL`.
pub fn incrbyfloat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let read = |text: &[u8]| LongDouble::parse(text).ok_or(Error::NOT_FLOAT);
    let key = &ctx.args[1];
    let old = match ctx.find_mut(db, key) {
        Some(object) => read(&object.value.as_string()?)?,
        None => read(b"0")?,
    };
    let sum = old.plus(read(&ctx.args[2])?);
    let sum = sum.ok_or(Error::text("ERR increment would produce NaN or Infinity"))?;
    let text = sum.to_text().into_bytes();
    ctx.reply.bulk(&text);
    ctx.propagation.add(&[b"SET", key, &text, b"KEEPTTL"]);
    let value = StringValue::Bytes(text.into()).into_value();
    db.set(key, value, Ttl::Keep, ctx.usage, ctx.now);
    db.event(Class::String, "incrbyfloat", key);
    ctx.dirty += 1;
    Ok(())
}
