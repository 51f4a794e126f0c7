//! Running the primary's stream of changes.
//!
//! It is run by the [`Executor`] that runs clients' commands, in a session that is marked as the primary's: so nothing
//! is refused for being a write, and keys do not expire in the meantime. The bytes go to our own journal
//! under the same lock, just as they came. A transaction is held back until its EXEC is there, because an offset
//! in the midst of one would be no place to go on from.
//!
//! # The selected database
//!
//! The stream says by SELECT which database comes next, inside of transactions too. [`Stream`] follows each SELECT as it
//! reads it; the journal learns of it together with the bytes, at the end of the unit. What the session has selected is
//! only what the commands are run in.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::PIECE;
use super::wire::{Wire, failed, superseded};
use crate::commands::table::INDEX;
use crate::execute::Executor;
use crate::resp::request::Step;
use crate::resp::{Args, Limits, Parser, Reply};
use crate::state::clients::Client;
use crate::state::session::Session;
use crate::util::number;

/// How often the primary hears how far we are.
const ACK_EVERY: Duration = Duration::from_secs(1);

/// When the primary hears how far we are.
#[derive(Clone, Copy, PartialEq)]
pub enum Acks {
    /// Never: it does not speak PSYNC.
    None,
    EverySecond,
    /// The same, and at once for a beginning.
    AtOnce,
}

/// The primary's stream of changes, as it is run here.
pub struct Stream<'a> {
    wire: Wire<'a>,
    session: Session,
    executor: Executor<'a>,
    acks: Acks,
    /// Bytes of a transaction whose EXEC has not come yet.
    held: Vec<u8>,
    /// The database that is selected after them.
    selected: usize,
    /// Offsets that the primary asked for.
    asked: Vec<u64>,
    /// Lines for the log, which is written when the store's lock is free.
    notes: Vec<String>,
    reply: Reply,
}

impl<'a> Stream<'a> {
    pub fn new(mut wire: Wire<'a>, acks: Acks) -> io::Result<Stream<'a>> {
        wire.forget(0); // what was the handshake's
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

    /// Runs what comes. It ends with an error, or when the link is not wanted any more.
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

    fn acknowledge(&mut self, offset: u64) -> io::Result<()> {
        if self.acks != Acks::None {
            let offset = offset.to_string();
            self.wire.send(&[b"REPLCONF", b"ACK", offset.as_bytes()])?;
        }
        Ok(())
    }

    /// Runs all requests that have come whole, and tells how many bytes they had.
    fn run_all(&mut self, parser: &mut Parser) -> io::Result<usize> {
        let limits = Limits {
            // The primary has decided what it takes; and it may take more than we.
            bulk_len: i64::MAX / 2,
            authenticated: true,
            // The bytes are needed as they came, in one piece.
            big: usize::MAX,
        };
        let now = self.executor.begin_batch();
        self.session.client.last_seen.store(now, Relaxed);
        // Taken out for as long as its bytes are looked at.
        let buffer = std::mem::take(&mut self.wire.buffer);
        let all = &buffer[..self.wire.filled];
        let mut at = 0;
        let result = loop {
            let step = parser.parse(&all[at..], limits, 1);
            let len = parser.complete();
            let bytes = &all[at..at + len];
            at += len;
            if parser.requests().is_empty() {
                self.held.extend_from_slice(bytes); // empty lines count, too
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

    /// Runs one request, of which `bytes` is what came.
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
            // Even if EXEC has failed here: this is what the primary goes on with.
            self.session.select(self.selected);
        } else if INDEX.is_write(&args) {
            self.execute(args);
        } else if !args.is(0, "PING") {
            self.pass_over(&args);
        }
        Ok(())
    }

    /// The database that a SELECT of the stream names.
    fn database(&self, args: &Args<'_>) -> io::Result<usize> {
        let db = args.get(1).and_then(number::parse_i64);
        let known = db.and_then(|db| usize::try_from(db).ok());
        let known = known.filter(|&db| db < self.executor.config().databases);
        known.map_or_else(
            || failed("the primary selects a database that we do not have"),
            Ok,
        )
    }

    /// Runs MULTI, or has the executor queue what is in a transaction.
    fn queue(&mut self, args: Args<'_>) {
        let belongs = ["MULTI", "DISCARD", "SELECT"].iter().any(|w| args.is(0, w));
        if !belongs && !INDEX.is_write(&args) {
            // If it were queued, EXEC would refuse the rest, too.
            return self.pass_over(&args);
        }
        self.execute(args);
        if self.session.multi.is_none() {
            self.selected = self.session.db; // DISCARD
        }
    }

    /// Has the executor run a request, and notes in the log if it fails.
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

    /// Does not run a request.
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
