//! Panics: what a bug in one command costs.
//!
//! A panic in this server is a bug: an index out of range, an assertion of a debug build. It must not end the
//! connections of other clients, and replicas must not differ from their primary afterwards. `panic = "unwind"` in
//! `Cargo.toml` makes that possible: only the thread ends.
//!
//! # In a command
//!
//! The panic unwinds the client's thread to the connection's destructor (`Drop for Connection` in `server/client.rs`).
//! It ends the `Lease`, and with it the lock that the command had:
//!
//! 1. **The history is abandoned** if the command was changing data. A flag in the [`WriteTxn`] says so: the log may
//!    not describe what was done. [`State::abandon_history`] runs while the lock is still held. The history gets a new
//!    replid, the log begins anew, and all replicas are disconnected. They come back, ask for a history that this
//!    server does not have any more, and copy all data.
//! 2. **The store's lock** is released. The standard library marks it as *poisoned*. This server ignores the mark
//!    ([`Shared::read`], [`Shared::write`]), for all small locks too ([`lock()`](crate::state::lock())).
//! 3. **Clients that were already served** under this lock get their replies.
//! 4. **The connection** leaves nothing behind: it unwatches its keys, ends its wait, leaves the list of clients, and
//!    closes the socket.
//!
//! The client sees that the connection is closed. It gets no reply to the command, nor to earlier commands of the batch
//! whose replies are not sent yet, although those have run.
//!
//! The message goes to standard error, as in any Rust program, and not to the server's log.
//!
//! What was half done stays half done: there is no rollback. Other clients see the data as the panic left them. The
//! `unsafe` code is confined to `sys.rs`, so memory stays sound.
//!
//! If the command was only reading, the history goes on: step 1 falls away.
//!
//! # In other threads
//!
//! | thread | what a panic does |
//! |---|---|
//! | the link to a primary | [`replica::run`] catches it. If a command of the primary was under way, the history is abandoned; the replica connects again and gets a full copy. |
//! | a full copy (`copy`) | The copy fails with an error. The replica tries again. |
//! | a writer that serves a blocked client | It is the writer's panic: the writer's connection ends. The blocked client goes on waiting. |
//! | `cron`, `accept` | The thread logs it, waits a second, and goes on with the next task or connection (`server/survive.rs`). The cron's sweep changes data in a [`WriteTxn`], so replicas are safe there too. |
//! | `feeder`, `drain` | Nothing restarts the thread. |
//!
//! # Assertions of debug builds
//!
//! Debug builds panic on purpose, so that tests find these bugs:
//!
//! * a lock is taken out of order, or a thread that holds the store's lock is about to wait ([`state::lock`]);
//! * a value was changed and nothing was reported ([`store::reports`](crate::store::reports)).
//!
//! Release builds have none of these checks.
//!
//! # Errors that are no bugs
//!
//! Whatever a peer sends or a disk refuses is an `Err`, never a panic. A peer that hangs up ends its thread in order; a
//! log line that cannot be written is lost; a thread that cannot be started means that the client is refused.
//!
//! The tests of these rules are in `write.rs` (`a_panic_in_a_change_abandons_the_history`), in `state/mod.rs` and in
//! `server/cron.rs`.
//!
//! Read next: [`super::adding_a_command`].
//!
//! [`WriteTxn`]: crate::write::WriteTxn
//! [`State::abandon_history`]: crate::state::State::abandon_history
//! [`Shared::read`]: crate::state::Shared::read
//! [`Shared::write`]: crate::state::Shared::write
//! [`replica::run`]: crate::replication::replica::run
//! [`state::lock`]: mod@crate::state::lock
