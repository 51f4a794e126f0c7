//! CONFIG: the settings, while the server runs.

use super::args::help as reply_help;
use super::{Cx, Done};
use crate::resp::Error;
use crate::state::config;
use crate::state::settings::{self, Change, SETTINGS, Setting};
use crate::util::glob;

pub fn get(cx: &mut Cx) -> Done {
    let mut found: Vec<(String, &Setting)> = vec![];
    for pattern in cx.args.iter_from(2) {
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
    let current = cx.shared.settings.current();
    cx.reply.map(found.len());
    for (name, setting) in found {
        cx.reply.bulk(name.as_bytes());
        cx.reply.bulk(setting.get(&current).as_bytes());
    }
    Ok(())
}

pub fn set(cx: &mut Cx) -> Done {
    if !cx.args.len().is_multiple_of(2) {
        return Err(Error::SYNTAX);
    }
    let pairs: Vec<(String, String)> = (2..cx.args.len())
        .step_by(2)
        .map(|i| {
            let text = |i| String::from_utf8_lossy(&cx.args[i]).into_owned();
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
    let changed = cx.shared.settings.update(|config| {
        for (name, value) in &pairs {
            let setting = settings::find(name).ok_or_else(|| failed(name, "unknown"))?;
            setting
                .set(config, value)
                .map_err(|why| failed(name, &why))?;
        }
        Ok(())
    })?;
    cx.shared.log.set_level(changed.loglevel);
    cx.reply.ok();
    Ok(())
}

fn failed(name: &str, why: &str) -> Error {
    Error::new(format!(
        "ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"
    ))
}

pub fn rewrite(cx: &mut Cx) -> Done {
    let current = cx.shared.settings.current();
    let Some(path) = &current.file else {
        return Err(Error::text(
            "ERR The server is running without a config file",
        ));
    };
    let old = std::fs::read_to_string(path).unwrap_or_default();
    // Written beside the old one and put in its place at once: a crash in between loses neither.
    let mut beside = path.clone().into_os_string();
    beside.push(".tmp");
    let written = std::fs::write(&beside, config::rewrite(&old, &current));
    match written.and_then(|()| std::fs::rename(&beside, path)) {
        Ok(()) => {
            cx.shared
                .log
                .notice("CONFIG REWRITE executed with success.");
            cx.reply.ok();
            Ok(())
        }
        Err(e) => {
            cx.shared
                .log
                .warning(&format!("CONFIG REWRITE failed: {e}"));
            Err(Error::new(format!("ERR Rewriting config file: {e}")))
        }
    }
}

pub fn resetstat(cx: &mut Cx) -> Done {
    cx.shared.stats.reset();
    cx.reply.ok();
    Ok(())
}

pub fn help(cx: &mut Cx) -> Done {
    reply_help(cx, "config");
    Ok(())
}
