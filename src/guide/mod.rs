//! The guide: how this server works, and how to change it.
//!
//! Each chapter is a module without code. It follows one question through the files, and names the functions on the
//! way, so that you can read the code beside it. In pages made by `cargo doc --document-private-items` most names are
//! links; in the source the links are at the end of each file.
//!
//! # Chapters
//!
//! How it works:
//!
//! 1. [`path_of_a_set`]: what happens to a SET, from the bytes that arrive to the bytes that leave.
//! 2. [`waiting_reader`]: XREAD BLOCK and XADD: why no wake-up is lost, and which thread sends the reply.
//! 3. [`threads_and_locks`]: what each thread does, when it begins and ends, and in which order threads take locks.
//! 4. [`expiry`]: where EX becomes an absolute time, and what happens to an expired key on a primary and on a replica.
//! 5. [`replication`]: offset, log, backlog, WAIT, full copies and partial resynchronisation.
//! 6. [`panics`]: what a bug in one command costs.
//!
//! How to change it:
//!
//! 7. [`adding_a_command`]: the files to touch, worked out for a command of Redis and for an invented one.
//! 8. [`adding_a_setting`]: the same for a setting.
//!
//! To look things up:
//!
//! 9. [`glossary`]: the words that the code uses.
//! 10. [`redis_sources`]: which file here does what a file of Redis's source does.
//!
//! # The layers
//!
//! Imports only point down: no layer imports a layer above it.
//!
//! ```text
//! main.rs                      command line -> Server::start            lib.rs  the guided tour
//!    │
//! server/        the threads   mod (start, accept, stop) · client (a client's thread) · look · cron · configure
//!    │
//! replication/   primary (feeds a replica) · replica (follows a primary)
//!    │
//! execute/       mod (Executor) · admission (may it run?) · lease (the lock) · call (the handler)
//!    │           · actions (what the handler asked for) · transaction (EXEC) · statistics
//!    │
//! commands/      a folder per family, table (all rows), command, key_spec, context, args      persistence/  rdb/{save,load}
//!    │
//! write.rs       WriteTxn: the only way to change data, and everything that follows from a change
//!    │
//! state/         what the threads share: mod (Shared) · lock (their order) · config · settings/ · session · clients · outbox
//!    │           · blocking · watch · propagation · journal (the log of changes) · replication · copies (full copies)
//!    │           · failover · shutdown · pause · stats · log
//!    │
//! store/         Db, Dict, Sharded, one file per type, stream/, reports        resp/  request, reply
//!    │
//! util/  glob, numbers, clock …                  sys.rs  the system calls that std lacks, and the only `unsafe`
//! ```
//!
//! The [front page](crate) shows the modules in the order of the layers. It is the better way in if you want to read
//! everything.
//!
//! # Short answers
//!
//! | question | answer | where |
//! |---|---|---|
//! | Where is a password asked for? | In [`Executor::look_up`]: until the session has authenticated, it refuses with NOAUTH every command whose row lacks the flag [`NO_AUTH`]. AUTH and HELLO compare the password. | `execute/admission.rs`, `commands/connection/login.rs` |
//! | What keeps a GET from changing data? | The type of its handler: [`Handler::Read`] gets `&Db`. Only the mark of last use is an atomic, which a reader sets. | `commands/command.rs` |
//! | What keeps a handler from taking the store's lock? | It gets [`State`] and not [`Shared`]: the lock is a private field of [`Shared`]. | `state/mod.rs`, `commands/context.rs` |
//! | Where does EX become an absolute time? | In [`Form::deadline`]. | `commands/expiry.rs` |
//! | Why is no wake-up of XREAD BLOCK lost? | The reader registers under the lock under which it found nothing. See [`waiting_reader`]. | `execute/actions.rs`, `state/blocking.rs` |
//! | Which thread sends its reply? | The writer's thread, after it has released the lock. The reader's own thread if it does not sleep yet, or if the reply is larger than 16 KB. | `state/blocking.rs` ([`Waiter::deliver`]) |
//! | What happens to an expired key? | A primary deletes it and logs DEL. A replica hides it until that DEL comes. See [`expiry`]. | `store/db.rs` ([`ExpiryPolicy`]) |
//! | What does SCAN promise? | It returns every key that exists from the beginning of the walk to its end, at least once. A key that comes or goes meanwhile may be missing; some keys may come twice. | `store/sharded.rs` ([`Sharded::scan`]), `store/dict.rs` |
//! | In which order are locks taken? | In the order of [`Rank`]; `Store` is the first. Debug builds check it. | `state/lock.rs` |
//! | What does a writer pay during a snapshot? | One copy of a shard, some 2,000 keys, at the first change of that shard. See [`replication`]. | `store/sharded.rs` |
//! | How does WAIT know its offset? | The client's [`Executor`] keeps the offset that the end of its last write transaction returned. See [`replication`]. | `execute/mod.rs`, `execute/call.rs` |
//! | How do I add a command, or a setting? | See [`adding_a_command`] and [`adding_a_setting`]. | |
//! | Why does a client's thread not sleep at once after its reply? | A wake-up costs more than a small request, so the thread looks for the next request a few times first. | `server/look.rs` |
//! | What may a thread hold while it waits for a peer? | Never the store's lock. | `state/lock.rs` (`may_wait`) |
//! | What does a panic do? | It ends one connection. If data was being changed, replicas copy everything anew. See [`panics`]. | `write.rs` |
//!
//! [`Executor::look_up`]: crate::execute::Executor::look_up
//! [`Executor`]: crate::execute::Executor
//! [`NO_AUTH`]: crate::commands::command::flags::NO_AUTH
//! [`Handler::Read`]: crate::commands::command::Handler::Read
//! [`State`]: crate::state::State
//! [`Shared`]: crate::state::Shared
//! [`Form::deadline`]: crate::commands::expiry::Form::deadline
//! [`Waiter::deliver`]: crate::state::blocking::Waiter::deliver
//! [`ExpiryPolicy`]: crate::store::ExpiryPolicy
//! [`Sharded::scan`]: crate::store::sharded::Sharded::scan
//! [`Rank`]: crate::state::lock::Rank

pub mod adding_a_command;
pub mod adding_a_setting;
pub mod expiry;
pub mod glossary;
pub mod panics;
pub mod path_of_a_set;
pub mod redis_sources;
pub mod replication;
pub mod threads_and_locks;
pub mod waiting_reader;
