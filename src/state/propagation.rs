//! What a command adds to the log of changes.
//!
//! Replicas run the log again, so a command must be logged in a form that gives the same result there. Most commands do so
//! in the form in which they were sent. The others say what to log in their place: XADD with the ID that it got, SET with
//! `PXAT` for a relative expiry, one XCLAIM per entry for XREADGROUP.
//!
//! | the handler | what is logged |
//! |---|---|
//! | changed nothing | nothing |
//! | changed data and said nothing | the command as it was sent |
//! | called [`Propagation::add`] once or more | those commands, as one unit |
//! | called [`Propagation::nothing`] | nothing |
//!
//! # Invariants
//!
//! * `count` is the number of requests in `out`.
//! * If there is no log, `out` stays empty.
//!
//! [`WriteTxn::propagate`](crate::write::WriteTxn::propagate) reads the record and appends to the log.

use crate::resp::{Args, push_request};

/// What the running command has said about the log.
#[derive(Default)]
pub struct Propagation {
    /// Whether there is a log.
    wanted: bool,
    /// The command as it was sent is not logged.
    replaced: bool,
    /// Requests to log, and their number.
    pub(crate) out: Vec<u8>,
    pub(crate) count: usize,
}

impl Propagation {
    /// For a command that begins. `wanted` says whether there is a log.
    #[inline]
    pub fn new(wanted: bool) -> Propagation {
        Propagation {
            wanted,
            ..Propagation::default()
        }
    }

    /// Whether there is a log. A handler asks before it builds a request that is costly to build.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Logs this request, in place of the command as it was sent.
    #[inline]
    pub fn add(&mut self, words: &[&[u8]]) {
        self.replaced = true;
        if self.wanted {
            push_request(&mut self.out, words.len(), words.iter().copied());
            self.count += 1;
        }
    }

    /// Logs the command as it was sent, but with other words in some places: `changes` are positions and words.
    pub fn add_edited(&mut self, args: &Args<'_>, changes: &[(usize, &[u8])]) {
        if self.wanted {
            let word = |i| {
                let change = changes.iter().find(|(at, _)| *at == i);
                change.map_or(&args[i], |(_, word)| *word)
            };
            let words: Vec<&[u8]> = (0..args.len()).map(word).collect();
            self.add(&words);
        }
    }

    /// Does not log the command as it was sent.
    #[inline]
    pub fn nothing(&mut self) {
        self.replaced = true;
    }

    /// Whether the command as it was sent is not logged.
    #[inline]
    pub fn is_replaced(&self) -> bool {
        self.replaced
    }
}
