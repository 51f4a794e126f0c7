//! What a change brings about.
//!
//! When the data have been changed, by a command, by the cron or by a primary, some things follow, and always the same:
//! who watches a changed key must know, who waits for one is served, and the replicas hear of what is done in passing.
//! That happens under the write lock under which the change was made ([`settle`]). What can wait until the lock is free
//! is put aside meanwhile ([`Aftermath`]): it takes time that nobody should wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::state::Shared;
use crate::state::blocking::Waiter;
use crate::state::journal::Effects;
use crate::store::{Db, Garbage, Store};
use crate::util::clock;

/// What a change to the data leaves to be done when the lock is free.
#[derive(Default)]
pub struct Aftermath {
    /// What was removed and is costly to drop.
    garbage: Vec<Garbage>,
    /// Clients that were served and have yet to get their replies.
    served: Vec<Arc<Waiter>>,
}

impl Aftermath {
    /// Does it. The caller holds no lock.
    pub fn clear(&mut self) {
        self.served.drain(..).for_each(|waiter| waiter.deliver());
        self.garbage.clear();
    }
}

/// Draws the consequences of what was done to a database, under the write lock: raises the flags of those who
/// watch a changed key, serves those who wait for one, and takes aside what is to be dropped. Serving
/// may change keys in turn; it ends when nothing has changed any more.
pub fn settle(
    shared: &Shared,
    index: usize,
    db: &mut Db,
    now: i64,
    effects: &mut Effects,
    after: &mut Aftermath,
) {
    while db.has_touched() {
        for key in db.take_touched() {
            shared.watches.touch(index, &key);
            let served = &mut after.served;
            shared.blocking.serve(index, db, &key, effects, now, served);
            note_expired(shared, index, db, effects);
            effects.command_done(index, None::<(usize, std::iter::Empty<_>)>);
        }
    }
    effects.unit_done();
    if db.has_garbage() {
        after.garbage.append(&mut db.take_garbage());
    }
}

/// The same for all databases.
pub fn settle_all(
    shared: &Shared,
    store: &mut Store,
    now: i64,
    effects: &mut Effects,
    after: &mut Aftermath,
) {
    for (index, db) in store.dbs.iter_mut().enumerate() {
        settle(shared, index, db, now, effects, after);
    }
}

/// Puts other data in the place of all that there are; `dbs` has the old ones then.
pub fn replace_all(shared: &Shared, store: &mut Store, dbs: &mut [Db], after: &mut Aftermath) {
    let observed = shared.is_observed();
    for (db, other) in store.dbs.iter_mut().zip(dbs) {
        db.observed = observed;
        db.swap_contents(other);
    }
    let mut effects = Effects::default(); // not begun, so nothing is collected
    settle_all(shared, store, clock::now_ms(), &mut effects, after);
}

/// Counts the keys that were found expired in a database and deleted; to the replicas each is a DEL.
pub fn note_expired(shared: &Shared, index: usize, db: &mut Db, effects: &mut Effects) {
    if db.has_expired() {
        let keys = db.take_expired();
        shared.stats.expired.fetch_add(keys.len() as u64, Relaxed);
        keys.iter().for_each(|key| effects.expired(index, key));
    }
}
