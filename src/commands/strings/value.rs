//! Strings as values and as replies: what the string commands share.
//!
//! A string that is the decimal form of an integer is stored as [`StringValue::Int`], and its reply is the same text. A big
//! argument becomes a value without being copied.

use crate::commands::context::{CommandResult, Context};
use crate::resp::Reply;
use crate::store::{Db, StringValue, Type, Value};

/// Argument `i` as a value. The bytes of a big argument are moved out of it if the log does not need them (see
/// [`Context::take_big`]); a handler must not read such an argument afterwards.
pub fn value_of(ctx: &mut Context, i: usize) -> Value {
    match ctx.take_big(i) {
        Some(bytes) => Value::string_owned(bytes),
        None => Value::string(&ctx.args[i]),
    }
}

/// Replies with a string.
///
/// # Errors
///
/// WRONGTYPE if the value is not a string.
pub fn reply_value(reply: &mut Reply, value: &Value) -> CommandResult {
    match StringValue::of(value)? {
        StringValue::Int(n) => reply.bulk_int(*n),
        other => reply.bulk(&other.bytes()),
    }
    Ok(())
}

/// Replies with the string at the key, which is argument 1, or null for no key.
///
/// # Errors
///
/// WRONGTYPE if the key holds a value of another type.
pub fn reply_string(ctx: &mut Context, db: &Db) -> CommandResult {
    match ctx.find(db, &ctx.args[1]) {
        Some(object) => reply_value(ctx.reply, &object.value),
        None => {
            ctx.reply.null();
            Ok(())
        }
    }
}
