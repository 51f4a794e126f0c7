//! The cron: a thread that does, about `hz` times per second, the work that no client asks for.
//!
//! | work | how often |
//! |---|---|
//! | delete expired keys | every period (1/`hz` seconds) |
//! | complete or abort a FAILOVER and a SHUTDOWN that wait for replicas | every period |
//! | sample the rates for INFO | every period |
//! | sample this process's figures and the peak memory for INFO | every second |
//! | close clients that have been idle for `timeout` seconds | every second |
//! | free the backlog, without replicas for `repl-backlog-ttl` seconds | every second |
//! | send PING to the replicas, so that they know that their primary is alive | every `repl-ping-replica-period` seconds |
//!
//! # Expiry
//!
//! A key that has expired must be deleted even if no client asks for it. A cycle first finds, under the read lock, the
//! databases with keys that are due: O(number of shards). Then it sweeps these databases in steps ([`Db::sweep`]). Each step
//! takes the write lock for a fraction of a millisecond, and after it the lock is free for [`REST_BETWEEN_STEPS`]; the
//! cron drops then what the step removed. The cycle ends when no key is due, or when its steps have used a quarter of the
//! period, as in Redis. The next cycle continues at the place where this one stopped. On a replica, a cycle sweeps only keys
//! to which this server's own clients gave an expiry ([`Db::sweep_own`]).
//!
//! # Invariants
//!
//! * The cron deletes no key and adds no PING to the log while writes are paused.
//! * A task that panics does not end the thread: the other tasks run, and the task runs again in the next round.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::survive::survive;
use crate::resp::push_request;
use crate::state::Shared;
use crate::state::lock;
use crate::state::replication::History;
use crate::store::Db;
use crate::util::clock;
use crate::write::{Origin, Scope, WriteTxn};

/// How long the cron leaves the lock to other threads after a step.
const REST_BETWEEN_STEPS: Duration = Duration::from_micros(50);
/// The steps of a cycle may use the period divided by this.
const EXPIRY_SHARE: u32 = 4;

/// A task of the cron.
type Task = fn(&mut Cron, &Shared, period: Duration);

/// What the cron does in each round, with names for the log.
const TASKS: &[(&str, Task)] = &[
    ("the sampling of rates", |_, shared, _| {
        shared.stats.sample()
    }),
    ("a failover", |_, shared, _| shared.advance_failover()),
    ("a shutdown", |_, shared, _| shared.advance_shutdown()),
    ("the expiry cycle", Cron::expire),
    ("the closing of idle clients", |cron, shared, _| {
        if cron.is_slow_round {
            close_idle_clients(shared);
        }
    }),
    ("the freeing of the backlog", |cron, shared, _| {
        if cron.is_slow_round {
            free_backlog(shared);
        }
    }),
    ("the PING to replicas", Cron::ping),
    ("the sampling of memory", |cron, shared, _| {
        if cron.is_slow_round {
            sample_memory(shared);
        }
    }),
];

/// The body of the cron's thread: runs until the server stops.
pub fn run(shared: &Shared) {
    run_tasks(shared, TASKS);
}

/// Runs these tasks in each round, until the server stops.
fn run_tasks(shared: &Shared, tasks: &[(&str, Task)]) {
    let mut cron = Cron::new();
    loop {
        let period = Duration::from_secs(1) / shared.settings.current().hz.max(1);
        if shared.stop.wait(period) {
            return;
        }
        cron.begin_round();
        for (name, task) in tasks {
            survive(shared, name, || task(&mut cron, shared, period));
        }
    }
}

/// What the cron remembers from one round to the next.
struct Cron {
    /// Whether the tasks that run once per second run in this round.
    is_slow_round: bool,
    /// When they ran last.
    last_slow: Instant,
    /// When the last PING was appended to the log.
    last_ping: Instant,
    /// How far the sweep for expired keys has come.
    sweep: Sweep,
}

impl Cron {
    /// Nothing is due yet.
    fn new() -> Cron {
        Cron {
            is_slow_round: false,
            last_slow: Instant::now(),
            last_ping: Instant::now(),
            sweep: Sweep::default(),
        }
    }

    /// Begins a round: decides whether it is one of those once per second.
    fn begin_round(&mut self) {
        self.is_slow_round = self.last_slow.elapsed() >= Duration::from_secs(1);
        if self.is_slow_round {
            self.last_slow = Instant::now();
        }
    }

    /// One cycle of expiry.
    fn expire(&mut self, shared: &Shared, period: Duration) {
        if !shared.write_pause.is_active() && shared.active_expire.load(Relaxed) {
            let nanos = self.sweep.cycle(shared, period).as_nanos() as u64;
            shared.stats.expire_nanos.fetch_add(nanos, Relaxed);
        }
    }

    /// Pings the replicas if it is time.
    fn ping(&mut self, shared: &Shared, _: Duration) {
        let every = shared.settings.current().repl_ping_replica_period;
        if self.is_slow_round && self.last_ping.elapsed() >= Duration::from_secs(every.into()) {
            self.last_ping = Instant::now();
            ping_replicas(shared);
        }
    }
}

/// Samples the figures of the process.
fn sample_memory(shared: &Shared) {
    shared.stats.sample_process();
    let peak = &shared.stats.peak_memory;
    peak.fetch_max(shared.stats.used_memory(), Relaxed);
}

/// How far the sweep for expired keys has come.
#[derive(Default)]
struct Sweep {
    /// The database that is swept.
    db: usize,
    /// The cursor of the next step in that database; 0 begins a walk.
    cursor: u64,
}

impl Sweep {
    /// Sweeps until no key is due or the time is used up. Returns the time that the steps took.
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
                // Waiting for the lock does not count as used; but the cron has other work, so the whole cycle is limited too.
                if used >= period / EXPIRY_SHARE || began.elapsed() >= period {
                    return used;
                }
                std::thread::sleep(REST_BETWEEN_STEPS);
                if self.cursor == 0 {
                    break;
                }
            }
        }
        used
    }

    /// The databases in which keys may be due. The first is the one in which the last cycle ended.
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

    /// Makes one step and returns how long it held the write lock. Returns `None`, and makes no step, if writes are paused or
    /// the server stops.
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

/// Appends a PING to the log, so that the replicas know that this primary is alive. (A replica relays the PING of its primary.)
fn ping_replicas(shared: &Shared) {
    // Under the read lock, no writer appends and this server's role does not change. PING changes no data and selects no
    // database, so the write lock is not needed.
    let _store = shared.read();
    let has_readers = shared.journal.is_active() && !shared.replicas.is_empty();
    // While writes are paused, the end of the log must not move: FAILOVER waits until a replica has reached it.
    if has_readers && !shared.link.is_replica() && !shared.write_pause.is_active() {
        let mut ping = vec![];
        push_request(&mut ping, 1, [&b"ping"[..]].into_iter());
        shared.journal.append(&ping);
    }
}

/// Frees the backlog when no replica has been connected for `repl-backlog-ttl` seconds.
fn free_backlog(shared: &Shared) {
    let config = shared.settings.current();
    let ttl = Duration::from_secs(config.repl_backlog_ttl);
    let long_absent = || !ttl.is_zero() && shared.replicas.absent_for() > ttl;
    if shared.link.is_replica() || !shared.journal.is_active() || !long_absent() {
        return;
    }
    let store = shared.write();
    if !shared.link.is_replica() && long_absent() {
        shared.journal.end_recording();
        // The next changes are not recorded, so a replica cannot go on from the old history: a new one begins.
        *lock(&shared.history) = History::new(shared.random.hex40());
        drop(store);
        shared.log.notice(&format!(
            "Replication backlog freed after {} seconds without connected replicas.",
            ttl.as_secs()
        ));
    }
}

/// Closes the clients that have been idle for `timeout` seconds. Clients that wait (XREAD BLOCK, WAIT) are exempt, and so
/// are replicas and this server's primary, for which `repl-timeout` holds.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::config::Config;

    #[test]
    fn a_task_that_panics_holds_up_no_other() {
        let shared = Shared::new(Config::for_tests(), std::iter::empty()).unwrap();
        let bug: Task = |_, shared, _| {
            let _store = shared.write();
            shared.active_expire.store(false, Relaxed);
            panic!("on purpose");
        };
        let after: Task = |_, shared, _| {
            drop(shared.write());
            if !shared.active_expire.swap(true, Relaxed) {
                // Counts the rounds.
                shared.stats.expired.fetch_add(1, Relaxed);
            }
            if shared.stats.expired.load(Relaxed) == 2 {
                shared.stop.request();
            }
        };
        run_tasks(&shared, &[("a test", bug), ("another test", after)]);
        assert_eq!(shared.stats.expired.load(Relaxed), 2);
    }
}
