//! The connected clients.
//!
//! Each connection has a [`Client`]: the part of its state that other threads use. The client's own thread keeps the figures
//! up to date in atomics, and CLIENT LIST reads them. [`Client::kill`] closes a connection from another thread: it shuts
//! the socket down, and wakes the client's thread if it waits. That thread then reads the end of the stream and cleans up,
//! as if the peer had hung up.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};

use super::blocking::{Outcome, Waiter};
use super::lock::{Lock, Rank, lock};
use super::outbox::Outbox;
use super::watch::Flag;
use crate::util::clock;

/// One connection, as other threads see it.
pub struct Client {
    pub id: u64,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub stream: Arc<TcpStream>,
    /// Everything that is sent to the client leaves through this.
    pub outbox: Arc<Outbox>,
    /// Unix times in milliseconds.
    pub created: i64,
    pub last_seen: AtomicI64,
    /// Its name (CLIENT SETNAME), and the name and version of its library (CLIENT SETINFO).
    pub name: Lock<Vec<u8>>,
    pub library: Lock<(Vec<u8>, Vec<u8>)>,
    pub db: AtomicUsize,
    /// The last command's number in the table of commands; `u32::MAX` before the first.
    pub last_command: AtomicU32,
    /// Commands queued by MULTI, or -1, and the bytes they take.
    pub queued: AtomicI64,
    pub queued_memory: AtomicUsize,
    pub watching: AtomicBool,
    /// Raised when a key that the client watches was modified.
    pub watch_flag: Flag,
    pub no_evict: AtomicBool,
    pub no_touch: AtomicBool,
    pub resp3: AtomicBool,
    /// It is a replica of this server; or this server's primary.
    pub is_replica: AtomicBool,
    pub is_primary: AtomicBool,
    /// Bytes in the read buffer, its capacity, the output buffer's, and bytes of the arguments of the command that runs.
    pub input_used: AtomicUsize,
    pub input_capacity: AtomicUsize,
    pub output_capacity: AtomicUsize,
    pub args_memory: AtomicUsize,
    /// The connection is to be closed as soon as its thread looks.
    closing: AtomicBool,
    waiter: Lock<Option<Arc<Waiter>>>,
}

impl Client {
    pub fn new(id: u64, stream: TcpStream) -> std::io::Result<Client> {
        let now = clock::now_ms();
        let stream = Arc::new(stream);
        Ok(Client {
            id,
            peer: canonical(stream.peer_addr()?),
            local: canonical(stream.local_addr()?),
            outbox: Arc::new(Outbox::new(stream.clone())),
            stream,
            created: now,
            last_seen: AtomicI64::new(now),
            name: Lock::new(Rank::ClientName, vec![]),
            library: Lock::new(Rank::ClientLibrary, Default::default()),
            db: AtomicUsize::new(0),
            last_command: AtomicU32::new(u32::MAX),
            queued: AtomicI64::new(-1),
            queued_memory: AtomicUsize::new(0),
            watching: AtomicBool::new(false),
            watch_flag: Flag::default(),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            resp3: AtomicBool::new(false),
            is_replica: AtomicBool::new(false),
            is_primary: AtomicBool::new(false),
            input_used: AtomicUsize::new(0),
            input_capacity: AtomicUsize::new(0),
            output_capacity: AtomicUsize::new(0),
            args_memory: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            waiter: Lock::new(Rank::ClientWaiter, None),
        })
    }

    pub fn fd(&self) -> i32 {
        self.stream.as_raw_fd()
    }

    /// Resets what the client has set with CLIENT (RESET). Redis 7.0 leaves NO-EVICT as it is.
    pub fn reset(&self) {
        lock(&self.name).clear();
        self.no_touch.store(false, Relaxed);
    }

    /// Closes the connection from outside.
    pub fn kill(&self) {
        self.closing.store(true, Relaxed);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.unblock(Outcome::Gone);
    }

    /// Closes the connection after the command that runs now: no more requests are read.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Read);
        self.unblock(Outcome::Gone);
    }

    /// Whether the peer is still there. Checks the socket without waiting.
    pub fn is_connected(&self) -> bool {
        !self.is_closing() && self.outbox.is_connected()
    }

    #[inline]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Whether it is a server: a replica of ours, or our primary.
    pub fn is_peer(&self) -> bool {
        self.is_replica.load(Relaxed) || self.is_primary.load(Relaxed)
    }

    /// Records that the client waits.
    pub fn set_waiter(&self, waiter: Arc<Waiter>) {
        *lock(&self.waiter) = Some(waiter);
    }

    /// Takes the waiter of the client away, if there is one: its wait has ended.
    pub fn take_waiter(&self) -> Option<Arc<Waiter>> {
        lock(&self.waiter).take()
    }

    /// Whether it waits for a limited time.
    pub fn is_blocked_with_timeout(&self) -> bool {
        lock(&self.waiter)
            .as_ref()
            .is_some_and(|w| w.has_timeout && w.is_waiting())
    }

    pub fn is_blocked(&self) -> bool {
        lock(&self.waiter).as_ref().is_some_and(|w| w.is_waiting())
    }

    /// Ends the client's wait, if it waits. Returns whether it waited.
    pub fn unblock(&self, outcome: Outcome) -> bool {
        let waiter = lock(&self.waiter).clone();
        waiter.is_some_and(|w| w.end(outcome))
    }
}

/// An IPv4 address that came through an IPv6 socket, as IPv4.
fn canonical(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(address.ip().to_canonical());
    address
}

/// All connections of a server, by number.
pub struct Clients {
    by_id: Lock<BTreeMap<u64, Arc<Client>>>,
    next_id: AtomicU64,
    count: AtomicUsize,
    /// Bytes that are held for clients that do not take their replies.
    held: AtomicUsize,
}

/// What one client that does not take its replies holds of the server's memory. Redis closes such a client only if
/// `client-output-buffer-limit` says so; here all of them together may hold no more than [`MAX_HELD`], because each of
/// them can also have a thread that reads up to `client-query-buffer-limit`.
pub struct HeldMemory<'a> {
    clients: &'a Clients,
    bytes: usize,
}

/// How much all clients that do not take their replies may hold together.
const MAX_HELD: usize = 4 << 30;
/// What each of them may hold in any case.
const ALWAYS_ALLOWED: usize = 1 << 20;

impl<'a> HeldMemory<'a> {
    /// Nothing yet.
    pub fn new(clients: &'a Clients) -> HeldMemory<'a> {
        HeldMemory { clients, bytes: 0 }
    }

    /// Notes that the client holds so many bytes now. Returns whether all such clients together hold too much.
    pub fn is_too_much(&mut self, bytes: usize) -> bool {
        let held = &self.clients.held;
        held.fetch_add(bytes, Relaxed);
        let all = held.fetch_sub(self.bytes, Relaxed) - self.bytes;
        self.bytes = bytes;
        all > MAX_HELD && bytes > ALWAYS_ALLOWED
    }
}

impl Drop for HeldMemory<'_> {
    fn drop(&mut self) {
        self.clients.held.fetch_sub(self.bytes, Relaxed);
    }
}

impl Default for Clients {
    fn default() -> Clients {
        Clients {
            by_id: Lock::new(Rank::Clients, BTreeMap::new()),
            next_id: AtomicU64::default(),
            count: AtomicUsize::default(),
            held: AtomicUsize::default(),
        }
    }
}

impl Clients {
    /// A new client ID. No other connection of this server had it.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed) + 1
    }

    pub fn add(&self, client: &Arc<Client>) {
        lock(&self.by_id).insert(client.id, client.clone());
        self.count.fetch_add(1, Relaxed);
    }

    pub fn remove(&self, id: u64) {
        if lock(&self.by_id).remove(&id).is_some() {
            self.count.fetch_sub(1, Relaxed);
        }
    }

    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        lock(&self.by_id).get(&id).cloned()
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        lock(&self.by_id).values().cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A connected client, and its peer's end.
    pub fn client() -> (Arc<Client>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        (Arc::new(Client::new(1, stream).unwrap()), peer)
    }

    #[test]
    fn clients_that_do_not_read_hold_a_bounded_amount_together() {
        let clients = Clients::default();
        let (mut a, mut b) = (HeldMemory::new(&clients), HeldMemory::new(&clients));
        assert!(!a.is_too_much(3 << 30) && !a.is_too_much(2 << 30) && !b.is_too_much(2 << 30));
        assert!(b.is_too_much(3 << 30) && !HeldMemory::new(&clients).is_too_much(1000));
        drop(b);
        assert!(!a.is_too_much(4 << 30));
        drop(a);
        assert_eq!(clients.held.load(Relaxed), 0);
    }
}
