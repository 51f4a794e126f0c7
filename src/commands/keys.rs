//! Keys, whatever they hold.

use super::args::{db_index, int};
use super::{Cx, Done};
use crate::resp::Error;
use crate::store::{Db, Store};
use crate::util::{glob, number};

const SAME_OBJECT: Error = Error::text("ERR source and destination objects are the same");

pub fn del(cx: &mut Cx, db: &mut Db) -> Done {
    let removed = (1..cx.args.len())
        .filter(|&i| db.delete(&cx.args[i], cx.now))
        .count();
    cx.dirty += removed as u64;
    cx.reply.int(removed as i64);
    Ok(())
}

/// What is large is always dropped after the lock is released, so UNLINK and DEL are one.
pub fn unlink(cx: &mut Cx, db: &mut Db) -> Done {
    del(cx, db)
}

pub fn exists(cx: &mut Cx, db: &Db) -> Done {
    let found = (1..cx.args.len())
        .filter(|&i| cx.peek(db, i).is_some())
        .count();
    cx.reply.int(found as i64);
    Ok(())
}

pub fn touch(cx: &mut Cx, db: &Db) -> Done {
    let found = (1..cx.args.len())
        .filter(|&i| cx.find(db, i).is_some())
        .count();
    cx.reply.int(found as i64);
    Ok(())
}

pub fn type_of(cx: &mut Cx, db: &Db) -> Done {
    let name = cx.peek(db, 1).map_or("none", |o| o.value.type_name());
    cx.reply.simple(name);
    Ok(())
}

pub fn keys(cx: &mut Cx, db: &Db) -> Done {
    let pattern = &cx.args[1];
    let all = pattern == b"*";
    cx.reply.array_of(|reply| {
        let live = db.keys().filter(|(_, object)| !object.is_expired(cx.now));
        let matching = live.filter(|(key, _)| all || glob::matches(pattern, key, false));
        matching.map(|(key, _)| reply.bulk(key)).count()
    });
    Ok(())
}

pub fn scan(cx: &mut Cx, db: &Db) -> Done {
    let cursor = number::parse_u64_lenient(&cx.args[1]).ok_or(Error::text("ERR invalid cursor"))?;
    let (mut pattern, mut count, mut kind) = (None, 10, None);
    let mut i = 2;
    while i < cx.args.len() {
        if i + 1 >= cx.args.len() {
            return Err(Error::SYNTAX);
        }
        if cx.args.is(i, "COUNT") {
            count = int(&cx.args[i + 1])?;
            if count < 1 {
                return Err(Error::SYNTAX);
            }
        } else if cx.args.is(i, "MATCH") {
            pattern = Some(i + 1).filter(|&p| &cx.args[p] != b"*");
        } else if cx.args.is(i, "TYPE") {
            kind = Some(i + 1);
        } else {
            return Err(Error::SYNTAX);
        }
        i += 2;
    }
    let mut found = vec![];
    let next = db.scan(cursor, count as usize, |key, object| {
        let fits = !object.is_expired(cx.now)
            && pattern.is_none_or(|p| glob::matches(&cx.args[p], key, false))
            && kind.is_none_or(|k| cx.args.is(k, object.value.type_name()));
        if fits {
            found.push(key);
        }
    });
    cx.reply.array(2);
    cx.reply.bulk(next.to_string().as_bytes());
    cx.reply.bulks(&found);
    Ok(())
}

pub fn randomkey(cx: &mut Cx, db: &Db) -> Done {
    match db.random_key(cx.now, |n| cx.shared.random.below(n)) {
        Some(key) => cx.reply.bulk(key),
        None => cx.reply.null(),
    }
    Ok(())
}

pub fn rename(cx: &mut Cx, db: &mut Db) -> Done {
    move_name(cx, db, true)?;
    cx.reply.ok();
    Ok(())
}

pub fn renamenx(cx: &mut Cx, db: &mut Db) -> Done {
    let moved = move_name(cx, db, false)?;
    cx.reply.int(moved.into());
    Ok(())
}

fn move_name(cx: &mut Cx, db: &mut Db, replace: bool) -> Result<bool, Error> {
    let (from, to) = (&cx.args[1], &cx.args[2]);
    db.get_mut(from, cx.now).ok_or(Error::NO_SUCH_KEY)?;
    if from == to {
        return Ok(false);
    }
    if db.get_mut(to, cx.now).is_some() {
        if !replace {
            return Ok(false);
        }
        db.delete(to, cx.now);
    }
    if let Some(object) = db.remove(from, cx.now) {
        db.insert(to, object);
    }
    cx.dirty += 1;
    Ok(true)
}

pub fn copy(cx: &mut Cx, store: &mut Store) -> Done {
    let here = cx.session.db;
    let (mut there, mut replace, mut i) = (here, false, 3);
    while i < cx.args.len() {
        if cx.args.is(i, "REPLACE") {
            replace = true;
        } else if cx.args.is(i, "DB") && i + 1 < cx.args.len() {
            there = db_index(cx, i + 1)?;
            i += 1;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 1;
    }
    let (from, to) = (&cx.args[1], &cx.args[2]);
    if here == there && from == to {
        return Err(SAME_OBJECT);
    }
    let Some(object) = store.dbs[here].get_mut(from, cx.now).map(|o| o.clone()) else {
        cx.reply.int(0);
        return Ok(());
    };
    let target = &mut store.dbs[there];
    if target.get_mut(to, cx.now).is_some() {
        if !replace {
            cx.reply.int(0);
            return Ok(());
        }
        target.delete(to, cx.now);
    }
    target.insert(to, object);
    cx.dirty += 1;
    cx.reply.int(1);
    Ok(())
}

pub fn move_key(cx: &mut Cx, store: &mut Store) -> Done {
    let here = cx.session.db;
    let there = db_index(cx, 2)?;
    if here == there {
        return Err(SAME_OBJECT);
    }
    let (source, target) = store.pair(here, there);
    let key = &cx.args[1];
    let free = target.get_mut(key, cx.now).is_none();
    let moved = match free.then(|| source.remove(key, cx.now)).flatten() {
        Some(object) => {
            target.insert(key, object);
            true
        }
        None => false,
    };
    cx.dirty += u64::from(moved);
    cx.reply.int(moved.into());
    Ok(())
}
