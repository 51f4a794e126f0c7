//! Numbers in strings: INCR and its relatives.

use crate::commands::args::int;
use crate::commands::command::Handler::Write;
use crate::commands::command::flags::{DENYOOM, FAST, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::{Db, Keep, NEVER, Value};
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
             "Takes one from the integer at a key."),
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

/// Adds to the integer at the key; a key that is not there counts as 0. The expiry stays.
fn add(ctx: &mut Context, db: &mut Db, by: i64) -> CommandResult {
    let sum = match ctx.find_mut(db, &ctx.args[1]) {
        Some(object) => {
            let old = match &object.value {
                Value::Int(n) => *n,
                other => number::parse_i64(&other.as_string()?).ok_or(Error::NOT_INTEGER)?,
            };
            let sum = old.checked_add(by).ok_or(Error::OVERFLOW)?;
            object.value = Value::Int(sum);
            db.modified(&ctx.args[1]);
            sum
        }
        None => {
            db.set(
                &ctx.args[1],
                Value::Int(by),
                Keep::Until(NEVER),
                ctx.usage,
                ctx.now,
            );
            by
        }
    };
    ctx.dirty += 1;
    ctx.reply.int(sum);
    Ok(())
}

pub fn incr(ctx: &mut Context, db: &mut Db) -> CommandResult {
    add(ctx, db, 1)
}

pub fn decr(ctx: &mut Context, db: &mut Db) -> CommandResult {
    add(ctx, db, -1)
}

pub fn incrby(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let by = int(&ctx.args[2])?;
    add(ctx, db, by)
}

pub fn decrby(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let by = int(&ctx.args[2])?;
    add(
        ctx,
        db,
        by.checked_neg()
            .ok_or(Error::text("ERR decrement would overflow"))?,
    )
}

pub fn incrbyfloat(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let read = |text: &[u8]| LongDouble::parse(text).ok_or(Error::NOT_FLOAT);
    let old = match ctx.find_mut(db, &ctx.args[1]) {
        Some(object) => Some(object.value.as_string()?.into_owned()),
        None => None,
    };
    let old = read(old.as_deref().unwrap_or(b"0"))?;
    let sum = old.plus(read(&ctx.args[2])?);
    let sum = sum.ok_or(Error::text("ERR increment would produce NaN or Infinity"))?;
    let text = sum.to_text().into_bytes();
    ctx.reply.bulk(&text);
    // Floating point may come out differently elsewhere; the result does not.
    ctx.propagation
        .add(&[b"SET", &ctx.args[1], &text, b"KEEPTTL"]);
    db.set(
        &ctx.args[1],
        Value::Str(text.into()),
        Keep::Expiry,
        ctx.usage,
        ctx.now,
    );
    ctx.dirty += 1;
    Ok(())
}
