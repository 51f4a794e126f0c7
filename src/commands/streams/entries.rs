//! Streams: appending, reading, trimming, waiting.

use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{BLOCKING, DENYOOM, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::key_spec::flags::{ACCESS, DELETE, RO, RW, UPDATE};
use crate::commands::key_spec::{after, key};

use crate::commands::args::{int, timeout_ms, wrong_arity};
use crate::commands::context::{CommandResult, Context};
use crate::resp::{Args, Error, Reply};
use crate::state::blocking::{Service, Serving};
use crate::store::stream::{AddError, Element, EntryRef, NewId, Stream, StreamId, Trim};
use crate::store::{Class, Db, Type};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xadd", -5, Write(xadd), WRITE | DENYOOM | FAST, acl::STREAM, &[key(1, RW | UPDATE).note("may trim as well as add")])
        .doc("stream", "5.0.0", "O(1)", "key [NOMKSTREAM] [<MAXLEN|MINID> [=|~] threshold [LIMIT count]] <*|id> <field value>...",
             "Appends an entry to a stream.")
        .tips(&["nondeterministic_output"]),
    cmd("xlen", 2, Read(xlen), READONLY | FAST, acl::STREAM, &[key(1, RO)])
        .doc("stream", "5.0.0", "O(1)", "key",
             "Counts the entries of a stream."),
    cmd("xrange", -4, Read(xrange), READONLY, acl::STREAM, &[key(1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "key start end [COUNT count]",
             "Reads the entries between two IDs, oldest first."),
    cmd("xrevrange", -4, Read(xrevrange), READONLY, acl::STREAM, &[key(1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "key end start [COUNT count]",
             "Reads the entries between two IDs, newest first."),
    cmd("xread", -4, Read(xread), READONLY | BLOCKING, acl::STREAM, &[after("STREAMS", 1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "[COUNT count] [BLOCK milliseconds] STREAMS key... id...",
             "Reads what came after given IDs from one or more streams, and can wait for it."),
    cmd("xdel", -3, Write(xdel), WRITE | FAST, acl::STREAM, &[key(1, RW | DELETE)])
        .doc("stream", "5.0.0", "O(1)", "key id...",
             "Removes entries from a stream."),
    cmd("xtrim", -4, Write(xtrim), WRITE, acl::STREAM, &[key(1, RW | DELETE)])
        .doc("stream", "5.0.0", "O(N)", "key <MAXLEN|MINID> [=|~] threshold [LIMIT count]",
             "Cuts old entries off a stream.")
        .tips(&["nondeterministic_output"]),
];

/// Writes an ID as a reply.
pub fn reply_id(reply: &mut Reply, id: StreamId) {
    let mut text = Vec::with_capacity(41);
    id.push(&mut text);
    reply.bulk(&text);
}

fn reply_element(reply: &mut Reply, element: Element) {
    match element {
        Element::Str(bytes) => reply.bulk(bytes),
        Element::Int(n) => reply.bulk_int(n),
    }
}

/// Writes an entry as a reply: its ID, and its fields.
pub fn reply_entry(reply: &mut Reply, entry: EntryRef) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(entry.fields * 2);
    for (name, value) in entry.iter() {
        reply_element(reply, name);
        reply_element(reply, value);
    }
}

/// Writes a list of entries, at most `count` of them.
pub fn reply_entries<'a>(
    reply: &mut Reply,
    entries: impl Iterator<Item = EntryRef<'a>>,
    count: usize,
) {
    reply.array_of(|reply| entries.take(count).map(|e| reply_entry(reply, e)).count());
}

/// How XADD and XTRIM cut a stream.
struct Cut {
    trim: Trim,
    /// `~`: whole nodes only.
    approximate: bool,
    limit: u64,
    /// Which word tells how much stays.
    at: usize,
}

/// The options of XADD and XTRIM.
#[derive(Default)]
struct CutOptions {
    cut: Option<Cut>,
    no_create: bool,
    /// XADD: where the ID is, and what it says.
    id: Option<(usize, NewId)>,
}

impl CutOptions {
    fn read(ctx: &Context, xadd: bool) -> Result<CutOptions, Error> {
        let (args, config) = (&ctx.args, ctx.config);
        let mut options = CutOptions::default();
        let mut limit = None;
        let mut i = 2;
        while i < args.len() {
            let more = args.len() - 1 - i;
            let maxlen = args.is(i, "MAXLEN") && more > 0;
            if xadd && &args[i] == b"*" {
                options.id = Some((i, NewId::Auto));
                break;
            } else if maxlen || args.is(i, "MINID") && more > 0 {
                if options.cut.is_some() {
                    return Err(Error::text(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                    ));
                }
                let approximate = more >= 2 && &args[i + 1] == b"~";
                i += if approximate || more >= 2 && &args[i + 1] == b"=" {
                    2
                } else {
                    1
                };
                let trim = if maxlen {
                    let n = int(&args[i])?;
                    let n = u64::try_from(n)
                        .map_err(|_| Error::text("ERR The MAXLEN argument must be >= 0."))?;
                    Trim::MaxLen(n)
                } else {
                    Trim::MinId(StreamId::parse_strict(&args[i], 0)?)
                };
                options.cut = Some(Cut {
                    trim,
                    approximate,
                    limit: 0,
                    at: i,
                });
            } else if args.is(i, "LIMIT") && more > 0 {
                i += 1;
                let n = int(&args[i])?;
                limit = Some(
                    u64::try_from(n)
                        .map_err(|_| Error::text("ERR The LIMIT argument must be >= 0."))?,
                );
            } else if xadd && args.is(i, "NOMKSTREAM") {
                options.no_create = true;
            } else if xadd {
                options.id = Some((i, StreamId::parse_new(&args[i])?));
                break;
            } else {
                return Err(Error::SYNTAX);
            }
            i += 1;
        }
        match (&mut options.cut, limit) {
            (None, Some(1..)) => Err(Error::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            )),
            (None, _) if !xadd => Err(Error::text(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            )),
            // The primary has made its approximate cut exact, and left the limit where it was.
            (Some(_), _) if ctx.session.primary => Ok(options),
            (
                Some(Cut {
                    approximate: false, ..
                }),
                Some(_),
            )
            | (None, Some(0)) => Err(Error::text(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            )),
            (Some(cut), limit) => {
                // Without a limit of its own, an approximate cut takes no more than a hundred nodes at a time.
                let usual = match 100i64.saturating_mul(config.stream_node_max_entries) {
                    n @ 1.. => n.min(1_000_000) as u64,
                    _ => 10_000,
                };
                cut.limit = limit.unwrap_or(if cut.approximate { usual } else { 0 });
                Ok(options)
            }
            (None, None) => Ok(options),
        }
    }
}

impl Cut {
    fn apply(&self, stream: &mut Stream) -> u64 {
        stream.trim(self.trim, self.approximate, self.limit)
    }

    /// The words with which an approximate cut becomes one that is exact, now that it was made: how large nodes are is
    /// each server's own affair.
    fn exact(&self, stream: &Stream) -> Vec<(usize, Vec<u8>)> {
        if !self.approximate {
            return vec![];
        }
        let threshold = match self.trim {
            Trim::MaxLen(_) => stream.len().to_string(),
            // Deleted entries at the head count, as they do in Redis.
            Trim::MinId(_) => {
                let first = stream.nodes().next();
                first.map_or(StreamId::MAX, |node| node.master).to_string()
            }
        };
        vec![
            (self.at - 1, b"=".to_vec()),
            (self.at, threshold.into_bytes()),
        ]
    }
}

/// Words to propagate, as [`Context::propagate_edited`] takes them.
fn borrowed(changes: &[(usize, Vec<u8>)]) -> Vec<(usize, &[u8])> {
    changes.iter().map(|(i, w)| (*i, w.as_slice())).collect()
}

pub fn xadd(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = CutOptions::read(ctx, true)?;
    let (at, wanted) = match options.id {
        Some((at, id)) if ctx.args.len() - at > 2 && (ctx.args.len() - at) % 2 == 1 => (at, id),
        _ => return Err(wrong_arity("xadd")),
    };
    if wanted == NewId::Exact(StreamId::MIN) {
        return Err(Error::text(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    if options.no_create && ctx.find_mut(db, &ctx.args[1]).is_none() {
        ctx.reply.null();
        return Ok(());
    }
    let stream: &mut Stream = ctx.get_or_create(db, &ctx.args[1])?;
    if stream.last_id == StreamId::MAX {
        return Err(Error::text(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ));
    }
    let args = &ctx.args;
    let fields = (at + 1..args.len())
        .step_by(2)
        .map(|i| (&args[i], &args[i + 1]));
    let added = stream.add(wanted, ctx.now as u64, fields, ctx.config.node_limits());
    let id = added.map_err(|why| match why {
        AddError::NotLarger => Error::text(
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ),
        AddError::TooLarge => Error::text("ERR Elements are too large to be stored"),
    })?;
    reply_id(ctx.reply, id);
    let cut = options.cut.as_ref();
    if let Some(cut) = cut {
        cut.apply(stream);
    }
    if ctx.propagation.is_wanted() {
        // Replicas get the very ID, and cut just where this server did.
        let mut changes = match wanted {
            NewId::Exact(_) => vec![],
            NewId::Auto | NewId::AutoSeq(_) => vec![(at, id.to_string().into_bytes())],
        };
        changes.extend(cut.map(|cut| cut.exact(stream)).unwrap_or_default());
        ctx.propagate_edited(&borrowed(&changes));
    }
    db.modified(&ctx.args[1]);
    db.event(Class::Stream, "xadd", &ctx.args[1]);
    db.ready(&ctx.args[1]);
    ctx.dirty += 1;
    Ok(())
}

pub fn xtrim(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = CutOptions::read(ctx, false)?;
    let (mut deleted, mut exact) = (0, vec![]);
    if let (Some(object), Some(cut)) = (ctx.find_mut(db, &ctx.args[1]), options.cut) {
        let stream = Stream::of_mut(&mut object.value)?;
        deleted = cut.apply(stream);
        exact = cut.exact(stream);
    }
    if deleted > 0 {
        if !exact.is_empty() {
            ctx.propagate_edited(&borrowed(&exact));
        }
        db.modified(&ctx.args[1]);
        ctx.dirty += deleted;
    }
    ctx.reply.int(deleted as i64);
    Ok(())
}

pub fn xlen(ctx: &mut Context, db: &Db) -> CommandResult {
    let len = match ctx.find(db, &ctx.args[1]) {
        Some(object) => Stream::of(&object.value)?.len(),
        None => 0,
    };
    ctx.reply.int(len as i64);
    Ok(())
}

pub fn xdel(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let mut deleted = 0;
    if let Some(object) = ctx.find_mut(db, &ctx.args[1]) {
        let stream = Stream::of_mut(&mut object.value)?;
        let ids: Result<Vec<_>, _> = ctx
            .args
            .iter_from(2)
            .map(|id| StreamId::parse_strict(id, 0))
            .collect();
        deleted = ids?.into_iter().filter(|&id| stream.delete(id)).count();
    }
    if deleted > 0 {
        db.modified(&ctx.args[1]);
        ctx.dirty += deleted as u64;
    }
    ctx.reply.int(deleted as i64);
    Ok(())
}

/// One end of an interval: an ID, perhaps excluded by a `(` in front.
///
/// An ID without a sequence means the first of its millisecond at the start, and the last at the end.
pub fn bound(text: &[u8], start: bool) -> Result<StreamId, Error> {
    let missing_seq = if start { 0 } else { u64::MAX };
    match text {
        [b'(', id @ ..] if !id.is_empty() => {
            let id = StreamId::parse_strict(id, missing_seq)?;
            if start {
                id.next()
                    .ok_or(Error::text("ERR invalid start ID for the interval"))
            } else {
                id.previous()
                    .ok_or(Error::text("ERR invalid end ID for the interval"))
            }
        }
        id => StreamId::parse(id, missing_seq),
    }
}

fn range(
    ctx: &mut Context,
    db: &Db,
    (start, end): (usize, usize),
    backwards: bool,
) -> CommandResult {
    let (start, end) = (
        bound(&ctx.args[start], true)?,
        bound(&ctx.args[end], false)?,
    );
    let mut count = None;
    let mut i = 4;
    while i < ctx.args.len() {
        if !ctx.args.is(i, "COUNT") || i + 1 >= ctx.args.len() {
            return Err(Error::SYNTAX);
        }
        count = Some(int(&ctx.args[i + 1])?.max(0) as usize);
        i += 2;
    }
    let Some(object) = ctx.find(db, &ctx.args[1]) else {
        ctx.reply.array(0);
        return Ok(());
    };
    let stream = Stream::of(&object.value)?;
    let count = count.unwrap_or(usize::MAX);
    match (count, backwards) {
        (0, _) => ctx.reply.null_array(),
        (_, false) => reply_entries(ctx.reply, stream.range(start, end), count),
        (_, true) => reply_entries(ctx.reply, stream.range_backwards(start, end), count),
    }
    Ok(())
}

pub fn xrange(ctx: &mut Context, db: &Db) -> CommandResult {
    range(ctx, db, (2, 3), false)
}

pub fn xrevrange(ctx: &mut Context, db: &Db) -> CommandResult {
    range(ctx, db, (3, 2), true)
}

/// The options that XREAD and XREADGROUP share, up to where the streams begin.
pub struct ReadOptions {
    pub count: usize,
    /// How long to wait, if at all.
    pub block: Option<Option<std::time::Duration>>,
    /// Where the keys begin, and how many they are; as many IDs follow.
    pub keys: usize,
    pub streams: usize,
    /// XREADGROUP: where the group's and the consumer's name are, and whether entries need no acknowledgement.
    pub group: Option<usize>,
    pub no_ack: bool,
}

impl ReadOptions {
    pub fn read(args: &Args, xreadgroup: bool) -> Result<ReadOptions, Error> {
        let mut o = ReadOptions {
            count: usize::MAX,
            block: None,
            keys: 0,
            streams: 0,
            group: None,
            no_ack: false,
        };
        let mut i = 1;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if args.is(i, "BLOCK") && more > 0 {
                i += 1;
                o.block = Some(timeout_ms(&args[i])?);
            } else if args.is(i, "COUNT") && more > 0 {
                i += 1;
                o.count = match int(&args[i])? {
                    n @ 1.. => n as usize,
                    _ => usize::MAX,
                };
            } else if args.is(i, "STREAMS") && more > 0 {
                o.keys = i + 1;
                if more % 2 == 1 {
                    return Err(Error::text(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                    ));
                }
                o.streams = more / 2;
                break;
            } else if args.is(i, "GROUP") && more >= 2 {
                if !xreadgroup {
                    let text = "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
                    return Err(Error::text(text));
                }
                o.group = Some(i + 1);
                i += 2;
            } else if args.is(i, "NOACK") {
                if !xreadgroup {
                    let text = "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
                    return Err(Error::text(text));
                }
                o.no_ack = true;
            } else {
                return Err(Error::SYNTAX);
            }
            i += 1;
        }
        if o.keys == 0 {
            return Err(Error::SYNTAX);
        }
        if xreadgroup && o.group.is_none() {
            return Err(Error::text("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(o)
    }

    /// Ends XREAD and XREADGROUP. If streams were answered from, their answers get their list's head, in the reply from
    /// `start` on; if none was, the client waits with this service, or is told that there is nothing.
    pub fn finish(
        self,
        ctx: &mut Context,
        start: usize,
        served: usize,
        service: impl FnOnce(&[Vec<u8>]) -> Box<dyn Service>,
    ) -> CommandResult {
        match self.block {
            _ if served > 0 => {
                let kind = stream_list_kind(ctx.reply);
                ctx.reply.insert_header(start, kind, served);
            }
            Some(timeout) if ctx.may_block => {
                let keys = self.keys..self.keys + self.streams;
                let keys: Vec<_> = keys.map(|i| ctx.args[i].to_vec()).collect();
                let service = service(&keys);
                ctx.block(keys, timeout, service);
            }
            _ => ctx.reply.null_array(),
        }
        Ok(())
    }
}

/// Writes what a stream has after `after`, with its key in front: one element of XREAD's reply.
fn reply_stream(reply: &mut Reply, key: &[u8], stream: &Stream, after: StreamId, count: usize) {
    if !reply.resp3 {
        reply.array(2);
    }
    reply.bulk(key);
    match after.next() {
        Some(start) => reply_entries(reply, stream.range(start, StreamId::MAX), count),
        None => reply.array(0),
    }
}

/// The head of XREAD's reply: a map in RESP3, a list of pairs in RESP2.
pub fn stream_list_kind(reply: &Reply) -> u8 {
    if reply.resp3 { b'%' } else { b'*' }
}

pub fn xread(ctx: &mut Context, db: &Db) -> CommandResult {
    let options = ReadOptions::read(&ctx.args, false)?;
    let mut positions = Vec::with_capacity(options.streams);
    for key in options.keys..options.keys + options.streams {
        let stream = match ctx.find(db, &ctx.args[key]) {
            Some(object) => Some(Stream::of(&object.value)?),
            None => None,
        };
        positions.push(position(&ctx.args[key + options.streams], stream)?);
    }
    let start = ctx.reply.out.len();
    let mut served = 0;
    for (i, &after) in positions.iter().enumerate() {
        let key = &ctx.args[options.keys + i];
        let Some(object) = db.get(key, ctx.now) else {
            continue;
        };
        let stream = Stream::of(&object.value)?;
        if stream.last_entry_id().is_some_and(|last| last > after) {
            reply_stream(ctx.reply, key, stream, after, options.count);
            served += 1;
        }
    }
    let count = options.count;
    options.finish(ctx, start, served, |keys| {
        let wanted = keys.iter().cloned().zip(positions).collect();
        Box::new(WaitingRead { wanted, count })
    })
}

/// The ID after which to read. `$` is the last one given out; `+` lets the last entry be read once more.
fn position(text: &[u8], stream: Option<&Stream>) -> Result<StreamId, Error> {
    match text {
        b"$" => Ok(stream.map_or(StreamId::MIN, |s| s.last_id)),
        b"+" => {
            let last = stream.and_then(Stream::last_entry_id);
            Ok(last
                .and_then(StreamId::previous)
                .unwrap_or_else(|| stream.map_or(StreamId::MIN, |s| s.last_id)))
        }
        b">" => Err(Error::text(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        id => StreamId::parse_strict(id, 0),
    }
}

/// What a waiting XREAD wants: entries after an ID, from one of several streams. It is served from one stream alone.
struct WaitingRead {
    /// Keys, each with the ID after which to read.
    wanted: Vec<(Vec<u8>, StreamId)>,
    count: usize,
}

impl WaitingRead {
    /// The stream at `key`, and the ID after which to read from it.
    fn stream<'d>(&self, db: &'d Db, key: &[u8], now: i64) -> Option<(&'d Stream, StreamId)> {
        let (_, after) = self.wanted.iter().find(|(wanted, _)| wanted == key)?;
        let object = db.get(key, now)?;
        Some((Stream::of(&object.value).ok()?, *after))
    }
}

impl Service for WaitingRead {
    /// Asks for the last ID that was given out, even if its entry is gone: as Redis does, an XADD that trims its own entry
    /// wakes a reader with an empty list.
    fn can_serve(&self, db: &Db, key: &[u8], now: i64) -> bool {
        let stream = self.stream(db, key, now);
        stream.is_some_and(|(stream, after)| stream.last_id > after)
    }

    fn serve(&mut self, db: &mut Db, key: &[u8], serving: &mut Serving<'_>) -> CommandResult {
        if let Some((stream, after)) = self.stream(db, key, serving.now) {
            let reply = &mut *serving.reply;
            let start = reply.out.len();
            reply_stream(reply, key, stream, after, self.count);
            let kind = stream_list_kind(reply);
            reply.insert_header(start, kind, 1);
        }
        Ok(())
    }
}
