//! Shutting down: SHUTDOWN and signals end the server without losing writes that replicas lack.
//!
//! ```text
//!   SHUTDOWN ──► do all replicas have everything? ── yes ────────────────────────────► stop
//!                  │ no                                                                 ▲
//!                  ▼                                                                    │
//!                writes are paused, replicas are asked how far they are ── they have everything,
//!                  │                                                       or shutdown-timeout is over
//!                  └── SHUTDOWN ABORT: writes go on, the clients that asked for the shutdown get an error
//! ```
//!
//! What replicas must have is the log up to the moment when the pause begins. (The question how far they are comes after
//! that moment, and nothing else does.) The cron checks several times per second whether they do.
//!
//! A client that has asked for a shutdown waits: it gets an error if the shutdown fails or is aborted, and otherwise its
//! connection ends with the server. A second request while one waits changes nothing; its client waits, too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::blocking::Waiter;
use super::lock::{Lock, Rank, lock};

/// The options of SHUTDOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShutdownOptions {
    /// Save the data, even if the settings do not ask for that.
    pub save: bool,
    /// Do not wait for replicas.
    pub now: bool,
    /// Stop even if the data cannot be saved.
    pub force: bool,
}

/// The shutdown that waits for replicas, if there is one.
pub struct Shutdown {
    pub(super) inner: Lock<ShutdownState>,
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown {
            inner: Lock::new(Rank::Shutdown, ShutdownState::default()),
        }
    }
}

#[derive(Default)]
pub(super) struct ShutdownState {
    pub waiting: Option<ShutdownInProgress>,
    /// The clients that asked for it.
    pub clients: Vec<Arc<Waiter>>,
}

#[derive(Clone, Copy)]
pub(super) struct ShutdownInProgress {
    pub options: ShutdownOptions,
    /// The offset that every replica must acknowledge.
    pub needed: u64,
    pub deadline: Instant,
}

impl Shutdown {
    /// How long the shutdown still waits at most. `None` if none waits.
    pub fn time_left(&self) -> Option<Duration> {
        let waiting = self.waiting();
        waiting.map(|w| w.deadline.saturating_duration_since(Instant::now()))
    }

    /// The shutdown that waits.
    pub(super) fn waiting(&self) -> Option<ShutdownInProgress> {
        lock(&self.inner).waiting
    }

    /// Ends the waiting, and returns the clients that asked for this shutdown. Of two threads that try, one gets them.
    pub(super) fn take_waiting(&self) -> Option<Vec<Arc<Waiter>>> {
        let mut inner = lock(&self.inner);
        inner.waiting.take()?;
        Some(std::mem::take(&mut inner.clients))
    }
}
