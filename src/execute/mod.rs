//! How a command runs. This is the one place that decides whether a command runs, under which lock, and what follows.
//!
//! If you read one part of this server, read this one. A client's thread hands each request to [`Executor::run`]:
//!
//! ```text
//!   admission.rs    find it in the table · arity · NOAUTH · role of the server · MULTI queue
//!   lease.rs        the lock that its handler's type calls for, kept from one command to the next
//!   call.rs         run the handler: it changes data and writes its reply
//!   ../write.rs     still under the write lock: watched keys, waiting clients, the log
//!   actions.rs      what the handler asked for: wait, follow a primary, close a client
//!   statistics.rs   count and time it
//! ```
//!
//! [`transaction`] is EXEC, which runs queued commands by the same `call` that runs everything else.
//!
//! # Invariants
//!
//! * No code in these files compares a command's name. What is special about a command is a flag in its row, or its
//!   handler's type.
//! * A request is refused, queued, put off while writes are paused, or its handler is called exactly once.
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

/// What the client's thread does next.
pub enum Flow {
    /// Goes on with the next request.
    Next,
    /// Tries the same request again when writes are no longer paused.
    Again,
    /// Sleeps until the wait has ended, at the given time at the latest.
    Block(Arc<Waiter>, Option<Instant>),
    /// Sends the replies so far, and closes the connection.
    Close,
}

/// Runs the commands of one client. It belongs to the client's thread.
pub struct Executor<'a> {
    shared: &'a Shared,
    index: &'static Index,
    config: Arc<Config>,
    config_version: u64,
    lease: Lease<'a>,
    /// Unix time in milliseconds: one reading for the whole batch.
    now: i64,
    counter: CallCounter,
    /// The offset in the log after the last change that this client made.
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

    /// Begins a batch: reads the clock, and checks whether settings have changed. Returns the Unix time in milliseconds.
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

    /// Ends a batch: releases the lock, and adds to the shared statistics.
    pub fn finish_batch(&mut self, session: &Session) {
        self.end_lease();
        self.counter.publish(&self.shared.stats, session);
    }

    /// Releases the lock.
    fn end_lease(&mut self) {
        if let Some(end) = self.lease.end() {
            self.last_write_offset = end;
        }
    }

    /// The write lock. Takes it if it is not held.
    fn write_txn(&mut self, session: &Session) -> &mut WriteTxn<'a> {
        self.lease.write(origin_of(session), self.now)
    }

    /// Takes the write lock for a request of the primary, and appends its bytes to our own log under that lock. `selected` is
    /// the database that is selected after them. Returns the offset before them, or `None` if the link of `generation` was
    /// replaced or ended.
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

    /// Fetches the memory of the keys of the next requests of a batch, from `from` on (see
    /// [`Db::warm`](crate::store::Db::warm)). This function guesses that the first argument is
    /// the key; a wrong guess costs little.
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

    /// Removes the reply that begins at `start` if the client does not want it (CLIENT REPLY).
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

    /// Writes an error reply and counts it.
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
