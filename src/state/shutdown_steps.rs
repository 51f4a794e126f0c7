//! The steps of a [shutdown](super::shutdown): it begins, and then it is completed, refused or aborted.
//!
//! # Invariants
//!
//! * The pause for [`Reason::Shutdown`] begins together with the waiting. When a shutdown is aborted or refused, the
//!   pause ends, unless another shutdown waits by then.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::blocking::{Outcome, Waiter};
use super::lock::lock;
use super::pause::Reason;
use super::shutdown::{ShutdownInProgress, ShutdownOptions};
use super::{Shared, State};
use crate::resp::Error;
use crate::util::clock;

/// Ends the waits of these clients.
fn end_all(clients: &[Arc<Waiter>], outcome: &Outcome) {
    clients.iter().for_each(|waiter| {
        waiter.end(outcome.clone());
    });
}

impl Shared {
    /// Shuts the server down: now, or when the replicas have everything. `client` is the waiter of the client that asks
    /// for it; a signal has none. The caller holds no lock.
    pub fn begin_shutdown(&self, options: ShutdownOptions, client: Option<&Arc<Waiter>>) {
        let timeout = self.settings.current().shutdown_timeout;
        let timeout = Duration::from_secs(timeout.into());
        let needed;
        let waits;
        let mut clients = vec![];
        {
            // No write is under way while this lock is held.
            let _store = self.write();
            needed = self.journal.end();
            let have = self.replicas_have(needed);
            let mut inner = lock(&self.shutdown.inner);
            // Added under the lock under which the waiting begins, so that an earlier ABORT does not end this client's
            // wait.
            inner.clients.retain(|waiter| waiter.is_waiting());
            inner.clients.extend(client.cloned());
            if inner.waiting.is_some() || self.stop.is_requested() {
                return;
            }
            waits = !options.now && !timeout.is_zero() && !have;
            if waits {
                self.write_pause.begin(Reason::Shutdown);
                inner.waiting = Some(ShutdownInProgress {
                    options,
                    needed,
                    deadline: Instant::now() + timeout,
                });
            } else {
                clients = std::mem::take(&mut inner.clients);
            }
        }
        self.log.warning("User requested shutdown...");
        if waits {
            self.log
                .notice("Waiting for replicas before shutting down.");
            self.ask_for_acks(needed);
        } else {
            self.finish_shutdown(options, needed, &clients);
        }
    }

    /// Completes a shutdown that waits, if the replicas have everything or its deadline has passed. The cron calls this
    /// several times per second.
    pub fn advance_shutdown(&self) {
        let Some(waiting) = self.shutdown.waiting() else {
            return;
        };
        let is_over = Instant::now() >= waiting.deadline || self.replicas_have(waiting.needed);
        if is_over && let Some(clients) = self.shutdown.take_waiting() {
            self.finish_shutdown(waiting.options, waiting.needed, &clients);
        }
    }
}

impl State {
    /// Whether every replica has acknowledged `offset`.
    fn replicas_have(&self, offset: u64) -> bool {
        let replicas = self.replicas.all();
        replicas.iter().all(|r| r.acked.load(Relaxed) >= offset)
    }

    /// Aborts a shutdown that waits. Returns whether there was one.
    pub fn abort_shutdown(&self) -> bool {
        let Some(clients) = self.shutdown.take_waiting() else {
            return false;
        };
        self.cancel_shutdown(&clients);
        self.log.notice("Shutdown manually aborted.");
        true
    }

    /// Replies with an error to the clients that asked, and lets writes go on. If another shutdown has begun in the
    /// meantime, the pause belongs to that one and stays.
    fn cancel_shutdown(&self, clients: &[Arc<Waiter>]) {
        let inner = lock(&self.shutdown.inner);
        if inner.waiting.is_none() {
            self.write_pause.end(Reason::Shutdown);
        }
        drop(inner);
        let text = "ERR Errors trying to SHUTDOWN. Check logs.";
        end_all(clients, &Outcome::Failed(Error::text(text)));
    }

    /// Stops the server, unless SAVE was given without FORCE: this server cannot save.
    fn finish_shutdown(&self, options: ShutdownOptions, needed: u64, clients: &[Arc<Waiter>]) {
        self.report_replicas(needed);
        if options.save && !options.force {
            let log = &self.log;
            log.warning("SHUTDOWN SAVE refused: this server keeps its data in memory only");
            log.warning(
                "Errors trying to shut down the server. Check the logs for more information.",
            );
            return self.cancel_shutdown(clients);
        }
        self.stop.request();
        end_all(clients, &Outcome::Gone);
    }

    /// Writes to the server's log which replicas do not have everything up to `needed`.
    fn report_replicas(&self, needed: u64) {
        let replicas = self.replicas.all();
        let mut lagging = 0;
        for replica in &replicas {
            let behind = needed.saturating_sub(replica.acked.load(Relaxed));
            if behind == 0 {
                continue;
            }
            lagging += 1;
            let (ip, port) = replica.address();
            let lag = if replica.is_online() {
                replica.lag_ms(clock::now_ms()) / 1000
            } else {
                0
            };
            self.log.warning(&format!(
                "Lagging replica {ip}:{port} reported offset {behind} behind master, lag={lag}, state={}.",
                replica.stage().name()
            ));
        }
        if !replicas.is_empty() {
            self.log.notice(&format!(
                "{} of {} replicas are in sync when shutting down.",
                replicas.len() - lagging,
                replicas.len()
            ));
        }
    }
}
