//! The commands: one plain function each, in a folder per family, and one table of all of them.
//!
//! | file | what it holds |
//! |---|---|
//! | [`command`] | a row of the table, the kinds of handlers, and the index of rows |
//! | [`key_spec`] | where a command's keys are |
//! | [`context`] | what a handler gets |
//! | [`args`] | reading arguments, with Redis's errors |
//! | [`expiry`] | when a key expires: the forms in which clients say it |
//! | [`table`] | the rows of all families, joined |
//! | [`connection`], [`server`], [`replication`], [`transactions`], [`keys`], [`strings`], [`streams`] | the families |
//!
//! Adding a command is one function and one row, in one file of its family. If the file is new, [`table`] names it.
//!
//! # Invariants
//!
//! * A command reads and changes data, and writes its reply. It takes no lock, writes to no socket and wakes no thread: the
//!   executor does that (see [`context`]).
//! * The files above the families in this table import no family; only [`table`] imports all of them.
//!
//! Read [`command`] and [`context`] first, then [`strings::get`] for a family's simplest handlers.

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
