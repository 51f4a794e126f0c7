//! The data: what every lock in this server protects.
//!
//! A [`Store`] is a row of databases, and a [`Db`] maps keys to objects. Nothing in here knows of
//! clients, sockets or locks; it is a library of data structures.
//!
//! # Sharing with snapshots
//!
//! A snapshot is the data as it was at one moment, for an RDB file or a replica, while clients go on changing it. Redis
//! forks, and the kernel copies pages. Here every large thing consists of parts of some thousand bytes that snapshot and
//! writer share, and a writer copies the part that it is about to change, if a snapshot still holds it. The same rule,
//! at each level:
//!
//! ```text
//!   keyspace        shards       of some thousand keys      db, sharded
//!     string        bytes        shared from 1 KB on        small_bytes
//!     hash, set     shards       of some thousand fields    sharded
//!     stream        nodes        of some hundred entries    stream, listpack
//!       group       leaves       of 128 pending entries     shared_map
//! ```
//!
//! So no step takes long: neither the snapshot, nor the first change after it, nor growth, nor dropping a part.
//!
//! # Reading order
//!
//! Bytes first:
//!
//! * [`small_bytes`]: byte strings; short ones in place, long ones shared;
//! * [`listpack`]: many small elements in one allocation, in Redis's format.
//!
//! Then maps:
//!
//! * [`dict`]: the hash table, with a stable SCAN and random elements;
//! * [`sharded`]: a hash table of any size, made of Dicts, without long steps;
//! * [`shared_map`]: an ordered map, a B+tree of shared leaves.
//!
//! Then what a key holds:
//!
//! * [`object`]: a value, its expiry and its last use;
//! * [`stream`]: the log of entries and its consumer groups.
//!
//! And all together: [`db`], the keyspace with expiry and scanning.

pub mod db;
pub mod dict;
pub mod keyspace;

pub mod listpack;
pub mod object;
pub mod reports;
pub mod sharded;
pub mod shared_map;
pub mod small_bytes;
pub mod stream;
pub mod string;
pub mod value;

pub use db::{Db, ExpiryPolicy, Garbage, Ttl};
pub use keyspace::Keyspace;
pub use object::{AccessPolicy, NEVER, Object};
pub use reports::{Class, Report, Wanted};
pub use string::StringValue;
pub use value::{Type, Value, WrongType};

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

    /// Exchanges the contents of two databases. Clients that wait for a key or watch one name the database by its number, so
    /// they are not exchanged.
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
