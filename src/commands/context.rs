//! What a handler gets, and how it ends.
//!
//! A handler does its work on the data and writes its reply. It cannot take the store's lock: [`Context`] has no method
//! for that. A handler that needs more than the data, such as to let the client wait or to close a connection, asks for
//! an [`Action`], and the executor performs it after the handler has returned.
//!
//! # Looking a key up
//!
//! | | the [`Object`] | the value as type `T`, or WRONGTYPE |
//! |---|---|---|
//! | to read the value | [`Context::find`] | [`Context::get`] |
//! | to read facts about the key (TTL, TYPE) | [`Context::peek`] | |
//! | to change the value | [`Context::find_mut`] | [`Context::get_mut`], [`Context::get_or_create`] |
//! | to read the value and perhaps change it | | [`Context::read_mut`] |
//!
//! The methods for reading, [`Context::read_mut`] included, also count keyspace hits and misses, and note keys that
//! have expired. Example: GET of a key that expired a second ago, on a primary:
//!
//! ```text
//!   find       the object is there, but expired: the key is added to `expired`, a miss is counted
//!   handler    replies null
//!   executor   takes the write lock, deletes the key, and adds DEL to the log
//! ```
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
use crate::state::replication::Replica;
use crate::state::session::Session;
use crate::state::shutdown;
use crate::store::stream::InvalidId;
use crate::store::{AccessPolicy, Db, Object, Ttl, Type, WrongType};

/// How a handler ends: it has written its reply, or the executor replies with this error instead.
pub type CommandResult = Result<(), Error>;

impl From<WrongType> for Error {
    fn from(_: WrongType) -> Error {
        Error::WRONG_TYPE
    }
}

impl From<InvalidId> for Error {
    fn from(_: InvalidId) -> Error {
        Error::text("ERR Invalid stream ID specified as stream command argument")
    }
}

/// What a handler gets besides the data.
pub struct Context<'a> {
    /// What the server's threads share, without the data.
    pub server: &'a State,
    /// The settings as they were at the beginning of the batch.
    pub config: &'a Config,
    /// The state of the client that only its own thread uses.
    pub session: &'a mut Session,
    /// The command's arguments; the first is its name.
    pub args: Args<'a>,
    /// Where the handler writes its reply.
    pub reply: &'a mut Reply,
    /// Unix time in milliseconds, read once per batch, so no key expires between two commands of a batch.
    pub now: i64,
    /// How the use of a key is recorded: for LRU or for LFU.
    pub usage: AccessPolicy,
    /// CLIENT NO-TOUCH: the client's uses of keys are not recorded, except by TOUCH. A new key gets its mark all the same.
    pub no_touch: bool,
    /// The client may wait: the command is not in a transaction, and the client is not this server's primary.
    pub may_block: bool,
    /// Keys that a reader found expired. The executor deletes them after the handler, except on a replica and while
    /// writes are paused.
    pub expired: RefCell<Vec<Vec<u8>>>,
    /// How many changes the command made to the data. If it made any, the executor adds the command to the log as it
    /// was sent, unless `propagation` says otherwise.
    pub dirty: u64,
    /// What to log in place of the command as it was sent.
    pub propagation: Propagation,
    /// What the handler asks the executor to do after it has returned.
    pub action: Option<Action>,
}

/// What a handler asks the executor to do after it has returned. The executor still holds the lock that the handler
/// had.
pub enum Action {
    /// Make the client wait for its reply.
    Wait(Wait),
    /// Note that this replica has acknowledged an offset, and serve the clients that waited for that.
    Acknowledge(Arc<Replica>, u64),
    /// Become a replica of this primary, or, with `None`, a primary. Only a handler with the write lock may ask for it.
    Follow(Option<failover::Address>),
    /// Begin to hand the role of primary over to a replica. Only a handler with the write lock may ask for it.
    HandOver(failover::Plan),
    /// Stop a hand-over that is under way. Only a handler with the write lock may ask for it.
    AbortHandOver,
    /// Close these connections.
    Kill(Vec<Arc<Client>>),
    /// End the wait of this client with this outcome. Replies 1 if the client waited, else 0.
    Unblock(Option<Arc<Client>>, Outcome),
    /// Shut the server down. The client waits until it is down.
    ShutDown(shutdown::ShutdownOptions),
    /// Cancel a shutdown that waits for replicas. Replies OK, or an error if there is none.
    AbortShutdown,
    /// Write the current settings to the configuration file. Replies with an error if that fails.
    RewriteConfig,
}

impl Context<'_> {
    /// The object at `key`, for a reader. Counts as a use of the key.
    #[inline]
    pub fn find<'d>(&self, db: &'d Db, key: &[u8]) -> Option<&'d Object> {
        let object = self.peek(db, key)?;
        self.visit(object);
        Some(object)
    }

    /// The object at `key`, for a reader that does not read the value. Does not count as a use of the key.
    #[inline]
    pub fn peek<'d>(&self, db: &'d Db, key: &[u8]) -> Option<&'d Object> {
        let object = match db.get_any(key) {
            Some(object) if self.is_expired(object) => {
                self.expired.borrow_mut().push(key.to_vec());
                None
            }
            found => found,
        };
        self.count_lookup(object.is_some());
        object
    }

    /// Counts a keyspace hit, or a miss.
    #[inline]
    fn count_lookup(&self, found: bool) {
        let counter = if found {
            &self.session.hits
        } else {
            &self.session.misses
        };
        counter.set(counter.get() + 1);
    }

    /// Whether an object counts as absent because it has expired. For the primary that this server follows nothing does:
    /// only the primary decides when a key expires.
    #[inline]
    pub fn is_expired(&self, object: &Object) -> bool {
        object.is_expired(self.now) && !self.session.is_primary
    }

    /// The value of type `T` at `key`, for a reader. Counts as a use of the key.
    ///
    /// # Errors
    ///
    /// WRONGTYPE if the key holds a value of another type.
    pub fn get<'d, T: Type>(&self, db: &'d Db, key: &[u8]) -> Result<Option<&'d T>, Error> {
        let object = self.find(db, key);
        Ok(object.map(|object| T::of(&object.value)).transpose()?)
    }

    /// The object at `key`, for a writer. Counts as a use of the key.
    #[inline]
    pub fn find_mut<'d>(&self, db: &'d mut Db, key: &[u8]) -> Option<&'d mut Object> {
        let object = db.get_mut(key, self.now)?;
        self.visit(object);
        Some(object)
    }

    /// Notes a use of the key, unless the client has asked for NO-TOUCH.
    #[inline]
    fn visit(&self, object: &Object) {
        if !self.no_touch {
            object.visit(self.usage);
        }
    }

    /// The value of type `T` at `key`, for a writer. Counts as a use of the key.
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

    /// [`Context::get_mut`] for a writer that Redis counts as a reader (it calls `lookupKeyRead`), as XACK: it also counts
    /// a keyspace hit or miss.
    ///
    /// # Errors
    ///
    /// WRONGTYPE if the key holds a value of another type.
    pub fn read_mut<'d, T: Type>(
        &self,
        db: &'d mut Db,
        key: &[u8],
    ) -> Result<Option<&'d mut T>, Error> {
        let found = self.get_mut(db, key);
        self.count_lookup(!matches!(found, Ok(None)));
        found
    }

    /// The value of type `T` at `key`, for a writer. If the key is absent, this creates it with an empty value.
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
            // `get_mut` deletes an expired key, if this server decides when keys expire.
            Some(object) => !object.is_expired(self.now) || db.get_mut(key, self.now).is_some(),
            None => false,
        };
        if !exists {
            self.set(db, key, T::default().into_value());
        }
        // The key exists, so this error cannot occur.
        self.get_mut(db, key)?.ok_or(Error::NO_SUCH_KEY)
    }

    /// Sets `key` to `value`, whatever was there before. The key does not expire.
    pub fn set(&self, db: &mut Db, key: &[u8], value: crate::store::Value) {
        db.set(key, value, Ttl::Clear, self.usage, self.now);
    }

    /// Moves the bytes of argument `i` out, which saves a copy. `None` if the argument is not big (see
    /// [`crate::resp::args`]), or if the log needs its bytes too.
    pub fn take_big(&mut self, i: usize) -> Option<Vec<u8>> {
        if self.propagation.is_wanted() {
            return None;
        }
        self.args.take_big(i)
    }

    /// Logs the command as it was sent, but with other arguments at some positions. See [`Propagation::add_edited`].
    pub fn propagate_edited(&mut self, changes: &[(usize, &[u8])]) {
        self.propagation.add_edited(&self.args, changes);
    }

    /// Asks the executor to let the client wait until one of `keys` is ready. `service` then makes the reply. Without a
    /// `timeout` the client waits without limit.
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
