//! How a command is run: the one place that decides whether, under which lock, and with what consequences.
//!
//! If you read one file of this server, read this one. A client's thread hands each request to
//! [`Executor::run`], and its way is always the same:
//!
//! ```text
//!   find it in the table ─ unknown? wrong number of words?
//!   may this client? ───── NOAUTH
//!   MULTI is open? ─────── queue it, reply QUEUED
//!   take the lock that its handler's type calls for
//!   run the handler ────── it changes the data and writes its reply
//!   still under the write lock:
//!       raise the flags of those who WATCH a changed key
//!       serve the clients who wait for one
//!       append what happened to the journal, for the replicas
//!   put the reply into the client's buffer
//! ```
//!
//! # The lease
//!
//! A lock is not given back after each command. Requests come in batches when a client pipelines, and the
//! next command usually wants the same lock; so the executor keeps its `Lease` until a command
//! needs another kind, until the batch ends, or until others have waited long enough. A
//! read under a write lease just goes on under it. What goes to the journal is collected meanwhile and
//! appended just before the write lock is let go of, so that a batch costs one visit to it.
//!
//! # Transactions
//!
//! EXEC takes the write lock and runs what was queued, one command after the other, by the same
//! `Executor::call` that runs everything else. The consequences are drawn once, at its end.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use crate::commands::args::{unknown_command, unknown_subcommand, wrong_arity};
use crate::commands::command::{Command, Handler, Index, acl, flags};
use crate::commands::context::{CommandResult, Context};
use crate::commands::table::INDEX;
use crate::consequences::{Aftermath, note_expired, settle, settle_all};
use crate::resp::{Args, Error, Reply, Requests};
use crate::state::blocking::{Peer, Wait, Waiter};
use crate::state::clients::Client;
use crate::state::config::Config;
use crate::state::journal::Effects;
use crate::state::session::{Queued, ReplyMode, Session};
use crate::state::{Os, Shared};
use crate::store::{Expiry, Store, Usage};
use crate::util::clock;

/// What the client's thread does next.
pub enum Flow {
    /// Goes on with the next request.
    Next,
    /// Tries the same request again when writes need not wait any more (FAILOVER).
    Again,
    /// Sleeps until the waiter's wait has ended, which is at the given time at the latest.
    Block(Arc<Waiter>, Option<Instant>),
    /// Sends what there is, and closes the connection.
    Close,
}

/// The lock on the store that is being held, if any.
enum Lease<'a> {
    None,
    Read(RwLockReadGuard<'a, Store>),
    Write(RwLockWriteGuard<'a, Store>),
}

impl<'a> Lease<'a> {
    fn read(&mut self, shared: &'a Shared) -> &Store {
        if matches!(self, Lease::None) {
            *self = Lease::Read(shared.read());
        }
        match self {
            Lease::Read(store) => store,
            Lease::Write(store) => store,
            Lease::None => unreachable!("it was just taken"),
        }
    }

    fn write(&mut self, shared: &'a Shared) -> &mut Store {
        if !matches!(self, Lease::Write(_)) {
            *self = Lease::None; // a read lock must go before a write lock can come
            *self = Lease::Write(shared.write());
        }
        match self {
            Lease::Write(store) => store,
            _ => unreachable!("it was just taken"),
        }
    }
}

/// After so many commands, or bytes of replies, a lease is given back to let others in.
const LEASE_COMMANDS: usize = 256;
const LEASE_REPLY_BYTES: usize = 64 * 1024;

/// A run of calls of one command, which is timed as a whole.
struct Run {
    command: usize,
    calls: u64,
    failed: u64,
    began: Instant,
}

/// Runs the commands of one client. It belongs to the client's thread.
pub struct Executor<'a> {
    shared: &'a Shared,
    index: &'static Index,
    config: Arc<Config>,
    config_version: u64,
    lease: Lease<'a>,
    /// Commands under the current lease, and how long the reply was when it began.
    leased: usize,
    reply_at_lease: usize,
    /// Unix time in milliseconds: one reading for the whole batch.
    now: i64,
    run: Option<Run>,
    /// Commands since the last count, and changes to the data.
    processed: u64,
    dirty: u64,
    /// What the commands under this lease did, for the journal; and how far the journal was after the last of them.
    effects: Effects,
    written: u64,
    /// What is left to do when no lock is held.
    after: Aftermath,
}

impl Drop for Executor<'_> {
    /// Even if a command has panicked, who was served gets its reply.
    fn drop(&mut self) {
        self.release();
    }
}

impl<'a> Executor<'a> {
    pub fn new(shared: &'a Shared) -> Executor<'a> {
        Executor {
            shared,
            index: &INDEX,
            config: shared.settings.current(),
            config_version: shared.settings.version(),
            lease: Lease::None,
            leased: 0,
            reply_at_lease: 0,
            now: clock::now_ms(),
            run: None,
            processed: 0,
            dirty: 0,
            effects: Effects::default(),
            written: 0,
            after: Aftermath::default(),
        }
    }

    /// The settings as of the beginning of the batch.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Begins a batch: reads the clock, and looks whether settings have changed.
    pub fn begin(&mut self) -> i64 {
        self.now = clock::now_ms();
        let version = self.shared.settings.version();
        if version != self.config_version {
            self.config_version = version;
            self.config = self.shared.settings.current();
        }
        self.now
    }

    /// Ends a batch: gives the lock back, and adds up what happened.
    pub fn finish(&mut self, session: &Session) {
        self.release();
        self.close_run();
        let stats = &self.shared.stats;
        let add = |figure: &AtomicU64, n: u64| {
            if n > 0 {
                figure.fetch_add(n, Relaxed);
            }
        };
        add(&stats.processed, std::mem::take(&mut self.processed));
        add(&stats.input_bytes, session.input_bytes.take());
        add(&stats.output_bytes, session.output_bytes.take());
        add(&stats.hits, session.hits.take());
        add(&stats.misses, session.misses.take());
        add(&stats.dirty, std::mem::take(&mut self.dirty));
    }

    /// Gives the lock back, and then does what had to wait for that.
    fn release(&mut self) {
        self.flush();
        self.lease = Lease::None;
        self.leased = 0;
        self.after.clear();
    }

    /// Appends what has been collected to the journal.
    #[inline]
    fn flush(&mut self) {
        if let Some(end) = self.effects.flush(&self.shared.journal) {
            self.written = end;
        }
    }

    /// Takes the write lock, if it is not held already.
    fn lock_for_writing(&mut self, session: &Session) -> &mut Store {
        let fresh = !matches!(self.lease, Lease::Write(_));
        let store = self.lease.write(self.shared);
        if fresh {
            // Whoever becomes a replica, or has its first one, does it under this lock.
            let replica = self.shared.link.is_replica();
            self.effects.begin(&self.shared.journal, !replica);
            let expiry = match (session.primary, replica) {
                (true, _) => Expiry::Ignore,
                (false, true) => Expiry::Hide,
                (false, false) => Expiry::Delete,
            };
            store.dbs.iter_mut().for_each(|db| db.expiry = expiry);
        }
        store
    }

    /// Takes the write lock for something that the primary has sent, and has its bytes go to our own journal under that
    /// lock; after them database `selected` is selected. Returns the offset before them; `None` if the link of
    /// `generation` is not wanted any more.
    pub fn relay(
        &mut self,
        session: &Session,
        bytes: &[u8],
        selected: usize,
        generation: u64,
    ) -> Option<u64> {
        self.lock_for_writing(session);
        let wanted = self.shared.link.generation() == generation;
        wanted.then(|| self.effects.relay(&self.shared.journal, bytes, selected))
    }

    /// Looks ahead at the next requests of a batch, from `from` on, and has the memory of their keys fetched (see
    /// [`Db::warm`](crate::store::Db::warm)). That is a guess — the first argument of most commands is their key — and a
    /// wrong one costs little.
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
            Handler::Read(_) => self.lease.read(self.shared),
            Handler::Write(_) => &*self.lock_for_writing(session),
            _ => return,
        };
        store.dbs[session.db].warm(requests.first_arguments(from, buffer));
    }

    /// Runs one request and writes its reply.
    pub fn run(&mut self, session: &mut Session, args: Args<'_>, reply: &mut Reply) -> Flow {
        let start = reply.out.len();
        if session.reply_mode == ReplyMode::SkipNext {
            session.reply_mode = ReplyMode::Skipping;
        }
        let flow = self.admit(session, args, reply);
        if matches!(flow, Flow::Again) {
            self.release();
            return flow;
        }
        self.processed += 1;
        match session.reply_mode {
            ReplyMode::On | ReplyMode::SkipNext => {}
            ReplyMode::Off => reply.out.truncate(start),
            ReplyMode::Skipping => {
                reply.out.truncate(start);
                session.reply_mode = ReplyMode::On;
            }
        }
        if session.close_after_reply {
            return Flow::Close;
        }
        flow
    }

    /// Decides whether a request is run, queued or refused.
    fn admit(&mut self, session: &mut Session, args: Args<'_>, reply: &mut Reply) -> Flow {
        let number = match self.look_up(session, &args) {
            Ok(number) => number,
            Err(error) => {
                let exec = self
                    .index
                    .find(&args[0])
                    .map(|n| self.index.rows[n].command.handler);
                if matches!(exec, Some(Handler::Exec)) {
                    // Whatever stands in the way of EXEC ends the transaction.
                    if session.set_multi(None).is_some() {
                        session.unwatch(self.shared);
                    }
                    let why = error.0.strip_prefix(b"ERR ").unwrap_or(&error.0);
                    let text = b"EXECABORT Transaction discarded because of: ";
                    self.reply_error(reply, &Error::new([text, why].concat()));
                    return Flow::Next;
                }
                if let Some(multi) = &mut session.multi {
                    multi.refused = true;
                }
                self.reply_error(reply, &error);
                return Flow::Next;
            }
        };
        session.client.last_command.store(number as u32, Relaxed);
        let command = self.index.rows[number].command;
        if self.shared.failover.is_active() && !session.primary && writes_now(session, command) {
            return Flow::Again; // the lock under which it would write is held, so nothing slips through
        }
        if let Some(multi) = &mut session.multi
            && !command.has(flags::NOT_QUEUED)
        {
            let queued = Queued {
                command: number,
                args: args.to_owned(),
            };
            session
                .client
                .queued_memory
                .fetch_add(queued.args.memory(), Relaxed);
            multi.queue.push(queued);
            multi.writes |= command.has(flags::WRITE);
            session
                .client
                .queued
                .store(multi.queue.len() as i64, Relaxed);
            reply.simple("QUEUED");
            return Flow::Next;
        }
        if matches!(command.handler, Handler::Exec) {
            self.exec(session, number, reply);
            return Flow::Next;
        }
        let waiter = self.call(session, number, args, reply, true);
        let others_may_want = matches!(command.handler, Handler::ReadAll(_) | Handler::WriteAll(_))
            || command.acl & acl::DANGEROUS != 0
            || self.leased >= LEASE_COMMANDS
            || reply.out.len() > self.reply_at_lease + LEASE_REPLY_BYTES;
        if others_may_want {
            self.release();
        }
        match waiter {
            Some((waiter, deadline)) => Flow::Block(waiter, deadline),
            None => Flow::Next,
        }
    }

    /// Finds the command, and checks all that can be checked before it begins.
    fn look_up(&mut self, session: &Session, args: &Args<'_>) -> Result<usize, Error> {
        let top = self
            .index
            .find(&args[0])
            .ok_or_else(|| unknown_command(args))?;
        let row = &self.index.rows[top];
        let number = match args.get(1) {
            Some(name) if !row.command.subcommands.is_empty() => self
                .index
                .find_sub(top, name)
                .ok_or_else(|| unknown_subcommand(row.command.name, name))?,
            _ => top,
        };
        let row = &self.index.rows[number];
        let refusal = if !row.command.accepts(args.len()) {
            Some(wrong_arity(&row.full_name))
        } else if !session.authenticated && !row.command.has(flags::NO_AUTH) {
            Some(Error::text("NOAUTH Authentication required."))
        } else if session.multi.is_some() && row.command.has(flags::NO_MULTI) {
            Some(Error::text("ERR Command not allowed inside a transaction"))
        } else {
            self.refusal_by_role(session, number)
        };
        match refusal {
            Some(error) => {
                self.shared.stats.commands[number]
                    .rejected
                    .fetch_add(1, Relaxed);
                Err(error)
            }
            None => Ok(number),
        }
    }

    /// Whether the server's place among the others forbids a command.
    fn refusal_by_role(&mut self, session: &Session, number: usize) -> Option<Error> {
        let command = self.index.rows[number].command;
        let writes_now = writes_now(session, command);
        let write = writes_now || command.has(flags::WRITE);
        let link = &self.shared.link;
        if session.primary || !write && !link.is_replica() {
            return None;
        }
        if writes_now {
            // Under the lock, so that the role cannot change between the question and the deed.
            self.lock_for_writing(session);
        }
        let config = &self.config;
        if !link.is_replica() {
            let wanted = config.min_replicas_to_write as usize;
            let lag = i64::from(config.min_replicas_max_lag);
            let too_few =
                wanted > 0 && lag > 0 && self.shared.replicas.good(lag, self.now) < wanted;
            return too_few.then_some(Error::text("NOREPLICAS Not enough good replicas to write."));
        }
        if write && config.replica_read_only {
            return Some(Error::text(
                "READONLY You can't write against a read only replica.",
            ));
        }
        let down = !config.replica_serve_stale_data && !link.is_connected();
        (down && !command.has(flags::STALE)).then_some(Error::text(
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ))
    }

    /// Runs a command's handler under its lock. With `alone` unset it is part of a transaction: the write lock is held, and
    /// the consequences are drawn later. Returns its waiter, if it must wait.
    fn call(
        &mut self,
        session: &mut Session,
        number: usize,
        args: Args<'_>,
        reply: &mut Reply,
        alone: bool,
    ) -> Option<(Arc<Waiter>, Option<Instant>)> {
        let handler = self.index.rows[number].command.handler;
        self.count(number);
        if matches!(self.lease, Lease::None) {
            self.reply_at_lease = reply.out.len();
        }
        self.leased += 1;
        match handler {
            Handler::Plain(_) | Handler::Table(_) if alone => self.release(),
            Handler::Write(_) | Handler::WriteAll(_) => {
                let observed = self.shared.is_observed();
                let dbs = &mut self.lock_for_writing(session).dbs;
                match handler {
                    Handler::Write(_) => dbs[session.db].observed = observed,
                    _ => dbs.iter_mut().for_each(|db| db.observed = observed),
                }
            }
            _ => {}
        }
        if !matches!(handler, Handler::Write(_) | Handler::Read(_)) && alone {
            self.flush(); // it may want to know how far the journal is
        }
        session.written = session.written.max(self.written);
        let start = reply.out.len();
        let (shared, index) = (self.shared, session.db);
        let usage = usage(&self.config, session, self.now, shared);
        let config = &self.config;
        let may_block = alone && !session.primary;
        let mut ctx = Context {
            shared,
            config,
            session,
            args,
            reply: &mut *reply,
            now: self.now,
            usage,
            may_block,
            expired: RefCell::default(),
            dirty: 0,
            effects: &mut self.effects,
            wait: None,
        };
        let done: CommandResult = match handler {
            Handler::Plain(f) => f(&mut ctx),
            Handler::Table(f) => f(&mut ctx, self.index),
            Handler::Read(f) => f(&mut ctx, &self.lease.read(shared).dbs[index]),
            Handler::ReadAll(f) => f(&mut ctx, self.lease.read(shared)),
            Handler::Write(f) => f(&mut ctx, &mut self.lease.write(shared).dbs[index]),
            Handler::WriteAll(f) => f(&mut ctx, self.lease.write(shared)),
            Handler::Exec | Handler::Container => Err(Error::SYNTAX), // neither gets here
        };
        let Context {
            wait,
            dirty,
            expired,
            args,
            effects,
            ..
        } = ctx;
        self.dirty += dirty;
        if let Lease::Write(store) = &mut self.lease
            && matches!(handler, Handler::Write(_) | Handler::WriteAll(_))
        {
            let words = (dirty > 0).then(|| (args.len(), args.iter_from(0)));
            let of_one = matches!(handler, Handler::Write(_)).then_some(index);
            for (i, db) in store.dbs.iter_mut().enumerate() {
                if of_one.is_none_or(|one| one == i) && db.has_expired() {
                    note_expired(shared, i, db, effects);
                }
            }
            effects.command_done(index, words);
            if alone {
                effects.unit_done();
                let (now, after) = (self.now, &mut self.after);
                match of_one {
                    Some(i) => settle(shared, i, &mut store.dbs[i], now, effects, after),
                    None => settle_all(shared, store, now, effects, after),
                }
            }
        }
        // Registered under the very lock under which the command found nothing, before anything lets go of it.
        let waiter = wait.map(|wait| self.register(session, wait, reply.resp3));
        let expired = expired.into_inner();
        if !expired.is_empty() && !session.primary && !shared.link.is_replica() {
            self.delete_expired(session, &expired, alone);
        }
        if let Err(error) = done {
            // Whatever had been written of the reply, the error takes its place.
            reply.out.truncate(start);
            self.reply_error(reply, &error);
            if let Some(run) = &mut self.run {
                run.failed += 1;
            }
        }
        waiter
    }

    /// Deletes keys that a reader has found expired. By now somebody else may have, or may have set them anew.
    #[cold]
    #[inline(never)]
    fn delete_expired(&mut self, session: &Session, keys: &[Vec<u8>], alone: bool) {
        self.lock_for_writing(session);
        let (shared, index) = (self.shared, session.db);
        let db = &mut self.lease.write(shared).dbs[index];
        db.observed = shared.is_observed();
        for key in keys {
            db.expire_if_due(key, self.now);
        }
        note_expired(shared, index, db, &mut self.effects);
        if alone {
            self.effects.unit_done();
            let (effects, after) = (&mut self.effects, &mut self.after);
            settle(shared, index, db, self.now, effects, after);
        }
    }

    /// EXEC: runs what MULTI has queued, unless a watched key has changed.
    fn exec(&mut self, session: &mut Session, number: usize, reply: &mut Reply) {
        let Some(multi) = session.set_multi(None) else {
            return self.reply_error(reply, &Error::text("ERR EXEC without MULTI"));
        };
        if multi.refused {
            session.unwatch(self.shared);
            let text = "EXECABORT Transaction discarded because of previous errors.";
            return self.reply_error(reply, &Error::text(text));
        }
        self.count(number);
        self.lock_for_writing(session);
        let store = self.lease.write(self.shared);
        // A watched key whose time has come counts as changed: looking at it deletes it.
        for watched in &session.watched {
            let db = &mut store.dbs[watched.db];
            db.observed = true;
            db.expire_if_due(&watched.key, self.now);
            note_expired(self.shared, watched.db, db, &mut self.effects);
        }
        self.effects.unit_done();
        if !session.watched.is_empty() {
            let (effects, after) = (&mut self.effects, &mut self.after);
            settle_all(self.shared, store, self.now, effects, after);
        }
        let changed = session.watch_flag.load(Relaxed);
        session.unwatch(self.shared);
        if changed {
            return reply.null_array();
        }
        reply.array(multi.queue.len());
        for Queued { command, args } in &multi.queue {
            self.call(session, *command, args.as_args(), reply, false);
        }
        self.effects.unit_done();
        let store = self.lease.write(self.shared);
        let (effects, after) = (&mut self.effects, &mut self.after);
        settle_all(self.shared, store, self.now, effects, after);
        self.release();
    }

    /// Has a client wait.
    #[inline(never)]
    fn register(
        &self,
        session: &Session,
        wait: Wait,
        resp3: bool,
    ) -> (Arc<Waiter>, Option<Instant>) {
        let deadline = wait.timeout.and_then(|t| Instant::now().checked_add(t));
        let peer = Box::new(WaitingPeer {
            client: session.client.clone(),
            os: self.shared.os,
        });
        let silent = session.reply_mode != ReplyMode::On;
        let acks = wait.acks;
        let waiter = Waiter::new(session.db, wait, resp3, silent, peer);
        let waiter = Arc::new(waiter);
        self.shared.blocking.register(&waiter);
        if let Some((offset, wanted)) = acks {
            self.shared.wait_for_acks(&waiter, offset, wanted);
        }
        session.client.set_waiter(Some(waiter.clone()));
        (waiter, deadline)
    }

    /// Writes an error reply and counts it.
    fn reply_error(&self, reply: &mut Reply, error: &Error) {
        self.shared.stats.count_error(error.code());
        reply.error(error);
    }

    /// Counts a call. The clock is read only when another command begins.
    #[inline]
    fn count(&mut self, number: usize) {
        match &mut self.run {
            Some(run) if run.command == number => run.calls += 1,
            _ => {
                self.close_run();
                self.run = Some(Run {
                    command: number,
                    calls: 1,
                    failed: 0,
                    began: Instant::now(),
                });
            }
        }
    }

    /// Adds a run of calls to the statistics.
    fn close_run(&mut self) {
        if let Some(run) = self.run.take() {
            let stats = &self.shared.stats.commands[run.command];
            stats.calls.fetch_add(run.calls, Relaxed);
            stats
                .nanos
                .fetch_add(run.began.elapsed().as_nanos() as u64, Relaxed);
            if run.failed > 0 {
                stats.failed.fetch_add(run.failed, Relaxed);
            }
        }
    }
}

/// A client that waits, as those see it who serve it.
struct WaitingPeer {
    client: Arc<Client>,
    os: Os,
}

impl Peer for WaitingPeer {
    fn is_connected(&self) -> bool {
        !self.client.is_closing() && !(self.os.has_hung_up)(&self.client.stream)
    }

    fn send_now(&self, bytes: &[u8]) -> usize {
        (self.os.send_now)(&self.client.stream, bytes)
    }
}

/// Whether a command, if it is let, changes data here and now: not when it is only queued; and EXEC, if something that
/// was queued does.
fn writes_now(session: &Session, command: &Command) -> bool {
    match (&session.multi, command.handler) {
        (Some(multi), Handler::Exec) => multi.writes,
        (None, _) => command.has(flags::WRITE),
        (Some(_), _) => false,
    }
}

/// How this command's visits to keys are noted.
fn usage(config: &Config, session: &Session, now: i64, shared: &Shared) -> Usage {
    let seconds = (now / 1000) as u32;
    if session.client.no_touch.load(Relaxed) {
        return Usage::Ignored { now: seconds };
    }
    if config.is_lfu() {
        return Usage::Lfu {
            minute: (now / 60_000) as u16,
            log_factor: config.lfu_log_factor,
            decay_time: config.lfu_decay_time,
            dice: (shared.random.next() >> 32) as u32,
        };
    }
    Usage::Lru { now: seconds }
}
