//! Expiry: from EX to the DEL on a replica.
//!
//! A key with an expiry has a Unix time in milliseconds in its [`Object`]; a key without one has [`NEVER`] there. A key
//! is *expired* from that time on, and *deleted* when it leaves the store. In between it is in memory, and commands act
//! as if it did not exist. (DBSIZE counts it, and DEBUG OBJECT and MEMORY USAGE show it, as in Redis.)
//!
//! # Where EX becomes an absolute time
//!
//! In one place: [`Form::deadline`] in `commands/expiry.rs`. SET, GETEX, SETEX and PSETEX reach it by
//! [`Form::positive_deadline`], which refuses zero and negative numbers; EXPIRE and its relatives call it directly.
//! "Now" is [`Context::now`], read once per batch, so no key expires between two commands of a batch.
//!
//! The log never has a relative time:
//!
//! | the client sends | the log has |
//! |---|---|
//! | `SET k v EX 60` | `SET k v PXAT 1795626060000` |
//! | `SETEX k 60 v` | `SET k v PXAT 1795626060000` |
//! | `EXPIRE k 60` | `PEXPIREAT k 1795626060000` |
//! | `GETEX k EX 60` | `PEXPIREAT k 1795626060000` |
//! | `EXPIRE k -1` | `DEL k` |
//!
//! # When a key is deleted
//!
//! On three occasions:
//!
//! * **A writer meets it.** [`Db::get_mut`] and [`Db::remove`] look whether the key has expired, and delete it first.
//! * **A reader meets it.** A reader may change nothing. [`Context::peek`], by which readers look keys up, acts as if
//!   the key did not exist, and notes its name. After the handler, [`Executor::call`] on a primary takes the write
//!   lock and deletes it ([`Db::expire_if_due`], which looks again).
//! * **The cron sweeps.** Each shard of the keyspace knows a time before which none of its keys expires. The cron
//!   visits the shards where that time has come ([`Db::sweep`]), in steps of a fraction of a millisecond under the
//!   write lock, and uses a quarter of its period at most.
//!
//! Each deletion is reported as [`Report::Expired`]. The [`WriteTxn`] counts it in `expired_keys`, and on a primary
//! adds `DEL key` to the log. The key also counts as modified (WATCH), and as ready if it held a stream, so that
//! blocked consumers learn that it is gone.
//!
//! Commands that look at many keys differ in what they do with an expired one: see the table in
//! [`commands::keys::scan`].
//!
//! # Who may delete it
//!
//! Two servers do not agree on the time to the millisecond. So only a primary decides that a key has expired, and its
//! replicas wait for the DEL in the log. The [`WriteTxn`] chooses the [`ExpiryPolicy`] by the server's role when it
//! begins:
//!
//! | server | who writes | policy | what a writer does with an expired key |
//! |---|---|---|---|
//! | primary | a client, the cron | [`Delete`] | deletes it, DEL goes to the log |
//! | writable replica (`replica-read-only no`) | a client | [`DeleteHere`] | deletes it here; nothing goes to the log |
//! | read-only replica, or any server while writes are paused (FAILOVER, SHUTDOWN) | a client | [`Hide`] | acts as if it did not exist, and leaves it |
//! | replica | the primary, through the link | [`Ignore`] | finds it, like any other key |
//!
//! What clients see:
//!
//! * **On a primary** an expired key is gone for clients at once, and its memory is freed by one of the three occasions
//!   above.
//! * **On a replica** an expired key is hidden from clients that read. It stays in memory until the primary's DEL
//!   comes. If the link is down, it stays that long.
//! * **On a writable replica** a client's write deletes it. The replica also gives expiries to keys that the primary
//!   does not know; nobody else would delete those. The database remembers their names, and the replica's cron sweeps
//!   only them ([`Db::sweep_own`]).
//! * **The primary's stream** may use a key that has expired by the replica's clock only. [`Context::peek`] and
//!   [`Db::get_mut`] find it then: otherwise a COPY or an APPEND of the primary would give another result here. A client
//!   of the replica that waits for a stream is served in that case too ([`Db::get_as_writer`]).
//!
//! A replica that becomes a primary deletes expired keys from then on.
//!
//! # Full copies
//!
//! A full copy contains keys that have expired and are not deleted yet, with their times. The replica keeps them, and
//! the DEL follows in the log.
//!
//! Read next: [`super::replication`].
//!
//! [`Object`]: crate::store::Object
//! [`NEVER`]: crate::store::NEVER
//! [`Form::deadline`]: crate::commands::expiry::Form::deadline
//! [`Form::positive_deadline`]: crate::commands::expiry::Form::positive_deadline
//! [`Context::now`]: crate::commands::context::Context::now
//! [`Context::peek`]: crate::commands::context::Context::peek
//! [`Executor::call`]: crate::execute::Executor::call
//! [`Db::get_mut`]: crate::store::Db::get_mut
//! [`Db::get_as_writer`]: crate::store::Db::get_as_writer
//! [`Db::remove`]: crate::store::Db::remove
//! [`Db::expire_if_due`]: crate::store::Db::expire_if_due
//! [`Db::sweep`]: crate::store::Db::sweep
//! [`Db::sweep_own`]: crate::store::Db::sweep_own
//! [`Report::Expired`]: crate::store::Report::Expired
//! [`WriteTxn`]: crate::write::WriteTxn
//! [`commands::keys::scan`]: crate::commands::keys::scan
//! [`ExpiryPolicy`]: crate::store::ExpiryPolicy
//! [`Delete`]: crate::store::ExpiryPolicy::Delete
//! [`Hide`]: crate::store::ExpiryPolicy::Hide
//! [`DeleteHere`]: crate::store::ExpiryPolicy::DeleteHere
//! [`Ignore`]: crate::store::ExpiryPolicy::Ignore
