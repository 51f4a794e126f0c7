//! The threads of a server and the locks they take.
//!
//! Every server has a few threads of its own and one per client. They share one value, [`Shared`], behind an `Arc`.
//!
//! ```text
//!   main ─── Server::start ─┬─► accept     one per listening address ──► client   one per connection
//!                           ├─► cron                                       └─► feeder   one per replica
//!                           └─► replica    the link to a primary                 └─► copy   while it sends a full copy
//!                                 └─► copy   while a full copy comes
//!
//!   any thread that sends to a slow client ──► drain    while that client's outbox has a backlog
//! ```
//!
//! # Threads
//!
//! | name | body | begins | ends |
//! |---|---|---|---|
//! | main | `main.rs` | with the process | when the server has stopped |
//! | `accept` | `accept` in `server/mod.rs` | [`Server::start`] | at most 0.1 s after a stop is requested |
//! | `cron` | `run` in `server/cron.rs` | [`Server::start`] | at once when a stop is requested, or after its current round |
//! | `replica` | [`replica::run`] | [`Server::start`], on a primary too, where it sleeps | when a stop is requested |
//! | `client` | `serve` in `server/client.rs` | a connection is accepted | the peer hangs up; QUIT, CLIENT KILL, a limit; the server stops |
//! | `feeder` | [`primary::start`] | a client has sent PSYNC or SYNC | the replica's connection ends |
//! | `copy` | [`in_background`](crate::replication) | a full copy begins, on either side | the copy is complete or has failed |
//! | `drain` | `Outbox::drain_all` | [`Outbox::push`] cannot send everything | the queue is empty or the connection closed |
//!
//! **main** is the program, not the library. It waits for the server to stop, and looks every 50 ms whether a signal
//! has come. There is no thread for signals: the handler in [`sys`] only stores the signal's number in an atomic. A
//! program that embeds a [`Server`] has no such loop unless it makes one.
//!
//! **accept** polls its listener with a timeout of 0.1 s, so that it notices a stop. It refuses connections beyond
//! `maxclients` and those that protected mode forbids.
//!
//! **client** repeats four steps: read, parse, run, send. It is the only thread that uses its [`Session`]. Other
//! threads see its [`Client`]. Its stack has 256 KB.
//!
//! **cron** wakes `hz` times per second. It deletes expired keys, closes idle clients, sends PING to replicas, frees an
//! unused backlog, and advances a FAILOVER or a SHUTDOWN that waits for replicas.
//!
//! **replica** follows the primary that `replicaof` names: handshake, full copy, and then the stream of commands, which
//! it runs with an [`Executor`] of its own. On a primary it sleeps.
//!
//! **feeder** writes the copy and the log to one replica. (A client in WAIT also sends the log to it, so that GETACK leaves
//! at once; a lock keeps the bytes in order.) The client's thread of the same connection goes on reading the
//! replica's acknowledgements.
//!
//! **copy** does the long work of a full copy at a lower priority. Its parent, the feeder or the link, waits for it.
//!
//! **drain** sends what the socket of a slow client does not take at once, when another thread than the client's own
//! has something for it.
//!
//! # How a server stops
//!
//! `drop` of a [`Server`] sets the [`Stop`] flag, which wakes the cron. Then it closes the link to the primary, and
//! joins its own threads (`accept`, `cron`, `replica`). Replicas get 0.3 s to receive the rest of the log. Then no
//! client can send more: the read half of each socket is shut down, and a command that runs now ends and replies. After
//! another 0.3 s connections are closed. Threads that have not ended after 5 s are left behind.
//!
//! # Words for readers who are new to threads in Rust
//!
//! * An `RwLock` admits many readers or one writer. A *guard* is the value that a thread gets when it takes a lock; the lock
//!   is released when the guard is dropped. An `Arc` is a pointer that threads share; the last one frees the value.
//! * A `Condvar` lets a thread sleep until another thread calls `notify`. It releases a lock and begins to sleep in one
//!   step, so no notification falls between the two. After it has woken, the thread holds the lock again, and checks its
//!   condition again, because it may have woken for another reason.
//! * An *atomic* is a number that threads read and write without a lock. `Relaxed` means that the number orders no other
//!   memory. That is enough here: either the value is only a figure, or the threads that use it also take a lock, which
//!   orders their accesses. The one exception is the version of the settings (`state/config.rs`).
//!
//! # Locks
//!
//! The data has one read-write lock, in [`Shared`]. Everything else has a small lock of its own or is atomic. The type
//! [`Rank`] lists all locks in the one order in which a thread may take them, and the table in [`state::lock`] says
//! what each protects and under which others it is taken. In short:
//!
//! ```text
//!   Store ─► Blocking, Watches ─► AckWaiters, Replicas ─► Shutdown, Failover ─► copies ─► Settings, History
//!         ─► WritePause, Link ─► Clients ─► Waiter ─► Journal ─► figures for INFO ─► Outbox ─► Stop, LogFile
//! ```
//!
//! * The store's lock comes first: a thread that holds any other lock must not take it.
//! * A thread holds at most one lock of each rank.
//! * A thread that sleeps on a `Condvar` holds only the lock that belongs to it.
//! * Nothing that may wait for a peer or a disk happens under the store's lock. Code that may wait says so with
//!   [`may_wait`]. There are two exceptions: DEBUG SLEEP, and CONFIG REWRITE inside a transaction.
//!
//! Debug builds check the first three rules at every lock, and the fourth where the code calls [`may_wait`]. They panic
//! at the first violation, whether or not another thread is in the way. `cargo test` runs a debug build. To add a lock,
//! add a [`Rank`] and a row to the table.
//!
//! # Who takes the store's lock
//!
//! | thread | read lock | write lock |
//! |---|---|---|
//! | client | commands that read | commands that write, through a [`WriteTxn`] |
//! | cron | to find databases with expired keys, to append PING | each step of the expiry sweep, FAILOVER, the end of the backlog |
//! | replica | | the primary's commands, the end of a full copy, a changed replid, the end of a FAILOVER |
//! | feeder | | to take a copy, to decide on a partial resynchronisation |
//! | any, for WAIT and SHUTDOWN | to ask the replicas how far they are | the beginning of a shutdown |
//!
//! By rule, only a [`WriteTxn`] changes keys. The others take the plain write lock so that no
//! write is under way while the role, the history or a pause changes.
//!
//! Read next: [`super::expiry`].
//!
//! [`Shared`]: crate::state::Shared
//! [`Server`]: crate::Server
//! [`Server::start`]: crate::Server::start
//! [`Stop`]: crate::state::Stop
//! [`Session`]: crate::state::session::Session
//! [`Client`]: crate::state::clients::Client
//! [`Executor`]: crate::execute::Executor
//! [`replica::run`]: crate::replication::replica::run
//! [`primary::start`]: crate::replication::primary::start
//! [`Outbox::push`]: crate::state::outbox::Outbox::push
//! [`sys`]: crate::sys
//! [`Rank`]: crate::state::lock::Rank
//! [`state::lock`]: mod@crate::state::lock
//! [`may_wait`]: crate::state::lock::may_wait
//! [`WriteTxn`]: crate::write::WriteTxn
