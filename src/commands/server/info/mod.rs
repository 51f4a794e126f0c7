//! INFO: what the server is and does, in sections of `name:value` lines.
//!
//! [`SECTIONS`] is the table of the sections. Each has a function that appends the section's lines to the text. The
//! names of sections and fields are Redis's, because monitoring tools parse them. A field about something that this
//! server does not have gets the value that Redis shows in that case, such as 0.
//!
//! | file | sections |
//! |---|---|
//! | this one | keyspace, modules, cluster |
//! | [`general`] | server, clients, persistence, cpu |
//! | [`statistics`] | stats, commandstats, errorstats |
//! | [`memory`] | memory |
//! | [`replication`] | replication |
//!
//! # The lock
//!
//! INFO holds the store's read lock, because `keyspace` counts keys, so it must not wait for files. The cron reads the
//! system's figures about this process from `/proc` once per second, and INFO shows the latest ones
//! ([`Stats::process`](crate::state::stats::Stats::process)). One exception: in a program that embeds the server
//! without its counting allocator, the section `memory` reads the resident size from `/proc` itself.

mod general;
mod memory;
mod replication;
mod statistics;

use crate::commands::command::Handler::ReadAll;
use crate::commands::command::flags::{LOADING, STALE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::store::Store;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("info", -1, ReadAll(info), LOADING | STALE, acl::DANGEROUS, &[])
        .doc("server", "1.0.0", "O(1)", "[section]...",
             "Reports what the server is and does, section by section.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
];

/// Appends `name:value` lines.
macro_rules! lines {
    ($text:expr, $($name:literal: $value:expr),* $(,)?) => {{
        use std::fmt::Write;
        // Writing into a `String` cannot fail.
        $(let _ = write!($text, concat!($name, ":{}\r\n"), $value);)*
    }};
}
use lines;

/// A section of INFO.
struct Section {
    /// The name that a client gives, in lower case.
    name: &'static str,
    /// The title above the lines.
    title: &'static str,
    /// INFO without arguments shows the section.
    is_default: bool,
    /// Appends the lines of the section.
    write: fn(&Context, &Store, &mut String),
}

/// A row of [`SECTIONS`].
const fn section(
    name: &'static str,
    title: &'static str,
    is_default: bool,
    write: fn(&Context, &Store, &mut String),
) -> Section {
    Section {
        name,
        title,
        is_default,
        write,
    }
}

/// The sections, in Redis's order.
const SECTIONS: &[Section] = &[
    section("server", "Server", true, |c, _, t| general::server(c, t)),
    section("clients", "Clients", true, |c, _, t| general::clients(c, t)),
    section("memory", "Memory", true, |c, _, t| memory::memory(c, t)),
    section("persistence", "Persistence", true, |c, _, t| {
        general::persistence(c, t)
    }),
    section("stats", "Stats", true, |c, _, t| statistics::stats(c, t)),
    section("replication", "Replication", true, |c, _, t| {
        replication::replication(c, t)
    }),
    section("cpu", "CPU", true, |c, _, t| general::cpu(c, t)),
    section("modules", "Modules", true, |_, _, _| {}),
    section("commandstats", "Commandstats", false, |c, _, t| {
        statistics::commandstats(c, t)
    }),
    section("errorstats", "Errorstats", true, |c, _, t| {
        statistics::errorstats(c, t)
    }),
    section(
        "cluster",
        "Cluster",
        true,
        |_, _, t| lines!(t, "cluster_enabled": 0),
    ),
    section("keyspace", "Keyspace", true, keyspace),
];

/// `INFO [section [section ...]]`
///
/// Replies with a text: the named sections, or without names the default ones. `all` and `everything` mean all sections,
/// `default` the default ones, and unknown names are ignored. O(N) for N clients, replicas, databases, commands and, in
/// `keyspace`, shards of the databases.
pub fn info(ctx: &mut Context, store: &Store) -> CommandResult {
    let names = ctx.args.iter_from(1);
    let asked: Vec<Vec<u8>> = names.map(<[u8]>::to_ascii_lowercase).collect();
    let is_shown = |section: &&Section| {
        let is_named = |word: &Vec<u8>| match word.as_slice() {
            b"all" | b"everything" => true,
            b"default" => section.is_default,
            name => name == section.name.as_bytes(),
        };
        asked.iter().any(is_named) || asked.is_empty() && section.is_default
    };
    let mut text = String::new();
    for section in SECTIONS.iter().filter(is_shown) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        text.push_str("# ");
        text.push_str(section.title);
        text.push_str("\r\n");
        (section.write)(ctx, store, &mut text);
    }
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// The section `keyspace`: a line for every database that has keys. The average TTL is in milliseconds, from a sample
/// of keys.
fn keyspace(ctx: &Context, store: &Store, text: &mut String) {
    for (number, db) in store.dbs.iter().enumerate() {
        if db.is_empty() {
            continue;
        }
        let (keys, expires) = (db.len(), db.volatile_len());
        let avg_ttl = db.average_ttl(ctx.now);
        text.push_str(&format!(
            "db{number}:keys={keys},expires={expires},avg_ttl={avg_ttl}\r\n"
        ));
    }
}
