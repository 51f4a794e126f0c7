//! Full copies of the data, and the replicas that share one.
//!
//! Replicas often connect together: after a failover, or when a primary starts again. A copy holds the data as they were
//! at one moment, and what writers change while the copy is sent takes memory a second time. So replicas that connect
//! within `repl-diskless-sync-delay` seconds share one copy: they form a [`Round`].
//!
//! ```text
//!   feeder of replica 1   join ─► round: 1          ─ waits ─► the delay is over: takes the copy ──► sends it
//!   feeder of replica 2          join ─► round: 1, 2    ─ waits ──────────────────► wakes, has it ──► sends it
//!   feeder of replica 3                                                     join ─► a new round
//! ```
//!
//! The first feeder that notices that the round is due takes the copy for all members, under the store's write lock.
//! Under the same lock it notes for each of them the offset at which the journal goes on. Then each feeder sends the
//! copy on its own, so a slow replica delays no other. The last feeder that has sent the copy frees it.
//!
//! # Invariants
//!
//! * A member that has left its round before the copy is taken is not registered as a reader of the journal.
//! * A round belongs to its members. When all have left, the round and its copy are freed.

use std::sync::{Arc, Condvar, Weak};
use std::time::{Duration, Instant};

use super::lock::{Lock, Rank, lock};
use super::replication::Replica;
use crate::store::Keyspace;

/// All data as they were at one moment.
pub struct FullCopy {
    /// The keys of each database.
    pub dbs: Vec<Keyspace>,
    /// When it was taken: Unix time in milliseconds.
    pub taken_at: i64,
    /// The replid of the history that the data belong to.
    pub replid: String,
    /// The end of the journal at that moment.
    pub offset: u64,
    /// The database that was selected at that offset.
    pub selected: usize,
}

/// Replicas that wait for one copy.
struct Round {
    /// When the first member joined.
    began: Instant,
    inner: Lock<RoundState>,
    /// Notified when the copy has been taken.
    taken: Condvar,
}

/// What the lock of a [`Round`] protects.
struct RoundState {
    members: Vec<Arc<Replica>>,
    /// The copy, once it has been taken. Then no replica can join.
    copy: Option<Arc<FullCopy>>,
}

/// The latest round. A replica can join it until its copy has been taken.
pub struct Rounds {
    /// Empty if there was none, or if all members have left.
    current: Lock<Weak<Round>>,
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds {
            current: Lock::new(Rank::CopyRounds, Weak::new()),
        }
    }
}

impl Rounds {
    /// Joins the round that waits for its copy, or begins a new round.
    pub fn join(&self, replica: &Arc<Replica>) -> Member {
        let mut current = lock(&self.current);
        let joined = current.upgrade().filter(|round| round.add(replica));
        let round = joined.unwrap_or_else(|| {
            let inner = RoundState {
                members: vec![replica.clone()],
                copy: None,
            };
            let round = Arc::new(Round {
                began: Instant::now(),
                inner: Lock::new(Rank::CopyRound, inner),
                taken: Condvar::new(),
            });
            *current = Arc::downgrade(&round);
            round
        });
        let replica = replica.clone();
        Member { round, replica }
    }
}

impl Round {
    /// Adds a member, if the copy has not been taken yet. Returns whether it was added.
    fn add(&self, replica: &Arc<Replica>) -> bool {
        let mut inner = lock(&self.inner);
        let is_open = inner.copy.is_none();
        if is_open {
            inner.members.push(replica.clone());
        }
        is_open
    }
}

/// A replica's membership of a round. Dropping it leaves the round.
pub struct Member {
    round: Arc<Round>,
    replica: Arc<Replica>,
}

impl Member {
    /// Waits until the copy has been taken or is due, for `time` at most. It is due `delay` after the round began, or
    /// when the round has `most` members, if `most` is not 0. Returns whether it is time to call [`Member::take`].
    pub fn wait(&self, time: Duration, delay: Duration, most: usize) -> bool {
        let inner = lock(&self.round.inner);
        let is_over = |inner: &RoundState| {
            let is_full = most > 0 && inner.members.len() >= most;
            inner.copy.is_some() || is_full || self.round.began.elapsed() >= delay
        };
        let left = delay.saturating_sub(self.round.began.elapsed());
        let taken = &self.round.taken;
        let inner = inner.wait_timeout_while(taken, time.min(left), |inner| !is_over(inner));
        is_over(&inner)
    }

    /// The copy. If it has not been taken yet, `take` takes it for the members of the round. The caller holds the
    /// store's write lock.
    pub fn take(&self, take: impl FnOnce(&[Arc<Replica>]) -> FullCopy) -> Arc<FullCopy> {
        let mut inner = lock(&self.round.inner);
        if let Some(copy) = &inner.copy {
            return copy.clone();
        }
        let copy = Arc::new(take(&inner.members));
        inner.copy = Some(copy.clone());
        self.round.taken.notify_all();
        copy
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut inner = lock(&self.round.inner);
        inner.members.retain(|r| !Arc::ptr_eq(r, &self.replica));
    }
}

#[cfg(test)]
mod tests {
    use super::super::clients::tests::client;
    use super::*;

    fn replica() -> Arc<Replica> {
        Arc::new(Replica::new(client().0))
    }

    fn copy() -> FullCopy {
        FullCopy {
            dbs: vec![],
            taken_at: 0,
            replid: String::new(),
            offset: 0,
            selected: 0,
        }
    }

    const SOON: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(100);

    #[test]
    fn members_of_a_round_share_one_copy() {
        let (rounds, replicas) = (Rounds::default(), [(); 4].map(|()| replica()));
        let [first, second, gone] = [0, 1, 2].map(|i| rounds.join(&replicas[i]));
        assert!(!first.wait(SOON, LONG, 0) && !first.wait(SOON, LONG, 4));
        drop(gone);
        let taken = first.take(|members| {
            assert!(members.len() == 2 && Arc::ptr_eq(&members[1], &replicas[1]));
            copy()
        });
        assert!(second.wait(LONG, LONG, 0));
        let same = second.take(|_| panic!("it has been taken"));
        assert!(Arc::ptr_eq(&taken, &same));
        // A replica that comes later begins a new round.
        let late = rounds.join(&replicas[3]);
        assert!(!late.wait(SOON, LONG, 0));
        drop((first, second, same));
        assert_eq!(Arc::strong_count(&taken), 1);
    }

    #[test]
    fn a_round_is_due_after_a_time_or_when_enough_have_come() {
        let (rounds, replicas) = (Rounds::default(), [(); 2].map(|()| replica()));
        let first = rounds.join(&replicas[0]);
        assert!(first.wait(LONG, SOON, 0) && first.wait(LONG, LONG, 1));
        let waits = std::thread::spawn(move || first.wait(LONG, LONG, 2));
        let second = rounds.join(&replicas[1]);
        assert!(second.wait(LONG, LONG, 2));
        second.take(|_| copy());
        assert!(waits.join().unwrap());
    }
}
