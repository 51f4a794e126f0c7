//! WATCH: who must know that a key has changed.
//!
//! A client that watches keys has a flag; a writer that changes one of them raises it, under the
//! write lock, and EXEC looks at it under the write lock too. So between a client's look at a key and
//! its EXEC no change goes unnoticed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::lock;

/// Raised when a watched key has changed.
pub type Flag = Arc<AtomicBool>;

/// A key in a database.
type Place = (usize, Vec<u8>);

/// All watched keys of a server.
#[derive(Default)]
pub struct Watches {
    flags: Mutex<HashMap<Place, Vec<Flag>>>,
    /// How many keys are watched, for writers to see without the lock that nobody watches.
    count: AtomicUsize,
}

impl Watches {
    #[inline]
    pub fn any(&self) -> bool {
        self.count.load(Relaxed) > 0
    }

    /// Begins to watch. The caller holds the store's lock, so no change can slip in between.
    pub fn add(&self, db: usize, key: &[u8], flag: &Flag) {
        let mut flags = lock(&self.flags);
        flags
            .entry((db, key.to_vec()))
            .or_default()
            .push(flag.clone());
        self.count.fetch_add(1, Relaxed);
    }

    pub fn remove(&self, db: usize, key: &[u8], flag: &Flag) {
        let mut flags = lock(&self.flags);
        let place = (db, key.to_vec());
        if let Some(list) = flags.get_mut(&place) {
            let before = list.len();
            list.retain(|f| !Arc::ptr_eq(f, flag));
            self.count.fetch_sub(before - list.len(), Relaxed);
            if list.is_empty() {
                flags.remove(&place);
            }
        }
    }

    /// A key has changed: raises the flags of all who watch it.
    pub fn touch(&self, db: usize, key: &[u8]) {
        if !self.any() {
            return;
        }
        if let Some(list) = lock(&self.flags).get(&(db, key.to_vec())) {
            list.iter().for_each(|flag| flag.store(true, Relaxed));
        }
    }
}
