//! A Redis server that you can read from front to back, and also run in production.
//!
//! It is plain threaded Rust over the standard library: one operating system thread per client, one `RwLock` around the
//! data, `Condvar`s for everything that waits. There is no event loop, no async runtime and no dependency, so these files
//! explain all of it.
//!
//! **[The guide](guide)** explains how it works, question by question, and how to add a command or a setting. This page shows
//! the modules in the order of their layers.
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
//! The modules are layers. Each knows the layers below it and none above. Read them from the bottom up, in this order:
//!
//! 1. [`util`]: small tools. Begin with [`util::glob`], to see how a file is laid out here. [`sys`] declares the few system
//!    calls that the standard library lacks.
//! 2. [`resp`]: the protocol. How bytes become requests without being copied ([`resp::request`]), and how replies become
//!    bytes ([`resp::reply`]).
//! 3. [`store`]: the data structures. The hash table that makes SCAN's promise easy to keep ([`store::dict`]), the
//!    keyspace with its expiry ([`store::db`]), streams ([`store::stream`]), and what a change reports
//!    ([`store::reports`]).
//! 4. [`persistence`]: the data in Redis's RDB format, for full copies to replicas.
//! 5. [`state`]: what the threads share. [`mod@state::lock`] has the order in which they may lock it. The settings are in
//!    [`state::config`] and [`state::settings`]. The mechanisms are [`state::outbox`] (everything that is sent to a client),
//!    [`state::blocking`] (a writer serves the clients that wait), [`state::watch`] (WATCH), [`state::propagation`] (what a
//!    command adds to the log) and [`state::journal`] (the log of changes).
//! 6. [`mod@write`]: `WriteTxn`, the only way to change data, and everything that follows from a change.
//! 7. [`commands`]: one function per command, in a folder per family. Read [`commands::command`] (a row of the table),
//!    [`commands::context`] (what a handler gets) and then a family, such as [`commands::strings`].
//! 8. [`execute`]: whether a command runs, under which lock, and what follows. If you read only one module, read this one.
//! 9. [`replication`]: the dialogue of a replica and its primary, line by line, and the threads that carry the data.
//! 10. [`server`]: the threads: accepting, reading and writing, the cron; and the reading of configuration files.
//!
//! # The path of a request
//!
//! ```text
//!   bytes ──► server/client.rs         one buffer, one read for a whole pipeline
//!         ──► resp/request.rs          arguments are spans of that buffer
//!         ──► execute/admission.rs     table, arity, AUTH, role of the server, MULTI
//!         ──► execute/lease.rs         the lock: the handler's type says which
//!         ──► commands/<family>/*.rs   the work, and the reply
//!         ──► write.rs                 watched keys, waiting clients, the log
//!         ──► execute/actions.rs       what the handler asked for
//!         ──► server/client.rs         one write for all the replies
//! ```
//!
//! # The lock is in the type
//!
//! A handler that reads takes `&Db`, a handler that writes takes `&mut Db`, and its row in the table says which. The executor
//! must hold the right lock to call the handler, and a reader that changes a key does not compile. Most of this server's
//! concurrency rests on that.
//!
//! # Invariants
//!
//! * There is no global state: everything that the threads of a server share hangs off one `Arc<Shared>`. (Signals, the limit
//!   on open files and the count of allocated memory belong to the process; they are in [`sys`].)
//! * Data changes only through a `WriteTxn`.
//! * Nothing that may wait for a peer or a disk happens under the store's lock. (DEBUG SLEEP, and CONFIG REWRITE in a
//!   transaction, are the exceptions.)
#![deny(unsafe_code)]
// The tour links to the modules, which are private: `cargo doc --document-private-items` shows them.
#![allow(rustdoc::private_intra_doc_links)]

mod commands;
mod execute;
pub mod guide;
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

/// The version of Redis that this server behaves like, and reports in INFO.
pub const VERSION: &str = "7.0.15";

/// What belongs to the whole process and not to one server: signals, and an allocator that counts. For programs whose main
/// purpose is to be a server, as `main.rs`.
pub mod process {
    pub use crate::sys::{Counting, Signal, take_signal, watch_signals};
}
