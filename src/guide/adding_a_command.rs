//! Adding a command.
//!
//! A command is one function and one row, in one file of its family. This chapter lists what else it touches, says what
//! the function must report, and works out two examples: SETBIT, which Redis has and this server lacks, and ROLL, which
//! neither has.
//!
//! # What to touch
//!
//! | what | where | when |
//! |---|---|---|
//! | the handler and its row | a file of the family, such as `src/commands/strings/` | always |
//! | the name of the file | `src/commands/<family>/mod.rs` and [`FAMILIES`](crate::commands::table) in `src/commands/table.rs` | if the file is new |
//! | an ACL category | [`command::acl`] | if the category has no constant yet |
//! | the table of commands | `README.md` (`tests/readme.rs` fails otherwise) | always |
//! | a session | `tests/transcripts/<family>/*.txt` | if Redis has the command |
//! | a Rust test | `tests/application.rs` | if Redis lacks the command |
//! | templates of random calls | `tests/common/chance.rs` | if Redis has the command |
//!
//! COMMAND, COMMAND DOCS, COMMAND GETKEYS, INFO commandstats, the checks before a call and MULTI all read the row. The
//! command's name is needed nowhere else.
//!
//! # The row
//!
//! [`cmd`] takes what the server needs: name, arity, handler, flags, ACL categories that do not follow from the flags,
//! key specs. [`Command::doc`] takes what people read. For a command of Redis, ask a real server and copy its facts;
//! the summary is in our own words:
//!
//! ```text
//! redis-cli COMMAND INFO setbit
//! redis-cli COMMAND DOCS setbit
//! ```
//!
//! The variant of [`Handler`] says which data the function gets, and so which lock the executor takes. Choose the one
//! that gives least: `Plain`, `Read`, `Write`, and `ReadAll` or `WriteAll` only if the command touches several
//! databases.
//!
//! # What a handler that writes must report
//!
//! | what happened | call | what follows | if you forget it |
//! |---|---|---|---|
//! | a value was changed in place | [`Db::modified`] | WATCH | a debug build panics |
//! | a value was changed in place, and Redis signals nothing (XACK) | [`Db::changed_silently`] | nothing | a debug build panics |
//! | clients that wait for the key may find something | [`Db::ready`] | blocked clients are served | they go on waiting |
//! | a key was added, replaced or removed | nothing: [`Db::set`], [`Db::insert`], [`Db::remove`] and [`Db::delete`] report it | | |
//! | a keyspace event, with Redis's name for it | [`Db::event`] | nothing yet: there is no Pub/Sub | nothing yet |
//! | data changed | `ctx.dirty += n`, with Redis's `n` | the command goes to the log as it was sent; INFO counts it | replicas differ |
//! | the same command would do something else on a replica | [`Propagation::add`], [`Context::propagate_edited`] | these requests go to the log instead | replicas differ |
//!
//! No debug check finds a missing `dirty`. The tests of `tests/replication.rs` do, for commands that have a template in
//! `tests/common/chance.rs`: they compare the data of both sides.
//!
//! Two more rules:
//!
//! * Check everything before the first change. An error takes back the reply, but not the data.
//! * Do not read the clock: use [`Context::now`]. Do not take the store's lock or write to a socket: ask for an [`Action`].
//!
//! # A command that Redis has: SETBIT
//!
//! The new file `src/commands/strings/bits.rs`:
//!
//! ```rust,ignore
//! //! Strings as rows of bits: SETBIT.
//! //!
//! //! Bit 0 is the highest bit of the first byte.
//! //!
//! //! # Invariant
//! //!
//! //! * No bit lies beyond `proto-max-bulk-len`. The limit does not apply to the primary: a replica must
//! //!   repeat what its primary did.
//!
//! use crate::commands::args::int;
//! use crate::commands::command::Handler::Write;
//! use crate::commands::command::flags::{DENYOOM, WRITE};
//! use crate::commands::command::{Command, acl, cmd};
//! use crate::commands::context::{CommandResult, Context};
//! use crate::commands::key_spec::flags::{ACCESS, RW, UPDATE};
//! use crate::commands::key_spec::key;
//! use crate::resp::Error;
//! use crate::store::{Class, Db, StringValue, Type, Value};
//!
//! /// The commands of this file.
//! #[rustfmt::skip]
//! pub static COMMANDS: &[Command] = &[
//!     cmd("setbit", 4, Write(setbit), WRITE | DENYOOM, acl::BITMAP, &[key(1, RW | ACCESS | UPDATE)])
//!         .doc("bitmap", "2.2.0", "O(1)", "key offset value",
//!              "Sets or clears one bit of a string."),
//! ];
//!
//! /// The byte that holds the bit of argument 2, and the bit's mask in that byte.
//! fn bit_of(ctx: &Context) -> Result<(usize, u8), Error> {
//!     const RANGE: Error = Error::text("ERR bit offset is not an integer or out of range");
//!     let bit = int(&ctx.args[2]).ok().and_then(|n| u64::try_from(n).ok());
//!     let bit = bit.ok_or(RANGE)?;
//!     if !ctx.session.is_primary && bit / 8 >= ctx.config.proto_max_bulk_len as u64 {
//!         return Err(RANGE);
//!     }
//!     Ok(((bit / 8) as usize, 0x80 >> (bit % 8)))
//! }
//!
//! /// `SETBIT key offset value`: sets or clears a bit of the string at the key, which grows as far as needed. Replies with the
//! /// bit's old value. O(1), and O(N) for N bytes that are added.
//! pub fn setbit(ctx: &mut Context, db: &mut Db) -> CommandResult {
//!     const NOT_A_BIT: Error = Error::text("ERR bit is not an integer or out of range");
//!     let (at, mask) = bit_of(ctx)?;
//!     let on = match &ctx.args[3] {
//!         b"0" => false,
//!         b"1" => true,
//!         _ => return Err(NOT_A_BIT),
//!     };
//!     let key = &ctx.args[1];
//!     if ctx.find_mut(db, key).is_none() {
//!         ctx.set(db, key, Value::string(b""));
//!     }
//!     let Some(object) = ctx.find_mut(db, key) else {
//!         return Ok(()); // never: the key was just set
//!     };
//!     let string = StringValue::of_mut(&mut object.value)?.raw_mut();
//!     let grows = string.len() <= at;
//!     if grows {
//!         string.resize(at + 1, 0);
//!     }
//!     let was_on = string[at] & mask != 0;
//!     string[at] = if on {
//!         string[at] | mask
//!     } else {
//!         string[at] & !mask
//!     };
//!     if grows || on != was_on {
//!         db.modified(key);
//!         db.event(Class::String, "setbit", key);
//!         ctx.dirty += 1;
//!     }
//!     ctx.reply.int(was_on.into());
//!     Ok(())
//! }
//! ```
//!
//! What it shows:
//!
//! * [`Context::find_mut`] counts as a use of the key, and deletes a key that has expired.
//! * [`of_mut`](crate::store::Type::of_mut) fails with WRONGTYPE for a stream; `?` turns that into the reply.
//!   Nothing has changed by then.
//! * The key is reported as modified only if a bit changed, and only then does the command go to the log. Redis 7.0
//!   does the same.
//! * The log gets the command as it was sent: it gives the same result on a replica. There the executor runs it in a
//!   session with `is_primary` set, so the limit does not apply.
//!
//! Then, in the other files:
//!
//! ```text
//! src/commands/strings/mod.rs     pub mod bits;
//!                                 and a row for the file in the table at its head
//! src/commands/table.rs           strings::bits::COMMANDS,      after strings::lcs::COMMANDS
//! src/commands/command.rs         pub const BITMAP: u32 = 1 << 8;      in `acl`; its name is in NAMES already
//! README.md                       `SETBIT` in the row of the strings
//! tests/common/chance.rs          "SETBIT $KEY $INT $INT",      in TEMPLATES
//! ```
//!
//! The session is written without replies, in `tests/transcripts/strings/bits.txt`:
//!
//! ```text
//! # SETBIT sets one bit, and replies with the bit that was there.
//! > SETBIT bits 7 1
//! > GET bits
//! > SETBIT bits 7 0
//! > SETBIT bits 23 1
//! > STRLEN bits
//! > SETBIT bits -1 1
//! > SETBIT bits 0 2
//! > XADD s 1-1 f v
//! > SETBIT s 0 1
//!
//! # It modifies the key only if the bit changes.
//! A> WATCH bits
//! > SETBIT bits 7 0
//! A> MULTI
//! A> PING
//! A> EXEC
//! ```
//!
//! `RECORD=bits cargo test --test transcripts` has the real redis-server fill in the replies. Read them: they are what
//! your command must do. `ONLY=bits cargo test --test transcripts` then compares. A command that writes deserves a
//! scene in some of the files that show one aspect of all commands:
//!
//! | file under `tests/transcripts/` | what it shows |
//! |---|---|
//! | `transactions/touching.txt` | which commands disturb a WATCH |
//! | `keys/expired.txt` | what a command does with an expired key that it meets |
//! | `replication/changes.txt` | what a command adds to the log |
//! | `replication/expired.txt` | the same keys on a replica |
//! | `streams/waking.txt`, `groups/waking.txt` | which commands wake a reader that waits |
//!
//! # A command that Redis lacks: ROLL
//!
//! `ROLL key sides` stores a random number. A replica that ran ROLL again would roll another number, so the log gets a
//! SET. Log only commands that Redis has: then the real redis-server can be a replica, and so can an older version of
//! this server.
//!
//! ```rust,ignore
//! //! Chance: ROLL.
//!
//! use crate::commands::args::int;
//! use crate::commands::command::Handler::Write;
//! use crate::commands::command::flags::{DENYOOM, FAST, WRITE};
//! use crate::commands::command::{Command, acl, cmd};
//! use crate::commands::context::{CommandResult, Context};
//! use crate::commands::key_spec::flags::{OW, UPDATE};
//! use crate::commands::key_spec::key;
//! use crate::resp::Error;
//! use crate::store::{Class, Db, Value};
//!
//! /// The commands of this file.
//! #[rustfmt::skip]
//! pub static COMMANDS: &[Command] = &[
//!     cmd("roll", 3, Write(roll), WRITE | DENYOOM | FAST, acl::STRING, &[key(1, OW | UPDATE)])
//!         .doc("string", "7.0.15", "O(1)", "key sides",
//!              "Stores a random number and replies with it.")
//!         .tips(&["nondeterministic_output"]),
//! ];
//!
//! /// `ROLL key sides`: stores a random number from 1 to `sides` at the key, and replies with it. O(1). Not a command of Redis.
//! ///
//! /// Propagates `SET key number`.
//! pub fn roll(ctx: &mut Context, db: &mut Db) -> CommandResult {
//!     let sides = usize::try_from(int(&ctx.args[2])?).unwrap_or(0);
//!     if sides == 0 {
//!         return Err(Error::text("ERR a die has at least one side"));
//!     }
//!     let number = 1 + ctx.server.random.below(sides) as i64;
//!     let key = &ctx.args[1];
//!     ctx.set(db, key, Value::int(number));
//!     db.event(Class::String, "set", key);
//!     ctx.dirty += 1;
//!     let text = number.to_string();
//!     ctx.propagation.add(&[b"SET", key, text.as_bytes()]);
//!     ctx.reply.int(number);
//!     Ok(())
//! }
//! ```
//!
//! `mod.rs`, `table.rs` and `README.md` as above. Say in the README that Redis lacks it, as for `CLIENT SETINFO`. There
//! is no transcript, because the real server cannot record it; so the test is in Rust, in `tests/application.rs`:
//!
//! ```rust,ignore
//! #[test]
//! fn a_roll_is_the_same_number_on_a_replica() {
//!     let primary = Server::start(Config {
//!         repl_diskless_sync_delay: 0,
//!         ..Config::for_tests()
//!     })
//!     .unwrap();
//!     let address = primary.address();
//!     let replica = Server::start(Config {
//!         replicaof: Some((address.ip().to_string(), address.port())),
//!         ..Config::for_tests()
//!     })
//!     .unwrap();
//!     let (mut c, mut r) = (connect(&primary), connect(&replica));
//!     wait_for(|| info(&mut r, "master_link_status") == "up");
//!     let number: i64 = redis::cmd("ROLL").arg("die").arg(6).query(&mut c).unwrap();
//!     assert!((1..=6).contains(&number));
//!     let _: i64 = redis::cmd("WAIT").arg(1).arg(5000).query(&mut c).unwrap();
//!     assert_eq!(r.get::<_, i64>("die").unwrap(), number);
//! }
//! ```
//!
//! # Other kinds of commands
//!
//! * **A container** (`OBJECT ENCODING`): a row with the handler `Container`, and `.subcommands(&[…])`. Every
//!   subcommand is a row with a handler of its own. See `src/commands/keys/object.rs`.
//! * **A command that waits**: [`Context::block`] with the keys, the timeout and a [`Service`], if
//!   [`Context::may_block`]. The service does, under a writer's lock, what the handler would have done, and says
//!   through [`Serving`] what goes to the log. See `src/commands/streams/read.rs` and `read_group.rs`.
//! * **A command that needs a lock, a socket or another client**: a new variant of [`Action`], which
//!   `src/execute/actions.rs` performs.
//!
//! Read next: [`super::adding_a_setting`].
//!
//! [`command::acl`]: crate::commands::command::acl
//! [`cmd`]: crate::commands::command::cmd
//! [`Command::doc`]: crate::commands::command::Command::doc
//! [`Handler`]: crate::commands::command::Handler
//! [`Db::modified`]: crate::store::Db::modified
//! [`Db::changed_silently`]: crate::store::Db::changed_silently
//! [`Db::ready`]: crate::store::Db::ready
//! [`Db::set`]: crate::store::Db::set
//! [`Db::insert`]: crate::store::Db::insert
//! [`Db::remove`]: crate::store::Db::remove
//! [`Db::delete`]: crate::store::Db::delete
//! [`Db::event`]: crate::store::Db::event
//! [`Propagation::add`]: crate::state::propagation::Propagation::add
//! [`Context::propagate_edited`]: crate::commands::context::Context::propagate_edited
//! [`Context::now`]: crate::commands::context::Context::now
//! [`Context::find_mut`]: crate::commands::context::Context::find_mut
//! [`Context::block`]: crate::commands::context::Context::block
//! [`Context::may_block`]: crate::commands::context::Context::may_block
//! [`Action`]: crate::commands::context::Action
//! [`Service`]: crate::state::blocking::Service
//! [`Serving`]: crate::state::blocking::Serving
