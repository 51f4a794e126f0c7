//! Running the primary's stream of changes.
//!
//! The same [`Executor`] that runs clients' commands runs the requests of the stream, in a session that is marked as the
//! primary's. So writes are not refused, and a key exists until the primary's DEL, even if it has expired. The bytes of each
//! request are added to this server's journal as they came, under the same write lock under which the request runs.
//!
//! The bytes of a transaction are held back until its EXEC has arrived, because no replica can go on from an offset inside
//! a transaction:
//!
//! ```text
//!   the stream     SET a 1    MULTI   SET b 2   INCR c   EXEC    PING
//!   the executor   runs       queues  queues    queues   runs    -
//!   the journal    +SET                                  +MULTI SET INCR EXEC
//!                                                                +PING
//! ```
//!
//! # The selected database
//!
//! A SELECT in the stream names the database of the requests after it, inside a transaction too. [`Stream`] records each
//! SELECT when it reads it, and the journal records it together with the bytes, at the end of the unit. The session's selected
//! database changes later than that inside a transaction: only when EXEC runs the SELECT.
//!
//! # Invariants
//!
//! * The journal holds only whole units of the stream.
//! * A request is run after its bytes were added to the journal, before the write lock is released.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::wire::{PIECE, Wire, failed, superseded};
use crate::commands::table::INDEX;
use crate::execute::Executor;
use crate::resp::request::Step;
use crate::resp::{Args, Limits, Parser, Reply};
use crate::state::clients::Client;
use crate::state::session::Session;
use crate::util::number;

/// How often this server acknowledges how far it has come.
const ACK_EVERY: Duration = Duration::from_secs(1);

/// When this server acknowledges to the primary how far it has come. (It also does when the primary asks with GETACK.)
#[derive(Clone, Copy, PartialEq)]
pub enum Acks {
    /// Never: the primary does not know PSYNC.
    None,
    /// Every second.
    EverySecond,
    /// At the beginning, and then every second.
    AtOnce,
}

/// The primary's stream of changes, and what runs it.
pub struct Stream<'a> {
    wire: Wire<'a>,
    /// The session in which the requests run; its client is the primary.
    session: Session,
    executor: Executor<'a>,
    acks: Acks,
    /// Bytes that are not in the journal yet: those of a transaction whose EXEC has not arrived.
    held: Vec<u8>,
    /// The database that is selected after `held`.
    selected: usize,
    /// The offsets at which the primary asked for an acknowledgement (GETACK).
    asked: Vec<u64>,
    /// Lines for the server's own log, which are written after the store's lock is released.
    notes: Vec<String>,
    /// The replies of the requests. They are not sent; an error among them is logged.
    reply: Reply,
}

impl<'a> Stream<'a> {
    /// Prepares to run the stream that arrives on `wire`.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub fn new(mut wire: Wire<'a>, acks: Acks) -> io::Result<Stream<'a>> {
        wire.forget(0); // moves the unused bytes to the beginning of the buffer
        let shared = wire.shared;
        let client = Client::new(shared.clients.next_id(), wire.stream.try_clone()?)?;
        client.is_primary.store(true, Relaxed);
        let client = Arc::new(client);
        shared.clients.add(&client);
        let mut session = Session::new(client, true);
        session.is_primary = true;
        let selected = shared.journal.selected();
        session.select(selected);
        Ok(Stream {
            wire,
            session,
            executor: Executor::new(shared, &INDEX),
            acks,
            held: vec![],
            selected,
            asked: vec![],
            notes: vec![],
            reply: Reply::default(),
        })
    }

    /// Runs the stream, until the connection ends.
    ///
    /// # Errors
    ///
    /// Always ends with one: of the connection, of the stream, or because the link was replaced.
    pub fn run(&mut self) -> io::Result<()> {
        let mut parser = Parser::default();
        let mut last_ack = Instant::now();
        if self.acks == Acks::AtOnce {
            self.acknowledge(self.wire.shared.journal.end())?;
        }
        loop {
            let used = self.run_all(&mut parser)?;
            self.wire.forget(used);
            let most = self.executor.config().client_query_buffer_limit as usize;
            if self.wire.filled + self.held.len() > most {
                return failed("the primary sends a request that has no end");
            }
            for offset in std::mem::take(&mut self.asked) {
                self.acknowledge(offset)?;
            }
            if last_ack.elapsed() >= ACK_EVERY {
                last_ack = Instant::now();
                self.acknowledge(self.wire.shared.journal.end())?;
            }
            self.wire.fill()?;
        }
    }

    /// Sends `REPLCONF ACK offset`.
    fn acknowledge(&mut self, offset: u64) -> io::Result<()> {
        if self.acks != Acks::None {
            let offset = offset.to_string();
            self.wire.send(&[b"REPLCONF", b"ACK", offset.as_bytes()])?;
        }
        Ok(())
    }

    /// Runs all complete requests of the read buffer, and returns how many bytes they have.
    fn run_all(&mut self, parser: &mut Parser) -> io::Result<usize> {
        let limits = Limits {
            // The primary has accepted this request already, and its limit may be larger than ours.
            bulk_len: i64::MAX / 2,
            authenticated: true,
            // The journal needs the bytes as they came, in one piece, so no argument gets a buffer of its own.
            big: usize::MAX,
        };
        let now = self.executor.begin_batch();
        self.session.client.last_seen.store(now, Relaxed);
        // Moved out, because the requests borrow from it while `self` changes.
        let buffer = std::mem::take(&mut self.wire.buffer);
        let all = &buffer[..self.wire.filled];
        let mut at = 0;
        let result = loop {
            let step = parser.parse(&all[at..], limits, 1);
            let len = parser.complete();
            let bytes = &all[at..at + len];
            at += len;
            if parser.requests().is_empty() {
                self.held.extend_from_slice(bytes); // empty lines are part of the history, too
                parser.consume();
                break match step {
                    Step::Broken(why) => failed(String::from_utf8_lossy(&why)),
                    _ => Ok(at),
                };
            }
            let run = self.run_one(parser.requests().args(0, bytes), bytes);
            parser.consume();
            if run.is_err() {
                break run.map(|()| at);
            }
        };
        self.executor.finish_batch(&self.session);
        let log = &self.wire.shared.log;
        self.notes.drain(..).for_each(|note| log.warning(&note));
        self.wire.buffer = buffer;
        result
    }

    /// Runs one request, or queues it in a transaction. `bytes` are the request as it came.
    fn run_one(&mut self, args: Args<'_>, bytes: &[u8]) -> io::Result<()> {
        self.held.extend_from_slice(bytes);
        if args.is(0, "SELECT") {
            self.selected = self.database(&args)?;
        }
        if args.is(0, "MULTI") || self.session.multi.is_some() && !args.is(0, "EXEC") {
            self.queue(args);
            return Ok(());
        }
        let (session, held, generation) = (&self.session, &self.held, self.wire.generation);
        let before = self
            .executor
            .relay(session, held, self.selected, generation)
            .ok_or_else(superseded)?;
        self.held.clear();
        if args.is(0, "SELECT") {
            self.session.select(self.selected);
        } else if args.is(0, "REPLCONF") {
            if args.len() > 1 && args.is(1, "GETACK") {
                self.asked.push(before);
            }
        } else if args.is(0, "EXEC") {
            self.execute(args);
            // Even if EXEC has failed here: the primary's next request is for this database.
            self.session.select(self.selected);
        } else if INDEX.is_write(&args) {
            self.execute(args);
        } else if !args.is(0, "PING") {
            self.pass_over(&args);
        }
        Ok(())
    }

    /// The database that a SELECT of the stream names.
    ///
    /// # Errors
    ///
    /// If this server has no such database.
    fn database(&self, args: &Args<'_>) -> io::Result<usize> {
        let db = args.get(1).and_then(number::parse_i64);
        let known = db.and_then(|db| usize::try_from(db).ok());
        let known = known.filter(|&db| db < self.executor.config().databases);
        known.map_or_else(
            || failed("the primary selects a database that we do not have"),
            Ok,
        )
    }

    /// Runs MULTI, or lets the executor queue a request of an open transaction.
    fn queue(&mut self, args: Args<'_>) {
        let belongs = ["MULTI", "DISCARD", "SELECT"].iter().any(|w| args.is(0, w));
        if !belongs && !INDEX.is_write(&args) {
            // If the executor refused to queue it, EXEC would refuse the whole transaction.
            return self.pass_over(&args);
        }
        self.execute(args);
        if self.session.multi.is_none() {
            self.selected = self.session.db; // DISCARD
        }
    }

    /// Lets the executor run a request. If that fails, adds a line for the server's own log.
    fn execute(&mut self, args: Args<'_>) {
        let name = args[0].to_vec();
        self.executor.run(&mut self.session, args, &mut self.reply);
        if self.reply.out.starts_with(b"-") {
            let line = self.reply.out.split(|&b| b == b'\r').next();
            self.notes.push(format!(
                "A command of the primary failed here: '{}' after processing the command '{}'",
                String::from_utf8_lossy(line.unwrap_or_default()),
                String::from_utf8_lossy(&name)
            ));
        }
        self.reply.out.clear();
        self.reply.out.shrink_to(PIECE);
    }

    /// Skips a request that changes no data, and adds a line for the server's own log.
    fn pass_over(&mut self, args: &Args<'_>) {
        let name = String::from_utf8_lossy(&args[0]);
        self.notes.push(format!(
            "The primary sends '{name}', which changes nothing that this server has; it is passed over"
        ));
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.wire.shared.clients.remove(self.session.client.id);
    }
}
