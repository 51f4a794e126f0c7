//! Changes of the server's role: primary, replica, and the steps of FAILOVER between the two.
//!
//! The role changes only under the store's write lock, so no write is under way. What follows from a change of the role:
//!
//! | | becomes a replica | becomes a primary |
//! |---|---|---|
//! | waits of clients | end with an error: what they wait for may never come | go on |
//! | history | that of the new primary, once the link has reached it | a new one, with the same past |
//! | replicas of this server | stay connected | are disconnected, come back and learn the new name |
//!
//! # Invariants
//!
//! * The pause for [`Reason::HandOver`] lasts exactly while the failover's phase is not [`Phase::None`].

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::blocking::Outcome;
use super::failover::Phase;
use super::lock::lock;
use super::pause::Reason;
use super::replication::History;
use super::{Shared, State};
use crate::resp::Error;
use crate::store::{Db, Store};

impl State {
    /// Follows a primary from now on, or another one. Ends all waits, because what the clients wait for may never come.
    /// The caller holds the store's write lock.
    pub fn become_replica(&self, primary: Option<(String, u16)>) {
        self.follow(primary);
        self.link.change(true);
        self.free_waiters();
    }

    /// Ends all waits with an error.
    pub(super) fn free_waiters(&self) {
        let freed = Outcome::Failed(Error::text(
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        ));
        self.blocking.end_all(&freed);
        self.replicas.unblock_all(&freed);
    }

    /// Stops following a primary. A new history begins, with the same past. The caller holds the store's write lock:
    /// `store` is the data under it.
    pub fn become_primary(&self, store: &mut Store) {
        self.follow(None);
        self.link.change(false);
        // From now on this server deletes all expired keys.
        store.dbs.iter_mut().for_each(Db::forget_own_volatile);
        let next = self.journal.end() + 1;
        lock(&self.history).branch(self.random.hex40(), next);
        // The new history selects its database anew, and the replicas reconnect and learn the new replid.
        self.journal.announce_selected();
        self.replicas.disconnect();
    }

    /// Begins a history that no replica knows, because the journal does not have all changes to the data. Replicas, and
    /// this server if it is one, copy all data anew. The caller holds the store's write lock.
    pub fn abandon_history(&self) {
        *lock(&self.history) = History::new(self.random.hex40());
        if self.journal.is_active() {
            let backlog = self.settings.current().repl_backlog_size as u64;
            let (end, selected) = (self.journal.end(), self.journal.selected());
            self.journal.begin(end, selected, backlog);
        }
        self.replicas.disconnect();
    }

    /// Sets `replicaof`.
    fn follow(&self, primary: Option<(String, u16)>) {
        let changed = self.settings.update(|config| {
            config.replicaof = primary;
            Ok::<(), ()>(())
        });
        drop(changed);
    }

    /// Changes the phase of the failover. The caller holds the store's write lock.
    pub fn set_failover(&self, phase: Phase) {
        if phase == Phase::None {
            self.write_pause.end(Reason::HandOver);
        } else {
            self.write_pause.begin(Reason::HandOver);
        }
        self.failover.set_phase(phase);
    }

    /// Aborts the failover. The caller holds the store's write lock: `store` is the data under it.
    pub fn end_failover(&self, store: &mut Store) {
        if self.failover.phase() == Phase::InProgress && self.link.is_replica() {
            self.become_primary(store);
        }
        self.set_failover(Phase::None);
    }
}

impl Shared {
    /// If a failover waits: hands over if a replica has everything, and gives up if the deadline has passed. The cron
    /// calls this several times per second.
    pub fn advance_failover(&self) {
        let Phase::WaitingForSync(plan) = self.failover.phase() else {
            return;
        };
        let mut store = self.write(); // no write is under way from here on
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
            self.end_failover(&mut store);
            "Aborting failover: Replica never caught up before timeout".into()
        } else {
            return;
        };
        drop(store);
        self.log.notice(&news);
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::*;
    use crate::store::{AccessPolicy, ExpiryPolicy, Ttl, Value};

    #[test]
    fn a_promoted_replica_forgets_which_keys_were_its_own() {
        let config = Config {
            replicaof: Some(("localhost".into(), 1)),
            ..Config::default()
        };
        let shared = Shared::new(config, std::iter::empty()).unwrap();
        let mut store = shared.write();
        let db = &mut store.dbs[3];
        db.expiry = ExpiryPolicy::DeleteHere;
        let policy = AccessPolicy::Lru { now: 0 };
        db.set(b"k", Value::int(1), Ttl::At(100), policy, 0);
        assert!(db.has_own_volatile());
        shared.become_primary(&mut store);
        assert!(!store.dbs[3].has_own_volatile() && !shared.link.is_replica());
    }
}
