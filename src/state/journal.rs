//! The journal: everything that has changed, in the order in which it changed.
//!
//! Each command that changed something leaves its *effect* in the journal, in a form that gives the same result wherever
//! and whenever it is run again: XADD with the ID that it got, `PXAT` for a relative expiry, DEL for a key that expired.
//! The effects are requests, one after the other, as a client would send them. A SELECT stands between them where the
//! database changes. That is Redis's replication stream, byte for byte. The feeders of replicas are the *readers* of the
//! journal.
//!
//! ```text
//!   offset  start                                      end
//!            ▼                                          ▼
//!   ┌────────┬────────┬────────┬────────┬────────┬──────┐
//!   │ 64 KB  │        │        │        │        │ … SET│ ◄── writers append, under the store's lock
//!   └────────┴────────┴────────┴────────┴────────┴──────┘
//!                 ▲                           ▲     ▲
//!              replica 2, slow            replica 1 │
//!                          └── repl-backlog-size ───┘    kept for replicas that come back after a short absence
//! ```
//!
//! An *offset* counts the bytes since the beginning of this history. A replica that lost its connection tells its
//! primary the offset up to which it has the journal. If the bytes after that offset are still here, the replica gets
//! them and nothing else: a *partial resynchronization*. That gives the same data, because the bytes are the same for
//! every replica and an effect depends only on the effects before it.
//!
//! A writer never waits for a reader. Blocks stay as long as a reader needs them. A reader that falls back further than
//! `client-output-buffer-limit replica` allows is *lost*: the journal forgets it, and its connection is closed.
//!
//! # The selected database
//!
//! The last SELECT before a request says which database the request changes, and that SELECT may stand inside a
//! transaction. So the selected database is part of every position. [`Journal::selected`] is that of the end, and the
//! only place that knows it: writers on a primary, the link of a replica, and the copies that a replica makes for its
//! own replicas all read it there. A replica resumes only at the end of its own journal, which is always outside a
//! transaction, so the database of the end is enough.
//!
//! # Units
//!
//! No reader must see half of what a command or transaction has done, so more than one request of it stands between
//! MULTI and EXEC. The writer puts them together before it appends: see [`mod@crate::write`].
//!
//! # Invariants
//!
//! * All blocks but the last have `BLOCK` bytes, so the block of an offset is found without a search.
//! * The journal keeps every byte from the position of the slowest reader on, and the last `backlog` bytes.
//! * Bytes are appended under the store's lock: the write lock for changes, the read lock for PING and GETACK.

use std::collections::{HashMap, VecDeque};
use std::sync::Condvar;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::config::Limit;
use super::lock::{Lock, Rank, lock};

/// Bytes in a block.
const BLOCK: usize = 64 * 1024;

/// The effects of all changes, as far back as a reader or the backlog needs them.
pub struct Journal {
    /// Whether effects are recorded. Nothing is recorded before the first replica has connected.
    active: AtomicBool,
    log: Lock<LogState>,
    /// Notified when a reader that sleeps has something to read, or was removed.
    grown: Condvar,
    /// A copy of [`LogState::end`] that can be read without the lock.
    end: AtomicU64,
    /// The database that is selected at the end. Changes only under the store's write lock.
    selected: AtomicUsize,
    /// Whether the next writer adds a SELECT in any case. Changes only under the store's write lock.
    announce: AtomicBool,
}

/// What the lock of a [`Journal`] protects: the recorded bytes and their readers.
#[derive(Default)]
struct LogState {
    /// The bytes, oldest first.
    blocks: VecDeque<Vec<u8>>,
    /// The offset of the first byte in `blocks`.
    start: u64,
    /// The offset of the byte that comes next.
    end: u64,
    /// Bytes that are kept even if no reader needs them.
    backlog: u64,
    /// By the client ID of the replica.
    readers: HashMap<u64, LogReader>,
    /// A reader adds 1, under the lock, each time it finds nothing and is about to sleep. [`Journal::append`] sets it to 0
    /// and wakes all sleepers; it releases the lock first, so that the woken threads need not wait for it.
    sleepers: usize,
}

/// How far a reader has come, and how far back it may fall.
struct LogReader {
    /// The offset of the byte that it reads next.
    position: u64,
    /// How many bytes it may be behind the end.
    limit: Limit,
    /// When it fell back further than the soft limit; `None` if it is not.
    late_since: Option<Instant>,
}

/// The journal does not have this reader: the reader fell back too far, or the recording ended or began anew.
#[derive(Debug, PartialEq)]
pub struct Lost;

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            active: AtomicBool::default(),
            log: Lock::new(Rank::Journal, LogState::default()),
            grown: Condvar::new(),
            end: AtomicU64::default(),
            selected: AtomicUsize::default(),
            announce: AtomicBool::default(),
        }
    }
}

impl Journal {
    /// Whether effects are recorded.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Begins to record, with the next byte at `offset` and `selected` as the database there, and keeps `backlog` bytes.
    /// All readers are lost. The caller holds the store's write lock.
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

    /// Stops recording, and forgets the bytes but not the offset. All readers are lost.
    pub fn end_recording(&self) {
        let mut log = lock(&self.log);
        self.active.store(false, Relaxed);
        log.blocks.clear();
        log.start = log.end;
        log.readers.clear();
        self.grown.notify_all();
    }

    /// Changes how many bytes are kept even if no reader needs them.
    pub fn set_backlog(&self, bytes: u64) {
        let mut log = lock(&self.log);
        log.backlog = bytes.max(1);
        log.trim();
    }

    /// The offset of the byte that comes next, which is the number of bytes so far.
    #[inline]
    pub fn end(&self) -> u64 {
        self.end.load(Relaxed)
    }

    /// The offset at which the backlog begins, and the number of its bytes.
    pub fn backlog(&self) -> (u64, u64) {
        let log = lock(&self.log);
        let len = (log.end - log.start).min(log.backlog);
        (log.end - len, len)
    }

    /// Whether a replica that has everything up to `offset` can go on from there.
    pub fn reaches(&self, offset: u64) -> bool {
        let (start, len) = self.backlog();
        self.is_active() && (start..=start + len).contains(&offset)
    }

    /// Appends bytes, wakes the readers that sleep, and returns the offset after the bytes.
    pub fn append(&self, bytes: &[u8]) -> u64 {
        let mut log = lock(&self.log);
        log.append(bytes);
        log.trim();
        let end = log.end;
        self.end.store(end, Relaxed);
        if log.sleepers > 0 {
            log.sleepers = 0;
            drop(log);
            self.grown.notify_all();
        }
        end
    }

    /// The database that is selected at the end. It stays so while the caller holds the store's lock.
    pub fn selected(&self) -> usize {
        self.selected.load(Relaxed)
    }

    /// The database that is selected at the end, if a writer need not select it again. The caller holds the store's
    /// write lock.
    pub fn selected_for_writer(&self) -> Option<usize> {
        let announced = !self.announce.load(Relaxed);
        announced.then(|| self.selected())
    }

    /// Notes the database that is selected after the bytes that are about to be appended. The caller holds the store's
    /// write lock.
    pub fn set_selected(&self, db: usize) {
        self.selected.store(db, Relaxed);
        self.announce.store(false, Relaxed);
    }

    /// Makes the next writer add a SELECT, even if its database is selected already, because a reader that begins here
    /// may not know that. The caller holds the store's write lock.
    pub fn announce_selected(&self) {
        self.announce.store(true, Relaxed);
    }

    /// Registers the reader of the replica with this client ID, which goes on at `position`. From now on the journal
    /// keeps what this reader needs.
    pub fn add_reader(&self, id: u64, position: u64, limit: Limit) {
        let reader = LogReader {
            position,
            limit,
            late_since: None,
        };
        lock(&self.log).readers.insert(id, reader);
    }

    /// Removes a reader. What only it needed is freed.
    pub fn remove_reader(&self, id: u64) {
        let mut log = lock(&self.log);
        log.readers.remove(&id);
        log.trim();
        self.grown.notify_all();
    }

    /// Whether the journal has no such reader: it fell back too far or was removed, or the recording ended or began anew.
    pub fn is_lost(&self, id: u64) -> bool {
        !lock(&self.log).readers.contains_key(&id)
    }

    /// How many bytes a reader has yet to read; 0 if there is no such reader.
    pub fn pending(&self, id: u64) -> u64 {
        let log = lock(&self.log);
        log.readers.get(&id).map_or(0, |r| log.end - r.position)
    }

    /// Bytes of memory that the blocks take.
    pub fn memory(&self) -> usize {
        lock(&self.log).blocks.iter().map(Vec::capacity).sum()
    }

    /// Waits until there is something after the reader's position, for `time` at most. Returns whether there is.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the journal has no such reader (see [`Journal::is_lost`]).
    pub fn wait(&self, id: u64, time: Duration) -> Result<bool, Lost> {
        let may_sleep = !time.is_zero();
        let has_nothing = |log: &mut LogState| {
            let reader = log.readers.get(&id);
            let nothing = reader.is_some_and(|r| r.position == log.end);
            log.sleepers += usize::from(nothing && may_sleep);
            nothing
        };
        let log = lock(&self.log).wait_timeout_while(&self.grown, time, has_nothing);
        let position = log.readers.get(&id).ok_or(Lost)?.position;
        Ok(position < log.end)
    }

    /// Fills `into` with up to `most` bytes from the reader's position on. The position does not change before
    /// [`Journal::advance`].
    ///
    /// # Errors
    ///
    /// [`Lost`] if the journal has no such reader (see [`Journal::is_lost`]).
    pub fn read(&self, id: u64, into: &mut Vec<u8>, most: usize) -> Result<(), Lost> {
        into.clear();
        let log = lock(&self.log);
        let position = log.readers.get(&id).ok_or(Lost)?.position;
        log.copy(position, into, most);
        Ok(())
    }

    /// Moves a reader's position on by `bytes`, which were sent.
    pub fn advance(&self, id: u64, bytes: usize) {
        let mut log = lock(&self.log);
        if let Some(reader) = log.readers.get_mut(&id) {
            reader.position += bytes as u64;
        }
    }
}

impl LogState {
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

    /// Removes the readers that are too far behind, and then the blocks that neither a reader nor the backlog needs.
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
            // A reader within the backlog costs no memory.
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
    fn a_reader_that_falls_back_too_far_is_lost() {
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
    fn a_reader_that_sleeps_is_woken_when_it_is_lost() {
        let journal = Journal::default();
        journal.begin(0, 0, 1000);
        let limit = Limit {
            hard: 2000,
            ..NO_LIMIT
        };
        journal.add_reader(1, 0, limit);
        let began = Instant::now();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| journal.wait(1, Duration::from_secs(60)));
            while lock(&journal.log).sleepers == 0 {
                std::thread::yield_now();
            }
            journal.append(&[0; 2001]);
            assert_eq!(reader.join().unwrap(), Err(Lost));
        });
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
