//! Pausing writes.
//!
//! A failover and a shutdown wait until replicas have everything. That can only happen if nothing is written in the
//! meantime, so clients whose commands write must wait. Reads go on.
//!
//! ```text
//!   client's thread                                  the thread that pauses
//!   ───────────────                                  ──────────────────────
//!   take the store's write lock
//!   is there a pause? no: write, append to the journal
//!   release the lock ............................... take the store's write lock
//!                                                    begin the pause; the journal's end is final
//!   take the lock again                              release the lock
//!   is there a pause? yes: release the lock, sleep
//!                                                    end the pause
//!   wakes, and tries its command again ◄──────────── notify
//! ```
//!
//! # Invariants
//!
//! * A pause begins under the store's write lock, and a writer checks for it under the same lock. So no write is made
//!   after a pause has begun.
//! * While writes are paused, the server itself writes nothing either: it does not delete expired keys, and its replicas
//!   get no PING.
//! * Each reason begins and ends by itself; writes go on when none is left.

use std::sync::Condvar;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::lock::{Lock, Rank, lock};

/// Why writes are paused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    /// FAILOVER: a replica is about to take over.
    HandOver,
    /// SHUTDOWN or a signal: replicas receive what they do not have yet.
    Shutdown,
}

/// Whether writes are paused.
pub struct WritePause {
    /// Why writes are paused; empty if they are not.
    reasons: Lock<Vec<Reason>>,
    /// Whether there is a reason. Readable without the lock, because every command that writes reads it.
    active: AtomicBool,
    /// Notified when no reason is left.
    ended: Condvar,
}

impl Default for WritePause {
    fn default() -> WritePause {
        WritePause {
            reasons: Lock::new(Rank::WritePause, vec![]),
            active: AtomicBool::default(),
            ended: Condvar::new(),
        }
    }
}

impl WritePause {
    /// Whether writes are paused. Exact for a thread that holds the store's lock, because a pause begins under the write
    /// lock.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Pauses writes. The caller holds the store's write lock.
    pub fn begin(&self, reason: Reason) {
        let mut reasons = lock(&self.reasons);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
        self.active.store(true, Relaxed);
    }

    /// Removes a reason. If none is left, writes go on.
    pub fn end(&self, reason: Reason) {
        let mut reasons = lock(&self.reasons);
        reasons.retain(|other| *other != reason);
        if reasons.is_empty() {
            self.active.store(false, Relaxed);
            self.ended.notify_all();
        }
    }

    /// Sleeps while writes are paused, for `time` at most. Returns whether writes can go on.
    pub fn wait(&self, time: Duration) -> bool {
        let reasons = lock(&self.reasons);
        let is_paused = |reasons: &mut Vec<Reason>| !reasons.is_empty();
        let reasons = reasons.wait_timeout_while(&self.ended, time, is_paused);
        reasons.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_go_on_when_no_reason_is_left() {
        let pause = WritePause::default();
        assert!(!pause.is_active() && pause.wait(Duration::ZERO));
        pause.begin(Reason::HandOver);
        pause.begin(Reason::Shutdown);
        pause.begin(Reason::Shutdown);
        pause.end(Reason::Shutdown);
        assert!(pause.is_active() && !pause.wait(Duration::ZERO));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| pause.wait(Duration::from_secs(10)));
            pause.end(Reason::HandOver);
            assert!(waiter.join().unwrap());
        });
        assert!(!pause.is_active());
    }
}
