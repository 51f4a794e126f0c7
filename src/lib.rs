//! A Redis server that a person can read from front to back, and also run in earnest.
//!
//! It is written in plain threaded Rust over the standard library: one operating system thread a client, one
//! `RwLock` around the data, `Condvar`s for everything that waits. There is no event loop, no async
//! runtime and no dependency, so all there is to know of it is in these files.
//!
//! # Using it as a library
//!
//! A server is a value. Start one on a port that the system chooses, point any Redis client at it, drop it:
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! let server = redis_clone::Server::start(redis_clone::Config::for_tests())?;
//! let mut client = TcpStream::connect(server.address())?;
//! client.write_all(b"SET greeting hello\r\nGET greeting\r\n")?;
//! let mut reply = [0; 16];
//! client.read_exact(&mut reply)?;
//! assert_eq!(&reply, b"+OK\r\n$5\r\nhello\r\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The tour
//!
//! The modules are layers. Each knows those below it and none above, so the book can be read from
//! either end. From the bottom up:
//!
//! 1. [`util`]: small tools. Begin with [`util::glob`], to see how a file here is laid out.
//! 2. [`resp`]: the protocol. How bytes become requests without being copied ([`resp::request`]), and how replies become
//!    bytes ([`resp::reply`]).
//! 3. [`store`]: the data structures. The hash table that makes SCAN's promise easy to keep ([`store::dict`]), the
//!    keyspace with its expiry ([`store::db`]), and streams ([`store::stream`]).
//! 4. [`persistence`]: the data in Redis's own format, for those who take them over.
//! 5. [`state`]: what the threads share, and in which order they may lock it. Linger at
//!    [`state::blocking`]: how a client that waits is served by the one who writes; and at [`state::journal`]: how what one
//!    server does is done again by others.
//! 6. [`commands`]: one function a command, one table of all of them.
//! 7. [`execute`]: the heart. Whether, under which lock, and with what consequences a command runs. If you
//!    read only one file, read this. What follows from a change to the data is in [`mod@write`].
//! 8. [`replication`]: what a replica says to its primary, line by line, and the threads that carry the data.
//! 9. [`server`]: the threads: accepting, reading and writing, the cron.
//!
//! # The way of a request
//!
//! ```text
//!   bytes ──► server/client.rs    one buffer, one read for a whole pipeline
//!         ──► resp/request.rs     arguments are spans of that buffer
//!         ──► execute.rs          table, arity, AUTH, MULTI
//!         ──► the lock            a handler's type says which
//!         ──► commands/*.rs       the work, and the reply
//!         ──► execute.rs          watched keys, clients who wait, the journal
//!         ──► server/client.rs    one write for all the replies
//! ```
//!
//! # The lock is in the type
//!
//! A handler that may read takes `&Db`, one that may write `&mut Db`, and the table row says which it is. The
//! executor has to hold the right lock to be able to call it at all, and a reader that changes a key does not
//! compile. That sentence is most of the concurrency of this server.
#![deny(unsafe_code)]
// The tour links to the modules, which are private: `cargo doc --document-private-items` shows them.
#![allow(rustdoc::private_intra_doc_links)]

mod commands;
mod execute;
mod persistence;
mod replication;
pub mod resp;
mod server;
mod state;
mod store;
mod sys;
mod util;
mod write;

pub use server::{ConfigError, Server};
pub use state::config::Config;
pub use state::config::{Limit, LogLevel, LogTo};

/// The version of Redis whose behaviour this server has.
pub const VERSION: &str = "7.0.15";

/// What concerns the whole process and not one server: a program that *is* a server, as `main.rs` is, uses it.
pub mod process {
    pub use crate::sys::{Counting, Signal, take_signal, watch_signals};
}
