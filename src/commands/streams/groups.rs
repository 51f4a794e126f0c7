//! Consumer groups: managing them, reading as one of their consumers, acknowledging. What is pending in them is looked at
//! and taken over in [`super::pending`].

use crate::commands::command::Handler::{Container, Plain, Write};
use crate::commands::command::flags::{BLOCKING, DENYOOM, FAST, LOADING, NONE, STALE, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::key_spec::flags::{ACCESS, DELETE, INSERT, RO, RW, UPDATE};
use crate::commands::key_spec::{after, key};
use std::sync::Arc;

use super::entries::{ReadOptions, reply_entry, reply_id, stream_list_kind};
use crate::commands::args::help as reply_help;
use crate::commands::args::int;
use crate::commands::context::{CommandResult, Context};
use crate::resp::{Error, Reply};
use crate::state::blocking::{Service, Serving};
use crate::state::propagation::Propagation;
use crate::store::stream::{Group, Nack, Stream, StreamId};
use crate::store::{Db, Keep, NEVER, Type, Value};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xgroup", -2, Container, NONE, 0, &[])
        .doc("stream", "5.0.0", "Depends on subcommand.", "",
             "Manages consumer groups.")
        .subcommands(SUBCOMMANDS),
    cmd("xreadgroup", -7, Write(xreadgroup), WRITE | BLOCKING, acl::STREAM, &[after("STREAMS", 4, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(M)", "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key... id...",
             "Reads from streams as a consumer of a group, and can wait."),
    cmd("xack", -4, Write(xack), WRITE | FAST, acl::STREAM, &[key(1, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(1)", "key group id...",
             "Acknowledges entries, which are pending no more."),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("create", -5, Write(create), WRITE | DENYOOM, acl::STREAM, &[key(2, RW | INSERT)])
        .doc("stream", "5.0.0", "O(1)", "key groupname <id|$> [MKSTREAM] [ENTRIESREAD entries_read]",
             "Creates a consumer group."),
    cmd("createconsumer", 5, Write(createconsumer), WRITE | DENYOOM, acl::STREAM, &[key(2, RW | INSERT)])
        .doc("stream", "6.2.0", "O(1)", "key groupname consumername",
             "Adds a consumer to a group."),
    cmd("delconsumer", 5, Write(delconsumer), WRITE, acl::STREAM, &[key(2, RW | DELETE)])
        .doc("stream", "5.0.0", "O(1)", "key groupname consumername",
             "Removes a consumer and its pending entries."),
    cmd("destroy", 4, Write(destroy), WRITE, acl::STREAM, &[key(2, RW | DELETE)])
        .doc("stream", "5.0.0", "O(N)", "key groupname",
             "Removes a consumer group."),
    cmd("help", 2, Plain(help), LOADING | STALE, acl::STREAM, &[])
        .doc("stream", "5.0.0", "O(1)", "",
             "Explains the subcommands of XGROUP."),
    cmd("setid", -5, Write(setid), WRITE, acl::STREAM, &[key(2, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(1)", "key groupname <id|$> [ENTRIESREAD entries_read]",
             "Sets where a group reads on from."),
];

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

/// What replicas are told of a delivery, however it came about: this entry is pending with this consumer, and the group has
/// come to `last_id`.
pub fn propagate_claim(
    propagation: &mut Propagation,
    (key, group): (&[u8], &[u8]),
    last_id: StreamId,
    id: StreamId,
    (owner, nack): (&[u8], &Nack),
) {
    if propagation.is_wanted() {
        let (id, last_id) = (id.to_string(), last_id.to_string());
        let (time, count) = (nack.delivered.to_string(), nack.count.to_string());
        propagation.add(&[
            b"XCLAIM",
            key,
            group,
            owner,
            b"0",
            id.as_bytes(),
            b"TIME",
            time.as_bytes(),
            b"RETRYCOUNT",
            count.as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last_id.as_bytes(),
        ]);
    }
}

/// What replicas are told when a group has moved on and nothing became pending.
pub fn propagate_group_id(propagation: &mut Propagation, key: &[u8], name: &[u8], group: &Group) {
    if propagation.is_wanted() {
        let id = group.last_id.to_string();
        let read = group.entries_read.map_or(-1, |n| n as i64).to_string();
        propagation.add(&[
            b"XGROUP",
            b"SETID",
            key,
            name,
            id.as_bytes(),
            b"ENTRIESREAD",
            read.as_bytes(),
        ]);
    }
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
pub fn bad_options(ctx: &Context, container: &str) -> Error {
    wrong_subcommand(container, &ctx.args[1])
}

const NO_KEY: Error = Error::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);

/// The stream that XGROUP works on.
fn stream_of<'d>(ctx: &Context, db: &'d mut Db) -> Result<&'d mut Stream, Error> {
    ctx.get_mut(db, &ctx.args[2])?.ok_or(NO_KEY)
}

/// The group that XGROUP works on.
fn group_of<'d>(ctx: &Context, db: &'d mut Db) -> Result<&'d mut Group, Error> {
    let error = no_group_for_key(&ctx.args[2], &ctx.args[3]);
    stream_of(ctx, db)?.group_mut(&ctx.args[3]).ok_or(error)
}

/// The options of XGROUP CREATE and SETID.
struct GroupOptions {
    make_stream: bool,
    entries_read: Option<u64>,
}

fn group_options(ctx: &Context, create: bool) -> Result<GroupOptions, Error> {
    let mut options = GroupOptions {
        make_stream: false,
        entries_read: None,
    };
    let mut i = 5;
    while i < ctx.args.len() {
        if create && ctx.args.is(i, "MKSTREAM") {
            options.make_stream = true;
        } else if ctx.args.is(i, "ENTRIESREAD") && i + 1 < ctx.args.len() {
            i += 1;
            options.entries_read = match int(&ctx.args[i])? {
                -1 => None,
                n => Some(u64::try_from(n).map_err(|_| {
                    Error::text("ERR value for ENTRIESREAD must be positive or -1")
                })?),
            };
        } else {
            return Err(bad_options(ctx, "XGROUP"));
        }
        i += 1;
    }
    Ok(options)
}

pub fn create(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = group_options(ctx, true)?;
    let stream = match ctx.find_mut(db, &ctx.args[2]) {
        Some(object) => Some(Stream::of_mut(&mut object.value)?),
        None if !options.make_stream => return Err(NO_KEY),
        None => None,
    };
    if ctx.args.len() > 8 {
        return Err(bad_options(ctx, "XGROUP"));
    }
    let start = match &ctx.args[4] {
        b"$" => stream.as_ref().map_or(StreamId::MIN, |s| s.last_id),
        id => StreamId::parse_strict(id, 0)?,
    };
    if stream.is_none() {
        db.set(
            &ctx.args[2],
            Value::Stream(Arc::default()),
            Keep::Until(NEVER),
            ctx.usage,
            ctx.now,
        );
    }
    if !stream_of(ctx, db)?.add_group(&ctx.args[3], Group::new(start, options.entries_read)) {
        return Err(Error::text("BUSYGROUP Consumer Group name already exists"));
    }
    db.changed_silently(&ctx.args[2]);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}

pub fn setid(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = group_options(ctx, false)?;
    group_of(ctx, db)?;
    if ctx.args.len() > 7 {
        return Err(bad_options(ctx, "XGROUP"));
    }
    let start = match &ctx.args[4] {
        b"$" => stream_of(ctx, db)?.last_id,
        id => StreamId::parse(id, 0)?,
    };
    let group = group_of(ctx, db)?;
    group.last_id = start;
    group.entries_read = options.entries_read;
    db.changed_silently(&ctx.args[2]);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}

pub fn destroy(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let removed = stream_of(ctx, db)?.remove_group(&ctx.args[3]);
    if removed {
        // Consumers that wait for entries of the group get an error.
        db.changed_silently(&ctx.args[2]);
        db.ready(&ctx.args[2]);
        ctx.dirty += 1;
    }
    ctx.reply.int(removed.into());
    Ok(())
}

pub fn createconsumer(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let group = group_of(ctx, db)?;
    let new = group.find_consumer(&ctx.args[4]).is_none();
    if new {
        group.meet(&ctx.args[4], ctx.now);
        db.changed_silently(&ctx.args[2]);
        ctx.dirty += 1;
    }
    ctx.reply.int(new.into());
    Ok(())
}

pub fn delconsumer(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let pending = group_of(ctx, db)?.remove_consumer(&ctx.args[4]);
    if pending.is_some() {
        db.changed_silently(&ctx.args[2]);
        ctx.dirty += 1;
    }
    ctx.reply.int(pending.unwrap_or(0) as i64);
    Ok(())
}

pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "xgroup", SUBCOMMANDS)
}

/// What a consumer wants of a stream.
#[derive(Clone, Copy)]
enum From {
    /// `>`: entries that no consumer of the group has had.
    New,
    /// Its own pending entries after an ID.
    History(StreamId),
}

pub fn xreadgroup(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = ReadOptions::read(&ctx.args, true)?;
    let group_at = options.group.ok_or(Error::SYNTAX)?;
    let mut wanted = Vec::with_capacity(options.streams);
    for i in options.keys..options.keys + options.streams {
        let (key, group) = (&ctx.args[i], &ctx.args[group_at]);
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
        let stream: &mut Stream = ctx.get_mut(db, key)?.ok_or_else(missing)?;
        stream.group(group).ok_or_else(missing)?;
        wanted.push(match &ctx.args[i + options.streams] {
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
    // What it does to a group is told entry by entry.
    ctx.propagation.nothing();
    let start = ctx.reply.out.len();
    let mut served = 0;
    for (i, &from) in wanted.iter().enumerate() {
        let (key, group, consumer) = (
            &ctx.args[options.keys + i],
            &ctx.args[group_at],
            &ctx.args[group_at + 1],
        );
        let Some(object) = db.get_mut(key, ctx.now) else {
            continue;
        };
        let request = Request {
            group,
            consumer,
            count: options.count,
            no_ack: options.no_ack,
            now: ctx.now,
        };
        let stream = Stream::of_mut(&mut object.value)?;
        if request.serve(ctx.reply, &mut ctx.propagation, key, stream, from) {
            ctx.dirty += 1;
            served += 1;
            db.changed_silently(key);
        }
    }
    let (group, consumer) = (ctx.args[group_at].to_vec(), ctx.args[group_at + 1].to_vec());
    let (count, no_ack) = (options.count, options.no_ack);
    options.finish(ctx, start, served, |_| {
        Box::new(WaitingConsumer {
            group,
            consumer,
            count,
            no_ack,
        })
    })
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
    fn serve(
        &self,
        reply: &mut Reply,
        propagation: &mut Propagation,
        key: &[u8],
        stream: &mut Stream,
        from: From,
    ) -> bool {
        let newest = stream.last_entry_id();
        let Some(group) = stream.group_mut(self.group) else {
            return false;
        };
        if matches!(from, From::New) && newest.is_none_or(|newest| newest <= group.last_id) {
            return false;
        }
        let (consumer, new) = group.meet(self.consumer, self.now);
        if new && self.no_ack {
            let words = [
                b"XGROUP",
                &b"CREATECONSUMER"[..],
                key,
                self.group,
                self.consumer,
            ];
            propagation.add(&words);
        }
        if !reply.resp3 {
            reply.array(2);
        }
        reply.bulk(key);
        match from {
            From::New => {
                let start = reply.out.len();
                let n = stream.deliver(
                    self.group,
                    consumer,
                    self.count,
                    self.no_ack,
                    self.now,
                    |entry| {
                        reply_entry(reply, entry);
                        if !self.no_ack {
                            let nack = Nack {
                                consumer,
                                delivered: self.now,
                                count: 1,
                            };
                            let place = (key, self.group);
                            let owned = (self.consumer, &nack);
                            propagate_claim(propagation, place, entry.id, entry.id, owned);
                        }
                    },
                );
                reply.insert_header(start, b'*', n);
                if let (true, Some(group)) = (self.no_ack, stream.group(self.group)) {
                    propagate_group_id(propagation, key, self.group, group);
                }
            }
            From::History(after) => self.reply_history(reply, stream, after),
        }
        true
    }

    /// Replies with the consumer's pending entries after an ID. Each counts as delivered once more; of one that is no
    /// longer in the stream only the ID can be told.
    fn reply_history(&self, reply: &mut Reply, stream: &mut Stream, after: StreamId) {
        let consumer = stream
            .group(self.group)
            .and_then(|g| g.find_consumer(self.consumer));
        let ids: Vec<StreamId> = match (consumer, after.next()) {
            (Some(c), Some(start)) => c.pending_from(start).take(self.count).collect(),
            _ => vec![],
        };
        reply.array(ids.len());
        for id in ids {
            match stream.get(id) {
                Some(entry) => {
                    reply_entry(reply, entry);
                    if let Some(nack) = stream.group_mut(self.group).and_then(|g| g.nack_mut(id)) {
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

/// What a waiting XREADGROUP wants: entries that its group has not read. Waiters are served one after the other, so
/// each new entry goes to the consumer that has waited longest.
struct WaitingConsumer {
    group: Vec<u8>,
    consumer: Vec<u8>,
    count: usize,
    no_ack: bool,
}

impl Service for WaitingConsumer {
    /// There is also something for the client if the stream or the group is gone: an error.
    fn can_serve(&self, db: &Db, key: &[u8], now: i64) -> bool {
        let object = db.get(key, now);
        let Some(Ok(stream)) = object.map(|object| Stream::of(&object.value)) else {
            return true;
        };
        let group = stream.group(&self.group);
        group.is_none_or(|group| stream.last_id > group.last_id)
    }

    fn serve(&mut self, db: &mut Db, key: &[u8], serving: &mut Serving<'_>) -> CommandResult {
        let (reply, now) = (&mut *serving.reply, serving.now);
        let object = db.get_mut(key, now);
        let Some(Ok(stream)) = object.map(|object| Stream::of_mut(&mut object.value)) else {
            let text = "UNBLOCKED the stream key no longer exists";
            return Err(Error::text(text));
        };
        if stream.group(&self.group).is_none() {
            let text = "NOGROUP the consumer group this client was blocked on no longer exists";
            return Err(Error::text(text));
        }
        let start = reply.out.len();
        let request = Request {
            group: &self.group,
            consumer: &self.consumer,
            count: self.count,
            no_ack: self.no_ack,
            now,
        };
        request.serve(reply, serving.propagation, key, stream, From::New);
        let kind = stream_list_kind(reply);
        reply.insert_header(start, kind, 1);
        db.changed_silently(key);
        Ok(())
    }
}

pub fn xack(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let mut acknowledged = 0;
    if let Some(object) = ctx.find_mut(db, &ctx.args[1])
        && let Some(group) = Stream::of_mut(&mut object.value)?.group_mut(&ctx.args[2])
    {
        let ids: Result<Vec<_>, _> = ctx
            .args
            .iter_from(3)
            .map(|id| StreamId::parse_strict(id, 0))
            .collect();
        acknowledged = ids?.into_iter().filter(|&id| group.acknowledge(id)).count();
    }
    db.changed_silently(&ctx.args[1]);
    ctx.dirty += acknowledged as u64;
    ctx.reply.int(acknowledged as i64);
    Ok(())
}
