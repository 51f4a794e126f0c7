//! The server's threads: starting, accepting, stopping.
//!
//! ```text
//!   Server::start ──► one thread per listening address: accept ──► one thread per client (client.rs)
//!                ├──► the cron (cron.rs)
//!                └──► the link to a primary (replication/replica/mod.rs)
//! ```
//!
//! The life of each thread:
//!
//! | name | how many | is started by | ends |
//! |---|---|---|---|
//! | `accept` | one per listening address | [`Server::start`] | when the server stops |
//! | `cron` | one | [`Server::start`] | when the server stops |
//! | `replica` | one, also on a primary: there it sleeps | [`Server::start`] | when the server stops |
//! | `client` | one per connection | `accept` | when the connection ends |
//! | `feeder` | one per replica | the replica's `client`, at PSYNC | when the connection ends, or the server stops |
//! | `copy` | one while a full copy is sent or loaded | `feeder`, `replica` | when the copy is done |
//! | `drain` | one per outbox that its socket does not take | the thread that sends | when the outbox is empty |
//!
//! A [`Server`] is a value. It has no global state, so a program may start many servers. Dropping one stops it: the threads
//! that accept, the cron and the link end first; then the replicas get the rest of the log, the clients the replies of the
//! commands that run; then the connections are closed.

mod client;
mod configure;
mod cron;
mod look;
mod survive;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use configure::ConfigError;

use crate::VERSION;
use crate::commands::command::Index;
use crate::commands::table;
use crate::replication::replica;
use crate::resp::{Error, Reply};
use crate::state::clients::Client;
use crate::state::config::Config;
use crate::state::shutdown::ShutdownOptions;
use crate::state::{Handle, Shared, lock};
use crate::sys;
use survive::survive;

/// The stack of a client's thread, in bytes. It is small because the code does not recurse and buffers are on the heap.
const CLIENT_STACK: usize = 256 * 1024;
/// How often an accepting thread checks whether the server stops, in milliseconds.
const POLL_INTERVAL_MS: i32 = 100;
/// How long a thread does not accept after an error, such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// When the server stops: how long replicas get to receive the rest of the log, and then clients to receive their replies.
const GRACE: Duration = Duration::from_millis(300);
/// When the server stops: how long it waits for the threads of clients to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// Open files that the server needs besides those of its clients.
const SPARE_FILES: u64 = 32;

/// A running server. Dropping it stops it: that closes its clients, ends its threads and frees its port.
pub struct Server {
    /// What all threads share.
    shared: Handle,
    /// The threads that live as long as the server.
    threads: Vec<JoinHandle<()>>,
    /// How many threads of clients have not ended yet.
    live: Arc<AtomicUsize>,
}

impl Server {
    /// Starts a server with these settings and returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// If it cannot listen on an address of `bind`, a renamed command is unknown or its new name taken, the log file cannot be
    /// written, or a thread cannot be started.
    pub fn start(mut config: Config) -> io::Result<Server> {
        let listeners = listen(&config)?;
        let wanted = u64::from(config.maxclients) + SPARE_FILES; // each client is an open file
        let open_files = sys::raise_open_files(wanted);
        let lowered = open_files < wanted;
        if lowered {
            config.maxclients = (open_files.saturating_sub(SPARE_FILES)).max(1) as u32;
        }
        let index = table::index_for(&config.renamed_commands).map_err(io::Error::other)?;
        let shared = Shared::new(config, index.rows.iter().map(|row| row.full_name.as_str()))?;
        let addresses: io::Result<Vec<SocketAddr>> =
            listeners.iter().map(TcpListener::local_addr).collect();
        *lock(&shared.addresses) = addresses?;
        if lowered {
            let most = shared.settings.current().maxclients;
            shared.log.warning(&format!(
                "The limit on open files lets maxclients be no more than {most}."
            ));
        }
        let mut server = Server {
            shared,
            threads: vec![],
            live: Arc::default(),
        };
        for listener in listeners {
            let (shared, live) = (server.shared.clone(), server.live.clone());
            server.spawn("accept", move || accept(&listener, &shared, index, &live))?;
        }
        let shared = server.shared.clone();
        server.spawn("cron", move || cron::run(&shared))?;
        let shared = server.shared.clone();
        server.spawn("replica", move || replica::run(&shared))?;
        let log = &server.shared.log;
        log.notice(&format!(
            "Running mode=standalone, port={}.",
            server.shared.port()
        ));
        log.warning(&format!("Server initialized, version {VERSION}"));
        log.notice("Ready to accept connections");
        Ok(server)
    }

    /// Starts a thread that lives as long as the server.
    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.into()).spawn(body)?;
        self.threads.push(thread);
        Ok(())
    }

    /// The first address that the server listens on, in a form to connect to: 127.0.0.1 if it listens on all addresses.
    pub fn address(&self) -> SocketAddr {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut address = lock(&self.shared.addresses).first().copied().unwrap_or(any);
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        address
    }

    /// The address in the form that Redis clients take: `redis://127.0.0.1:7000/`.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// Waits until the server must stop (SHUTDOWN), for `time` at most. Returns whether it must; then drop it.
    pub fn wait(&self, time: Duration) -> bool {
        self.shared.stop.wait(time)
    }

    /// Asks the server to stop when its replicas have all changes, or after `shutdown-timeout` seconds. `main.rs` calls this at
    /// SIGTERM. Until then the server answers, but clients that write must wait. [`Server::wait`] returns `true` when it is
    /// time to drop the server.
    pub fn shut_down(&self) {
        self.shared.begin_shutdown(ShutdownOptions::default(), None);
    }

    /// Whether a shutdown waits for replicas.
    pub fn is_shutting_down(&self) -> bool {
        self.shared.shutdown.time_left().is_some()
    }

    /// Stops the server, as dropping it does. Replicas, and then clients, get 0.3 seconds to receive what is left for them.
    pub fn stop(self) {
        drop(self);
    }

    /// Writes a line to the server's own log, at level `warning`.
    pub fn log(&self, text: &str) {
        self.shared.log.warning(text);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.request();
        self.shared.link.interrupt();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        // Replicas get a short time to receive the rest of the log.
        let began = Instant::now();
        while self.shared.replicas_are_behind() && began.elapsed() < GRACE {
            thread::sleep(Duration::from_millis(1));
        }
        // From now on no client's request is read; a command that runs ends, and its reply is sent. After GRACE, the
        // connections that have not taken their replies are closed.
        self.shared
            .clients
            .all()
            .iter()
            .for_each(|client| client.finish());
        let began = Instant::now();
        while self.live.load(Relaxed) > 0 && began.elapsed() < STOP_LIMIT {
            if began.elapsed() > GRACE {
                self.shared
                    .clients
                    .all()
                    .iter()
                    .for_each(|client| client.kill());
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.shared
            .log
            .warning("Redis is now ready to exit, bye bye...");
    }
}

/// Opens a socket for each address in `bind`. An address with a leading `-` may be missing on this machine.
fn listen(config: &Config) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = vec![];
    let mut port = config.port;
    for name in addresses(&config.bind) {
        let optional = name.starts_with('-');
        let bare = name.trim_start_matches('-');
        let opened = parse_address(bare).and_then(|ip| TcpListener::bind((ip, port)));
        match opened {
            Ok(listener) => {
                sys::set_backlog(&listener, config.tcp_backlog);
                port = listener.local_addr()?.port(); // if the system chose the port, all addresses get this one
                listeners.push(listener);
            }
            Err(e) if optional && e.kind() != io::ErrorKind::AddrInUse => {}
            Err(e) => {
                let text = format!("Could not listen on {bare}:{port}: {e}");
                return Err(io::Error::new(e.kind(), text));
            }
        }
    }
    if listeners.is_empty() {
        return Err(io::Error::other("Could not listen on any address"));
    }
    Ok(listeners)
}

/// The addresses to open. A socket for all IPv6 addresses (`::*`) accepts IPv4 as well, so `*` is dropped beside it, if this
/// machine has IPv6.
fn addresses(bind: &[String]) -> Vec<String> {
    let any = |name: &String, word: &str| name.trim_start_matches('-') == word;
    let both = bind.iter().any(|n| any(n, "*")) && bind.iter().any(|n| any(n, "::*"));
    if both && TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok() {
        return bind
            .iter()
            .filter(|n| !any(n, "*"))
            .map(|n| n.trim_start_matches('-').to_string())
            .collect();
    }
    bind.to_vec()
}

/// The IP address that a word of `bind` stands for.
fn parse_address(name: &str) -> io::Result<IpAddr> {
    match name {
        "*" => Ok(Ipv4Addr::UNSPECIFIED.into()),
        "::*" => Ok(Ipv6Addr::UNSPECIFIED.into()),
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        ip => ip
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not an address")),
    }
}

/// The body of an accepting thread: accepts connections until the server stops, and starts a thread for each.
fn accept(listener: &TcpListener, shared: &Handle, index: &'static Index, live: &Arc<AtomicUsize>) {
    while !shared.stop.is_requested() {
        if !sys::wait_for_connection(listener, POLL_INTERVAL_MS) {
            continue;
        }
        match listener.accept() {
            Ok((stream, peer)) => survive(shared, "the start of a client", || {
                welcome(stream, peer, shared, index, live);
            }),
            Err(e) => {
                // Most likely too many files are open. The system keeps the connection until another one is closed.
                shared
                    .log
                    .warning(&format!("Accepting client connection: {e}"));
                thread::sleep(ACCEPT_RETRY);
            }
        }
    }
}

/// The reply to a connection beyond `maxclients`.
const TOO_MANY: Error = Error::text("ERR max number of clients reached");
/// The reply to a connection from another machine, in protected mode.
const PROTECTED: Error = Error::text(
    "DENIED This server is in protected mode: it has no password, so it accepts connections from its own machine \
     only. Set a password (requirepass), or switch the protection off (protected-mode no) if nobody else can reach it.",
);

/// Starts the thread of a new client, or refuses the connection.
fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    shared: &Handle,
    index: &'static Index,
    live: &Arc<AtomicUsize>,
) {
    let stats = &shared.stats;
    stats.connections.fetch_add(1, Relaxed);
    let refuse = |stream: &TcpStream, error: &Error| {
        let mut reply = Reply::default();
        reply.error(error);
        let _ = stream.set_nonblocking(true); // a refused client must not delay the others
        let _ = (&*stream).write_all(&reply.out);
        stats.rejected_connections.fetch_add(1, Relaxed);
    };
    let config = shared.settings.current();
    if shared.clients.len() >= config.maxclients as usize {
        return refuse(&stream, &TOO_MANY);
    }
    if config.protected_mode
        && config.requirepass.is_empty()
        && !peer.ip().to_canonical().is_loopback()
    {
        return refuse(&stream, &PROTECTED);
    }
    // This fails if the client has already closed the connection.
    let Ok(client) = Client::new(shared.clients.next_id(), stream) else {
        return;
    };
    let client = Arc::new(client);
    shared.clients.add(&client);
    live.fetch_add(1, Relaxed);
    let guard = Live(live.clone());
    let (own, handle) = (shared.clone(), client.clone());
    let spawned = thread::Builder::new()
        .name("client".into())
        .stack_size(CLIENT_STACK)
        .spawn(move || {
            let _guard = guard;
            client::serve(&own, index, handle);
            sys::add_allocated();
        });
    if let Err(e) = spawned {
        shared
            .log
            .warning(&format!("No thread for a new client: {e}"));
        shared.clients.remove(client.id);
        refuse(&client.stream, &TOO_MANY);
    }
}

/// Counts a client's thread for as long as it lives.
struct Live(Arc<AtomicUsize>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
