//! The connection to the primary, with a read buffer.
//!
//! ```text
//!   buffer   [ used | not used yet      | free        ]
//!            0      at                  filled        buffer.len()
//! ```
//!
//! Every wait for bytes is short. After each, the link's thread checks whether the link was replaced (REPLICAOF, the end of
//! the server), and whether the primary has sent nothing for `repl-timeout` seconds.
//!
//! # Invariants
//!
//! * `at <= filled <= buffer.len()`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::resp::push_request;
use crate::state::Shared;
use crate::state::replication::LinkState;

/// How long to wait for a connection to one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Digits of a replid, and of the mark that ends a copy.
pub const ID_LEN: usize = 40;
/// Bytes that the read buffer has room for at first; it grows for a larger request.
pub const PIECE: usize = 64 * 1024;
/// How long to wait for bytes before the next check of the link.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How often this server sends an empty line while it receives a copy, so that the primary knows that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// The length of the longest line of an answer, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// The connection to the primary.
pub struct Wire<'a> {
    /// What the server's threads share.
    pub shared: &'a Shared,
    /// The link's generation when this connection was made. Another one means that the link was replaced.
    pub generation: u64,
    /// The connection's socket. Its read timeout is [`POLL_INTERVAL`].
    pub stream: TcpStream,
    /// The read buffer.
    pub buffer: Vec<u8>,
    /// Where the bytes begin that were not used yet.
    at: usize,
    /// Where the bytes end that have arrived.
    pub filled: usize,
    /// When bytes last arrived.
    last_heard: Instant,
    /// While a copy arrives: how many of its bytes have arrived.
    copied: Option<u64>,
    /// When this server last sent an empty line.
    last_sign: Instant,
}

impl<'a> Wire<'a> {
    /// Connects to the primary: tries the addresses of `host` one after the other.
    ///
    /// # Errors
    ///
    /// If the host has no address, if no address accepts the connection, or if the link was replaced.
    pub fn connect(
        shared: &'a Shared,
        host: &str,
        port: u16,
        generation: u64,
    ) -> io::Result<Wire<'a>> {
        let mut result = Err(io::Error::new(
            ErrorKind::NotFound,
            "the host has no address",
        ));
        for address in (host, port).to_socket_addrs()? {
            result = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
            if result.is_ok() {
                break;
            }
        }
        let stream = result?;
        let timeout = Duration::from_secs(shared.settings.current().repl_timeout.max(1).into());
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(POLL_INTERVAL))?;
        stream.set_write_timeout(Some(timeout))?;
        if !shared.link.set_socket(stream.try_clone()?, generation) {
            return Err(superseded());
        }
        Ok(Wire {
            shared,
            generation,
            stream,
            buffer: vec![],
            at: 0,
            filled: 0,
            last_heard: Instant::now(),
            copied: None,
            last_sign: Instant::now(),
        })
    }

    /// Records the state of the link for INFO and ROLE.
    pub fn set_state(&self, state: LinkState) {
        self.shared.link.update(self.generation, |s| {
            s.state = state;
            s.last_io = Some(Instant::now());
        });
    }

    /// Begins to count the bytes of a copy. `length` is its length, if the primary has announced it.
    pub fn begin_copy(&mut self, length: Option<u64>) {
        self.copied = Some((self.filled - self.at) as u64);
        self.shared.link.update(self.generation, |s| {
            (s.sync_total, s.sync_read) = (length, 0);
        });
    }

    /// The copy is complete.
    pub fn end_copy(&mut self) {
        self.copied = None;
    }

    /// While a copy arrives: sends an empty line every [`SIGN_OF_LIFE`].
    fn send_sign_of_life(&mut self) -> io::Result<()> {
        if self.copied.is_some() && self.last_sign.elapsed() >= SIGN_OF_LIFE {
            self.last_sign = Instant::now();
            self.stream.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Fails if the link was replaced.
    pub fn check(&self) -> io::Result<()> {
        let wanted = self.shared.link.generation() == self.generation;
        if wanted { Ok(()) } else { Err(superseded()) }
    }

    /// Sends a request.
    pub fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        let mut request = vec![];
        push_request(&mut request, words.len(), words.iter().copied());
        self.stream.write_all(&request)
    }

    /// Waits for more bytes, for [`POLL_INTERVAL`] at most, and appends them to the buffer. Succeeds even if none have arrived.
    ///
    /// # Errors
    ///
    /// Those of the connection; if the link was replaced; and if nothing has arrived for `repl-timeout` seconds.
    pub fn fill(&mut self) -> io::Result<()> {
        self.send_sign_of_life()?;
        if self.filled == self.buffer.len() {
            self.buffer.resize((2 * self.filled).max(PIECE), 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => failed("the primary has closed the connection"),
            Ok(n) => {
                self.filled += n;
                self.last_heard = Instant::now();
                let stats = &self.shared.stats;
                stats.repl_input_bytes.fetch_add(n as u64, Relaxed);
                self.copied = self.copied.map(|bytes| bytes + n as u64);
                let (heard, copied) = (self.last_heard, self.copied);
                self.shared.link.update(self.generation, |s| {
                    s.last_io = Some(heard);
                    s.sync_read = copied.unwrap_or(s.sync_read);
                });
                Ok(())
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.check()?;
                let timeout = self.shared.settings.current().repl_timeout;
                if self.last_heard.elapsed() > Duration::from_secs(timeout.into()) {
                    return failed("Timeout: nothing was heard from the primary (repl-timeout)");
                }
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Removes from the buffer the bytes before `at`, and `used` bytes after it.
    pub fn forget(&mut self, used: usize) {
        let gone = self.at + used;
        self.buffer.copy_within(gone..self.filled, 0);
        self.filled -= gone;
        self.at = 0;
        if self.filled == 0 && self.buffer.len() > 16 * PIECE {
            self.buffer = vec![]; // frees the memory after a very large request
        }
    }

    /// Reads one line, and returns it without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut looked = 0;
        loop {
            let rest = &self.buffer[self.at..self.filled];
            if let Some(len) = rest[looked..].iter().position(|&b| b == b'\n') {
                let line = &rest[..looked + len];
                let text = line.strip_suffix(b"\r").unwrap_or(line);
                let text = String::from_utf8_lossy(text).into_owned();
                self.at += looked + len + 1;
                return Ok(text);
            }
            looked = rest.len();
            if looked > MAX_LINE {
                return failed("the primary's answer has no end");
            }
            self.fill()?;
        }
    }

    /// Reads an answer: one line. Skips empty lines, which the primary sends to show that it is alive.
    pub fn answer(&mut self) -> io::Result<String> {
        loop {
            let line = self.line()?;
            if !line.is_empty() {
                return Ok(line);
            }
        }
    }

    /// Sends a request, and reads the answer.
    pub fn ask(&mut self, words: &[&[u8]]) -> io::Result<String> {
        self.send(words)?;
        self.answer()
    }
}

impl Read for Wire<'_> {
    /// Waits for bytes, for `repl-timeout` seconds at most.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.filled {
            self.check()?;
            (self.at, self.filled) = (0, 0);
            self.fill()?;
        }
        let n = (&self.buffer[self.at..self.filled]).read(into)?;
        self.at += n;
        Ok(n)
    }
}

/// `Err` with this text.
pub fn failed<T>(why: impl Into<String>) -> io::Result<T> {
    Err(io::Error::other(why.into()))
}

/// The error of a link that was replaced: the server follows another primary now, or none.
pub fn superseded() -> io::Error {
    io::Error::new(ErrorKind::Interrupted, "the link is not wanted any more")
}
