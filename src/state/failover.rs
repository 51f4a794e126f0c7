//! FAILOVER: a primary hands its role over to one of its replicas, without losing a write.
//!
//! ```text
//!   primary                                      replica
//!   FAILOVER: writes are paused
//!   … ◄──────────────── REPLCONF ACK ─────────   has everything
//!   becomes a replica of this replica
//!   PSYNC replid offset FAILOVER ────────────►   the same history? then it becomes the primary
//!   … ◄──────────────── +CONTINUE ────────────
//!   the writes that waited: READONLY
//! ```
//!
//! The primary checks under the store's write lock that a replica has everything, and becomes a replica under the same
//! lock. So no write is on the primary only. Writes are [paused](super::pause) in the meantime. This file has the data
//! of a failover. The steps are in `roles.rs`, because they use the whole [`State`](super::State).
//!
//! # Invariants
//!
//! * The phase changes only under the store's write lock.

use std::time::Instant;

use super::lock::{Lock, Rank, lock};

/// A server's address: host and port.
pub type Address = (String, u16);

/// The progress of a failover.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Phase {
    /// There is no failover.
    #[default]
    None,
    /// The primary waits until a replica has everything.
    WaitingForSync(Plan),
    /// This server is a replica already, and asks the other server to become the primary.
    InProgress,
}

impl Phase {
    /// The name in INFO.
    pub fn name(&self) -> &'static str {
        match self {
            Phase::None => "no-failover",
            Phase::WaitingForSync(_) => "waiting-for-sync",
            Phase::InProgress => "failover-in-progress",
        }
    }
}

/// The options of FAILOVER.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The replica that becomes the primary; `None` for the first that has everything.
    pub target: Option<Address>,
    /// When to give up; `None` is never.
    pub deadline: Option<Instant>,
    /// At the deadline, hand over even if the target does not have everything.
    pub force: bool,
}

/// The failover that is under way, if any.
pub struct Failover {
    phase: Lock<Phase>,
}

impl Default for Failover {
    fn default() -> Failover {
        Failover {
            phase: Lock::new(Rank::Failover, Phase::default()),
        }
    }
}

impl Failover {
    /// Whether a failover is under way.
    pub fn is_active(&self) -> bool {
        *lock(&self.phase) != Phase::None
    }

    /// The phase of the failover.
    pub fn phase(&self) -> Phase {
        lock(&self.phase).clone()
    }

    /// Changes the phase. Only [`State::set_failover`](super::State::set_failover) calls this: it keeps the pause in
    /// step.
    pub(super) fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }
}
