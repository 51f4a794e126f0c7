//! A Redis server that you can read from front to back, and also run in production.
//!
//! It is plain threaded Rust over the standard library: one operating system thread per client, one `RwLock` around the
//! data, `Condvar`s for the threads that wait. There is no event loop, no async runtime and no dependency, so the files of this
//! crate explain all of it.
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
//! # Reading the code
//!
//! To read the whole server, take the tour below. To change one thing, find its layer there, and begin with the notes at the
//! top of that module.
//!
//! # The tour
//!
//! The modules are layers. Each uses only modules with a smaller number in this list. Read them in this order:
//!
//! 1. [`util`]: small tools. Begin with [`util::glob`], to see how a file is laid out here. [`sys`] declares the few system
//!    calls that the standard library lacks.
//! 2. [`resp`]: the protocol. How bytes become requests without being copied ([`resp::request`]), and how replies become
//!    bytes ([`resp::reply`]).
//! 3. [`store`]: the data structures. The hash table, whose SCAN returns every key that stays ([`store::dict`]), the keyspace
//!    with its expiry ([`store::db`]), streams ([`store::stream`]), and the reports that a change makes
//!    ([`store::reports`]).
//! 4. [`persistence`]: the data in Redis's RDB format, for full copies to replicas.
//! 5. [`state`]: what the threads share. [`mod@state::lock`] has the order in which a thread may take locks. The settings are
//!    in [`state::config`] and [`state::settings`]. The mechanisms are [`state::outbox`] (everything that is sent to a client),
//!    [`state::blocking`] (a writer serves the clients that wait), [`state::watch`] (WATCH), [`state::propagation`] (what a
//!    command adds to the log) and [`state::journal`] (the log of changes).
//! 6. [`mod@write`]: `WriteTxn`, the only way to change data, and everything that follows from a change.
//! 7. [`commands`]: one function per command, in a folder per family. Read [`commands::command`] (a row of the table),
//!    [`commands::context`] (what a handler gets) and then a family, such as [`commands::strings`].
//! 8. [`execute`]: whether a command runs, under which lock, and what follows. If you read only one module, read this one.
//! 9. [`replication`]: the dialogue of a replica and its primary, and the threads that carry the data.
//! 10. [`server`]: the threads that accept connections, serve clients and do regular work (the cron); and the reading of
//!     configuration files.
//!
//! # The path of a request
//!
//! ```text
//!   bytes ──► server/client.rs         one buffer; each read takes all that has arrived and fits
//!         ──► resp/request.rs          arguments are spans of that buffer; a big one gets its own
//!         ──► execute/admission.rs     table, arity, AUTH, role of the server, pause, MULTI
//!         ──► execute/lease.rs         the lock: the handler's type says which
//!         ──► commands/<family>/*.rs   the work, and the reply
//!         ──► write.rs                 after a change: watched keys, requests for the log
//!         ──► execute/actions.rs       what the handler asked for, such as to wait
//!         ──► write.rs                 serve the clients that wait, append to the log, unlock
//!         ──► server/client.rs         send the replies of all requests that have arrived
//! ```
//!
//! # The lock is in the type
//!
//! A handler that reads takes `&Db`, a handler that writes takes `&mut Db`, and its row in the table says which. To get a
//! `&mut Db`, the executor must hold the write lock. So a handler that reads cannot add, change or delete a key: that would
//! not compile. (It can record that it used a key, for OBJECT IDLETIME and OBJECT FREQ, because that field is atomic.)
//!
//! # Invariants
//!
//! * There is no global state: all that the threads of a server share is in one [`state::Shared`], behind an `Arc`. (Signals,
//!   the limit on open files and the count of allocated memory belong to the process; they are in [`sys`].)
//! * Data changes only through a [`write::WriteTxn`].
//! * No thread waits for a peer or a disk while it holds the store's lock. (CONFIG REWRITE in a transaction is an exception.
//!   DEBUG SLEEP holds the lock on purpose.)
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

/// Signals, and an allocator that counts memory: they belong to the process and not to one server. For programs that are a
/// server and nothing else, as `main.rs`.
pub mod process {
    pub use crate::sys::{Counting, Signal, take_signal, watch_signals};
}
