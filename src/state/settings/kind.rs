//! What a row of the table of settings says.
//!
//! A [`Setting`] has a name, a [`Kind`] (which values it takes, and in which field of `Config` they are), and says whether
//! CONFIG SET may change it and what must happen then. Text becomes a value in one place, [`Setting::set`], with the
//! error texts of Redis; [`Setting::get`] is the way back.
//!
//! A setting gets its text in two forms. In a line of a configuration file it is a list of words, and
//! [`Setting::set_words`] takes it. CONFIG SET sends one argument, and [`Setting::set_text`] takes it. The difference shows
//! only for settings of several words:
//!
//! ```text
//!   bind 127.0.0.1 ::1               two words
//!   bind "127.0.0.1 ::1"             one word, which is split like a line of the file
//!   CONFIG SET bind "127.0.0.1 ::1"  one argument, which is split at each blank
//! ```
//!
//! Invariant: a value that `get` returns is accepted by `set`.

use std::io;

use crate::state::State;
use crate::state::config::Config;
use crate::util::{number, words};

/// What values a setting takes, and where they are.
pub enum Kind {
    /// An integer from `min` to `max`.
    Int {
        get: fn(&Config) -> i64,
        set: fn(&mut Config, i64),
        min: i64,
        max: i64,
    },
    /// A number of bytes, at least `min`, that may have a unit, as `1gb`.
    Memory {
        get: fn(&Config) -> i64,
        set: fn(&mut Config, i64),
        min: i64,
    },
    /// `yes` or `no`.
    Bool {
        get: fn(&Config) -> bool,
        set: fn(&mut Config, bool),
    },
    /// Any bytes that `set` accepts.
    Text {
        get: fn(&Config) -> Vec<u8>,
        set: fn(&mut Config, &[u8]) -> Result<(), String>,
        /// An empty text means that there is no value; CONFIG REWRITE then writes no line.
        optional: bool,
    },
    /// One of some words, in any case.
    Choice {
        get: fn(&Config) -> &'static str,
        set: fn(&mut Config, &'static str),
        of: &'static [&'static str],
    },
    /// Several words.
    List {
        get: fn(&Config) -> String,
        set: fn(&mut Config, &[&[u8]]) -> Result<(), String>,
        /// The values of the lines that CONFIG REWRITE writes.
        lines: fn(&Config) -> Vec<String>,
    },
    /// One value only, which says what this server does anyway. Other values that Redis takes are refused with a reason.
    Fixed {
        value: &'static str,
        syntax: Syntax,
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

/// What CONFIG SET may do to a setting.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Change {
    /// Change it.
    Allowed,
    /// Nothing: the server cannot change it while it runs.
    Immutable,
    /// Nothing: a client that could change it could harm the machine.
    Protected,
}

/// Brings the server in line with new settings. Fails, with Redis's words, if the system does not allow it. The caller
/// holds the lock of the settings, so the function must use the `Config` that it gets.
pub type Apply = fn(&State, &Config) -> Result<(), String>;

/// A row of the table of settings.
pub struct Setting {
    /// In lower case.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Whether CONFIG SET may change it.
    pub change: Change,
    /// The name it had in older versions. To CONFIG GET and SET it is a setting of its own.
    pub alias: Option<&'static str>,
    /// What happens when CONFIG SET has changed it. Most settings need nothing: they are read where they are used.
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

    /// Adds the name that the setting had before.
    pub const fn alias(self, alias: &'static str) -> Setting {
        Setting {
            alias: Some(alias),
            ..self
        }
    }

    /// Adds what happens when the setting has changed.
    pub const fn apply(self, apply: Apply) -> Setting {
        Setting {
            apply: Some(apply),
            ..self
        }
    }

    /// The setting's name, and the name it had before.
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

    /// Sets the value from the argument of CONFIG SET. Fails with Redis's words.
    pub fn set_text(&self, config: &mut Config, text: &[u8]) -> Result<(), String> {
        if !self.takes_many() {
            return self.set(config, &[text]);
        }
        let words = text.split(|&b| b == b' ');
        let words: Vec<&[u8]> = words.filter(|_| !text.is_empty()).collect();
        self.set(config, &words)
    }

    /// Sets the value from the words of a line of a configuration file. Fails with Redis's words.
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
                // What does not fit 63 bits is out of bounds, whichever they are.
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
    /// Whether these words mean the one value that is accepted. Fails if Redis would not take them either.
    fn means(&self, words: &[&[u8]], value: &str) -> Result<bool, String> {
        let text = words.first().copied().unwrap_or_default();
        match self {
            Syntax::Bool => Ok(parse_bool(text)? == (value == "yes")),
            Syntax::Memory => Ok(parse_memory(text)?.to_string() == value),
            Syntax::SavePoints => Ok(parse_save_points(words)?.is_empty() == value.is_empty()),
        }
    }
}

fn bounded(value: i64, min: i64, max: i64) -> Result<i64, String> {
    let fits = (min..=max).contains(&value);
    let error = || format!("argument must be between {min} and {max} inclusive");
    fits.then_some(value).ok_or_else(error)
}

fn parse_bool(text: &[u8]) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

fn parse_memory(text: &[u8]) -> Result<u64, String> {
    number::parse_memory(text).ok_or_else(|| "argument must be a memory value".into())
}

/// Pairs of seconds and changes. One empty word is none.
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

/// The text of an error of the system, as C's `strerror` has it.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_string()
}
