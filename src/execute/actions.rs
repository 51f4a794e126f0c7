//! What handlers ask for and may not do themselves.
//!
//! A handler takes no lock, writes to no socket and wakes no thread. It leaves an [`Action`] in its context, and the executor
//! performs the action right after the handler, under the lock that the handler had.
//!
//! Example: XREAD finds no entry, and asks for [`Action::Wait`]. The executor registers the waiter under the lock under
//! which XREAD looked, so an XADD by another client comes either before the look or after the registration.
//!
//! # Invariants
//!
//! * An action is performed at most once per call, and only if the handler succeeded.
//! * The lock that the handler had is held until the action is done.

use std::sync::Arc;
use std::time::Instant;

use super::Executor;
use crate::commands::context::Action;
use crate::resp::{Error, Reply};
use crate::state::blocking::{Outcome, Wait, Waiter};
use crate::state::clients::Client;
use crate::state::config::LogLevel;
use crate::state::failover::{Address, Phase};
use crate::state::session::{ReplyMode, Session};
use crate::state::settings::kind::system_text;
use crate::state::settings::rewrite::rewrite_file;
use crate::write::Origin;

/// A client's wait: the waiter, and when it ends by itself.
type RegisteredWait = (Arc<Waiter>, Option<Instant>);

impl Executor<'_> {
    /// Performs an action. Returns a waiter if the client must wait.
    ///
    /// # Errors
    ///
    /// What the client gets in place of the handler's reply.
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
            Action::Follow(primary) => self.follow(session, primary),
            Action::HandOver(plan) => self.shared.set_failover(Phase::WaitingForSync(plan)),
            Action::AbortHandOver => self.shared.end_failover(),
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

    /// Registers a client's wait. The executor still holds the lock under which the command found nothing.
    #[inline(never)]
    fn register(&mut self, session: &Session, wait: Wait, resp3: bool) -> RegisteredWait {
        let deadline = wait.timeout.and_then(|t| Instant::now().checked_add(t));
        let silent = session.reply_mode != ReplyMode::On;
        let acks = wait.acks;
        let blocking = &self.shared.blocking;
        let waiter = blocking.register(&session.client, session.db, wait, resp3, silent);
        session.client.set_waiter(waiter.clone());
        if let Some((offset, wanted)) = acks {
            self.shared.wait_for_acks(&waiter, offset, wanted);
        }
        (waiter, deadline)
    }

    /// Ends the wait of a client, and returns whether it waited. As in Redis its call counts as failed, even if it ends as
    /// if the time were up; and if the client gets an error, this call counts as failed too.
    fn unblock(&mut self, client: &Client, outcome: Outcome) -> bool {
        let is_error = matches!(outcome, Outcome::Failed(_));
        let unblocked = client.unblock(outcome);
        if unblocked {
            client.count_failed_call(&self.shared.stats);
            self.counter.fails = is_error;
        }
        unblocked
    }

    /// Follows a primary, or none. In a transaction, writes before this command belong to the old history and writes after it
    /// to the new one. So the log is flushed first.
    fn follow(&mut self, session: &Session, primary: Option<Address>) {
        let shared = self.shared;
        let txn = self.write_txn(session);
        txn.flush();
        match primary {
            Some(primary) => shared.become_replica(Some(primary)),
            None => shared.become_primary(),
        }
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

    /// Writes a line to the log; in a transaction, after its lock is released.
    fn log(&mut self, level: LogLevel, text: String) {
        match self.lease.txn() {
            Some(txn) => txn.log_later(level, text),
            None => self.shared.log.write(level, &text),
        }
    }
}
