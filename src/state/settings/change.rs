//! CONFIG SET: several settings change at once, all of them or none.
//!
//! A change has three steps, and each looks at all settings before the next step begins: find the names, set the values in a
//! copy of the settings, apply the effects on the running server. Only then is the copy put in force. If an effect fails,
//! the effects before it are applied again with the old settings.
//!
//! All of it happens under the lock of the settings, so effects are applied in the order in which the changes are put in
//! force.

use super::kind::{Apply, Change, Setting};
use super::table::find;
use crate::state::Shared;
use crate::state::config::Config;

/// Why settings were not changed.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// There is no setting with this name.
    Unknown(Vec<u8>),
    /// The setting with this name does not take its value, or no value at all.
    Failed { name: Vec<u8>, why: String },
}

fn failed(name: impl Into<Vec<u8>>, why: impl Into<String>) -> Refusal {
    let (name, why) = (name.into(), why.into());
    Refusal::Failed { name, why }
}

/// A setting, and the name that it was called by.
type Named = (&'static Setting, &'static str);

/// Changes the settings in these pairs of a name and a value.
pub fn change(shared: &Shared, pairs: &[(&[u8], &[u8])]) -> Result<(), Refusal> {
    let settings = find_all(pairs)?;
    let changed = shared.settings.update(|config| {
        let old = config.clone();
        for ((setting, name), (_, value)) in settings.iter().zip(pairs) {
            let set = setting.set_text(config, value);
            set.map_err(|why| failed(*name, why))?;
        }
        apply_all(shared, &settings, &old, config)
    });
    changed.map(drop)
}

/// Finds the settings, and checks that each may change and comes once. A setting's old name counts as another setting.
fn find_all(pairs: &[(&[u8], &[u8])]) -> Result<Vec<Named>, Refusal> {
    let mut found: Vec<Named> = vec![];
    for &(given, _) in pairs {
        let (setting, name) = find(given).ok_or_else(|| Refusal::Unknown(given.to_vec()))?;
        match setting.change {
            Change::Immutable => return Err(failed(given, "can't set immutable config")),
            Change::Protected => return Err(failed(given, "can't set protected config")),
            Change::Allowed => {}
        }
        if found.iter().any(|(_, other)| *other == name) {
            return Err(failed(given, "duplicate parameter"));
        }
        found.push((setting, name));
    }
    Ok(found)
}

/// Applies the effects of all changes, or of none.
fn apply_all(
    shared: &Shared,
    settings: &[Named],
    old: &Config,
    new: &Config,
) -> Result<(), Refusal> {
    let effects = settings
        .iter()
        .filter_map(|(setting, name)| Some((setting.apply?, *name)));
    let mut applied: Vec<Apply> = vec![];
    for (apply, name) in effects {
        if let Err(why) = apply(shared, new) {
            for undo in applied {
                // The old settings were in force, so the system allows them.
                drop(undo(shared, old));
            }
            return Err(failed(name, why));
        }
        applied.push(apply);
    }
    Ok(())
}
