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

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::lock::{Lock, Rank, lock};
use super::pause::Reason;
use super::{Shared, State};

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
}

impl Shared {
    /// Checks whether a replica has everything or the time is up, and completes or aborts the failover. The cron calls this
    /// several times per second.
    pub fn advance_failover(&self) {
        let Phase::WaitingForSync(plan) = self.failover.phase() else {
            return;
        };
        let store = self.write(); // nothing is written from here on
        if !matches!(self.failover.phase(), Phase::WaitingForSync(_)) {
            return;
        }
        let late = plan.deadline.is_some_and(|at| Instant::now() >= at);
        let end = self.journal.end();
        let replicas = self.replicas.all();
        let mut candidates = replicas.iter().filter(|replica| {
            let has_all = replica.acked.load(Relaxed) == end || late && plan.force;
            let wanted = plan.target.as_ref();
            replica.is_online() && has_all && wanted.is_none_or(|w| *w == replica.address())
        });
        let news = if let Some(replica) = candidates.next() {
            let target = replica.address();
            let news = format!("Failover to {}:{}: failing over.", target.0, target.1);
            self.set_failover(Phase::InProgress);
            self.become_replica(Some(target));
            news
        } else if late {
            self.end_failover();
            "Aborting failover: Replica never caught up before timeout".into()
        } else {
            return;
        };
        drop(store);
        self.log.notice(&news);
    }
}

impl State {
    /// Changes the phase. The caller holds the store's write lock.
    pub fn set_failover(&self, phase: Phase) {
        if phase == Phase::None {
            self.write_pause.end(Reason::HandOver);
        } else {
            self.write_pause.begin(Reason::HandOver);
        }
        *lock(&self.failover.phase) = phase;
    }

    /// Aborts the failover. The caller holds the store's write lock.
    pub fn end_failover(&self) {
        if self.failover.phase() == Phase::InProgress && self.link.is_replica() {
            self.become_primary();
        }
        self.set_failover(Phase::None);
    }
}
