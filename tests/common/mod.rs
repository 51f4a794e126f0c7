//! Shared by the test programs: the real redis-server as a process, a client, and replies shown as redis-cli shows them.
#![allow(dead_code, reason = "each test program uses only some of it")]

pub mod chance;

/// The server's own splitting of a line into words, which is private to its crate.
#[path = "../../src/util/words.rs"]
pub mod words;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process of the real redis-server. Dropping this value ends the process.
pub struct RealRedis {
    process: Child,
    /// The working directory of the process. It is removed with the process.
    dir: PathBuf,
    /// Where the server accepts connections.
    pub address: SocketAddr,
}

impl RealRedis {
    /// Starts redis-server with these options. `None` if there is no redis-server on this machine; panics in that case if
    /// the environment variable `CI` is set.
    pub fn start(options: &[String]) -> Option<RealRedis> {
        loop {
            let port = free_port();
            // Each server has a directory of its own: a replica leaves a file, which another server would load.
            let own = format!("redis-clone-test-{}-{port}", std::process::id());
            let dir = std::env::temp_dir().join(own);
            std::fs::create_dir_all(&dir).unwrap();
            let started = Command::new("redis-server")
                .args(["--port", &port.to_string()])
                .args(["--bind", "127.0.0.1", "--save", "", "--dir"])
                .arg(&dir)
                .args(options)
                .stdout(Stdio::piped())
                .spawn();
            let process = match started {
                Ok(process) => process,
                Err(e)
                    if e.kind() == io::ErrorKind::NotFound && std::env::var_os("CI").is_none() =>
                {
                    eprintln!("skipped: there is no redis-server on this machine");
                    return None;
                }
                Err(e) => panic!("redis-server: {e}"),
            };
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            let mut redis = RealRedis {
                process,
                dir,
                address,
            };
            // If another process has taken the port in the meantime, redis-server ends without this line. Then try again.
            let said = redis.process.stdout.take().map(BufReader::new);
            let mut lines = said.into_iter().flat_map(|said| said.lines());
            if lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept"))) {
                return Some(redis);
            }
        }
    }
}

impl Drop for RealRedis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A port that is free now. Another process may take it before the caller does.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits until `is_so` returns true. Panics after ten seconds.
pub fn wait_for(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A reply of a server.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+`: a simple string.
    Simple(String),
    /// `-`: an error, with its code and text.
    Error(String),
    /// `:`: an integer.
    Int(i64),
    /// `$` or `=`: a bulk or verbatim string, or null.
    Bulk(Option<Vec<u8>>),
    /// An array, set, map or push message, or a null array. The byte is the type as it came: `*`, `~`, `%` or `>`.
    List(u8, Option<Vec<Reply>>),
    /// Another type of RESP3, as redis-cli shows it.
    Other(String),
}

/// A connection to a server.
pub struct Client {
    /// The socket.
    pub stream: TcpStream,
    /// Reads from the same socket. It may hold bytes that have arrived and were not read yet.
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Opens a connection.
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Client { stream, reader }
    }

    /// Sends a request of these words.
    pub fn send(&mut self, words: &[Vec<u8>]) {
        self.send_raw(&encode(words));
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a line, split into words as redis-cli does, and waits for the reply.
    pub fn ask(&mut self, line: &str) -> Reply {
        self.send(&words::split(line.as_bytes()).unwrap());
        self.reply().unwrap()
    }

    /// Whether a reply has begun to arrive, or the server has closed the connection.
    pub fn has_reply_now(&mut self) -> bool {
        if !self.reader.buffer().is_empty() {
            return true;
        }
        self.stream.set_nonblocking(true).unwrap();
        let came = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).unwrap();
        came
    }

    /// Whether, within this time, a reply begins to arrive or the server closes the connection.
    pub fn has_reply(&mut self, within: Duration) -> bool {
        if !self.reader.buffer().is_empty() {
            return true;
        }
        self.stream.set_read_timeout(Some(within)).unwrap();
        let came = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(None).unwrap();
        came.is_ok()
    }

    /// Waits for a reply, for at most 20 seconds.
    ///
    /// # Errors
    ///
    /// Those of the socket: [`io::ErrorKind::UnexpectedEof`] if the connection is closed.
    pub fn reply(&mut self) -> io::Result<Reply> {
        self.stream
            .set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(
            line.strip_suffix(b"\r\n")
                .ok_or(io::ErrorKind::UnexpectedEof)?,
        )
        .into_owned();
        let (kind, rest) = text.split_at(1);
        let number = || rest.parse::<i64>().map_err(io::Error::other);
        Ok(match kind {
            "+" => Reply::Simple(rest.into()),
            "-" => Reply::Error(rest.into()),
            ":" => Reply::Int(number()?),
            "$" | "=" => match usize::try_from(number()?) {
                Ok(len) => {
                    let mut bytes = vec![0; len + 2];
                    self.reader.read_exact(&mut bytes)?;
                    bytes.truncate(len);
                    Reply::Bulk(Some(bytes))
                }
                Err(_) => Reply::Bulk(None),
            },
            "*" | "~" | ">" | "%" => match usize::try_from(number()?) {
                Ok(n) => {
                    let n = if kind == "%" { n * 2 } else { n };
                    let items: io::Result<Vec<_>> = (0..n).map(|_| self.reply()).collect();
                    Reply::List(kind.as_bytes()[0], Some(items?))
                }
                Err(_) => Reply::List(b'*', None),
            },
            "_" => Reply::Other("(nil)".into()),
            "#" => Reply::Other(if rest == "t" { "(true)" } else { "(false)" }.into()),
            "," => Reply::Other(format!("(double) {rest}")),
            _ => return Err(io::Error::other(format!("no reply: {text}"))),
        })
    }

    /// Reads one line, without its `\r\n`.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection has ended");
        line.trim_end().to_string()
    }

    /// Reads `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until no bytes have arrived for the time `quiet`, or the connection is closed. Returns the bytes, and whether
    /// the connection is closed.
    pub fn raw_reply(&mut self, quiet: Duration) -> (Vec<u8>, bool) {
        let mut all = self.reader.buffer().to_vec();
        self.reader.consume(all.len());
        self.stream.set_read_timeout(Some(quiet)).unwrap();
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return (all, true),
                Ok(n) => all.extend_from_slice(&piece[..n]),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return (all, false);
                }
                Err(_) => return (all, true),
            }
        }
    }
}

/// The bytes of a request of these words.
pub fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The text that redis-cli shows for a reply.
pub fn show(reply: &Reply) -> String {
    show_indented(reply, "")
}

/// The same, for a reply inside another. All lines but the first begin with `indent`.
fn show_indented(reply: &Reply, indent: &str) -> String {
    match reply {
        Reply::Simple(text) | Reply::Other(text) => text.clone(),
        Reply::Error(text) => format!("(error) {text}"),
        Reply::Int(n) => format!("(integer) {n}"),
        Reply::Bulk(None) => "(nil)".into(),
        Reply::Bulk(Some(bytes)) => words::quote(bytes),
        Reply::List(_, None) => "(nil)".into(),
        Reply::List(kind, Some(items)) if items.is_empty() => match kind {
            b'%' => "(empty hash)".into(),
            b'~' => "(empty set)".into(),
            _ => "(empty array)".into(),
        },
        Reply::List(b'%', Some(items)) => {
            let width = (items.len() / 2).to_string().len();
            let line = |(i, pair): (usize, &[Reply])| {
                let head = format!("{:>width$}# ", i + 1);
                let inner = format!("{indent}{}", " ".repeat(head.len()));
                let value = show_indented(&pair[1], &inner);
                let gap = if matches!(&pair[1], Reply::List(_, Some(v)) if !v.is_empty()) {
                    format!("\n{inner}")
                } else {
                    String::new()
                };
                format!("{head}{} => {gap}{value}", show_indented(&pair[0], &inner))
            };
            items
                .chunks(2)
                .enumerate()
                .map(line)
                .collect::<Vec<_>>()
                .join(&format!("\n{indent}"))
        }
        Reply::List(kind, Some(items)) => {
            let width = items.len().to_string().len();
            let mark = if *kind == b'~' { '~' } else { ')' };
            let line = |(i, item): (usize, &Reply)| {
                let head = format!("{:>width$}{mark} ", i + 1);
                let inner = format!("{indent}{}", " ".repeat(head.len()));
                format!("{head}{}", show_indented(item, &inner))
            };
            items
                .iter()
                .enumerate()
                .map(line)
                .collect::<Vec<_>>()
                .join(&format!("\n{indent}"))
        }
    }
}
