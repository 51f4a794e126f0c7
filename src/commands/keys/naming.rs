//! Where a value lives: RENAME, RENAMENX, COPY, MOVE.
//!
//! A value moves or is copied as a whole, with its expiry. Moving costs O(1) whatever the value is; a copy shares what can be
//! shared, such as the nodes of a stream, until one side changes it.
//!
//! | command | from | to | if the target exists |
//! |---|---|---|---|
//! | RENAME | this database | the same | replaces it |
//! | RENAMENX | this database | the same | replies 0 |
//! | COPY | this database | any | replies 0, or replaces it with REPLACE |
//! | MOVE | this database | another | replies 0 |
//!
//! # Invariant
//!
//! * The source is looked up before the target, so expired keys are deleted, and logged, in the order in which Redis does
//!   that.

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
             "Gives a key another name, replacing what had that name."),
    cmd("renamenx", 3, Write(renamenx), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | ACCESS | DELETE), key(2, OW | INSERT)])
        .doc("generic", "1.0.0", "O(1)", "key newkey",
             "Gives a key another name unless that name is taken."),
    cmd("copy", -3, WriteAll(copy), WRITE | DENYOOM, acl::KEYSPACE, &[key(1, RO | ACCESS), key(2, OW | UPDATE)])
        .doc("generic", "6.2.0", "O(N)", "source destination [DB destination-db] [REPLACE]",
             "Copies a value to another key, also across databases."),
    cmd("move", 3, WriteAll(move_key), WRITE | FAST, acl::KEYSPACE, &[key(1, RW | ACCESS | UPDATE)])
        .doc("generic", "1.0.0", "O(1)", "key db",
             "Moves a key to another database."),
];

const SAME_OBJECT: Error = Error::text("ERR source and destination objects are the same");

/// `RENAME key newkey`: gives a key another name, and replaces what had that name. Replies OK, also if the names are the
/// same. O(1).
pub fn rename(ctx: &mut Context, db: &mut Db) -> CommandResult {
    move_name(ctx, db, true)?;
    ctx.reply.ok();
    Ok(())
}

/// `RENAMENX key newkey`: gives a key another name unless that name is taken. Replies 1 if it did, else 0. O(1).
pub fn renamenx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let moved = move_name(ctx, db, false)?;
    ctx.reply.int(moved.into());
    Ok(())
}

/// Gives a key another name. Returns whether it did.
fn move_name(ctx: &mut Context, db: &mut Db, replace: bool) -> Result<bool, Error> {
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

/// `COPY source destination [DB destination-db] [REPLACE]`: copies a value with its expiry. Replies 1 if it did, else 0. O(N)
/// for a value of N elements.
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

/// `MOVE key db`: moves a key to another database. Replies 1 if it did, 0 if there is no such key, or already one there. O(1).
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
