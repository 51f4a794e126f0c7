//! CONFIG: reads and changes the settings while the server runs.
//!
//! [`crate::state::settings`] defines the settings: their names, their values and the effect of a change. The handlers
//! here read the arguments and write the replies. A change is not propagated: a replica has settings of its own.

use crate::commands::args::{c_text, help as reply_help};
use crate::commands::command::Handler::{Container, Plain};
use crate::commands::command::flags::{ADMIN, LOADING, NONE, NOSCRIPT, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::settings::change::{self, Refusal};
use crate::state::settings::kind::Setting;
use crate::state::settings::table::SETTINGS;
use crate::util::glob;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("config", -2, Container, NONE, 0, &[])
        .doc("server", "2.0.0", "Depends on subcommand.", "",
             "Reads and changes the server's settings.")
        .subcommands(SUBCOMMANDS),
];

/// The subcommands.
#[rustfmt::skip]
static SUBCOMMANDS: &[Command] = &[
    cmd("get", -3, Plain(get), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.0.0", "O(N)", "parameter...",
             "Reads every setting that matches a pattern."),
    cmd("help", 2, Plain(help), LOADING | STALE, 0, &[])
        .doc("server", "5.0.0", "O(1)", "",
             "Explains the subcommands of CONFIG."),
    cmd("resetstat", 2, Plain(resetstat), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.0.0", "O(1)", "",
             "Sets the statistics back to zero."),
    cmd("rewrite", 2, Plain(rewrite), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.8.0", "O(1)", "",
             "Writes the current settings to the configuration file."),
    cmd("set", -4, Plain(set), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.0.0", "O(N)", "<parameter value>...",
             "Changes settings, all of them or none.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// `CONFIG GET parameter [parameter ...]`
///
/// Replies with a map from names to values, with the settings whose names match one of these glob patterns, each once.
/// A setting that is requested by its exact name has the name in the reply as the client wrote it. O(N × M) for N
/// patterns and M settings.
pub fn get(ctx: &mut Context) -> CommandResult {
    let mut found: Vec<(&[u8], &Setting)> = vec![];
    for pattern in ctx.args.iter_from(2) {
        let is_pattern = pattern.iter().any(|b| b"*?[".contains(b));
        for (setting, name) in SETTINGS.iter().flat_map(|s| s.names().map(move |n| (s, n))) {
            let name = name.as_bytes();
            let matches = if is_pattern {
                glob::matches(pattern, name, true)
            } else {
                name.eq_ignore_ascii_case(pattern)
            };
            if matches && !found.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                found.push((if is_pattern { name } else { pattern }, setting));
            }
        }
    }
    // `ctx.config` has the settings as of the beginning of the batch; a CONFIG SET of this batch may have changed them.
    let current = ctx.server.settings.current();
    ctx.reply.map(found.len());
    for (name, setting) in found {
        ctx.reply.bulk(name);
        ctx.reply.bulk(&setting.get(&current));
    }
    Ok(())
}

/// `CONFIG SET parameter value [parameter value ...]`: changes all these settings, or none of them. Replies OK, or an
/// error that names a setting. O(N) for N settings, besides their effects.
pub fn set(ctx: &mut Context) -> CommandResult {
    if !ctx.args.len().is_multiple_of(2) {
        return Err(Error::SYNTAX);
    }
    let words: Vec<&[u8]> = ctx.args.iter_from(2).collect();
    let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    change::change(ctx.server, &pairs).map_err(|refusal| {
        let text = match refusal {
            Refusal::Unknown(name) => [
                b"ERR Unknown option or number of arguments for CONFIG SET - '",
                c_text(&name, usize::MAX),
                b"'",
            ]
            .concat(),
            Refusal::Failed { name, why } => [
                b"ERR CONFIG SET failed (possibly related to argument '",
                name.as_slice(),
                b"') - ",
                why.as_bytes(),
            ]
            .concat(),
        };
        Error::new(text)
    })?;
    ctx.reply.ok();
    Ok(())
}

/// `CONFIG REWRITE`: writes the current settings to the configuration file. Replies OK, or an error if the server has
/// no such file or cannot write it. O(N) for N lines and settings. The executor writes the file after the handler has
/// returned.
pub fn rewrite(ctx: &mut Context) -> CommandResult {
    let current = ctx.server.settings.current();
    if current.file.is_none() {
        return Err(Error::text(
            "ERR The server is running without a config file",
        ));
    }
    ctx.action = Some(Action::RewriteConfig);
    ctx.reply.ok();
    Ok(())
}

/// `CONFIG RESETSTAT`: sets the statistics that INFO shows back to zero. Replies OK. O(N) for N commands in the table.
pub fn resetstat(ctx: &mut Context) -> CommandResult {
    ctx.server.stats.reset();
    ctx.reply.ok();
    Ok(())
}

/// `CONFIG HELP`: replies with the subcommands. O(N) for N subcommands.
pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "config", SUBCOMMANDS)
}
