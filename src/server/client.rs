//! A client's thread: reading requests, having them run, sending replies.
//!
//! The thread repeats four steps: read, parse the bytes that have arrived, run every complete request, send all the replies
//! at once. So all the requests that one `read` returns cost one `read` and one `write`, however many they are. Before a
//! thread sleeps in `read`, it looks whether the next request is there already: see `look.rs`.
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
//! * The thread holds no lock while it waits for bytes or for room in the socket. (The outbox's lock is held during a
//!   system call that sends, but that call does not wait.)
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

/// Bytes in the read buffer of a new or idle connection.
const SMALL_BUFFER: usize = 1024;
/// The read buffer doubles up to this many bytes while the client fills it. Only an unfinished request makes it larger.
const LARGE_BUFFER: usize = 64 * 1024;
/// When the replies have this many bytes, they are sent in the middle of a batch.
const SEND_AT: usize = 256 * 1024;
/// An output buffer that grew beyond this many bytes is freed as soon as it is sent.
const KEEP_OUTPUT: usize = 1 << 20;
/// In a batch with fewer requests left than this, the thread does not look ahead.
const FEW: usize = 4;
/// After this time without a request, buffers shrink.
const IDLE: Duration = Duration::from_secs(2);
/// How often the thread of a paused write checks whether its client and the server go on.
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

/// A connection, as its own thread sees it.
struct Connection<'a> {
    /// What all threads of the server share.
    shared: &'a Handle,
    /// The client's state.
    session: Session,
    /// Runs the requests, and holds the store's lock while it does.
    executor: Executor<'a>,
    /// Finds the requests in the read buffer.
    parser: Parser,
    /// Waits for the next request.
    looker: Looker<'a>,
    /// The read buffer. Its length is what it can hold.
    input: Vec<u8>,
    /// How many bytes of the read buffer hold data.
    filled: usize,
    /// The peer has closed its sending side.
    at_end: bool,
    /// A read timeout of [`IDLE`] is set, and the buffers shrink when it expires.
    shrinks: bool,
    /// The replies that are not sent yet.
    reply: Reply,
    /// How many bytes of `reply` the statistics contain already.
    counted: usize,
    /// Since when the output has exceeded its soft limit.
    patience: Patience,
    /// The thread that writes to the client once it is a replica.
    feeder: Option<JoinHandle<()>>,
}

impl Connection<'_> {
    /// Serves requests until the client or the server ends the connection.
    ///
    /// # Errors
    ///
    /// The peer has hung up, or exceeds a limit; no reply can be sent.
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
                continue; // bytes came in while the replies were sent: parse them before reading more
            }
            match step {
                Step::Broken(why) => return self.refuse(why),
                Step::Big { at, len } => self.read_big(at, len)?,
                Step::NeedMore if self.at_end => return Ok(()),
                Step::NeedMore => {
                    self.forget_requests(); // empty lines are no requests, but they fill the buffer
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
        self.begin_batch();
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
                    self.end_batch();
                    return Ok(Next::Close);
                }
                Flow::Block(waiter, deadline) => {
                    self.end_batch();
                    let outcome = self.send().map(|()| waiter.sleep(deadline));
                    let outcome = outcome.unwrap_or(Outcome::Gone);
                    if self.write_outcome(&waiter, outcome) == Next::Close {
                        return Ok(Next::Close);
                    }
                    self.executor.begin_batch();
                }
            }
            if self.session.sync.is_some() {
                self.become_replica()?;
            }
            if self.reply.out.len() > SEND_AT {
                self.end_batch();
                self.send()?;
            }
            i += 1;
        }
        self.end_batch();
        let client = &self.session.client;
        let capacity = self.reply.out.capacity();
        client.output_capacity.store(capacity, Relaxed);
        Ok(if client.is_closing() {
            Next::Close
        } else {
            Next::Continue
        })
    }

    /// Begins a batch: reads the clock, and stores the figures that CLIENT LIST shows.
    fn begin_batch(&mut self) {
        let now = self.executor.begin_batch();
        let client = &self.session.client;
        client.last_seen.store(now, Relaxed);
        client.input_used.store(self.filled, Relaxed);
        client.input_capacity.store(self.input.len(), Relaxed);
        let args_memory = self.parser.requests().last_size();
        client.args_memory.store(args_memory, Relaxed);
    }

    /// Waits until writes are no longer paused. FAILOVER and SHUTDOWN pause them.
    fn wait_for_writes(&mut self) -> io::Result<Next> {
        self.end_batch();
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
        self.end_batch();
        self.send()?;
        // With a write timeout, the feeder can check from time to time whether the replica is still connected.
        let stream = &self.session.client.stream;
        stream.set_write_timeout(Some(Duration::from_millis(10)))?;
        if let (Some(request), Some(replica)) =
            (self.session.sync.take(), &self.session.replica_info)
        {
            self.feeder = Some(primary::start(self.shared, replica, request)?);
        }
        Ok(())
    }

    /// Drops the reply to request `i`, and logs that the connection is closed: only the feeder may write to a replica.
    #[cold]
    fn drop_rogue_replica(&mut self, i: usize) {
        self.reply.out.clear();
        self.end_batch();
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
    fn end_batch(&mut self) {
        let new = self.reply.out.len() - self.counted;
        self.counted += new;
        self.session.output_bytes.update(|sum| sum + new as u64);
        self.executor.finish_batch(&self.session);
    }

    /// Writes the result of a wait into the reply.
    fn write_outcome(&mut self, waiter: &Arc<Waiter>, outcome: Outcome) -> Next {
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

    /// Removes the requests that were run. Their bytes stay in the read buffer until they fill half of it. So each byte is
    /// moved at most once on average, even if each call removes one small request.
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

    /// Replies to bytes that are no request, and ends the connection. Never inlined, so that its 4 KB buffer is not on the
    /// stack of every client's thread.
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
        // Closing a socket with unread bytes would discard the reply, so this thread reads until the peer has finished.
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

    /// Waits for bytes, and reads them into the buffer.
    fn read(&mut self) -> io::Result<()> {
        if self.filled == self.input.len() {
            self.input
                .resize((self.input.len() * 2).max(SMALL_BUFFER), 0);
        }
        may_wait("waited for a request");
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
            // Any bytes show that the replica is alive. A replica that loads its copy sends empty lines.
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
        may_wait("waited for an argument");
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
                Err(e) if is_timeout(&e) => {} // the bytes that came before the timeout are in the buffer
                Err(e) => return Err(e),
            }
        }
        big.truncate(len); // without the line end after the argument
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

    /// Sends all replies. While the socket takes nothing, reads what the peer sends.
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

    /// Waits until the socket takes more, for a second at most, and reads what the peer sends in the meantime, up to the
    /// limit of the query buffer.
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

/// What the thread does after a step.
#[derive(PartialEq)]
enum Next {
    /// It goes on.
    Continue,
    /// It sends what is left, and closes the connection.
    Close,
}

/// Whether a read ended because of the socket's read timeout.
fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Drop for Connection<'_> {
    /// Removes everything that the connection has registered. Runs after a panic, too.
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
            // The feeder ends now, because its journal position and its socket are gone.
            self.feeder.take().map(JoinHandle::join);
        }
    }
}
