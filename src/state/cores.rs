//! How many turns the threads of this server have had on each core.
//!
//! A client's thread that yields its core cannot see who runs in the meantime. It compares the number of turns on the core
//! before and after: if the wait was long and this server's threads had few turns, another program uses the core.
//! The only reader is `server/look.rs`.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Cores with the same number modulo this share a counter. A wrong count costs a thread a move, and nothing else.
const COUNTERS: usize = 64;

/// A counter in a cache line of its own, so that threads of different cores do not slow each other down.
#[repr(align(64))]
#[derive(Default)]
struct Counter(AtomicU32);

/// A counter of turns for each core.
pub struct Cores([Counter; COUNTERS]);

impl Default for Cores {
    fn default() -> Cores {
        Cores(std::array::from_fn(|_| Counter::default()))
    }
}

impl Cores {
    /// The turns on a core so far. The number wraps around.
    pub fn turns(&self, core: usize) -> u32 {
        self.0[core % COUNTERS].0.load(Relaxed)
    }

    /// Counts a turn of the calling thread.
    pub fn count_turn(&self, core: usize) {
        self.0[core % COUNTERS].0.fetch_add(1, Relaxed);
    }
}
