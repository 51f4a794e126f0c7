//! Changing data: the one way to do it, and everything that follows from a change.
//!
//! A [`WriteTxn`] owns the store's write lock, and data changes only through it. The executor, the cron, the link to a
//! primary and a full resynchronisation all use it, so there is one copy of this protocol:
//!
//! ```text
//!   WriteTxn::begin          take the write lock; read the server's role
//!   ┌ apply(scope, change)   run a change; then act on the Db's reports:
//!   │                            a key was modified → raise the flags of the clients that watch it
//!   │                            a key became ready → remember it until the end of the unit
//!   │                            a key expired      → DEL for the log
//!   │ propagate(…)           the requests that the command adds to the log
//!   └ …                      a transaction repeats these two
//!   end_unit                 put MULTI and EXEC around the unit's requests, if there are several;
//!                            serve the clients that wait for a key that became ready
//!   drop                     append the requests to the log and release the lock; then send the
//!                            replies of the clients that were served, free large values, and
//!                            write lines to the server's own log
//! ```
//!
//! "The log" in this file is the log of changes, [`state::journal`](crate::state::journal).
//!
//! # Example
//!
//! Client B waits with `XREADGROUP GROUP g c BLOCK 0 STREAMS s >`. Client A sends `XADD s 1-1 f v`. A's thread does all of
//! this under one write lock:
//!
//! | step | what happens | added to the log |
//! |---|---|---|
//! | `apply` | XADD adds the entry; the Db reports that `s` became ready | |
//! | `propagate` | | `XADD s 1-1 f v` |
//! | `end_unit` | B is served: the entry enters the list of pending entries (PEL) of consumer `c` | `XCLAIM s g c 0 1-1 TIME … RETRYCOUNT 1 FORCE JUSTID LASTID 1-1` |
//! | `drop` | the lock is released, and B's reply is sent | |
//!
//! # Panics
//!
//! A panic in a change is a bug. The change may be half made and is not in the log, so the replicas may differ from now
//! on. Then the history of the log is abandoned under the same lock: every replica copies all data anew, and so does this
//! server at its next connection to a primary, if it is a replica.
//!
//! # Invariants
//!
//! * While a primary keeps a log, every change is in the log before the lock is released, or the history is abandoned.
//!   (What a writable replica's own clients change is in no log.)
//! * Readers of the log see a unit as a whole: a unit of several requests stands between MULTI and EXEC.
//! * No wake-up is lost. A client registers as a waiter under the store's lock, read or write, under which its command
//!   found nothing. So every change that it did not see is made later, and the writer of that change finds the waiter.
//! * Nothing waits for a peer or a disk while the lock is held. ([`state::lock`](mod@crate::state::lock) names two exceptions.)

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::resp::{Args, push_request};
use crate::state::Shared;
use crate::state::blocking::Waiter;
use crate::state::config::LogLevel;
use crate::state::lock::WriteGuard;
use crate::state::propagation::Propagation;
use crate::store::{Db, ExpiryPolicy, Garbage, Report, Store, Wanted};

/// The source of the changes. Together with the server's role it decides what happens to keys that have expired.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Origin {
    /// A client of this server, or the server itself.
    Local,
    /// The primary that this server follows.
    Primary,
}

/// Which databases a change may touch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scope {
    /// The database with this number.
    Db(usize),
    /// All databases.
    All,
}

/// The write lock, and the work that must follow before and after its release.
///
/// Rust drops fields in the order of their declaration. So the first field appends to the log while the lock is held, the
/// second releases the lock, and the third does what must happen without the lock.
pub struct WriteTxn<'a> {
    /// Requests that are not in the log yet.
    unlogged: Unlogged<'a>,
    /// The data, under the write lock.
    store: WriteGuard<'a, Store>,
    /// Work for after the release.
    later: Later<'a>,
    shared: &'a Shared,
    /// What the databases do with expired keys that a change meets.
    expiry: ExpiryPolicy,
    /// Unix time in milliseconds, for everything that happens under this lock.
    now: i64,
    /// Keys that became ready in this unit, each with its database.
    ready: Vec<(usize, Vec<u8>)>,
}

impl<'a> WriteTxn<'a> {
    /// Takes the write lock. `now` is the Unix time in milliseconds.
    pub fn begin(shared: &'a Shared, origin: Origin, now: i64) -> WriteTxn<'a> {
        let store = shared.write();
        let mut txn = WriteTxn {
            unlogged: Unlogged::new(shared),
            store,
            later: Later::new(shared),
            shared,
            expiry: ExpiryPolicy::Delete,
            now,
            ready: vec![],
        };
        txn.look_at_role(origin);
        txn
    }

    /// Reads the server's role: at the beginning, and again after the role has changed under this lock.
    pub fn look_at_role(&mut self, origin: Origin) {
        // The role changes only under the write lock, so it is stable here.
        let is_replica = self.shared.link.is_replica();
        self.expiry = match (origin, is_replica) {
            (Origin::Primary, _) => ExpiryPolicy::Ignore,
            (Origin::Local, true) if self.is_writable_replica() => ExpiryPolicy::DeleteHere,
            (Origin::Local, true) => ExpiryPolicy::Hide,
            // To delete an expired key is a write, because it adds a DEL to the log.
            (Origin::Local, false) if self.shared.write_pause.is_active() => ExpiryPolicy::Hide,
            (Origin::Local, false) => ExpiryPolicy::Delete,
        };
        self.unlogged.set_role(!is_replica);
    }

    /// Whether this server, a replica, takes writes from its clients now. Then these delete the expired keys that they meet.
    fn is_writable_replica(&self) -> bool {
        let is_writable = !self.shared.settings.current().replica_read_only;
        is_writable && !self.shared.write_pause.is_active()
    }

    /// The data, for reading.
    #[inline]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A recorder for what a command adds to the log.
    #[inline]
    pub fn propagation(&self) -> Propagation {
        Propagation::new(self.unlogged.wanted)
    }

    /// Runs a change to the databases in `scope`, and acts on what the databases report.
    #[inline]
    pub fn apply<R>(&mut self, scope: Scope, change: impl FnOnce(&mut Store) -> R) -> R {
        let wanted = self.shared.wanted_reports();
        let expiry = self.expiry;
        let prepare = |db: &mut Db| {
            db.expiry = expiry;
            db.reports.wanted = wanted;
        };
        match scope {
            Scope::Db(index) => prepare(&mut self.store.dbs[index]),
            Scope::All => self.store.dbs.iter_mut().for_each(prepare),
        }
        self.unlogged.changing = true;
        let result = change(&mut self.store);
        match scope {
            Scope::Db(index) => self.collect(index),
            Scope::All => {
                self.collect_swaps();
                (0..self.store.dbs.len()).for_each(|index| self.collect(index));
            }
        }
        self.unlogged.changing = false;
        result
    }

    /// Acts on the reports of a database, and takes its removed values to free them later.
    #[inline]
    fn collect(&mut self, index: usize) {
        let db = &mut self.store.dbs[index];
        if cfg!(debug_assertions) {
            db.audit();
        }
        if !db.reports.is_empty() {
            self.act_on_reports(index);
        }
        let db = &mut self.store.dbs[index];
        if db.has_garbage() {
            self.later.garbage.append(&mut db.take_garbage());
        }
    }

    /// Acts on each report of a database, in order.
    fn act_on_reports(&mut self, index: usize) {
        let shared = self.shared;
        for report in self.store.dbs[index].reports.take() {
            match report {
                Report::Modified(key) => {
                    let exists = self.store.dbs[index].get_any(&key).is_some();
                    shared.watches.modified(index, &key, exists);
                }
                Report::Ready(key) => self.ready.push((index, key)),
                Report::Expired(key) => {
                    shared.stats.expired.fetch_add(1, Relaxed);
                    self.unlogged.push(index, &[b"DEL", &key]);
                }
                Report::Event(_) => {}
                Report::Replaced(old) => {
                    let new = self.store.dbs[index].keyspace();
                    shared
                        .watches
                        .modified_by_replacement(index, &old, new, self.now);
                    let keys = shared.blocking.keys_affected(index, &old, new);
                    self.ready.extend(keys.into_iter().map(|key| (index, key)));
                    self.later.garbage.push(Garbage::Keyspace(old));
                }
            }
        }
    }

    /// Acts on exchanges of two databases (SWAPDB): in both, all keys were replaced.
    fn collect_swaps(&mut self) {
        for (a, b) in std::mem::take(&mut self.store.swapped) {
            for (index, other) in [(a, b), (b, a)] {
                let (old, new) = (&self.store.dbs[other], &self.store.dbs[index]);
                let (old, new) = (old.keyspace(), new.keyspace());
                let shared = self.shared;
                shared
                    .watches
                    .modified_by_replacement(index, old, new, self.now);
                let keys = shared.blocking.keys_affected(index, old, new);
                self.ready.extend(keys.into_iter().map(|key| (index, key)));
            }
        }
    }

    /// Adds a command to the log: the requests in `propagation`, or else the command as the client sent it. `sent` is that
    /// form, and `None` if the command changed no data.
    #[inline]
    pub fn propagate(&mut self, db: usize, propagation: Propagation, sent: Option<&Args<'_>>) {
        let unlogged = &mut self.unlogged;
        if !unlogged.wanted {
            return;
        }
        if propagation.count > 0 {
            unlogged.begin_request(db);
            unlogged.count += propagation.count - 1;
            unlogged.out.extend_from_slice(&propagation.out);
        }
        if let Some(args) = sent
            && !propagation.is_replaced()
        {
            unlogged.begin_request(db);
            push_request(&mut unlogged.out, args.len(), args.iter_from(0));
        }
    }

    /// Ends a unit: a command, or a whole transaction. Serves the clients that wait for keys that became ready. Repeats
    /// that, because serving may make more keys ready.
    #[inline]
    pub fn end_unit(&mut self) {
        self.unlogged.end_unit();
        while !self.ready.is_empty() {
            self.serve_ready();
        }
    }

    /// Serves the clients that wait for the keys that became ready, in the order in which they blocked. What each client
    /// takes is a unit of its own.
    fn serve_ready(&mut self) {
        let (shared, now) = (self.shared, self.now);
        for (index, key) in std::mem::take(&mut self.ready) {
            let mut ticket = 0;
            loop {
                let mut propagation = self.propagation();
                let served = self.apply(Scope::Db(index), |store| {
                    let db = (index, &mut store.dbs[index]);
                    let blocking = &shared.blocking;
                    blocking.serve_next(db, &key, ticket, &mut propagation, now)
                });
                self.propagate(index, propagation, None);
                self.unlogged.end_unit();
                let Some(waiter) = served else {
                    break;
                };
                waiter.count_failure(&shared.stats);
                ticket = waiter.ticket();
                self.later.served.push(waiter);
            }
        }
    }

    /// Replaces all data with that of other databases.
    pub fn replace_all(&mut self, dbs: Vec<Db>) {
        self.apply(Scope::All, |store| {
            for (db, other) in store.dbs.iter_mut().zip(dbs) {
                db.replace_contents(other);
            }
        });
        self.end_unit();
    }

    /// Adds bytes of the primary's log to this server's log, unchanged, and returns the offset before them. `selected` is
    /// the database that is selected after them.
    pub fn relay(&mut self, bytes: &[u8], selected: usize) -> u64 {
        let before = self.shared.journal.end() + self.unlogged.out.len() as u64;
        self.unlogged.out.extend_from_slice(bytes);
        self.unlogged.selected = Some(selected);
        before
    }

    /// Writes a line to the server's own log after the lock is released.
    pub fn log_later(&mut self, level: LogLevel, text: String) {
        self.later.lines.push((level, text));
    }

    /// Appends to the log the requests that are not in it yet. Returns the offset after them, or `None` if there were none.
    /// Ends the unit for the log, but serves no clients.
    pub fn flush(&mut self) -> Option<u64> {
        self.unlogged.flush()
    }

    /// Appends to the log. Then `self` is dropped, which releases the lock and does the work that may happen without it.
    /// Returns the offset in the log after the last change, or `None` if nothing was added to the log since the last
    /// [`WriteTxn::flush`].
    pub fn finish(mut self) -> Option<u64> {
        self.flush()
    }
}

/// Requests that describe changes made under the write lock, and are not in the log yet.
struct Unlogged<'a> {
    shared: &'a Shared,
    /// Whether there is a log, and this server writes it.
    wanted: bool,
    /// A change is being made. If the thread panics now, the log does not describe the change.
    changing: bool,
    /// The requests.
    out: Vec<u8>,
    /// The database that the log has selected after `out`; `None` if the next request must select its own.
    selected: Option<usize>,
    /// The number of requests in the current unit.
    count: usize,
    /// Where the first request of the current unit begins in `out`.
    first_at: usize,
}

impl<'a> Unlogged<'a> {
    fn new(shared: &'a Shared) -> Unlogged<'a> {
        Unlogged {
            shared,
            wanted: false,
            changing: false,
            out: vec![],
            selected: None,
            count: 0,
            first_at: 0,
        }
    }

    /// Decides whether requests are recorded: only a primary writes to its log. A replica relays its primary's.
    #[inline]
    fn set_role(&mut self, is_primary: bool) {
        self.wanted = is_primary && self.shared.journal.is_active();
        if self.wanted {
            self.selected = self.shared.journal.selected_for_writer();
        }
    }

    /// Adds a request in database `db`.
    fn push(&mut self, db: usize, words: &[&[u8]]) {
        if self.wanted {
            self.begin_request(db);
            push_request(&mut self.out, words.len(), words.iter().copied());
        }
    }

    /// Prepares for one more request of the unit: selects database `db`, if the log has another one selected.
    fn begin_request(&mut self, db: usize) {
        if self.selected != Some(db) {
            self.selected = Some(db);
            let number = db.to_string();
            push_request(&mut self.out, 2, [b"SELECT", number.as_bytes()].into_iter());
        }
        if self.count == 0 {
            self.first_at = self.out.len();
        }
        self.count += 1;
    }

    /// Ends a unit: more than one request stands between MULTI and EXEC.
    #[inline]
    fn end_unit(&mut self) {
        if self.count > 1 {
            let mut multi = vec![];
            push_request(&mut multi, 1, [&b"MULTI"[..]].into_iter());
            self.out.splice(self.first_at..self.first_at, multi);
            push_request(&mut self.out, 1, [&b"EXEC"[..]].into_iter());
        }
        self.count = 0;
    }

    /// Ends the unit, and appends all requests to the log. Returns the offset after them, or `None` if there were none.
    #[inline]
    fn flush(&mut self) -> Option<u64> {
        if self.out.is_empty() {
            return None;
        }
        self.end_unit();
        let journal = &self.shared.journal;
        if let Some(db) = self.selected {
            journal.set_selected(db);
        }
        let end = journal.append(&self.out);
        self.out.clear();
        Some(end)
    }
}

impl Drop for Unlogged<'_> {
    /// Runs while the write lock is still held.
    fn drop(&mut self) {
        if self.changing {
            self.shared.abandon_history();
        } else {
            self.flush();
        }
    }
}

/// Work that is done after the lock is released.
struct Later<'a> {
    shared: &'a Shared,
    /// Clients that were served and have not been sent their replies.
    served: Vec<Arc<Waiter>>,
    /// Removed values that take long to free.
    garbage: Vec<Garbage>,
    /// Lines for the server's own log.
    lines: Vec<(LogLevel, String)>,
}

impl<'a> Later<'a> {
    fn new(shared: &'a Shared) -> Later<'a> {
        Later {
            shared,
            served: vec![],
            garbage: vec![],
            lines: vec![],
        }
    }
}

impl Drop for Later<'_> {
    /// Runs on panic too, so that clients already served still receive their replies.
    fn drop(&mut self) {
        self.served.drain(..).for_each(|waiter| waiter.deliver());
        self.garbage.clear();
        let log = &self.shared.log;
        self.lines
            .drain(..)
            .for_each(|(level, text)| log.write(level, &text));
    }
}

impl Shared {
    /// The reports that some client needs now. The databases record no others.
    #[inline]
    fn wanted_reports(&self) -> Wanted {
        Wanted {
            modified: self.watches.any(),
            ready: self.blocking.any(),
            events: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::config::Config;
    use crate::state::{Handle, lock};
    use crate::store::{AccessPolicy, Ttl, Value};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn shared() -> Handle {
        let shared = Shared::new(Config::default(), std::iter::empty()).unwrap();
        shared.journal.begin(0, 0, 1 << 20);
        shared
    }

    fn set(store: &mut Store, db: usize, key: &[u8]) {
        let ttl = Ttl::Clear;
        store.dbs[db].set(key, Value::int(1), ttl, AccessPolicy::Lru { now: 0 }, 0);
    }

    /// The words of the log so far.
    fn log(shared: &Shared) -> String {
        let mut bytes = vec![];
        shared.journal.add_reader(1, 0, Default::default());
        shared.journal.read(1, &mut bytes, 10_000).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let words = text.split("\r\n").filter(|w| !w.starts_with(['*', '$']));
        words.collect::<Vec<_>>().join(" ").trim_end().to_string()
    }

    #[test]
    fn what_belongs_together_is_one_unit_in_the_log() {
        let shared = shared();
        let mut txn = WriteTxn::begin(&shared, Origin::Local, 0);
        let mut command = |db: usize, key: &[u8], units: bool| {
            txn.apply(Scope::Db(db), |store| set(store, db, key));
            let mut propagation = txn.propagation();
            propagation.add(&[b"SET", key, b"1"]);
            txn.propagate(db, propagation, None);
            if units {
                txn.end_unit();
            }
        };
        command(3, b"a", true);
        command(3, b"b", false);
        command(0, b"c", true);
        txn.finish();
        let expected = "SELECT 3 SET a 1 MULTI SET b 1 SELECT 0 SET c 1 EXEC";
        assert_eq!(log(&shared), expected);
    }

    #[test]
    fn a_panic_in_a_change_abandons_the_history() {
        let shared = shared();
        let replid = || lock(&shared.history).replid.clone();
        let before = replid();
        WriteTxn::begin(&shared, Origin::Local, 0).apply(Scope::Db(0), |store| set(store, 0, b"a"));
        assert_eq!(replid(), before);
        let died = catch_unwind(AssertUnwindSafe(|| {
            let mut txn = WriteTxn::begin(&shared, Origin::Local, 0);
            txn.apply(Scope::Db(0), |store| {
                set(store, 0, b"b");
                panic!("on purpose");
            });
        }));
        assert!(died.is_err());
        assert_ne!(replid(), before);
        assert!(!shared.journal.reaches(0) || shared.journal.end() == 0);
        // Other threads go on, and see the change.
        assert!(shared.read().dbs[0].contains(b"b", 0));
    }

    #[test]
    fn a_flush_touches_only_watched_keys_that_were_there() {
        let shared = shared();
        let flags = [(); 3].map(|()| std::sync::Arc::default());
        let mut txn = WriteTxn::begin(&shared, Origin::Local, 0);
        txn.apply(Scope::Db(0), |store| set(store, 0, b"there"));
        txn.apply(Scope::Db(1), |store| set(store, 1, b"there"));
        for (key, flag) in [&b"there"[..], b"absent"].iter().zip(&flags) {
            shared.watches.add(0, key, flag, false);
        }
        shared.watches.add(2, b"there", &flags[2], false);
        let raised = || {
            flags
                .each_ref()
                .map(|f: &crate::state::watch::Flag| f.load(Relaxed))
        };
        txn.apply(Scope::All, |store| store.dbs[0].clear());
        assert_eq!(raised(), [true, false, false]);
        txn.apply(Scope::All, |store| store.swap(1, 2));
        assert_eq!(raised(), [true, false, true]);
    }

    #[test]
    fn the_log_knows_the_database_that_is_selected_at_its_end() {
        let shared = shared();
        let journal = &shared.journal;
        journal.begin(0, 3, 1 << 20);
        // Writes one key in each of these databases. Returns how many bytes that added, and the database selected then.
        let write = |dbs: &[usize]| {
            let before = journal.end();
            let mut txn = WriteTxn::begin(&shared, Origin::Local, 0);
            dbs.iter()
                .for_each(|&db| txn.unlogged.push(db, &[b"DEL", b"k"]));
            let end = txn.finish().unwrap();
            (end - before, journal.selected())
        };
        let (first, second) = (write(&[3]), write(&[3]));
        assert!(first.0 > second.0 && first.1 == 3 && second.1 == 3);
        // The database that a transaction has selected last stays selected.
        assert_eq!(write(&[3, 5]).1, 5);
        journal.announce_selected();
        assert_eq!(journal.selected(), 5);
        assert_eq!((write(&[5]), write(&[5])), ((first.0, 5), (second.0, 5)));
        let mut txn = WriteTxn::begin(&shared, Origin::Primary, 0);
        txn.relay(b"what the primary sent", 7);
        drop(txn);
        assert_eq!(journal.selected(), 7);
    }
}
