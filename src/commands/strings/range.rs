//! Parts of a string: APPEND, STRLEN, SETRANGE, GETRANGE and its old name SUBSTR.
//!
//! APPEND and SETRANGE change a string in place. Its representation is `raw` from then on: a vector with room to grow,
//! so many small APPENDs cost O(1) each, amortized. The key keeps its expiry.
//!
//! GETRANGE takes the positions of the first and the last byte. Negative positions count from the end, and positions
//! outside the string are cut off:
//!
//! ```text
//!   GETRANGE of "hello"     0 1 → "he"     -3 -1 → "llo"     3 99 → "lo"     4 2 → ""
//! ```
//!
//! # Invariant
//!
//! * APPEND and SETRANGE do not extend a string beyond `proto-max-bulk-len` bytes, the limit for one argument of a
//!   request. Commands of the primary are not limited, because a replica must do what its primary did.

use crate::commands::args::int;
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{DENYOOM, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, INSERT, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::commands::strings::value::value_of;
use crate::resp::Error;
use crate::store::{Class, Db, StringValue, Type};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("append", 3, Write(append), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | INSERT)])
        .doc("string", "2.0.0", "O(1)", "key value",
             "Adds to the end of a string."),
    cmd("strlen", 2, Read(strlen), READONLY | FAST, acl::STRING, &[key(1, RO)])
        .doc("string", "2.2.0", "O(1)", "key",
             "Tells the length of a string."),
    cmd("setrange", 4, Write(setrange), WRITE | DENYOOM, acl::STRING, &[key(1, RW | UPDATE)])
        .doc("string", "2.2.0", "O(1)", "key offset value",
             "Overwrites part of a string, padding with zero bytes where needed."),
    cmd("getrange", 4, Read(getrange), READONLY, acl::STRING, &[key(1, RO | ACCESS)])
        .doc("string", "2.4.0", "O(N)", "key start end",
             "Reads part of a string."),
    cmd("substr", 4, Read(substr), READONLY, acl::STRING, &[key(1, RO | ACCESS)])
        .doc("string", "1.0.0", "O(N)", "key start end",
             "Reads part of a string (the old name of GETRANGE)."),
];

/// Checks that a string of `len` bytes is within `proto-max-bulk-len`.
///
/// # Errors
///
/// Redis's error for a longer string.
fn check_length(ctx: &Context, len: usize) -> CommandResult {
    if !ctx.session.is_primary && len as u64 > ctx.config.proto_max_bulk_len as u64 {
        return Err(Error::text(
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ));
    }
    Ok(())
}

/// `APPEND key value`: adds to the end of the string at the key; an absent key gets the value. Replies with the new
/// length in bytes. O(N) for N bytes added, amortized.
pub fn append(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let added = ctx.args[2].len();
    let len = match ctx.find_mut(db, &ctx.args[1]) {
        None => {
            let value = value_of(ctx, 2);
            ctx.set(db, &ctx.args[1], value);
            added
        }
        Some(object) => {
            check_length(ctx, object.value.as_string()?.len() + added)?;
            let string = StringValue::of_mut(&mut object.value)?.raw_mut();
            string.extend_from_slice(&ctx.args[2]);
            let len = string.len();
            db.modified(&ctx.args[1]);
            len
        }
    };
    db.event(Class::String, "append", &ctx.args[1]);
    ctx.dirty += 1;
    ctx.reply.int(len as i64);
    Ok(())
}

/// `STRLEN key`: replies with the length in bytes of the string at the key; 0 for no key. O(1).
pub fn strlen(ctx: &mut Context, db: &Db) -> CommandResult {
    let len = match ctx.find(db, &ctx.args[1]) {
        Some(object) => object.value.as_string()?.len(),
        None => 0,
    };
    ctx.reply.int(len as i64);
    Ok(())
}

/// `SETRANGE key offset value`: overwrites a part of the string at the key, which begins at `offset`. A shorter string,
/// or an absent key, is first filled up with zero bytes to `offset`. An empty value changes nothing. Replies with the
/// new length in bytes. O(N) for N bytes written, zero bytes included.
pub fn setrange(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let offset = usize::try_from(int(&ctx.args[2])?)
        .map_err(|_| Error::text("ERR offset is out of range"))?;
    let (key, patch) = (&ctx.args[1], &ctx.args[3]);
    let object = ctx.find_mut(db, key);
    let old_len = match &object {
        Some(object) => object.value.as_string()?.len(),
        None => 0,
    };
    if patch.is_empty() {
        ctx.reply.int(old_len as i64);
        return Ok(());
    }
    let end = offset.saturating_add(patch.len());
    check_length(ctx, end)?;
    let len = end.max(old_len);
    let overwrite = |string: &mut Vec<u8>| {
        string.resize(len, 0);
        string[offset..end].copy_from_slice(patch);
    };
    match object {
        Some(object) => {
            overwrite(StringValue::of_mut(&mut object.value)?.raw_mut());
            db.modified(key);
        }
        None => {
            let mut string = Vec::new();
            overwrite(&mut string);
            ctx.set(db, key, StringValue::Raw(Box::new(string)).into_value());
        }
    }
    db.event(Class::String, "setrange", key);
    ctx.dirty += 1;
    ctx.reply.int(len as i64);
    Ok(())
}

/// `GETRANGE key start end`: replies with the bytes from `start` to `end`, both included; an empty string for no key.
/// Negative positions count from the end. O(N) for N bytes returned.
pub fn getrange(ctx: &mut Context, db: &Db) -> CommandResult {
    let (start, end) = (int(&ctx.args[2])?, int(&ctx.args[3])?);
    let Some(object) = ctx.find(db, &ctx.args[1]) else {
        ctx.reply.bulk(b"");
        return Ok(());
    };
    let string = object.value.as_string()?;
    let len = string.len() as i64;
    let from_start = |i: i64| if i < 0 { (len + i).max(0) } else { i };
    let (first, last) = (from_start(start), from_start(end).min(len - 1));
    let is_empty = len == 0 || first > last || start < 0 && end < 0 && start > end;
    let part = if is_empty {
        b""
    } else {
        &string[first as usize..=last as usize]
    };
    ctx.reply.bulk(part);
    Ok(())
}

/// `SUBSTR key start end`: as GETRANGE, of which it is the old name.
pub fn substr(ctx: &mut Context, db: &Db) -> CommandResult {
    getrange(ctx, db)
}
