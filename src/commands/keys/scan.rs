//! Finding keys: KEYS, SCAN, RANDOMKEY.
//!
//! # Keys that have expired
//!
//! These commands do not return a key that has expired, with two exceptions that Redis has too: SCAN with `TYPE none`
//! on a primary, and RANDOMKEY on a replica (see [`random_key`]). What else they do with such a key differs:
//!
//! | command | an expired key that it meets |
//! |---|---|
//! | KEYS | stays |
//! | SCAN | is deleted, unless MATCH excludes it |
//! | RANDOMKEY | is deleted, and the command picks another key |
//!
//! A reader cannot delete, so the handler notes the keys, and the executor deletes them afterwards; on a replica it
//! does not. The flag `EXPIRE_EACH` makes each of these deletions a unit of its own in the log.
//!
//! # The cursor of SCAN
//!
//! A client begins a walk with cursor 0, and calls SCAN with the cursor of the last reply until that is 0:
//!
//! ```text
//!   SCAN 0      → cursor 5632, ["a", "b"]
//!   SCAN 5632   → cursor 0, ["c"]         the walk has ended
//! ```
//!
//! The walk returns every key that exists from its beginning to its end at least once, whatever is added and deleted
//! meanwhile. A key that is added or deleted meanwhile may be returned or not, and some keys may be returned twice.
//! [`Db::scan`] implements the walk.

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

/// `KEYS pattern`: replies with all keys that match the pattern. O(N) for N keys in the database.
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
    /// MATCH: the pattern of the name. `None` for `*` too.
    pattern: Option<&'a [u8]>,
    /// TYPE: the name of the value's type.
    type_name: Option<&'a [u8]>,
}

impl ScanFilter<'_> {
    /// Whether SCAN returns this key. Notes an expired key for deletion, unless the pattern excludes it.
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
        let found = ctx.peek(db, key);
        let type_name = found.map_or("none", |o| o.value.as_type().name());
        // Redis looks up the type first, which deletes an expired key, and then whether the key has expired. So TYPE none
        // returns the key, unless this server may not delete it.
        let stays = ctx.server.link.is_replica() || ctx.server.write_pause.is_active();
        wanted.eq_ignore_ascii_case(type_name.as_bytes()) && (found.is_some() || !stays)
    }
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`: one step of a walk over all keys, which visits about
/// `count` keys (10 by default). Replies with the next cursor, which is 0 at the end, and the visited keys that match.
/// O(count).
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

/// The number of random picks that RANDOMKEY makes before it walks over all keys.
const PICKS: usize = 100;

/// `RANDOMKEY`: replies with a random key, or null if there is none. O(1); O(N) for N keys if nearly all have expired.
pub fn randomkey(ctx: &mut Context, db: &Db) -> CommandResult {
    match random_key(ctx, db) {
        Some(key) => ctx.reply.bulk(key),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// A random key. If [`PICKS`] picks find only expired keys, the first live key of a walk over all keys; or, as in
/// Redis, the last expired key that was picked, if this server is a replica and all its keys have an expiry.
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
