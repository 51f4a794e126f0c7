//! Glossary: the words that the code uses.
//!
//! Redis's words for Redis's things, and the names of this server's own types.
//!
//! # Requests and commands
//!
//! | word | meaning |
//! |---|---|
//! | RESP | The protocol between clients and servers, in two versions: RESP2, and RESP3 after `HELLO 3` ([`resp`]). |
//! | request, argument | A list of byte strings. The first is the command's name. A [`Span`] says where an argument lies in the read buffer. |
//! | big argument | An argument of 32 KB or more that has not arrived whole. It is read into a buffer of its own, which becomes the value. |
//! | inline command | A request without RESP: words on one line. |
//! | pipeline | Requests that a client sends without waiting for replies. |
//! | batch | The requests that a client's thread has found in its buffer and runs together, with one reading of the clock. |
//! | handler | The function of a command. |
//! | row | What the table says about a command: [`Command`]. |
//! | arity | How many arguments a command has, its name included; −n means n or more; -n means n or more. |
//! | key spec | Where a command's keys are among its arguments ([`KeySpec`]). |
//! | container | A command that has only subcommands, such as CONFIG. |
//! | [`Context`] | What a handler gets besides the data. |
//! | [`Action`] | What a handler asks the executor to do, because it may not do so itself. |
//! | session | The state of a client that only its own thread uses ([`Session`]). |
//! | [`Executor`] | Runs the commands of one client: checks, lock, handler, consequences. |
//!
//! # Changing data
//!
//! | word | meaning |
//! |---|---|
//! | store | All databases, behind one read-write lock ([`Store`]). |
//! | database | One numbered keyspace with its expiries and reports ([`Db`]). |
//! | lease | The store's lock that an executor keeps from one command to the next (`Lease`). |
//! | [`WriteTxn`] | The write lock together with everything that must follow from a change. Not a transaction of a client. |
//! | transaction | The commands between MULTI and EXEC. |
//! | unit | What one command, one transaction or one served client adds to the log. Readers of the log see it as a whole. |
//! | report | What a database says has happened to it: a key was modified, became ready, expired ([`Report`]). |
//! | modified | A key's value changed, or the key came or went. WATCH needs that. |
//! | ready | A client that waits for the key may find something. |
//! | dirty | How many changes a command has made. 0 means that nothing goes to the log. |
//! | keyspace event | A change by its name, as `notify-keyspace-events` would publish it. Reported, and not published yet. |
//! | garbage | Removed values that take long to free. The thread frees them after it has released the lock ([`Garbage`]). |
//!
//! # Waiting
//!
//! | word | meaning |
//! |---|---|
//! | blocked client | A client whose command waits: XREAD BLOCK, XREADGROUP BLOCK, WAIT, SHUTDOWN. |
//! | waiter | A wait of one client: keys, timeout, progress ([`Waiter`]). |
//! | ticket | A waiter's place in the order in which clients blocked. |
//! | service | What a writer runs for a waiter: takes the entries and writes the reply ([`Service`]). |
//! | outbox | Everything that is sent to one client, in one order ([`Outbox`]). |
//! | drainer | The thread that writes an outbox to a slow socket. |
//! | pause | Writes wait because a FAILOVER or a SHUTDOWN is under way ([`WritePause`]). |
//!
//! # Memory
//!
//! | word | meaning |
//! |---|---|
//! | [`Dict`] | The hash table. |
//! | shard | One Dict of a large map, with some 2,000 entries ([`Sharded`]). |
//! | snapshot | The data as they were at one moment. It shares shards and nodes with the store until a writer changes them. |
//! | volatile key | A key with an expiry. |
//! | listpack | Many small elements in one piece of memory, in Redis's format ([`Listpack`]). |
//! | node | A listpack with up to a hundred entries of a stream ([`Node`]). |
//! | master entry | The first entry of a node's listpack. It holds the field names that most entries of the node share. |
//! | encoding | How a value is kept, as OBJECT ENCODING names it: `int`, `embstr`, `raw`, `stream`. |
//!
//! # Streams
//!
//! | word | meaning |
//! |---|---|
//! | entry, ID | A list of fields and values; its ID is `milliseconds-sequence` ([`StreamId`]). |
//! | last ID | The largest ID that a stream ever gave out. It stays if the entry is deleted. |
//! | consumer group | A position in a stream that several consumers share ([`Group`]). |
//! | last-delivered-id | The group's position: XREADGROUP with `>` reads what comes after it. |
//! | PEL | Pending entries list: entries that were delivered to a consumer and not acknowledged. |
//! | NACK | One entry of a PEL: consumer, time and number of deliveries ([`Nack`]). |
//! | entries-read | How many of the entries ever added the group has passed. |
//! | lag | Entries ever added, less entries-read. |
//!
//! # Replication
//!
//! | word | meaning |
//! |---|---|
//! | primary, replica | The server whose clients write, and a server that copies it. Redis's protocol says master and slave. |
//! | log, journal | The sequence of all changes ([`Journal`]). Not the server's log of messages ([`Log`]). |
//! | propagation | What a command adds to the log ([`Propagation`]). |
//! | offset | A number of bytes of the log since the beginning of its history. |
//! | history, replid | A sequence of changes, and its name of 40 digits ([`History`]). |
//! | replid2 | The name of the history that this one branched off, valid up to an offset. |
//! | backlog | The end of the log that is kept for replicas that are away. |
//! | feeder | The thread that sends the copy and the log to one replica. |
//! | link | A replica's connection to its primary ([`Link`]). |
//! | generation | A number that changes when the server follows another primary or none. |
//! | full copy, full resync | All data as an RDB, and the log from there on. |
//! | round | Replicas that come within `repl-diskless-sync-delay` and share one copy ([`copies`](crate::state::copies)). |
//! | partial resync | The replica goes on with the log from its offset. |
//! | ACK, GETACK | A replica's message with its offset, and the request for one. |
//! | mark | 40 random digits after a copy whose length was not announced. |
//! | RDB | Redis's format for a snapshot. Here it is only sent, never stored. |
//!
//! Read next: [`super::redis_sources`].
//!
//! [`resp`]: crate::resp
//! [`Span`]: crate::resp::args::Span
//! [`Command`]: crate::commands::command::Command
//! [`KeySpec`]: crate::commands::key_spec::KeySpec
//! [`Context`]: crate::commands::context::Context
//! [`Action`]: crate::commands::context::Action
//! [`Session`]: crate::state::session::Session
//! [`Executor`]: crate::execute::Executor
//! [`Store`]: crate::store::Store
//! [`Db`]: crate::store::Db
//! [`WriteTxn`]: crate::write::WriteTxn
//! [`Report`]: crate::store::Report
//! [`Garbage`]: crate::store::Garbage
//! [`Waiter`]: crate::state::blocking::Waiter
//! [`Service`]: crate::state::blocking::Service
//! [`Outbox`]: crate::state::outbox::Outbox
//! [`WritePause`]: crate::state::pause::WritePause
//! [`Dict`]: crate::store::dict::Dict
//! [`Sharded`]: crate::store::sharded::Sharded
//! [`Listpack`]: crate::store::listpack::Listpack
//! [`Node`]: crate::store::stream::node::Node
//! [`StreamId`]: crate::store::stream::StreamId
//! [`Group`]: crate::store::stream::Group
//! [`Nack`]: crate::store::stream::Nack
//! [`Journal`]: crate::state::journal::Journal
//! [`Log`]: crate::state::log::Log
//! [`Propagation`]: crate::state::propagation::Propagation
//! [`History`]: crate::state::replication::History
//! [`Link`]: crate::state::replication::Link
