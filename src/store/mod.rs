//! The data: what every lock in this server protects.
//!
//! A [`Store`] is a row of databases, and a [`Db`] maps keys to objects. Nothing in here knows of
//! clients, sockets or locks; it is a library of data structures, and can be read from the bottom up:
//!
//! * [`small_bytes`], short byte strings in place; [`dict`], the hash table; [`object`], a value, its
//!   expiry and its last use;
//! * [`stream`], the type this project is about;
//! * [`cow`], what a snapshot can share; [`db`], the keyspace: shards, expiry, scanning.

pub mod cow;
pub mod db;
pub mod dict;
pub mod listpack;
pub mod object;
pub mod reports;
pub mod small_bytes;
pub mod stream;

pub use db::{Db, Expiry, Garbage, Keep, Keyspace, KeyspaceSnapshot};
pub use object::{NEVER, Object, Type, Usage, Value, WrongType};
pub use reports::{Class, Report, Wanted};

/// All databases of a server.
pub struct Store {
    pub dbs: Vec<Db>,
    /// Pairs of databases whose contents were exchanged, since this was last taken.
    pub swapped: Vec<(usize, usize)>,
}

impl Store {
    pub fn new(databases: usize) -> Store {
        Store {
            dbs: (0..databases).map(|_| Db::default()).collect(),
            swapped: vec![],
        }
    }

    /// Exchanges the contents of two databases. Who waits for or watches a key does so by the number
    /// of the database, and so is not exchanged.
    pub fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let (first, second) = self.pair(a, b);
        first.swap_contents(second);
        self.swapped.push((a, b));
    }

    /// Two different databases at once.
    pub fn pair(&mut self, a: usize, b: usize) -> (&mut Db, &mut Db) {
        let (low, high) = self.dbs.split_at_mut(a.max(b));
        let (low, high) = (&mut low[a.min(b)], &mut high[0]);
        if a < b { (low, high) } else { (high, low) }
    }
}
