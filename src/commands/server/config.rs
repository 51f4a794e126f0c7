//! CONFIG: the settings, while the server runs.

use crate::commands::args::help as reply_help;
use crate::commands::command::Handler::{Container, Plain};
use crate::commands::command::flags::{ADMIN, LOADING, NONE, NOSCRIPT, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::settings::{self, Change, SETTINGS, Setting};
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
             "Writes the settings in force back to the configuration file."),
    cmd("set", -4, Plain(set), ADMIN | NOSCRIPT | LOADING | STALE, 0, &[])
        .doc("server", "2.0.0", "O(N)", "<parameter value>...",
             "Changes settings, all of them or none.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

pub fn get(ctx: &mut Context) -> CommandResult {
    let mut found: Vec<(String, &Setting)> = vec![];
    for pattern in ctx.args.iter_from(2) {
        let is_pattern = pattern.iter().any(|b| b"*?[\\".contains(b));
        let named = SETTINGS.iter().flat_map(|s| s.names().map(move |n| (s, n)));
        for (setting, name) in
            named.filter(|(_, name)| glob::matches(pattern, name.as_bytes(), true))
        {
            // A setting asked for by its name is answered under the name as it was written.
            let name = if is_pattern {
                name.into()
            } else {
                String::from_utf8_lossy(pattern).into_owned()
            };
            if !found.iter().any(|(other, _)| *other == name) {
                found.push((name, setting));
            }
        }
    }
    // The settings in force, not those this batch began with: CONFIG SET may have come just before.
    let current = ctx.server.settings.current();
    ctx.reply.map(found.len());
    for (name, setting) in found {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.bulk(setting.get(&current).as_bytes());
    }
    Ok(())
}

pub fn set(ctx: &mut Context) -> CommandResult {
    if !ctx.args.len().is_multiple_of(2) {
        return Err(Error::SYNTAX);
    }
    let pairs: Vec<(String, String)> = (2..ctx.args.len())
        .step_by(2)
        .map(|i| {
            let text = |i| String::from_utf8_lossy(&ctx.args[i]).into_owned();
            (text(i), text(i + 1))
        })
        .collect();
    // All names are checked before any value is.
    for (i, (name, _)) in pairs.iter().enumerate() {
        let unknown =
            || format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'");
        let setting = settings::find(name).ok_or_else(|| Error::new(unknown()))?;
        match setting.change {
            Change::Immutable => return Err(failed(name, "can't set immutable config")),
            Change::Protected => return Err(failed(name, "can't set protected config")),
            Change::Allowed => {}
        }
        if pairs[..i]
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
        {
            return Err(failed(name, "duplicate parameter"));
        }
    }
    let changed = ctx.server.settings.update(|config| {
        for (name, value) in &pairs {
            let setting = settings::find(name).ok_or_else(|| failed(name, "unknown"))?;
            setting
                .set(config, value)
                .map_err(|why| failed(name, &why))?;
        }
        Ok::<(), Error>(())
    })?;
    ctx.server.log.set_level(changed.loglevel);
    ctx.reply.ok();
    Ok(())
}

fn failed(name: &str, why: &str) -> Error {
    Error::new(format!(
        "ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"
    ))
}

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

pub fn resetstat(ctx: &mut Context) -> CommandResult {
    ctx.server.stats.reset();
    ctx.reply.ok();
    Ok(())
}

pub fn help(ctx: &mut Context) -> CommandResult {
    reply_help(ctx, "config", SUBCOMMANDS)
}
