//! The connection to the primary, with a read buffer.
//!
//! All of its waits are short, and in between it checks whether it is still wanted, and whether the primary has been
//! silent for longer than `repl-timeout`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::PIECE;
use crate::resp::push_request;
use crate::state::Shared;
use crate::state::replication::LinkState;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait for bytes before looking round.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How often the primary learns that we are there while its copy comes.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// The longest line that an answer may have.
const MAX_LINE: usize = 64 * 1024;

/// The connection to the primary, while it is wanted.
pub struct Wire<'a> {
    pub shared: &'a Shared,
    pub generation: u64,
    pub stream: TcpStream,
    /// The read buffer. What has come and was not used yet is from `at` on, up to `filled`.
    pub buffer: Vec<u8>,
    at: usize,
    pub filled: usize,
    last_heard: Instant,
    /// Bytes of the copy so far, while one comes; and when the primary was last told that we are there.
    copied: Option<u64>,
    last_sign: Instant,
}

impl<'a> Wire<'a> {
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

    pub fn set_state(&self, state: LinkState) {
        self.shared.link.update(self.generation, |s| {
            s.state = state;
            s.last_io = Some(Instant::now());
        });
    }

    /// A copy of the data begins to come.
    pub fn begin_copy(&mut self, length: Option<u64>) {
        self.copied = Some((self.filled - self.at) as u64);
        self.shared.link.update(self.generation, |s| {
            (s.sync_total, s.sync_read) = (length, 0);
        });
    }

    /// The copy has come whole.
    pub fn end_copy(&mut self) {
        self.copied = None;
    }

    /// While a copy comes: tells the primary now and then that we are there. An empty line says so.
    fn give_sign(&mut self) -> io::Result<()> {
        if self.copied.is_some() && self.last_sign.elapsed() >= SIGN_OF_LIFE {
            self.last_sign = Instant::now();
            self.stream.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Whether the link is still wanted.
    pub fn check(&self) -> io::Result<()> {
        let wanted = self.shared.link.generation() == self.generation;
        if wanted { Ok(()) } else { Err(superseded()) }
    }

    pub fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        let mut request = vec![];
        push_request(&mut request, words.len(), words.iter().copied());
        self.stream.write_all(&request)
    }

    /// Waits for a moment for more bytes, and appends them to the buffer; none may have come.
    pub fn fill(&mut self) -> io::Result<()> {
        self.give_sign()?;
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

    /// Forgets the first `used` bytes of the buffer.
    pub fn forget(&mut self, used: usize) {
        let gone = self.at + used;
        self.buffer.copy_within(gone..self.filled, 0);
        self.filled -= gone;
        self.at = 0;
        if self.filled == 0 && self.buffer.len() > 16 * PIECE {
            self.buffer = vec![]; // one huge request must not keep its memory for ever
        }
    }

    /// One line, without its end.
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

    /// One line that is not empty: empty ones only say that the primary is still there.
    pub fn answer(&mut self) -> io::Result<String> {
        loop {
            let line = self.line()?;
            if !line.is_empty() {
                return Ok(line);
            }
        }
    }

    pub fn ask(&mut self, words: &[&[u8]]) -> io::Result<String> {
        self.send(words)?;
        self.answer()
    }
}

impl Read for Wire<'_> {
    /// Waits for bytes for as long as the primary may be silent.
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

pub fn failed<T>(why: impl Into<String>) -> io::Result<T> {
    Err(io::Error::other(why.into()))
}

/// The error of a link that is not wanted any more: the server follows another primary now, or none.
pub fn superseded() -> io::Error {
    io::Error::new(ErrorKind::Interrupted, "the link is not wanted any more")
}
