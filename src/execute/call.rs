//! Calling a command's handler, and everything that follows from the call.
//!
//! [`Executor::call`] runs every command, alone or in a transaction, in the same steps:
//!
//! 1. take the lock that the handler's type asks for, or release the lock if the handler needs none;
//! 2. call the handler;
//! 3. collect for the log the requests that the handler gave, or the command as it was sent if it changed data;
//! 4. perform the [`Action`](crate::commands::context::Action) that the handler asked for;
//! 5. delete expired keys that a reader met;
//! 6. end the unit, and serve the clients that wait (a transaction does that once, at its end);
//! 7. write the error, if there is one, and count the call.
//!
//! # Invariants
//!
//! * A handler that fails leaves nothing but its error in the reply.
//! * A command in a transaction never releases the write lock.
//! * A key that a reader found expired is deleted afterwards on a primary only. A replica hides the key from its clients and
//!   waits for the primary's DEL. ([`ExpiryPolicy`](crate::store::ExpiryPolicy) says what writers do.)

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::lease::Lease;
use super::{Executor, origin_of};
use crate::commands::command::{Command, Handler, Index, flags};
use crate::commands::context::{CommandResult, Context};
use crate::resp::{Args, Reply};
use crate::state::Shared;
use crate::state::blocking::Waiter;
use crate::state::config::Config;
use crate::state::propagation::Propagation;
use crate::state::session::Session;
use crate::store::AccessPolicy;
use crate::write::{Origin, Scope};

impl Executor<'_> {
    /// Runs command `number`. `alone` is false for a command of a transaction: then the write lock is held already, and the
    /// unit ends later. Returns the waiter and its deadline, if the client must wait.
    pub(super) fn call(
        &mut self,
        session: &mut Session,
        number: usize,
        args: Args<'_>,
        reply: &mut Reply,
        alone: bool,
    ) -> Option<(Arc<Waiter>, Option<Instant>)> {
        let command = self.index.rows[number].command;
        let handler = command.handler;
        self.prepare(session, handler, alone);
        self.lease.count(reply.out.len());
        let start = reply.out.len();
        let (shared, db, origin) = (self.shared, session.db, origin_of(session));
        let mut ctx = Context {
            server: shared,
            config: &self.config,
            usage: usage(&self.config, self.now, shared),
            no_touch: session.client.no_touch.load(Relaxed),
            may_block: alone && !session.is_primary,
            session: &mut *session,
            args,
            reply: &mut *reply,
            now: self.now,
            expired: RefCell::default(),
            dirty: 0,
            propagation: Propagation::default(),
            action: None,
        };
        let result = run_handler(handler, &mut ctx, &mut self.lease, self.index, origin);
        let Context {
            dirty,
            expired,
            args,
            propagation,
            action,
            ..
        } = ctx;
        self.counter.dirty += dirty;
        if let (Some(txn), Handler::Write(_) | Handler::WriteAll(_)) = (self.lease.txn(), handler) {
            txn.propagate(db, propagation, (dirty > 0).then_some(&args));
        }
        let (result, waiter) = match (result, action) {
            (Ok(()), Some(action)) => match self.perform(session, action, reply) {
                Ok(waiter) => (Ok(()), waiter),
                Err(error) => (Err(error), None),
            },
            (result, _) => (result, None),
        };
        let expired = expired.into_inner();
        if !expired.is_empty() && !session.is_primary && !shared.link.is_replica() {
            self.delete_expired(session, command, &expired, alone);
        }
        self.complete(number, result, (reply, start), alone);
        waiter
    }

    /// Ends the unit of a command that runs alone, writes the error if the command failed, and counts the call. `start` is
    /// where the command's reply begins.
    #[inline]
    fn complete(
        &mut self,
        number: usize,
        result: CommandResult,
        (reply, start): (&mut Reply, usize),
        alone: bool,
    ) {
        if alone && let Some(txn) = self.lease.txn() {
            txn.end_unit();
        }
        if let Err(error) = &result {
            reply.out.truncate(start);
            self.reply_error(reply, error);
        }
        let is_fast = self.index.rows[number].command.has(flags::FAST);
        self.counter
            .count(&self.shared.stats, number, result.is_err(), is_fast);
    }

    /// Releases the lock if the handler needs none, and takes the write lock if it needs that. Tells the session how far in
    /// the log its changes reach, for WAIT: WAIT needs no lock, so earlier changes of the client are in the log by now.
    #[inline]
    fn prepare(&mut self, session: &mut Session, handler: Handler, alone: bool) {
        match handler {
            Handler::Plain(_) | Handler::Table(_) if alone => self.end_lease(),
            Handler::Write(_) | Handler::WriteAll(_) => {
                self.write_txn(session);
            }
            _ => {}
        }
        if alone && matches!(handler, Handler::ReadAll(_) | Handler::WriteAll(_)) {
            // The handler may read the end of the log (INFO), so the client's earlier changes must be in the log.
            let end = self.lease.txn().and_then(|txn| txn.flush());
            self.last_write_offset = end.unwrap_or(self.last_write_offset);
        }
        session.last_write_offset = session.last_write_offset.max(self.last_write_offset);
    }

    /// Deletes keys that a reader has found expired, if they still are: after the release of the read lock, another client
    /// may have deleted them or set them again.
    #[cold]
    #[inline(never)]
    fn delete_expired(
        &mut self,
        session: &Session,
        command: &Command,
        keys: &[Vec<u8>],
        alone: bool,
    ) {
        let (index, now) = (session.db, self.now);
        let txn = self.write_txn(session);
        for key in keys {
            txn.apply(Scope::Db(index), |store| {
                store.dbs[index].expire_if_due(key, now)
            });
            if alone && command.has(flags::EXPIRE_EACH) {
                txn.end_unit();
            }
        }
    }
}

/// Calls a handler with the data that its type asks for, under the lock that its type asks for.
#[inline]
fn run_handler(
    handler: Handler,
    ctx: &mut Context<'_>,
    lease: &mut Lease<'_>,
    table: &'static Index,
    origin: Origin,
) -> CommandResult {
    let (index, now) = (ctx.session.db, ctx.now);
    match handler {
        Handler::Plain(f) => f(ctx),
        Handler::Table(f) => f(ctx, table),
        Handler::Read(f) => f(ctx, &lease.read().dbs[index]),
        Handler::ReadAll(f) => f(ctx, lease.read()),
        Handler::Write(f) => {
            let txn = lease.write(origin, now);
            ctx.propagation = txn.propagation();
            txn.apply(Scope::Db(index), |store| f(ctx, &mut store.dbs[index]))
        }
        Handler::WriteAll(f) => {
            let txn = lease.write(origin, now);
            ctx.propagation = txn.propagation();
            txn.apply(Scope::All, |store| f(ctx, store))
        }
        // Neither comes here: `admit` runs EXEC, and refuses a container without a subcommand.
        Handler::Exec | Handler::Container => Ok(()),
    }
}

/// How this command's uses of keys are recorded: for LRU or for LFU.
#[inline]
fn usage(config: &Config, now: i64, shared: &Shared) -> AccessPolicy {
    if config.is_lfu() {
        return AccessPolicy::Lfu {
            minute: (now / 60_000) as u16,
            log_factor: config.lfu_log_factor,
            decay_time: config.lfu_decay_time,
            dice: (shared.random.next() >> 32) as u32,
        };
    }
    AccessPolicy::Lru {
        now: (now / 1000) as u32,
    }
}
