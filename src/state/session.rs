//! The state of a client that only the client's own thread uses.
//!
//! No other thread uses a [`Session`], so nothing in it is locked: the selected database, whether the client has
//! authenticated, the commands that MULTI has queued. Figures that other threads read are copied into the [`Client`]
//! when they change.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::clients::Client;
use super::replication::{Replica, Stage};
use super::watch::{Flag, Watches};
use crate::resp::OwnedArgs;

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum ReplyMode {
    /// Replies are sent.
    #[default]
    On,
    /// No reply is sent.
    Off,
    /// The reply to the next command is not sent (CLIENT REPLY SKIP).
    SkipNext,
    /// The reply to the current command is not sent; then `On` again.
    Skipping,
}

/// A command that waits for EXEC.
pub struct Queued {
    /// Its number in the table of commands.
    pub command: usize,
    /// Its arguments, the name included.
    pub args: OwnedArgs,
}

/// An open transaction.
pub struct Multi {
    /// The queued commands, in order.
    pub queue: Vec<Queued>,
    /// A command was refused instead of being queued, so EXEC refuses all.
    pub refused: bool,
    /// The flags that at least one queued command has (see [`crate::commands::command::flags`]).
    pub any_flags: u32,
    /// The flags that all queued commands have.
    pub all_flags: u32,
}

impl Default for Multi {
    fn default() -> Multi {
        Multi {
            queue: vec![],
            refused: false,
            any_flags: 0,
            all_flags: u32::MAX,
        }
    }
}

/// A replica's request for the data and for the changes after them (PSYNC, SYNC).
pub struct SyncRequest {
    /// The replid of the history of which the replica has a part; `?` if the replica asks for a copy.
    pub replid: String,
    /// The number of the first byte of that history that the replica does not have, counted from one.
    pub next: i64,
    /// It asked with PSYNC, so it understands `+CONTINUE` and `+FULLRESYNC`.
    pub psync: bool,
}

/// One client's state.
pub struct Session {
    /// The part that other threads use.
    pub client: Arc<Client>,
    /// The number of the selected database.
    pub db: usize,
    /// The client has given the password, or needs none.
    pub authenticated: bool,
    /// The client gets its replies in RESP3 (HELLO 3).
    pub resp3: bool,
    /// The open transaction, after MULTI.
    pub multi: Option<Multi>,
    /// The keys that the client watches, each with its database.
    pub watched: HashSet<(usize, Vec<u8>)>,
    /// Raised by a writer that modifies a watched key. The same flag is in the [`Client`].
    pub watch_flag: Flag,
    /// Whether replies are sent.
    pub reply_mode: ReplyMode,
    /// The connection is closed after the replies so far are sent.
    pub close_after_reply: bool,
    /// The client is this server's primary, so its commands are not checked and go to the journal as they came.
    pub is_primary: bool,
    /// What the client has said about itself as a replica (REPLCONF).
    pub replica_info: Option<Arc<Replica>>,
    /// The client's PSYNC or SYNC, until its feeder is started.
    pub sync: Option<SyncRequest>,
    /// The offset in the journal after the client's last write. WAIT waits until replicas have acknowledged it.
    pub last_write_offset: u64,
    /// Lookups by readers that found a key, since they were last added to the statistics.
    pub hits: Cell<u64>,
    /// Lookups by readers that found no key, since then.
    pub misses: Cell<u64>,
    /// Bytes received, since then.
    pub input_bytes: Cell<u64>,
    /// Bytes of replies, since then.
    pub output_bytes: Cell<u64>,
}

impl Session {
    /// The session of a client that has just connected.
    pub fn new(client: Arc<Client>, authenticated: bool) -> Session {
        Session {
            watch_flag: client.watch_flag.clone(),
            client,
            db: 0,
            authenticated,
            resp3: false,
            multi: None,
            watched: HashSet::new(),
            reply_mode: ReplyMode::On,
            close_after_reply: false,
            is_primary: false,
            replica_info: None,
            sync: None,
            last_write_offset: 0,
            hits: Cell::new(0),
            misses: Cell::new(0),
            input_bytes: Cell::new(0),
            output_bytes: Cell::new(0),
        }
    }

    /// Whether the client has asked for the data, so that it is a replica of this server.
    pub fn is_replica(&self) -> bool {
        self.replica_info
            .as_ref()
            .is_some_and(|r| r.stage() != Stage::Talking || self.sync.is_some())
    }

    /// Selects a database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.client.db.store(db, Relaxed);
    }

    /// Chooses RESP3 or RESP2 for the replies.
    pub fn set_resp3(&mut self, yes: bool) {
        self.resp3 = yes;
        self.client.resp3.store(yes, Relaxed);
    }

    /// Opens a transaction, or closes it. Returns the transaction that was open.
    pub fn set_multi(&mut self, multi: Option<Multi>) -> Option<Multi> {
        self.client
            .queued
            .store(if multi.is_some() { 0 } else { -1 }, Relaxed);
        self.client.queued_memory.store(0, Relaxed);
        std::mem::replace(&mut self.multi, multi)
    }

    /// Removes all watches of the client, and lowers its flag.
    pub fn unwatch(&mut self, watches: &Watches) {
        for (db, key) in self.watched.drain() {
            watches.remove(db, &key, &self.watch_flag);
        }
        self.watch_flag.store(false, Relaxed);
        self.client.watching.store(false, Relaxed);
    }
}
