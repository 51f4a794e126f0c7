//! Keys of any type: DEL, UNLINK, EXISTS, TOUCH, TYPE.
//!
//! These commands do not read the value at a key. EXISTS and TYPE do not count as a use of the key. TOUCH does; that is
//! its purpose.
//!
//! The client's thread frees a large value after it has released the lock, so UNLINK and DEL are the same here.

use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{DELETE, RM, RO};
use crate::commands::key_spec::{key, keys as key_range};
use crate::store::{Class, Db};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("del", -2, Write(del), WRITE, acl::KEYSPACE, &[key_range(1, -1, 1, RM | DELETE)])
        .doc("generic", "1.0.0", "O(N)", "key...",
             "Removes keys.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("unlink", -2, Write(unlink), WRITE | FAST, acl::KEYSPACE, &[key_range(1, -1, 1, RM | DELETE)])
        .doc("generic", "4.0.0", "O(1)", "key...",
             "Removes keys.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("exists", -2, Read(exists), READONLY | FAST, acl::KEYSPACE, &[key_range(1, -1, 1, RO)])
        .doc("generic", "1.0.0", "O(N)", "key...",
             "Counts how many of the keys exist.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("touch", -2, Read(touch), READONLY | FAST, acl::KEYSPACE, &[key_range(1, -1, 1, RO)])
        .doc("generic", "3.2.1", "O(N)", "key...",
             "Marks keys as just used and counts how many exist.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("type", 2, Read(type_of), READONLY | FAST, acl::KEYSPACE, &[key(1, RO)])
        .doc("generic", "1.0.0", "O(1)", "key",
             "Tells the type of the value at a key."),
];

/// `DEL key [key ...]`: removes keys. Replies with the number of keys that existed. O(N) for N keys.
///
/// Reports a removed stream as ready.
pub fn del(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let mut removed = 0;
    for key in ctx.args.iter_from(1) {
        if db.delete(key, ctx.now) {
            db.event(Class::Generic, "del", key);
            removed += 1;
        }
    }
    ctx.dirty += removed;
    ctx.reply.int(removed as i64);
    Ok(())
}

/// `UNLINK key [key ...]`: as DEL.
pub fn unlink(ctx: &mut Context, db: &mut Db) -> CommandResult {
    del(ctx, db)
}

/// `EXISTS key [key ...]`: replies with the number of keys that exist. A key that is given twice counts twice. O(N) for
/// N keys.
pub fn exists(ctx: &mut Context, db: &Db) -> CommandResult {
    let found = (ctx.args.iter_from(1)).filter(|key| ctx.peek(db, key).is_some());
    ctx.reply.int(found.count() as i64);
    Ok(())
}

/// `TOUCH key [key ...]`: marks keys as used now, even by a client with NO-TOUCH. Replies with the number of keys that
/// exist. O(N) for N keys.
pub fn touch(ctx: &mut Context, db: &Db) -> CommandResult {
    let objects = (ctx.args.iter_from(1)).filter_map(|key| ctx.peek(db, key));
    let found = objects.inspect(|object| object.visit(ctx.usage)).count();
    ctx.reply.int(found as i64);
    Ok(())
}

/// `TYPE key`: replies with the name of the value's type, or `none` for no key. O(1).
pub fn type_of(ctx: &mut Context, db: &Db) -> CommandResult {
    let object = ctx.peek(db, &ctx.args[1]);
    ctx.reply
        .simple(object.map_or("none", |o| o.value.as_type().name()));
    Ok(())
}
