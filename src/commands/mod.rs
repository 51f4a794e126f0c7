//! The commands: one plain function per command, in a folder per family, and one table of all of them.
//!
//! | file | what it holds |
//! |---|---|
//! | [`command`] | a row of the table, the kinds of handlers, and the index of rows |
//! | [`key_spec`] | where a command's keys are |
//! | [`context`] | what a handler gets |
//! | [`args`] | reading arguments, with Redis's errors |
//! | [`expiry`] | the four ways in which a client writes an expiry |
//! | [`table`] | the rows of all families, joined |
//! | [`connection`], [`server`], [`replication`], [`transactions`], [`keys`], [`strings`], [`streams`] | the families |
//!
//! # A row and its handler
//!
//! A command is a row of the table and a function, the *handler*. Both are in the same file. As an example, here is
//! APPEND without its limit on the length (the whole is in [`strings::range`]):
//!
//! ```text
//! cmd("append", 3, Write(append), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, RW | INSERT)])
//!     .doc("string", "2.0.0", "O(1)", "key value", "Adds to the end of a string."),
//!
//! pub fn append(ctx: &mut Context, db: &mut Db) -> CommandResult {
//!     let (key, added) = (&ctx.args[1], &ctx.args[2]);
//!     let len = match ctx.find_mut(db, key) {
//!         Some(object) => {
//!             let string = StringValue::of_mut(&mut object.value)?.raw_mut();    // WRONGTYPE, if it is not a string
//!             string.extend_from_slice(added);
//!             let len = string.len();
//!             db.modified(key);                           // (1)
//!             len
//!         }
//!         None => {
//!             ctx.set(db, key, Value::string(added));     // (2)
//!             added.len()
//!         }
//!     };
//!     db.event(Class::String, "append", key);             // (3)
//!     ctx.dirty += 1;                                     // (4)
//!     ctx.reply.int(len as i64);
//!     Ok(())
//! }
//! ```
//!
//! The row says: APPEND has exactly three arguments, its name included. `Write(append)` makes the executor take the
//! write lock, because `append` needs `&mut Db`. The flags say that the command changes data, may need memory, and is
//! fast. The key is argument 1.
//!
//! A handler that writes must report what it did:
//!
//! 1. A value that was changed in place: [`Db::modified`](crate::store::Db::modified), for the clients that watch the
//!    key; or [`Db::changed_silently`](crate::store::Db::changed_silently) where Redis does not signal the change. A
//!    debug build panics if both are missing. If a client that waits for the key may find something now, also
//!    [`Db::ready`](crate::store::Db::ready).
//! 2. A key that was set, inserted, removed, or that got another expiry: nothing, the methods of
//!    [`Db`](crate::store::Db) report it.
//! 3. The keyspace event that Redis has for it: [`Db::event`](crate::store::Db::event).
//! 4. Any change: `ctx.dirty`. Then the executor adds the command to the log as it was sent. If the command would have
//!    another result on a replica, because it depends on the time or on chance, the handler also says what to log
//!    instead: `ctx.propagation.add` (see [`propagation`](crate::state::propagation)).
//!
//! To add a command, write its row and its handler in a file of its family ([`table`] must name a new file), add it to
//! the README's list of commands (a test compares the two), and record a scene for it in `tests/transcripts/`.
//!
//! # Invariants
//!
//! * A handler reads and changes data, and writes its reply. It does not take the store's lock, write to a socket or
//!   wake a thread: the executor does that (see [`context`]).
//! * The files above the families in this list import no family, except [`table`], which imports all of them.
//!
//! Read [`command`] and [`context`] next, then [`strings::get`] for a family's simplest handlers.

pub mod args;
pub mod command;
pub mod connection;
pub mod context;
pub mod expiry;
pub mod key_spec;
pub mod keys;
pub mod replication;
pub mod server;
pub mod streams;
pub mod strings;
pub mod table;
pub mod transactions;
