//! What the threads of a server share, and the rules for sharing it.
//!
//! A server is a value. Everything that its threads have in common hangs off one [`Shared`], behind
//! an `Arc`; there is nothing global, so a process can hold as many servers as it likes. The data itself is
//! in `Shared::store`, under one read-write lock. Everything else has a small lock of its own or is
//! atomic:
//!
//! * [`config`], the values of the settings: a snapshot that is replaced as a whole; [`settings`], the table of them, built on
//!   everything else here;
//! * [`clients`], who is connected; [`session`], what only a client's own thread knows of it;
//! * [`blocking`], who waits for a key; [`watch`], who must know that a key has changed;
//! * [`journal`], what has changed, and [`replication`], who follows it and whom we follow;
//! * [`copies`], how replicas share a copy of all data;
//! * [`failover`], how a primary hands over; [`shutdown`], how a server ends; [`pause`], how writes wait for both;
//! * [`stats`], what INFO counts; [`log`], what the server says about itself.
//!
//! # Lock order
//!
//! Every lock has a rank, and a thread takes locks in the order of their ranks. [`mod@lock`] has the table of all locks, and
//! debug builds check the order.
//!
//! # Panics
//!
//! A panic under the store's lock is a bug in one command, and the thread that ran it is lost with
//! its client. The lock it held is *poisoned* by the standard library, so that nobody goes on unawares.
//! We do go on: the store's structures are never left half-changed across a call that can panic, and
//! one client's misfortune must not be everyone's. [`Shared::read`] and [`Shared::write`] are where this is
//! decided, [`lock()`] for all the small locks.

pub mod blocking;
pub mod clients;
pub mod config;
pub mod copies;
pub mod failover;
pub mod journal;
pub mod lock;
pub mod log;
pub mod outbox;
pub mod pause;
pub mod propagation;
pub mod replication;
pub mod session;
pub mod settings;
pub mod shutdown;
pub mod stats;
pub mod watch;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use crate::resp::{Error, push_request};
use crate::store::Store;
use crate::sys;
use crate::util::clock;
use crate::util::random::Random;
use blocking::{Blocking, Outcome, Waiter};
use clients::Clients;
use config::{Config, Settings};
use copies::Rounds;
use failover::Failover;
use journal::Journal;
pub use lock::lock;
use lock::{Lock, Rank, ReadGuard, ReadWriteLock, WriteGuard};
use log::Log;
use pause::WritePause;
use replication::{History, Link, Replicas};
use shutdown::Shutdown;
use stats::Stats;
use watch::Watches;

/// Everything that the threads of one server share: the data under its lock, and the [`State`].
pub struct Shared {
    store: ReadWriteLock<Store>,
    state: State,
}

impl Deref for Shared {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

/// What the threads of one server share besides the data. Command handlers get this and not [`Shared`], so they cannot
/// take the store's lock.
pub struct State {
    pub settings: Settings,
    pub clients: Clients,
    pub blocking: Blocking,
    pub watches: Watches,
    pub stats: Stats,
    pub log: Log,
    pub random: Random,
    pub stop: Stop,
    /// Forty digits that no other run of a server has.
    pub run_id: String,
    /// What has changed, for those who replicate it: the record, its name, who reads it, and whom we follow.
    pub journal: Journal,
    pub history: Lock<History>,
    pub replicas: Replicas,
    pub copies: Rounds,
    pub link: Link,
    pub failover: Failover,
    pub shutdown: Shutdown,
    /// Whether writes have to wait.
    pub write_pause: WritePause,
    pub started: Instant,
    /// The addresses being listened on; set once when the server starts.
    pub addresses: Lock<Vec<SocketAddr>>,
    /// When the data was last in step with what is on disk: here, when the server started.
    pub last_save: AtomicI64,
    /// Whether the cron deletes expired keys (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: AtomicBool,
}

impl Shared {
    /// What a server with these settings shares. `commands` are the names of all commands, by number.
    pub fn new(
        config: Config,
        commands: impl Iterator<Item = &'static str>,
    ) -> std::io::Result<Handle> {
        let random = Random::default();
        let log = Log::open(&config)?;
        let link = Link::default();
        if config.replicaof.is_some() {
            link.change(true);
        }
        let store = ReadWriteLock::new(Rank::Store, Store::new(config.databases));
        let state = State {
            clients: Clients::default(),
            blocking: Blocking::default(),
            watches: Watches::default(),
            stats: Stats::new(commands),
            stop: Stop::default(),
            run_id: random.hex40(),
            journal: Journal::default(),
            history: Lock::new(Rank::History, History::new(random.hex40())),
            replicas: Replicas::default(),
            copies: Rounds::default(),
            link,
            failover: Failover::default(),
            shutdown: Shutdown::default(),
            write_pause: WritePause::default(),
            started: Instant::now(),
            addresses: Lock::new(Rank::Addresses, vec![]),
            last_save: AtomicI64::new(clock::now_ms() / 1000),
            active_expire: AtomicBool::new(true),
            settings: Settings::new(config),
            random,
            log,
        };
        Ok(Arc::new(Shared { store, state }))
    }

    /// The store, for reading. See the module's notes on panics.
    pub fn read(&self) -> ReadGuard<'_, Store> {
        self.store.read()
    }

    /// The store, for writing.
    pub fn write(&self) -> WriteGuard<'_, Store> {
        self.store.write()
    }

    /// Lets a client wait until `wanted` replicas have acknowledged `offset`. The caller holds no lock, so the server may
    /// have become a replica in the meantime.
    pub fn wait_for_acks(&self, waiter: &Arc<Waiter>, offset: u64, wanted: usize) {
        self.ask_for_acks(offset);
        self.replicas.register(waiter, offset, wanted);
        if self.link.is_replica() {
            self.free_waiters();
        }
    }

    /// Asks the replicas how far they are; once for all clients that wait for the same offset.
    fn ask_for_acks(&self, offset: u64) {
        // Under the lock this server cannot become a replica, whose log is its primary's.
        let store = self.read();
        let asks = self.journal.is_active() && !self.link.is_replica();
        if !asks || !self.replicas.must_ask(offset) {
            return;
        }
        let mut question = vec![];
        let words = [&b"REPLCONF"[..], b"GETACK", b"*"];
        push_request(&mut question, 3, words.into_iter());
        let end = self.journal.append_quietly(&question);
        self.replicas.asked(end);
        drop(store);
        // At once, and not by way of the feeders: a client waits.
        self.replicas.send_now(&self.journal, sys::send_now);
        self.journal.wake_readers();
    }
}

impl State {
    /// Follows a primary from now on, or another one. Who waits is freed: what it waits for may never come. The caller
    /// holds the store's write lock.
    pub fn become_replica(&self, primary: Option<(String, u16)>) {
        self.follow(primary);
        self.link.change(true);
        self.free_waiters();
    }

    /// Removes a waiter whose wait has ended from everything that could serve it.
    pub fn forget_waiter(&self, waiter: &Arc<Waiter>) {
        self.blocking.unregister(waiter);
        if waiter.waits_for_acks {
            self.replicas.unregister(waiter);
        }
    }

    fn free_waiters(&self) {
        let freed = Outcome::Failed(Error::text(
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        ));
        self.blocking.end_all(&freed);
        self.replicas.unblock_all(&freed);
    }

    /// Follows nobody any more: a new history begins, with the same past. The caller holds the store's write lock, or no
    /// write can be under way since this was a replica.
    pub fn become_primary(&self) {
        self.follow(None);
        self.link.change(false);
        let next = self.journal.end() + 1;
        lock(&self.history).branch(self.random.hex40(), next);
        // The stream of the new history names its database anew; and replicas learn of its name.
        self.journal.announce_selected();
        self.replicas.disconnect();
    }

    /// Whether some replica that follows has not been sent all that there is.
    pub fn replicas_are_behind(&self) -> bool {
        let replicas = self.replicas.all();
        let mut online = replicas.iter().filter(|r| r.is_online());
        online.any(|r| self.journal.pending(r.client.id) > 0)
    }

    /// Begins a history that no replica knows, because the log does not tell all that was done to the data. Replicas, and
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

    fn follow(&self, primary: Option<(String, u16)>) {
        let changed = self.settings.update(|config| {
            config.replicaof = primary;
            Ok::<(), ()>(())
        });
        drop(changed);
    }

    /// The port being listened on, 0 before that.
    pub fn port(&self) -> u16 {
        lock(&self.addresses).first().map_or(0, SocketAddr::port)
    }
}

/// The wish that the server stop, which everyone can express and everyone obeys.
pub struct Stop {
    requested: AtomicBool,
    lock: Lock<()>,
    wake: Condvar,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop {
            requested: AtomicBool::default(),
            lock: Lock::new(Rank::Stop, ()),
            wake: Condvar::new(),
        }
    }
}

impl Stop {
    pub fn request(&self) {
        let _guard = lock(&self.lock);
        self.requested.store(true, Relaxed);
        self.wake.notify_all();
    }

    #[inline]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Relaxed)
    }

    /// Sleeps until the wish is expressed, or for `time`; tells whether it was.
    pub fn wait(&self, time: Duration) -> bool {
        let guard = lock(&self.lock);
        drop(guard.wait_timeout_while(&self.wake, time, |()| !self.is_requested()));
        self.is_requested()
    }
}

/// A shared handle on a server's state.
pub type Handle = Arc<Shared>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Keep, NEVER, Usage, Value};

    #[test]
    fn a_panic_under_the_lock_does_not_stop_the_others() {
        let shared = Shared::new(Config::default(), std::iter::empty()).unwrap();
        let other = shared.clone();
        let died = std::thread::spawn(move || {
            let mut store = other.write();
            store.dbs[0].set(
                b"k",
                Value::Int(1),
                Keep::Until(NEVER),
                Usage::Lru { now: 0 },
                0,
            );
            panic!("on purpose");
        });
        assert!(died.join().is_err());
        assert!(shared.read().dbs[0].contains(b"k", 0));
        assert!(shared.write().dbs[0].delete(b"k", 0));
    }
}
