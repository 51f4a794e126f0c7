//! Who follows whom.
//!
//! A server is a *primary*, or a *replica* of one; and either may have replicas of its own. What is replicated is the
//! [journal](super::journal); here is who reads it and how far each has come ([`Replicas`]), the name of its
//! history ([`History`]), and, on a replica, how the link to the primary is doing ([`Link`]).
//!
//! # Histories
//!
//! Offsets mean something only within one history, so each has a name of forty digits, the *replid*. A replica takes
//! over the replid of its primary along with the data. When it is promoted, a new history begins, but it shares its
//! past with the old one: the server remembers the old name too (*replid2*) and up to which offset it is good. So
//! the other replicas of the lost primary can go on from the promoted one without copying everything again.
//!
//! ```text
//!   primary   replid A  ──────────────────────► ✗
//!   replica 1 replid A  ───────────────────●  promoted: replid B, replid2 A good up to here
//!   replica 2 replid A  ───────────────●      asks replica 1 for A from here on, and gets the rest
//! ```

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

/// The names of the history of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    pub replid: String,
    /// The history from which this one has branched off, and the first offset at which the two differ.
    pub replid2: String,
    pub second_offset: Option<u64>,
}

impl History {
    pub fn new(replid: String) -> History {
        History {
            replid,
            replid2: "0".repeat(40),
            second_offset: None,
        }
    }

    /// Begins a new history that shares its past up to `offset`.
    pub fn branch(&mut self, replid: String, offset: u64) {
        self.replid2 = std::mem::replace(&mut self.replid, replid);
        self.second_offset = Some(offset);
    }

    /// Whether a server that has followed `replid` up to `offset` has a part of this history.
    pub fn includes(&self, replid: &str, offset: u64) -> bool {
        replid.eq_ignore_ascii_case(&self.replid)
            || replid.eq_ignore_ascii_case(&self.replid2)
                && self.second_offset.is_some_and(|second| offset <= second)
    }
}

/// Where a replica is on its way to following us, as INFO words it.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(u8)]
pub enum Stage {
    /// It has not asked for the data yet.
    Talking,
    /// Its copy of the data is about to be made.
    Waiting,
    /// Its copy of the data is on the way.
    Sending,
    /// It follows.
    Online,
}

impl Stage {
    /// As INFO words it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Talking | Stage::Waiting => "wait_bgsave",
            Stage::Sending => "send_bulk",
            Stage::Online => "online",
        }
    }
}

/// A replica of ours.
pub struct Replica {
    pub client: Arc<Client>,
    /// What it announced: 0 and nothing if it did not.
    pub port: AtomicU16,
    pub ip: Lock<String>,
    /// It understands a copy whose length is not told in advance, and a new replid in `+CONTINUE`.
    pub eof: AtomicBool,
    pub psync2: AtomicBool,
    /// It wants the copy of the data and nothing after that.
    pub rdb_only: AtomicBool,
    /// Its copy of the data shall have no keys.
    pub without_keys: AtomicBool,
    stage: AtomicU8,
    /// The offset it has acknowledged, and when: Unix time in milliseconds.
    pub acked: AtomicU64,
    pub acked_at: AtomicI64,
    /// Held by a thread while it sends a part of the journal to the replica.
    pub sending: Lock<()>,
    /// Raised by its first acknowledgement after the copy.
    ready: Lock<bool>,
    became_ready: Condvar,
}

impl Replica {
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

    pub fn stage(&self) -> Stage {
        match self.stage.load(Relaxed) {
            1 => Stage::Waiting,
            2 => Stage::Sending,
            3 => Stage::Online,
            _ => Stage::Talking,
        }
    }

    pub fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Relaxed);
    }

    pub fn is_online(&self) -> bool {
        self.stage() == Stage::Online
    }

    /// The address it is reached at, as it says itself.
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

    /// Sends a piece of the journal with `send`, which tells how many bytes it could send. The caller holds the lock on
    /// [`Replica::sending`], so that the bytes keep their order.
    ///
    /// # Errors
    ///
    /// Those of `send`; and if the replica has fallen back too far.
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

    /// Its copy of the data is about to be complete; what it has acknowledged so far does not say that it has it.
    pub fn expect_ready(&self) {
        *lock(&self.ready) = false;
    }

    /// It has all of its copy of the data.
    fn set_ready(&self) {
        let mut ready = lock(&self.ready);
        if !*ready {
            *ready = true;
            self.became_ready.notify_all();
        }
    }

    /// Waits until it has all of its copy of the data, for `time` at most; tells whether it has.
    pub fn wait_ready(&self, time: Duration) -> bool {
        let ready = lock(&self.ready);
        *ready.wait_timeout_while(&self.became_ready, time, |ready| !*ready)
    }
}

/// Bytes of the journal that are sent at once.
const PIECE: usize = 256 * 1024;

/// Why a replica is disconnected that has fallen back too far.
pub fn lost() -> io::Error {
    io::Error::other("it has fallen back too far (client-output-buffer-limit)")
}

/// A client that waits until enough replicas have come up to an offset.
struct AckWaiter {
    waiter: Arc<Waiter>,
    acks: Acks,
}

/// The replicas of this server, and the clients that wait for their acknowledgements.
pub struct Replicas {
    list: Lock<Vec<Arc<Replica>>>,
    waiters: Lock<Vec<AckWaiter>>,
    /// When there was last one: for `repl-backlog-ttl`.
    last_seen: Lock<Option<Instant>>,
    /// The offset after the last request for acknowledgements.
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
    pub fn add(&self, replica: &Arc<Replica>) {
        lock(&self.list).push(replica.clone());
    }

    pub fn remove(&self, client: u64) {
        *lock(&self.last_seen) = Some(Instant::now());
        lock(&self.list).retain(|r| r.client.id != client);
    }

    /// All that have asked for the data, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Replica>> {
        lock(&self.list).clone()
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.list).is_empty()
    }

    /// How long there has been none.
    pub fn absent_for(&self) -> Duration {
        let last_seen = lock(&self.last_seen);
        match *last_seen {
            Some(at) if self.is_empty() => at.elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// How many follow and were heard of within so many seconds.
    pub fn good(&self, max_lag: i64, now: i64) -> usize {
        let list = lock(&self.list);
        list.iter()
            .filter(|r| r.is_online() && r.lag_ms(now) / 1000 <= max_lag)
            .count()
    }

    /// How many have acknowledged everything up to `offset`.
    pub fn count_acked(&self, offset: u64) -> usize {
        let list = lock(&self.list);
        list.iter()
            .filter(|r| r.is_online() && r.acked.load(Relaxed) >= offset)
            .count()
    }

    /// A replica acknowledges what it has received, at Unix time `now` in milliseconds. Clients whose wish is
    /// fulfilled by that are served.
    pub fn acknowledge(&self, replica: &Replica, offset: u64, now: i64) {
        replica.acked.fetch_max(offset, Relaxed);
        replica.acked_at.store(now, Relaxed);
        replica.set_ready();
        self.serve_waiters();
    }

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
        // What was acknowledged before it was registered counts, too.
        self.serve_waiters();
    }

    /// Removes a client whose wait has ended.
    pub fn unregister(&self, waiter: &Arc<Waiter>) {
        lock(&self.waiters).retain(|w| !Arc::ptr_eq(&w.waiter, waiter));
    }

    /// Whether the replicas must be asked how far they are, for a client that waits for `offset`. If the journal has a
    /// question after that offset, they have been asked already. A caller that asks then calls [`Replicas::asked`].
    pub fn must_ask(&self, offset: u64) -> bool {
        self.asked_at.load(Relaxed) <= offset
    }

    /// Notes that a question ends at offset `at` of the journal.
    pub fn asked(&self, at: u64) {
        self.asked_at.store(at, Relaxed);
    }

    /// Sends what the journal has to all online replicas that no feeder is sending to at the moment. Never waits: the
    /// feeders send the rest.
    pub fn send_now(&self, journal: &Journal, send: fn(&TcpStream, &[u8]) -> usize) {
        let mut piece = vec![];
        for replica in self.all().iter().filter(|r| r.is_online()) {
            if let Some(sending) = replica.sending.try_lock() {
                let send = |bytes: &[u8]| Ok(send(&replica.client.stream, bytes));
                // Its feeder finds out what is wrong.
                let _ = replica.send_piece(sending, journal, &mut piece, send);
            }
        }
    }

    /// Ends all waits for acknowledgements, because the history has changed.
    pub fn unblock_all(&self, outcome: &Outcome) {
        let waiters = std::mem::take(&mut *lock(&self.waiters));
        self.asked_at.store(0, Relaxed);
        for w in waiters {
            w.waiter.end(outcome.clone());
        }
    }

    /// Closes the connections of all replicas: they come back and ask anew.
    pub fn disconnect(&self) {
        self.all().iter().for_each(|r| r.client.kill());
    }
}

/// How far a replica is with its primary, as ROLE words it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LinkState {
    /// Not connected, and about to try.
    Connect,
    Connecting,
    Handshake,
    /// The copy of the data is coming in.
    Sync,
    Connected,
}

impl LinkState {
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
    pub state: LinkState,
    /// When something was last heard.
    pub last_io: Option<Instant>,
    /// When the connection was lost, if there has been one.
    pub down_since: Option<Instant>,
    /// The copy of the data: how large it is, if that is known, and how much of it has come.
    pub sync_total: Option<u64>,
    pub sync_read: u64,
}

struct LinkInner {
    status: LinkStatus,
    socket: Option<TcpStream>,
}

/// The replica's side: whom to follow, and how that is going.
pub struct Link {
    is_replica: AtomicBool,
    /// Changes whenever the primary to follow changes. What the old primary still sends is ignored then.
    generation: AtomicU64,
    connected: AtomicBool,
    inner: Lock<LinkInner>,
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
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.is_replica.load(Relaxed)
    }

    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    #[inline]
    pub fn is_connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// Becomes a replica or a primary, or follows another primary. The caller holds the store's write lock, and so no
    /// write is under way.
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

    /// Breaks the connection off, and wakes the link's thread if it sleeps: the server stops.
    pub fn interrupt(&self) {
        let mut inner = lock(&self.inner);
        self.generation.fetch_add(1, Relaxed);
        if let Some(socket) = inner.socket.take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    /// Notes the connection, so that it can be broken off; tells whether it is still wanted.
    pub fn set_socket(&self, socket: TcpStream, generation: u64) -> bool {
        let mut inner = lock(&self.inner);
        let wanted = self.generation() == generation;
        if wanted {
            inner.socket = Some(socket);
        }
        wanted
    }

    pub fn status(&self) -> LinkStatus {
        lock(&self.inner).status.clone()
    }

    /// Changes what is known of the link, if it is still that of `generation`.
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

    /// Sleeps for `time`, or until the primary to follow changes.
    pub fn pause(&self, time: Duration, generation: u64) {
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
