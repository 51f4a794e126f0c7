//! Clients that wait for a key.
//!
//! A command that finds nothing to take, and may wait, leaves a [`Waiter`] behind: the keys it waits
//! for and a [`Service`], a piece of code that takes what it wants from a key. Its thread then sleeps on the waiter's
//! `Condvar`. Whoever changes one of the keys serves the waiters *itself*, before it gives the write lock back:
//!
//! ```text
//!   reader's thread                     writer's thread
//!   ───────────────                     ───────────────
//!   lock ─ nothing there ─ register
//!   unlock, sleep ..................... lock
//!                                       XADD
//!                                       for each waiter of the key, first come first:
//!                                           still connected? run its service, leave the reply
//!   wakes with the reply ◄───────────── notify, unlock
//! ```
//!
//! So the order of service is the order of arrival, no third client can snatch what a waiter was
//! promised, and no wake-up is lost: a waiter registers under the same lock under which it saw nothing.
//! The sleeper itself never needs the store's lock again.
//!
//! Serving has two halves. Under the lock the service runs, and the reply is put aside ([`Waiter::serve`]). When the
//! lock is free the writer sends it, into a socket whose own thread is asleep, and only then wakes that thread
//! ([`Waiter::deliver`]): so the client has its answer without waiting for one thread to wake another. What the
//! socket does not take at once the thread sends itself.
//!
//! Whoever ends a wait — the writer, the timeout, CLIENT UNBLOCK, CLIENT KILL, the server's stop — does it under the
//! waiter's own lock, and only if nobody has before. So there is one outcome, and a service is never run for
//! somebody who has left.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::journal::Effects;
use super::{Shared, lock};
use crate::resp::{Error, Reply};
use crate::store::Db;

/// Tries to take something from a key that has changed. It writes the reply and returns true, or does nothing and
/// returns false.
pub type Service = Box<dyn FnMut(&mut Db, &[u8], &mut Serving<'_>) -> bool + Send>;

/// What a service works with, its data aside.
pub struct Serving<'a> {
    pub reply: &'a mut Reply,
    /// What it does goes to the replicas, as if the waiting client had run its command now.
    pub effects: &'a mut Effects,
    /// Unix time in milliseconds.
    pub now: i64,
}

/// Writes the reply of a client whose time is up.
pub type OnTimeout = Box<dyn Fn(&Shared, &mut Reply) + Send + Sync>;

/// What a command asks for when it cannot be answered yet.
pub struct Wait {
    /// The keys of the current database whose change may bring an answer.
    pub keys: Vec<Vec<u8>>,
    /// How long to wait at most; `None` is for ever.
    pub timeout: Option<Duration>,
    pub service: Service,
    /// What is replied when the time is up, if it is not a null array.
    pub on_timeout: Option<OnTimeout>,
    /// It waits for so many replicas to come up to an offset.
    pub acks: Option<(u64, usize)>,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A writer answered: so many bytes of the reply were sent, and these were not.
    Served { sent: usize, rest: Vec<u8> },
    /// Time is up: the command answers that there was nothing.
    TimedOut,
    /// Somebody ended the wait with an error.
    Failed(Error),
    /// The connection is to be closed.
    Gone,
}

/// A client that waits.
pub struct Waiter {
    pub db: usize,
    pub keys: Vec<Vec<u8>>,
    resp3: bool,
    /// The client does not want the reply, whatever it will be (CLIENT REPLY).
    pub silent: bool,
    on_timeout: Option<OnTimeout>,
    state: Mutex<State>,
    wake: Condvar,
    peer: Box<dyn Peer>,
}

/// The other end of a waiter's connection.
pub trait Peer: Send + Sync {
    /// Whether it is still there.
    fn is_connected(&self) -> bool;
    /// Sends what can be sent without waiting, and tells how many bytes that was.
    fn send_now(&self, bytes: &[u8]) -> usize;
}

struct State {
    progress: Progress,
    /// Its thread sleeps, and has sent all it had to send: others may use its socket.
    asleep: bool,
}

enum Progress {
    Waiting(Service),
    /// Served, and the reply is on its way.
    Claimed(Vec<u8>),
    Ended(Outcome),
}

impl Waiter {
    pub fn new(db: usize, wait: Wait, resp3: bool, silent: bool, peer: Box<dyn Peer>) -> Waiter {
        let state = State {
            progress: Progress::Waiting(wait.service),
            asleep: false,
        };
        Waiter {
            db,
            keys: wait.keys,
            resp3,
            silent,
            on_timeout: wait.on_timeout,
            state: Mutex::new(state),
            wake: Condvar::new(),
            peer,
        }
    }

    /// Serves the waiter if `key` has what it wants; tells whether it did, and then the reply is to be delivered once the
    /// lock is free. The caller holds the write lock that `db` is under.
    pub fn serve(&self, db: &mut Db, key: &[u8], effects: &mut Effects, now: i64) -> bool {
        let mut state = lock(&self.state);
        let Progress::Waiting(service) = &mut state.progress else {
            return false;
        };
        if !self.peer.is_connected() {
            return false; // its own thread will find out, and nothing is taken for it
        }
        let mut reply = Reply {
            resp3: self.resp3,
            ..Reply::default()
        };
        let mut serving = Serving {
            reply: &mut reply,
            effects,
            now,
        };
        let served = service(db, key, &mut serving);
        if served {
            state.progress = Progress::Claimed(reply.out);
        }
        served
    }

    /// Serves the waiter with a reply that needs no data; tells whether it still waited. The reply is to be delivered.
    pub fn claim(&self, reply: Vec<u8>) -> bool {
        let mut state = lock(&self.state);
        let waiting = matches!(state.progress, Progress::Waiting(_));
        if waiting {
            state.progress = Progress::Claimed(reply);
        }
        waiting
    }

    pub fn is_waiting(&self) -> bool {
        matches!(lock(&self.state).progress, Progress::Waiting(_))
    }

    /// Writes what is to be replied when time is up.
    pub fn reply_timeout(&self, shared: &Shared, reply: &mut Reply) {
        match &self.on_timeout {
            Some(write) => write(shared, reply),
            None => reply.null_array(),
        }
    }

    /// Sends the reply of a waiter that was served, and wakes its thread. No lock is held.
    pub fn deliver(&self) {
        let mut state = lock(&self.state);
        let asleep = state.asleep;
        if let Progress::Claimed(reply) = &mut state.progress {
            let mut rest = std::mem::take(reply);
            let sent = if asleep && !self.silent {
                self.peer.send_now(&rest)
            } else {
                0
            };
            rest.drain(..sent);
            state.progress = Progress::Ended(Outcome::Served { sent, rest });
            self.wake.notify_one();
        }
    }

    /// Ends the wait if it has not ended yet; tells whether it did.
    pub fn end(&self, outcome: Outcome) -> bool {
        let mut state = lock(&self.state);
        let waiting = matches!(state.progress, Progress::Waiting(_));
        if waiting {
            state.progress = Progress::Ended(outcome);
            self.wake.notify_one();
        }
        waiting
    }

    /// Sleeps until the wait has ended, which it does by itself at `deadline`. Once in a while the sleeper looks whether
    /// its client is still there. It must have sent all its earlier replies: its socket is left to others.
    pub fn sleep(&self, deadline: Option<Instant>) -> Outcome {
        let mut state = lock(&self.state);
        state.asleep = true;
        loop {
            let nap = match &mut state.progress {
                Progress::Ended(outcome) => return std::mem::replace(outcome, Outcome::Gone),
                // The reply is there and about to be delivered; nothing else can happen to it.
                Progress::Claimed(_) => LOOK_ROUND,
                Progress::Waiting(_) => {
                    match deadline.map(|d| d.saturating_duration_since(Instant::now())) {
                        Some(Duration::ZERO) => {
                            state.progress = Progress::Ended(Outcome::TimedOut);
                            continue;
                        }
                        left => left.unwrap_or(LOOK_ROUND).min(LOOK_ROUND),
                    }
                }
            };
            state = self
                .wake
                .wait_timeout(state, nap)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if matches!(state.progress, Progress::Waiting(_)) && !self.peer.is_connected() {
                state.progress = Progress::Ended(Outcome::Gone);
            }
        }
    }
}

/// How long a sleeper sleeps before it looks at its socket.
const LOOK_ROUND: Duration = Duration::from_millis(500);

/// A key in a database.
type Place = (usize, Vec<u8>);

/// All waiters of a server.
#[derive(Default)]
pub struct Blocking {
    queues: Mutex<HashMap<Place, VecDeque<Arc<Waiter>>>>,
    waiters: AtomicUsize,
}

impl Blocking {
    /// Whether anyone waits: writers ask this first, without the lock.
    #[inline]
    pub fn any(&self) -> bool {
        !self.is_empty()
    }

    /// How many clients wait.
    pub fn len(&self) -> usize {
        self.waiters.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys are waited for.
    #[cfg(test)]
    pub fn keys(&self) -> usize {
        lock(&self.queues).len()
    }

    /// Registers a waiter, behind all others. The caller holds the store's lock.
    pub fn register(&self, waiter: &Arc<Waiter>) {
        let mut queues = lock(&self.queues);
        self.waiters.fetch_add(1, Relaxed);
        for key in &waiter.keys {
            let queue = queues.entry((waiter.db, key.clone())).or_default();
            // A key named twice in one command is waited for once.
            if !queue.back().is_some_and(|last| Arc::ptr_eq(last, waiter)) {
                queue.push_back(waiter.clone());
            }
        }
    }

    pub fn unregister(&self, waiter: &Arc<Waiter>) {
        let mut queues = lock(&self.queues);
        self.waiters.fetch_sub(1, Relaxed);
        for key in &waiter.keys {
            let place = (waiter.db, key.clone());
            if let Some(queue) = queues.get_mut(&place) {
                queue.retain(|other| !Arc::ptr_eq(other, waiter));
                if queue.is_empty() {
                    queues.remove(&place);
                }
            }
        }
    }

    /// Ends all waits for keys: the data is about to become another's.
    pub fn end_all(&self, outcome: &Outcome) {
        let queues: Vec<_> = lock(&self.queues).values().cloned().collect();
        for waiter in queues.into_iter().flatten() {
            waiter.end(outcome.clone());
        }
    }

    /// Serves those who wait for `key`, in the order in which they came. Who was served is added to `served`, for the
    /// caller to [`Waiter::deliver`] to when the lock is free.
    pub fn serve(
        &self,
        index: usize,
        db: &mut Db,
        key: &[u8],
        effects: &mut Effects,
        now: i64,
        served: &mut Vec<Arc<Waiter>>,
    ) {
        if !self.any() {
            return;
        }
        let queue = lock(&self.queues).get(&(index, key.to_vec())).cloned();
        served.extend(
            queue
                .into_iter()
                .flatten()
                .filter(|waiter| waiter.serve(db, key, effects, now)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Keep, NEVER, Usage, Value};

    /// A peer whose socket takes three bytes at a time.
    struct Slow {
        connected: bool,
    }

    impl Peer for Slow {
        fn is_connected(&self) -> bool {
            self.connected
        }

        fn send_now(&self, bytes: &[u8]) -> usize {
            bytes.len().min(3)
        }
    }

    fn waiter(connected: bool) -> Arc<Waiter> {
        // Takes the key away and answers its number.
        let service: Service = Box::new(|db, key, serving| {
            let Some(object) = db.remove(key, serving.now) else {
                return false;
            };
            serving
                .reply
                .bulk(&object.value.as_string().unwrap_or_default());
            true
        });
        let wait = Wait {
            keys: vec![b"k".to_vec()],
            timeout: None,
            service,
            on_timeout: None,
            acks: None,
        };
        Arc::new(Waiter::new(
            0,
            wait,
            false,
            false,
            Box::new(Slow { connected }),
        ))
    }

    #[test]
    fn the_first_who_is_still_there_is_served() {
        let (blocking, mut db) = (Blocking::default(), Db::default());
        let all = [waiter(false), waiter(true), waiter(true)];
        all.iter().for_each(|w| blocking.register(w));
        db.set(
            b"k",
            Value::Int(7),
            Keep::Until(NEVER),
            Usage::Lru { now: 0 },
            0,
        );
        let mut served = vec![];
        blocking.serve(0, &mut db, b"k", &mut Effects::default(), 0, &mut served);
        // Nothing else can end the wait of one who has been served.
        assert!(!all[1].end(Outcome::TimedOut));
        // Its thread is not asleep yet, and may have something to send first: it sends the reply itself.
        served.iter().for_each(|w| w.deliver());
        assert_eq!(
            all[1].sleep(None),
            Outcome::Served {
                sent: 0,
                rest: b"$1\r\n7\r\n".to_vec()
            }
        );
        assert!(db.is_empty());
        assert!(all[2].end(Outcome::TimedOut) && !all[2].end(Outcome::Gone));
        all.iter().for_each(|w| blocking.unregister(w));
        assert_eq!((blocking.len(), blocking.keys()), (0, 0));
    }

    #[test]
    fn a_sleeper_is_answered_by_the_writer() {
        let (blocking, mut db, waiter) = (Blocking::default(), Db::default(), waiter(true));
        blocking.register(&waiter);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| waiter.sleep(None));
            while !lock(&waiter.state).asleep {
                std::thread::yield_now();
            }
            db.set(
                b"k",
                Value::Int(7),
                Keep::Until(NEVER),
                Usage::Lru { now: 0 },
                0,
            );
            let mut served = vec![];
            blocking.serve(0, &mut db, b"k", &mut Effects::default(), 0, &mut served);
            served.iter().for_each(|w| w.deliver());
            let rest = b"\n7\r\n".to_vec();
            assert_eq!(sleeper.join().unwrap(), Outcome::Served { sent: 3, rest });
        });
    }

    #[test]
    fn a_wait_ends_by_itself() {
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(waiter(true).sleep(Some(soon)), Outcome::TimedOut);
        assert_eq!(waiter(false).sleep(None), Outcome::Gone);
    }
}
