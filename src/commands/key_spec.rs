//! Where the keys of a command are, and what the command does to each.
//!
//! Clients of a cluster find a request's keys by the key specs of its command, to choose a server. COMMAND INFO shows
//! the specs, and COMMAND GETKEYS applies them. A spec has three parts, as in Redis:
//!
//! | part | says | examples |
//! |---|---|---|
//! | [`Begin`] | where the first key is | argument 1; the argument after `STREAMS` |
//! | [`Find`] | which arguments from there on are keys | every second one; as many as an argument says |
//! | [`KeyFlags`] | what the command does to them | `RW`, `ACCESS`, `UPDATE` |
//!
//! Worked example: XREAD has the spec `after("STREAMS", 1, …)`. In `XREAD COUNT 2 STREAMS a b 0 0` the word is argument
//! 3, so the first key is argument 4. Four arguments follow the word, and the first half of them are keys: `a` and `b`.
//!
//! # Invariant
//!
//! * [`KeySpec::positions`] returns only positions of arguments that exist, whatever the client sent.

use crate::resp::Args;

/// What a command does to its keys: a set of the constants in [`flags`].
pub type KeyFlags = u16;

/// The flags of a key spec, in the order in which COMMAND INFO shows them.
pub mod flags {
    /// Reads the value or facts about it, and changes nothing.
    pub const RO: u16 = 1 << 0;
    /// Changes the value, or facts about the key such as its expiry.
    pub const RW: u16 = 1 << 1;
    /// Overwrites the value without reading it.
    pub const OW: u16 = 1 << 2;
    /// Removes the key.
    pub const RM: u16 = 1 << 3;
    /// Returns, copies or uses the user's data in the value.
    pub const ACCESS: u16 = 1 << 4;
    /// Changes the user's data, and the result may depend on the old data.
    pub const UPDATE: u16 = 1 << 5;
    /// Adds data without changing or deleting existing data.
    pub const INSERT: u16 = 1 << 6;
    /// Deletes data from the value.
    pub const DELETE: u16 = 1 << 7;
    /// The flags depend on the command's options.
    pub const VARIABLE_FLAGS: u16 = 1 << 8;

    /// The name of each flag, by bit.
    pub const NAMES: [&str; 9] = [
        "RO",
        "RW",
        "OW",
        "RM",
        "access",
        "update",
        "insert",
        "delete",
        "variable_flags",
    ];
}

/// Where a command has keys. A command with keys in several places has several specs.
pub struct KeySpec {
    /// What the command does to these keys.
    pub flags: KeyFlags,
    /// A remark for readers of COMMAND INFO.
    pub note: Option<&'static str>,
    /// Where the first key is.
    pub begin: Begin,
    /// Which arguments from the first key on are keys.
    pub find: Find,
}

/// Where the first key is.
#[derive(Clone, Copy)]
pub enum Begin {
    /// At this argument; the command's name is argument 0.
    Index(usize),
    /// Right after this keyword, which is searched from the argument at this position on.
    Keyword(&'static str, usize),
}

/// Which arguments are keys, counted from where [`Begin`] points.
#[derive(Clone, Copy)]
pub enum Find {
    /// Every `step`-th argument up to `last`.
    Range {
        /// The last key. Counted from the first key if not negative, otherwise from the end of the command: -1 is the
        /// last argument.
        last: i32,
        /// The distance from one key to the next.
        step: usize,
        /// If `last` is negative: only the first 1/limit of the arguments are keys; 0 means all of them.
        limit: usize,
    },
    /// An argument says how many keys there are.
    #[allow(
        dead_code,
        reason = "the first commands with a number of keys come with the sorted sets"
    )]
    NumKeys {
        /// The position of the number, counted from where [`Begin`] points.
        at: usize,
        /// The position of the first key, counted from there too.
        first: usize,
        /// The distance from one key to the next.
        step: usize,
    },
}

/// The spec of one key, at argument `at`.
pub const fn key(at: usize, flags: KeyFlags) -> KeySpec {
    keys(at, 0, 1, flags)
}

/// The spec of keys from argument `at` on: every `step`-th argument up to `last` (see [`Find::Range`]).
pub const fn keys(at: usize, last: i32, step: usize, flags: KeyFlags) -> KeySpec {
    KeySpec {
        flags,
        note: None,
        begin: Begin::Index(at),
        find: Find::Range {
            last,
            step,
            limit: 0,
        },
    }
}

/// The spec of keys after a keyword, which is searched from argument `from` on. The first half of the arguments that
/// follow the keyword are keys.
pub const fn after(word: &'static str, from: usize, flags: KeyFlags) -> KeySpec {
    KeySpec {
        flags,
        note: None,
        begin: Begin::Keyword(word, from),
        find: Find::Range {
            last: -1,
            step: 1,
            limit: 2,
        },
    }
}

impl KeySpec {
    /// The same spec with a remark.
    pub const fn note(self, note: &'static str) -> KeySpec {
        KeySpec {
            note: Some(note),
            ..self
        }
    }

    /// The positions in `args` of the keys. The command's name is at `from`: 0 for a request, 2 for the command inside
    /// a COMMAND GETKEYS.
    pub fn positions(&self, args: &Args, from: usize) -> Vec<usize> {
        let begin = match self.begin {
            Begin::Index(at) => from + at,
            Begin::Keyword(word, start) => {
                match (from + start..args.len()).find(|&i| args.is(i, word)) {
                    Some(at) => at + 1,
                    None => return vec![],
                }
            }
        };
        let end = args.len();
        match self.find {
            Find::Range { last, step, limit } => {
                let last = match (last, limit) {
                    (n @ 0.., _) => begin + n as usize,
                    (_, 0) => end.saturating_sub(last.unsigned_abs() as usize),
                    (_, limit) => (begin + end.saturating_sub(begin) / limit).saturating_sub(1),
                };
                (begin..=last.min(end - 1)).step_by(step).collect()
            }
            Find::NumKeys { at, first, step } => {
                let number = args
                    .get(begin + at)
                    .and_then(crate::util::number::parse_i64);
                let count = number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                let first = begin + first;
                (first..end).step_by(step).take(count).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::OwnedArgs;

    fn positions(spec: &KeySpec, line: &str) -> Vec<usize> {
        let args = OwnedArgs::from_slices(line.split(' ').map(str::as_bytes));
        spec.positions(&args.as_args(), 0)
    }

    #[test]
    fn keys_are_found_in_each_form() {
        assert_eq!(positions(&key(1, flags::RO), "GET k"), [1]);
        assert_eq!(
            positions(&keys(1, -1, 2, flags::OW), "MSET a 1 b 2"),
            [1, 3]
        );
        let streams = after("STREAMS", 1, flags::RO);
        assert_eq!(positions(&streams, "XREAD COUNT 2 STREAMS a b 0 0"), [4, 5]);
        assert_eq!(positions(&streams, "XREAD COUNT 2"), []);
        let numbered = KeySpec {
            find: Find::NumKeys {
                at: 0,
                first: 1,
                step: 1,
            },
            ..key(1, flags::RO)
        };
        assert_eq!(positions(&numbered, "ZUNION 2 a b WITHSCORES"), [2, 3]);
        assert_eq!(positions(&numbered, "ZUNION 9 a b"), [2, 3]);
        assert_eq!(positions(&numbered, "ZUNION -1 a b"), []);
    }
}
