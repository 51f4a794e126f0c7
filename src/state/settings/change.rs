//! CONFIG SET: several settings change at once, all of them or none.
//!
//! A change has three steps, and each step looks at all settings before the next one begins:
//!
//! 1. find the settings by name;
//! 2. set the values in a copy of the settings;
//! 3. apply the effects to the running server.
//!
//! Only then is the copy put in force. If an effect fails, the effects before it are applied again with the old
//! settings.
//!
//! Steps 2 and 3 happen under the lock of the settings, so effects are applied in the order in which the changes are put
//! in force.

use super::kind::{Apply, Change, Setting};
use super::table::find;
use crate::state::State;
use crate::state::config::Config;

/// Why settings were not changed.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// There is no setting with this name.
    Unknown(Vec<u8>),
    /// The setting cannot be changed, or not to this value.
    Failed {
        /// The name as it was given.
        name: Vec<u8>,
        /// Redis's error text.
        why: String,
    },
}

/// The refusal because of one setting.
fn failed(name: impl Into<Vec<u8>>, why: impl Into<String>) -> Refusal {
    let (name, why) = (name.into(), why.into());
    Refusal::Failed { name, why }
}

/// A setting, and which of its names was given.
type Named = (&'static Setting, &'static str);

/// Changes settings, given as pairs of a name and a value.
///
/// # Errors
///
/// Why nothing was changed.
pub fn change(server: &State, pairs: &[(&[u8], &[u8])]) -> Result<(), Refusal> {
    let settings = find_all(pairs)?;
    let changed = server.settings.update(|config| {
        let old = config.clone();
        for ((setting, name), (_, value)) in settings.iter().zip(pairs) {
            let set = setting.set_text(config, value);
            set.map_err(|why| failed(*name, why))?;
        }
        apply_all(server, &settings, &old, config)
    });
    changed.map(drop)
}

/// Finds the settings, and checks that each may change and is given once. A setting's old name counts as another
/// setting.
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
    server: &State,
    settings: &[Named],
    old: &Config,
    new: &Config,
) -> Result<(), Refusal> {
    let effects = settings
        .iter()
        .filter_map(|(setting, name)| Some((setting.apply?, *name)));
    let mut applied: Vec<Apply> = vec![];
    for (apply, name) in effects {
        if let Err(why) = apply(server, new) {
            for undo in applied {
                // The old settings were in force, so the system allows them.
                drop(undo(server, old));
            }
            return Err(failed(name, why));
        }
        applied.push(apply);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Handle, Shared};

    fn shared() -> Handle {
        Shared::new(Config::for_tests(), std::iter::empty()).unwrap()
    }

    #[test]
    fn a_change_has_its_effect_at_once() {
        let shared = shared();
        shared.journal.begin(0, 0, 1 << 20);
        shared.journal.append(&[0; 100_000]);
        assert_eq!(shared.journal.backlog().1, 100_000);
        change(&shared, &[(b"Repl-Backlog-Size", b"50000"), (b"hz", b"20")]).unwrap();
        assert_eq!(shared.journal.backlog().1, 50_000);
        assert_eq!(shared.settings.current().hz, 20);
    }

    #[test]
    fn an_effect_that_fails_takes_all_changes_back() {
        let shared = shared();
        shared.journal.begin(0, 0, 1 << 20);
        shared.journal.append(&[0; 100_000]);
        let pairs: [(&[u8], &[u8]); 3] = [
            (b"timeout", b"7"),
            (b"repl-backlog-size", b"50000"),
            (b"maxclients", b"4294967295"),
        ];
        let Err(Refusal::Failed { name, why }) = change(&shared, &pairs) else {
            panic!("no system opens so many files");
        };
        assert_eq!(name, b"maxclients");
        assert!(why.starts_with("The operating system is not able"), "{why}");
        let config = shared.settings.current();
        assert_eq!((config.timeout, config.repl_backlog_size), (0, 1 << 20));
        // What was shrunk in between is lost, but the journal grows again.
        shared.journal.append(&[0; 100_000]);
        assert!(shared.journal.backlog().1 > 50_000);
    }

    #[test]
    fn names_are_checked_before_values() {
        let shared = shared();
        let refused = |pairs: &[(&[u8], &[u8])]| change(&shared, pairs).unwrap_err();
        let unknown = Refusal::Unknown(b"nosuch".into());
        assert_eq!(refused(&[(b"timeout", b"x"), (b"nosuch", b"1")]), unknown);
        let twice = failed("TIMEOUT", "duplicate parameter");
        assert_eq!(refused(&[(b"timeout", b"x"), (b"TIMEOUT", b"1")]), twice);
        let fixed = failed("port", "can't set immutable config");
        assert_eq!(refused(&[(b"port", b"x"), (b"nosuch", b"1")]), fixed);
    }
}
