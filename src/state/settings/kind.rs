//! What a row of the table of settings says.
//!
//! A [`Setting`] has a name and a [`Kind`], which says what values the setting takes and in which field of `Config` they
//! are. It also says whether CONFIG SET may change the setting, and what must happen then. Text becomes a value in one
//! place, `Setting::set`, with the error texts of Redis. [`Setting::get`] turns the value into text.
//!
//! A setting gets its text in two forms. In a line of a configuration file it is a list of words, which
//! [`Setting::set_words`] takes. CONFIG SET sends one argument, which [`Setting::set_text`] takes. The difference shows
//! only for settings of several words:
//!
//! ```text
//!   bind 127.0.0.1 ::1               two words
//!   bind "127.0.0.1 ::1"             one word, which is split like a line of the file
//!   CONFIG SET bind "127.0.0.1 ::1"  one argument, which is split at each blank
//! ```
//!
//! # Invariants
//!
//! * A setting accepts the value that `get` returns for it.

use std::io;

use crate::state::State;
use crate::state::config::Config;
use crate::util::{number, words};

/// What values a setting takes. `get` reads the field of `Config`, and `set` changes it.
pub enum Kind {
    /// An integer.
    Int {
        /// Reads the value.
        get: fn(&Config) -> i64,
        /// Changes the value.
        set: fn(&mut Config, i64),
        /// The smallest value that is accepted.
        min: i64,
        /// The largest value that is accepted.
        max: i64,
    },
    /// A number of bytes that may have a unit, as `1gb`.
    Memory {
        /// Reads the value.
        get: fn(&Config) -> i64,
        /// Changes the value.
        set: fn(&mut Config, i64),
        /// The smallest value that is accepted, in bytes.
        min: i64,
    },
    /// `yes` or `no`.
    Bool {
        /// Reads the value.
        get: fn(&Config) -> bool,
        /// Changes the value.
        set: fn(&mut Config, bool),
    },
    /// Any bytes that `set` accepts.
    Text {
        /// Reads the value.
        get: fn(&Config) -> Vec<u8>,
        /// Changes the value, or returns Redis's error text.
        set: fn(&mut Config, &[u8]) -> Result<(), String>,
        /// An empty text means that there is no value; CONFIG REWRITE then writes no line.
        optional: bool,
    },
    /// One of some words, in upper or lower case.
    Choice {
        /// Reads the value.
        get: fn(&Config) -> &'static str,
        /// Changes the value.
        set: fn(&mut Config, &'static str),
        /// The words, in lower case.
        of: &'static [&'static str],
    },
    /// Several words.
    List {
        /// The words, as CONFIG GET shows them.
        get: fn(&Config) -> String,
        /// Changes the value, or returns Redis's error text.
        set: fn(&mut Config, &[&[u8]]) -> Result<(), String>,
        /// The values of the lines that CONFIG REWRITE writes.
        lines: fn(&Config) -> Vec<String>,
    },
    /// Only the one value that says what this server does anyway. Other values that Redis takes are refused.
    Fixed {
        /// The value.
        value: &'static str,
        /// What values Redis takes.
        syntax: Syntax,
        /// The error text for another value.
        why: &'static str,
    },
}

/// Which values Redis takes for a setting that is fixed here.
pub enum Syntax {
    /// `yes` or `no`.
    Bool,
    /// A number of bytes.
    Memory,
    /// Pairs of seconds and changes.
    SavePoints,
}

/// Whether CONFIG SET may change a setting.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Change {
    /// It may.
    Allowed,
    /// It may not: the server cannot change the setting while it runs.
    Immutable,
    /// It may not: a client that could change the setting could harm the machine.
    Protected,
}

/// Applies new settings to the running server. Fails with Redis's error text if the system does not allow it. The caller
/// holds the lock of the settings, so the function must use the `Config` that it gets and not ask for the current one.
pub type Apply = fn(&State, &Config) -> Result<(), String>;

/// A row of the table of settings.
pub struct Setting {
    /// The name, in lower case.
    pub name: &'static str,
    /// What values the setting takes.
    pub kind: Kind,
    /// Whether CONFIG SET may change it.
    pub change: Change,
    /// The name in older versions of Redis. For CONFIG GET and SET it is a setting of its own.
    pub alias: Option<&'static str>,
    /// Applies a change by CONFIG SET to the running server. Most settings need nothing: they are read where they are
    /// used.
    pub apply: Option<Apply>,
}

impl Setting {
    /// A row without an alias and without an effect.
    pub const fn new(name: &'static str, change: Change, kind: Kind) -> Setting {
        Setting {
            name,
            kind,
            change,
            alias: None,
            apply: None,
        }
    }

    /// Adds the name in older versions.
    pub const fn alias(self, alias: &'static str) -> Setting {
        Setting {
            alias: Some(alias),
            ..self
        }
    }

    /// Adds what applies a change to the running server.
    pub const fn apply(self, apply: Apply) -> Setting {
        Setting {
            apply: Some(apply),
            ..self
        }
    }

    /// The setting's name, and its name in older versions.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [Some(self.name), self.alias].into_iter().flatten()
    }

    /// Whether the setting may have any number of words.
    fn takes_many(&self) -> bool {
        let save_points = Syntax::SavePoints;
        let many = std::mem::discriminant(&save_points);
        match &self.kind {
            Kind::List { .. } => true,
            Kind::Fixed { syntax, .. } => std::mem::discriminant(syntax) == many,
            _ => false,
        }
    }

    /// The value, as CONFIG GET shows it.
    pub fn get(&self, config: &Config) -> Vec<u8> {
        match &self.kind {
            Kind::Int { get, .. } | Kind::Memory { get, .. } => get(config).to_string().into(),
            Kind::Bool { get, .. } => if get(config) { "yes" } else { "no" }.into(),
            Kind::Text { get, .. } => get(config),
            Kind::List { get, .. } => get(config).into(),
            Kind::Choice { get, .. } => get(config).into(),
            Kind::Fixed { value, .. } => (*value).into(),
        }
    }

    /// Sets the value from the argument of CONFIG SET.
    ///
    /// # Errors
    ///
    /// Redis's error text if the value is not accepted.
    pub fn set_text(&self, config: &mut Config, text: &[u8]) -> Result<(), String> {
        if !self.takes_many() {
            return self.set(config, &[text]);
        }
        let words = text.split(|&b| b == b' ');
        let words: Vec<&[u8]> = words.filter(|_| !text.is_empty()).collect();
        self.set(config, &words)
    }

    /// Sets the value from the words of a line of a configuration file.
    ///
    /// # Errors
    ///
    /// Redis's error text if the value is not accepted.
    pub fn set_words(&self, config: &mut Config, words: &[&[u8]]) -> Result<(), String> {
        match words {
            [one] if self.takes_many() && !one.is_empty() => {
                let split = words::split(one).ok_or("Unbalanced quotes in configuration line")?;
                let split: Vec<&[u8]> = split.iter().map(Vec::as_slice).collect();
                self.set(config, &split)
            }
            [_] => self.set(config, words),
            _ if self.takes_many() => self.set(config, words),
            _ => Err("wrong number of arguments".into()),
        }
    }

    /// Sets the value from its words, of which there is exactly one unless the setting takes many.
    fn set(&self, config: &mut Config, words: &[&[u8]]) -> Result<(), String> {
        let text = words.first().copied().unwrap_or_default();
        match &self.kind {
            Kind::Int { set, min, max, .. } => {
                let value =
                    number::parse_i64(text).ok_or("argument couldn't be parsed into an integer")?;
                set(config, bounded(value, *min, *max)?);
            }
            Kind::Memory { set, min, .. } => {
                // A number that needs more than 63 bits is out of bounds: -1 is below every `min`.
                let value = i64::try_from(parse_memory(text)?).unwrap_or(-1);
                set(config, bounded(value, *min, i64::MAX)?);
            }
            Kind::Bool { set, .. } => set(config, parse_bool(text)?),
            Kind::Text { set, .. } => set(config, text)?,
            Kind::Choice { set, of, .. } => {
                let choice = of.iter().find(|c| c.as_bytes().eq_ignore_ascii_case(text));
                let error = || {
                    let all = of.join(", ");
                    format!("argument(s) must be one of the following: {all}")
                };
                set(config, choice.ok_or_else(error)?);
            }
            Kind::List { set, .. } => set(config, words)?,
            Kind::Fixed { value, syntax, why } => {
                if !syntax.means(words, value)? {
                    return Err(why.to_string());
                }
            }
        }
        Ok(())
    }
}

impl Syntax {
    /// Whether these words mean the one value that is accepted. Fails if Redis would refuse them too.
    fn means(&self, words: &[&[u8]], value: &str) -> Result<bool, String> {
        let text = words.first().copied().unwrap_or_default();
        match self {
            Syntax::Bool => Ok(parse_bool(text)? == (value == "yes")),
            Syntax::Memory => Ok(parse_memory(text)?.to_string() == value),
            Syntax::SavePoints => Ok(parse_save_points(words)?.is_empty() == value.is_empty()),
        }
    }
}

/// The value, if it is within the bounds.
fn bounded(value: i64, min: i64, max: i64) -> Result<i64, String> {
    let fits = (min..=max).contains(&value);
    let error = || format!("argument must be between {min} and {max} inclusive");
    fits.then_some(value).ok_or_else(error)
}

/// Reads `yes` or `no`.
fn parse_bool(text: &[u8]) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

/// Reads a number of bytes with or without a unit.
fn parse_memory(text: &[u8]) -> Result<u64, String> {
    number::parse_memory(text).ok_or_else(|| "argument must be a memory value".into())
}

/// Reads pairs of seconds and changes. One empty word means no pair.
fn parse_save_points(words: &[&[u8]]) -> Result<Vec<(i64, i64)>, String> {
    let words = if words == [b""] { &[] } else { words };
    let point = |pair: &[&[u8]]| {
        let [seconds, changes] = pair else {
            return None;
        };
        let seconds = number::parse_i64_lenient(seconds).filter(|&n| n >= 1)?;
        let changes = number::parse_i64_lenient(changes).filter(|&n| n >= 0)?;
        Some((seconds, changes))
    };
    let points: Option<Vec<_>> = words.chunks(2).map(point).collect();
    points.ok_or_else(|| "Invalid save parameters".into())
}

/// The text of a system error, as C's `strerror` has it.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_string()
}
