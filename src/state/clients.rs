//! The connected clients.
//!
//! Each connection has a [`Client`]: the part of its state that other threads use. The client's thread stores its
//! figures in atomics, and CLIENT LIST reads them. So a figure may be slightly old, but reading it costs the client's
//! thread nothing.
//!
//! [`Client::kill`] closes a connection from another thread: it shuts the socket down, and ends the client's wait if
//! there is one. The client's thread then reads the end of the stream and cleans up, as if the peer had hung up.

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
    /// The client ID: no other connection of this server had it.
    pub id: u64,
    /// The client's address.
    pub peer: SocketAddr,
    /// The address of this server that the client connected to.
    pub local: SocketAddr,
    /// The connection.
    pub stream: Arc<TcpStream>,
    /// Everything that is sent to an ordinary client leaves through this. (A replica's feeder writes to the stream.)
    pub outbox: Arc<Outbox>,
    /// When the client connected: Unix time in milliseconds.
    pub created: i64,
    /// When the client's thread last ran a request or sent a part of a reply: Unix time in milliseconds.
    pub last_seen: AtomicI64,
    /// The name that CLIENT SETNAME gave the connection.
    pub name: Lock<Vec<u8>>,
    /// The name and the version of the client's library (CLIENT SETINFO).
    pub library: Lock<(Vec<u8>, Vec<u8>)>,
    /// The number of the selected database.
    pub db: AtomicUsize,
    /// The last command's number in the table of commands; `u32::MAX` before the first.
    pub last_command: AtomicU32,
    /// How many commands are queued for EXEC; -1 without MULTI.
    pub queued: AtomicI64,
    /// Bytes of memory that the queued commands take.
    pub queued_memory: AtomicUsize,
    /// Whether the client watches a key.
    pub watching: AtomicBool,
    /// Raised when a key that the client watches was modified.
    pub watch_flag: Flag,
    /// CLIENT NO-EVICT is on. Only CLIENT LIST uses it.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH is on: the client's reads are not noted as uses of the keys.
    pub no_touch: AtomicBool,
    /// The client gets its replies in RESP3.
    pub resp3: AtomicBool,
    /// The client is a replica of this server.
    pub is_replica: AtomicBool,
    /// The client is this server's primary.
    pub is_primary: AtomicBool,
    /// Bytes in the read buffer that belong to requests.
    pub input_used: AtomicUsize,
    /// Size of the read buffer in bytes.
    pub input_capacity: AtomicUsize,
    /// Size in bytes of the buffer in which the client's thread collects replies.
    pub output_capacity: AtomicUsize,
    /// Bytes of the arguments of the last request that was read.
    pub args_memory: AtomicUsize,
    /// [`Client::kill`] was called: the client's thread must end.
    closing: AtomicBool,
    /// The client's wait, if it has one.
    waiter: Lock<Option<Arc<Waiter>>>,
}

impl Client {
    /// The client with this ID at the other end of `stream`.
    ///
    /// # Errors
    ///
    /// If the connection is broken already, so that its addresses are not known.
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

    /// The socket's file descriptor, which CLIENT LIST shows.
    pub fn fd(&self) -> i32 {
        self.stream.as_raw_fd()
    }

    /// RESET: takes back the name and NO-TOUCH. Redis 7.0 leaves NO-EVICT as it is.
    pub fn reset(&self) {
        lock(&self.name).clear();
        self.no_touch.store(false, Relaxed);
    }

    /// Closes the connection. Any thread may call this.
    pub fn kill(&self) {
        self.closing.store(true, Relaxed);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.unblock(Outcome::Gone);
    }

    /// Closes the connection after the requests that were already received: no more are read. Any thread may call this.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Read);
        self.unblock(Outcome::Gone);
    }

    /// Whether the connection is open at both ends. Checks the socket without waiting.
    pub fn is_connected(&self) -> bool {
        !self.is_closing() && self.outbox.is_connected()
    }

    /// Whether [`Client::kill`] was called.
    #[inline]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Whether the client is a replica of this server, or its primary.
    pub fn is_peer(&self) -> bool {
        self.is_replica.load(Relaxed) || self.is_primary.load(Relaxed)
    }

    /// Stores the client's wait, so that [`Client::unblock`] can end it.
    pub fn set_waiter(&self, waiter: Arc<Waiter>) {
        *lock(&self.waiter) = Some(waiter);
    }

    /// Removes the client's wait, if it has one.
    pub fn take_waiter(&self) -> Option<Arc<Waiter>> {
        lock(&self.waiter).take()
    }

    /// Whether the client waits, and its wait has a timeout.
    pub fn is_blocked_with_timeout(&self) -> bool {
        lock(&self.waiter)
            .as_ref()
            .is_some_and(|w| w.has_timeout && w.is_waiting())
    }

    /// Whether the client waits.
    pub fn is_blocked(&self) -> bool {
        lock(&self.waiter).as_ref().is_some_and(|w| w.is_waiting())
    }

    /// Ends the client's wait, if it waits. Returns whether it waited.
    pub fn unblock(&self, outcome: Outcome) -> bool {
        let waiter = lock(&self.waiter).clone();
        waiter.is_some_and(|w| w.end(outcome))
    }
}

/// The address, as IPv4 if it is an IPv4 address that an IPv6 socket wraps (`::ffff:127.0.0.1`).
fn canonical(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(address.ip().to_canonical());
    address
}

/// All connections of a server.
pub struct Clients {
    /// By client ID, so in the order in which the clients connected.
    by_id: Lock<BTreeMap<u64, Arc<Client>>>,
    /// The last ID that was given.
    last_id: AtomicU64,
    /// The length of `by_id`. Readable without the lock.
    count: AtomicUsize,
    /// Bytes that are held for all clients that do not read their replies, see [`HeldMemory`].
    held: AtomicUsize,
}

/// The memory that is held for one client that does not read its replies. Redis closes such a client only if
/// `client-output-buffer-limit` says so. Here all of them together may hold at most [`MAX_HELD`] bytes, because the
/// thread of such a client goes on reading requests, up to `client-query-buffer-limit`.
pub struct HeldMemory<'a> {
    clients: &'a Clients,
    /// What this client has added to the sum, in bytes.
    bytes: usize,
}

/// Bytes that all clients that do not read their replies may hold together.
const MAX_HELD: usize = 4 << 30;
/// Bytes that each of them may hold in any case.
const ALWAYS_ALLOWED: usize = 1 << 20;

impl<'a> HeldMemory<'a> {
    /// No memory is held yet.
    pub fn new(clients: &'a Clients) -> HeldMemory<'a> {
        HeldMemory { clients, bytes: 0 }
    }

    /// Notes that the client holds `bytes` now. Returns whether all such clients together hold too much and this one
    /// more than [`ALWAYS_ALLOWED`]; the caller then closes it.
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
            last_id: AtomicU64::default(),
            count: AtomicUsize::default(),
            held: AtomicUsize::default(),
        }
    }
}

impl Clients {
    /// A new client ID. No other connection of this server had it.
    pub fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + 1
    }

    /// Adds a connection.
    pub fn add(&self, client: &Arc<Client>) {
        lock(&self.by_id).insert(client.id, client.clone());
        self.count.fetch_add(1, Relaxed);
    }

    /// Removes a connection.
    pub fn remove(&self, id: u64) {
        if lock(&self.by_id).remove(&id).is_some() {
            self.count.fetch_sub(1, Relaxed);
        }
    }

    /// The connection with this client ID.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        lock(&self.by_id).get(&id).cloned()
    }

    /// All connections, oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        lock(&self.by_id).values().cloned().collect()
    }

    /// How many connections there are. Costs no lock.
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
