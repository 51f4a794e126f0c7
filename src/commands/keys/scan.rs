//! Finding keys: KEYS, SCAN, RANDOMKEY.
//!
//! # Keys that have expired
//!
//! None of these commands returns a key that has expired. They differ in what else happens to such a key, as in Redis:
//!
//! | command | an expired key that it meets |
//! |---|---|
//! | KEYS | is left out, and stays |
//! | SCAN | is deleted, unless MATCH leaves it out first |
//! | RANDOMKEY | is deleted, and another key is picked |
//!
//! A reader cannot delete, so it notes the keys, and the executor deletes them after the handler. The flag `EXPIRE_EACH`
//! makes each of these deletions a unit of its own in the log.
//!
//! # The cursor of SCAN
//!
//! See [`Db::scan`]: every key that is there from the beginning of a walk to its end is returned at least once, whatever comes
//! and goes in the meantime.

use crate::commands::args::Cursor;
use crate::commands::command::Handler::Read;
use crate::commands::command::flags::{EXPIRE_EACH, READONLY};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::resp::Error;
use crate::store::{Db, Object};
use crate::util::{glob, number};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
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
];

/// `KEYS pattern`: replies with all keys that match. O(N) for N keys in the database.
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

/// Which keys SCAN returns.
#[derive(Default)]
struct ScanFilter<'a> {
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
}

impl ScanFilter<'_> {
    /// Whether SCAN returns this key. An expired key is noted for deletion, unless the pattern leaves it out first.
    fn admits(&self, ctx: &Context, db: &Db, key: &[u8], object: &Object) -> bool {
        if (self.pattern).is_some_and(|pattern| !glob::matches(pattern, key, false)) {
            return false;
        }
        let Some(wanted) = self.type_name else {
            let is_expired = object.is_expired(ctx.now);
            if is_expired {
                ctx.expired.borrow_mut().push(key.to_vec());
            }
            return !is_expired;
        };
        // As in Redis, a key that has just expired has the type `none`.
        let object = ctx.peek(db, key);
        let type_name = object.map_or("none", |o| o.value.as_type().name());
        wanted.eq_ignore_ascii_case(type_name.as_bytes())
    }
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`: looks at some keys, about `count` of them, from the cursor on.
/// Replies with the cursor to go on with, 0 at the end, and the keys that match. O(count).
pub fn scan(ctx: &mut Context, db: &Db) -> CommandResult {
    let cursor = number::parse_cursor(&ctx.args[1]);
    let cursor = cursor.ok_or(Error::text("ERR invalid cursor"))?;
    let (mut filter, mut count) = (ScanFilter::default(), 10);
    let mut options = Cursor::new(&ctx.args, 2);
    while let Some(option) = options.next() {
        match option.to_ascii_uppercase().as_slice() {
            b"COUNT" => {
                count = options.int()?;
                if count < 1 {
                    return Err(Error::SYNTAX);
                }
            }
            b"MATCH" => filter.pattern = Some(options.value()?).filter(|p| *p != b"*"),
            b"TYPE" => filter.type_name = Some(options.value()?),
            _ => return Err(Error::SYNTAX),
        }
    }
    let mut found = vec![];
    let next = db.scan(cursor, count as usize, |key, object| {
        if filter.admits(ctx, db, key, object) {
            found.push(key);
        }
    });
    ctx.reply.array(2);
    ctx.reply.bulk(next.to_string().as_bytes());
    ctx.reply.bulks(&found);
    Ok(())
}

/// Random picks before RANDOMKEY looks for a key in another way.
const PICKS: usize = 100;

/// `RANDOMKEY`: replies with a key chosen at random, or null if the database is empty. O(1), if not almost all keys have
/// expired.
pub fn randomkey(ctx: &mut Context, db: &Db) -> CommandResult {
    match random_key(ctx, db) {
        Some(key) => ctx.reply.bulk(key),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// A random key. If a hundred picks find only expired ones, the first live key of a walk over all of them. On a replica that
/// has only keys with an expiry it may be one that has expired, as in Redis, because a replica does not delete them.
fn random_key<'d>(ctx: &Context, db: &'d Db) -> Option<&'d [u8]> {
    let mut last = None;
    for _ in 0..PICKS {
        let (key, object) = db.random_key(|n| ctx.server.random.below(n))?;
        if !object.is_expired(ctx.now) {
            return Some(key);
        }
        ctx.expired.borrow_mut().push(key.to_vec());
        last = Some(key);
    }
    if ctx.server.link.is_replica() && db.volatile_len() == db.len() {
        return last;
    }
    for (key, object) in db.keys() {
        if !object.is_expired(ctx.now) {
            return Some(key);
        }
        ctx.expired.borrow_mut().push(key.to_vec());
    }
    None
}
