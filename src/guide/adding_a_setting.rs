//! Adding a setting.
//!
//! A setting is a field of [`Config`] and a row of the table [`SETTINGS`]. The command line, configuration files,
//! CONFIG GET, CONFIG SET and CONFIG REWRITE read the table and nothing else, so a new row works in all of them.
//!
//! # What to touch
//!
//! | what | where | when |
//! |---|---|---|
//! | a field with a doc comment, and its default | [`Config`] and its `Default` in `src/state/config.rs` | always |
//! | a row, in the order of the names (a test checks the order) | [`SETTINGS`] in `src/state/settings/table.rs` | always |
//! | the use | where the server does what the setting says | always |
//! | an effect ([`Setting::apply`]) | below the table | if CONFIG SET must change something at once |
//! | a session | `tests/transcripts/server/config.txt` | if Redis has the setting |
//! | a Rust test | `tests/application.rs`, `tests/command_line.rs` | if Redis lacks it, or for its effect |
//! | the limits | `README.md` | if they mention the setting |
//!
//! # The row
//!
//! ```text
//! S::new(name, may CONFIG SET change it?, kind)
//! ```
//!
//! * **The kind** ([`Kind`]) says which texts are values, and which field they go to. Most rows use a macro:
//!   `int!(field, min, max)`, `memory!(field, min)`, `boolean!(field)`, `text!(field)`, `choice!(field, WORDS)`. A
//!   setting of several words is a `List` with functions of its own. A setting of Redis that can have one value only
//!   here is `Fixed`, with the reason why.
//! * **The change** ([`Change`]) is `Allowed`, `Immutable` or `Protected`, as in Redis: `redis-cli CONFIG SET` tells
//!   which.
//! * `.alias(old_name)` adds the name that the setting had before.
//! * `.apply(function)` runs when CONFIG SET has changed the setting, before the change is in force. If the function
//!   fails, no setting of this CONFIG SET changes. It holds the lock of the settings, so it uses the [`Config`] that it
//!   gets.
//!
//! # Where to read a setting
//!
//! * A handler reads `ctx.config`: the settings as of the beginning of the batch.
//! * The [`Executor`] and the client's thread read [`Executor::config`], which is the same.
//! * Other threads call `shared.settings.current()` each time they need a value. Do not keep the result for long:
//!   CONFIG SET replaces the whole [`Config`].
//!
//! # A setting that Redis has: repl-disable-tcp-nodelay
//!
//! With `yes`, the system may gather small pieces for a replica, which makes fewer packets and more delay. The default
//! is `no`. It takes effect when a connection becomes a replica's:
//!
//! ```rust,ignore
//! // src/state/config.rs, in `Config` and in its `Default`
//!     /// Whether the system may hold small pieces for replicas back, to send fewer and larger packets.
//!     pub repl_disable_tcp_nodelay: bool,
//!
//!             repl_disable_tcp_nodelay: false,
//!
//! // src/state/settings/table.rs, between repl-backlog-ttl and repl-diskless-sync
//!     S::new("repl-disable-tcp-nodelay", Allowed, boolean!(repl_disable_tcp_nodelay)),
//!
//! // src/server/client.rs, in `Connection::become_replica`, after the write timeout is set
//!         if self.shared.settings.current().repl_disable_tcp_nodelay {
//!             stream.set_nodelay(false)?;
//!         }
//! ```
//!
//! The scene in `tests/transcripts/server/config.txt`, whose replies `RECORD=config cargo test --test transcripts`
//! fills in:
//!
//! ```text
//! # Small pieces for replicas may be held back.
//! > CONFIG GET repl-disable-tcp-nodelay
//! > CONFIG SET repl-disable-tcp-nodelay maybe
//! > CONFIG SET repl-disable-tcp-nodelay yes
//! > CONFIG GET repl-disable-tcp*
//! ```
//!
//! Now `./your_program.sh --repl-disable-tcp-nodelay yes`, a line in a configuration file, and CONFIG REWRITE work too.
//! A program that embeds the server writes `Config { repl_disable_tcp_nodelay: true, ..Config::default() }`.
//!
//! # A setting that Redis lacks
//!
//! The same, without the transcript: the real server would refuse the name. Test it in Rust: through a [`Config`] in
//! `tests/application.rs`, through CONFIG SET there as well, or as an option in `tests/command_line.rs`. A setting that
//! no client shall see needs no row at all: [`Config::log_to`] is such a field, for programs that embed the server.
//!
//! Read next: [`super::glossary`].
//!
//! [`Config`]: crate::Config
//! [`Config::log_to`]: crate::Config::log_to
//! [`SETTINGS`]: crate::state::settings::table::SETTINGS
//! [`Setting::apply`]: crate::state::settings::kind::Setting::apply
//! [`Kind`]: crate::state::settings::kind::Kind
//! [`Change`]: crate::state::settings::kind::Change
//! [`Executor`]: crate::execute::Executor
//! [`Executor::config`]: crate::execute::Executor::config
