//! Renaming, copying and moving keys: RENAME, RENAMENX, COPY, MOVE.
//!
//! The value goes to the target as a whole, with its expiry. A move costs O(1) for a value of any size. A copy of a
//! stream shares the stream with the original until one of them changes.
//!
//! | command | source | target | if the target exists |
//! |---|---|---|---|
//! | RENAME | a key of the selected database | another name there | replaces it |
//! | RENAMENX | a key of the selected database | another name there | replies 0 |
//! | COPY | a key of the selected database | any name in any database | replies 0; with REPLACE, replaces it |
//! | MOVE | a key of the selected database | the same name in another database | replies 0 |
//!
//! # Invariant
//!
//! * The source is looked up before the target, so expired keys are deleted and logged in the same order as in Redis.

use crate::commands::args::{Cursor, db_index, db_index_of, int32};
use crate::commands::command::Handler::{Write, WriteAll};
use crate::commands::command::flags::{DENYOOM, FAST, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, DELETE, INSERT, OW, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::{Class, Db, Store};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("rename", 3, Write(rename), WRITE, acl::KEYSPACE, &[key(1, RW | ACCESS | DELETE), key(2, OW | UPDATE)])
        .doc("generic", "1.0.0", "O(1)", "key newkey",
             "Gives a key another name and replaces a key that has that name."),
    cmd("renamenx", 3, Write(renamenx), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | ACCESS | DELETE), key(2, OW | INSERT)])
        .doc("generic", "1.0.0", "O(1)", "key newkey",
             "Gives a key another name unless a key has that name."),
    cmd("copy", -3, WriteAll(copy), WRITE | DENYOOM, acl::KEYSPACE, &[key(1, RO | ACCESS), key(2, OW | UPDATE)])
        .doc("generic", "6.2.0", "O(N)", "source destination [DB destination-db] [REPLACE]",
             "Copies a value to another key, also across databases."),
    cmd("move", 3, WriteAll(move_key), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | ACCESS | UPDATE)])
        .doc("generic", "1.0.0", "O(1)", "key db",
             "Moves a key to another database."),
];

/// Redis's error for a source and a target that are the same key.
const SAME_OBJECT: Error = Error::text("ERR source and destination objects are the same");

/// `RENAME key newkey`: gives a key another name, and replaces a key that has that name. Replies OK, even if both names
/// are the same; an error for no key. O(1).
///
/// Reports a stream as ready at both names.
pub fn rename(ctx: &mut Context, db: &mut Db) -> CommandResult {
    rename_key(ctx, db, true)?;
    ctx.reply.ok();
    Ok(())
}

/// `RENAMENX key newkey`: gives a key another name, unless a key has that name. Replies 1 if it did, else 0; an error
/// for no key. O(1).
///
/// Reports a stream as ready at both names.
pub fn renamenx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let renamed = rename_key(ctx, db, false)?;
    ctx.reply.int(renamed.into());
    Ok(())
}

/// Gives a key another name; with `replace` even if a key has that name. Returns whether it did.
fn rename_key(ctx: &mut Context, db: &mut Db, replace: bool) -> Result<bool, Error> {
    let (from, to) = (&ctx.args[1], &ctx.args[2]);
    ctx.find_mut(db, from).ok_or(Error::NO_SUCH_KEY)?;
    if from == to {
        return Ok(false);
    }
    if ctx.find_mut(db, to).is_some() {
        if !replace {
            return Ok(false);
        }
        db.delete(to, ctx.now);
    }
    if let Some(object) = db.remove(from, ctx.now) {
        db.insert(to, object);
    }
    db.event(Class::Generic, "rename_from", from);
    db.event(Class::Generic, "rename_to", to);
    ctx.dirty += 1;
    Ok(true)
}

/// `COPY source destination [DB destination-db] [REPLACE]`: copies a value with its expiry. Replies 1 if it did, 0 if
/// there is no source, or if the target exists and REPLACE is not given. O(N) for a string of N bytes, O(1) for a
/// stream.
///
/// Reports a stream as ready at the target.
pub fn copy(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let here = ctx.session.db;
    let (mut there, mut replace) = (here, false);
    let mut options = Cursor::new(&ctx.args, 3);
    while let Some(option) = options.next() {
        match option.to_ascii_uppercase().as_slice() {
            b"REPLACE" => replace = true,
            b"DB" => there = db_index_of(int32(options.value()?)?, ctx)?,
            _ => return Err(Error::SYNTAX),
        }
    }
    let (from, to) = (&ctx.args[1], &ctx.args[2]);
    if here == there && from == to {
        return Err(SAME_OBJECT);
    }
    let Some(object) = ctx.find(&store.dbs[here], from).cloned() else {
        ctx.reply.int(0);
        return Ok(());
    };
    let target = &mut store.dbs[there];
    if ctx.find_mut(target, to).is_some() {
        if !replace {
            ctx.reply.int(0);
            return Ok(());
        }
        target.delete(to, ctx.now);
    }
    object.set_used(ctx.usage.fresh());
    target.insert(to, object);
    target.event(Class::Generic, "copy_to", to);
    ctx.dirty += 1;
    ctx.reply.int(1);
    Ok(())
}

/// `MOVE key db`: moves a key to another database. Replies 1 if it did, 0 if there is no such key here, or there is one
/// there. O(1).
///
/// Reports a stream as ready in both databases.
pub fn move_key(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let here = ctx.session.db;
    let there = db_index(ctx, 2)?;
    if here == there {
        return Err(SAME_OBJECT);
    }
    let (source, target) = store.pair(here, there);
    let key = &ctx.args[1];
    let can_move = ctx.find_mut(source, key).is_some() && ctx.find_mut(target, key).is_none();
    if can_move && let Some(object) = source.remove(key, ctx.now) {
        target.insert(key, object);
        source.event(Class::Generic, "move_from", key);
        target.event(Class::Generic, "move_to", key);
        ctx.dirty += 1;
    }
    ctx.reply.int(can_move.into());
    Ok(())
}
