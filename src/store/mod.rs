//! The data: databases, and the data structures that they consist of.
//!
//! A [`Store`] is a list of databases, and a [`Db`] maps keys to objects. Nothing in here knows of clients, sockets or locks:
//! this is a library of data structures. The server keeps its Store behind one `RwLock` ([`crate::state`]).
//!
//! # Sharing with snapshots
//!
//! A snapshot is the data as they were at one moment. A full copy for a replica is made from it, while clients continue
//! to change the data. Redis
//! forks, and the kernel copies each page that is written to. Here all large things consist of parts, and the snapshot and
//! the writers share the parts. If a snapshot still shares a part, a writer copies that part before it changes it. The rule
//! is the same at each level:
//!
//! ```text
//!   what               its parts                           file
//!   keyspace           shards of some 2,000 keys           sharded
//!     string           one part; shared from 1 KB on       small_bytes
//!     stream           nodes of some hundred entries       stream, listpack
//!       group's PEL    leaves of 128 pending entries       shared_map
//! ```
//!
//! For example: a snapshot is being written, and a client sends SET. The writer copies the shard of the key (about 0.1 ms), and
//! the next SET to the same shard finds that the shard is no longer shared. An XADD copies the shard, the list of the
//! stream's nodes (24 bytes per node) and the last node.
//!
//! # Reading order
//!
//! First, bytes:
//!
//! * [`small_bytes`]: byte strings. Short ones are stored in place, long ones are shared.
//! * [`listpack`]: many small elements in one allocation, in Redis's format.
//!
//! Then, maps:
//!
//! * [`dict`]: the hash table, with a stable SCAN and random elements.
//! * [`sharded`]: a hash table of any size, made of Dicts, without long steps.
//! * [`shared_map`]: an ordered map, a B+tree of shared leaves.
//!
//! Then, what a key holds:
//!
//! * [`contents`]: what each type of values must offer.
//! * [`string`]: strings, in three forms.
//! * [`stream`]: the log of entries and its consumer groups.
//! * [`value`]: a value of one of these types.
//! * [`object`]: a value with its expiry and its last use.
//!
//! And all together:
//!
//! * [`keyspace`]: all keys of a database, as data only.
//! * [`reports`]: what a change reports to the rest of the server.
//! * [`db`]: a database, with expiry, reports and scanning.

pub mod contents;
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
    /// The databases, by number.
    pub dbs: Vec<Db>,
    /// Pairs of databases whose contents SWAPDB exchanged. The `WriteTxn` takes the list and acts on it.
    pub swapped: Vec<(usize, usize)>,
}

impl Store {
    /// A store of this many empty databases.
    pub fn new(databases: usize) -> Store {
        Store {
            dbs: (0..databases).map(|_| Db::default()).collect(),
            swapped: vec![],
        }
    }

    /// Exchanges the keys of two databases. Clients that wait for a key or watch one stay with the number of the database.
    pub fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let (first, second) = self.pair(a, b);
        first.swap_contents(second);
        self.swapped.push((a, b));
    }

    /// Two different databases at once: `a` and `b` must not be equal.
    pub fn pair(&mut self, a: usize, b: usize) -> (&mut Db, &mut Db) {
        let (low, high) = self.dbs.split_at_mut(a.max(b));
        let (low, high) = (&mut low[a.min(b)], &mut high[0]);
        if a < b { (low, high) } else { (high, low) }
    }
}
