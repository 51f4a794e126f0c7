//! What a command adds to the journal.
//!
//! Replicas run the journal again, so a command must be recorded in a form that gives the same result there. Most
//! commands do so in the form in which they were sent. The others say what to record in their place: XADD with the ID
//! that it got, SET with `PXAT` for a relative expiry, one XCLAIM per entry for XREADGROUP.
//!
//! | the handler | what is recorded |
//! |---|---|
//! | changed nothing | nothing |
//! | changed data and called none of these methods | the command as it was sent |
//! | called [`Propagation::add`] once or more | those requests, as one unit |
//! | called [`Propagation::nothing`] | nothing |
//!
//! [`WriteTxn::propagate`](crate::write::WriteTxn::propagate) keeps these requests, and
//! [`WriteTxn::flush`](crate::write::WriteTxn::flush) appends them to the journal before the lock is released.
//!
//! # Invariants
//!
//! * `count` is the number of requests in `out`.
//! * If no change is recorded, `out` stays empty.

use crate::resp::{Args, push_request};

/// What the running command adds to the journal.
#[derive(Default)]
pub struct Propagation {
    /// Whether changes are recorded.
    wanted: bool,
    /// The command as it was sent is not recorded.
    replaced: bool,
    /// The requests to record, in the form in which a client sends them.
    pub(crate) out: Vec<u8>,
    /// How many requests there are in `out`.
    pub(crate) count: usize,
}

impl Propagation {
    /// For a command that begins. `wanted` says whether changes are recorded: the journal is active, and this server is
    /// a primary.
    #[inline]
    pub fn new(wanted: bool) -> Propagation {
        Propagation {
            wanted,
            ..Propagation::default()
        }
    }

    /// Whether changes are recorded. A handler asks before it builds a request that is costly to build.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Records this request, in place of the command as it was sent.
    #[inline]
    pub fn add(&mut self, words: &[&[u8]]) {
        self.replaced = true;
        if self.wanted {
            push_request(&mut self.out, words.len(), words.iter().copied());
            self.count += 1;
        }
    }

    /// Records the command as it was sent, but with other words in some places: `changes` are positions and words.
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

    /// Does not record the command as it was sent.
    #[inline]
    pub fn nothing(&mut self) {
        self.replaced = true;
    }

    /// Whether the command as it was sent is not recorded.
    #[inline]
    pub fn is_replaced(&self) -> bool {
        self.replaced
    }
}
