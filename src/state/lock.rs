//! The locks of the server, and the one order in which a thread may take them.
//!
//! Two threads that take the same two locks in different orders can wait for each other forever. So every kind of lock
//! has a [`Rank`], and a thread that holds a lock takes only locks of a higher rank. Every mutex of the server is a
//! [`Lock`], and the lock of the store is a [`ReadWriteLock`]. Neither can be made without a rank.
//!
//! Debug builds check the order. Each thread keeps a list of the ranks that it holds. A thread that takes a lock out of
//! order panics at once and names both ranks, even if no other thread is waiting. Release builds keep no list and no
//! rank: there a [`Lock`] is a `Mutex` and nothing else.
//!
//! # The order
//!
//! A thread may take a lock while it holds any lock above it in this table. The last column lists the locks that a
//! thread may hold at that moment in today's code.
//!
//! | Rank            | What it protects                                         | Taken while these are held |
//! |-----------------|----------------------------------------------------------|----------------------------|
//! | `Store`         | all data; the server's role changes under it             | nothing: it is the first   |
//! | `Blocking`      | the queues of clients that wait for keys                 | `Store`: to register and to serve |
//! | `Watches`       | the keys that clients watch                              | `Store`: a watched key was modified |
//! | `AckWaiters`    | the clients that wait for acknowledgements of replicas   | `Store`: the role changes  |
//! | `LastSeen`      | when this server last had a replica                      | nothing                    |
//! | `Replicas`      | the list of replicas                                     | `Store`; `AckWaiters`: to count the replicas that have acknowledged; `LastSeen` |
//! | `Shutdown`      | the shutdown that waits for replicas, and its clients    | `Store`: writes are paused at a known offset |
//! | `Failover`      | the phase of the failover                                | `Store`                    |
//! | `CopyRounds`    | the round of copies that replicas can join               | nothing                    |
//! | `CopyRound`     | the replicas that share one copy                         | `Store`: the copy is taken; `CopyRounds` |
//! | `Sending`       | the order of the bytes to a replica                      | nothing                    |
//! | `Settings`      | the settings in force                                    | `Store`; `CopyRound`; `Sending`: the feeder reads `repl-timeout` |
//! | `History`       | the replids of the history of the data                   | `Store`: it changes under the write lock; `CopyRound` |
//! | `WritePause`    | why writes are paused                                    | `Store`; `Shutdown`        |
//! | `Link`          | the connection to the primary, and its status            | `Store`; `History`: the replica resumes under a known replid |
//! | `Clients`       | the list of connected clients                            | `Store`: CLIENT LIST in a transaction |
//! | `ClientWaiter`  | the wait of one client                                   | `Store`                    |
//! | `Waiter`        | the progress of one wait; its service runs under it      | `Store` and `Blocking`: to serve; `AckWaiters`; `Shutdown`; `ClientWaiter` |
//! | `ClientName`    | the name of one client                                   | `Store`, as `Clients`      |
//! | `ClientLibrary` | the name and version of one client's library             | `Store`, as `Clients`      |
//! | `ReplicaIp`     | the address that a replica has announced                 | `Store`: INFO, ROLE, FAILOVER |
//! | `ReplicaReady`  | whether a replica has its copy of the data               | nothing                    |
//! | `Journal`       | what has changed, and the positions of its readers       | `Store`: writers append; `Settings`: `repl-backlog-size`; `CopyRound`; `History`; `Sending` |
//! | `Errors`        | the numbers of error replies by code                     | `Store`; `Waiter`: a client was served with an error |
//! | `Rates`         | the latest measured rates                                | `Store`: INFO              |
//! | `Process`       | what the system last said about this process             | `Store`: INFO              |
//! | `Addresses`     | the addresses that the server listens on                 | `Store`: INFO              |
//! | `Outbox`        | what is to be sent to one client                         | nothing                    |
//! | `Stop`          | nothing: threads sleep on it until the server must stop  | nothing                    |
//! | `LogFile`       | the file of the server's log                             | nothing                    |
//!
//! A thread never holds two locks of the same rank, for instance those of two clients: the check forbids it, too. (A
//! thread that uses two servers of one process follows the same order across both.)
//!
//! # Waiting
//!
//! * A thread that sleeps on a condition variable holds only the lock that belongs to it. [`Guard::wait_timeout`] and
//!   [`Guard::wait_timeout_while`] check that.
//! * Nothing that can wait for a peer or a disk happens under the lock of the store. The code that does such a thing
//!   calls [`may_wait`], which checks that: the server's log, the drainers of outboxes, the client's thread while it
//!   waits to read or to send, the feeders of replicas.
//!
//! Two exceptions are intended: DEBUG SLEEP holds the store's lock, which stops the whole server for a while, and CONFIG
//! REWRITE in a transaction writes its file under the transaction's lock.
//!
//! # Panics
//!
//! A thread that panics while it holds a lock *poisons* it. The guards here ignore that: see the notes in
//! [the module above](super).
//!
//! # Invariants
//!
//! * The order of the variants of [`Rank`] is the order of the table.

use std::ops::{Deref, DerefMut};
use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    TryLockError,
};
use std::time::Duration;

/// The kinds of locks, in the order in which a thread may take them. The table above explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Store,
    Blocking,
    Watches,
    AckWaiters,
    LastSeen,
    Replicas,
    Shutdown,
    Failover,
    CopyRounds,
    CopyRound,
    Sending,
    Settings,
    History,
    WritePause,
    Link,
    Clients,
    ClientWaiter,
    Waiter,
    ClientName,
    ClientLibrary,
    ReplicaIp,
    ReplicaReady,
    Journal,
    Errors,
    Rates,
    Process,
    Addresses,
    Outbox,
    Stop,
    LogFile,
}

/// A mutex with a rank.
pub struct Lock<T> {
    /// The rank, in debug builds.
    rank: LockRank,
    mutex: Mutex<T>,
}

impl<T> Lock<T> {
    /// A lock of this rank, free.
    pub fn new(rank: Rank, value: T) -> Lock<T> {
        Lock {
            rank: LockRank::new(rank),
            mutex: Mutex::new(value),
        }
    }

    /// Takes the lock if no thread holds it. This, too, must follow the order, because the thread may then wait for
    /// other locks.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let held = self.rank.enter();
        let guard = match self.mutex.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(e)) => e.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(Guard { guard, held })
    }
}

/// Takes a lock, and waits until it is free. Ignores that a thread has panicked under it.
#[inline]
pub fn lock<T>(lock: &Lock<T>) -> Guard<'_, T> {
    let held = lock.rank.enter();
    let guard = lock.mutex.lock().unwrap_or_else(PoisonError::into_inner);
    Guard { guard, held }
}

/// A [`Lock`] that is held. Dropping it releases the lock.
pub struct Guard<'a, T> {
    guard: MutexGuard<'a, T>,
    held: HeldRank,
}

impl<T> Guard<'_, T> {
    /// Releases the lock, sleeps until `condvar` is notified, for `time` at most, and takes the lock again.
    pub fn wait_timeout(self, condvar: &Condvar, time: Duration) -> Self {
        let Guard { guard, held } = self;
        held.check_alone();
        let waited = condvar.wait_timeout(guard, time);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Guard { guard, held }
    }

    /// Sleeps in the same way while `condition` holds, for `time` at most. The condition is checked before the first
    /// sleep and after each notification.
    pub fn wait_timeout_while(
        self,
        condvar: &Condvar,
        time: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Self {
        let Guard { guard, held } = self;
        held.check_alone();
        let waited = condvar.wait_timeout_while(guard, time, condition);
        let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
        Guard { guard, held }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A read-write lock with a rank.
pub struct ReadWriteLock<T> {
    rank: LockRank,
    lock: RwLock<T>,
}

impl<T> ReadWriteLock<T> {
    /// A lock of this rank, free.
    pub fn new(rank: Rank, value: T) -> ReadWriteLock<T> {
        ReadWriteLock {
            rank: LockRank::new(rank),
            lock: RwLock::new(value),
        }
    }

    /// Takes the lock for reading. Other readers may hold it at the same time.
    #[inline]
    pub fn read(&self) -> ReadGuard<'_, T> {
        let held = self.rank.enter();
        let guard = self.lock.read().unwrap_or_else(PoisonError::into_inner);
        ReadGuard { guard, _held: held }
    }

    /// Takes the lock for writing. No other thread holds it then.
    #[inline]
    pub fn write(&self) -> WriteGuard<'_, T> {
        let held = self.rank.enter();
        let guard = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        WriteGuard { guard, _held: held }
    }
}

/// A [`ReadWriteLock`] that is held for reading.
pub struct ReadGuard<'a, T> {
    guard: RwLockReadGuard<'a, T>,
    _held: HeldRank,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

/// A [`ReadWriteLock`] that is held for writing.
pub struct WriteGuard<'a, T> {
    guard: RwLockWriteGuard<'a, T>,
    _held: HeldRank,
}

impl<T> Deref for WriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

pub use check::may_wait;
use check::{HeldRank, LockRank};

/// The check of debug builds.
#[cfg(debug_assertions)]
mod check {
    use super::Rank;
    use std::cell::RefCell;
    use std::thread;

    thread_local! {
        /// The ranks of the locks that this thread holds.
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(vec![]) };
    }

    /// The rank of a lock.
    pub struct LockRank(Rank);

    impl LockRank {
        /// A lock of this rank.
        pub fn new(rank: Rank) -> LockRank {
            LockRank(rank)
        }

        /// Notes that this thread takes the lock. Panics if the thread holds a lock of the same or a higher rank.
        pub fn enter(&self) -> HeldRank {
            let last = HELD.with_borrow(|held| held.iter().max().copied());
            if let Some(last) = last
                && last >= self.0
                && !thread::panicking()
            {
                panic!("lock order: took {:?} while holding {last:?}", self.0);
            }
            HELD.with_borrow_mut(|held| held.push(self.0));
            HeldRank(self.0)
        }
    }

    /// Exists as long as the thread holds the lock.
    pub struct HeldRank(Rank);

    impl HeldRank {
        /// Panics if the thread holds another lock.
        pub fn check_alone(&self) {
            let other = HELD.with_borrow(|held| held.iter().find(|rank| **rank != self.0).copied());
            if let Some(other) = other
                && !thread::panicking()
            {
                panic!(
                    "lock order: waited with {:?} while holding {other:?}",
                    self.0
                );
            }
        }
    }

    impl Drop for HeldRank {
        fn drop(&mut self) {
            HELD.with_borrow_mut(|held| {
                if let Some(at) = held.iter().rposition(|rank| *rank == self.0) {
                    held.remove(at);
                }
            });
        }
    }

    /// Announces that this thread is about to do `what`, which can wait for a peer or a disk. Panics if the thread holds
    /// the lock of the store.
    pub fn may_wait(what: &str) {
        let holds_store = HELD.with_borrow(|held| held.contains(&Rank::Store));
        if holds_store && !thread::panicking() {
            panic!("lock order: {what} while holding {:?}", Rank::Store);
        }
    }
}

/// Release builds check nothing: the same names, without work.
#[cfg(not(debug_assertions))]
mod check {
    use super::Rank;

    pub struct LockRank;

    impl LockRank {
        #[inline]
        pub fn new(_: Rank) -> LockRank {
            LockRank
        }

        #[inline]
        pub fn enter(&self) -> HeldRank {
            HeldRank
        }
    }

    pub struct HeldRank;

    impl HeldRank {
        #[inline]
        pub fn check_alone(&self) {}
    }

    #[inline]
    pub fn may_wait(_: &str) {}
}

#[cfg(test)]
#[cfg(debug_assertions)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::thread;

    /// What a panic in `f` says.
    fn panic_of<R>(f: impl FnOnce() -> R) -> Option<String> {
        let caught = catch_unwind(AssertUnwindSafe(|| drop(f())));
        caught
            .err()
            .and_then(|why| why.downcast::<String>().ok())
            .map(|text| *text)
    }

    #[test]
    fn a_lock_out_of_order_panics() {
        let (waiter, clients) = (Lock::new(Rank::Waiter, 1), Lock::new(Rank::Clients, 2));
        {
            let first = lock(&clients);
            assert_eq!(*first + *lock(&waiter), 3);
        }
        let held = lock(&waiter);
        let text = "lock order: took Clients while holding Waiter";
        assert_eq!(panic_of(|| lock(&clients)).as_deref(), Some(text));
        assert_eq!(panic_of(|| clients.try_lock()).as_deref(), Some(text));
        drop(held);
        // The failed attempts are forgotten, and another thread's locks do not count.
        let held = lock(&clients);
        thread::scope(|scope| scope.spawn(|| *lock(&Lock::new(Rank::Store, 0))).join()).unwrap();
        drop(held);
        assert_eq!(panic_of(|| lock(&clients)), None);
    }

    #[test]
    fn the_same_lock_twice_panics() {
        let store = ReadWriteLock::new(Rank::Store, ());
        let _first = store.read();
        let text = "lock order: took Store while holding Store";
        assert_eq!(panic_of(|| store.read()).as_deref(), Some(text));
        assert_eq!(panic_of(|| store.write()).as_deref(), Some(text));
    }

    #[test]
    fn locks_may_be_released_in_any_order() {
        let [a, b, c] = [Rank::Store, Rank::Waiter, Rank::Journal].map(|rank| Lock::new(rank, ()));
        let (first, second) = (lock(&a), lock(&b));
        drop(first);
        let third = lock(&c);
        drop(second);
        let text = "lock order: took Waiter while holding Journal";
        assert_eq!(panic_of(|| lock(&b)).as_deref(), Some(text));
        drop(third);
        drop((lock(&a), lock(&b)));
    }

    #[test]
    fn a_wait_gives_the_rank_back() {
        let shared = Arc::new((Lock::new(Rank::Waiter, false), Condvar::new()));
        let other = shared.clone();
        let setter = thread::spawn(move || {
            *lock(&other.0) = true;
            other.1.notify_all();
        });
        let (flag, wake) = &*shared;
        let guard = lock(flag).wait_timeout_while(wake, Duration::from_secs(10), |set| !*set);
        assert!(*guard);
        let guard = guard.wait_timeout(wake, Duration::ZERO);
        setter.join().unwrap();
        // The lock is held again, and its rank with it.
        let clients = Lock::new(Rank::Clients, ());
        let text = "lock order: took Clients while holding Waiter";
        assert_eq!(panic_of(|| lock(&clients)).as_deref(), Some(text));
        drop(guard);
        assert_eq!(panic_of(|| lock(&clients)), None);
    }

    #[test]
    fn a_thread_that_waits_holds_nothing_else() {
        let (clients, flag) = (Lock::new(Rank::Clients, ()), Lock::new(Rank::Waiter, ()));
        let wake = Condvar::new();
        let held = lock(&clients);
        let text = "lock order: waited with Waiter while holding Clients";
        let wait = || lock(&flag).wait_timeout(&wake, Duration::ZERO);
        assert_eq!(panic_of(wait).as_deref(), Some(text));
        drop(held);
        let store = ReadWriteLock::new(Rank::Store, ());
        let _store = store.read();
        let text = "lock order: a line of the log while holding Store";
        assert_eq!(
            panic_of(|| may_wait("a line of the log")).as_deref(),
            Some(text)
        );
    }
}
