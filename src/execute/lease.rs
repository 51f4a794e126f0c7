//! The lock that an executor holds from one command to the next.
//!
//! A lock is not released after each command. When a client pipelines, the next command usually needs the same lock, so
//! the executor keeps its [`Lease`]. The lease ends when
//!
//! * a write comes and only the read lock is held (a read under the write lock runs under that lock);
//! * a command comes that needs no lock;
//! * a command has run that may take long (it uses all databases, or its row says DANGEROUS), or a transaction;
//! * the batch ends;
//! * the lease's budget is used up.
//!
//! The budget limits how long other threads wait for the lock: [`LEASE_COMMANDS`] commands or [`LEASE_REPLY_BYTES`] bytes of
//! replies, counted from the first command after the last release. A transaction runs whole, however long it is.
//!
//! # Invariants
//!
//! * A lease holds at most one lock.
//! * A read lock is released before the write lock is taken, so two clients cannot deadlock by upgrading.

use crate::state::Shared;
use crate::state::lock::ReadGuard;
use crate::store::Store;
use crate::write::{Origin, WriteTxn};

/// A lease ends after this many commands.
const LEASE_COMMANDS: usize = 256;
/// A lease ends after this many bytes of replies.
const LEASE_REPLY_BYTES: usize = 64 * 1024;

/// The lock on the store that is held, if any.
enum HeldLock<'a> {
    None,
    Read(ReadGuard<'a, Store>),
    Write(WriteTxn<'a>),
}

/// A lock and its budget.
pub struct Lease<'a> {
    shared: &'a Shared,
    lock: HeldLock<'a>,
    /// Commands since the last release.
    commands: usize,
    /// The length of the reply buffer, in bytes, before the first of these commands.
    reply_at_start: usize,
}

impl<'a> Lease<'a> {
    /// A lease without a lock.
    pub fn new(shared: &'a Shared) -> Lease<'a> {
        Lease {
            shared,
            lock: HeldLock::None,
            commands: 0,
            reply_at_start: 0,
        }
    }

    /// The data, for reading. Takes the read lock if there is none.
    #[inline]
    pub fn read(&mut self) -> &Store {
        if matches!(self.lock, HeldLock::None) {
            self.lock = HeldLock::Read(self.shared.read());
        }
        match &self.lock {
            HeldLock::Read(store) => store,
            HeldLock::Write(txn) => txn.store(),
            HeldLock::None => unreachable!("the lock was just taken"),
        }
    }

    /// The write lock. Takes it if it is not held; before that it releases the read lock, which cannot be upgraded.
    #[inline]
    pub fn write(&mut self, origin: Origin, now: i64) -> &mut WriteTxn<'a> {
        if !matches!(self.lock, HeldLock::Write(_)) {
            self.lock = HeldLock::None;
            self.lock = HeldLock::Write(WriteTxn::begin(self.shared, origin, now));
        }
        match &mut self.lock {
            HeldLock::Write(txn) => txn,
            _ => unreachable!("the lock was just taken"),
        }
    }

    /// The write lock, if it is held.
    #[inline]
    pub fn txn(&mut self) -> Option<&mut WriteTxn<'a>> {
        match &mut self.lock {
            HeldLock::Write(txn) => Some(txn),
            _ => None,
        }
    }

    /// Counts a command that is about to run. `reply_len` is the length of the reply buffer before it.
    #[inline]
    pub fn count(&mut self, reply_len: usize) {
        if self.commands == 0 {
            self.reply_at_start = reply_len;
        }
        self.commands += 1;
    }

    /// Whether the budget is used up. `reply_len` is the length of the reply buffer now.
    #[inline]
    pub fn is_used_up(&self, reply_len: usize) -> bool {
        self.commands >= LEASE_COMMANDS || reply_len > self.reply_at_start + LEASE_REPLY_BYTES
    }

    /// Releases the lock, and ends the write transaction if there is one. Returns the offset in the log after the last change,
    /// or `None` if nothing was added to the log.
    #[inline]
    pub fn end(&mut self) -> Option<u64> {
        self.commands = 0;
        match std::mem::replace(&mut self.lock, HeldLock::None) {
            HeldLock::Write(txn) => txn.finish(),
            HeldLock::Read(_) | HeldLock::None => None,
        }
    }
}
