//! What the threads of a server share, and the rules for sharing it.
//!
//! A server is a value. Everything that its threads share hangs off one [`Shared`], behind an `Arc`. Nothing is global, so a
//! process can hold many servers. The data is in `Shared::store`, under one read-write lock. Everything else has a small lock
//! of its own or is atomic:
//!
//! * [`config`], the values of the settings: a snapshot that is replaced as a whole; [`settings`], the table of them, built on
//!   everything else here;
//! * [`clients`], the connected clients; [`session`], the state of a client that only its own thread uses; [`outbox`],
//!   everything that is sent to a client;
//! * [`blocking`], the clients that wait for a key; [`watch`], the clients that watch a key;
//! * [`propagation`], what a command adds to the log; [`journal`], the log of changes; [`replication`], the replicas that
//!   read it, and the primary that this server follows;
//! * [`copies`], how replicas share a copy of all data;
//! * [`failover`], how a primary hands over; [`shutdown`], how a server ends; [`pause`], how writes wait for both;
//! * [`stats`], the figures of INFO; [`log`], the server's log.
//!
//! # Lock order
//!
//! Every lock has a rank, and a thread takes locks in the order of their ranks. [`mod@lock`] has the table of all locks, and
//! debug builds check the order.
//!
//! # Panics
//!
//! A panic under the store's lock is a bug in one command. It ends that client's thread and connection. The standard library
//! *poisons* the lock, so that other threads notice the panic. This server ignores the poison and goes on, so that a bug
//! costs one client its connection and not all of them; the history of the log is abandoned, so that replicas copy all data
//! anew (see [`mod@crate::write`]). [`Shared::read`] and [`Shared::write`] decide this for the store, [`lock()`] for all
//! small locks.

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
mod roles;
pub mod session;
pub mod settings;
pub mod shutdown;
mod shutdown_steps;
pub mod stats;
pub mod watch;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use crate::resp::{Reply, push_request};
use crate::store::Store;
use crate::sys;
use crate::util::clock;
use crate::util::random::Random;
use blocking::{Acks, Blocking, Waiter};
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
    /// The log of changes, the names of its history, the replicas that read it, and the link to our primary.
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
    pub fn wait_for_acks(&self, waiter: &Arc<Waiter>, acks: Acks) {
        self.ask_for_acks(acks.offset);
        self.replicas.register(waiter, acks);
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
    /// Removes a waiter whose wait has ended from everything that could serve it.
    pub fn forget_waiter(&self, waiter: &Arc<Waiter>) {
        self.blocking.unregister(waiter);
        if waiter.acks.is_some() {
            self.replicas.unregister(waiter);
        }
    }

    /// Writes the reply for a wait whose time is up. For WAIT that is no error: the reply says how many replicas have
    /// acknowledged by now.
    pub fn reply_timeout(&self, waiter: &Waiter, reply: &mut Reply) {
        match waiter.acks {
            Some(acks) => reply.int(self.replicas.count_acked(acks.offset) as i64),
            None => reply.null_array(),
        }
    }

    /// Whether part of the log was not yet sent to a replica that is online.
    pub fn replicas_are_behind(&self) -> bool {
        let replicas = self.replicas.all();
        let mut online = replicas.iter().filter(|r| r.is_online());
        online.any(|r| self.journal.pending(r.client.id) > 0)
    }

    /// The port being listened on, 0 before that.
    pub fn port(&self) -> u16 {
        lock(&self.addresses).first().map_or(0, SocketAddr::port)
    }
}

/// Shutdown flag. Any thread may set it; every loop checks it.
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
    /// Requests that the server stop, and wakes the threads that wait for that.
    pub fn request(&self) {
        let _guard = lock(&self.lock);
        self.requested.store(true, Relaxed);
        self.wake.notify_all();
    }

    /// Whether the server must stop.
    #[inline]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Relaxed)
    }

    /// Sleeps until a stop is requested, for `time` at most. Returns whether it is requested.
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
    use crate::store::{AccessPolicy, Ttl, Value};

    #[test]
    fn a_panic_under_the_lock_does_not_stop_the_others() {
        let shared = Shared::new(Config::default(), std::iter::empty()).unwrap();
        let other = shared.clone();
        let died = std::thread::spawn(move || {
            let mut store = other.write();
            store.dbs[0].set(
                b"k",
                Value::Int(1),
                Ttl::Clear,
                AccessPolicy::Lru { now: 0 },
                0,
            );
            panic!("on purpose");
        });
        assert!(died.join().is_err());
        assert!(shared.read().dbs[0].contains(b"k", 0));
        assert!(shared.write().dbs[0].delete(b"k", 0));
    }
}
