//! XREAD: reads the entries after given IDs from several streams, and waits for them.
//!
//! ```text
//!   XREAD COUNT 2 BLOCK 5000 STREAMS a b  1-0 $
//!                                    ▲ ▲  ▲   ▲
//!                                    keys └───┴─ one ID per key: read a after 1-0, and b after its last ID
//! ```
//!
//! XREADGROUP has the same form, so [`ReadOptions`] reads its arguments too.
//!
//! # When is there something to read?
//!
//! Redis answers this in two ways, and clients can see the difference when entries were deleted:
//!
//! | asked by | question | function |
//! |---|---|---|
//! | a command when it runs | is there an *entry* after the ID? | [`has_entries_after`] |
//! | a writer, for a client that waits | is the stream's *last ID* after the ID? | [`has_moved_past`] |
//!
//! Example: the stream's last ID is 3-0 and that entry was deleted. `XREAD BLOCK 0 STREAMS s 2-0` waits, because there is
//! no entry after 2-0. An XADD that trims its own entry serves the client an empty list of entries.
//!
//! A writer checks the waiting clients of a key only if the key was reported as ready: by XADD and XGROUP DESTROY, and
//! when a stream is created, replaced or removed. It serves a client from one stream only, even if the client waits for
//! several.

use std::time::Duration;

use super::replies::{complete_streams, reply_entries, reply_stream_key};
use crate::commands::args::{Cursor, timeout_ms};
use crate::commands::command::Handler::Read;
use crate::commands::command::flags::{BLOCKING, READONLY};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::after;
use crate::commands::key_spec::flags::{ACCESS, RO};
use crate::resp::{Args, Error, Reply};
use crate::state::blocking::{Service, Serving};
use crate::store::stream::{Stream, StreamId};
use crate::store::{Db, Type};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("xread", -4, Read(xread), READONLY | BLOCKING, acl::STREAM, &[after("STREAMS", 1, RO | ACCESS)])
        .doc("stream", "5.0.0", "O(N)", "[COUNT count] [BLOCK milliseconds] STREAMS key... id...",
             "Reads the entries after given IDs from one or more streams, and can wait for them."),
];

/// Whether the stream has an entry after an ID. For a command when it runs. O(log N) for N nodes.
pub fn has_entries_after(stream: &Stream, after: StreamId) -> bool {
    has_moved_past(stream, after) && stream.last_entry_id().is_some_and(|last| last > after)
}

/// Whether the stream's last ID is after an ID, even if the stream has no such entry. For a writer before it
/// serves a client that waits. O(1).
pub fn has_moved_past(stream: &Stream, after: StreamId) -> bool {
    stream.last_id > after
}

/// The command whose arguments are read.
#[derive(Clone, Copy, PartialEq)]
pub enum ReadKind {
    /// XREAD.
    Xread,
    /// XREADGROUP.
    Xreadgroup,
}

/// A key and the ID argument that belongs to it.
pub type KeyAndId<'a> = (&'a [u8], &'a [u8]);

/// The arguments of XREAD and XREADGROUP.
pub struct ReadOptions<'a> {
    /// COUNT: how many entries to read from each stream at most.
    pub count: usize,
    /// BLOCK: how long to wait, where `Some(None)` means for ever. `None` without BLOCK.
    block: Option<Option<Duration>>,
    /// NOACK: entries do not become pending.
    pub no_ack: bool,
    /// GROUP: the names of the group and of the consumer.
    pub group: Option<(&'a [u8], &'a [u8])>,
    /// STREAMS: what to read. Not empty.
    pub streams: Vec<KeyAndId<'a>>,
}

impl<'a> ReadOptions<'a> {
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// Redis's error for the first invalid option; then for a missing STREAMS or GROUP.
    pub fn read(args: &'a Args<'_>, kind: ReadKind) -> Result<ReadOptions<'a>, Error> {
        let mut read = ReadOptions {
            count: usize::MAX,
            block: None,
            no_ack: false,
            group: None,
            streams: vec![],
        };
        let mut options = Cursor::new(args, 1);
        while options.remaining() > 0 && read.streams.is_empty() {
            let has_value = options.remaining() > 1;
            if has_value && options.keyword("BLOCK") {
                read.block = Some(timeout_ms(options.value()?)?);
            } else if has_value && options.keyword("COUNT") {
                let n = options.int()?;
                read.count = if n > 0 { n as usize } else { usize::MAX };
            } else if has_value && options.keyword("STREAMS") {
                read.streams = streams(args, options.position())?;
            } else if options.remaining() > 2 && options.keyword("GROUP") {
                kind.require_group("GROUP")?;
                read.group = Some((options.value()?, options.value()?));
            } else if options.keyword("NOACK") {
                kind.require_group("NOACK")?;
                read.no_ack = true;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        if read.streams.is_empty() {
            return Err(Error::SYNTAX);
        }
        if kind == ReadKind::Xreadgroup && read.group.is_none() {
            return Err(Error::text("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(read)
    }

    /// The keys to wait for, and how long to wait at most (`None` means for ever). Returns `None` if the client does
    /// not wait: without BLOCK, and where the executor does not allow it (`may_block`).
    pub fn wait(&self, may_block: bool) -> Option<(Vec<Vec<u8>>, Option<Duration>)> {
        let timeout = self.block.filter(|_| may_block)?;
        let keys = self.streams.iter().map(|(key, _)| key.to_vec());
        Some((keys.collect(), timeout))
    }
}

/// Reads the arguments from `from` on: keys, then as many IDs.
fn streams<'a>(args: &'a Args<'_>, from: usize) -> Result<Vec<KeyAndId<'a>>, Error> {
    let words = args.len() - from;
    if !words.is_multiple_of(2) {
        return Err(Error::text(
            "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
        ));
    }
    let n = words / 2;
    Ok((from..from + n).map(|i| (&args[i], &args[i + n])).collect())
}

impl ReadKind {
    /// Returns Redis's error if this is XREAD, because `option` belongs to XREADGROUP.
    fn require_group(self, option: &str) -> Result<(), Error> {
        match self {
            ReadKind::Xreadgroup => Ok(()),
            ReadKind::Xread => Err(Error::new(format!(
                "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
            ))),
        }
    }
}

/// `XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]`
///
/// Replies with the entries after each ID, stream by stream; streams without such entries are left out. If no stream
/// has any, it waits for them with BLOCK, and replies with null otherwise. O(log N + M) per stream, for N nodes and M
/// entries in the reply.
pub fn xread(ctx: &mut Context, db: &Db) -> CommandResult {
    let options = ReadOptions::read(&ctx.args, ReadKind::Xread)?;
    let mut positions = Vec::with_capacity(options.streams.len());
    for &(key, id) in &options.streams {
        positions.push(position(id, ctx.get(db, key)?)?);
    }
    let start = ctx.reply.out.len();
    let mut served = 0;
    for (&(key, _), &after) in options.streams.iter().zip(&positions) {
        // Redis looks the key up again too, which counts as another hit or miss.
        let Some(stream) = ctx.get(db, key)? else {
            continue;
        };
        if has_entries_after(stream, after) {
            reply_stream(ctx.reply, key, stream, after, options.count);
            served += 1;
        }
    }
    if served > 0 {
        complete_streams(ctx.reply, start, served);
        return Ok(());
    }
    let count = options.count;
    match options.wait(ctx.may_block) {
        Some((keys, timeout)) => {
            let wanted = keys.iter().cloned().zip(positions).collect();
            ctx.block(keys, timeout, Box::new(WaitingRead { wanted, count }));
        }
        None => ctx.reply.null_array(),
    }
    Ok(())
}

/// The ID after which to read. `$` means the stream's last ID. `+` means the ID before the stream's last entry, so that
/// XREAD returns that entry; Redis has it since 7.4.
fn position(text: &[u8], stream: Option<&Stream>) -> Result<StreamId, Error> {
    match text {
        b"$" => Ok(stream.map_or(StreamId::MIN, |s| s.last_id)),
        b"+" => {
            let last = stream.and_then(Stream::last_entry_id);
            let before = last.and_then(StreamId::previous);
            Ok(before.unwrap_or_else(|| stream.map_or(StreamId::MIN, |s| s.last_id)))
        }
        b">" => Err(Error::text(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        id => Ok(StreamId::parse_strict(id, 0)?),
    }
}

/// Writes the key of a stream and its entries after an ID.
fn reply_stream(reply: &mut Reply, key: &[u8], stream: &Stream, after: StreamId, count: usize) {
    reply_stream_key(reply, key);
    match after.next() {
        Some(start) => reply_entries(reply, stream.range(start, StreamId::MAX), count),
        None => reply.array(0),
    }
}

/// Serves a waiting XREAD: with entries after an ID, from one of several streams.
struct WaitingRead {
    /// Keys, each with the ID after which to read.
    wanted: Vec<(Vec<u8>, StreamId)>,
    /// How many entries to read at most.
    count: usize,
}

impl WaitingRead {
    /// The stream at `key`, and the ID after which to read from it.
    fn stream<'d>(&self, db: &'d Db, key: &[u8], now: i64) -> Option<(&'d Stream, StreamId)> {
        let (_, after) = self.wanted.iter().find(|(wanted, _)| wanted == key)?;
        let object = db.get_as_writer(key, now)?;
        Some((Stream::of(&object.value).ok()?, *after))
    }
}

impl Service for WaitingRead {
    fn can_serve(&self, db: &Db, key: &[u8], now: i64) -> bool {
        let stream = self.stream(db, key, now);
        stream.is_some_and(|(stream, after)| has_moved_past(stream, after))
    }

    fn serve(&mut self, db: &mut Db, key: &[u8], serving: &mut Serving<'_>) -> CommandResult {
        if let Some((stream, after)) = self.stream(db, key, serving.now) {
            let start = serving.reply.out.len();
            reply_stream(serving.reply, key, stream, after, self.count);
            complete_streams(serving.reply, start, 1);
        }
        Ok(())
    }
}
