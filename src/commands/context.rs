//! What a handler gets, and how it ends.
//!
//! A command does its work on the data and writes its reply. It takes no lock, writes to no socket and wakes no thread:
//! [`Context`] has no method for that. A command that needs such a thing asks for an [`Action`], and the executor
//! performs it after the handler has returned.
//!
//! # One way to look a key up
//!
//! | | untyped | of a type, or WRONGTYPE |
//! |---|---|---|
//! | to read the value | [`Context::find`] | [`Context::get`] |
//! | to read facts about the key (TTL, TYPE) | [`Context::peek`] | |
//! | to change the value | [`Context::find_mut`] | [`Context::get_mut`], [`Context::get_or_create`] |
//!
//! The methods for reading count keyspace hits and misses, and record keys that have expired: a reader cannot delete them,
//! so the executor does.
//!
//! # Invariants
//!
//! * All commands of a batch see the same time and the same settings.
//! * If a handler returns an error, the executor discards what it wrote to the reply, and performs no action.
//! * A handler that changed data has increased `dirty`, or has said through `propagation` what to log.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::resp::{Args, Error, Reply};
use crate::state::State;
use crate::state::blocking::{Outcome, Service, Wait};
use crate::state::clients::Client;
use crate::state::config::Config;
use crate::state::failover;
use crate::state::propagation::Propagation;
use crate::state::session::Session;
use crate::state::shutdown;
use crate::store::{AccessPolicy, Db, Object, Ttl, Type, WrongType};

/// How a handler ends: its reply is written, or there is an error to write in its place.
pub type CommandResult = Result<(), Error>;

impl From<WrongType> for Error {
    fn from(_: WrongType) -> Error {
        Error::WRONG_TYPE
    }
}

/// What a command works with, besides the data.
pub struct Context<'a> {
    /// What the server's threads share, without the data.
    pub server: &'a State,
    /// The settings as of the beginning of the batch.
    pub config: &'a Config,
    /// What only the client's own thread knows about the client.
    pub session: &'a mut Session,
    /// The command's arguments; the first is its name.
    pub args: Args<'a>,
    /// Where the handler writes its reply.
    pub reply: &'a mut Reply,
    /// Unix time in milliseconds, read once per batch. So no key expires between two commands of a batch.
    pub now: i64,
    /// How a use of a key is recorded.
    pub usage: AccessPolicy,
    /// The command may wait: it is not part of a transaction.
    pub may_block: bool,
    /// Keys that a reader found expired. The executor deletes them after the handler.
    pub expired: RefCell<Vec<Vec<u8>>>,
    /// How many changes the command made to the data. If there are any, the command goes to the log as it was sent,
    /// unless `propagation` says otherwise.
    pub dirty: u64,
    /// What the command adds to the log.
    pub propagation: Propagation,
    /// What the executor must do after the handler has returned.
    pub action: Option<Action>,
}

/// What a handler asks the executor to do after it has returned.
pub enum Action {
    /// Let the client wait for its reply.
    Wait(Wait),
    /// Follow this primary, or none. The handler has the write lock.
    Follow(Option<failover::Address>),
    /// Hand over to a replica. The handler has the write lock.
    HandOver(failover::Plan),
    /// End a hand-over that is under way. The handler has the write lock.
    AbortHandOver,
    /// Close these connections.
    Kill(Vec<Arc<Client>>),
    /// End the wait of a client with this outcome, and reply whether it waited.
    Unblock(Option<Arc<Client>>, Outcome),
    /// Shut the server down; the client waits for that.
    ShutDown(shutdown::ShutdownOptions),
    /// Give up a shutdown that waits, and reply OK.
    AbortShutdown,
    /// Write the settings in force to the configuration file, and reply how that went.
    RewriteConfig,
}

impl Context<'_> {
    /// The object at `key`, for a reader. Counts as a use of it.
    #[inline]
    pub fn find<'d>(&self, db: &'d Db, key: &[u8]) -> Option<&'d Object> {
        let object = self.peek(db, key);
        if let Some(object) = object {
            object.visit(self.usage);
        }
        object
    }

    /// The object at `key`, for a reader. Does not count as a use of it: for commands that do not read the value.
    #[inline]
    pub fn peek<'d>(&self, db: &'d Db, key: &[u8]) -> Option<&'d Object> {
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

    /// The value of type `T` at `key`, for a reader.
    ///
    /// # Errors
    ///
    /// WRONGTYPE if the key holds a value of another type.
    pub fn get<'d, T: Type>(&self, db: &'d Db, key: &[u8]) -> Result<Option<&'d T>, Error> {
        let object = self.find(db, key);
        Ok(object.map(|object| T::of(&object.value)).transpose()?)
    }

    /// The object at `key`, for a writer. Counts as a use of it.
    #[inline]
    pub fn find_mut<'d>(&self, db: &'d mut Db, key: &[u8]) -> Option<&'d mut Object> {
        let object = db.get_mut(key, self.now)?;
        object.visit(self.usage);
        Some(object)
    }

    /// The value of type `T` at `key`, for a writer.
    ///
    /// # Errors
    ///
    /// WRONGTYPE if the key holds a value of another type.
    pub fn get_mut<'d, T: Type>(
        &self,
        db: &'d mut Db,
        key: &[u8],
    ) -> Result<Option<&'d mut T>, Error> {
        let object = self.find_mut(db, key);
        Ok(object
            .map(|object| T::of_mut(&mut object.value))
            .transpose()?)
    }

    /// The value of type `T` at `key`, which is created if the key is absent.
    ///
    /// # Errors
    ///
    /// WRONGTYPE if the key holds a value of another type.
    pub fn get_or_create<'d, T: Type + Default>(
        &self,
        db: &'d mut Db,
        key: &[u8],
    ) -> Result<&'d mut T, Error> {
        let exists = match db.get_any(key) {
            // A key that has expired may have to be deleted first.
            Some(object) => !object.is_expired(self.now) || db.get_mut(key, self.now).is_some(),
            None => false,
        };
        if !exists {
            self.set(db, key, T::default().into_value());
        }
        // The key exists now, so the error is never seen.
        self.get_mut(db, key)?.ok_or(Error::NO_SUCH_KEY)
    }

    /// Sets `key` to a value that does not expire.
    pub fn set(&self, db: &mut Db, key: &[u8], value: crate::store::Value) {
        db.set(key, value, Ttl::Clear, self.usage, self.now);
    }

    /// Moves the bytes of argument `i` out, which saves a copy. `None` if they are few, or if the log needs them too.
    pub fn take_big(&mut self, i: usize) -> Option<Vec<u8>> {
        if self.propagation.is_wanted() {
            return None; // the log gets them as well
        }
        self.args.take_big(i)
    }

    /// Logs the command as it was sent, but with other words in some places. See [`Propagation::add_edited`].
    pub fn propagate_edited(&mut self, changes: &[(usize, &[u8])]) {
        self.propagation.add_edited(&self.args, changes);
    }

    /// Asks to wait for one of `keys` instead of replying now. A `timeout` of `None` means for ever.
    pub fn block(
        &mut self,
        keys: Vec<Vec<u8>>,
        timeout: Option<Duration>,
        service: Box<dyn Service>,
    ) {
        self.action = Some(Action::Wait(Wait {
            keys,
            timeout,
            service: Some(service),
            acks: None,
        }));
    }
}
