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
//! Whoever ends a wait — the writer, the timeout, CLIENT UNBLOCK, CLIENT KILL, the server's stop — does it by
//! setting the [`Outcome`] under the waiter's own lock, and only if none was set before. So there is
//! one outcome, and a service is never run for somebody who has left.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lock;
use crate::resp::{Error, Reply};
use crate::store::Db;

/// Tries to take something from a key that has changed, at Unix time `now` in milliseconds. It writes the reply and
/// returns true, or does nothing and returns false.
pub type Service = Box<dyn FnMut(&mut Db, &[u8], &mut Reply, i64) -> bool + Send>;

/// What a command asks for when it cannot be answered yet.
pub struct Wait {
    /// The keys of the current database whose change may bring an answer.
    pub keys: Vec<Vec<u8>>,
    /// How long to wait at most; `None` is for ever.
    pub timeout: Option<Duration>,
    pub service: Service,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A writer answered; these are the bytes of the reply.
    Served(Vec<u8>),
    /// Time is up: the command answers that there was nothing.
    TimedOut,
    /// Somebody ended the wait with an error.
    Failed(Error),
    /// The connection is to be closed.
    Gone,
}

/// A client that waits.
pub struct Waiter {
    pub client: u64,
    pub db: usize,
    pub keys: Vec<Vec<u8>>,
    resp3: bool,
    progress: Mutex<Progress>,
    wake: Condvar,
    /// Tells whether the client is still connected.
    is_connected: Box<dyn Fn() -> bool + Send + Sync>,
}

enum Progress {
    Waiting(Service),
    Ended(Outcome),
}

impl Waiter {
    pub fn new(
        client: u64,
        db: usize,
        keys: Vec<Vec<u8>>,
        service: Service,
        resp3: bool,
        is_connected: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Waiter {
        let progress = Mutex::new(Progress::Waiting(service));
        Waiter {
            client,
            db,
            keys,
            resp3,
            progress,
            wake: Condvar::new(),
            is_connected,
        }
    }

    /// Serves the waiter if `key` has what it wants. The caller holds the write lock that `db` is under.
    pub fn serve(&self, db: &mut Db, key: &[u8], now: i64) {
        let mut progress = lock(&self.progress);
        let Progress::Waiting(service) = &mut *progress else {
            return;
        };
        if !(self.is_connected)() {
            return; // its own thread will find out, and nothing is taken for it
        }
        let mut reply = Reply {
            resp3: self.resp3,
            ..Reply::default()
        };
        if service(db, key, &mut reply, now) {
            *progress = Progress::Ended(Outcome::Served(reply.out));
            self.wake.notify_one();
        }
    }

    /// Ends the wait if it has not ended yet; tells whether it did.
    pub fn end(&self, outcome: Outcome) -> bool {
        let mut progress = lock(&self.progress);
        let waiting = matches!(*progress, Progress::Waiting(_));
        if waiting {
            *progress = Progress::Ended(outcome);
            self.wake.notify_one();
        }
        waiting
    }

    /// Sleeps until the wait has ended, which it does by itself at `deadline`. Once a second the sleeper
    /// looks whether its client is still there.
    pub fn sleep(&self, deadline: Option<Instant>) -> Outcome {
        let mut progress = lock(&self.progress);
        loop {
            if let Progress::Ended(outcome) = &mut *progress {
                return std::mem::replace(outcome, Outcome::Gone);
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                *progress = Progress::Ended(Outcome::TimedOut);
                continue;
            }
            let nap = left.unwrap_or(LOOK_ROUND).min(LOOK_ROUND);
            progress = self
                .wake
                .wait_timeout(progress, nap)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            if matches!(*progress, Progress::Waiting(_)) && !(self.is_connected)() {
                *progress = Progress::Ended(Outcome::Gone);
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

    /// Serves those who wait for `key`, in the order in which they came.
    pub fn serve(&self, index: usize, db: &mut Db, key: &[u8], now: i64) {
        if !self.any() {
            return;
        }
        let queue = lock(&self.queues).get(&(index, key.to_vec())).cloned();
        for waiter in queue.into_iter().flatten() {
            waiter.serve(db, key, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Keep, NEVER, Usage, Value};

    fn waiter(client: u64, connected: bool) -> Arc<Waiter> {
        // Takes the key away and answers its number.
        let service: Service = Box::new(|db, key, reply, now| {
            let Some(object) = db.remove(key, now) else {
                return false;
            };
            reply.bulk(&object.value.as_string().unwrap_or_default());
            true
        });
        Arc::new(Waiter::new(
            client,
            0,
            vec![b"k".to_vec()],
            service,
            false,
            Box::new(move || connected),
        ))
    }

    #[test]
    fn the_first_who_is_still_there_is_served() {
        let (blocking, mut db) = (Blocking::default(), Db::default());
        let all = [waiter(1, false), waiter(2, true), waiter(3, true)];
        all.iter().for_each(|w| blocking.register(w));
        db.set(
            b"k",
            Value::Int(7),
            Keep::Until(NEVER),
            Usage::Lru { now: 0 },
        );
        blocking.serve(0, &mut db, b"k", 0);
        assert_eq!(all[1].sleep(None), Outcome::Served(b"$1\r\n7\r\n".to_vec()));
        assert!(db.is_empty());
        assert!(all[2].end(Outcome::TimedOut) && !all[2].end(Outcome::Gone));
        all.iter().for_each(|w| blocking.unregister(w));
        assert_eq!((blocking.len(), blocking.keys()), (0, 0));
    }

    #[test]
    fn a_wait_ends_by_itself() {
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(waiter(1, true).sleep(Some(soon)), Outcome::TimedOut);
        assert_eq!(waiter(1, false).sleep(None), Outcome::Gone);
    }
}
