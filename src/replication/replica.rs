//! Following a primary.
//!
//! One thread does it all, for as long as the server runs: it connects, says what there is to say, takes in a copy of
//! the data if one is needed, and then runs what the primary sends. When anything goes wrong it says why in the log,
//! waits a second, and begins anew; it never gives up.
//!
//! # What the primary sends
//!
//! It is run by the [`Executor`] that runs clients' commands, in a session that is marked as the primary's: so nothing
//! is refused for being a write, and keys do not expire under its hands. The bytes go to our own journal
//! under the same lock, just as they came. A transaction is held back until its EXEC is there, for an offset
//! in the midst of one would be no place to go on from.
//!
//! # Not to be trusted
//!
//! A primary may stop in the midst of a word, lie about lengths, or be something else entirely. So the copy is read into
//! databases of its own, which take the place of the old ones when it has come whole; what is announced allocates nothing
//! before it comes; silence ends after `repl-timeout`.
//!
//! While all this goes on, somebody may say REPLICAOF. That changes the link's *generation*, under the store's write
//! lock; and since whatever is changed here is changed under that lock too, and only in the generation
//! that it belongs to, nothing of the old primary comes after the change.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::in_background;
use crate::commands::table::INDEX;
use crate::execute::Executor;
use crate::persistence::rdb::load::load;
use crate::resp::request::Step;
use crate::resp::{Args, Limits, Parser, Reply, push_request};
use crate::state::clients::Client;
use crate::state::failover::Phase;
use crate::state::replication::{History, LinkState};
use crate::state::session::Session;
use crate::state::{Shared, lock};
use crate::sys;
use crate::util::{clock, number};
use crate::write::{Origin, WriteTxn};

/// How long to wait before the next try, and for a connection.
const RETRY: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long to wait for bytes before looking round.
const LOOK_ROUND: Duration = Duration::from_millis(100);
/// How often the primary hears how far we are.
const ACK_EVERY: Duration = Duration::from_secs(1);
/// The longest line that an answer may have.
const MAX_LINE: usize = 64 * 1024;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;
/// Digits of a replid, and of the mark that ends a copy.
const ID_LEN: usize = 40;

/// Follows whoever is to be followed, until the server stops.
pub fn run(shared: &Shared) {
    let mut followed_somebody = false;
    while !shared.stop.is_requested() {
        let (link, generation) = (&shared.link, shared.link.generation());
        let primary = shared.settings.current().replicaof.clone();
        // Said here, and not where it was decided: that was under the store's lock.
        if std::mem::replace(&mut followed_somebody, primary.is_some()) && primary.is_none() {
            shared.log.notice("MASTER MODE enabled");
        }
        let Some((host, port)) = primary else {
            link.pause(Duration::from_secs(60), generation);
            continue;
        };
        let name = format!("{host}:{port}");
        shared.log.notice(&format!("Connecting to MASTER {name}"));
        link.update(generation, |s| s.state = LinkState::Connecting);
        // A panic is a bug in one command of the stream. It must not end the following for good.
        let attempt = || Wire::connect(shared, &host, port, generation).and_then(follow);
        let followed = panic::catch_unwind(AssertUnwindSafe(attempt))
            .unwrap_or_else(|_| failed("a command of the primary has caused a panic"));
        link.update(generation, |s| s.state = LinkState::Connect);
        if shared.stop.is_requested() {
            return;
        }
        if link.generation() != generation {
            continue; // there is somebody else to follow, or nobody
        }
        if let Err(e) = followed {
            shared.log.warning(&format!("Link with MASTER {name}: {e}"));
        }
        link.pause(RETRY, generation);
    }
}

/// The whole life of one connection. It ends with an error, or when it is not wanted any more.
fn follow(mut wire: Wire<'_>) -> io::Result<()> {
    let shared = wire.shared;
    wire.set_state(LinkState::Handshake);
    let acknowledges = match handshake(&mut wire)? {
        Start::Continue(replid) => {
            take_up(&wire, &replid)?;
            shared
                .log
                .notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
            true
        }
        Start::Full {
            replid,
            offset,
            psync,
        } => {
            wire.set_state(LinkState::Sync);
            let receive = || receive_copy(&mut wire, replid, offset);
            in_background(receive)?;
            psync
        }
    };
    // What many threads do at the primary this one does alone: as one among many it would fall behind.
    sys::set_nice(-10);
    let result = Stream::new(wire, acknowledges).and_then(|mut stream| stream.run());
    sys::set_nice(0);
    result
}

/// How the primary wants us to begin.
enum Start {
    /// From where we are; the history may have another name now.
    Continue(String),
    /// From a copy of everything, which is about to come.
    Full {
        replid: String,
        offset: u64,
        /// It speaks PSYNC, and so wants to know how far we are.
        psync: bool,
    },
}

/// Says who we are and what we want. Each thing is said when the one before has been answered.
fn handshake(wire: &mut Wire<'_>) -> io::Result<Start> {
    let shared = wire.shared;
    let config = shared.settings.current();
    let answer = wire.ask(&[b"PING"])?;
    let alive = ["+", "-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
    if !alive.iter().any(|start| answer.starts_with(start)) {
        return failed(format!("Error reply to PING from master: '{answer}'"));
    }
    if !config.masterauth.is_empty() {
        let mut words = vec![
            &b"AUTH"[..],
            config.masteruser.as_slice(),
            config.masterauth.as_slice(),
        ];
        words.retain(|word| !word.is_empty());
        let answer = wire.ask(&words)?;
        if answer.starts_with('-') {
            return failed(format!("Unable to AUTH to MASTER: {answer}"));
        }
    }
    let port = match config.replica_announce_port {
        0 => shared.port(),
        announced => announced,
    };
    let port = port.to_string();
    let ip = config.replica_announce_ip.as_slice();
    let mut about_us = vec![vec![&b"listening-port"[..], port.as_bytes()]];
    if !ip.is_empty() {
        about_us.push(vec![b"ip-address", ip]);
    }
    about_us.push(vec![b"capa", b"eof", b"capa", b"psync2"]);
    for words in about_us {
        let answer = wire.ask(&[&[&b"REPLCONF"[..]], words.as_slice()].concat())?;
        if answer.starts_with('-') {
            shared.log.notice(&format!(
                "(Non critical) Master does not understand REPLCONF {}: {answer}",
                String::from_utf8_lossy(words[0])
            ));
        }
    }
    // Who has no history of its own yet asks for everything.
    let (replid, next) = if shared.journal.is_active() {
        let replid = lock(&shared.history).replid.clone();
        (replid, (shared.journal.end() + 1).to_string())
    } else {
        ("?".into(), "-1".into())
    };
    shared.log.notice(&format!(
        "Trying a partial resynchronization (request {replid}:{next})."
    ));
    let hands_over = shared.failover.is_active();
    let mut psync = vec![&b"PSYNC"[..], replid.as_bytes(), next.as_bytes()];
    if hands_over {
        psync.push(b"FAILOVER");
    }
    wire.send(&psync)?;
    let answer = wire.answer()?;
    if hands_over {
        let refused = answer.starts_with('-');
        {
            let _store = shared.write();
            wire.check()?;
            if refused {
                shared.end_failover();
            } else {
                shared.set_failover(Phase::None);
            }
        }
        if refused {
            let text = "Aborting failover: Failover target rejected psync request";
            shared.log.notice(text);
            return Err(superseded());
        }
    }
    let mut words = answer.split(' ');
    match words.next() {
        Some("+FULLRESYNC") => {
            let replid = words.next().filter(|id| id.len() == ID_LEN);
            let offset = words.next().and_then(|n| n.parse().ok());
            let (Some(replid), Some(offset)) = (replid, offset) else {
                return failed(format!(
                    "Master replied with wrong +FULLRESYNC syntax: '{answer}'"
                ));
            };
            shared
                .log
                .notice(&format!("Full resync from master: {replid}:{offset}"));
            let replid = replid.into();
            Ok(Start::Full {
                replid,
                offset,
                psync: true,
            })
        }
        Some("+CONTINUE") if shared.journal.is_active() => {
            let renamed = words.next().filter(|id| id.len() == ID_LEN);
            Ok(Start::Continue(renamed.unwrap_or(&replid).into()))
        }
        Some("-NOMASTERLINK" | "-LOADING") => failed(format!(
            "Master is currently unable to PSYNC but should be in the future: {answer}"
        )),
        _ if answer.starts_with('-') => {
            shared.log.notice(&format!(
                "Retrying with SYNC, for PSYNC was answered with: {answer}"
            ));
            wire.send(&[b"SYNC"])?;
            let replid = shared.random.hex40();
            Ok(Start::Full {
                replid,
                offset: 0,
                psync: false,
            })
        }
        _ => failed(format!("Unexpected reply to PSYNC from master: '{answer}'")),
    }
}

/// Goes on with the history that there is, under its new name if it has one.
fn take_up(wire: &Wire<'_>, replid: &str) -> io::Result<()> {
    let shared = wire.shared;
    let _store = shared.write();
    wire.check()?;
    let mut history = lock(&shared.history);
    if history.replid != replid {
        let next = shared.journal.end() + 1;
        history.branch(replid.into(), next);
        drop(history);
        shared.replicas.disconnect(); // they learn of the name when they come back
    }
    wire.set_state(LinkState::Connected);
    Ok(())
}

/// Takes in a copy of the data and puts it in the place of ours.
fn receive_copy(wire: &mut Wire<'_>, replid: String, offset: u64) -> io::Result<()> {
    let shared = wire.shared;
    let announcement = wire.answer()?;
    if announcement.starts_with('-') {
        return failed(format!(
            "MASTER aborted replication with an error: {announcement}"
        ));
    }
    let Some(length) = announcement.strip_prefix('$') else {
        return failed(format!(
            "Bad protocol from MASTER, the first byte is not '$' (we received '{announcement}')"
        ));
    };
    let databases = shared.settings.current().databases;
    let fresh = (clock::now_ms() / 1000) as u32;
    let loaded = match length.strip_prefix("EOF:") {
        Some(mark) if mark.len() == ID_LEN => {
            shared
                .log
                .notice("MASTER <-> REPLICA sync: receiving streamed RDB from master");
            wire.begin_copy(None);
            let loaded = load(wire, databases, fresh)?;
            let mut end = [0; ID_LEN];
            wire.read_exact(&mut end)?;
            if end != mark.as_bytes() {
                return failed(
                    "the copy of the data does not end with the mark that was announced",
                );
            }
            loaded
        }
        Some(_) => return failed("the announced mark has not 40 bytes"),
        None => {
            let Ok(length) = length.parse() else {
                return failed(format!("the announced length is no number: '{length}'"));
            };
            shared.log.notice(&format!(
                "MASTER <-> REPLICA sync: receiving {length} bytes from master"
            ));
            wire.begin_copy(Some(length));
            let mut source = Read::take(&mut *wire, length);
            let loaded = load(&mut source, databases, fresh)?;
            io::copy(&mut source, &mut io::sink())?; // whatever may follow the data
            loaded
        }
    };
    for warning in &loaded.warnings {
        shared.log.warning(warning);
    }
    {
        let mut txn = WriteTxn::begin(shared, Origin::Primary, clock::now_ms());
        wire.check()?;
        txn.replace_all(loaded.dbs);
        *lock(&shared.history) = History::new(replid);
        let backlog = shared.settings.current().repl_backlog_size;
        let selected = loaded.stream_db.unwrap_or(0);
        shared.journal.begin(offset, selected, backlog as u64);
        // What they have followed so far is not our history any more.
        shared.replicas.disconnect();
        wire.set_state(LinkState::Connected);
    }
    shared.log.notice(&format!(
        "MASTER <-> REPLICA sync: Finished with success, {} keys",
        loaded.keys
    ));
    Ok(())
}

/// The primary's stream of changes, as it is run here.
struct Stream<'a> {
    wire: Wire<'a>,
    session: Session,
    executor: Executor<'a>,
    /// Whether the primary wants to hear how far we are.
    acknowledges: bool,
    /// Bytes of a transaction whose EXEC has not come yet.
    held: Vec<u8>,
    /// The database that is selected after them.
    selected: usize,
    /// Offsets that the primary asked for.
    acks: Vec<u64>,
    /// Lines for the log, which is written when the store's lock is free.
    notes: Vec<String>,
    reply: Reply,
}

impl<'a> Stream<'a> {
    fn new(mut wire: Wire<'a>, acknowledges: bool) -> io::Result<Stream<'a>> {
        wire.forget(0); // what was the handshake's
        let shared = wire.shared;
        let client = Client::new(shared.clients.next_id(), wire.stream.try_clone()?)?;
        client.primary.store(true, Relaxed);
        let client = Arc::new(client);
        shared.clients.add(&client);
        let mut session = Session::new(client, true);
        session.primary = true;
        let selected = shared.journal.selected();
        session.select(selected);
        Ok(Stream {
            wire,
            session,
            executor: Executor::new(shared, &INDEX),
            acknowledges,
            held: vec![],
            selected,
            acks: vec![],
            notes: vec![],
            reply: Reply::default(),
        })
    }

    /// Runs what comes. It ends with an error, or when the link is not wanted any more.
    fn run(&mut self) -> io::Result<()> {
        let mut parser = Parser::default();
        let mut last_ack = Instant::now();
        // At once, for a primary that sent a copy begins its stream when it has seen this.
        self.acknowledge(self.wire.shared.journal.end())?;
        loop {
            let used = self.run_all(&mut parser)?;
            self.wire.forget(used);
            let most = self.executor.config().client_query_buffer_limit as usize;
            if self.wire.filled + self.held.len() > most {
                return failed("the primary sends a request that has no end");
            }
            for offset in std::mem::take(&mut self.acks) {
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
        if self.acknowledges {
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
        let now = self.executor.begin();
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
        self.executor.finish(&self.session);
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
                self.acks.push(before);
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

/// The connection to the primary, while it is wanted.
struct Wire<'a> {
    shared: &'a Shared,
    generation: u64,
    stream: TcpStream,
    /// The read buffer. What has come and was not used yet is from `at` on, up to `filled`.
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    last_heard: Instant,
    /// Bytes of the copy so far, while one comes.
    copied: Option<u64>,
}

impl<'a> Wire<'a> {
    fn connect(shared: &'a Shared, host: &str, port: u16, generation: u64) -> io::Result<Wire<'a>> {
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
        stream.set_read_timeout(Some(LOOK_ROUND))?;
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
        })
    }

    fn set_state(&self, state: LinkState) {
        self.shared.link.update(self.generation, |s| {
            s.state = state;
            s.last_io = Some(Instant::now());
        });
    }

    /// A copy of the data begins to come.
    fn begin_copy(&mut self, length: Option<u64>) {
        self.copied = Some((self.filled - self.at) as u64);
        self.shared.link.update(self.generation, |s| {
            (s.sync_total, s.sync_read) = (length, 0);
        });
    }

    /// Whether the link is still wanted.
    fn check(&self) -> io::Result<()> {
        let wanted = self.shared.link.generation() == self.generation;
        if wanted { Ok(()) } else { Err(superseded()) }
    }

    fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        let mut request = vec![];
        push_request(&mut request, words.len(), words.iter().copied());
        self.stream.write_all(&request)
    }

    /// Waits for a moment for more bytes, and appends them to the buffer; none may have come.
    fn fill(&mut self) -> io::Result<()> {
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
    fn forget(&mut self, used: usize) {
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
    fn answer(&mut self) -> io::Result<String> {
        loop {
            let line = self.line()?;
            if !line.is_empty() {
                return Ok(line);
            }
        }
    }

    fn ask(&mut self, words: &[&[u8]]) -> io::Result<String> {
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

fn failed<T>(why: impl Into<String>) -> io::Result<T> {
    Err(io::Error::other(why.into()))
}

/// Somebody has said whom to follow instead.
fn superseded() -> io::Error {
    io::Error::new(ErrorKind::Interrupted, "the link is not wanted any more")
}
