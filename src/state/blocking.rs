//! Clients that wait for a key.
//!
//! A command that finds nothing to take, and may wait, registers a [`Waiter`]: the keys to wait for, and a [`Service`],
//! which takes from a key what the client wants. The client's thread then sleeps on the waiter's `Condvar`. A writer
//! that makes one of the keys ready serves the waiters itself, before it releases the write lock:
//!
//! ```text
//!   client's thread                     writer's thread
//!   ───────────────                     ───────────────
//!   lock, find nothing, register,
//!   unlock, sleep ..................... lock
//!                                       XADD
//!                                       for each waiter of the key, in order of arrival:
//!                                           does the key have something for it? is its client connected?
//!                                           run its service, keep the reply
//!                                       unlock
//!                                       send the reply
//!   wakes ◄──────────────────────────── notify
//! ```
//!
//! Three properties follow:
//!
//! * Clients are served in the order in which they began to wait.
//! * No other client can take what a waiter was served, because the service runs under the write lock.
//! * No wake-up is lost, because a waiter is registered under the same lock under which its command found nothing. A
//!   writer comes either before the look or after the registration.
//!
//! WAIT and SHUTDOWN wait in the same way but for no key. Their waiters are registered here without a service, are
//! counted, and are ended by [`Replicas`](super::replication::Replicas) or by the [shutdown](super::shutdown).
//!
//! # Two halves of service
//!
//! Under the store's lock the service runs and the reply is kept ([`Blocking::serve_next`]). After the lock is released
//! the writer sends the reply through the client's outbox and wakes the client's thread ([`Waiter::deliver`]). So the
//! reply leaves before the client's thread has woken up. Two kinds of replies are left to the client's thread: the reply
//! to a client whose thread does not sleep yet, because that thread may have earlier replies to send; and a reply of
//! more than [`UNCOUNTED_OUTPUT`] bytes, because the client's thread checks `client-output-buffer-limit`.
//!
//! # Cost
//!
//! Serving a key asks each of its waiters in turn whether the key has something for it, which is a lookup. The socket is
//! checked only for a waiter that is about to be served. Registering and unregistering cost O(log n) per key for n
//! waiters of the key.
//!
//! # Invariants
//!
//! * A wait ends once: a writer, the timeout, CLIENT UNBLOCK, CLIENT KILL, a change of the role and the server's stop
//!   all end it under the waiter's own lock, and the first one wins. A service is never run after that.
//! * `waiting` is the number of waiters in the step `Waiting`: nobody has served them or ended their wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use super::config::Limit;
use super::lock::{Lock, Rank, lock};
use super::outbox::{Outbox, UNCOUNTED_OUTPUT};
use super::propagation::Propagation;
use super::stats::Stats;
use crate::resp::{Error, Reply};
use crate::store::{Db, Keyspace};

/// Serves a waiting client: tells whether a key has something for the client, and takes it.
pub trait Service: Send {
    /// Whether `key` has something for the client, even if that is only an error. Called under the write lock.
    fn can_serve(&self, db: &Db, key: &[u8], now: i64) -> bool;

    /// Takes what the key has for the client, and writes the reply. Called directly after [`Service::can_serve`] has
    /// returned `true`, under the same lock.
    ///
    /// # Errors
    ///
    /// The error that the client gets in place of a reply.
    fn serve(&mut self, db: &mut Db, key: &[u8], serving: &mut Serving<'_>) -> Result<(), Error>;
}

/// What a service works with, besides the data.
pub struct Serving<'a> {
    /// The reply that the client will receive.
    pub reply: &'a mut Reply,
    /// What is appended to the journal, as if the waiting client had run its command now.
    pub propagation: &'a mut Propagation,
    /// Unix time in milliseconds.
    pub now: i64,
}

/// A command's request to wait, because it cannot reply yet. The default waits for no key and without a timeout, until
/// another thread ends the wait.
#[derive(Default)]
pub struct Wait {
    /// The keys of the current database that may bring a reply.
    pub keys: Vec<Vec<u8>>,
    /// How long to wait at most; `None` means for ever.
    pub timeout: Option<Duration>,
    /// Takes from a key for the client; `None` if the command does not wait for keys.
    pub service: Option<Box<dyn Service>>,
    /// The acknowledgements that WAIT waits for; `None` for other commands.
    pub acks: Option<Acks>,
}

/// Acknowledgements by replicas.
#[derive(Clone, Copy)]
pub struct Acks {
    /// The offset in the journal up to which a replica must have everything.
    pub offset: u64,
    /// The number of replicas that must have it.
    pub replicas: usize,
}

/// What a [`Waiter`] knows of its client.
pub struct WaitingClient {
    /// The client's output; its socket shows whether the client is still connected.
    pub outbox: Arc<Outbox>,
    /// The selected database.
    pub db: usize,
    /// The number of the waiting command in the table of commands.
    pub command: usize,
    /// Whether the client gets its replies in RESP3.
    pub resp3: bool,
    /// Whether the client does not want the reply (CLIENT REPLY).
    pub silent: bool,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The client was served. `unsent` is the part of the reply that the client's thread must send: all of it or
    /// nothing.
    Served { unsent: Vec<u8> },
    /// The timeout passed. [`State::reply_timeout`](super::State::reply_timeout) writes the reply.
    TimedOut,
    /// The client gets this error as its reply.
    Failed(Error),
    /// The connection is closed, or must be.
    Gone,
}

/// One wait of one client.
pub struct Waiter {
    /// The place among all waiters for keys: a smaller ticket came earlier. 0 if there is no key.
    ticket: AtomicU64,
    /// The client that waits.
    pub client: WaitingClient,
    /// The keys to wait for, in the client's database.
    pub keys: Vec<Vec<u8>>,
    /// Whether the wait has a timeout.
    pub has_timeout: bool,
    /// The acknowledgements to wait for (WAIT).
    pub acks: Option<Acks>,
    state: Lock<Progress>,
    /// Notified when the wait has ended.
    wake: Condvar,
    /// [`Blocking`]'s number of waits that have not ended, this one included.
    waiting: Arc<AtomicUsize>,
}

/// The progress of a wait.
struct Progress {
    step: WaitStep,
    /// The client's thread has called [`Waiter::sleep`], so it has sent all earlier replies. A writer may send the
    /// reply.
    asleep: bool,
}

/// The step of a wait.
enum WaitStep {
    /// Not served yet. The service is `None` if there is no key.
    Waiting(Option<Box<dyn Service>>),
    /// Served; [`Waiter::deliver`] is about to send the reply. `error` is the error in it, if it is one.
    Claimed {
        reply: Vec<u8>,
        error: Option<Error>,
    },
    /// Over; the client's thread takes the outcome.
    Ended(Outcome),
}

impl Waiter {
    fn new(client: WaitingClient, wait: Wait, waiting: Arc<AtomicUsize>) -> Waiter {
        Waiter {
            ticket: AtomicU64::new(0),
            client,
            keys: wait.keys,
            has_timeout: wait.timeout.is_some(),
            acks: wait.acks,
            state: Lock::new(
                Rank::Waiter,
                Progress {
                    step: WaitStep::Waiting(wait.service),
                    asleep: false,
                },
            ),
            wake: Condvar::new(),
            waiting,
        }
    }

    /// Serves the waiter if `key` has something for it. Returns whether it did; if so, the caller must call
    /// [`Waiter::deliver`] after the store's write lock is released.
    fn serve(&self, db: &mut Db, key: &[u8], propagation: &mut Propagation, now: i64) -> bool {
        let mut state = lock(&self.state);
        let WaitStep::Waiting(Some(service)) = &mut state.step else {
            return false;
        };
        // Nothing is taken for a client whose peer has hung up. The client's thread notices that and ends the wait.
        if !service.can_serve(db, key, now) || !self.client.outbox.is_connected() {
            return false;
        }
        let mut reply = Reply {
            resp3: self.client.resp3,
            ..Reply::default()
        };
        let mut serving = Serving {
            reply: &mut reply,
            propagation,
            now,
        };
        let error = service.serve(db, key, &mut serving).err();
        if let Some(error) = &error {
            reply.out.clear();
            reply.error(error);
        }
        let reply = reply.out;
        self.change(&mut state, WaitStep::Claimed { reply, error });
        true
    }

    /// Serves the waiter with a reply that needs no data. Returns whether the waiter was still waiting; if so, the
    /// caller must call [`Waiter::deliver`].
    pub fn claim(&self, reply: Vec<u8>) -> bool {
        let mut state = lock(&self.state);
        let waits = matches!(state.step, WaitStep::Waiting(_));
        if waits {
            self.change(&mut state, WaitStep::Claimed { reply, error: None });
        }
        waits
    }

    /// Changes the step from [`WaitStep::Waiting`] to `step`.
    fn change(&self, state: &mut Progress, step: WaitStep) {
        state.step = step;
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Whether nobody has served the waiter or ended its wait.
    pub fn is_waiting(&self) -> bool {
        matches!(lock(&self.state).step, WaitStep::Waiting(_))
    }

    /// The waiter's place among all waiters, for [`Blocking::serve_next`].
    pub fn ticket(&self) -> u64 {
        self.ticket.load(Relaxed)
    }

    /// If the client was served with an error, counts the error and the failed call. Called before the reply is sent, so
    /// that a client that has its reply finds both counted.
    pub fn count_failure(&self, stats: &Stats) {
        if let WaitStep::Claimed {
            error: Some(error), ..
        } = &lock(&self.state).step
        {
            stats.count_error(error.code());
            stats.count_failed_call(self.client.command);
        }
    }

    /// Sends the reply of a waiter that was served, and wakes the client's thread. The caller does not hold the store's
    /// lock.
    pub fn deliver(&self) {
        let (mut unsent, asleep) = {
            let mut state = lock(&self.state);
            let asleep = state.asleep;
            match &mut state.step {
                WaitStep::Claimed { reply, .. } => (std::mem::take(reply), asleep),
                _ => return,
            }
        };
        // No other thread ends a wait that is claimed, so the waiter's lock is not held while the reply is sent.
        if asleep && !self.client.silent && unsent.len() <= UNCOUNTED_OUTPUT {
            self.client.outbox.push(&unsent, Limit::default());
            unsent = vec![];
        }
        lock(&self.state).step = WaitStep::Ended(Outcome::Served { unsent });
        self.wake.notify_one();
    }

    /// Ends the wait if it has not ended yet and was not served. Returns whether it did.
    pub fn end(&self, outcome: Outcome) -> bool {
        let mut state = lock(&self.state);
        let waits = matches!(state.step, WaitStep::Waiting(_));
        if waits {
            self.change(&mut state, WaitStep::Ended(outcome));
            self.wake.notify_one();
        }
        waits
    }

    /// Sleeps until the wait has ended, at `deadline` at the latest. The client's thread calls this after it has sent
    /// all earlier replies. Checks every [`POLL_INTERVAL`] whether the client is still connected.
    pub fn sleep(&self, deadline: Option<Instant>) -> Outcome {
        let mut state = lock(&self.state);
        state.asleep = true;
        loop {
            let nap = match &mut state.step {
                WaitStep::Ended(outcome) => return std::mem::replace(outcome, Outcome::Gone),
                // The writer is about to deliver the reply.
                WaitStep::Claimed { .. } => POLL_INTERVAL,
                // Checked before the first nap, too: CLIENT KILL may have closed the connection before the client had
                // this waiter. Then it found no wait to end.
                WaitStep::Waiting(_) if !self.client.outbox.is_connected() => {
                    self.change(&mut state, WaitStep::Ended(Outcome::Gone));
                    continue;
                }
                WaitStep::Waiting(_) => {
                    match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                        Some(Duration::ZERO) => {
                            self.change(&mut state, WaitStep::Ended(Outcome::TimedOut));
                            continue;
                        }
                        left => left.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL),
                    }
                }
            };
            state = state.wait_timeout(&self.wake, nap);
        }
    }
}

/// How often a sleeping thread checks its socket.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The waiters of one key by ticket, so in the order in which they began to wait.
type WaitQueue = BTreeMap<u64, Arc<Waiter>>;

/// All waiters of a server.
pub struct Blocking {
    /// The waiters for keys, by database and key.
    queues: Lock<HashMap<usize, HashMap<Vec<u8>, WaitQueue>>>,
    last_ticket: AtomicU64,
    waiting: Arc<AtomicUsize>,
}

impl Default for Blocking {
    fn default() -> Blocking {
        Blocking {
            queues: Lock::new(Rank::Blocking, HashMap::new()),
            last_ticket: AtomicU64::default(),
            waiting: Arc::default(),
        }
    }
}

impl Blocking {
    /// Whether any client waits. Costs no lock, so writers ask this first. A writer that holds the write lock misses no
    /// waiter: a client registers while it holds the store's lock.
    #[inline]
    pub fn any(&self) -> bool {
        self.len() > 0
    }

    /// How many clients wait.
    pub fn len(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Registers a waiter behind all others. If it has keys, the caller holds the store's lock under which its command
    /// found nothing.
    pub fn register(&self, client: WaitingClient, wait: Wait) -> Arc<Waiter> {
        self.waiting.fetch_add(1, Relaxed);
        let waiter = Arc::new(Waiter::new(client, wait, self.waiting.clone()));
        if !waiter.keys.is_empty() {
            let mut queues = lock(&self.queues);
            let ticket = self.last_ticket.fetch_add(1, Relaxed) + 1;
            waiter.ticket.store(ticket, Relaxed);
            let keys = queues.entry(waiter.client.db).or_default();
            for key in &waiter.keys {
                let queue = keys.entry(key.clone()).or_default();
                queue.insert(ticket, waiter.clone());
            }
        }
        waiter
    }

    /// Removes a waiter whose wait has ended from the queues of its keys.
    pub fn unregister(&self, waiter: &Waiter) {
        if !waiter.keys.is_empty() {
            forget(&mut lock(&self.queues), waiter);
        }
    }

    /// Ends all waits for keys.
    pub fn end_all(&self, outcome: &Outcome) {
        let queues = lock(&self.queues);
        for queue in queues.values().flat_map(HashMap::values) {
            for waiter in queue.values() {
                waiter.end(outcome.clone());
            }
        }
    }

    /// Serves the first client after `ticket` that waits for `key` and for which the key has something. Returns its
    /// waiter; the caller calls [`Waiter::deliver`] after the store's write lock is released.
    pub fn serve_next(
        &self,
        (index, db): (usize, &mut Db),
        key: &[u8],
        ticket: u64,
        propagation: &mut Propagation,
        now: i64,
    ) -> Option<Arc<Waiter>> {
        let mut queues = lock(&self.queues);
        let queue = queues.get(&index)?.get(key)?;
        // As in Redis, looking the key up for its waiters deletes it if it has expired.
        if ticket == 0 && queue.values().any(|waiter| waiter.is_waiting()) {
            db.expire_if_due(key, now);
        }
        let mut waiters = queue.range(ticket + 1..).map(|(_, waiter)| waiter);
        let served = waiters.find(|waiter| waiter.serve(db, key, propagation, now))?;
        let served = served.clone();
        forget(&mut queues, &served);
        Some(served)
    }

    /// The keys of database `index` whose waiters may be served after the keyspace `old` was replaced by `new`: those
    /// that were in `old` or are in `new`, with a value of a type that clients can wait for. Costs two lookups per key
    /// that is waited for. Mirrors `scanDatabaseForReadyKeys` and `scanDatabaseForDeletedStreams`.
    pub fn keys_affected(&self, index: usize, old: &Keyspace, new: &Keyspace) -> Vec<Vec<u8>> {
        if !self.any() {
            return vec![];
        }
        let can_be_awaited = |keys: &Keyspace, key: &[u8]| {
            keys.get(key)
                .is_some_and(|object| object.value.can_be_awaited())
        };
        let queues = lock(&self.queues);
        let keys = queues.get(&index).into_iter().flat_map(HashMap::keys);
        keys.filter(|key| can_be_awaited(old, key) || can_be_awaited(new, key))
            .cloned()
            .collect()
    }
}

/// Removes a waiter from the queues of all its keys.
fn forget(queues: &mut HashMap<usize, HashMap<Vec<u8>, WaitQueue>>, waiter: &Waiter) {
    let Some(keys) = queues.get_mut(&waiter.client.db) else {
        return;
    };
    let ticket = waiter.ticket.load(Relaxed);
    for key in &waiter.keys {
        if let Some(queue) = keys.get_mut(key) {
            queue.remove(&ticket);
            if queue.is_empty() {
                keys.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::outbox::tests::pair;
    use crate::store::{AccessPolicy, Ttl, Value};

    /// Removes the key and replies with its value.
    struct Take;

    impl Service for Take {
        fn can_serve(&self, db: &Db, key: &[u8], now: i64) -> bool {
            db.contains(key, now)
        }

        fn serve(
            &mut self,
            db: &mut Db,
            key: &[u8],
            serving: &mut Serving<'_>,
        ) -> Result<(), Error> {
            if let Some(object) = db.remove(key, serving.now) {
                serving.reply.bulk(&object.value.as_string()?);
            }
            Ok(())
        }
    }

    fn wait_for_k() -> Wait {
        Wait {
            keys: vec![b"k".to_vec()],
            timeout: None,
            service: Some(Box::new(Take)),
            acks: None,
        }
    }

    fn waiting_client(outbox: &Arc<Outbox>) -> WaitingClient {
        WaitingClient {
            outbox: outbox.clone(),
            db: 0,
            command: 0,
            resp3: false,
            silent: false,
        }
    }

    fn set_k(db: &mut Db) {
        let ttl = Ttl::Clear;
        db.set(b"k", Value::int(7), ttl, AccessPolicy::Lru { now: 0 }, 0);
    }

    #[test]
    fn the_first_that_is_still_connected_is_served() {
        let (blocking, mut db) = (Blocking::default(), Db::default());
        let mut clients = [pair(), pair(), pair()];
        let all = clients
            .each_ref()
            .map(|(outbox, _)| blocking.register(waiting_client(outbox), wait_for_k()));
        // The first peer hangs up.
        clients[0].1 = pair().1;
        while clients[0].0.is_connected() {
            std::thread::yield_now();
        }
        set_k(&mut db);
        let mut nothing = Propagation::default();
        let served = blocking.serve_next((0, &mut db), b"k", 0, &mut nothing, 0);
        let served = served.unwrap();
        assert!(Arc::ptr_eq(&served, &all[1]));
        let after = served.ticket();
        let next = blocking.serve_next((0, &mut db), b"k", after, &mut nothing, 0);
        assert!(next.is_none());
        assert_eq!(blocking.len(), 2);
        // Nothing else can end the wait of a client that was served.
        assert!(!all[1].end(Outcome::TimedOut));
        // Its thread does not sleep yet, and may have something to send first: it sends the reply itself.
        served.deliver();
        let expected = Outcome::Served {
            unsent: b"$1\r\n7\r\n".to_vec(),
        };
        assert_eq!(all[1].sleep(None), expected);
        assert!(db.is_empty());
        assert!(all[2].end(Outcome::TimedOut) && !all[2].end(Outcome::Gone));
        assert!(all[0].end(Outcome::Gone));
        all.iter().for_each(|w| blocking.unregister(w));
        assert_eq!(blocking.len(), 0);
        assert!(lock(&blocking.queues)[&0].is_empty());
    }

    #[test]
    fn a_connection_that_is_closed_before_the_sleep_ends_the_wait_at_once() {
        let (blocking, (outbox, peer)) = (Blocking::default(), pair());
        let waiter = blocking.register(waiting_client(&outbox), wait_for_k());
        peer.shutdown(std::net::Shutdown::Both).unwrap();
        while outbox.is_connected() {
            std::thread::yield_now();
        }
        let began = Instant::now();
        assert_eq!(waiter.sleep(None), Outcome::Gone);
        assert!(began.elapsed() < POLL_INTERVAL);
        assert_eq!(blocking.len(), 0);
    }

    #[test]
    fn a_large_reply_is_left_to_the_clients_thread() {
        let (blocking, (outbox, _peer)) = (Blocking::default(), pair());
        let waiter = blocking.register(waiting_client(&outbox), wait_for_k());
        lock(&waiter.state).asleep = true;
        let reply = vec![b'x'; UNCOUNTED_OUTPUT + 1];
        assert!(waiter.claim(reply.clone()));
        waiter.deliver();
        assert_eq!(waiter.sleep(None), Outcome::Served { unsent: reply });
    }

    #[test]
    fn a_sleeping_client_gets_its_reply_from_the_writer() {
        use std::io::Read;
        let (blocking, mut db, (outbox, mut peer)) = (Blocking::default(), Db::default(), pair());
        let waiter = blocking.register(waiting_client(&outbox), wait_for_k());
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| waiter.sleep(None));
            while !lock(&waiter.state).asleep {
                std::thread::yield_now();
            }
            set_k(&mut db);
            let mut nothing = Propagation::default();
            let served = blocking.serve_next((0, &mut db), b"k", 0, &mut nothing, 0);
            served.unwrap().deliver();
            let expected = Outcome::Served { unsent: vec![] };
            assert_eq!(sleeper.join().unwrap(), expected);
            let mut reply = [0; 7];
            peer.read_exact(&mut reply).unwrap();
            assert_eq!(&reply, b"$1\r\n7\r\n");
        });
    }
}
