//! Strings: SET, GET and their many relatives.

use crate::commands::args::int;
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{DENYOOM, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{
    ACCESS, DELETE, INSERT, OW, RO, RW, UPDATE, VARIABLE_FLAGS,
};
use crate::commands::key_spec::{key, keys};
use crate::resp::{Args, Error, Reply};
use crate::store::stream::Stream;
use crate::store::{Class, Db, Keep, NEVER, Type, Value};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("set", -3, Write(set), WRITE | DENYOOM, acl::STRING, &[key(1, RW | ACCESS | UPDATE | VARIABLE_FLAGS).note("reads too when GET is given")])
        .doc("string", "1.0.0", "O(1)", "key value [NX|XX] [GET] [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL]",
             "Stores a string at a key, whatever was there before."),
    cmd("get", 2, Read(get), READONLY | FAST, acl::STRING, &[key(1, RO | ACCESS)])
        .doc("string", "1.0.0", "O(1)", "key",
             "Reads the string at a key."),
    cmd("getset", 3, Write(getset), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE)])
        .doc("string", "1.0.0", "O(1)", "key value",
             "Stores a new string and returns the old one."),
    cmd("getex", -2, Write(getex), WRITE | FAST, acl::STRING, &[key(1, RW | ACCESS | UPDATE).note("writes because the expiry changes")])
        .doc("string", "6.2.0", "O(1)", "key [EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST]",
             "Reads a string and sets or removes its expiry."),
    cmd("getdel", 2, Write(getdel), WRITE | FAST, acl::STRING, &[key(1, RW | ACCESS | DELETE)])
        .doc("string", "6.2.0", "O(1)", "key",
             "Reads a string and removes the key."),
    cmd("setnx", 3, Write(setnx), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, OW | INSERT)])
        .doc("string", "1.0.0", "O(1)", "key value",
             "Stores a string unless the key exists."),
    cmd("setex", 4, Write(setex), WRITE | DENYOOM, acl::STRING, &[key(1, OW | UPDATE)])
        .doc("string", "2.0.0", "O(1)", "key seconds value",
             "Stores a string that lives for a number of seconds."),
    cmd("psetex", 4, Write(psetex), WRITE | DENYOOM, acl::STRING, &[key(1, OW | UPDATE)])
        .doc("string", "2.6.0", "O(1)", "key milliseconds value",
             "Stores a string that lives for a number of milliseconds."),
    cmd("mset", -3, Write(mset), WRITE | DENYOOM, acl::STRING, &[keys(1, -1, 2, OW | UPDATE)])
        .doc("string", "1.0.1", "O(N)", "<key value>...",
             "Stores several strings at once.")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    cmd("msetnx", -3, Write(msetnx), WRITE | DENYOOM, acl::STRING, &[keys(1, -1, 2, OW | INSERT)])
        .doc("string", "1.0.1", "O(N)", "<key value>...",
             "Stores several strings at once unless one of the keys exists.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    cmd("mget", -2, Read(mget), READONLY | FAST, acl::STRING, &[keys(1, -1, 1, RO | ACCESS)])
        .doc("string", "1.0.0", "O(N)", "key...",
             "Reads several strings at once.")
        .tips(&["request_policy:multi_shard"]),
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

/// Writes a string value as a reply.
pub fn reply_value(reply: &mut Reply, value: &Value) -> CommandResult {
    match value {
        Value::Int(n) => reply.bulk_int(*n),
        other => reply.bulk(&other.as_string()?),
    }
    Ok(())
}

/// Argument `i` as a value, its bytes taken over and not copied if they are many.
fn value_of(ctx: &mut Context, i: usize) -> Value {
    match ctx.take_big(i) {
        Some(bytes) => Value::string_owned(bytes),
        None => Value::string(&ctx.args[i]),
    }
}

/// Refuses strings that a client could not have sent in one piece.
fn check_length(ctx: &Context, len: usize) -> CommandResult {
    if len as u64 > ctx.config.proto_max_bulk_len as u64 {
        return Err(Error::text(
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ));
    }
    Ok(())
}

/// How an expiry is written in SET, GETEX and the like.
#[derive(Clone, Copy)]
struct Expiry {
    /// The argument that holds the number.
    at: usize,
    seconds: bool,
    relative: bool,
}

/// The options of SET and GETEX.
#[derive(Default)]
struct Options {
    only_new: bool,
    only_existing: bool,
    get: bool,
    keep_ttl: bool,
    persist: bool,
    expiry: Option<Expiry>,
}

impl Options {
    /// Reads options from argument `from` on; GETEX has other ones than SET.
    fn read(args: &Args, from: usize, getex: bool) -> Result<Options, Error> {
        let mut o = Options::default();
        let mut i = from;
        while i < args.len() {
            // The same unit may be given again, and then the last one counts; a second unit may not.
            let expiry = |seconds, relative| {
                let same = o
                    .expiry
                    .is_none_or(|e| (e.seconds, e.relative) == (seconds, relative));
                let fits = same && !o.keep_ttl && !o.persist && i + 1 < args.len();
                fits.then_some(Some(Expiry {
                    at: i + 1,
                    seconds,
                    relative,
                }))
                .ok_or(Error::SYNTAX)
            };
            match args[i].to_ascii_uppercase().as_slice() {
                b"NX" if !getex && !o.only_existing => o.only_new = true,
                b"XX" if !getex && !o.only_new => o.only_existing = true,
                b"GET" if !getex => o.get = true,
                b"KEEPTTL" if !getex && !o.persist && o.expiry.is_none() => o.keep_ttl = true,
                b"PERSIST" if getex && !o.keep_ttl && o.expiry.is_none() => o.persist = true,
                b"EX" => o.expiry = expiry(true, true)?,
                b"PX" => o.expiry = expiry(false, true)?,
                b"EXAT" => o.expiry = expiry(true, false)?,
                b"PXAT" => o.expiry = expiry(false, false)?,
                _ => return Err(Error::SYNTAX),
            }
            // The number of an expiry that was just read is no option.
            i += if o.expiry.is_some_and(|e| e.at == i + 1) {
                2
            } else {
                1
            };
        }
        Ok(o)
    }
}

/// The time that an expiry stands for: Unix time in milliseconds.
fn deadline(ctx: &Context, expiry: Expiry) -> Result<i64, Error> {
    let name = String::from_utf8_lossy(&ctx.args[0]).to_lowercase();
    let invalid = || Error::new(format!("ERR invalid expire time in '{name}' command"));
    let n = int(&ctx.args[expiry.at])?;
    if n <= 0 {
        return Err(invalid());
    }
    let ms = if expiry.seconds {
        n.checked_mul(1000).ok_or_else(invalid)?
    } else {
        n
    };
    let at = if expiry.relative {
        ms.checked_add(ctx.now).ok_or_else(invalid)?
    } else {
        ms
    };
    Ok(at.min(NEVER - 1))
}

pub fn set(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = if ctx.args.len() == 3 {
        Options::default()
    } else {
        Options::read(&ctx.args, 3, false)?
    };
    let until = options.expiry.map(|e| deadline(ctx, e)).transpose()?;
    let conditional = options.get || options.only_new || options.only_existing;
    if conditional {
        let old = db.get_mut(&ctx.args[1], ctx.now);
        let exists = old.is_some();
        if options.get {
            match old {
                Some(object) => reply_value(ctx.reply, &object.value)?,
                None => ctx.reply.null(),
            }
        }
        if options.only_new && exists || options.only_existing && !exists {
            if !options.get {
                ctx.reply.null();
            }
            return Ok(());
        }
    }
    let keep = match until {
        Some(at) => Keep::Until(at),
        None if options.keep_ttl => {
            db.get_mut(&ctx.args[1], ctx.now); // an expiry that has passed is not kept
            Keep::Expiry
        }
        None => Keep::Until(NEVER),
    };
    let value = value_of(ctx, 2);
    db.set(&ctx.args[1], value, keep, ctx.usage, ctx.now);
    db.event(Class::String, "set", &ctx.args[1]);
    ctx.dirty += 1;
    match until {
        Some(at) => propagate_expiring_set(ctx, 2, at),
        None if options.get && ctx.propagation.is_wanted() => {
            let words = (0..ctx.args.len()).filter(|&i| i < 3 || !ctx.args.is(i, "GET"));
            let words: Vec<&[u8]> = words.map(|i| &ctx.args[i]).collect();
            ctx.propagation.add(&words);
        }
        None => {}
    }
    if !options.get {
        ctx.reply.ok();
    }
    Ok(())
}

/// A SET with an expiry goes to the replicas with the time itself, not with how long it is until then. `value` is the
/// argument that holds the value.
fn propagate_expiring_set(ctx: &mut Context, value: usize, at: i64) {
    if ctx.propagation.is_wanted() {
        let (key, value, at) = (&ctx.args[1], &ctx.args[value], at.to_string());
        ctx.propagation
            .add(&[b"SET", key, value, b"PXAT", at.as_bytes()]);
    }
}

pub fn setnx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let free = db.get_mut(&ctx.args[1], ctx.now).is_none();
    if free {
        let value = value_of(ctx, 2);
        ctx.set(db, &ctx.args[1], value);
        ctx.dirty += 1;
    }
    ctx.reply.int(free.into());
    Ok(())
}

fn set_expiring(ctx: &mut Context, db: &mut Db, seconds: bool) -> CommandResult {
    let until = deadline(
        ctx,
        Expiry {
            at: 2,
            seconds,
            relative: true,
        },
    )?;
    let value = value_of(ctx, 3);
    db.set(&ctx.args[1], value, Keep::Until(until), ctx.usage, ctx.now);
    ctx.dirty += 1;
    propagate_expiring_set(ctx, 3, until);
    ctx.reply.ok();
    Ok(())
}

pub fn setex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiring(ctx, db, true)
}

pub fn psetex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    set_expiring(ctx, db, false)
}

pub fn get(ctx: &mut Context, db: &Db) -> CommandResult {
    match ctx.find(db, &ctx.args[1]) {
        Some(object) => reply_value(ctx.reply, &object.value),
        None => {
            ctx.reply.null();
            Ok(())
        }
    }
}

pub fn getset(ctx: &mut Context, db: &mut Db) -> CommandResult {
    match ctx.find_mut(db, &ctx.args[1]) {
        Some(object) => reply_value(ctx.reply, &object.value)?,
        None => ctx.reply.null(),
    }
    let value = value_of(ctx, 2);
    ctx.set(db, &ctx.args[1], value);
    ctx.dirty += 1;
    ctx.propagation.add(&[b"SET", &ctx.args[1], &ctx.args[2]]);
    Ok(())
}

pub fn getex(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = Options::read(&ctx.args, 2, true)?;
    let Some(object) = ctx.find_mut(db, &ctx.args[1]) else {
        ctx.reply.null();
        return Ok(());
    };
    object.value.as_string()?;
    let until = options.expiry.map(|e| deadline(ctx, e)).transpose()?;
    reply_value(ctx.reply, &object.value)?;
    let expires = object.expiry().is_some();
    match until {
        Some(at) if db.goes_at_once(at, ctx.now) => {
            db.delete(&ctx.args[1], ctx.now);
            ctx.propagation.add(&[b"DEL", &ctx.args[1]]);
            ctx.dirty += 1;
        }
        Some(at) => {
            db.set_expiry(&ctx.args[1], at);
            let at = at.to_string();
            ctx.propagation
                .add(&[b"PEXPIREAT", &ctx.args[1], at.as_bytes()]);
            ctx.dirty += 1;
        }
        None if options.persist && expires => {
            db.set_expiry(&ctx.args[1], NEVER);
            ctx.propagation.add(&[b"PERSIST", &ctx.args[1]]);
            ctx.dirty += 1;
        }
        None => {}
    }
    Ok(())
}

pub fn getdel(ctx: &mut Context, db: &mut Db) -> CommandResult {
    match ctx.find_mut(db, &ctx.args[1]) {
        Some(object) => reply_value(ctx.reply, &object.value)?,
        None => {
            ctx.reply.null();
            return Ok(());
        }
    }
    db.delete(&ctx.args[1], ctx.now);
    ctx.propagation.add(&[b"DEL", &ctx.args[1]]);
    ctx.dirty += 1;
    Ok(())
}

pub fn mget(ctx: &mut Context, db: &Db) -> CommandResult {
    ctx.reply.array(ctx.args.len() - 1);
    for i in 1..ctx.args.len() {
        match ctx.find(db, &ctx.args[i]) {
            Some(object) if Stream::of(&object.value).is_err() => {
                reply_value(ctx.reply, &object.value)?
            }
            _ => ctx.reply.null(),
        }
    }
    Ok(())
}

/// Sets the pairs of MSET and MSETNX.
fn set_pairs(ctx: &mut Context, db: &mut Db) {
    for i in (1..ctx.args.len()).step_by(2) {
        let value = value_of(ctx, i + 1);
        ctx.set(db, &ctx.args[i], value);
        ctx.dirty += 1;
    }
}

fn check_pairs(ctx: &Context, name: &str) -> CommandResult {
    if ctx.args.len().is_multiple_of(2) {
        Err(crate::commands::args::wrong_arity(name))
    } else {
        Ok(())
    }
}

pub fn mset(ctx: &mut Context, db: &mut Db) -> CommandResult {
    check_pairs(ctx, "mset")?;
    set_pairs(ctx, db);
    ctx.reply.ok();
    Ok(())
}

pub fn msetnx(ctx: &mut Context, db: &mut Db) -> CommandResult {
    check_pairs(ctx, "msetnx")?;
    for i in (1..ctx.args.len()).step_by(2) {
        if db.get_mut(&ctx.args[i], ctx.now).is_some() {
            ctx.reply.int(0);
            return Ok(());
        }
    }
    set_pairs(ctx, db);
    ctx.reply.int(1);
    Ok(())
}

pub fn append(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let len = match ctx.find_mut(db, &ctx.args[1]) {
        None => {
            let len = ctx.args[2].len();
            let value = value_of(ctx, 2);
            ctx.set(db, &ctx.args[1], value);
            len
        }
        Some(object) => {
            check_length(ctx, object.value.as_string()?.len() + ctx.args[2].len())?;
            let string = object.value.as_raw_mut()?;
            string.extend_from_slice(&ctx.args[2]);
            let len = string.len();
            db.modified(&ctx.args[1]);
            len
        }
    };
    ctx.dirty += 1;
    ctx.reply.int(len as i64);
    Ok(())
}

pub fn strlen(ctx: &mut Context, db: &Db) -> CommandResult {
    let len = match ctx.find(db, &ctx.args[1]) {
        Some(object) => object.value.as_string()?.len(),
        None => 0,
    };
    ctx.reply.int(len as i64);
    Ok(())
}

pub fn setrange(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let offset = int(&ctx.args[2])?;
    let offset = usize::try_from(offset).map_err(|_| Error::text("ERR offset is out of range"))?;
    let patch_len = ctx.args[3].len();
    let object = ctx.find_mut(db, &ctx.args[1]);
    let old_len = match &object {
        Some(object) => object.value.as_string()?.len(),
        None => 0,
    };
    if patch_len == 0 {
        ctx.reply.int(old_len as i64);
        return Ok(());
    }
    let end = offset.saturating_add(patch_len);
    check_length(ctx, end)?;
    let len = end.max(old_len);
    let patch = |string: &mut Vec<u8>, with: &[u8]| {
        string.resize(len, 0);
        string[offset..end].copy_from_slice(with);
    };
    match object {
        Some(object) => {
            patch(object.value.as_raw_mut()?, &ctx.args[3]);
            db.modified(&ctx.args[1]);
        }
        None => {
            let mut string = Vec::new();
            patch(&mut string, &ctx.args[3]);
            db.set(
                &ctx.args[1],
                Value::Raw(Box::new(string)),
                Keep::Until(NEVER),
                ctx.usage,
                ctx.now,
            );
        }
    }
    ctx.dirty += 1;
    ctx.reply.int(len as i64);
    Ok(())
}

pub fn getrange(ctx: &mut Context, db: &Db) -> CommandResult {
    let (start, end) = (int(&ctx.args[2])?, int(&ctx.args[3])?);
    let Some(object) = ctx.find(db, &ctx.args[1]) else {
        ctx.reply.bulk(b"");
        return Ok(());
    };
    let string = object.value.as_string()?;
    let len = string.len() as i64;
    let from_end = |i: i64| if i < 0 { (len + i).max(0) } else { i };
    let (from, to) = (from_end(start), from_end(end).min(len - 1));
    let empty = len == 0 || from > to || (start < 0 && end < 0 && start > end);
    ctx.reply.bulk(if empty {
        b""
    } else {
        &string[from as usize..=to as usize]
    });
    Ok(())
}

pub fn substr(ctx: &mut Context, db: &Db) -> CommandResult {
    getrange(ctx, db)
}
