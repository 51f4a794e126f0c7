//! A reader that waits: XREAD BLOCK and XADD.
//!
//! Client A sends `XREAD BLOCK 0 STREAMS s $`. The stream has nothing new, so A waits. Client B sends `XADD s * f v`,
//! and A gets the entry.
//!
//! ```text
//!   A's thread                                       B's thread
//!   ──────────                                       ──────────
//!   read lock
//!     XREAD: no entry after the last ID
//!     → Action::Wait
//!     register a Waiter for key s
//!   release the lock
//!   send earlier replies, then
//!   sleep on the waiter's Condvar ...................
//!                                                    write lock
//!                                                      XADD: append the entry, report "s is ready"
//!                                                      end of the unit: which clients wait for s?
//!                                                        does s have an entry for A? is A connected?
//!                                                        run A's service: write A's reply into a buffer
//!                                                      append to the log
//!                                                    release the lock
//!                                    ◄────────────── send the reply to A's socket
//!   wakes ◄────────────────────────── notify ─────── wake A's thread
//!   reads A's next request                           send B's reply
//! ```
//!
//! # The steps
//!
//! 1. [`xread`] looks at the streams under the read lock. It finds nothing, and leaves an [`Action::Wait`] in its
//!    context: the keys, the timeout, and a [`Service`] that can write the reply later.
//! 2. [`Executor::call`] performs the action before it releases the lock: `register` in `execute/actions.rs` calls
//!    [`Blocking::register`], which gives the waiter a ticket and puts it into the queue of each key.
//! 3. [`Executor::run`] returns [`Flow::Block`]. The client's thread releases the lock, sends the replies that it has,
//!    and sleeps in [`Waiter::sleep`].
//! 4. [`xadd`] appends the entry and calls [`Db::ready`]. The database keeps this as a [`Report::Ready`].
//! 5. [`WriteTxn::end_unit`] calls [`Blocking::serve_next`] for each key that became ready. This function asks the
//!    waiters of the key in the order of their tickets. For the first one that can be served, it runs the service and
//!    keeps the reply in the waiter. This goes on until no waiter of the key can be served.
//! 6. When the lock is released, the writer calls [`Waiter::deliver`] for each client that it served.
//! 7. A's thread wakes, removes the waiter ([`State::forget_waiter`]), and goes on with A's next request.
//!
//! # Why no wake-up is lost
//!
//! There are three places where a wake-up could be lost.
//!
//! * **Between the look and the registration.** Both happen under one lock, normally the read lock. XADD needs the
//!   write lock. So XADD comes before the look, and then XREAD finds the entry; or after the registration, and then the
//!   writer finds the waiter.
//! * **In the writer's shortcut.** A writer records `Ready` only if some client waits ([`Blocking::any`], a counter
//!   that is read without a lock). The reader raises the counter under the read lock, and the writer reads it after it
//!   has taken the write lock. Taking the lock makes the new value visible.
//! * **Between the registration and the sleep.** The progress of the wait is behind the waiter's own lock.
//!   [`Waiter::sleep`] looks at it before it sleeps, and the `Condvar` releases that lock and begins to sleep in one
//!   step. A writer that comes earlier leaves the reply, and the thread does not sleep at all.
//!
//! # Which thread sends the reply
//!
//! The thread that made the key ready: here B's. In general it is the thread that owns the [`WriteTxn`]: a client's,
//! the cron's (an expired key), or the link's (a command from the primary). It sends after it has released the store's
//! lock, through A's [`Outbox`], so that replies to A never mix. B's thread does not wait for A: what the socket does
//! not take at once is queued, and a thread named `drain` sends the rest.
//!
//! B holds its lock for a batch (see [`super::path_of_a_set`]), so A's reply leaves when B's `Lease` ends: after B's
//! last request of the batch, or after 256 commands.
//!
//! There are two exceptions, in which B only leaves the reply, and A's thread sends it ([`Outcome::Served`] with bytes
//! in `unsent`). If A's thread does not sleep yet, it may still have earlier replies to send. And a reply of more than
//! 16 KB may exceed `client-output-buffer-limit`, which A's thread checks.
//!
//! A reply that nobody served, such as the null of a timeout, is sent by A's thread.
//!
//! # What "something for it" means
//!
//! A waiting XREAD asks another question than an XREAD that has just come, as in Redis: is the stream's *last ID* after
//! the ID that I wait for? See the table in [`commands::streams::read`](crate::commands::streams::read).
//!
//! # How a wait ends
//!
//! Exactly one of these ends a wait. Each of them does so under the waiter's own lock, and only if the wait has not
//! ended:
//!
//! | what | outcome | function |
//! |---|---|---|
//! | a writer serves it | `Served` | [`Blocking::serve_next`], then [`Waiter::deliver`] |
//! | a replica acknowledges (WAIT) | `Served` | [`Waiter::claim`], then [`Waiter::deliver`] |
//! | the time is up | `TimedOut` | [`Waiter::sleep`] |
//! | CLIENT UNBLOCK | `TimedOut` or `Failed` | [`Client::unblock`] |
//! | the server becomes a replica, or follows another primary | `Failed` | [`Blocking::end_all`] |
//! | a shutdown fails or is aborted, for the clients that asked for it | `Failed` | [`State::abort_shutdown`] |
//! | the peer hangs up, CLIENT KILL, the server stops | `Gone` | [`Waiter::sleep`], [`Client::kill`], [`Client::finish`] |
//!
//! A client whose peer hangs up is noticed within half a second: [`Waiter::sleep`] looks at the socket that often. A
//! writer looks at it just before it serves, so that it takes no entry of a consumer group for a client that has hung
//! up.
//!
//! # Commands that wait for no key
//!
//! WAIT registers for acknowledgements and SHUTDOWN for the end of the server. Both use the same [`Waiter`], without
//! keys: see [`super::replication`] and [`state::shutdown`](crate::state::shutdown).
//!
//! Read next: [`super::threads_and_locks`].
//!
//! [`xread`]: crate::commands::streams::read::xread
//! [`xadd`]: crate::commands::streams::add::xadd
//! [`Action::Wait`]: crate::commands::context::Action::Wait
//! [`Service`]: crate::state::blocking::Service
//! [`Executor::call`]: crate::execute::Executor::call
//! [`Executor::run`]: crate::execute::Executor::run
//! [`Flow::Block`]: crate::execute::Flow::Block
//! [`Blocking::register`]: crate::state::blocking::Blocking::register
//! [`Blocking::any`]: crate::state::blocking::Blocking::any
//! [`Blocking::serve_next`]: crate::state::blocking::Blocking::serve_next
//! [`Blocking::end_all`]: crate::state::blocking::Blocking::end_all
//! [`Waiter`]: crate::state::blocking::Waiter
//! [`Waiter::sleep`]: crate::state::blocking::Waiter::sleep
//! [`Waiter::claim`]: crate::state::blocking::Waiter::claim
//! [`Waiter::deliver`]: crate::state::blocking::Waiter::deliver
//! [`Outcome::Served`]: crate::state::blocking::Outcome::Served
//! [`Client::unblock`]: crate::state::clients::Client::unblock
//! [`Client::kill`]: crate::state::clients::Client::kill
//! [`Client::finish`]: crate::state::clients::Client::finish
//! [`State::forget_waiter`]: crate::state::State::forget_waiter
//! [`State::abort_shutdown`]: crate::state::State::abort_shutdown
//! [`Db::ready`]: crate::store::Db::ready
//! [`Report::Ready`]: crate::store::Report::Ready
//! [`WriteTxn`]: crate::write::WriteTxn
//! [`WriteTxn::end_unit`]: crate::write::WriteTxn::end_unit
//! [`Outbox`]: crate::state::outbox::Outbox
