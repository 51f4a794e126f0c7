//! The state of a client that only the client's own thread uses.
//!
//! No other thread uses a [`Session`], so nothing in it is locked: the selected database, whether the client has
//! authenticated, the commands that MULTI has queued. Figures that other threads read are copied into the [`Client`] when
//! they change.

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
    #[default]
    On,
    Off,
    /// The next command is not answered; then `On` again.
    SkipNext,
    /// This command is not answered.
    Skipping,
}

/// A command that waits for EXEC: its number in the table of commands, and its arguments.
pub struct Queued {
    pub command: usize,
    pub args: OwnedArgs,
}

/// An open transaction.
pub struct Multi {
    pub queue: Vec<Queued>,
    /// A command was refused instead of being queued, so EXEC refuses all.
    pub refused: bool,
    /// The flags that at least one of them has, and those that all of them have: see `commands/command.rs`.
    pub any_flags: u32,
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
    /// The history that the replica has a part of, and the first byte of it that the replica does not have, counted from
    /// one. `?` if it asks for a copy.
    pub replid: String,
    pub next: i64,
    /// It asked with PSYNC, and understands the answers to that.
    pub psync: bool,
}

/// One client's state.
pub struct Session {
    pub client: Arc<Client>,
    pub db: usize,
    pub authenticated: bool,
    pub resp3: bool,
    pub multi: Option<Multi>,
    pub watched: HashSet<(usize, Vec<u8>)>,
    /// Raised by a writer that modifies a watched key. The [`Client`] has it too.
    pub watch_flag: Flag,
    pub reply_mode: ReplyMode,
    /// The connection is closed after the replies so far are sent.
    pub close_after_reply: bool,
    /// The client is this server's primary, so its commands are not checked and go to the log as they came.
    pub is_primary: bool,
    /// What the client has said about itself as a replica (REPLCONF); and its PSYNC, until a feeder is started for it.
    pub replica_info: Option<Arc<Replica>>,
    pub sync: Option<SyncRequest>,
    /// How far the journal was after the client's last write.
    pub last_write_offset: u64,
    /// Lookups by readers that found a key, and that did not, since they were last added to the statistics.
    pub hits: Cell<u64>,
    pub misses: Cell<u64>,
    /// Bytes read and sent, since then.
    pub input_bytes: Cell<u64>,
    pub output_bytes: Cell<u64>,
}

impl Session {
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

    /// Whether the client has asked for the data, and follows us from then on.
    pub fn is_replica(&self) -> bool {
        self.replica_info
            .as_ref()
            .is_some_and(|r| r.stage() != Stage::Talking || self.sync.is_some())
    }

    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.client.db.store(db, Relaxed);
    }

    pub fn set_resp3(&mut self, yes: bool) {
        self.resp3 = yes;
        self.client.resp3.store(yes, Relaxed);
    }

    /// Opens a transaction, or closes it and returns what was queued.
    pub fn set_multi(&mut self, multi: Option<Multi>) -> Option<Multi> {
        self.client
            .queued
            .store(if multi.is_some() { 0 } else { -1 }, Relaxed);
        self.client.queued_memory.store(0, Relaxed);
        std::mem::replace(&mut self.multi, multi)
    }

    /// Watches nothing any more.
    pub fn unwatch(&mut self, watches: &Watches) {
        for (db, key) in self.watched.drain() {
            watches.remove(db, &key, &self.watch_flag);
        }
        self.watch_flag.store(false, Relaxed);
        self.client.watching.store(false, Relaxed);
    }
}
