//! Strings on their way in and out: an argument as a value, and a value as a reply.

use crate::commands::context::{CommandResult, Context};
use crate::resp::{Error, Reply};
use crate::store::{Db, StringValue, Type, Value};

/// Argument `i` as a value, its bytes taken over and not copied if they are many.
pub fn value_of(ctx: &mut Context, i: usize) -> Value {
    match ctx.take_big(i) {
        Some(bytes) => Value::string_owned(bytes),
        None => Value::string(&ctx.args[i]),
    }
}

/// Writes a string value as a reply.
///
/// # Errors
///
/// WRONGTYPE if it is not a string.
pub fn reply_value(reply: &mut Reply, value: &Value) -> CommandResult {
    match StringValue::of(value)? {
        StringValue::Int(n) => reply.bulk_int(*n),
        other => reply.bulk(&other.bytes()),
    }
    Ok(())
}

/// Replies with the string at the key, or null. Returns whether there was one.
pub fn reply_old(ctx: &mut Context, db: &Db) -> Result<bool, Error> {
    match ctx.find(db, &ctx.args[1]) {
        Some(object) => reply_value(ctx.reply, &object.value).map(|()| true),
        None => {
            ctx.reply.null();
            Ok(false)
        }
    }
}
