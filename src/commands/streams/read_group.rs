//! A consumer of a group at work: XREADGROUP reads entries, XACK acknowledges them.
//!
//! The ID argument of each stream says what XREADGROUP reads from it:
//!
//! | ID | the consumer gets | effect |
//! |---|---|---|
//! | `>` | entries after the group's last-delivered-id | they become pending, and last-delivered-id moves on |
//! | any other | its own pending entries after the ID | their delivery time and delivery count change |
//!
//! Only `>` can wait. Waiting consumers are served in the order in which they blocked, so each new entry goes to the
//! consumer that has waited longest. [`super::read`] defines when there is something to read.
//!
//! # Propagation
//!
//! XREADGROUP itself is not propagated: a replica would record its own time as the time of delivery. What it did is
//! propagated as other commands:
//!
//! | what it did | commands in the log |
//! |---|---|
//! | deliver new entries | one XCLAIM per entry, with the delivery time and the delivery count |
//! | deliver new entries with NOACK | `XGROUP SETID` with the new last-delivered-id |
//! | create the consumer | with NOACK `XGROUP CREATECONSUMER`; otherwise nothing, the first XCLAIM creates it |
//! | read pending entries again | nothing, as in Redis |
//!
//! # What is reported
//!
//! XREADGROUP and XACK change the stream, but as in Redis they report the key neither as modified (WATCH) nor as ready
//! (waiting clients).

use super::ids;
use super::read::{ReadKind, ReadOptions, has_entries_after, has_moved_past};
use super::replies::{
    complete_streams, no_group_to_read, propagate_claim, propagate_group_id, reply_entry, reply_id,
    reply_stream_key,
};
use crate::commands::command::Handler::Write;
use crate::commands::command::flags::{BLOCKING, FAST, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RO, RW, UPDATE};
use crate::commands::key_spec::{after, key};
use crate::resp::{Error, Reply};
use crate::state::blocking::{Service, Serving};
use crate::store::stream::group::ConsumerId;
use crate::store::stream::{Nack, Stream, StreamId};
use crate::store::{Class, Db, Type};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xreadgroup", -7, Write(xreadgroup), WRITE | BLOCKING, acl::STREAM, &[after("STREAMS", 4, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(M)", "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key... id...",
             "Reads from streams as a consumer of a group, and can wait."),
    cmd("xack", -4, Write(xack), WRITE | FAST, acl::STREAM, &[key(1, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(1)", "key group id...",
             "Acknowledges entries, so that they are no longer pending."),
];

/// Which entries a consumer reads from a stream.
#[derive(Clone, Copy, PartialEq)]
enum ReadFrom {
    /// `>`: the entries after the group's last-delivered-id.
    New,
    /// The consumer's own pending entries after this ID.
    History(StreamId),
}

/// `XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]`
///
/// Replies as XREAD does, but a stream that is read with an ID other than `>` is always part of the reply. O(log N) per
/// entry in the reply, for N entries in the stream or pending in the group. Propagates one XCLAIM per new entry; see
/// the head of this file.
pub fn xreadgroup(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = ReadOptions::read(&ctx.args, ReadKind::Xreadgroup)?;
    let (group, consumer) = options.group.ok_or(Error::SYNTAX)?;
    let mut wanted = Vec::with_capacity(options.streams.len());
    for &(key, id) in &options.streams {
        wanted.push(read_from(ctx, db, key, group, id)?);
    }
    ctx.propagation.nothing();
    let request = ReadRequest {
        group,
        consumer,
        count: options.count,
        no_ack: options.no_ack,
    };
    let start = ctx.reply.out.len();
    let mut served = 0;
    for (&(key, _), &from) in options.streams.iter().zip(&wanted) {
        let Some(stream) = ctx.read_mut(db, key)? else {
            continue;
        };
        if from == ReadFrom::New && !request.has_new_entries(stream) {
            continue;
        }
        let mut serving = Serving {
            reply: &mut *ctx.reply,
            propagation: &mut ctx.propagation,
            now: ctx.now,
        };
        let is_new = request.serve(stream, key, from, &mut serving);
        report(db, key, is_new);
        ctx.dirty += 1 + u64::from(is_new);
        served += 1;
    }
    if served > 0 {
        complete_streams(ctx.reply, start, served);
        return Ok(());
    }
    match options.wait(ctx.may_block) {
        Some((keys, timeout)) => {
            let service = WaitingConsumer::new(&request);
            ctx.block(keys, timeout, Box::new(service));
        }
        None => ctx.reply.null_array(),
    }
    Ok(())
}

/// Reads the ID argument of a stream.
///
/// # Errors
///
/// NOGROUP if the key or the group does not exist, WRONGTYPE, and Redis's error for an invalid ID.
fn read_from(
    ctx: &Context,
    db: &mut Db,
    key: &[u8],
    group: &[u8],
    id: &[u8],
) -> Result<ReadFrom, Error> {
    const DOLLAR: Error = Error::text(
        "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
         specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
    );
    let missing = || no_group_to_read(key, group);
    let stream: &mut Stream = ctx.read_mut(db, key)?.ok_or_else(missing)?;
    stream.group(group).ok_or_else(missing)?;
    match id {
        b">" => Ok(ReadFrom::New),
        b"$" => Err(DOLLAR),
        id => Ok(match StreamId::parse_strict(id, 0)? {
            StreamId::MAX => ReadFrom::New, // Redis stores `>` as the largest ID, so the two mean the same
            id => ReadFrom::History(id),
        }),
    }
}

/// Reports the changes to the stream: events, but no modified key, as in Redis.
fn report(db: &mut Db, key: &[u8], is_new_consumer: bool) {
    db.changed_silently(key);
    if is_new_consumer {
        db.event(Class::Stream, "xgroup-createconsumer", key);
    }
}

/// A consumer's request for entries.
struct ReadRequest<'a> {
    /// The name of the group.
    group: &'a [u8],
    /// The name of the consumer.
    consumer: &'a [u8],
    /// How many entries to read from each stream at most.
    count: usize,
    /// NOACK: entries do not become pending.
    no_ack: bool,
}

impl ReadRequest<'_> {
    /// Whether the stream has entries after the group's last-delivered-id.
    fn has_new_entries(&self, stream: &Stream) -> bool {
        let group = stream.group(self.group);
        group.is_some_and(|group| has_entries_after(stream, group.last_id))
    }

    /// Writes the reply of one stream: its key and the entries. Creates the consumer if it does not exist, and returns
    /// whether it did.
    fn serve(
        &self,
        stream: &mut Stream,
        key: &[u8],
        from: ReadFrom,
        serving: &mut Serving<'_>,
    ) -> bool {
        let Some(group) = stream.group_mut(self.group) else {
            return false; // never happens: the caller has checked that the group exists
        };
        let (consumer, is_new) = group.find_or_create_consumer(self.consumer, serving.now);
        if is_new && self.no_ack {
            let command: [&[u8]; 2] = [b"XGROUP", b"CREATECONSUMER"];
            let [name, sub] = command;
            serving
                .propagation
                .add(&[name, sub, key, self.group, self.consumer]);
        }
        reply_stream_key(serving.reply, key);
        match from {
            ReadFrom::New => self.deliver(stream, key, consumer, serving),
            ReadFrom::History(after) => self.reply_history(serving, stream, after),
        }
        is_new
    }

    /// Delivers new entries: writes them to the reply, makes them pending unless NOACK is given, and propagates the
    /// result.
    fn deliver(
        &self,
        stream: &mut Stream,
        key: &[u8],
        consumer: ConsumerId,
        serving: &mut Serving<'_>,
    ) {
        let Serving {
            reply,
            propagation,
            now,
        } = serving;
        let (count, no_ack, now) = (self.count, self.no_ack, *now);
        reply.array_of(|reply| {
            stream.deliver(self.group, consumer, count, no_ack, now, |entry| {
                reply_entry(reply, entry);
                if !no_ack && propagation.is_wanted() {
                    let nack = Nack {
                        consumer,
                        delivered: now,
                        count: 1,
                    };
                    let place = (key, self.group);
                    let owned = (self.consumer, &nack);
                    propagate_claim(propagation, place, entry.id, entry.id, owned);
                }
            })
        });
        if let (true, Some(group)) = (no_ack, stream.group(self.group)) {
            propagate_group_id(propagation, key, self.group, group);
        }
    }

    /// Replies with the consumer's pending entries after an ID, and counts one more delivery of each. An entry that is no
    /// longer in the stream is shown as its ID and null, and does not count.
    fn reply_history(&self, serving: &mut Serving<'_>, stream: &mut Stream, after: StreamId) {
        let now = serving.now;
        let reply: &mut Reply = serving.reply;
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
                        nack.delivered = now;
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

/// Serves a waiting XREADGROUP: with entries after the group's last-delivered-id. The fields are those of
/// [`ReadRequest`], as owned values.
struct WaitingConsumer {
    /// The name of the group.
    group: Vec<u8>,
    /// The name of the consumer.
    consumer: Vec<u8>,
    /// How many entries to read at most.
    count: usize,
    /// NOACK: entries do not become pending.
    no_ack: bool,
}

impl WaitingConsumer {
    fn new(request: &ReadRequest) -> WaitingConsumer {
        WaitingConsumer {
            group: request.group.to_vec(),
            consumer: request.consumer.to_vec(),
            count: request.count,
            no_ack: request.no_ack,
        }
    }
}

impl Service for WaitingConsumer {
    /// True also if the stream or the group no longer exists: then the client gets an error.
    fn can_serve(&self, db: &Db, key: &[u8], now: i64) -> bool {
        let object = db.get_as_writer(key, now);
        let Some(Ok(stream)) = object.map(|object| Stream::of(&object.value)) else {
            return true;
        };
        let group = stream.group(&self.group);
        group.is_none_or(|group| has_moved_past(stream, group.last_id))
    }

    fn serve(&mut self, db: &mut Db, key: &[u8], serving: &mut Serving<'_>) -> CommandResult {
        const NO_KEY: Error = Error::text("UNBLOCKED the stream key no longer exists");
        const NO_GROUP: Error =
            Error::text("NOGROUP the consumer group this client was blocked on no longer exists");
        let object = db.get_mut(key, serving.now);
        let Some(Ok(stream)) = object.map(|object| Stream::of_mut(&mut object.value)) else {
            return Err(NO_KEY);
        };
        stream.group(&self.group).ok_or(NO_GROUP)?;
        let request = ReadRequest {
            group: &self.group,
            consumer: &self.consumer,
            count: self.count,
            no_ack: self.no_ack,
        };
        let start = serving.reply.out.len();
        let is_new = request.serve(stream, key, ReadFrom::New, serving);
        complete_streams(serving.reply, start, 1);
        report(db, key, is_new);
        Ok(())
    }
}

/// `XACK key group id [id ...]`
///
/// Replies with how many entries were pending and are now acknowledged. It acknowledges nothing if an ID is invalid.
/// O(log N) per ID, for N pending entries. As in Redis it does not report the key as modified.
pub fn xack(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let key = &ctx.args[1];
    let mut acknowledged = 0;
    if let Some(stream) = ctx.read_mut::<Stream>(db, key)?
        && let Some(group) = stream.group_mut(&ctx.args[2])
    {
        let ids = ids(&ctx.args, 3)?;
        acknowledged = ids
            .into_iter()
            .filter(|&id| group.remove_pending(id))
            .count();
    }
    db.changed_silently(key);
    ctx.dirty += acknowledged as u64;
    ctx.reply.int(acknowledged as i64);
    Ok(())
}
