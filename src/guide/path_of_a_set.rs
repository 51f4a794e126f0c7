//! The path of a SET, step by step.
//!
//! A client sends `SET greeting hello EX 60` to a primary. At 17:00:00 the reply `+OK` is in the client's socket and
//! the key is in the store. These are the steps between.
//!
//! | step | file | function | what it does |
//! |---|---|---|---|
//! | 1 | `server/client.rs` | `Connection::read` | The client's thread waits in `read`. The bytes arrive in the connection's buffer. |
//! | 2 | `resp/request.rs` | [`Parser::parse`] | Finds every complete request in the buffer. An argument is a [`Span`]: a position and a length. Nothing is copied. |
//! | 3 | `execute/mod.rs` | [`Executor::begin_batch`] | Reads the clock once for all these requests, and looks whether settings have changed. |
//! | 4 | `execute/mod.rs` | [`Executor::run`] | Runs one request: steps 5 to 13. |
//! | 5 | `execute/admission.rs` | [`Executor::look_up`] | Finds the row `set` in the [`Index`]. Checks the number of arguments, the password, MULTI. |
//! | 6 | `execute/lease.rs` | `Lease::write` | Takes the write lock, as a [`WriteTxn`], if the batch does not hold it already. A command that writes needs the lock for the next checks: the role of the server and a pause of writes change only under it. |
//! | 7 | `execute/admission.rs` | [`Executor::look_up`], [`Executor::admit`] | Refuses the command on a read-only replica. Puts it off while writes are paused. (With MULTI open, the lock is not taken: the command is queued.) |
//! | 8 | `write.rs` | [`WriteTxn::apply`] | Tells the database what to do with expired keys and which reports are needed. Calls the handler. |
//! | 9 | `commands/strings/set.rs` | [`set`](crate::commands::strings::set::set) | Reads the options, changes the data, writes `+OK` into the reply buffer. |
//! | 10 | `store/db.rs` | [`Db::set`] | Stores the object in its shard. Reports that the key was modified. |
//! | 11 | `write.rs` | [`WriteTxn::apply`] | Acts on the reports: raises the flags of clients that WATCH the key; notes keys that blocked clients wait for. |
//! | 12 | `write.rs` | [`WriteTxn::propagate`] | Prepares what goes to the log: `SELECT 0` if needed, then `SET greeting hello PXAT 1795626060000`. |
//! | 13 | `write.rs` | [`WriteTxn::end_unit`] | Ends the unit of the log. Serves blocked clients whose key became ready. |
//! | 14 | `server/client.rs` | `Connection::run_requests` | Goes on with the next request of the batch, under the same lock. |
//! | 15 | `write.rs` | [`WriteTxn::finish`] | At the end of the batch: appends to the log ([`Journal::append`]), releases the lock, then does what may take long. |
//! | 16 | `state/outbox.rs` | [`Outbox::send`] | Sends the replies of the whole batch with one system call, if the socket takes them. |
//!
//! # In the handler
//!
//! [`set`](crate::commands::strings::set::set) is called with a [`Context`] and `&mut Db`. In this order it
//!
//! 1. reads the options with `SetOptions::read`: a syntax error is found before anything changes;
//! 2. turns `EX 60` into a Unix time in milliseconds with `SetOptions::deadline` (both in
//!    `commands/strings/options.rs`), which calls [`Form::positive_deadline`]: 17:01:00. From here on nothing counts
//!    from "now";
//! 3. looks the key up with [`Db::get_mut`], for NX and XX. If the old key has expired, this deletes it;
//! 4. stores the value ([`Db::set`]), notes the keyspace events `set` and `expire` ([`Db::event`]), and adds one to
//!    [`Context::dirty`];
//! 5. says what to log in place of the request as it was sent ([`Propagation::add`]);
//! 6. writes the reply.
//!
//! A SET of three words takes a shorter path: it has no options, so the handler skips items 1, 2, 3 and 5 of this
//! list, and the log gets the request as it was sent.
//!
//! # The lock is kept for a batch
//!
//! The lock is not released after each request. The `Lease` keeps it until
//!
//! * a request needs no lock, or needs the write lock while the batch holds the read lock;
//! * a transaction has run;
//! * the batch ends, which is when all requests that had arrived have run;
//! * the budget is used up: 256 commands, or 64 KB of replies;
//! * a command has run that may take long: a handler over all databases, or a row that names the category `dangerous`.
//!
//! So with a pipeline of 100 SETs the thread takes the write lock once and appends to the log once. Other clients wait
//! for at most 256 commands of this client, or for one whole transaction.
//!
//! # What the reply means
//!
//! When the client reads `+OK`, the change is in the store and in the log, both in memory. It may be that no replica
//! has it yet: WAIT waits for that (see [`super::replication`]). The log becomes active when the first replica asks for
//! a copy, and ends after `repl-backlog-ttl` seconds without a replica. While it is not active, step 12 does nothing
//! and step 15 appends nothing.
//!
//! # Other commands
//!
//! * **A GET** takes the read lock (`Lease::read`) just before its handler runs. (In a batch of four or more requests,
//!   `Executor::look_ahead` may take the lock earlier.) Steps 6, 8, 10 to 13 and 15 of the table at the top do not
//!   happen; the read lock is still released at the end of the batch. If the batch holds the write lock already, the
//!   GET runs under that lock.
//! * **A command without data** (PING, CONFIG GET) is a [`Handler::Plain`]: the lease ends before it runs, so that it
//!   never makes others wait.
//! * **EXEC** takes the write lock, then runs each queued command by the same [`Executor::call`], and ends the unit
//!   once, at the end (`execute/transaction.rs`).
//! * **A command from the primary** is run by the link's thread, in a session with `is_primary` set. Its bytes go to
//!   the log unchanged ([`Executor::relay`]), and no check of the role applies.
//!
//! Read next: [`super::waiting_reader`].
//!
//! [`Parser::parse`]: crate::resp::Parser::parse
//! [`Span`]: crate::resp::args::Span
//! [`Executor::begin_batch`]: crate::execute::Executor::begin_batch
//! [`Executor::run`]: crate::execute::Executor::run
//! [`Executor::look_up`]: crate::execute::Executor::look_up
//! [`Executor::admit`]: crate::execute::Executor::admit
//! [`Executor::call`]: crate::execute::Executor::call
//! [`Executor::relay`]: crate::execute::Executor::relay
//! [`Index`]: crate::commands::command::Index
//! [`Handler::Plain`]: crate::commands::command::Handler::Plain
//! [`WriteTxn`]: crate::write::WriteTxn
//! [`WriteTxn::apply`]: crate::write::WriteTxn::apply
//! [`WriteTxn::propagate`]: crate::write::WriteTxn::propagate
//! [`WriteTxn::end_unit`]: crate::write::WriteTxn::end_unit
//! [`WriteTxn::finish`]: crate::write::WriteTxn::finish
//! [`Db::set`]: crate::store::Db::set
//! [`Db::get_mut`]: crate::store::Db::get_mut
//! [`Db::event`]: crate::store::Db::event
//! [`Journal::append`]: crate::state::journal::Journal::append
//! [`Outbox::send`]: crate::state::outbox::Outbox::send
//! [`Context`]: crate::commands::context::Context
//! [`Context::dirty`]: crate::commands::context::Context::dirty
//! [`Form::positive_deadline`]: crate::commands::expiry::Form::positive_deadline
//! [`Propagation::add`]: crate::state::propagation::Propagation::add
