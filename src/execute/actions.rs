//! What handlers ask for and may not do themselves.
//!
//! A handler does not take the store's lock, writes to no socket and wakes no thread. It leaves an [`Action`] in its
//! context, and the executor performs the action right after the handler, under the lock that the handler had, if any.
//!
//! Example: `XREAD BLOCK 0 STREAMS s $` finds no entry, and asks for [`Action::Wait`]. The executor registers the waiter
//! under the same read lock. XADD needs the write lock, so an XADD by another client happens either before XREAD looked, and
//! XREAD saw the entry, or after the registration, and the writer serves the waiter. No wake-up is lost.
//!
//! # Invariants
//!
//! * An action is performed at most once per call, and only if the handler succeeded.
//! * The lock that the handler had is held until the action is done. (Outside a transaction, WAIT, SHUTDOWN, CLIENT and
//!   CONFIG REWRITE have none.)

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::Executor;
use crate::commands::context::Action;
use crate::resp::{Error, Reply};
use crate::state::blocking::{Outcome, Wait, Waiter, WaitingClient};
use crate::state::clients::Client;
use crate::state::config::LogLevel;
use crate::state::failover::Phase;
use crate::state::session::{ReplyMode, Session};
use crate::state::settings::kind::system_text;
use crate::state::settings::rewrite::rewrite_file;
use crate::store::Store;
use crate::write::{Origin, Scope};

/// A client's wait: the waiter, and the time when the wait ends by itself, if it does.
type RegisteredWait = (Arc<Waiter>, Option<Instant>);

impl Executor<'_> {
    /// Performs an action. Returns a waiter if the client must wait.
    ///
    /// # Errors
    ///
    /// The error that the client gets in place of the handler's reply: there is no shutdown to abort, or the configuration
    /// file cannot be written.
    pub(super) fn perform(
        &mut self,
        session: &mut Session,
        action: Action,
        reply: &mut Reply,
    ) -> Result<Option<RegisteredWait>, Error> {
        match action {
            Action::Wait(wait) => return Ok(Some(self.register(session, wait, reply.resp3))),
            Action::Acknowledge(replica, offset) => {
                let replicas = &self.shared.replicas;
                replicas.acknowledge(&replica, offset, self.now);
            }
            Action::Follow(primary) => {
                let shared = self.shared;
                self.change_role(session, |store| match primary {
                    Some(primary) => shared.become_replica(Some(primary)),
                    None => shared.become_primary(store),
                });
            }
            Action::HandOver(plan) => self.shared.set_failover(Phase::WaitingForSync(plan)),
            Action::AbortHandOver => {
                let shared = self.shared;
                self.change_role(session, |store| shared.end_failover(store));
            }
            Action::Kill(clients) => clients.iter().for_each(|client| client.kill()),
            Action::Unblock(client, outcome) => {
                let unblocked = client.is_some_and(|client| self.unblock(&client, outcome));
                reply.int(unblocked.into());
            }
            Action::ShutDown(options) => {
                let waiting = self.register(session, Wait::default(), reply.resp3);
                self.shared.begin_shutdown(options, Some(&waiting.0));
                return Ok(Some(waiting));
            }
            Action::AbortShutdown => {
                if !self.shared.abort_shutdown() {
                    return Err(Error::text("ERR No shutdown in progress."));
                }
                reply.ok();
            }
            Action::RewriteConfig => self.rewrite_config()?,
        }
        Ok(None)
    }

    /// Registers a client's wait. For a wait for keys, the executor still holds the lock under which the command found
    /// nothing; for a wait for replicas or for a shutdown it holds none.
    #[inline(never)]
    fn register(&mut self, session: &Session, wait: Wait, resp3: bool) -> RegisteredWait {
        let deadline = wait.timeout.and_then(|t| Instant::now().checked_add(t));
        let client = WaitingClient {
            outbox: session.client.outbox.clone(),
            db: session.db,
            command: session.client.last_command.load(Relaxed) as usize,
            resp3,
            silent: session.reply_mode != ReplyMode::On,
        };
        let waiter = self.shared.blocking.register(client, wait);
        session.client.set_waiter(waiter.clone());
        if let Some(acks) = waiter.acks {
            // Sends GETACK to the replicas from this thread, without waiting for their feeders.
            self.shared.wait_for_acks(&waiter, acks);
        }
        (waiter, deadline)
    }

    /// Ends the wait of a client (CLIENT UNBLOCK), and returns whether it waited. As in Redis, the call of the client that
    /// waited counts as failed, even with TIMEOUT; with ERROR, this call of CLIENT UNBLOCK counts as failed too.
    fn unblock(&mut self, client: &Client, outcome: Outcome) -> bool {
        let is_error = matches!(outcome, Outcome::Failed(_));
        let unblocked = client.unblock(outcome);
        if unblocked {
            let command = client.last_command.load(Relaxed) as usize;
            self.shared.stats.count_failed_call(command);
            self.counter.fails = is_error;
        }
        unblocked
    }

    /// Changes the server's role. In a transaction, writes before this command belong to the old history and writes after it
    /// to the new one. So the log is flushed first.
    fn change_role(&mut self, session: &Session, change: impl FnOnce(&mut Store)) {
        let txn = self.write_txn(session);
        txn.flush();
        txn.apply(Scope::All, change);
        txn.look_at_role(Origin::Local);
    }

    /// Writes the settings in force to the configuration file.
    fn rewrite_config(&mut self) -> Result<(), Error> {
        let settings = self.shared.settings.current();
        match rewrite_file(&settings) {
            Ok(()) => {
                let text = "CONFIG REWRITE executed with success.";
                self.log(LogLevel::Notice, text.into());
                Ok(())
            }
            Err(e) => {
                let why = system_text(&e);
                self.log(LogLevel::Warning, format!("CONFIG REWRITE failed: {why}"));
                Err(Error::new(format!("ERR Rewriting config file: {why}")))
            }
        }
    }

    /// Writes a line to the server's own log; in a transaction, after the lock is released.
    fn log(&mut self, level: LogLevel, text: String) {
        match self.lease.txn() {
            Some(txn) => txn.log_later(level, text),
            None => self.shared.log.write(level, &text),
        }
    }
}
