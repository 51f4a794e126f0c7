//! A client's output: everything that is sent to the client, in one order.
//!
//! Several threads send to a client: its own thread sends replies, and a writer sends the reply of a wait that it
//! served. (Pub/Sub messages, which this server does not have yet, will be sent in the same way.) All of them send
//! through the client's [`Outbox`], which has one lock and one queue. So two messages never mix.
//!
//! ```text
//!   client's thread   send(replies) ──┐                 ┌──► socket, at once, if nothing is queued
//!   a writer          push(reply)  ───┴──► lock, order ─┤
//!                                                       └──► queue ──► drained by the client's thread while it
//!                                                                      sends, or by a thread made for that
//! ```
//!
//! [`Outbox::push`] never waits: bytes that the socket does not take at once are queued, and a new thread, the
//! *drainer*, writes until the queue is empty. The client's own thread does wait, so a client that does not read its
//! replies gets no more of them. While that thread waits, it drains the queue itself.
//!
//! # Invariants
//!
//! * Bytes are written to the socket only under the queue's lock, and only if they are the oldest.
//! * A queue that is not empty is drained by the client's thread or by a drainer, unless the connection is closed.
//! * A push that makes the queue longer than the push's limit closes the connection, so a client that does not read
//!   costs bounded memory. (The reply of a served wait is pushed without a limit: it has at most [`UNCOUNTED_OUTPUT`]
//!   bytes.)

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::config::Limit;
use super::lock::{Lock, Rank, lock, may_wait};
use crate::sys;

/// When a queue grew longer than its soft limit; `None` if it is not longer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience(Option<Instant>);

impl Limit {
    /// Whether `bytes` queued bytes are too many. Calls for the same queue share one `patience`.
    pub fn is_exceeded(&self, bytes: u64, patience: &mut Patience) -> bool {
        if self.soft > 0 && bytes > self.soft {
            let since = *patience.0.get_or_insert_with(Instant::now);
            if since.elapsed() >= Duration::from_secs(self.soft_seconds) {
                return true;
            }
        } else {
            patience.0 = None;
        }
        self.hard > 0 && bytes > self.hard
    }
}

/// Output that does not count for `client-output-buffer-limit normal`, in bytes: Redis does not count what fits into a
/// client's first buffer.
pub const UNCOUNTED_OUTPUT: usize = 16 * 1024;

/// The output of one client.
pub struct Outbox {
    /// The connection.
    stream: Arc<TcpStream>,
    queue: Lock<OutputQueue>,
    /// Bytes that are queued: a copy of [`OutputQueue::len`] that can be read without the lock.
    pending: AtomicUsize,
}

/// The queue of an [`Outbox`].
#[derive(Default)]
struct OutputQueue {
    /// Bytes that are not sent yet, oldest first.
    chunks: VecDeque<Vec<u8>>,
    /// How many bytes of the first chunk have been sent.
    sent_of_first: usize,
    /// All bytes that were ever queued.
    queued: u64,
    /// How many of them were sent.
    sent: u64,
    /// A drainer runs.
    has_drainer: bool,
    /// For the soft limit of pushes.
    patience: Patience,
    /// The connection is closed; nothing is queued any more.
    closed: bool,
}

impl Outbox {
    /// The output of the client at the other end of `stream`.
    pub fn new(stream: Arc<TcpStream>) -> Outbox {
        Outbox {
            stream,
            queue: Lock::new(Rank::Outbox, OutputQueue::default()),
            pending: AtomicUsize::new(0),
        }
    }

    /// Whether the connection is open at both ends. Checks the socket without waiting: one system call.
    pub fn is_connected(&self) -> bool {
        !sys::has_hung_up(&self.stream)
    }

    /// Bytes that are queued. Costs no lock.
    pub fn pending(&self) -> usize {
        self.pending.load(Relaxed)
    }

    /// Sends replies of the client's own thread. Sends as much as the socket takes at once and queues the rest. Returns
    /// the mark that [`Outbox::drain`] must reach, or `None` if everything is sent. `bytes` is empty afterwards.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn send(&self, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let mut queue = lock(&self.queue);
        let mut sent = 0;
        if queue.chunks.is_empty() {
            sent = sys::try_send(&self.stream, bytes)?;
            if sent == bytes.len() {
                bytes.clear();
                return Ok(None);
            }
        }
        // The vector itself moves into the queue, so a large reply is not copied.
        let mut rest = std::mem::take(bytes);
        if sent < 4096 || rest.len() - sent < 4096 {
            rest.drain(..sent);
            sent = 0;
        }
        queue.add(rest, sent);
        self.pending.store(queue.len(), Relaxed);
        Ok(Some(queue.queued))
    }

    /// Sends more of the queue, without waiting. Returns whether everything up to `mark` is sent.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn drain(&self, mark: u64) -> io::Result<bool> {
        let mut queue = lock(&self.queue);
        self.write(&mut queue)?;
        Ok(queue.sent >= mark)
    }

    /// Sends bytes on behalf of another thread, and never waits. Bytes that the socket does not take are queued and
    /// drained by a drainer. If more than `limit` is queued, the connection is closed.
    pub fn push(self: &Arc<Self>, bytes: &[u8], limit: Limit) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return;
        }
        let mut sent = 0;
        if queue.chunks.is_empty() {
            match sys::try_send(&self.stream, bytes) {
                Ok(n) => sent = n,
                Err(_) => return self.close(&mut queue),
            }
        }
        if sent == bytes.len() {
            return;
        }
        queue.add(bytes[sent..].to_vec(), 0);
        self.pending.store(queue.len(), Relaxed);
        let OutputQueue { patience, .. } = &mut *queue;
        let mut after = *patience;
        let exceeded = limit.is_exceeded(queue.len() as u64, &mut after);
        queue.patience = after;
        if exceeded {
            return self.close(&mut queue);
        }
        if !queue.has_drainer {
            queue.has_drainer = true;
            let outbox = self.clone();
            let thread = thread::Builder::new().name("drain".into());
            if thread.spawn(move || outbox.drain_all()).is_err() {
                self.close(&mut queue);
            }
        }
    }

    /// Writes until the queue is empty. The body of a drainer's thread.
    fn drain_all(&self) {
        loop {
            {
                let mut queue = lock(&self.queue);
                if self.write(&mut queue).is_err() {
                    self.close(&mut queue);
                }
                if queue.closed || queue.chunks.is_empty() {
                    queue.has_drainer = false;
                    return;
                }
            }
            may_wait("waited for a client");
            sys::wait_to_write(&self.stream, false, 1000);
        }
    }

    /// Writes as much of the queue as the socket takes.
    fn write(&self, queue: &mut OutputQueue) -> io::Result<()> {
        while let Some(first) = queue.chunks.front() {
            let rest = &first[queue.sent_of_first..];
            let (len, sent) = (rest.len(), sys::try_send(&self.stream, rest)?);
            queue.sent += sent as u64;
            queue.sent_of_first += sent;
            if sent < len {
                break;
            }
            queue.chunks.pop_front();
            queue.sent_of_first = 0;
        }
        self.pending.store(queue.len(), Relaxed);
        Ok(())
    }

    /// Closes the connection. The client's thread then reads the end of the stream, and cleans up.
    fn close(&self, queue: &mut OutputQueue) {
        queue.closed = true;
        queue.chunks.clear();
        queue.sent = queue.queued;
        self.pending.store(0, Relaxed);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl OutputQueue {
    /// Bytes that are queued and not sent.
    fn len(&self) -> usize {
        (self.queued - self.sent) as usize
    }

    /// Adds a chunk of which `sent` bytes have been sent.
    fn add(&mut self, chunk: Vec<u8>, sent: usize) {
        if self.chunks.is_empty() {
            self.sent_of_first = sent;
        }
        self.queued += (chunk.len() - sent) as u64;
        self.chunks.push_back(chunk);
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    /// The output of a connected client, and the peer's end of the connection.
    pub fn pair() -> (Arc<Outbox>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        (Arc::new(Outbox::new(Arc::new(stream))), peer)
    }

    /// Sends as a client's thread does, and waits until everything is sent.
    fn send(outbox: &Outbox, mut bytes: Vec<u8>) {
        if let Some(mark) = outbox.send(&mut bytes).unwrap() {
            while !outbox.drain(mark).unwrap() {
                sys::wait_to_write(&outbox.stream, false, 100);
            }
        }
    }

    #[test]
    fn pushes_from_many_threads_go_between_replies_of_a_pipeline() {
        const THREADS: usize = 8;
        const EACH: usize = 300;
        let (outbox, mut peer) = pair();
        // Lines of very different lengths, the longest beyond what a socket takes at once.
        let line = |who: usize, i: usize| {
            let len = if i.is_multiple_of(50) {
                300_000
            } else {
                i % 97
            };
            let filler = "x".repeat(len);
            format!("{who} {i} {filler}\n").into_bytes()
        };
        let text = thread::scope(|scope| {
            for who in 1..THREADS {
                let outbox = &outbox;
                scope.spawn(move || {
                    for i in 0..EACH {
                        outbox.push(&line(who, i), Limit::default());
                    }
                });
            }
            scope.spawn(|| {
                for i in (0..EACH).step_by(3) {
                    // Three replies of one pipeline leave together.
                    send(
                        &outbox,
                        [line(0, i), line(0, i + 1), line(0, i + 2)].concat(),
                    );
                }
            });
            let mut text = vec![];
            let mut buffer = vec![0; 100_000];
            let mut lines = 0;
            while lines < THREADS * EACH {
                let n = peer.read(&mut buffer).unwrap();
                lines += buffer[..n].iter().filter(|&&b| b == b'\n').count();
                text.extend_from_slice(&buffer[..n]);
            }
            text
        });
        let mut next = [0; THREADS];
        for got in text.split_inclusive(|&b| b == b'\n') {
            let head = String::from_utf8_lossy(&got[..got.len().min(8)]).into_owned();
            let who: usize = head.split(' ').next().unwrap().parse().unwrap();
            assert!(got == line(who, next[who]), "{head} is out of order");
            next[who] += 1;
        }
        assert_eq!(next, [EACH; THREADS]);
        assert_eq!(outbox.pending(), 0);
    }

    #[test]
    fn a_peer_that_does_not_read_is_closed_at_the_limit() {
        let (outbox, _peer) = pair();
        let limit = Limit {
            hard: 1 << 20,
            ..Limit::default()
        };
        let message = vec![b'x'; 64 * 1024];
        let mut most = 0;
        while !lock(&outbox.queue).closed {
            outbox.push(&message, limit);
            most = most.max(outbox.pending());
        }
        assert!(most <= 1 << 20 && outbox.pending() == 0);
    }

    #[test]
    fn a_soft_limit_needs_time() {
        let mut patience = Patience::default();
        let limit = Limit {
            hard: 100,
            soft: 10,
            soft_seconds: 0,
        };
        assert!(!limit.is_exceeded(10, &mut patience) && limit.is_exceeded(11, &mut patience));
        let slow = Limit {
            soft_seconds: 60,
            ..limit
        };
        assert!(!slow.is_exceeded(11, &mut patience) && slow.is_exceeded(101, &mut patience));
        assert!(!Limit::default().is_exceeded(u64::MAX, &mut patience));
    }
}
