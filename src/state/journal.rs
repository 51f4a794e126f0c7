//! The journal: everything that has changed, in the order in which it changed.
//!
//! Replicas are *readers* of it. Each command that changed something leaves its *effect*, in a form that gives the same
//! result wherever and whenever it is run again: XADD with the ID that it got, `PXAT` for a relative expiry, DEL for a
//! key that expired. The effects are requests, one after the other, just as a client would send them; a SELECT
//! stands between them where the database changes. That is Redis's replication stream, byte for byte.
//!
//! ```text
//!   offset  start                                      end
//!            ▼                                          ▼
//!   ┌────────┬────────┬────────┬────────┬────────┬──────┐
//!   │ 64 KB  │        │        │        │        │ … SET│ ◄── writers append, under the store's write lock
//!   └────────┴────────┴────────┴────────┴────────┴──────┘
//!                 ▲                           ▲     ▲
//!              replica 2, slow            replica 1 │
//!                          └── repl-backlog-size ───┘    kept for those who come back after a short absence
//! ```
//!
//! An *offset* counts the bytes since the beginning of this history. A replica that lost its connection says up to which
//! offset it has come; if the byte after it is still here, it gets the rest and nothing else: a *partial
//! resynchronisation*. It is safe because the bytes are the same for everybody and an effect never depends on anything
//! but what came before it.
//!
//! A writer never waits for a reader. Blocks stay as long as a reader needs them; one that falls back further than
//! `client-output-buffer-limit` allows is *lost*: its connection is closed, and it can begin anew.
//!
//! # The selected database
//!
//! Which database an effect changes is said by the last SELECT before it, wherever that stands: inside of a transaction,
//! too. So the selected database is a part of every position. [`Journal::selected`] is that of the end, and the only
//! place that knows it: the primary's effects, the link of a replica and the copies that a replica makes for its own
//! replicas all begin from there. A replica goes on only at the end of its journal, and this is always the end of a
//! whole transaction; hence the database of the end is enough.
//!
//! # Units
//!
//! [`Effects`] is where a thread collects effects while it holds the write lock; they are appended before it lets go.
//! What one command or transaction does must not be seen in halves, so more than one effect of it is put between MULTI
//! and EXEC.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lock;
use crate::util::number;

const BLOCK: usize = 64 * 1024;

/// The log of effects, as far back as anyone needs it.
#[derive(Default)]
pub struct Journal {
    /// Whether effects are recorded. Nobody records before the first replica has come.
    active: AtomicBool,
    log: Mutex<Log>,
    grown: Condvar,
    /// The log's end, for those who only want to know it.
    end: AtomicU64,
    /// The database that is selected at the end, and whether the next effect of our own says so again. Both are changed
    /// under the store's write lock only.
    selected: AtomicUsize,
    announce: AtomicBool,
}

#[derive(Default)]
struct Log {
    /// Full but for the last.
    blocks: VecDeque<Vec<u8>>,
    /// The offset of the first byte in `blocks`, and of the byte that comes next.
    start: u64,
    end: u64,
    /// How much is kept for those who are not connected.
    backlog: u64,
    readers: HashMap<u64, Reader>,
    /// How many of them sleep until there is more.
    sleepers: usize,
}

/// How far a reader has come, and how far back it may fall.
struct Reader {
    position: u64,
    limit: Limit,
    /// Since when it has been further back than the soft limit.
    late_since: Option<Instant>,
}

/// How many bytes a reader may be behind: never more than `hard`, and no more than `soft` for longer than a time. Zero is
/// no limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub hard: u64,
    pub soft: u64,
    pub soft_seconds: u64,
}

/// A reader has fallen back too far: what it needs next is gone.
#[derive(Debug, PartialEq)]
pub struct Lost;

impl Journal {
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Begins to record, with the next byte at `offset` and database `selected`, and keeps `backlog` bytes at least.
    /// Readers are lost. The caller holds the store's write lock.
    pub fn begin(&self, offset: u64, selected: usize, backlog: u64) {
        let mut log = lock(&self.log);
        log.blocks.clear();
        log.readers.clear();
        (log.start, log.end, log.backlog) = (offset, offset, backlog.max(1));
        self.end.store(offset, Relaxed);
        self.selected.store(selected, Relaxed);
        self.announce.store(true, Relaxed);
        self.active.store(true, Relaxed);
        self.grown.notify_all();
    }

    /// Stops recording and forgets what was recorded, but not the offset. Readers are lost.
    pub fn end_recording(&self) {
        let mut log = lock(&self.log);
        self.active.store(false, Relaxed);
        log.blocks.clear();
        log.start = log.end;
        log.readers.clear();
        self.grown.notify_all();
    }

    /// Changes how much is kept for those who are not connected.
    pub fn set_backlog(&self, bytes: u64) {
        let mut log = lock(&self.log);
        log.backlog = bytes.max(1);
        log.trim();
    }

    /// The offset of the byte that comes next: how many there have been.
    #[inline]
    pub fn end(&self) -> u64 {
        self.end.load(Relaxed)
    }

    /// From which offset on the backlog reaches, and how many bytes it has.
    pub fn backlog(&self) -> (u64, u64) {
        let log = lock(&self.log);
        let len = (log.end - log.start).min(log.backlog);
        (log.end - len, len)
    }

    /// Whether a reader can go on at `offset`.
    pub fn reaches(&self, offset: u64) -> bool {
        let (start, len) = self.backlog();
        self.is_active() && (start..=start + len).contains(&offset)
    }

    /// Appends bytes, wakes the readers that sleep, and returns the offset after the bytes.
    pub fn append(&self, bytes: &[u8]) -> u64 {
        let end = self.append_quietly(bytes);
        self.wake_readers();
        end
    }

    /// Appends bytes for which the caller will see to it that they are read, and returns the offset after them.
    pub fn append_quietly(&self, bytes: &[u8]) -> u64 {
        let mut log = lock(&self.log);
        log.append(bytes);
        log.trim();
        self.end.store(log.end, Relaxed);
        log.end
    }

    /// Wakes the readers that sleep, if one of them has something to read.
    pub fn wake_readers(&self) {
        let mut log = lock(&self.log);
        let end = log.end;
        if log.sleepers > 0 && log.readers.values().any(|r| r.position < end) {
            log.sleepers = 0;
            drop(log);
            self.grown.notify_all();
        }
    }

    /// The database that is selected at the end. It stays so while the caller holds the store's lock.
    pub fn selected(&self) -> usize {
        self.selected.load(Relaxed)
    }

    /// Has the next effect say which database it is in, even if that is the selected one. For a reader that begins here and
    /// may not know. The caller holds the store's write lock.
    pub fn announce_selected(&self) {
        self.announce.store(true, Relaxed);
    }

    /// Registers a reader that goes on at `position`. From now on what it needs is kept.
    pub fn add_reader(&self, id: u64, position: u64, limit: Limit) {
        let reader = Reader {
            position,
            limit,
            late_since: None,
        };
        lock(&self.log).readers.insert(id, reader);
    }

    pub fn remove_reader(&self, id: u64) {
        let mut log = lock(&self.log);
        log.readers.remove(&id);
        log.trim();
        self.grown.notify_all();
    }

    /// Whether a reader has fallen back too far.
    pub fn is_lost(&self, id: u64) -> bool {
        !lock(&self.log).readers.contains_key(&id)
    }

    /// How many bytes each reader has yet to read.
    pub fn pending(&self, id: u64) -> u64 {
        let log = lock(&self.log);
        log.readers.get(&id).map_or(0, |r| log.end - r.position)
    }

    /// Bytes held in memory.
    pub fn memory(&self) -> usize {
        lock(&self.log).blocks.iter().map(Vec::capacity).sum()
    }

    /// Waits until there is something after the reader's position, for `time` at most; tells whether there is.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the reader has fallen back too far.
    pub fn wait(&self, id: u64, time: Duration) -> Result<bool, Lost> {
        let may_sleep = !time.is_zero();
        let has_nothing = |log: &mut Log| {
            let reader = log.readers.get(&id);
            let nothing = reader.is_some_and(|r| r.position == log.end);
            log.sleepers += usize::from(nothing && may_sleep);
            nothing
        };
        let (log, _) = self
            .grown
            .wait_timeout_while(lock(&self.log), time, has_nothing)
            .unwrap_or_else(PoisonError::into_inner);
        let position = log.readers.get(&id).ok_or(Lost)?.position;
        Ok(position < log.end)
    }

    /// Puts up to `most` bytes of what comes after the reader's position into `into`. The position moves on when
    /// [`Journal::advance`] says that they have arrived.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the reader has fallen back too far.
    pub fn read(&self, id: u64, into: &mut Vec<u8>, most: usize) -> Result<(), Lost> {
        into.clear();
        let log = lock(&self.log);
        let position = log.readers.get(&id).ok_or(Lost)?.position;
        log.copy(position, into, most);
        Ok(())
    }

    /// A reader has passed on `bytes` more.
    pub fn advance(&self, id: u64, bytes: usize) {
        let mut log = lock(&self.log);
        if let Some(reader) = log.readers.get_mut(&id) {
            reader.position += bytes as u64;
        }
    }
}

impl Log {
    fn append(&mut self, mut bytes: &[u8]) {
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.blocks.back().map_or(0, |last| BLOCK - last.len());
            if room == 0 {
                // A block is allocated as it fills: a journal of few bytes takes little.
                self.blocks.push_back(Vec::new());
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(last) = self.blocks.back_mut() {
                last.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    /// Drops readers that are too far behind, and then the blocks that nobody needs.
    fn trim(&mut self) {
        let (end, backlog) = (self.end, self.backlog);
        self.readers.retain(|_, reader| {
            let behind = end - reader.position;
            let limit = reader.limit;
            if limit.soft > 0 && behind > limit.soft {
                reader.late_since.get_or_insert_with(Instant::now);
            } else {
                reader.late_since = None;
            }
            let too_late = reader
                .late_since
                .is_some_and(|since| since.elapsed() >= Duration::from_secs(limit.soft_seconds));
            // What the backlog holds anyway costs nothing.
            behind <= backlog || !(too_late || limit.hard > 0 && behind > limit.hard)
        });
        let needed = self.readers.values().map(|r| r.position).min();
        let keep = (end - backlog.min(end)).min(needed.unwrap_or(end));
        while self.blocks.len() > 1 && self.start + (BLOCK as u64) <= keep {
            self.blocks.pop_front();
            self.start += BLOCK as u64;
        }
    }

    /// Copies up to `most` bytes from `offset` on.
    fn copy(&self, offset: u64, into: &mut Vec<u8>, most: usize) {
        let skip = (offset - self.start) as usize;
        let mut at = skip % BLOCK;
        for block in self.blocks.iter().skip(skip / BLOCK) {
            let n = (block.len() - at).min(most - into.len());
            into.extend_from_slice(&block[at..at + n]);
            at = 0;
        }
    }
}

/// Appends a request to `out`, as a client would send it.
pub fn push_request<'a>(out: &mut Vec<u8>, words: usize, args: impl Iterator<Item = &'a [u8]>) {
    out.push(b'*');
    number::push_i64(out, words as i64);
    out.extend_from_slice(b"\r\n");
    for arg in args {
        out.push(b'$');
        number::push_i64(out, arg.len() as i64);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// What a thread has done to the data and not journalled yet.
#[derive(Default)]
pub struct Effects {
    /// Whether anybody wants to know.
    on: bool,
    out: Vec<u8>,
    /// The database that is selected after `out`; `None` if the next effect has to say it.
    selected: Option<usize>,
    /// Effects in the current unit, and where the first one is.
    count: usize,
    first_at: usize,
    /// Effects of the command that is being run, and how many; and whether they stand in place of the command itself.
    of_command: Vec<u8>,
    commands: usize,
    replaced: bool,
}

impl Effects {
    /// Begins to collect, if anyone wants that. The caller has just got the store's write lock.
    #[inline]
    pub fn begin(&mut self, journal: &Journal, wanted: bool) {
        self.on = wanted && journal.is_active();
        if self.on {
            let known = !journal.announce.load(Relaxed);
            self.selected = known.then(|| journal.selected());
        }
    }

    /// Whether effects are collected at all. A handler asks before it goes to any trouble.
    #[inline]
    pub fn on(&self) -> bool {
        self.on
    }

    /// Adds an effect of the command being run, beside the command as it was sent.
    pub fn also(&mut self, words: &[&[u8]]) {
        if self.on {
            push_request(&mut self.of_command, words.len(), words.iter().copied());
            self.commands += 1;
        }
    }

    /// Adds an effect that stands for the command being run.
    #[inline]
    pub fn instead(&mut self, words: &[&[u8]]) {
        self.also(words);
        self.replaced = true;
    }

    /// A key of database `db` was found expired and is gone.
    pub fn expired(&mut self, db: usize, key: &[u8]) {
        if self.on {
            self.open(db);
            push_request(&mut self.out, 2, [b"DEL", key].into_iter());
        }
    }

    /// Adds bytes of the primary's journal, just as they came, and returns the offset before them. After them database
    /// `selected` is selected.
    pub fn relay(&mut self, journal: &Journal, bytes: &[u8], selected: usize) -> u64 {
        let before = journal.end() + self.out.len() as u64;
        self.out.extend_from_slice(bytes);
        self.selected = Some(selected);
        before
    }

    /// The command being run has no effect but those that were added.
    #[inline]
    pub fn nothing_else(&mut self) {
        self.replaced = true;
    }

    /// The command has been run in database `db`; `words` are those it was sent with, if they are an effect.
    pub fn command_done<'a>(
        &mut self,
        db: usize,
        words: Option<(usize, impl Iterator<Item = &'a [u8]>)>,
    ) {
        let replaced = std::mem::take(&mut self.replaced);
        if !self.on {
            return;
        }
        if self.commands > 0 {
            self.open(db);
            self.count += self.commands - 1;
            self.commands = 0;
            self.out.append(&mut self.of_command);
        }
        if let Some((n, words)) = words
            && !replaced
        {
            self.open(db);
            push_request(&mut self.out, n, words);
        }
    }

    /// Prepares for one more effect of the unit, in database `db`.
    fn open(&mut self, db: usize) {
        if self.selected != Some(db) {
            self.selected = Some(db);
            let number = db.to_string();
            push_request(&mut self.out, 2, [b"SELECT", number.as_bytes()].into_iter());
        }
        if self.count == 0 {
            self.first_at = self.out.len();
        }
        self.count += 1;
    }

    /// Ends a unit: what belongs together stands between MULTI and EXEC.
    #[inline]
    pub fn unit_done(&mut self) {
        if self.count > 1 {
            let mut multi = vec![];
            push_request(&mut multi, 1, [&b"MULTI"[..]].into_iter());
            self.out.splice(self.first_at..self.first_at, multi);
            push_request(&mut self.out, 1, [&b"EXEC"[..]].into_iter());
        }
        self.count = 0;
    }

    /// Appends everything to the journal, and returns the offset after it; `None` if there was nothing. The caller still
    /// holds the write lock.
    #[inline]
    pub fn flush(&mut self, journal: &Journal) -> Option<u64> {
        if self.out.is_empty() {
            return None;
        }
        self.unit_done();
        if let Some(db) = self.selected {
            journal.selected.store(db, Relaxed);
            journal.announce.store(false, Relaxed);
        }
        let end = journal.append(&self.out);
        self.out.clear();
        if self.out.capacity() > 1 << 20 {
            self.out = Vec::new();
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: Limit = Limit {
        hard: 0,
        soft: 0,
        soft_seconds: 0,
    };

    #[test]
    fn readers_get_every_byte_once() {
        let journal = Journal::default();
        journal.begin(7, 0, 100);
        journal.add_reader(1, 7, NO_LIMIT);
        let written: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        let (mut read, mut some) = (vec![], vec![]);
        for piece in written.chunks(1000) {
            journal.append(piece);
            journal.read(1, &mut some, 700).unwrap();
            journal.advance(1, some.len());
            read.extend_from_slice(&some);
        }
        while read.len() < written.len() {
            journal.read(1, &mut some, 1 << 20).unwrap();
            journal.advance(1, some.len());
            read.extend_from_slice(&some);
        }
        assert!(read == written && journal.end() == 300_007);
        journal.append(b"x");
        assert!(journal.memory() <= 2 * BLOCK);
        assert!(journal.reaches(300_008) && journal.reaches(299_908));
        assert!(!journal.reaches(299_907) && !journal.reaches(300_009));
    }

    #[test]
    fn who_falls_back_too_far_is_lost() {
        let journal = Journal::default();
        journal.begin(0, 0, 1000);
        let limit = Limit {
            hard: 200_000,
            ..NO_LIMIT
        };
        journal.add_reader(1, 0, limit);
        journal.add_reader(2, 0, NO_LIMIT);
        journal.append(&[0; 200_000]);
        assert!(!journal.is_lost(1) && journal.pending(1) == 200_000);
        journal.append(&[0; 1]);
        assert!(journal.is_lost(1) && !journal.is_lost(2));
        let read = journal.read(1, &mut vec![], 10);
        assert_eq!(read, Err(Lost));
        journal.remove_reader(2);
        assert!(journal.memory() <= BLOCK * 2);
    }

    #[test]
    fn what_belongs_together_is_wrapped() {
        let journal = Journal::default();
        journal.begin(0, 0, 1 << 20);
        let mut effects = Effects::default();
        effects.begin(&journal, true);
        let words = |text: &'static str| {
            Some((text.split(' ').count(), text.split(' ').map(str::as_bytes)))
        };
        effects.command_done(3, words("SET a 1"));
        effects.unit_done();
        effects.expired(3, b"old");
        effects.command_done(3, words("SET b 2"));
        effects.unit_done();
        effects.instead(&[b"PERSIST", b"c"]);
        effects.command_done(0, words("NOT SEEN"));
        effects.flush(&journal);
        journal.add_reader(1, 0, NO_LIMIT);
        let mut text = vec![];
        journal.read(1, &mut text, 1000).unwrap();
        let text = String::from_utf8(text).unwrap();
        let words: Vec<&str> = text
            .split("\r\n")
            .filter(|w| !w.starts_with(['*', '$']))
            .collect();
        let expected = "SELECT 3 SET a 1 MULTI DEL old SET b 2 EXEC SELECT 0 PERSIST c ";
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn the_selected_database_is_that_of_the_end() {
        let journal = Journal::default();
        journal.begin(0, 3, 1 << 20);
        assert_eq!(journal.selected(), 3);
        let mut effects = Effects::default();
        let mut lengths = vec![];
        let mut write = |dbs: &[usize]| {
            effects.begin(&journal, true);
            dbs.iter().for_each(|&db| effects.expired(db, b"k"));
            let before = journal.end();
            lengths.push(effects.flush(&journal).unwrap() - before);
            journal.selected()
        };
        // The first says it, the second need not, and a transaction leaves what it selects last.
        assert_eq!((write(&[3]), write(&[3]), write(&[3, 5])), (3, 3, 5));
        journal.announce_selected();
        assert_eq!((journal.selected(), write(&[5]), write(&[5])), (5, 5, 5));
        assert!(lengths[0] > lengths[1] && lengths[3] > lengths[4] && lengths[4] == lengths[1]);
        effects.begin(&journal, false);
        effects.relay(&journal, b"what the primary sent", 7);
        effects.flush(&journal);
        assert_eq!(journal.selected(), 7);
    }
}
