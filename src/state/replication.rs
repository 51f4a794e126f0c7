//! The server's role: its replicas, or its primary.
//!
//! A server is a *primary*, or a *replica* of one; and either may have replicas of its own. What is replicated is the
//! [journal](super::journal). This file has the replicas that read it ([`Replicas`]), the name of its history
//! ([`History`]), and the link of a replica to its primary ([`Link`]).
//!
//! # Histories
//!
//! An offset means something only within one history, so each history has a name of forty hexadecimal digits, the
//! *replid*. A replica takes over the replid of its primary along with the data. When it is promoted, a new history
//! begins that shares its past with the old one. So the server remembers the old replid too (*replid2*), and up to which
//! offset both are the same. Then the other replicas of the lost primary can go on from the promoted one without a new
//! copy:
//!
//! ```text
//!   primary   replid A  ──────────────────────► ✗
//!   replica 1 replid A  ───────────────────●  promoted: replid B; replid2 A, the same up to here
//!   replica 2 replid A  ───────────────●      asks replica 1 for A from here on, and gets the rest
//! ```
//!
//! # Invariants
//!
//! * The role and the history change only under the store's write lock.
//! * [`Replica::acked`] never goes down.
//! * The bytes of the journal reach a replica in order, because [`Replica::sending`] is held while a part is sent.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar};
use std::time::{Duration, Instant};

use super::blocking::{Acks, Outcome, Waiter};
use super::clients::Client;
use super::journal::{Journal, Lost};
use super::lock::{Guard, Lock, Rank, lock};
use crate::resp::Reply;

/// The names of the history of the data: at most two.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The name of this history.
    pub replid: String,
    /// The name of the history from which this one has branched off; forty zeros if there is none.
    pub replid2: String,
    /// The number of the first byte in which the two may differ, counted from one. INFO: `second_repl_offset`.
    pub second_offset: Option<u64>,
}

impl History {
    /// A history that has branched off from no other.
    pub fn new(replid: String) -> History {
        History {
            replid,
            replid2: "0".repeat(40),
            second_offset: None,
        }
    }

    /// Begins a new history that shares its past with this one, up to the byte before number `offset`.
    pub fn branch(&mut self, replid: String, offset: u64) {
        self.replid2 = std::mem::replace(&mut self.replid, replid);
        self.second_offset = Some(offset);
    }

    /// Whether a server that has the history `replid` and asks for byte number `offset` has a part of this history.
    pub fn includes(&self, replid: &str, offset: u64) -> bool {
        replid.eq_ignore_ascii_case(&self.replid)
            || replid.eq_ignore_ascii_case(&self.replid2)
                && self.second_offset.is_some_and(|second| offset <= second)
    }
}

/// The stage of a replica of this server.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// It has sent REPLCONF, and not asked for the data yet.
    Talking,
    /// It has asked for the data, and waits for the copy or for the answer that it needs none.
    Waiting,
    /// Its copy of the data is being sent.
    Sending,
    /// It receives the journal.
    Online,
}

impl Stage {
    /// The name in INFO.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Talking | Stage::Waiting => "wait_bgsave",
            Stage::Sending => "send_bulk",
            Stage::Online => "online",
        }
    }
}

/// A replica of this server.
pub struct Replica {
    /// Its connection.
    pub client: Arc<Client>,
    /// The port that it has announced; 0 if it has not.
    pub port: AtomicU16,
    /// The address that it has announced; empty if it has not.
    pub ip: Lock<String>,
    /// It understands a copy that ends with a mark (REPLCONF capa eof), so its length need not be sent first.
    pub eof: AtomicBool,
    /// It understands a new replid in `+CONTINUE` (REPLCONF capa psync2).
    pub psync2: AtomicBool,
    /// It wants the copy of the data and nothing after that.
    pub rdb_only: AtomicBool,
    /// It wants a copy of the data without keys.
    pub without_keys: AtomicBool,
    /// Its [`Stage`].
    stage: AtomicU8,
    /// The highest offset that it has acknowledged.
    pub acked: AtomicU64,
    /// When it was last heard of: Unix time in milliseconds.
    pub acked_at: AtomicI64,
    /// Held by a thread while it sends a part of the journal to the replica.
    pub sending: Lock<()>,
    /// Whether it has acknowledged anything since [`Replica::expect_ready`].
    ready: Lock<bool>,
    /// Notified when `ready` becomes true.
    became_ready: Condvar,
}

impl Replica {
    /// A client that has sent REPLCONF, PSYNC or SYNC.
    pub fn new(client: Arc<Client>) -> Replica {
        Replica {
            client,
            port: AtomicU16::new(0),
            ip: Lock::new(Rank::ReplicaIp, String::new()),
            eof: AtomicBool::new(false),
            psync2: AtomicBool::new(false),
            rdb_only: AtomicBool::new(false),
            without_keys: AtomicBool::new(false),
            stage: AtomicU8::new(Stage::Talking as u8),
            acked: AtomicU64::new(0),
            acked_at: AtomicI64::new(0),
            sending: Lock::new(Rank::Sending, ()),
            ready: Lock::new(Rank::ReplicaReady, false),
            became_ready: Condvar::new(),
        }
    }

    /// Its stage.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            1 => Stage::Waiting,
            2 => Stage::Sending,
            3 => Stage::Online,
            _ => Stage::Talking,
        }
    }

    /// Changes its stage.
    pub fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    /// Whether it receives the journal.
    pub fn is_online(&self) -> bool {
        self.stage() == Stage::Online
    }

    /// The address and port that it has announced; in place of a missing address that of its connection.
    pub fn address(&self) -> (String, u16) {
        let announced = lock(&self.ip).clone();
        let ip = if announced.is_empty() {
            self.client.peer.ip().to_string()
        } else {
            announced
        };
        (ip, self.port.load(Relaxed))
    }

    /// Milliseconds since it was last heard of.
    pub fn lag_ms(&self, now: i64) -> i64 {
        (now - self.acked_at.load(Relaxed)).max(0)
    }

    /// Sends the next part of the journal with `send`, which returns how many bytes it has sent. Takes the guard of
    /// [`Replica::sending`], so that the bytes keep their order. `piece` is a buffer that the caller uses again.
    ///
    /// # Errors
    ///
    /// Those of `send`; and [`lost()`] if the replica has fallen back too far.
    pub fn send_piece(
        &self,
        _sending: Guard<'_, ()>,
        journal: &Journal,
        piece: &mut Vec<u8>,
        send: impl FnOnce(&[u8]) -> io::Result<usize>,
    ) -> io::Result<()> {
        let id = self.client.id;
        journal.read(id, piece, PIECE).map_err(|Lost| lost())?;
        let sent = send(piece)?;
        journal.advance(id, sent);
        Ok(())
    }

    /// Forgets that the replica was ready. Called before the end of the copy is sent, so that an earlier acknowledgement
    /// does not count.
    pub fn expect_ready(&self) {
        *lock(&self.ready) = false;
    }

    /// Notes that the replica has its copy of the data.
    fn set_ready(&self) {
        let mut ready = lock(&self.ready);
        if !*ready {
            *ready = true;
            self.became_ready.notify_all();
        }
    }

    /// Waits until the replica has its copy of the data, for `time` at most. Returns whether it has.
    pub fn wait_ready(&self, time: Duration) -> bool {
        let ready = lock(&self.ready);
        *ready.wait_timeout_while(&self.became_ready, time, |ready| !*ready)
    }
}

/// Bytes of the journal that are sent in one call.
const PIECE: usize = 256 * 1024;

/// The error for a replica that has fallen back too far.
pub fn lost() -> io::Error {
    io::Error::other("it has fallen back too far (client-output-buffer-limit)")
}

/// A client that waits until enough replicas have acknowledged an offset (WAIT).
struct AckWaiter {
    waiter: Arc<Waiter>,
    acks: Acks,
}

/// The replicas of this server, and the clients that wait for their acknowledgements.
pub struct Replicas {
    /// The replicas that have asked for the data, in the order in which they asked.
    list: Lock<Vec<Arc<Replica>>>,
    /// The clients that wait for acknowledgements.
    waiters: Lock<Vec<AckWaiter>>,
    /// When a replica was last removed, for `repl-backlog-ttl`; `None` if there was none.
    last_seen: Lock<Option<Instant>>,
    /// The offset after the last GETACK in the journal.
    asked_at: AtomicU64,
}

impl Default for Replicas {
    fn default() -> Replicas {
        Replicas {
            list: Lock::new(Rank::Replicas, vec![]),
            waiters: Lock::new(Rank::AckWaiters, vec![]),
            last_seen: Lock::new(Rank::LastSeen, None),
            asked_at: AtomicU64::default(),
        }
    }
}

impl Replicas {
    /// Adds a replica that asks for the data.
    pub fn add(&self, replica: &Arc<Replica>) {
        lock(&self.list).push(replica.clone());
    }

    /// Removes the replica with this client ID.
    pub fn remove(&self, client: u64) {
        *lock(&self.last_seen) = Some(Instant::now());
        lock(&self.list).retain(|r| r.client.id != client);
    }

    /// All replicas that have asked for the data, in the order in which they asked.
    pub fn all(&self) -> Vec<Arc<Replica>> {
        lock(&self.list).clone()
    }

    /// Whether there is no replica.
    pub fn is_empty(&self) -> bool {
        lock(&self.list).is_empty()
    }

    /// How long there has been no replica; zero if there is one or never was one.
    pub fn absent_for(&self) -> Duration {
        let last_seen = lock(&self.last_seen);
        match *last_seen {
            Some(at) if self.is_empty() => at.elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// How many replicas are online and were heard of within `max_lag` seconds. `now` is Unix time in milliseconds.
    pub fn good(&self, max_lag: i64, now: i64) -> usize {
        let list = lock(&self.list);
        list.iter()
            .filter(|r| r.is_online() && r.lag_ms(now) / 1000 <= max_lag)
            .count()
    }

    /// How many online replicas have acknowledged `offset`.
    pub fn count_acked(&self, offset: u64) -> usize {
        let list = lock(&self.list);
        list.iter()
            .filter(|r| r.is_online() && r.acked.load(Relaxed) >= offset)
            .count()
    }

    /// Notes that a replica has acknowledged `offset` at `now`, Unix time in milliseconds. Serves the clients for which
    /// enough replicas have acknowledged now.
    pub fn acknowledge(&self, replica: &Replica, offset: u64, now: i64) {
        replica.acked.fetch_max(offset, Relaxed);
        replica.acked_at.store(now, Relaxed);
        replica.set_ready();
        self.serve_waiters();
    }

    /// Serves the clients for which enough replicas have acknowledged, and forgets those that wait no longer.
    fn serve_waiters(&self) {
        let mut waiters = lock(&self.waiters);
        if waiters.is_empty() {
            return;
        }
        let mut served = vec![];
        waiters.retain(|w| {
            let count = self.count_acked(w.acks.offset);
            let enough = count >= w.acks.replicas;
            if enough {
                let mut reply = Reply::default();
                reply.int(count as i64);
                if w.waiter.claim(reply.out) {
                    served.push(w.waiter.clone());
                }
            }
            !enough && w.waiter.is_waiting()
        });
        drop(waiters);
        served.iter().for_each(|waiter| waiter.deliver());
    }

    /// Registers a client that waits for acknowledgements.
    pub fn register(&self, waiter: &Arc<Waiter>, acks: Acks) {
        let waiter = waiter.clone();
        lock(&self.waiters).push(AckWaiter { waiter, acks });
        // Acknowledgements that came just before the registration count, too.
        self.serve_waiters();
    }

    /// Removes a client whose wait has ended.
    pub fn unregister(&self, waiter: &Arc<Waiter>) {
        lock(&self.waiters).retain(|w| !Arc::ptr_eq(&w.waiter, waiter));
    }

    /// Whether a GETACK must be sent for a client that waits for `offset`: not if the journal has a GETACK after that
    /// offset, because its acknowledgement covers `offset`. A caller that sends one calls [`Replicas::asked`].
    pub fn must_ask(&self, offset: u64) -> bool {
        self.asked_at.load(Relaxed) <= offset
    }

    /// Notes that a GETACK ends at offset `at` of the journal.
    pub fn asked(&self, at: u64) {
        self.asked_at.store(at, Relaxed);
    }

    /// Sends the journal to all online replicas to which no other thread is sending at the moment. Never waits: the
    /// feeders send the rest. `send` sends what a socket takes, and returns how many bytes.
    pub fn send_now(&self, journal: &Journal, send: fn(&TcpStream, &[u8]) -> usize) {
        let mut piece = vec![];
        for replica in self.all().iter().filter(|r| r.is_online()) {
            if let Some(sending) = replica.sending.try_lock() {
                let send = |bytes: &[u8]| Ok(send(&replica.client.stream, bytes));
                // The feeder meets the same error and handles it.
                let _ = replica.send_piece(sending, journal, &mut piece, send);
            }
        }
    }

    /// Ends all waits for acknowledgements with `outcome`.
    pub fn unblock_all(&self, outcome: &Outcome) {
        let waiters = std::mem::take(&mut *lock(&self.waiters));
        self.asked_at.store(0, Relaxed);
        for w in waiters {
            w.waiter.end(outcome.clone());
        }
    }

    /// Closes the connections of all replicas. They reconnect, and ask for the data again.
    pub fn disconnect(&self) {
        self.all().iter().for_each(|r| r.client.kill());
    }
}

/// The state of a replica's link to its primary. ROLE shows it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LinkState {
    /// Not connected, and about to try.
    Connect,
    /// The connection is being made.
    Connecting,
    /// Connected; the replica introduces itself, up to PSYNC.
    Handshake,
    /// The replica receives its copy of the data.
    Sync,
    /// The replica receives the journal.
    Connected,
}

impl LinkState {
    /// The name in ROLE.
    pub fn name(self) -> &'static str {
        match self {
            LinkState::Connect => "connect",
            LinkState::Connecting => "connecting",
            LinkState::Handshake => "handshake",
            LinkState::Sync => "sync",
            LinkState::Connected => "connected",
        }
    }
}

/// A replica's link to its primary, as INFO shows it.
#[derive(Clone, Debug)]
pub struct LinkStatus {
    /// The state.
    pub state: LinkState,
    /// When bytes last came from the primary.
    pub last_io: Option<Instant>,
    /// When the link was last lost; `None` if it was not lost since the primary last changed.
    pub down_since: Option<Instant>,
    /// The size of the copy of the data in bytes, if it is known.
    pub sync_total: Option<u64>,
    /// How many bytes of the copy have come.
    pub sync_read: u64,
}

/// What the lock of a [`Link`] protects.
struct LinkInner {
    status: LinkStatus,
    /// The connection to the primary, to be shut down when it is not wanted any more.
    socket: Option<TcpStream>,
}

/// The server's role, and the link to its primary if it is a replica.
pub struct Link {
    /// Whether this server is a replica.
    is_replica: AtomicBool,
    /// Goes up when the primary to follow changes, and when the server stops. What the old primary still sends is
    /// ignored then.
    generation: AtomicU64,
    /// Whether the state is [`LinkState::Connected`]. Readable without the lock.
    connected: AtomicBool,
    inner: Lock<LinkInner>,
    /// Notified when the generation changes.
    changed: Condvar,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            is_replica: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            inner: Lock::new(
                Rank::Link,
                LinkInner {
                    status: LinkStatus {
                        state: LinkState::Connect,
                        last_io: None,
                        down_since: None,
                        sync_total: None,
                        sync_read: 0,
                    },
                    socket: None,
                },
            ),
            changed: Condvar::new(),
        }
    }
}

impl Link {
    /// Whether this server is a replica. Stable under the store's lock.
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.is_replica.load(Relaxed)
    }

    /// A number that goes up whenever the primary to follow changes.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// Whether the replica receives its primary's journal.
    #[inline]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// Becomes a replica or a primary, or follows another primary. Closes the connection to the old primary. The caller
    /// holds the store's write lock, so no write is under way.
    pub fn change(&self, replica: bool) {
        let mut inner = lock(&self.inner);
        self.is_replica.store(replica, Relaxed);
        self.generation.fetch_add(1, Relaxed);
        self.connected.store(false, Relaxed);
        if let Some(socket) = inner.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        inner.status.state = LinkState::Connect;
        inner.status.down_since = None;
        inner.status.last_io = None;
        self.changed.notify_all();
    }

    /// Closes the connection, and wakes the link's thread if it sleeps, because the server stops.
    pub fn interrupt(&self) {
        let mut inner = lock(&self.inner);
        self.generation.fetch_add(1, Relaxed);
        if let Some(socket) = inner.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// Stores the connection, so that another thread can close it. Returns whether it is still wanted: whether the
    /// generation is still `generation`.
    pub fn set_socket(&self, socket: TcpStream, generation: u64) -> bool {
        let mut inner = lock(&self.inner);
        let wanted = self.generation() == generation;
        if wanted {
            inner.socket = Some(socket);
        }
        wanted
    }

    /// The link's status.
    pub fn status(&self) -> LinkStatus {
        lock(&self.inner).status.clone()
    }

    /// Changes the link's status, if the generation is still `generation`.
    pub fn update(&self, generation: u64, change: impl FnOnce(&mut LinkStatus)) {
        let mut inner = lock(&self.inner);
        if self.generation() != generation {
            return;
        }
        let was = inner.status.state == LinkState::Connected;
        change(&mut inner.status);
        let is = inner.status.state == LinkState::Connected;
        if was && !is {
            inner.status.down_since = Some(Instant::now());
        }
        self.connected.store(is, Relaxed);
    }

    /// Sleeps for `time`, or until the generation is not `generation` any more.
    pub fn sleep(&self, time: Duration, generation: u64) {
        let inner = lock(&self.inner);
        let same = |_: &mut LinkInner| self.generation() == generation;
        drop(inner.wait_timeout_while(&self.changed, time, same));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_includes_its_past() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let mut history = History::new(a.clone());
        assert!(history.includes(&a, 1000) && !history.includes(&b, 0));
        history.branch(b.clone(), 101);
        assert!(history.includes(&b, 5000) && history.includes(&a, 101));
        assert!(!history.includes(&a, 102) && !history.includes(&"c".repeat(40), 1));
    }
}
