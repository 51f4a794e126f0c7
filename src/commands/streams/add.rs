//! What a stream contains: XADD, XDEL, XTRIM, XLEN and XSETID.
//!
//! XADD appends an entry, and can trim the oldest entries in the same step. XTRIM only trims:
//!
//! ```text
//!   XADD  key [NOMKSTREAM] [MAXLEN|MINID [=|~] threshold [LIMIT count]]  id  field value ...
//!   XTRIM key               MAXLEN|MINID [=|~] threshold [LIMIT count]
//! ```
//!
//! A trim is exact or *approximate* (`~`). An approximate trim removes whole nodes only, which costs much less, and
//! LIMIT bounds how many entries it may remove. The size of a node is a setting of each server
//! (`stream-node-max-entries`), so a replica's nodes may differ. An approximate trim is therefore propagated as the
//! exact trim with the same result, and a generated ID as the ID that the entry got:
//!
//! ```text
//!   client sends   XADD k MAXLEN ~ 1000  *                f v
//!   log gets       XADD k MAXLEN = 1043  1700000000000-0  f v
//! ```
//!
//! # Invariants
//!
//! * The last ID of a stream never decreases, except by XSETID. Deleting entries does not change it.
//! * A stream that has become empty is not removed: its last ID and its groups are data.
//! * XADD reports the key as ready for waiting clients, even if the trim removed the new entry. XDEL, XTRIM and XSETID
//!   report no key as ready.

use super::ids;
use super::replies::reply_id;
use crate::commands::args::{Cursor, int, wrong_arity};
use crate::commands::command::Handler::{Read, Write};
use crate::commands::command::flags::{DENYOOM, FAST, READONLY, WRITE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{DELETE, RO, RW, UPDATE};
use crate::commands::key_spec::key;
use crate::resp::Error;
use crate::store::stream::{AddError, NewId, Stream, StreamId, Trim};
use crate::store::{Class, Db};

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
    cmd("xdel", -3, Write(xdel), WRITE | FAST, acl::STREAM, &[key(1, RW | DELETE)])
        .doc("stream", "5.0.0", "O(1)", "key id...",
             "Removes entries from a stream."),
    cmd("xtrim", -4, Write(xtrim), WRITE, acl::STREAM, &[key(1, RW | DELETE)])
        .doc("stream", "5.0.0", "O(N)", "key <MAXLEN|MINID> [=|~] threshold [LIMIT count]",
             "Removes the oldest entries of a stream.")
        .tips(&["nondeterministic_output"]),
    cmd("xsetid", -3, Write(xsetid), WRITE | DENYOOM | FAST, acl::STREAM, &[key(1, RW | UPDATE)])
        .doc("stream", "5.0.0", "O(1)", "key last-id [ENTRIESADDED entries_added] [MAXDELETEDID max_deleted_entry_id]",
             "Sets the last ID and the counters of a stream."),
];

/// How XADD and XTRIM trim a stream.
struct TrimSpec {
    /// MAXLEN or MINID, with its threshold.
    strategy: Trim,
    /// `~`: whole nodes only.
    approximate: bool,
    /// How many entries may be removed at most; 0 means any number.
    limit: u64,
    /// The position of the threshold among the arguments.
    threshold_at: usize,
}

impl TrimSpec {
    /// Reads the arguments that follow MAXLEN or MINID.
    fn read(options: &mut Cursor, by_len: bool) -> Result<TrimSpec, Error> {
        let may_have_sign = options.remaining() >= 2;
        let approximate = may_have_sign && options.keyword("~");
        if may_have_sign && !approximate {
            options.keyword("=");
        }
        let threshold_at = options.position();
        let strategy = if by_len {
            const NEGATIVE: Error = Error::text("ERR The MAXLEN argument must be >= 0.");
            Trim::MaxLen(u64::try_from(options.int()?).map_err(|_| NEGATIVE)?)
        } else {
            Trim::MinId(StreamId::parse_strict(options.value()?, 0)?)
        };
        let limit = 0;
        Ok(TrimSpec {
            strategy,
            approximate,
            limit,
            threshold_at,
        })
    }

    /// Trims the stream, and returns how many entries it removed.
    fn apply(&self, stream: &mut Stream) -> u64 {
        stream.trim(self.strategy, self.approximate, self.limit)
    }

    /// After an approximate trim: the threshold of the exact trim with the same result. `None` if this trim is exact.
    fn exact_threshold(&self, stream: &Stream) -> Option<String> {
        let threshold = match self.strategy {
            _ if !self.approximate => return None,
            Trim::MaxLen(_) => stream.len().to_string(),
            // A node's master ID is the ID of its first entry, even if that entry was deleted.
            Trim::MinId(_) => {
                let first = stream.nodes().next();
                first
                    .map_or(StreamId::MAX, |node| node.master_id)
                    .to_string()
            }
        };
        Some(threshold)
    }
}

/// The options MAXLEN, MINID and LIMIT that were read so far.
#[derive(Default)]
struct TrimOptions {
    /// MAXLEN or MINID. Its limit is not set yet.
    spec: Option<TrimSpec>,
    /// LIMIT.
    limit: Option<u64>,
}

impl TrimOptions {
    /// Reads the next option if it is one of these, and returns whether it was. An option counts only if another argument
    /// follows it.
    fn read(&mut self, options: &mut Cursor) -> Result<bool, Error> {
        if options.remaining() < 2 {
            return Ok(false);
        }
        let by_len = options.keyword("MAXLEN");
        if by_len || options.keyword("MINID") {
            if self.spec.is_some() {
                return Err(Error::text(
                    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                ));
            }
            self.spec = Some(TrimSpec::read(options, by_len)?);
        } else if options.keyword("LIMIT") {
            const NEGATIVE: Error = Error::text("ERR The LIMIT argument must be >= 0.");
            self.limit = Some(u64::try_from(options.int()?).map_err(|_| NEGATIVE)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Checks in Redis's order that the options fit together. `required` is the error for a command that must trim, if no
    /// trim was requested.
    fn finish(self, ctx: &Context, required: Option<Error>) -> Result<Option<TrimSpec>, Error> {
        const NO_STRATEGY: Error = Error::text(
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        );
        const EXACT: Error =
            Error::text("ERR syntax error, LIMIT cannot be used without the special ~ option");
        match (self.spec, self.limit, required) {
            (None, Some(1..), _) => Err(NO_STRATEGY),
            (None, _, Some(required)) => Err(required),
            // The primary rewrites its approximate trim as an exact one, and leaves LIMIT where it was.
            (spec, _, _) if ctx.session.is_primary => Ok(spec),
            (None, None, None) => Ok(None),
            (None, Some(_), None) => Err(EXACT),
            (Some(spec), Some(_), _) if !spec.approximate => Err(EXACT),
            (Some(spec), limit, _) => {
                let default = if spec.approximate {
                    default_limit(ctx)
                } else {
                    0
                };
                let limit = limit.unwrap_or(default);
                Ok(Some(TrimSpec { limit, ..spec }))
            }
        }
    }
}

/// The LIMIT of an approximate trim without that option: 100 full nodes, but at most 1,000,000 entries. 10,000 if nodes
/// have no limit of entries.
fn default_limit(ctx: &Context) -> u64 {
    match 100i64.saturating_mul(ctx.config.stream_node_max_entries) {
        n @ 1.. => n.min(1_000_000) as u64,
        _ => 10_000,
    }
}

/// The arguments of XADD between the key and the fields.
struct AddOptions {
    /// How to trim the stream, if at all.
    trim: Option<TrimSpec>,
    /// NOMKSTREAM: a stream that does not exist is not created.
    no_create: bool,
    /// The ID of the new entry, or which part of it the server generates.
    id: NewId,
    /// The position of the ID among the arguments. The fields follow it.
    id_at: usize,
}

impl AddOptions {
    fn read(ctx: &Context) -> Result<AddOptions, Error> {
        let mut options = Cursor::new(&ctx.args, 2);
        let mut trim = TrimOptions::default();
        let (mut no_create, mut id) = (false, None);
        while options.remaining() > 0 {
            if options.keyword("NOMKSTREAM") {
                no_create = true;
            } else if !trim.read(&mut options)? {
                id = Some((options.position(), StreamId::parse_new(options.value()?)?));
                break;
            }
        }
        let trim = trim.finish(ctx, None)?;
        let fields = options.remaining();
        let (id_at, id) = id.ok_or_else(|| wrong_arity("xadd"))?;
        if fields == 0 || !fields.is_multiple_of(2) {
            return Err(wrong_arity("xadd"));
        }
        if id == NewId::Exact(StreamId::MIN) {
            let text = "ERR The ID specified in XADD must be greater than 0-0";
            return Err(Error::text(text));
        }
        Ok(AddOptions {
            trim,
            no_create,
            id,
            id_at,
        })
    }
}

/// `XADD key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]`
///
/// Replies with the ID of the new entry, or with null if NOMKSTREAM is given and the key does not exist. O(1) for the
/// entry, O(N) for N entries that are trimmed. Propagates itself with the ID that the entry got and an exact trim.
/// Reports the key as modified and as ready.
pub fn xadd(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let options = AddOptions::read(ctx)?;
    let key = &ctx.args[1];
    if options.no_create && ctx.get_mut::<Stream>(db, key)?.is_none() {
        ctx.reply.null();
        return Ok(());
    }
    let stream: &mut Stream = ctx.get_or_create(db, key)?;
    let id = append(ctx, stream, &options)?;
    reply_id(ctx.reply, id);
    let trim = options.trim.as_ref();
    let deleted = trim.map_or(0, |trim| trim.apply(stream));
    if ctx.propagation.is_wanted() {
        let id = id.to_string();
        let threshold =
            trim.and_then(|trim| Some((trim.threshold_at, trim.exact_threshold(stream)?)));
        let mut changes = Vec::with_capacity(3);
        if !matches!(options.id, NewId::Exact(_)) {
            changes.push((options.id_at, id.as_bytes()));
        }
        push_exact_trim(&mut changes, &threshold);
        ctx.propagation.add_edited(&ctx.args, &changes);
    }
    db.modified(key);
    db.event(Class::Stream, "xadd", key);
    if deleted > 0 {
        db.event(Class::Stream, "xtrim", key);
    }
    db.ready(key);
    ctx.dirty += 1;
    Ok(())
}

/// Appends the entry of an XADD.
///
/// # Errors
///
/// The ID is not larger than the stream's last ID, or the entry is too large.
fn append(ctx: &Context, stream: &mut Stream, options: &AddOptions) -> Result<StreamId, Error> {
    const EXHAUSTED: Error =
        Error::text("ERR The stream has exhausted the last possible ID, unable to add more items");
    const NOT_LARGER: Error = Error::text(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    );
    const TOO_LARGE: Error = Error::text("ERR Elements are too large to be stored");
    let last = stream.last_id;
    if last == StreamId::MAX {
        return Err(EXHAUSTED);
    }
    if options.id == NewId::AutoSeq(last.ms) && last.seq == u64::MAX {
        return Err(TOO_LARGE); // Redis replies with this text, although the ID is the problem
    }
    let args = &ctx.args;
    let names = (options.id_at + 1..args.len()).step_by(2);
    let fields = names.map(|i| (&args[i], &args[i + 1]));
    let limits = ctx.config.node_limits();
    let added = stream.add(options.id, ctx.now as u64, fields, limits);
    added.map_err(|why| match why {
        AddError::NotLarger => NOT_LARGER,
        AddError::TooLarge => TOO_LARGE,
    })
}

/// Adds the changed arguments that make a propagated trim exact. `threshold` is the position and the new text of the
/// threshold.
fn push_exact_trim<'a>(
    changes: &mut Vec<(usize, &'a [u8])>,
    threshold: &'a Option<(usize, String)>,
) {
    if let Some((at, threshold)) = threshold {
        changes.push((at - 1, b"="));
        changes.push((*at, threshold.as_bytes()));
    }
}

/// `XTRIM key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]`
///
/// Replies with how many entries it removed. O(N) for N of them; removing a whole node costs as much as removing one
/// entry. Propagates itself with an exact trim. Reports the key as modified if it removed entries.
pub fn xtrim(ctx: &mut Context, db: &mut Db) -> CommandResult {
    const REQUIRED: Error =
        Error::text("ERR syntax error, XTRIM must be called with a trimming strategy");
    let mut options = Cursor::new(&ctx.args, 2);
    let mut trim = TrimOptions::default();
    while options.remaining() > 0 {
        if !trim.read(&mut options)? {
            return Err(Error::SYNTAX);
        }
    }
    let trim = trim.finish(ctx, Some(REQUIRED))?.ok_or(REQUIRED)?;
    let key = &ctx.args[1];
    let (mut deleted, mut threshold) = (0, None);
    if let Some(stream) = ctx.get_mut::<Stream>(db, key)? {
        deleted = trim.apply(stream);
        threshold = trim
            .exact_threshold(stream)
            .map(|text| (trim.threshold_at, text));
    }
    if deleted > 0 {
        if threshold.is_some() {
            let mut changes = Vec::with_capacity(2);
            push_exact_trim(&mut changes, &threshold);
            ctx.propagation.add_edited(&ctx.args, &changes);
        }
        db.event(Class::Stream, "xtrim", key);
        db.modified(key);
        ctx.dirty += deleted;
    }
    ctx.reply.int(deleted as i64);
    Ok(())
}

/// `XLEN key`: replies with the number of entries; 0 if the key does not exist. O(1).
pub fn xlen(ctx: &mut Context, db: &Db) -> CommandResult {
    let stream = ctx.get::<Stream>(db, &ctx.args[1])?;
    ctx.reply.int(stream.map_or(0, Stream::len) as i64);
    Ok(())
}

/// `XDEL key id [id ...]`
///
/// Replies with how many entries it deleted. It deletes nothing if an ID is invalid. Per ID, O(log N) for N nodes and one
/// pass over the entry's node; removing a node that became empty is O(N). Reports the key as modified if it deleted
/// entries.
pub fn xdel(ctx: &mut Context, db: &mut Db) -> CommandResult {
    let key = &ctx.args[1];
    let mut deleted = 0;
    if let Some(stream) = ctx.get_mut::<Stream>(db, key)? {
        let ids = ids(&ctx.args, 2)?;
        deleted = ids.into_iter().filter(|&id| stream.delete(id)).count();
    }
    if deleted > 0 {
        db.modified(key);
        db.event(Class::Stream, "xdel", key);
        ctx.dirty += deleted as u64;
    }
    ctx.reply.int(deleted as i64);
    Ok(())
}

/// `XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]`
///
/// Sets the stream's last ID and its counters. Replies OK. O(log N) for N nodes. As in Redis it does not report the key
/// as modified.
pub fn xsetid(ctx: &mut Context, db: &mut Db) -> CommandResult {
    const BELOW_DELETED: Error = Error::text(
        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
    );
    const BELOW_LAST: Error =
        Error::text("ERR The ID specified in XSETID is smaller than the target stream top item");
    const BELOW_LEN: Error = Error::text(
        "ERR The entries_added specified in XSETID is smaller than the target stream length",
    );
    const NEGATIVE: Error = Error::text("ERR entries_added must be positive");
    let id = StreamId::parse_strict(&ctx.args[2], 0)?;
    let (mut entries_added, mut max_deleted) = (None, StreamId::MIN);
    let mut options = Cursor::new(&ctx.args, 3);
    while options.remaining() > 0 {
        if options.keyword("ENTRIESADDED") {
            let n = int(options.value()?)?;
            entries_added = Some(u64::try_from(n).map_err(|_| NEGATIVE)?);
        } else if options.keyword("MAXDELETEDID") {
            max_deleted = StreamId::parse_strict(options.value()?, 0)?;
            if id < max_deleted {
                return Err(BELOW_DELETED);
            }
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let key = &ctx.args[1];
    let stream: &mut Stream = ctx.get_mut(db, key)?.ok_or(Error::NO_SUCH_KEY)?;
    if let Some(last) = stream.last_entry_id() {
        if id < last {
            return Err(BELOW_LAST);
        }
        if entries_added.is_some_and(|n| n < stream.len()) {
            return Err(BELOW_LEN);
        }
    }
    stream.last_id = id;
    stream.entries_added = entries_added.unwrap_or(stream.entries_added);
    if max_deleted != StreamId::MIN {
        stream.max_deleted_id = max_deleted;
    }
    db.changed_silently(key);
    db.event(Class::Stream, "xsetid", key);
    ctx.dirty += 1;
    ctx.reply.ok();
    Ok(())
}
