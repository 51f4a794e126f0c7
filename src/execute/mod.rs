//! How a command runs. This is the one place that decides whether a command runs, under which lock, and what follows.
//!
//! If you read one part of this server, read this one. A client's thread hands each request to [`Executor::run`]:
//!
//! ```text
//!   admission.rs    look the command up · arity · NOAUTH · role of the server · pause · MULTI queue
//!   lease.rs        take the lock that the handler's type asks for, if it is not held yet
//!   call.rs         run the handler: it reads or changes data and writes its reply
//!   ../write.rs     after a change: flags of watched keys, requests for the log
//!   actions.rs      do what the handler asked for: let the client wait, follow a primary, …
//!   ../write.rs     end the unit: serve the clients that wait
//!   statistics.rs   count and time the call
//!   lease.rs        release the lock, now or after later commands; before that, append to the log
//! ```
//!
//! [`transaction`] is EXEC. It runs the queued commands through the same [`Executor::call`].
//!
//! Example: a client sends `GET a`, `GET b`, `SET c 1`, `PING` in one pipeline.
//!
//! | request | lock |
//! |---|---|
//! | `GET a` | takes the read lock |
//! | `GET b` | runs under the same lock |
//! | `SET c 1` | releases the read lock and takes the write lock |
//! | `PING` | needs no lock, so the SET is appended to the log and the lock is released |
//!
//! # Invariants
//!
//! * No code in these files compares a command's name. Each exception for a command is a flag in its row, or its handler's
//!   type.
//! * Each request is refused, queued, or run exactly once. While writes are paused, a write waits and is tried again.
//! * When a batch has ended, the executor holds no lock.

mod actions;
mod admission;
mod call;
mod lease;
mod statistics;
mod transaction;

use std::sync::Arc;
use std::time::Instant;

use crate::commands::command::{Handler, Index};
use crate::resp::{Args, Error, Reply, Requests};
use crate::state::Shared;
use crate::state::blocking::Waiter;
use crate::state::config::Config;
use crate::state::session::{ReplyMode, Session};
use crate::util::clock;
use crate::write::{Origin, WriteTxn};
use lease::Lease;
use statistics::CallCounter;

/// What the client's thread must do next.
pub enum Flow {
    /// Go on with the next request.
    Next,
    /// Run the same request again when writes are no longer paused.
    Again,
    /// Sleep until the wait has ended, but not longer than until the given time.
    Block(Arc<Waiter>, Option<Instant>),
    /// Send the replies so far, and close the connection.
    Close,
}

/// Runs the commands of one client. It belongs to the client's thread.
pub struct Executor<'a> {
    shared: &'a Shared,
    /// The table of commands.
    index: &'static Index,
    /// The settings as of the beginning of the batch.
    config: Arc<Config>,
    /// The version of `config`: another one means that a setting has changed.
    config_version: u64,
    /// The lock that is held, if any.
    lease: Lease<'a>,
    /// Unix time in milliseconds: one reading for the whole batch.
    now: i64,
    /// The calls that are not in the shared statistics yet.
    counter: CallCounter,
    /// The offset in the log after the last change that this client made. WAIT waits for it.
    last_write_offset: u64,
}

impl<'a> Executor<'a> {
    /// An executor that holds no lock.
    pub fn new(shared: &'a Shared, index: &'static Index) -> Executor<'a> {
        Executor {
            shared,
            index,
            config: shared.settings.current(),
            config_version: shared.settings.version(),
            lease: Lease::new(shared),
            now: clock::now_ms(),
            counter: CallCounter::default(),
            last_write_offset: 0,
        }
    }

    /// The settings as of the beginning of the batch.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Begins a batch: reads the clock, and takes over changed settings. Returns the Unix time in milliseconds.
    pub fn begin_batch(&mut self) -> i64 {
        self.now = clock::now_ms();
        self.counter.start();
        let version = self.shared.settings.version();
        if version != self.config_version {
            self.config_version = version;
            self.config = self.shared.settings.current();
        }
        self.now
    }

    /// Ends a batch: releases the lock, and adds the counted calls to the shared statistics.
    pub fn finish_batch(&mut self, session: &Session) {
        self.end_lease();
        self.counter.publish(&self.shared.stats, session);
    }

    /// Releases the lock, after the client's changes are appended to the log.
    fn end_lease(&mut self) {
        if let Some(end) = self.lease.end() {
            self.last_write_offset = end;
        }
    }

    /// The write lock. Takes it if it is not held.
    fn write_txn(&mut self, session: &Session) -> &mut WriteTxn<'a> {
        self.lease.write(origin_of(session), self.now)
    }

    /// Takes the write lock for a request of the primary, and adds the request's bytes to this server's log under that lock.
    /// `selected` is the database that is selected after them. Returns the offset before them, or `None` if this server has
    /// stopped following that primary: `generation` is the link's.
    pub fn relay(
        &mut self,
        session: &Session,
        bytes: &[u8],
        selected: usize,
        generation: u64,
    ) -> Option<u64> {
        let is_wanted = |shared: &Shared| shared.link.generation() == generation;
        let shared = self.shared;
        let txn = self.write_txn(session);
        is_wanted(shared).then(|| txn.relay(bytes, selected))
    }

    /// Loads the memory of the keys of the next requests of a batch into the processor's cache, from request `from` on (see
    /// [`Db::warm`](crate::store::Db::warm)). Takes the lock of the first of them. This function guesses that each first
    /// argument is a key; a wrong guess costs one useless lookup.
    pub fn look_ahead(
        &mut self,
        session: &Session,
        requests: &mut Requests,
        from: usize,
        buffer: &[u8],
    ) {
        let name = requests.args(from, buffer);
        let Some(number) = self.index.find(&name[0]) else {
            return;
        };
        if !session.authenticated || session.multi.is_some() {
            return;
        }
        let store = match self.index.rows[number].command.handler {
            Handler::Read(_) => self.lease.read(),
            Handler::Write(_) => self.write_txn(session).store(),
            _ => return,
        };
        store.dbs[session.db].warm(requests.first_arguments(from, buffer));
    }

    /// Runs one request and writes its reply.
    pub fn run(&mut self, session: &mut Session, args: Args<'_>, reply: &mut Reply) -> Flow {
        if session.reply_mode == ReplyMode::SkipNext {
            session.reply_mode = ReplyMode::Skipping;
        }
        let flow = self.admit(session, args, reply);
        if matches!(flow, Flow::Again) {
            self.end_lease();
            return flow;
        }
        self.counter.processed += 1;
        if session.close_after_reply {
            return Flow::Close;
        }
        flow
    }

    /// Removes the reply that begins at `start` if the client has switched replies off (CLIENT REPLY).
    fn apply_reply_mode(session: &mut Session, reply: &mut Reply, start: usize) {
        match session.reply_mode {
            ReplyMode::On | ReplyMode::SkipNext => {}
            ReplyMode::Off => reply.out.truncate(start),
            ReplyMode::Skipping => {
                reply.out.truncate(start);
                session.reply_mode = ReplyMode::On;
            }
        }
    }

    /// Writes an error reply, and counts it by its code.
    fn reply_error(&self, reply: &mut Reply, error: &Error) {
        self.shared.stats.count_error(error.code());
        reply.error(error);
    }
}

/// The origin of the changes that this session makes.
fn origin_of(session: &Session) -> Origin {
    if session.is_primary {
        Origin::Primary
    } else {
        Origin::Local
    }
}
