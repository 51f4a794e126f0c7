//! Consumer groups: managing them, reading as one of their consumers, acknowledging.

use super::args::int;
use super::streams::{ReadOptions, bound, reply_entries, reply_entry, reply_id, stream_list_kind};
use super::{Cx, Done, args::help as reply_help};
use crate::resp::{Error, Reply};
use crate::state::blocking::Service;
use crate::store::stream::{Group, Nack, Stream, StreamId};
use crate::store::{Db, Keep, NEVER, Value};

/// The error for a group, or its key, that is not there.
pub fn no_group(key: &[u8], group: &[u8]) -> Error {
    Error::new(
        [
            b"NOGROUP No such key '",
            key,
            b"' or consumer group '",
            group,
            b"'",
        ]
        .concat(),
    )
}

/// The same where the key is known to be there.
pub fn no_group_for_key(key: &[u8], group: &[u8]) -> Error {
    Error::new(
        [
            b"NOGROUP No such consumer group '",
            group,
            b"' for key name '",
            key,
            b"'",
        ]
        .concat(),
    )
}

fn wrong_subcommand(container: &str, name: &[u8]) -> Error {
    let help = format!("'. Try {container} HELP.");
    let text = [
        b"ERR unknown subcommand or wrong number of arguments for '",
        name,
        help.as_bytes(),
    ];
    Error::new(text.concat())
}

/// The error of a subcommand whose options do not fit.
pub fn bad_options(cx: &Cx, container: &str) -> Error {
    wrong_subcommand(container, &cx.args[1])
}

const NO_KEY: Error = Error::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);

/// The stream that XGROUP works on.
fn stream_of<'d>(cx: &Cx, db: &'d mut Db) -> Result<&'d mut Stream, Error> {
    cx.find_mut(db, 2).ok_or(NO_KEY)?.value.as_stream_mut()
}

/// The group that XGROUP works on.
fn group_of<'d>(cx: &Cx, db: &'d mut Db) -> Result<&'d mut Group, Error> {
    let error = no_group_for_key(&cx.args[2], &cx.args[3]);
    stream_of(cx, db)?.group_mut(&cx.args[3]).ok_or(error)
}

/// The options of XGROUP CREATE and SETID.
struct GroupOptions {
    make_stream: bool,
    entries_read: Option<u64>,
}

fn group_options(cx: &Cx, create: bool) -> Result<GroupOptions, Error> {
    let mut options = GroupOptions {
        make_stream: false,
        entries_read: None,
    };
    let mut i = 5;
    while i < cx.args.len() {
        if create && cx.args.is(i, "MKSTREAM") {
            options.make_stream = true;
        } else if cx.args.is(i, "ENTRIESREAD") && i + 1 < cx.args.len() {
            i += 1;
            options.entries_read = match int(&cx.args[i])? {
                -1 => None,
                n => Some(u64::try_from(n).map_err(|_| {
                    Error::text("ERR value for ENTRIESREAD must be positive or -1")
                })?),
            };
        } else {
            return Err(bad_options(cx, "XGROUP"));
        }
        i += 1;
    }
    Ok(options)
}

pub fn create(cx: &mut Cx, db: &mut Db) -> Done {
    let options = group_options(cx, true)?;
    let stream = match cx.find_mut(db, 2) {
        Some(object) => Some(object.value.as_stream_mut()?),
        None if !options.make_stream => return Err(NO_KEY),
        None => None,
    };
    if cx.args.len() > 8 {
        return Err(bad_options(cx, "XGROUP"));
    }
    let start = match &cx.args[4] {
        b"$" => stream.as_ref().map_or(StreamId::MIN, |s| s.last_id),
        id => StreamId::parse_strict(id, 0)?,
    };
    if stream.is_none() {
        db.set(
            &cx.args[2],
            Value::Stream(Box::default()),
            Keep::Until(NEVER),
            cx.usage,
        );
    }
    if !stream_of(cx, db)?.add_group(&cx.args[3], Group::new(start, options.entries_read)) {
        return Err(Error::text("BUSYGROUP Consumer Group name already exists"));
    }
    db.touch(&cx.args[2]);
    cx.dirty += 1;
    cx.reply.ok();
    Ok(())
}

pub fn setid(cx: &mut Cx, db: &mut Db) -> Done {
    let options = group_options(cx, false)?;
    group_of(cx, db)?;
    if cx.args.len() > 7 {
        return Err(bad_options(cx, "XGROUP"));
    }
    let start = match &cx.args[4] {
        b"$" => stream_of(cx, db)?.last_id,
        id => StreamId::parse(id, 0)?,
    };
    let group = group_of(cx, db)?;
    group.last_id = start;
    group.entries_read = options.entries_read;
    cx.dirty += 1;
    cx.reply.ok();
    Ok(())
}

pub fn destroy(cx: &mut Cx, db: &mut Db) -> Done {
    let removed = stream_of(cx, db)?.remove_group(&cx.args[3]);
    if removed {
        // Those who wait for the group's entries hear that there will be none.
        db.touch(&cx.args[2]);
        cx.dirty += 1;
    }
    cx.reply.int(removed.into());
    Ok(())
}

pub fn createconsumer(cx: &mut Cx, db: &mut Db) -> Done {
    let group = group_of(cx, db)?;
    let new = !group.consumers.contains_key(&cx.args[4]);
    if new {
        group.meet(&cx.args[4], cx.now);
        db.touch(&cx.args[2]);
        cx.dirty += 1;
    }
    cx.reply.int(new.into());
    Ok(())
}

pub fn delconsumer(cx: &mut Cx, db: &mut Db) -> Done {
    let pending = group_of(cx, db)?.remove_consumer(&cx.args[4]);
    if pending.is_some() {
        db.touch(&cx.args[2]);
        cx.dirty += 1;
    }
    cx.reply.int(pending.unwrap_or(0) as i64);
    Ok(())
}

pub fn help(cx: &mut Cx) -> Done {
    reply_help(cx, "xgroup");
    Ok(())
}

/// What a consumer wants of a stream.
#[derive(Clone, Copy)]
enum From {
    /// `>`: entries that no consumer of the group has had.
    New,
    /// Its own pending entries after an ID.
    History(StreamId),
}

pub fn xreadgroup(cx: &mut Cx, db: &mut Db) -> Done {
    let options = ReadOptions::read(&cx.args, true)?;
    let group_at = options.group.ok_or(Error::SYNTAX)?;
    let mut wanted = Vec::with_capacity(options.streams);
    for i in options.keys..options.keys + options.streams {
        let (key, group) = (&cx.args[i], &cx.args[group_at]);
        let missing = || {
            let text = [
                b"NOGROUP No such key '",
                key,
                b"' or consumer group '",
                group,
            ];
            Error::new(
                [
                    text.concat().as_slice(),
                    b"' in XREADGROUP with GROUP option",
                ]
                .concat(),
            )
        };
        let stream = cx
            .find_mut(db, i)
            .map(|o| o.value.as_stream_mut())
            .transpose()?
            .ok_or_else(missing)?;
        stream.group(group).ok_or_else(missing)?;
        wanted.push(match &cx.args[i + options.streams] {
            b">" => From::New,
            b"$" => {
                return Err(Error::text(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                     consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just \
                     return an empty result set.",
                ));
            }
            id => match StreamId::parse_strict(id, 0)? {
                StreamId::MAX => From::New, // nothing can come after it: Redis takes it for `>`
                id => From::History(id),
            },
        });
    }
    let start = cx.reply.out.len();
    let mut served = 0;
    for (i, &from) in wanted.iter().enumerate() {
        let (key, group, consumer) = (
            &cx.args[options.keys + i],
            &cx.args[group_at],
            &cx.args[group_at + 1],
        );
        let Some(object) = db.get_mut(key, cx.now) else {
            continue;
        };
        let request = Request {
            group,
            consumer,
            count: options.count,
            no_ack: options.no_ack,
            now: cx.now,
        };
        if request.serve(cx.reply, key, object.value.as_stream_mut()?, from) {
            cx.dirty += 1;
            served += 1;
        }
    }
    if served > 0 {
        let kind = stream_list_kind(cx.reply);
        cx.reply.insert_header(start, kind, served);
        return Ok(());
    }
    match options.block {
        Some(timeout) if cx.may_block => {
            let keys: Vec<_> = (0..options.streams)
                .map(|i| cx.args[options.keys + i].to_vec())
                .collect();
            let (group, consumer) = (cx.args[group_at].to_vec(), cx.args[group_at + 1].to_vec());
            let service = waiting_consumer(group, consumer, options.count, options.no_ack);
            cx.block(keys, timeout, service);
        }
        _ => cx.reply.null_array(),
    }
    Ok(())
}

/// A consumer's request for entries.
struct Request<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    count: usize,
    no_ack: bool,
    now: i64,
}

impl Request<'_> {
    /// Answers from one stream: its key, and the entries. For new ones, only if there are any; tells whether it did.
    fn serve(&self, reply: &mut Reply, key: &[u8], stream: &mut Stream, from: From) -> bool {
        let newest = stream.last_entry_id();
        let Some(group) = stream.group_mut(self.group) else {
            return false;
        };
        if matches!(from, From::New) && newest.is_none_or(|newest| newest <= group.last_id) {
            return false;
        }
        let (consumer, _) = group.meet(self.consumer, self.now);
        if !reply.resp3 {
            reply.array(2);
        }
        reply.bulk(key);
        match from {
            From::New => {
                let start = reply.out.len();
                let n = stream.deliver(
                    self.group,
                    &consumer,
                    self.count,
                    self.no_ack,
                    self.now,
                    |entry| {
                        reply_entry(reply, entry);
                    },
                );
                reply.insert_header(start, b'*', n);
            }
            From::History(after) => self.reply_history(reply, stream, after),
        }
        true
    }

    /// Replies with the consumer's pending entries after an ID. Each counts as delivered once more; of one that is no
    /// longer in the stream only the ID can be told.
    fn reply_history(&self, reply: &mut Reply, stream: &mut Stream, after: StreamId) {
        let pel = stream
            .group(self.group)
            .and_then(|g| g.consumers.get(self.consumer))
            .map(|c| &c.pel);
        let ids: Vec<StreamId> = match (pel, after.next()) {
            (Some(pel), Some(start)) => pel.range(start..).take(self.count).copied().collect(),
            _ => vec![],
        };
        reply.array(ids.len());
        for id in ids {
            match stream.get(id) {
                Some(entry) => {
                    reply_entry(reply, entry);
                    if let Some(nack) = stream
                        .group_mut(self.group)
                        .and_then(|g| g.pel.get_mut(&id))
                    {
                        nack.delivered = self.now;
                        nack.count += 1;
                    }
                }
                None => {
                    reply.array(2);
                    reply_id(reply, id);
                    reply.null_array();
                }
            }
        }
    }
}

/// What a waiting XREADGROUP does when one of its keys has changed. The writer serves those who wait one after the other,
/// so that each new entry goes to the one who has waited longest.
fn waiting_consumer(group: Vec<u8>, consumer: Vec<u8>, count: usize, no_ack: bool) -> Service {
    Box::new(move |db, key, reply, now| {
        let stream = db
            .get_mut(key, now)
            .and_then(|object| object.value.as_stream_mut().ok());
        let Some(stream) = stream else {
            reply.error(&Error::text("UNBLOCKED the stream key no longer exists"));
            return true;
        };
        if stream.group(&group).is_none() {
            let text = "NOGROUP the consumer group this client was blocked on no longer exists";
            reply.error(&Error::text(text));
            return true;
        }
        let start = reply.out.len();
        let request = Request {
            group: &group,
            consumer: &consumer,
            count,
            no_ack,
            now,
        };
        let served = request.serve(reply, key, stream, From::New);
        if served {
            let kind = stream_list_kind(reply);
            reply.insert_header(start, kind, 1);
        }
        served
    })
}

pub fn xack(cx: &mut Cx, db: &mut Db) -> Done {
    let mut acknowledged = 0;
    if let Some(object) = cx.find_mut(db, 1)
        && let Some(group) = object.value.as_stream_mut()?.group_mut(&cx.args[2])
    {
        let ids: Result<Vec<_>, _> = cx
            .args
            .iter_from(3)
            .map(|id| StreamId::parse_strict(id, 0))
            .collect();
        acknowledged = ids?.into_iter().filter(|&id| group.acknowledge(id)).count();
    }
    cx.dirty += acknowledged as u64;
    cx.reply.int(acknowledged as i64);
    Ok(())
}

pub fn xpending(cx: &mut Cx, db: &Db) -> Done {
    let words = cx.args.len();
    if words != 3 && !(6..=9).contains(&words) {
        return Err(Error::SYNTAX);
    }
    let (mut min_idle, mut at) = (0, 3);
    let mut range = None;
    if words >= 6 {
        if cx.args.is(3, "IDLE") {
            min_idle = int(&cx.args[4])?;
            if words < 8 {
                return Err(Error::SYNTAX);
            }
            at = 5;
        }
        let count = int(&cx.args[at + 2])?.max(0) as usize;
        range = Some((
            bound(&cx.args[at], true)?,
            bound(&cx.args[at + 1], false)?,
            count,
        ));
    }
    let missing = || no_group(&cx.args[1], &cx.args[2]);
    let object = cx.find(db, 1).ok_or_else(missing)?;
    let group = object
        .value
        .as_stream()?
        .group(&cx.args[2])
        .ok_or_else(missing)?;
    let Some((start, end, count)) = range else {
        reply_summary(cx.reply, group);
        return Ok(());
    };
    let now = cx.now;
    let idle = |nack: &Nack| (now - nack.delivered).max(0);
    let wanted = |(_, nack): &(&StreamId, &Nack)| min_idle == 0 || idle(nack) >= min_idle;
    let show = |reply: &mut Reply, (id, nack): (&StreamId, &Nack)| {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(&nack.consumer);
        reply.int(idle(nack));
        reply.int(nack.count as i64);
    };
    let empty = start > end;
    match cx.args.get(at + 3) {
        _ if empty => cx.reply.array(0),
        Some(name) => {
            let pel = group.consumers.get(name).map(|consumer| &consumer.pel);
            let ids = pel.into_iter().flat_map(|pel| pel.range(start..=end));
            let entries = ids
                .filter_map(|id| group.pel.get_key_value(id))
                .filter(wanted);
            cx.reply
                .array_of(|reply| entries.take(count).map(|entry| show(reply, entry)).count());
        }
        None => {
            let entries = group.pel.range(start..=end).filter(wanted);
            cx.reply
                .array_of(|reply| entries.take(count).map(|entry| show(reply, entry)).count());
        }
    }
    Ok(())
}

/// XPENDING without a range: how many, from where to where, and how many with whom.
fn reply_summary(reply: &mut Reply, group: &Group) {
    reply.array(4);
    reply.int(group.pel.len() as i64);
    match (group.pel.first_key_value(), group.pel.last_key_value()) {
        (Some((first, _)), Some((last, _))) => {
            reply_id(reply, *first);
            reply_id(reply, *last);
            let busy = group
                .consumers
                .iter()
                .filter(|(_, consumer)| !consumer.pel.is_empty());
            reply.array_of(|reply| {
                let shown = busy.map(|(name, consumer)| {
                    reply.array(2);
                    reply.bulk(name);
                    reply.bulk_int(consumer.pel.len() as i64);
                });
                shown.count()
            });
        }
        _ => {
            reply.null();
            reply.null();
            reply.null_array();
        }
    }
}

/// The options of XCLAIM.
#[derive(Default)]
struct ClaimOptions {
    ids: Vec<StreamId>,
    delivered: Option<i64>,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl ClaimOptions {
    fn read(cx: &Cx) -> Result<ClaimOptions, Error> {
        let mut o = ClaimOptions::default();
        let number =
            |i: usize, error| crate::util::number::parse_i64(&cx.args[i]).ok_or(Error::text(error));
        let mut i = 5;
        // What is no ID any more is an option.
        while let Some(Ok(id)) = cx.args.get(i).map(|text| StreamId::parse_strict(text, 0)) {
            o.ids.push(id);
            i += 1;
        }
        while i < cx.args.len() {
            let more = i + 1 < cx.args.len();
            if cx.args.is(i, "FORCE") {
                o.force = true;
            } else if cx.args.is(i, "JUSTID") {
                o.just_id = true;
            } else if cx.args.is(i, "IDLE") && more {
                i += 1;
                o.delivered = Some(
                    cx.now
                        .wrapping_sub(number(i, "ERR Invalid IDLE option argument for XCLAIM")?),
                );
            } else if cx.args.is(i, "TIME") && more {
                i += 1;
                o.delivered = Some(number(i, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if cx.args.is(i, "RETRYCOUNT") && more {
                i += 1;
                let n = number(i, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                o.retry_count = u64::try_from(n).ok();
            } else if cx.args.is(i, "LASTID") && more {
                i += 1;
                o.last_id = StreamId::parse_strict(&cx.args[i], 0)?;
            } else {
                let text = [b"ERR Unrecognized XCLAIM option '", &cx.args[i], b"'"];
                return Err(Error::new(text.concat()));
            }
            i += 1;
        }
        // A time that lies ahead, or before all time, is taken for now: clocks differ.
        o.delivered = o.delivered.filter(|&at| (0..=cx.now).contains(&at));
        Ok(o)
    }
}

/// What XCLAIM and XAUTOCLAIM have in common: handing pending entries over to a consumer.
struct Claim<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    min_idle: i64,
    delivered: i64,
    retry_count: Option<u64>,
    just_id: bool,
    now: i64,
}

/// What became of an entry that was to be claimed.
enum Claimed {
    Yes,
    /// Not pending, or not idle for long enough.
    No,
    /// It is no longer in the stream, and was struck off the list.
    Gone,
}

impl Claim<'_> {
    /// Claims one entry and writes it to the reply. With `force` one that is not pending becomes so.
    fn take(&self, reply: &mut Reply, stream: &mut Stream, id: StreamId, force: bool) -> Claimed {
        if stream.get(id).is_none() {
            let struck = stream
                .group_mut(self.group)
                .is_some_and(|group| group.acknowledge(id));
            return if struck { Claimed::Gone } else { Claimed::No };
        }
        let Some(group) = stream.group_mut(self.group) else {
            return Claimed::No;
        };
        let count = match group.pel.get(&id) {
            Some(nack) if self.min_idle > 0 && self.now - nack.delivered < self.min_idle => {
                return Claimed::No;
            }
            Some(nack) => nack.count,
            None if force => 1,
            None => return Claimed::No,
        };
        let (consumer, _) = group.meet(self.consumer, self.now);
        let count = self
            .retry_count
            .unwrap_or(if self.just_id { count } else { count + 1 });
        group.assign(
            id,
            Nack {
                consumer,
                delivered: self.delivered,
                count,
            },
        );
        match stream.get(id) {
            Some(entry) if !self.just_id => reply_entry(reply, entry),
            _ => reply_id(reply, id),
        }
        Claimed::Yes
    }
}

/// The shortest idle time, which is argument 4 of both commands.
fn min_idle(cx: &Cx, error: &'static str) -> Result<i64, Error> {
    Ok(crate::util::number::parse_i64(&cx.args[4])
        .ok_or(Error::text(error))?
        .max(0))
}

/// The stream that has the group which arguments 1 and 2 name.
fn stream_with_group<'d>(cx: &Cx, db: &'d mut Db) -> Result<&'d mut Stream, Error> {
    let missing = || no_group(&cx.args[1], &cx.args[2]);
    let stream = cx
        .find_mut(db, 1)
        .ok_or_else(missing)?
        .value
        .as_stream_mut()?;
    stream.group(&cx.args[2]).ok_or_else(missing)?;
    Ok(stream)
}

pub fn xclaim(cx: &mut Cx, db: &mut Db) -> Done {
    let stream = stream_with_group(cx, db)?;
    let min_idle = min_idle(cx, "ERR Invalid min-idle-time argument for XCLAIM")?;
    let options = ClaimOptions::read(cx)?;
    if let Some(group) = stream.group_mut(&cx.args[2]) {
        group.last_id = group.last_id.max(options.last_id);
    }
    let claim = Claim {
        group: &cx.args[2],
        consumer: &cx.args[3],
        min_idle,
        delivered: options.delivered.unwrap_or(cx.now),
        retry_count: options.retry_count,
        just_id: options.just_id,
        now: cx.now,
    };
    let dirty = &mut cx.dirty;
    cx.reply.array_of(|reply| {
        let mut claimed = 0;
        for id in options.ids {
            match claim.take(reply, stream, id, options.force) {
                Claimed::Yes => claimed += 1,
                Claimed::Gone => {}
                Claimed::No => continue,
            }
            *dirty += 1;
        }
        claimed
    });
    Ok(())
}

pub fn xautoclaim(cx: &mut Cx, db: &mut Db) -> Done {
    let min_idle = min_idle(cx, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?;
    let start = bound(&cx.args[5], true)?;
    let (mut count, mut just_id, mut i) = (100, false, 6);
    while i < cx.args.len() {
        if cx.args.is(i, "COUNT") && i + 1 < cx.args.len() {
            i += 1;
            // Ten entries are looked at for each that is wanted, and that must fit a number, too.
            let fits = |n: &i64| (1..=i64::MAX / 16).contains(n);
            let n = crate::util::number::parse_i64(&cx.args[i]).filter(fits);
            count = n.ok_or(Error::text("ERR COUNT must be > 0"))? as usize;
        } else if cx.args.is(i, "JUSTID") {
            just_id = true;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 1;
    }
    let stream = stream_with_group(cx, db)?;
    let claim = Claim {
        group: &cx.args[2],
        consumer: &cx.args[3],
        min_idle,
        delivered: cx.now,
        retry_count: None,
        just_id,
        now: cx.now,
    };
    let mut attempts = count.saturating_mul(10);
    let (mut deleted, mut claimed, mut from) = (vec![], 0, Some(start));
    let entries = std::mem::take(&mut cx.reply.out);
    let next = |stream: &Stream, from: Option<StreamId>| {
        let group = stream.group(claim.group)?;
        group.pel.range(from?..).next().map(|(id, _)| *id)
    };
    while attempts > 0 && count > 0 {
        let Some(id) = next(stream, from) else {
            from = None;
            break;
        };
        from = id.next();
        attempts -= 1;
        match claim.take(cx.reply, stream, id, false) {
            Claimed::Yes => claimed += 1,
            Claimed::Gone => deleted.push(id),
            Claimed::No => continue,
        }
        cx.dirty += 1;
        count -= 1;
    }
    let cursor = next(stream, from).unwrap_or(StreamId::MIN);
    let entries = std::mem::replace(&mut cx.reply.out, entries);
    cx.reply.array(3);
    reply_id(cx.reply, cursor);
    cx.reply.array(claimed);
    cx.reply.out.extend_from_slice(&entries);
    cx.reply.array(deleted.len());
    deleted.into_iter().for_each(|id| reply_id(cx.reply, id));
    Ok(())
}

/// Writes the entries of a whole stream, for XINFO.
pub fn reply_first_entries(reply: &mut Reply, stream: &Stream, count: usize) {
    reply_entries(reply, stream.range(StreamId::MIN, StreamId::MAX), count);
}
