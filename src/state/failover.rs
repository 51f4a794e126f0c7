//! FAILOVER: a primary hands over to one of its replicas, and nothing is lost.
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
//! That a replica has everything is looked at under the store's write lock, and under the same lock the primary
//! becomes a replica; so there is no write that is here and not there. Writes are [paused](super::pause) in the
//! meantime.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::lock::{Lock, Rank, lock};
use super::pause::Reason;
use super::{Shared, State};

/// A server's address, as it is told.
pub type Address = (String, u16);

/// How far a handing over is.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Phase {
    #[default]
    None,
    /// Until a replica, or a certain one, has everything.
    WaitingForSync(Plan),
    /// The replica is being asked to take over.
    InProgress,
}

impl Phase {
    /// As INFO words it.
    pub fn name(&self) -> &'static str {
        match self {
            Phase::None => "no-failover",
            Phase::WaitingForSync(_) => "waiting-for-sync",
            Phase::InProgress => "failover-in-progress",
        }
    }
}

/// What FAILOVER was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub target: Option<Address>,
    /// When to give up; or, with `force`, to hand over to a target that does not have everything.
    pub deadline: Option<Instant>,
    pub force: bool,
}

/// The handing over that is under way, if any.
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
    /// Looks whether a replica has everything, or time is up, and draws the consequence. The cron asks, some times a
    /// second.
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
    /// Goes on to another phase. The caller holds the store's write lock.
    pub fn set_failover(&self, phase: Phase) {
        if phase == Phase::None {
            self.write_pause.end(Reason::HandOver);
        } else {
            self.write_pause.begin(Reason::HandOver);
        }
        *lock(&self.failover.phase) = phase;
    }

    /// Gives up the handing over. The caller holds the store's write lock.
    pub fn end_failover(&self) {
        if self.failover.phase() == Phase::InProgress && self.link.is_replica() {
            self.become_primary();
        }
        self.set_failover(Phase::None);
    }
}
