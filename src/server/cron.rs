//! What happens by itself: a thread that wakes some times a second (`hz`).
//!
//! * **Expiry.** Keys that nobody asks for must go, too, when their time has come. The cron asks each
//!   shard of each database whether any of its keys is due — under the read lock, which holds nobody up — and
//!   sweeps those that are, a few hundred keys at a time, giving the write lock back in between: half
//!   a million keys that expire in the same second are gone in that second, and no client waits for more than a
//!   slice.
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

/// Keys that are deleted at most before the lock is given back.
const SLICE: usize = 200;
/// How long others get in between.
const PAUSE: Duration = Duration::from_micros(50);

/// Runs until the server stops.
pub fn run(shared: &Shared) {
    let mut last_slow = Instant::now();
    let mut last_ping = Instant::now();
    loop {
        let period = Duration::from_secs(1) / shared.settings.current().hz.max(1);
        if shared.stop.wait(period) {
            return;
        }
        shared.stats.sample();
        shared.advance_failover();
        shared.advance_shutdown();
        // On a replica keys expire when the primary says so.
        let may_expire = !shared.link.is_replica() && !shared.write_pause.is_active();
        if may_expire && shared.active_expire.load(Relaxed) {
            expire(shared);
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

/// Deletes the keys whose time has come.
fn expire(shared: &Shared) {
    let began = Instant::now();
    let now = clock::now_ms();
    let due: Vec<(usize, usize)> = {
        let store = shared.read();
        let in_db = |(i, db): (usize, &Db)| {
            (0..Db::SHARDS)
                .filter(|&s| db.is_due(s, now))
                .map(|s| (i, s))
                .collect::<Vec<_>>()
        };
        store.dbs.iter().enumerate().flat_map(in_db).collect()
    };
    if due.is_empty() {
        return;
    }
    for (index, shard) in due {
        loop {
            let finished = {
                let mut txn = WriteTxn::begin(shared, Origin::Local, now);
                if shared.link.is_replica() || shared.write_pause.is_active() {
                    return;
                }
                let swept = txn.apply(Scope::Db(index), |store| {
                    store.dbs[index].sweep(shard, now, SLICE)
                });
                txn.end_unit();
                swept < SLICE
            };
            std::thread::sleep(PAUSE);
            if finished || shared.stop.is_requested() {
                break;
            }
        }
    }
    shared
        .stats
        .expire_nanos
        .fetch_add(began.elapsed().as_nanos() as u64, Relaxed);
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
