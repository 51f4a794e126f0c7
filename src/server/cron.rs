//! The cron: a thread that wakes `hz` times per second and does what no client asks for.
//!
//! * **Expiry.** A key that has expired must be deleted even if no client asks for it. The cron looks, under the read lock,
//!   which databases have shards with keys that are due, and sweeps those in steps ([`Db::sweep`]). A step holds the write
//!   lock for a fraction of a millisecond. After each step the lock is free for a moment, and the cron drops what the step
//!   removed. A cycle ends when its steps have used a quarter of the period, as in Redis, and the next cycle goes on where it
//!   ended. On a replica, the cron sweeps only keys to which its own clients gave an expiry ([`Db::sweep_own`]).
//! * **Idle clients** are closed after `timeout` seconds.
//! * **Replicas** that follow us hear a PING now and then, so that they know we are there. When there has been none
//!   for `repl-backlog-ttl`, nothing is recorded for them any more.
//! * **Rates** for INFO are sampled.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::resp::push_request;
use crate::state::Shared;
use crate::state::lock;
use crate::state::replication::History;
use crate::store::Db;
use crate::sys;
use crate::util::clock;
use crate::write::{Origin, Scope, WriteTxn};

/// For how long the lock stays free after a step.
const PAUSE: Duration = Duration::from_micros(50);
/// A cycle of expiry uses one part in so many of the period.
const EXPIRY_SHARE: u32 = 4;

/// Runs until the server stops.
pub fn run(shared: &Shared) {
    let mut last_slow = Instant::now();
    let mut last_ping = Instant::now();
    let mut sweep = Sweep::default();
    loop {
        let period = Duration::from_secs(1) / shared.settings.current().hz.max(1);
        if shared.stop.wait(period) {
            return;
        }
        shared.stats.sample();
        shared.advance_failover();
        shared.advance_shutdown();
        if !shared.write_pause.is_active() && shared.active_expire.load(Relaxed) {
            let nanos = sweep.cycle(shared, period).as_nanos() as u64;
            shared.stats.expire_nanos.fetch_add(nanos, Relaxed);
        }
        if last_slow.elapsed() >= Duration::from_secs(1) {
            last_slow = Instant::now();
            close_idle_clients(shared);
            look_after_journal(shared);
            let period = shared.settings.current().repl_ping_replica_period;
            if last_ping.elapsed() >= Duration::from_secs(period.into()) {
                last_ping = Instant::now();
                ping_replicas(shared);
            }
            shared.stats.sample_process();
            shared
                .stats
                .peak_memory
                .fetch_max(sys::allocated_bytes(), Relaxed);
        }
    }
}

/// Where the sweep for expired keys is.
#[derive(Default)]
struct Sweep {
    db: usize,
    cursor: u64,
}

impl Sweep {
    /// Sweeps until nothing is due or the time is used up. Returns the time that the steps took.
    fn cycle(&mut self, shared: &Shared, period: Duration) -> Duration {
        let (began, now) = (Instant::now(), clock::now_ms());
        let mut used = Duration::ZERO;
        for db in self.due(shared, now) {
            if db != self.db {
                (self.db, self.cursor) = (db, 0);
            }
            loop {
                match self.step(shared, now) {
                    Some(took) => used += took,
                    None => return used,
                }
                // Waiting for the lock does not count as used, but the cron has other work, too.
                if used >= period / EXPIRY_SHARE || began.elapsed() >= period {
                    return used;
                }
                std::thread::sleep(PAUSE);
                if self.cursor == 0 {
                    break;
                }
            }
        }
        used
    }

    /// The databases in which keys may be due, beginning with the one where the last cycle ended.
    fn due(&self, shared: &Shared, now: i64) -> Vec<usize> {
        let store = shared.read();
        let is_replica = shared.link.is_replica();
        let is_due = |&i: &usize| match is_replica {
            true => store.dbs[i].has_own_volatile(),
            false => store.dbs[i].is_due(now),
        };
        let n = store.dbs.len();
        (0..n).map(|i| (self.db + i) % n).filter(is_due).collect()
    }

    /// Makes one step and returns how long it took. `None` if there must be no further one.
    fn step(&mut self, shared: &Shared, now: i64) -> Option<Duration> {
        let mut txn = WriteTxn::begin(shared, Origin::Local, now);
        if shared.write_pause.is_active() || shared.stop.is_requested() {
            return None;
        }
        let began = Instant::now();
        let is_replica = shared.link.is_replica();
        let (db, cursor) = (self.db, self.cursor);
        self.cursor = txn.apply(Scope::Db(db), |store| match is_replica {
            true => store.dbs[db].sweep_own(cursor, now, Db::SWEEP_STEP),
            false => store.dbs[db].sweep(cursor, now, Db::SWEEP_STEP),
        });
        txn.end_unit();
        drop(txn);
        Some(began.elapsed())
    }
}

/// Says to our replicas that we are there. Those of a replica hear its primary.
fn ping_replicas(shared: &Shared) {
    let _store = shared.read(); // whose history it is does not change meanwhile
    let follow = shared.journal.is_active() && !shared.replicas.is_empty();
    // While writes are paused, nothing may come that a replica would have to acknowledge.
    if follow && !shared.link.is_replica() && !shared.write_pause.is_active() {
        let mut ping = vec![];
        push_request(&mut ping, 1, [&b"ping"[..]].into_iter());
        shared.journal.append(&ping);
    }
}

/// Frees the backlog when no replica has been connected for long.
fn look_after_journal(shared: &Shared) {
    let config = shared.settings.current();
    let ttl = Duration::from_secs(config.repl_backlog_ttl);
    let long_absent = || !ttl.is_zero() && shared.replicas.absent_for() > ttl;
    if shared.link.is_replica() || !shared.journal.is_active() || !long_absent() {
        return;
    }
    let store = shared.write();
    if !shared.link.is_replica() && long_absent() {
        shared.journal.end_recording();
        // What comes now is not recorded, and so no part of the old history.
        *lock(&shared.history) = History::new(shared.random.hex40());
        drop(store);
        shared.log.notice(&format!(
            "Replication backlog freed after {} seconds without connected replicas.",
            ttl.as_secs()
        ));
    }
}

/// Closes the clients that have been silent for longer than `timeout`; those who wait for a key are not silent, and
/// servers are looked after elsewhere.
fn close_idle_clients(shared: &Shared) {
    let timeout = i64::from(shared.settings.current().timeout) * 1000;
    if timeout == 0 {
        return;
    }
    let now = clock::now_ms();
    for client in shared.clients.all() {
        let exempt = client.is_blocked() || client.is_peer();
        if now - client.last_seen.load(Relaxed) > timeout && !exempt {
            shared.log.verbose("Closing idle client");
            client.kill();
        }
    }
}
