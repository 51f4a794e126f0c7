//! Keys, whatever they hold.

use crate::commands::args::{db_index, int};
use crate::commands::command::Handler::{Read, Write, WriteAll};
use crate::commands::command::flags::{DENYOOM, EXPIRE_EACH, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, DELETE, INSERT, OW, RM, RO, RW, UPDATE};
use crate::commands::key_spec::{key, keys as key_range};
use crate::resp::Error;
use crate::store::{Class, Db, Store};
use crate::util::{glob, number};

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
    cmd("keys", 2, Read(keys), READONLY, acl::KEYSPACE | acl::DANGEROUS, &[])
        .doc("generic", "1.0.0", "O(N)", "pattern",
             "Lists all keys that match a pattern.")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    cmd("scan", -2, Read(scan), READONLY | EXPIRE_EACH, acl::KEYSPACE, &[])
        .doc("generic", "2.8.0", "O(1)", "cursor [MATCH pattern] [COUNT count] [TYPE type]",
             "Walks over all keys, some at each call.")
        .tips(&["nondeterministic_output", "request_policy:special"]),
    cmd("randomkey", 1, Read(randomkey), READONLY | EXPIRE_EACH, acl::KEYSPACE, &[])
        .doc("generic", "1.0.0", "O(1)", "",
             "Picks a key at random.")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
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

pub fn del(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let removed = (1..ctx.args.len())
        .filter(|&i| {
            let deleted = db.delete(&ctx.args[i], ctx.now);
            if deleted {
                db.event(Class::Generic, "del", &ctx.args[i]);
            }
            deleted
        })
        .count();
    ctx.dirty += removed as u64;
    ctx.reply.int(removed as i64);
    Ok(())
}

/// What is large is always dropped after the lock is released, so UNLINK and DEL are one.
pub fn unlink(ctx: &mut Context, db: &mut Db) -> CommandResult {
    del(ctx, db)
}

pub fn exists(ctx: &mut Context, db: &Db) -> CommandResult {
    let found = (1..ctx.args.len())
        .filter(|&i| ctx.peek(db, &ctx.args[i]).is_some())
        .count();
    ctx.reply.int(found as i64);
    Ok(())
}

pub fn touch(ctx: &mut Context, db: &Db) -> CommandResult {
    let found = (1..ctx.args.len())
        .filter(|&i| ctx.find(db, &ctx.args[i]).is_some())
        .count();
    ctx.reply.int(found as i64);
    Ok(())
}

pub fn type_of(ctx: &mut Context, db: &Db) -> CommandResult {
    let name = ctx
        .peek(db, &ctx.args[1])
        .map_or("none", |o| o.value.type_name());
    ctx.reply.simple(name);
    Ok(())
}

pub fn keys(ctx: &mut Context, db: &Db) -> CommandResult {
    let pattern = &ctx.args[1];
    let all = pattern == b"*";
    ctx.reply.array_of(|reply| {
        let live = db.keys().filter(|(_, object)| !object.is_expired(ctx.now));
        let matching = live.filter(|(key, _)| all || glob::matches(pattern, key, false));
        matching.map(|(key, _)| reply.bulk(key)).count()
    });
    Ok(())
}

pub fn scan(ctx: &mut Context, db: &Db) -> CommandResult {
    let cursor = number::parse_cursor(&ctx.args[1]).ok_or(Error::text("ERR invalid cursor"))?;
    let (mut pattern, mut count, mut kind) = (None, 10, None);
    let mut i = 2;
    while i < ctx.args.len() {
        if i + 1 >= ctx.args.len() {
            return Err(Error::SYNTAX);
        }
        if ctx.args.is(i, "COUNT") {
            count = int(&ctx.args[i + 1])?;
            if count < 1 {
                return Err(Error::SYNTAX);
            }
        } else if ctx.args.is(i, "MATCH") {
            pattern = Some(i + 1).filter(|&p| &ctx.args[p] != b"*");
        } else if ctx.args.is(i, "TYPE") {
            kind = Some(i + 1);
        } else {
            return Err(Error::SYNTAX);
        }
        i += 2;
    }
    let mut found = vec![];
    let next = db.scan(cursor, count as usize, |key, object| {
        let fits = !object.is_expired(ctx.now)
            && pattern.is_none_or(|p| glob::matches(&ctx.args[p], key, false))
            && kind.is_none_or(|k| ctx.args.is(k, object.value.type_name()));
        if fits {
            found.push(key);
        }
    });
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.bulks(&found);
    Ok(())
}

pub fn randomkey(ctx: &mut Context, db: &Db) -> CommandResult {
    match db.random_key(ctx.now, |n| ctx.server.random.below(n)) {
        Some(key) => ctx.reply.bulk(key),
        None => ctx.reply.null(),
    }
    Ok(())
}

pub fn rename(ctx: &mut Context, db: &mut Db) -> CommandResult {
    move_name(ctx, db, true)?;
    ctx.reply.ok();
    Ok(())
}

pub fn renamenx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let moved = move_name(ctx, db, false)?;
    ctx.reply.int(moved.into());
    Ok(())
}

fn move_name(ctx: &mut Context, db: &mut Db, replace: bool) -> Result<bool, Error> {
    let (from, to) = (&ctx.args[1], &ctx.args[2]);
    db.get_mut(from, ctx.now).ok_or(Error::NO_SUCH_KEY)?;
    if from == to {
        return Ok(false);
    }
    if db.get_mut(to, ctx.now).is_some() {
        if !replace {
            return Ok(false);
        }
        db.delete(to, ctx.now);
    }
    if let Some(object) = db.remove(from, ctx.now) {
        db.insert(to, object);
    }
    ctx.dirty += 1;
    Ok(true)
}

pub fn copy(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let here = ctx.session.db;
    let (mut there, mut replace, mut i) = (here, false, 3);
    while i < ctx.args.len() {
        if ctx.args.is(i, "REPLACE") {
            replace = true;
        } else if ctx.args.is(i, "DB") && i + 1 < ctx.args.len() {
            there = db_index(ctx, i + 1)?;
            i += 1;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 1;
    }
    let (from, to) = (&ctx.args[1], &ctx.args[2]);
    if here == there && from == to {
        return Err(SAME_OBJECT);
    }
    let Some(object) = store.dbs[here].get_mut(from, ctx.now).map(|o| o.clone()) else {
        ctx.reply.int(0);
        return Ok(());
    };
    let target = &mut store.dbs[there];
    if target.get_mut(to, ctx.now).is_some() {
        if !replace {
            ctx.reply.int(0);
            return Ok(());
        }
        target.delete(to, ctx.now);
    }
    target.insert(to, object);
    ctx.dirty += 1;
    ctx.reply.int(1);
    Ok(())
}

pub fn move_key(ctx: &mut Context, store: &mut Store) -> CommandResult {
    let here = ctx.session.db;
    let there = db_index(ctx, 2)?;
    if here == there {
        return Err(SAME_OBJECT);
    }
    let (source, target) = store.pair(here, there);
    let key = &ctx.args[1];
    let free = target.get_mut(key, ctx.now).is_none();
    let moved = match free.then(|| source.remove(key, ctx.now)).flatten() {
        Some(object) => {
            target.insert(key, object);
            true
        }
        None => false,
    };
    ctx.dirty += u64::from(moved);
    ctx.reply.int(moved.into());
    Ok(())
}
