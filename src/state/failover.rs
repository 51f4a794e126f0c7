//! FAILOVER: a primary hands its role over to one of its replicas, without losing a write.
//!
//! ```text
//!   primary                                      replica
//!   FAILOVER: writes have to wait
//!   … ◄──────────────── REPLCONF ACK ─────────   has all that there is
//!   follows the replica from now on
//!   PSYNC replid offset FAILOVER ────────────►   the same history? then it is the primary now
//!   … ◄──────────────── +CONTINUE ────────────
//!   the writes that waited: READONLY
//! ```
//!
//! The primary checks under the store's write lock that a replica has everything, and becomes a replica under the same lock.
//! So no write is on the primary only. Writes are [paused](super::pause) in the meantime.
//!
//! # Invariants
//!
//! * The phase changes only under the store's write lock.
//! * The pause for [`Reason::HandOver`] lasts exactly while the phase is not [`Phase::None`].

use std::time::Instant;

use super::lock::{Lock, Rank, lock};

/// A server's address: host and port.
pub type Address = (String, u16);

/// The progress of a failover.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Phase {
    #[default]
    None,
    /// Writes are paused until a replica, or the given one, has everything.
    WaitingForSync(Plan),
    /// The replica is being asked to take over.
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
    pub target: Option<Address>,
    /// When to give up; or, with `force`, to hand over to a target that does not have everything.
    pub deadline: Option<Instant>,
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
    pub fn is_active(&self) -> bool {
        *lock(&self.phase) != Phase::None
    }

    pub fn phase(&self) -> Phase {
        lock(&self.phase).clone()
    }

    /// Changes the phase. Only [`State::set_failover`](super::State::set_failover) calls this: it keeps the pause in step.
    pub(super) fn set_phase(&self, phase: Phase) {
        *lock(&self.phase) = phase;
    }
}
