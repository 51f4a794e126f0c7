//! What the threads of a server share, and the rules for sharing it.
//!
//! A server is a value. Everything that its threads share hangs off one [`Shared`], behind an `Arc`, so a process can
//! hold many servers. The data is in `Shared::store`, under one read-write lock. Everything else is in the [`State`],
//! and each part of it is atomic or has a small lock of its own. The files, each built on those before it:
//!
//! * [`mod@lock`], the locks and their order;
//! * [`config`], the values of the settings: a snapshot that is replaced as a whole; [`log`], the server's log;
//!   [`stats`], the figures of INFO;
//! * [`propagation`], what a command adds to the journal; [`journal`], everything that has changed;
//! * [`outbox`], everything that is sent to a client; [`watch`], the clients that watch a key; [`blocking`], the clients
//!   that wait for a key; [`clients`], the connected clients;
//! * [`replication`], the replicas that read the journal, and the primary that this server follows; [`copies`], how
//!   replicas share a copy of all data;
//! * [`session`], the state of a client that only its own thread uses;
//! * [`pause`], how writes wait for a failover and a shutdown; [`failover`], how a primary hands over; [`shutdown`], how
//!   a server ends.
//!
//! This file joins them in the [`State`]. Above it are the files that need the whole state: `roles.rs`, how a server
//! becomes a replica or a primary; `shutdown_steps.rs`; and [`settings`], the table of the settings.
//!
//! # Lock order
//!
//! Every lock has a rank, and a thread takes locks in the order of their ranks. [`mod@lock`] has the table of all locks,
//! and debug builds check the order.
//!
//! # Panics
//!
//! A panic under the store's lock is a bug in one command. It ends that client's thread and connection. The standard
//! library *poisons* the lock, so that other threads notice the panic. This server ignores the poison and goes on, so
//! that a bug costs one client its connection and not all of them. The change may be half made and is not in the
//! journal, so a new history begins, and replicas copy all data anew (see [`mod@crate::write`]). [`Shared::read`] and
//! [`Shared::write`] ignore the poison of the store's lock, [`lock()`] that of all others.

pub mod blocking;
pub mod clients;
pub mod config;
pub mod copies;
pub mod cores;
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
use cores::Cores;
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
    /// The data.
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
    /// The settings in force.
    pub settings: Settings,
    /// The connected clients.
    pub clients: Clients,
    /// The clients that wait for a key.
    pub blocking: Blocking,
    /// The keys that clients watch.
    pub watches: Watches,
    /// The figures of INFO.
    pub stats: Stats,
    /// The server's log.
    pub log: Log,
    /// A source of random numbers.
    pub random: Random,
    /// Whether the server must stop.
    pub stop: Stop,
    /// Forty hexadecimal digits that no other run of a server has.
    pub run_id: String,
    /// Everything that has changed, for replicas.
    pub journal: Journal,
    /// The replids of the journal's history.
    pub history: Lock<History>,
    /// The replicas of this server.
    pub replicas: Replicas,
    /// The copies of all data that replicas share.
    pub copies: Rounds,
    /// The role of this server, and the link to its primary if it is a replica.
    pub link: Link,
    /// The failover that is under way, if there is one.
    pub failover: Failover,
    /// The shutdown that waits for replicas, if there is one.
    pub shutdown: Shutdown,
    /// Whether writes are paused.
    pub write_pause: WritePause,
    /// The turns of client threads on each core.
    pub cores: Cores,
    /// When the server started.
    pub started: Instant,
    /// The addresses that the server listens on; set once when it starts.
    pub addresses: Lock<Vec<SocketAddr>>,
    /// When the server started, in Unix seconds. INFO shows it as the last save, because this server never saves.
    pub last_save: AtomicI64,
    /// Whether the cron deletes expired keys (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: AtomicBool,
}

impl Shared {
    /// What the threads of a server with these settings share. `commands` are the names of all commands, by number.
    ///
    /// # Errors
    ///
    /// If the log's file cannot be opened.
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
            cores: Cores::default(),
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

    /// Takes the store's lock for reading. Ignores poison, see the module's notes on panics.
    pub fn read(&self) -> ReadGuard<'_, Store> {
        self.store.read()
    }

    /// Takes the store's lock for writing. Only [`WriteTxn`](crate::write::WriteTxn) changes keys under it; other
    /// callers exclude writes while they look at the journal or change the role.
    pub fn write(&self) -> WriteGuard<'_, Store> {
        self.store.write()
    }

    /// Lets a client wait for acknowledgements, for which the replicas are asked. The caller holds no lock, so the
    /// server may have become a replica in the meantime; then all waits end with an error.
    pub fn wait_for_acks(&self, waiter: &Arc<Waiter>, acks: Acks) {
        self.ask_for_acks(acks.offset);
        self.replicas.register(waiter, acks);
        if self.link.is_replica() {
            self.free_waiters();
        }
    }

    /// Sends REPLCONF GETACK to the replicas, unless a GETACK was sent after `offset` already: clients that wait for the
    /// same offset share one.
    fn ask_for_acks(&self, offset: u64) {
        // Only the primary's bytes may enter a replica's journal. The role cannot change while this thread holds the lock.
        let store = self.read();
        let asks = self.journal.is_active() && !self.link.is_replica();
        if !asks || !self.replicas.must_ask(offset) {
            return;
        }
        let mut question = vec![];
        let words = [&b"REPLCONF"[..], b"GETACK", b"*"];
        push_request(&mut question, 3, words.into_iter());
        let end = self.journal.append(&question);
        self.replicas.asked(end);
        drop(store);
        // Sent at once by this thread, because a client waits. The feeders send what the sockets do not take.
        self.replicas.send_now(&self.journal, sys::send_now);
    }
}

impl State {
    /// Removes a waiter whose wait has ended from all queues.
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

    /// Whether part of the journal was not yet sent to a replica that is online.
    pub fn replicas_are_behind(&self) -> bool {
        let replicas = self.replicas.all();
        let mut online = replicas.iter().filter(|r| r.is_online());
        online.any(|r| self.journal.pending(r.client.id) > 0)
    }

    /// The port that the server listens on; 0 before it listens.
    pub fn port(&self) -> u16 {
        lock(&self.addresses).first().map_or(0, SocketAddr::port)
    }
}

/// Shutdown flag. Any thread may set it; every loop checks it.
pub struct Stop {
    /// The flag.
    requested: AtomicBool,
    /// [`Stop::request`] sets the flag and notifies while it holds this lock. So a thread in [`Stop::wait`] either sees the
    /// flag before it sleeps, or sleeps already and is woken.
    lock: Lock<()>,
    /// Notified when the flag is set.
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
    /// Sets the flag, and wakes the threads in [`Stop::wait`].
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
                Value::int(1),
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
