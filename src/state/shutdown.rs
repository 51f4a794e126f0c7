//! Shutting down: SHUTDOWN and signals end the server without losing writes that replicas lack.
//!
//! ```text
//!   SHUTDOWN ──► do all replicas have everything? ── yes ────────────────────────────► stop
//!                  │ no                                                                 ▲
//!                  ▼                                                                    │
//!                writes are paused, replicas are asked to acknowledge ── they have everything,
//!                  │                                                     or shutdown-timeout is over
//!                  └── SHUTDOWN ABORT: writes go on, the clients that asked for the shutdown get an error
//! ```
//!
//! The replicas must have the journal up to the moment when the pause begins. (The GETACK that asks them comes after
//! that moment, and nothing else does.) The cron checks several times per second whether they do.
//!
//! A client that has asked for a shutdown waits. It gets an error if the shutdown fails or is aborted, and otherwise its
//! connection ends with the server. A second request while one waits changes nothing, and its client waits, too.
//!
//! This file has the data of a shutdown. The steps are in `shutdown_steps.rs`, because they use the whole
//! [`State`](super::State).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::blocking::Waiter;
use super::lock::{Lock, Rank, lock};

/// The options of SHUTDOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShutdownOptions {
    /// Save the data first (SAVE). This server cannot, so it refuses unless `force` is set.
    pub save: bool,
    /// Do not wait for replicas (NOW).
    pub now: bool,
    /// Stop even if the data cannot be saved (FORCE).
    pub force: bool,
}

/// The shutdown that waits for replicas, if there is one.
pub struct Shutdown {
    /// Only the steps use this.
    pub(super) inner: Lock<ShutdownState>,
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown {
            inner: Lock::new(Rank::Shutdown, ShutdownState::default()),
        }
    }
}

/// What the lock of a [`Shutdown`] protects.
#[derive(Default)]
pub(super) struct ShutdownState {
    /// The shutdown that waits for replicas.
    pub waiting: Option<ShutdownInProgress>,
    /// The waiters of the clients that asked for it.
    pub clients: Vec<Arc<Waiter>>,
}

/// A shutdown that waits for replicas.
#[derive(Clone, Copy)]
pub(super) struct ShutdownInProgress {
    /// How to stop.
    pub options: ShutdownOptions,
    /// The offset that every replica must acknowledge.
    pub needed: u64,
    /// When the server stops even if replicas lag behind.
    pub deadline: Instant,
}

impl Shutdown {
    /// How long the shutdown still waits at most. `None` if no shutdown waits.
    pub fn time_left(&self) -> Option<Duration> {
        let waiting = self.waiting();
        waiting.map(|w| w.deadline.saturating_duration_since(Instant::now()))
    }

    /// The shutdown that waits.
    pub(super) fn waiting(&self) -> Option<ShutdownInProgress> {
        lock(&self.inner).waiting
    }

    /// Ends the waiting, and returns the waiters of the clients that asked for this shutdown. Returns `None` if no
    /// shutdown waits, so of two threads only one ends it.
    pub(super) fn take_waiting(&self) -> Option<Vec<Arc<Waiter>>> {
        let mut inner = lock(&self.inner);
        inner.waiting.take()?;
        Some(std::mem::take(&mut inner.clients))
    }
}
