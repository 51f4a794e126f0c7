//! Strings: SET, GET and their many relatives.

use super::args::int;
use super::{Cx, Done};
use crate::resp::{Args, Error, Reply};
use crate::store::{Db, Keep, NEVER, Value};

/// Writes a string value as a reply.
pub fn reply_value(reply: &mut Reply, value: &Value) -> Done {
    match value {
        Value::Int(n) => reply.bulk_int(*n),
        other => reply.bulk(&other.as_string()?),
    }
    Ok(())
}

/// Argument `i` as a value, its bytes taken over and not copied if they are many.
fn value_of(cx: &mut Cx, i: usize) -> Value {
    match cx.take_big(i) {
        Some(bytes) => Value::string_owned(bytes),
        None => Value::string(&cx.args[i]),
    }
}

/// Refuses strings that a client could not have sent in one piece.
fn check_length(cx: &Cx, len: usize) -> Done {
    if len as u64 > cx.config.proto_max_bulk_len as u64 {
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
fn deadline(cx: &Cx, expiry: Expiry) -> Result<i64, Error> {
    let name = String::from_utf8_lossy(&cx.args[0]).to_lowercase();
    let invalid = || Error::new(format!("ERR invalid expire time in '{name}' command"));
    let n = int(&cx.args[expiry.at])?;
    if n <= 0 {
        return Err(invalid());
    }
    let ms = if expiry.seconds {
        n.checked_mul(1000).ok_or_else(invalid)?
    } else {
        n
    };
    let at = if expiry.relative {
        ms.checked_add(cx.now).ok_or_else(invalid)?
    } else {
        ms
    };
    Ok(at.min(NEVER - 1))
}

pub fn set(cx: &mut Cx, db: &mut Db) -> Done {
    let options = if cx.args.len() == 3 {
        Options::default()
    } else {
        Options::read(&cx.args, 3, false)?
    };
    let until = options.expiry.map(|e| deadline(cx, e)).transpose()?;
    let conditional = options.get || options.only_new || options.only_existing;
    if conditional {
        let old = db.get_mut(&cx.args[1], cx.now);
        let exists = old.is_some();
        if options.get {
            match old {
                Some(object) => reply_value(cx.reply, &object.value)?,
                None => cx.reply.null(),
            }
        }
        if options.only_new && exists || options.only_existing && !exists {
            if !options.get {
                cx.reply.null();
            }
            return Ok(());
        }
    }
    let keep = match until {
        Some(at) => Keep::Until(at),
        None if options.keep_ttl => {
            db.get_mut(&cx.args[1], cx.now); // an expiry that has passed is not kept
            Keep::Expiry
        }
        None => Keep::Until(NEVER),
    };
    let value = value_of(cx, 2);
    db.set(&cx.args[1], value, keep, cx.usage, cx.now);
    cx.dirty += 1;
    match until {
        Some(at) => propagate_expiring_set(cx, 2, at),
        None if options.get && cx.effects.on() => {
            let words = (0..cx.args.len()).filter(|&i| i < 3 || !cx.args.is(i, "GET"));
            let words: Vec<&[u8]> = words.map(|i| &cx.args[i]).collect();
            cx.effects.instead(&words);
        }
        None => {}
    }
    if !options.get {
        cx.reply.ok();
    }
    Ok(())
}

/// A SET with an expiry goes to the replicas with the time itself, not with how long it is until then. `value` is the
/// argument that holds the value.
fn propagate_expiring_set(cx: &mut Cx, value: usize, at: i64) {
    if cx.effects.on() {
        let (key, value, at) = (&cx.args[1], &cx.args[value], at.to_string());
        cx.effects
            .instead(&[b"SET", key, value, b"PXAT", at.as_bytes()]);
    }
}

pub fn setnx(cx: &mut Cx, db: &mut Db) -> Done {
    let free = db.get_mut(&cx.args[1], cx.now).is_none();
    if free {
        let value = value_of(cx, 2);
        db.set(&cx.args[1], value, Keep::Until(NEVER), cx.usage, cx.now);
        cx.dirty += 1;
    }
    cx.reply.int(free.into());
    Ok(())
}

fn set_expiring(cx: &mut Cx, db: &mut Db, seconds: bool) -> Done {
    let until = deadline(
        cx,
        Expiry {
            at: 2,
            seconds,
            relative: true,
        },
    )?;
    let value = value_of(cx, 3);
    db.set(&cx.args[1], value, Keep::Until(until), cx.usage, cx.now);
    cx.dirty += 1;
    propagate_expiring_set(cx, 3, until);
    cx.reply.ok();
    Ok(())
}

pub fn setex(cx: &mut Cx, db: &mut Db) -> Done {
    set_expiring(cx, db, true)
}

pub fn psetex(cx: &mut Cx, db: &mut Db) -> Done {
    set_expiring(cx, db, false)
}

pub fn get(cx: &mut Cx, db: &Db) -> Done {
    match cx.find(db, 1) {
        Some(object) => reply_value(cx.reply, &object.value),
        None => {
            cx.reply.null();
            Ok(())
        }
    }
}

pub fn getset(cx: &mut Cx, db: &mut Db) -> Done {
    match cx.find_mut(db, 1) {
        Some(object) => reply_value(cx.reply, &object.value)?,
        None => cx.reply.null(),
    }
    let value = value_of(cx, 2);
    db.set(&cx.args[1], value, Keep::Until(NEVER), cx.usage, cx.now);
    cx.dirty += 1;
    cx.effects.instead(&[b"SET", &cx.args[1], &cx.args[2]]);
    Ok(())
}

pub fn getex(cx: &mut Cx, db: &mut Db) -> Done {
    let options = Options::read(&cx.args, 2, true)?;
    let Some(object) = cx.find_mut(db, 1) else {
        cx.reply.null();
        return Ok(());
    };
    object.value.as_string()?;
    let until = options.expiry.map(|e| deadline(cx, e)).transpose()?;
    reply_value(cx.reply, &object.value)?;
    let expires = object.expiry().is_some();
    match until {
        Some(at) if db.goes_at_once(at, cx.now) => {
            db.delete(&cx.args[1], cx.now);
            cx.effects.instead(&[b"DEL", &cx.args[1]]);
            cx.dirty += 1;
        }
        Some(at) => {
            db.set_expiry(&cx.args[1], at);
            let at = at.to_string();
            cx.effects
                .instead(&[b"PEXPIREAT", &cx.args[1], at.as_bytes()]);
            cx.dirty += 1;
        }
        None if options.persist && expires => {
            db.set_expiry(&cx.args[1], NEVER);
            cx.effects.instead(&[b"PERSIST", &cx.args[1]]);
            cx.dirty += 1;
        }
        None => {}
    }
    Ok(())
}

pub fn getdel(cx: &mut Cx, db: &mut Db) -> Done {
    match cx.find_mut(db, 1) {
        Some(object) => reply_value(cx.reply, &object.value)?,
        None => {
            cx.reply.null();
            return Ok(());
        }
    }
    db.delete(&cx.args[1], cx.now);
    cx.effects.instead(&[b"DEL", &cx.args[1]]);
    cx.dirty += 1;
    Ok(())
}

pub fn mget(cx: &mut Cx, db: &Db) -> Done {
    cx.reply.array(cx.args.len() - 1);
    for i in 1..cx.args.len() {
        match cx.find(db, i) {
            Some(object) if object.value.as_stream().is_err() => {
                reply_value(cx.reply, &object.value)?
            }
            _ => cx.reply.null(),
        }
    }
    Ok(())
}

/// Sets the pairs of MSET and MSETNX.
fn set_pairs(cx: &mut Cx, db: &mut Db) {
    for i in (1..cx.args.len()).step_by(2) {
        let value = value_of(cx, i + 1);
        db.set(&cx.args[i], value, Keep::Until(NEVER), cx.usage, cx.now);
        cx.dirty += 1;
    }
}

fn check_pairs(cx: &Cx, name: &str) -> Done {
    if cx.args.len().is_multiple_of(2) {
        Err(super::args::wrong_arity(name))
    } else {
        Ok(())
    }
}

pub fn mset(cx: &mut Cx, db: &mut Db) -> Done {
    check_pairs(cx, "mset")?;
    set_pairs(cx, db);
    cx.reply.ok();
    Ok(())
}

pub fn msetnx(cx: &mut Cx, db: &mut Db) -> Done {
    check_pairs(cx, "msetnx")?;
    for i in (1..cx.args.len()).step_by(2) {
        if db.get_mut(&cx.args[i], cx.now).is_some() {
            cx.reply.int(0);
            return Ok(());
        }
    }
    set_pairs(cx, db);
    cx.reply.int(1);
    Ok(())
}

pub fn append(cx: &mut Cx, db: &mut Db) -> Done {
    let len = match cx.find_mut(db, 1) {
        None => {
            let len = cx.args[2].len();
            let value = value_of(cx, 2);
            db.set(&cx.args[1], value, Keep::Until(NEVER), cx.usage, cx.now);
            len
        }
        Some(object) => {
            check_length(cx, object.value.as_string()?.len() + cx.args[2].len())?;
            let string = object.value.as_raw_mut()?;
            string.extend_from_slice(&cx.args[2]);
            let len = string.len();
            db.touch(&cx.args[1]);
            len
        }
    };
    cx.dirty += 1;
    cx.reply.int(len as i64);
    Ok(())
}

pub fn strlen(cx: &mut Cx, db: &Db) -> Done {
    let len = match cx.find(db, 1) {
        Some(object) => object.value.as_string()?.len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

pub fn setrange(cx: &mut Cx, db: &mut Db) -> Done {
    let offset = int(&cx.args[2])?;
    let offset = usize::try_from(offset).map_err(|_| Error::text("ERR offset is out of range"))?;
    let patch_len = cx.args[3].len();
    let object = cx.find_mut(db, 1);
    let old_len = match &object {
        Some(object) => object.value.as_string()?.len(),
        None => 0,
    };
    if patch_len == 0 {
        cx.reply.int(old_len as i64);
        return Ok(());
    }
    let end = offset.saturating_add(patch_len);
    check_length(cx, end)?;
    let len = end.max(old_len);
    let patch = |string: &mut Vec<u8>, with: &[u8]| {
        string.resize(len, 0);
        string[offset..end].copy_from_slice(with);
    };
    match object {
        Some(object) => {
            patch(object.value.as_raw_mut()?, &cx.args[3]);
            db.touch(&cx.args[1]);
        }
        None => {
            let mut string = Vec::new();
            patch(&mut string, &cx.args[3]);
            db.set(
                &cx.args[1],
                Value::Raw(Box::new(string)),
                Keep::Until(NEVER),
                cx.usage,
                cx.now,
            );
        }
    }
    cx.dirty += 1;
    cx.reply.int(len as i64);
    Ok(())
}

pub fn getrange(cx: &mut Cx, db: &Db) -> Done {
    let (start, end) = (int(&cx.args[2])?, int(&cx.args[3])?);
    let Some(object) = cx.find(db, 1) else {
        cx.reply.bulk(b"");
        return Ok(());
    };
    let string = object.value.as_string()?;
    let len = string.len() as i64;
    let from_end = |i: i64| if i < 0 { (len + i).max(0) } else { i };
    let (from, to) = (from_end(start), from_end(end).min(len - 1));
    let empty = len == 0 || from > to || (start < 0 && end < 0 && start > end);
    cx.reply.bulk(if empty {
        b""
    } else {
        &string[from as usize..=to as usize]
    });
    Ok(())
}

pub fn substr(cx: &mut Cx, db: &Db) -> Done {
    getrange(cx, db)
}
