//! A client's thread: reading requests, having them run, sending replies.
//!
//! The thread repeats four steps: read, parse the bytes that have arrived, run every complete request, send all the replies
//! at once. So a batch of pipelined requests costs one
//! `read` and one `write`, however many there are.
//!
//! # When the peer does not read
//!
//! A client may send a million requests before it reads the first reply. Then the socket fills up
//! in both directions: the server waits to send, the client waits to send, and neither reads. So while a reply cannot be
//! sent, the thread goes on reading ([`Connection::send`]), and keeps the new requests until the reply is sent.
//!
//! # Memory
//!
//! Most connections are idle most of the time, and there may be ten thousand of them. Buffers begin small, grow with the
//! client's requests, and shrink when no request has arrived for two seconds. A read timeout wakes the thread for that; it is
//! only set while a buffer is large.
//!
//! # Invariants
//!
//! * No lock is held while the thread reads, sends or sleeps.
//! * Replies are sent in the order of the requests.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use super::look::Looker;
use crate::commands::command::Index;
use crate::execute::{Executor, Flow};
use crate::replication::primary;
use crate::resp::request::{BIG_ARGUMENT, Step};
use crate::resp::{Error, Limits, Parser, Reply};
use crate::state::Handle;
use crate::state::blocking::{Outcome, Waiter};
use crate::state::clients::{Client, HeldMemory};
use crate::state::lock::may_wait;
use crate::state::outbox::{Patience, UNCOUNTED_OUTPUT};
use crate::state::session::{ReplyMode, Session};
use crate::store::Db;
use crate::sys;
use crate::util::clock;

/// The read buffer of a new or idle connection, and the size it reads at once when much comes.
const SMALL_BUFFER: usize = 1024;
const LARGE_BUFFER: usize = 64 * 1024;
/// Replies of this many bytes are sent at once, even in the middle of a batch.
const SEND_AT: usize = 256 * 1024;
/// An output buffer that grew beyond this is given back at once.
const KEEP_OUTPUT: usize = 1 << 20;
/// Fewer requests than this are not worth looking ahead at.
const FEW: usize = 4;
/// After this time without a request, buffers shrink.
const IDLE: Duration = Duration::from_secs(2);
/// How often a client whose write has to wait looks whether it is still wanted.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Serves a connection to its end.
pub fn serve(shared: &Handle, index: &'static Index, client: Arc<Client>) {
    let config = shared.settings.current();
    let _ = client.stream.set_nodelay(true);
    sys::set_keepalive(&client.stream, config.tcp_keepalive);
    shared.log.verbose(&format!("Accepted {}", client.peer));
    let mut connection = Connection {
        shared,
        session: Session::new(client, config.requirepass.is_empty()),
        executor: Executor::new(shared, index),
        parser: Parser::default(),
        looker: Looker::new(&shared.cores),
        input: vec![0; SMALL_BUFFER],
        filled: 0,
        at_end: false,
        shrinks: false,
        reply: Reply::default(),
        counted: 0,
        patience: Patience::default(),
        feeder: None,
    };
    // An error means that the peer has hung up, so no error reply can be sent.
    let _ = connection.run();
}

struct Connection<'a> {
    shared: &'a Handle,
    session: Session,
    executor: Executor<'a>,
    parser: Parser,
    looker: Looker<'a>,
    /// The read buffer, of which the first `filled` bytes have been read.
    input: Vec<u8>,
    filled: usize,
    /// The peer will send no more.
    at_end: bool,
    /// A read timeout is set, and buffers shrink when it strikes.
    shrinks: bool,
    reply: Reply,
    /// How much of the reply is in the statistics already.
    counted: usize,
    /// Since when the output has exceeded its soft limit.
    patience: Patience,
    /// Once the client has become a replica: the thread that does all the writing.
    feeder: Option<JoinHandle<()>>,
}

impl Connection<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let config = self.executor.config();
            let limits = Limits {
                bulk_len: config.proto_max_bulk_len,
                authenticated: self.session.authenticated,
                big: BIG_ARGUMENT,
            };
            // Before authentication requests are parsed one by one: AUTH changes the limits of the next one.
            let most = if limits.authenticated { usize::MAX } else { 1 };
            let step = self.parser.parse(&self.input[..self.filled], limits, most);
            if !self.parser.requests().is_empty() {
                if self.run_requests()? == Next::Close {
                    return self.send();
                }
                self.forget_requests();
                continue;
            }
            let before = self.filled;
            self.send()?;
            if self.filled != before {
                continue; // what came in while the replies went out is looked at first
            }
            match step {
                Step::Broken(why) => return self.refuse(why),
                Step::Big { at, len } => self.read_big(at, len)?,
                Step::NeedMore if self.at_end => return Ok(()),
                Step::NeedMore => {
                    self.forget_requests(); // empty lines are no requests, and take room, too
                    let unfinished = self.filled - self.parser.complete();
                    if self.parser.is_midway() {
                        self.check_input_limit(unfinished)?;
                    }
                    self.read()?;
                }
            }
        }
    }

    /// Runs all requests that have been parsed.
    fn run_requests(&mut self) -> io::Result<Next> {
        let now = self.executor.begin_batch();
        let client = self.session.client.clone();
        client.last_seen.store(now, Relaxed);
        client.input_used.store(self.filled, Relaxed);
        client.input_capacity.store(self.input.len(), Relaxed);
        let args_memory = self.parser.requests().last_size();
        client.args_memory.store(args_memory, Relaxed);
        let count = self.parser.requests().len();
        let mut i = 0;
        while i < count {
            let input = &self.input[..self.filled];
            if i % Db::WARM == 0 && count - i >= FEW {
                self.executor
                    .look_ahead(&self.session, self.parser.requests(), i, input);
            }
            let args = self.parser.requests().args(i, input);
            let flow = self.executor.run(&mut self.session, args, &mut self.reply);
            let replies = !self.reply.out.is_empty() || matches!(flow, Flow::Block(..));
            if self.feeder.is_some() && replies {
                self.drop_rogue_replica(i);
                return Ok(Next::Close);
            }
            match flow {
                Flow::Next => {}
                Flow::Again => {
                    if self.wait_for_writes()? == Next::Close {
                        return Ok(Next::Close);
                    }
                    continue;
                }
                Flow::Close => {
                    self.finish();
                    return Ok(Next::Close);
                }
                Flow::Block(waiter, deadline) => {
                    self.finish();
                    let outcome = self.send().map(|()| waiter.sleep(deadline));
                    let outcome = outcome.unwrap_or(Outcome::Gone);
                    if self.wake(&waiter, outcome) == Next::Close {
                        return Ok(Next::Close);
                    }
                    self.executor.begin_batch();
                }
            }
            if self.session.sync.is_some() {
                self.become_replica()?;
            }
            if self.reply.out.len() > SEND_AT {
                self.finish();
                self.send()?;
            }
            i += 1;
        }
        self.finish();
        client
            .output_capacity
            .store(self.reply.out.capacity(), Relaxed);
        Ok(if client.is_closing() {
            Next::Close
        } else {
            Next::Continue
        })
    }

    /// Waits until writes are not paused any more (FAILOVER, SHUTDOWN).
    fn wait_for_writes(&mut self) -> io::Result<Next> {
        self.finish();
        self.send()?;
        while !self.shared.write_pause.wait(POLL_INTERVAL) {
            if !self.session.client.is_connected() || self.shared.stop.is_requested() {
                return Ok(Next::Close);
            }
        }
        self.executor.begin_batch();
        Ok(Next::Continue)
    }

    /// The client has sent PSYNC or SYNC. From now on a feeder thread writes to it, and this thread only reads.
    fn become_replica(&mut self) -> io::Result<()> {
        self.finish();
        self.send()?;
        // Its feeder checks the connection from time to time while the replica takes nothing.
        let stream = &self.session.client.stream;
        stream.set_write_timeout(Some(Duration::from_millis(10)))?;
        if let (Some(request), Some(replica)) =
            (self.session.sync.take(), &self.session.replica_info)
        {
            self.feeder = Some(primary::start(self.shared, replica, request)?);
        }
        Ok(())
    }

    /// Drops the reply to request `i`, because only the feeder writes to a replica: its connection is closed instead.
    #[cold]
    fn drop_rogue_replica(&mut self, i: usize) {
        self.reply.out.clear();
        self.finish();
        let input = &self.input[..self.filled];
        let name = &self.parser.requests().args(i, input)[0];
        let name = String::from_utf8_lossy(name).to_lowercase();
        let client = &self.session.client;
        self.shared.log.warning(&format!(
            "Replica generated a reply to command '{name}', disconnecting it: id={} addr={}",
            client.id, client.peer
        ));
    }

    /// Ends a batch: releases the lock, and counts the bytes that are about to be sent.
    fn finish(&mut self) {
        let new = self.reply.out.len() - self.counted;
        self.counted += new;
        self.session.output_bytes.update(|sum| sum + new as u64);
        self.executor.finish_batch(&self.session);
    }

    /// Writes the result of a wait into the reply.
    fn wake(&mut self, waiter: &Arc<Waiter>, outcome: Outcome) -> Next {
        self.session.client.take_waiter();
        self.shared.forget_waiter(waiter);
        let start = self.reply.out.len();
        match outcome {
            // If sending failed, the waiter still waits. End the wait, so that no writer serves it.
            Outcome::Gone => {
                waiter.end(Outcome::Gone);
                return Next::Close;
            }
            Outcome::Served { unsent } => self.reply.out.extend_from_slice(&unsent),
            Outcome::TimedOut => self.shared.reply_timeout(waiter, &mut self.reply),
            Outcome::Failed(error) => {
                self.shared.stats.count_error(error.code());
                self.reply.error(&error);
            }
        }
        if waiter.client.silent {
            self.reply.out.truncate(start);
        }
        Next::Continue
    }

    /// Removes the requests that were run. Their bytes stay in the read buffer until they fill half of it: so the
    /// bytes moved are never more than the bytes used up, even if each call removes one small request.
    fn forget_requests(&mut self) {
        self.parser.forget();
        if self.parser.complete() * 2 < self.filled {
            return;
        }
        let gone = self.parser.consume();
        self.input.copy_within(gone..self.filled, 0);
        self.filled -= gone;
        let client = &self.session.client;
        client.input_used.store(self.filled, Relaxed);
        client.args_memory.store(0, Relaxed);
    }

    /// Answers bytes that are no request, and ends the connection. (Kept apart, so that what it needs of the stack is not
    /// taken from every thread.)
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, why: Vec<u8>) -> io::Result<()> {
        let error = Error::new([b"ERR ", why.as_slice()].concat());
        self.shared.stats.count_error(error.code());
        if self.feeder.is_some() {
            let text = "A replica has sent what is no request; it is disconnected";
            self.shared.log.warning(text);
            return Ok(());
        }
        if self.session.reply_mode == ReplyMode::On {
            self.reply.error(&error);
        }
        self.send()?;
        // Closing a socket with unread bytes in it would cut the reply off; so the peer is let finish first.
        self.session.client.stream.shutdown(Shutdown::Write)?;
        self.session
            .client
            .stream
            .set_read_timeout(Some(Duration::from_millis(100)))?;
        let mut rest = [0; 4096];
        for _ in 0..256 {
            if !matches!((&*self.session.client.stream).read(&mut rest), Ok(1..)) {
                break;
            }
        }
        Ok(())
    }

    /// Waits for bytes, and takes them in.
    fn read(&mut self) -> io::Result<()> {
        if self.filled == self.input.len() {
            self.input
                .resize((self.input.len() * 2).max(SMALL_BUFFER), 0);
        }
        let stream = &self.session.client.stream;
        let n = match self.looker.read(stream, &mut self.input[self.filled..]) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(e) if is_timeout(&e) => return self.shrink(),
            Err(e) => return Err(e),
        };
        self.at_end = n == 0;
        self.filled += n;
        self.session.client.input_used.store(self.filled, Relaxed);
        self.session.input_bytes.update(|sum| sum + n as u64);
        if let Some(replica) = &self.session.replica_info {
            // Any bytes show that the replica is alive: one that is busy with its copy sends empty lines.
            replica.acked_at.store(clock::now_ms(), Relaxed);
        }
        if self.filled == self.input.len() && self.input.len() < LARGE_BUFFER {
            self.input.resize(self.input.len() * 2, 0);
        }
        let large =
            self.input.len() > 4 * SMALL_BUFFER || self.reply.out.capacity() > 4 * SMALL_BUFFER;
        if large && !self.shrinks {
            self.shrinks = true;
            self.session.client.stream.set_read_timeout(Some(IDLE))?;
        }
        Ok(())
    }

    /// Frees spare memory of an idle connection.
    fn shrink(&mut self) -> io::Result<()> {
        self.input.truncate(self.filled.max(SMALL_BUFFER));
        self.input.shrink_to_fit();
        self.reply.out.shrink_to(0);
        self.parser.shrink();
        self.shrinks = false;
        let client = &self.session.client;
        client.input_capacity.store(self.input.len(), Relaxed);
        client.output_capacity.store(0, Relaxed);
        client.stream.set_read_timeout(None)
    }

    /// Reads an argument of `len` bytes, which begins at `at` in the read buffer, into a buffer of its own that
    /// grows as the bytes come.
    fn read_big(&mut self, at: usize, len: usize) -> io::Result<()> {
        let mut big = Vec::with_capacity(LARGE_BUFFER.min(len + 2));
        big.extend_from_slice(&self.input[at..self.filled]);
        self.filled = at;
        while big.len() < len + 2 {
            self.check_input_limit(big.len())?;
            let piece = (len + 2 - big.len()).min(big.len().max(LARGE_BUFFER));
            big.reserve_exact(piece);
            match (&*self.session.client.stream)
                .take(piece as u64)
                .read_to_end(&mut big)
            {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    self.session.input_bytes.update(|sum| sum + n as u64);
                }
                Err(e) if is_timeout(&e) => {} // what came before is in the buffer
                Err(e) => return Err(e),
            }
        }
        big.truncate(len); // the two bytes after an argument
        self.parser.put_big(big);
        Ok(())
    }

    /// Closes the connection if an unfinished request of so many bytes is more than `client-query-buffer-limit` allows.
    fn check_input_limit(&self, bytes: usize) -> io::Result<()> {
        if bytes as i64 <= self.executor.config().client_query_buffer_limit {
            return Ok(());
        }
        let text = "Closing client that reached max query buffer length";
        self.shared.log.warning(text);
        Err(ErrorKind::OutOfMemory.into())
    }

    /// Sends all replies. While the peer does not take them, reads what it sends.
    fn send(&mut self) -> io::Result<()> {
        if self.reply.out.is_empty() {
            return Ok(());
        }
        self.counted = 0;
        let client = self.session.client.clone();
        self.check_output_limit(self.reply.out.len())?;
        if let Some(mark) = client.outbox.send(&mut self.reply.out)? {
            let mut held = HeldMemory::new(&self.shared.clients);
            while !client.outbox.drain(mark)? {
                self.read_while_stuck(&client)?;
                // A client that is receiving a long reply is not idle.
                client.last_seen.store(clock::now_ms(), Relaxed);
                self.check_output_limit(client.outbox.pending())?;
                if held.is_too_much(client.outbox.pending() + self.input.len()) {
                    let text = "Closing a client that does not read its replies: such clients hold too much memory";
                    self.shared.log.warning(text);
                    return Err(ErrorKind::OutOfMemory.into());
                }
            }
        }
        if self.reply.out.capacity() > KEEP_OUTPUT {
            self.reply.out = Vec::new();
        }
        Ok(())
    }

    /// Closes the connection if it has more output than `client-output-buffer-limit normal` allows.
    #[inline]
    fn check_output_limit(&mut self, bytes: usize) -> io::Result<()> {
        let limit = self.executor.config().normal_limit;
        let counted = bytes.saturating_sub(UNCOUNTED_OUTPUT);
        if !limit.is_exceeded(counted as u64, &mut self.patience) {
            return Ok(());
        }
        let client = &self.session.client;
        self.shared.log.warning(&format!(
            "Client id={} addr={} scheduled to be closed ASAP for overcoming of output buffer limits.",
            client.id, client.peer
        ));
        Err(ErrorKind::OutOfMemory.into())
    }

    /// Waits until the peer takes more, and reads what it sends in the meantime, up to the limit of the query buffer.
    fn read_while_stuck(&mut self, client: &Client) -> io::Result<()> {
        let limit = self.executor.config().client_query_buffer_limit;
        let has_room = (self.filled as i64) < limit && !self.at_end;
        may_wait("waited for a client");
        if sys::wait_to_write(&client.stream, has_room, 1000) {
            self.read()?;
        }
        if client.is_closing() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

/// What the thread does after a batch.
#[derive(PartialEq)]
enum Next {
    Continue,
    Close,
}

fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Drop for Connection<'_> {
    /// However the connection ends, a panic included, it leaves nothing behind.
    fn drop(&mut self) {
        // After a panic the lock may still be held, and the feeder may need it to end.
        self.executor.finish_batch(&self.session);
        self.session.unwatch(&self.shared.watches);
        let client = &self.session.client;
        if let Some(waiter) = client.take_waiter() {
            waiter.end(Outcome::Gone);
            self.shared.forget_waiter(&waiter);
        }
        self.shared.clients.remove(client.id);
        let _ = client.stream.shutdown(Shutdown::Both);
        if client.is_replica.load(Relaxed) {
            client.kill();
            self.shared.journal.remove_reader(client.id);
            self.shared.replicas.remove(client.id);
            // Its feeder has nothing to read or write any more.
            self.feeder.take().map(JoinHandle::join);
        }
    }
}
