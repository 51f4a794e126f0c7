//! What happens by itself: a thread that wakes some times a second (`hz`).
//!
//! * **Expiry.** Keys that nobody asks for must go, too, when their time has come. The cron asks each
//!   shard of each database whether any of its keys is due — under the read lock, which holds nobody up — and
//!   sweeps those that are, a few hundred keys at a time, giving the write lock back in between: half
//!   a million keys that expire in the same second are gone in that second, and no client waits for more than a
//!   slice.
//! * **Idle clients** are closed after `timeout` seconds.
//! * **Rates** for INFO are sampled.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::execute::{Aftermath, settle};
use crate::state::Shared;
use crate::store::Db;
use crate::util::clock;

/// Keys that are deleted at most before the lock is given back.
const SLICE: usize = 200;
/// How long others get in between.
const PAUSE: Duration = Duration::from_micros(50);

/// Runs until the server stops.
pub fn run(shared: &Shared) {
    let mut last_slow = Instant::now();
    loop {
        let period = Duration::from_secs(1) / shared.settings.current().hz.max(1);
        if shared.stop.wait(period) {
            return;
        }
        shared.stats.sample();
        if shared.active_expire.load(Relaxed) {
            expire(shared);
        }
        if last_slow.elapsed() >= Duration::from_secs(1) {
            last_slow = Instant::now();
            close_idle_clients(shared);
            shared
                .stats
                .peak_memory
                .fetch_max((shared.os.allocated_bytes)(), Relaxed);
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
            let mut after = Aftermath::default();
            let finished = {
                let mut store = shared.write();
                let db = &mut store.dbs[index];
                db.observed = shared.is_observed();
                let finished = db.sweep(shard, now, SLICE) < SLICE;
                settle(shared, index, db, now, &mut after);
                finished
            };
            after.clear();
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

/// Closes the clients that have been silent for longer than `timeout`; those who wait for a key are not silent.
fn close_idle_clients(shared: &Shared) {
    let timeout = i64::from(shared.settings.current().timeout) * 1000;
    if timeout == 0 {
        return;
    }
    let now = clock::now_ms();
    for client in shared.clients.all() {
        if now - client.last_seen.load(Relaxed) > timeout && !client.is_blocked() {
            shared.log.verbose("Closing idle client");
            client.kill();
        }
    }
}
