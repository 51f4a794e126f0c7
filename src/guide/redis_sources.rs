//! Redis's source and this one: which file does what.
//!
//! For readers who know Redis 7.0's `src/`. Functions here that correspond to one of Redis's say so in their comments
//! ("Mirrors `signalModifiedKey`").
//!
//! | Redis | here | what differs |
//! |---|---|---|
//! | `server.c`: `main`, `initServer` | `main.rs`, [`Server::start`] | A server is a value; a process can hold several. |
//! | `server.c`: `processCommand` | `execute/admission.rs` ([`Executor::look_up`], [`Executor::admit`]) | The same order of checks. |
//! | `server.c`: `call` | `execute/call.rs` ([`Executor::call`]) | The handler's type says which lock is held. |
//! | `server.c`: `alsoPropagate`, `propagatePendingCommands` | [`state::propagation`], [`WriteTxn::propagate`], [`WriteTxn::end_unit`] | |
//! | `server.c`: `serverCron` | `server/cron.rs` | It deletes expired keys in steps of its own, so that the lock is free in between. |
//! | `server.c`: `genRedisInfoString` | [`commands::server::info`], [`state::stats`] | |
//! | `server.c`: `prepareForShutdown`, `finishShutdown` | [`state::shutdown`] | |
//! | `commands.c`, `commands/*.json` | `COMMANDS` in each file of [`commands`], [`commands::command`], [`commands::table`] | Rows stand beside their functions. |
//! | `ae.c`, `anet.c` | `std::net`, [`sys`], [`server`] | There is no event loop: each client has a thread. |
//! | `networking.c`: reading, `processInputBuffer` | `server/client.rs`, [`resp::request`] | Arguments are not copied. |
//! | `networking.c`: `addReply*` | [`resp::reply`] | |
//! | `networking.c`: output buffers, `writeToClient` | [`state::outbox`] | |
//! | `networking.c`: CLIENT, `pauseClients` | [`commands::connection`], [`state::clients`], [`state::pause`] | Only writes are paused, and only by the server itself. |
//! | `db.c`: keyspace, SCAN, KEYS, RENAME… | [`store::db`], [`commands::keys`] | |
//! | `db.c`: `expireIfNeeded`; `expire.c` | [`store::db`] ([`ExpiryPolicy`]), [`commands::expiry`], `commands/keys/expire.rs` | Readers note expired keys; the executor deletes them. No second table of expiries: each shard has a summary. |
//! | `db.c`: `getKeysFromCommand` and key specs | [`commands::key_spec`] | |
//! | `object.c`: values, OBJECT, MEMORY | [`store::object`], `commands/keys/object.rs`, `commands/server/memory.rs` | Small integers are not shared. A stream is shared with snapshots and with copies by COPY until one side changes. |
//! | `evict.c`: LRU clock, LFU counter | [`AccessPolicy`] | Nothing is evicted. |
//! | `dict.c` | [`store::dict`], [`store::sharded`] | Dense entries beside an index of slots; growth by one shard at a time in place of incremental rehashing. |
//! | `sds.c` | [`store::small_bytes`] | Immutable; short strings are stored in place. |
//! | `listpack.c` | [`store::listpack`] | The same bytes. |
//! | `rax.c` | [`store::shared_map`]; the nodes of a stream are in a `VecDeque` | A B+tree of shared leaves for pending entries. |
//! | `t_string.c` | [`commands::strings`] | |
//! | `t_stream.c` | [`store::stream`] (the data), [`commands::streams`] (the commands) | The same nodes and the same rules. |
//! | `blocked.c` | [`state::blocking`], `execute/actions.rs` | The thread that made the key ready serves, before it releases the lock. |
//! | `multi.c` | `execute/transaction.rs`, [`commands::transactions`], [`state::watch`] | |
//! | `notify.c` | [`store::reports`] | Events are reported and not published. |
//! | `replication.c`: primary, backlog | [`replication::primary`], [`state::journal`], [`state::copies`] | One thread per replica reads the log. The backlog is the log itself. |
//! | `replication.c`: replica | [`replication::replica`], [`state::replication`] | |
//! | `replication.c`: WAIT | `commands/replication/wait.rs`, [`Replicas`] | |
//! | `replication.c`: FAILOVER | [`state::failover`] | |
//! | `rdb.c` | [`persistence::rdb`] | Strings and streams. No fork and no file: a copy is written from a snapshot to the socket. |
//! | `config.c` | [`state::config`] (values), [`state::settings`] (names), `server/configure.rs` (files) | |
//! | `acl.c` | `commands/connection/login.rs` | One user with one password. |
//! | `lazyfree.c`, `bio.c` | [`Garbage`] | The client's own thread frees large values after it has released the lock. |
//! | `debug.c` | `commands/server/debug.rs` | |
//! | `util.c`, `sds.c`: `sdssplitargs` | [`util::number`], [`util::glob`], [`util::words`] | |
//! | `lzf_c.c`, `lzf_d.c`, `crc64.c` | [`util::lzf`], [`util::crc64`] | |
//! | `zmalloc.c` | [`sys::Counting`] | |
//! | `aof.c`, `pubsub.c`, `tracking.c`, `eval.c`, `script*.c`, `function*.c`, `cluster.c`, `module.c`, `sentinel.c`, `tls.c`, `slowlog.c`, `latency.c`, `sort.c`, `bitops.c`, `geo.c`, `hyperloglog.c`, `t_list.c`, `t_hash.c`, `t_set.c`, `t_zset.c` | none | See the limits in the README. |
//!
//! Two rules explain most of the differences. Redis runs everything on one thread, so its functions may call each other
//! freely; here a function may run only under the lock that its type names. And Redis forks to take a snapshot; here a
//! writer copies what a snapshot shares.
//!
//! [`Server::start`]: crate::Server::start
//! [`Executor::look_up`]: crate::execute::Executor::look_up
//! [`Executor::admit`]: crate::execute::Executor::admit
//! [`Executor::call`]: crate::execute::Executor::call
//! [`WriteTxn::propagate`]: crate::write::WriteTxn::propagate
//! [`WriteTxn::end_unit`]: crate::write::WriteTxn::end_unit
//! [`state::propagation`]: crate::state::propagation
//! [`state::stats`]: crate::state::stats
//! [`state::shutdown`]: crate::state::shutdown
//! [`state::outbox`]: crate::state::outbox
//! [`state::clients`]: crate::state::clients
//! [`state::pause`]: crate::state::pause
//! [`state::blocking`]: crate::state::blocking
//! [`state::watch`]: crate::state::watch
//! [`state::journal`]: crate::state::journal
//! [`state::copies`]: crate::state::copies
//! [`state::replication`]: crate::state::replication
//! [`state::failover`]: crate::state::failover
//! [`state::config`]: crate::state::config
//! [`state::settings`]: crate::state::settings
//! [`server`]: crate::server
//! [`commands`]: crate::commands
//! [`commands::command`]: crate::commands::command
//! [`commands::table`]: crate::commands::table
//! [`commands::server::info`]: crate::commands::server::info
//! [`commands::connection`]: crate::commands::connection
//! [`commands::keys`]: crate::commands::keys
//! [`commands::expiry`]: crate::commands::expiry
//! [`commands::key_spec`]: crate::commands::key_spec
//! [`commands::strings`]: crate::commands::strings
//! [`commands::streams`]: crate::commands::streams
//! [`commands::transactions`]: crate::commands::transactions
//! [`sys`]: crate::sys
//! [`sys::Counting`]: crate::sys::Counting
//! [`resp::request`]: crate::resp::request
//! [`resp::reply`]: crate::resp::reply
//! [`store::db`]: crate::store::db
//! [`store::object`]: crate::store::object
//! [`store::dict`]: crate::store::dict
//! [`store::sharded`]: crate::store::sharded
//! [`store::small_bytes`]: crate::store::small_bytes
//! [`store::listpack`]: crate::store::listpack
//! [`store::shared_map`]: crate::store::shared_map
//! [`store::stream`]: crate::store::stream
//! [`store::reports`]: crate::store::reports
//! [`ExpiryPolicy`]: crate::store::ExpiryPolicy
//! [`AccessPolicy`]: crate::store::AccessPolicy
//! [`Garbage`]: crate::store::Garbage
//! [`replication::primary`]: crate::replication::primary
//! [`replication::replica`]: crate::replication::replica
//! [`Replicas`]: crate::state::replication::Replicas
//! [`persistence::rdb`]: crate::persistence::rdb
//! [`util::number`]: crate::util::number
//! [`util::glob`]: crate::util::glob
//! [`util::words`]: crate::util::words
//! [`util::lzf`]: crate::util::lzf
//! [`util::crc64`]: crate::util::crc64
