//! Replication: the log, offsets, WAIT, full copies and partial resynchronisation.
//!
//! The dialogue of a primary and a replica is in [`mod@crate::replication`], line by line. This chapter explains what
//! it rests on.
//!
//! # The log and its offsets
//!
//! The log ([`Journal`]) is one sequence of bytes: requests in RESP that replay the changes, in the order in which they
//! were made. A command is logged in a form that gives the same result anywhere: XADD with the ID that it got, PXAT for
//! EX (see [`propagation`]).
//!
//! An *offset* is a number of bytes since the beginning of the history. [`Journal::end`] is the offset after the last
//! byte. A replica appends what it receives to a log of its own, byte for byte, so an offset means the same on all
//! servers.
//!
//! ```text
//!   bytes    *2 SELECT 0   *3 SET a 1   *3 SET b 2   *1 PING
//!   offset  0            23           50           77       91
//! ```
//!
//! Nothing is recorded until the first replica asks for a copy: then the log becomes active. (A replica's own log
//! becomes active with the copy that it receives.) After `repl-backlog-ttl` seconds without a replica, a primary stops
//! recording.
//!
//! A [`WriteTxn`] appends when it ends, under the store's write lock, so the order in the log is the order of the
//! changes. Two others append under the read lock, which keeps writers out as well: the cron (PING), and WAIT or
//! SHUTDOWN (`REPLCONF GETACK *`). What one command or one transaction did stands between MULTI and EXEC if it is more
//! than one request.
//!
//! Readers are the feeders, one thread per replica. A feeder that has nothing to send sleeps in [`Journal::wait`]. A
//! writer never waits for a feeder.
//!
//! # The backlog
//!
//! The log is a list of blocks of 64 KB. A block is dropped when no connected replica needs it and when it is further
//! back than `repl-backlog-size` bytes (1 MB). The part that is kept for replicas that are away is the *backlog*. A
//! replica that falls back further than `client-output-buffer-limit replica` allows is *lost*: its connection is
//! closed, and it begins anew.
//!
//! # Partial resynchronisation
//!
//! A replica that reconnects sends `PSYNC <replid> <next byte>`. `resume` in `replication/primary.rs` answers
//! `+CONTINUE`, and sends only what is missing, if
//!
//! * the history is known: `<replid>` is the name of this server's history, or of the one that it branched off, up to
//!   that point ([`History::includes`]);
//! * the log still has the next byte ([`Journal::reaches`]).
//!
//! Otherwise the replica gets a full copy. A history has two names after a promotion: see the picture in
//! [`state::replication`](crate::state::replication).
//!
//! # A full copy
//!
//! The feeder takes the write lock and calls `take_copy`: it shares all shards of all databases ([`Db::snapshot`]),
//! notes the offset, and registers each replica of the round as a reader of the log from that offset on. All of this is
//! one step under the lock, so no change is missing from both the copy and the log, or in both. Then the lock is free,
//! and the copy is written to the socket as an RDB by a thread with low priority.
//!
//! Nothing on the replica changes while the copy comes. When it is complete and right, the link's thread replaces all
//! data under the write lock ([`WriteTxn::replace_all`]).
//!
//! # What a writer pays during a snapshot
//!
//! * **While the copy is taken**, every client waits for the write lock: one counter per shard is raised, about 5,000
//!   of them for 10,000,000 keys, 0.1 ms.
//! * **At the first change of a shard** that the copy still shares, the writer copies the shard: some 2,000 keys, 0.12
//!   ms in the 99.99th percentile (measured; see [`store::sharded`](crate::store::sharded)). Later changes of the same
//!   shard cost nothing more, for this copy. Strings of 1 KB and more are shared and not copied, except those that were
//!   changed in place (APPEND, SETRANGE).
//! * **At the first change of a stream**, the writer copies the list of its nodes; then each node that it changes,
//!   once, and in a consumer group the leaves of the PEL that it changes.
//! * **Memory**: in the worst case, if everything changes, the data a second time until the copy is sent. Each feeder
//!   drops its share when it has sent the copy; the last one frees it.
//!
//! Readers pay nothing. There is no fork.
//!
//! # WAIT
//!
//! `WAIT 1 100` waits until one replica has everything that *this client* has written, for 100 ms at most.
//!
//! *How it knows the offset.* When a client's `Lease` ends, [`WriteTxn::finish`] appends to the log and returns the
//! offset after the client's last change. The client's [`Executor`] keeps it, and [`Executor::call`] hands it to the
//! next command as [`Session::last_write_offset`]. WAIT touches no data, so the lease ends before WAIT runs, and the
//! client's earlier writes of the same pipeline are in the log by then.
//!
//! *How it waits.*
//!
//! 1. [`wait`] counts the replicas that have acknowledged the offset ([`Replicas::count_acked`]). Are there enough, or
//!    is it in a transaction? Then it replies.
//! 2. Otherwise it asks for [`Action::Wait`] with `acks`. The executor registers a [`Waiter`] without keys, and
//!    [`Shared::wait_for_acks`] appends `REPLCONF GETACK *` to the log, once for all clients that wait for the same
//!    offset, and sends the log to the replicas at once.
//! 3. Each replica replies `REPLCONF ACK <offset>`. The thread of that replica's connection calls
//!    [`Replicas::acknowledge`]. It serves each waiter whose offset enough replicas have acknowledged, and sends
//!    the reply.
//! 4. If the time is up first, the client's own thread replies with the number of replicas that have acknowledged.
//!
//! A client that has written nothing waits for offset 0, which every online replica has.
//!
//! # Following a primary
//!
//! One thread runs the primary's commands with an [`Executor`] of its own (`replication/replica/stream.rs`). A
//! transaction is held back until its EXEC has come, because an offset in the middle of one is no place to go on from.
//! The bytes go to the replica's own log under the same lock as the change ([`Executor::relay`]).
//!
//! REPLICAOF changes the link's *generation* under the write lock. The thread looks at the generation under that lock
//! before it changes anything, so nothing of the old primary comes after the change.
//!
//! # Handing over
//!
//! FAILOVER and SHUTDOWN pause writes until replicas have everything: see [`state::pause`](crate::state::pause),
//! [`state::failover`](crate::state::failover) and [`state::shutdown`](crate::state::shutdown). The cron looks whether
//! they have.
//!
//! Read next: [`super::panics`].
//!
//! [`Journal`]: crate::state::journal::Journal
//! [`Journal::end`]: crate::state::journal::Journal::end
//! [`Journal::wait`]: crate::state::journal::Journal::wait
//! [`Journal::reaches`]: crate::state::journal::Journal::reaches
//! [`propagation`]: crate::state::propagation
//! [`History::includes`]: crate::state::replication::History::includes
//! [`Replicas::count_acked`]: crate::state::replication::Replicas::count_acked
//! [`Replicas::acknowledge`]: crate::state::replication::Replicas::acknowledge
//! [`Db::snapshot`]: crate::store::Db::snapshot
//! [`WriteTxn`]: crate::write::WriteTxn
//! [`WriteTxn::finish`]: crate::write::WriteTxn::finish
//! [`WriteTxn::replace_all`]: crate::write::WriteTxn::replace_all
//! [`Executor`]: crate::execute::Executor
//! [`Executor::call`]: crate::execute::Executor::call
//! [`Executor::relay`]: crate::execute::Executor::relay
//! [`Session::last_write_offset`]: crate::state::session::Session::last_write_offset
//! [`wait`]: crate::commands::replication::wait::wait
//! [`Action::Wait`]: crate::commands::context::Action::Wait
//! [`Waiter`]: crate::state::blocking::Waiter
//! [`Shared::wait_for_acks`]: crate::state::Shared::wait_for_acks
