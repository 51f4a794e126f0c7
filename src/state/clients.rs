//! The connected clients.
//!
//! Each connection has a [`Client`]: the part of its state that other threads use. The client's own thread keeps the figures
//! up to date in atomics, and CLIENT LIST reads them. [`Client::kill`] closes a connection from another thread: it shuts
//! the socket down, and wakes the client's thread if it waits. That thread then reads the end of the stream and cleans up,
//! as if the peer had hung up.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};
use std::sync::{Arc, Mutex};

use super::blocking::{Outcome, Waiter};
use super::lock;
use super::outbox::Outbox;
use super::stats::Stats;
use super::watch::Flag;
use crate::sys;
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
    pub name: Mutex<Vec<u8>>,
    pub library: Mutex<(Vec<u8>, Vec<u8>)>,
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
    pub replica: AtomicBool,
    pub primary: AtomicBool,
    /// Bytes in the read buffer, its capacity, the output buffer's, and bytes of the arguments of the command that runs.
    pub input_used: AtomicUsize,
    pub input_capacity: AtomicUsize,
    pub output_capacity: AtomicUsize,
    pub args_memory: AtomicUsize,
    /// The connection is to be closed as soon as its thread looks.
    closing: AtomicBool,
    waiter: Mutex<Option<Arc<Waiter>>>,
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
            name: Mutex::default(),
            library: Mutex::default(),
            db: AtomicUsize::new(0),
            last_command: AtomicU32::new(u32::MAX),
            queued: AtomicI64::new(-1),
            queued_memory: AtomicUsize::new(0),
            watching: AtomicBool::new(false),
            watch_flag: Flag::default(),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            resp3: AtomicBool::new(false),
            replica: AtomicBool::new(false),
            primary: AtomicBool::new(false),
            input_used: AtomicUsize::new(0),
            input_capacity: AtomicUsize::new(0),
            output_capacity: AtomicUsize::new(0),
            args_memory: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            waiter: Mutex::new(None),
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
        !self.is_closing() && !sys::has_hung_up(&self.stream)
    }

    #[inline]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Relaxed)
    }

    /// Whether it is a server: a replica of ours, or our primary.
    pub fn is_peer(&self) -> bool {
        self.replica.load(Relaxed) || self.primary.load(Relaxed)
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

    /// Counts the call of the client's last command as failed. A call that waits is counted when the wait begins, so only
    /// its failure is left to count when the wait ends.
    pub fn count_failed_call(&self, stats: &Stats) {
        let number = self.last_command.load(Relaxed) as usize;
        if let Some(command) = stats.commands.get(number) {
            command.failed.fetch_add(1, Relaxed);
        }
    }
}

/// An IPv4 address that came through an IPv6 socket, as IPv4.
fn canonical(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(address.ip().to_canonical());
    address
}

/// All connections of a server, by number.
#[derive(Default)]
pub struct Clients {
    by_id: Mutex<BTreeMap<u64, Arc<Client>>>,
    next_id: AtomicU64,
    count: AtomicUsize,
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
}
