//! EXEC: running the commands that MULTI has queued, with nothing in between.
//!
//! EXEC takes the write lock, even if all queued commands only read. Under it EXEC checks the flag of the watched keys and
//! runs the queued commands. Their changes are one unit in the log, and waiting clients are served once, at the end:
//!
//! ```text
//!   MULTI              OK
//!   SET a 1            QUEUED
//!   INCR b             QUEUED
//!   EXEC               1) OK  2) (integer) 1         in the log: MULTI, SET a 1, INCR b, EXEC
//! ```
//!
//! # Invariants
//!
//! * The write lock is held from the check of the watched keys to the end of the unit.
//! * EXEC of an open transaction ends the transaction and the watch of all keys, even if it runs nothing.
//! * A command that fails does not stop the others: there is no rollback, as in Redis.

use std::sync::atomic::Ordering::Relaxed;

use super::Executor;
use crate::resp::{Error, Reply};
use crate::state::session::{Queued, ReplyMode, Session};

impl Executor<'_> {
    /// `EXEC`: runs the queued commands. Replies with an array of their replies; with null if a watched key was modified; with
    /// EXECABORT if a command was refused instead of being queued. The cost is that of the commands. Their changes are logged,
    /// between MULTI and EXEC if they are more than one. `number` is EXEC's own number in the table.
    pub(super) fn exec(&mut self, session: &mut Session, number: usize, reply: &mut Reply) {
        let shared = self.shared;
        let Some(multi) = session.set_multi(None) else {
            self.reply_error(reply, &Error::text("ERR EXEC without MULTI"));
            return self.counter.count(&shared.stats, number, true, false);
        };
        if multi.refused {
            session.unwatch(&shared.watches);
            let text = "EXECABORT Transaction discarded because of previous errors.";
            self.reply_error(reply, &Error::text(text));
            return self.counter.count(&shared.stats, number, true, false);
        }
        self.write_txn(session);
        let must_abort = session.watch_flag.load(Relaxed) || self.watched_key_expired(session);
        session.unwatch(&shared.watches);
        if must_abort {
            reply.null_array();
            return self.counter.count(&shared.stats, number, false, false);
        }
        let start = reply.out.len();
        let is_off = |session: &Session| session.reply_mode == ReplyMode::Off;
        reply.array(multi.queue.len());
        if is_off(session) {
            reply.out.truncate(start);
        }
        for Queued { command, args } in &multi.queue {
            let start = reply.out.len();
            self.call(session, *command, args.as_args(), reply, false);
            if is_off(session) {
                reply.out.truncate(start);
            }
        }
        if session.close_after_reply {
            reply.out.truncate(start); // a queued command has closed this connection, so no reply is sent
        }
        if session.reply_mode == ReplyMode::Skipping {
            Self::apply_reply_mode(session, reply, start);
        }
        self.write_txn(session).end_unit();
        self.end_lease();
        self.counter.count(&shared.stats, number, false, false);
    }

    /// Whether a watched key has expired since it was watched.
    fn watched_key_expired(&mut self, session: &Session) -> bool {
        if session.watched.is_empty() {
            return false;
        }
        let (now, shared) = (self.now, self.shared);
        let store = self.write_txn(session).store();
        let is_expired = |db: usize, key: &[u8]| {
            let object = store.dbs[db].get_any(key);
            object.is_some_and(|object| object.is_expired(now))
        };
        let flag = &session.watch_flag;
        session
            .watched
            .iter()
            .any(|(db, key)| is_expired(*db, key) && !shared.watches.was_expired(*db, key, flag))
    }
}
