//! What a handler gets, and how it ends.
//!
//! A command does its work on the data and writes its reply. It takes no lock, writes to no socket and wakes nobody:
//! [`Context`] has no method for that. A command that needs such a thing says so in its context, and the executor does
//! it after the handler has returned.

use std::cell::RefCell;
use std::time::Duration;

use crate::resp::{Args, Error, Reply};
use crate::state::Shared;
use crate::state::blocking::{Service, Wait};
use crate::state::config::Config;
use crate::state::journal::Effects;
use crate::state::session::Session;
use crate::store::{Db, Object, Usage};

/// How a handler ends: its reply is written, or there is an error to write in its stead.
pub type CommandResult = Result<(), Error>;

/// What a command works with, its data aside.
pub struct Context<'a> {
    pub shared: &'a Shared,
    pub config: &'a Config,
    pub session: &'a mut Session,
    /// The command's words; the first is its name.
    pub args: Args<'a>,
    pub reply: &'a mut Reply,
    /// Unix time in milliseconds. All commands of a batch see the same, so nothing expires in between.
    pub now: i64,
    /// How a visit to a key is noted.
    pub usage: Usage,
    /// The command may wait: it is not part of a transaction.
    pub may_block: bool,
    /// Keys that a reader met whose time has come. A reader cannot delete them; the executor does, after it.
    pub expired: RefCell<Vec<Vec<u8>>>,
    /// How many changes the command made to the data. If there are any, the command as it was sent goes to the
    /// replicas, unless it says otherwise in `effects`.
    pub dirty: u64,
    /// What of the command goes to the replicas.
    pub effects: &'a mut Effects,
    /// Set by a command that must wait instead of replying.
    pub wait: Option<Wait>,
}

impl Context<'_> {
    /// The object at the key that argument `i` names, for a reader. Counts as a use of it.
    #[inline]
    pub fn find<'d>(&self, db: &'d Db, i: usize) -> Option<&'d Object> {
        let object = self.peek(db, i);
        if let Some(object) = object {
            object.visit(self.usage);
        }
        object
    }

    /// The same, without counting as a use: for commands that look at a key and not into it.
    #[inline]
    pub fn peek<'d>(&self, db: &'d Db, i: usize) -> Option<&'d Object> {
        let key = &self.args[i];
        let object = match db.get_any(key) {
            Some(object) if object.is_expired(self.now) => {
                self.expired.borrow_mut().push(key.to_vec());
                None
            }
            found => found,
        };
        let counter = if object.is_some() {
            &self.session.hits
        } else {
            &self.session.misses
        };
        counter.set(counter.get() + 1);
        object
    }

    /// The object at the key that argument `i` names, for a writer.
    #[inline]
    pub fn find_mut<'d>(&self, db: &'d mut Db, i: usize) -> Option<&'d mut Object> {
        let object = db.get_mut(&self.args[i], self.now)?;
        object.visit(self.usage);
        Some(object)
    }

    /// The bytes of argument `i`, taken over instead of copied if they are many and nobody else needs them.
    pub fn take_big(&mut self, i: usize) -> Option<Vec<u8>> {
        if self.effects.on() {
            return None; // the replicas get them as well
        }
        self.args.take_big(i)
    }

    /// The command goes to the replicas as it was sent, but with other words in some places.
    pub fn propagate_with(&mut self, changes: &[(usize, &[u8])]) {
        if self.effects.on() {
            let word = |i| {
                let change = changes.iter().find(|(at, _)| *at == i);
                change.map_or(&self.args[i], |(_, word)| word)
            };
            let words: Vec<&[u8]> = (0..self.args.len()).map(word).collect();
            self.effects.instead(&words);
        }
    }

    /// Asks to wait for one of `keys` instead of replying now.
    pub fn block(&mut self, keys: Vec<Vec<u8>>, timeout: Option<Duration>, service: Service) {
        self.wait = Some(Wait {
            keys,
            timeout,
            service,
            on_timeout: None,
            acks: None,
        });
    }
}
