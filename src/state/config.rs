//! The values of the settings.
//!
//! [`Config`] is a plain value with a field per setting. It knows neither the names of the settings nor their text
//! forms: those are in the table, [`super::settings::table`], which is built on this file. Programs and tests that start
//! a server fill a `Config` directly:
//!
//! ```
//! let config = redis_clone::Config { timeout: 30, ..redis_clone::Config::for_tests() };
//! ```
//!
//! Threads read settings often and change them rarely, so [`Settings`] keeps an immutable `Config` behind an `Arc`. A
//! change replaces the `Config` and adds 1 to a version number. A thread keeps the `Arc` that it has, and takes the
//! current one when the version has changed.
//!
//! # Invariants
//!
//! * A `Config` in force is never changed; a change makes a new one.
//! * Text that Redis treats as bytes (passwords, names of files) is kept as bytes: it need not be UTF-8.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lock::{Lock, Rank, lock};
use crate::store::stream::NodeLimits;

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub enum LogLevel {
    /// Details for debugging.
    Debug,
    /// Rarely useful details, such as connections.
    Verbose,
    /// What an operator wants to see in production.
    Notice,
    /// Only what is wrong.
    Warning,
}

/// Whether there is a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogTo {
    /// No log: the choice for a server inside another program.
    Nowhere,
    /// The file that `logfile` names, or standard output.
    Configured,
}

/// How many bytes of output a client may have pending: never more than `hard`, and no more than `soft` for longer than
/// `soft_seconds`. Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Limit {
    /// A client with more pending output than this is closed at once.
    pub hard: u64,
    /// A client with more pending output than this is closed after `soft_seconds`.
    pub soft: u64,
    /// How long a client may stay above `soft`, in seconds.
    pub soft_seconds: u64,
}

impl Limit {
    /// A limit of `hard` bytes, and of `soft` bytes for `soft_seconds` seconds.
    pub const fn new(hard: u64, soft: u64, soft_seconds: u64) -> Limit {
        Limit {
            hard,
            soft,
            soft_seconds,
        }
    }
}

/// The values of all settings.
///
/// The default is a server on port 6379 of every interface, without a log; see [`Config::for_tests`] for a server inside
/// a test.
#[derive(Clone, Debug)]
pub struct Config {
    /// Port to listen on; 0 lets the system choose one.
    pub port: u16,
    /// Addresses to listen on; one that begins with `-` may be missing on this machine.
    pub bind: Vec<String>,
    /// How many connections may wait to be accepted.
    pub tcp_backlog: i32,
    /// Refuse clients from other machines while there is no password.
    pub protected_mode: bool,
    /// Connections beyond this number are refused.
    pub maxclients: u32,
    /// Seconds after which an idle connection is closed; 0 is never.
    pub timeout: u32,
    /// Seconds between probes of a silent connection; 0 is none.
    pub tcp_keepalive: u32,
    /// How many databases there are.
    pub databases: usize,
    /// The password of the default user; empty is none.
    pub requirepass: Vec<u8>,
    /// The primary to follow: host and port.
    pub replicaof: Option<(String, u16)>,
    /// The password for the primary; empty is none, and then the replica does not log in.
    pub masterauth: Vec<u8>,
    /// The user name for the primary; empty is the default user.
    pub masteruser: Vec<u8>,
    /// Whether a replica refuses writes of clients.
    pub replica_read_only: bool,
    /// Whether a replica answers from its old data while it is not connected to its primary.
    pub replica_serve_stale_data: bool,
    /// The rank of this replica when Sentinel chooses a new primary; 0 is never.
    pub replica_priority: u32,
    /// The address that a replica tells its primary; empty is the address of the connection.
    pub replica_announce_ip: Vec<u8>,
    /// The port that a replica tells its primary; 0 is the port it listens on.
    pub replica_announce_port: u16,
    /// Whether Sentinel reports this replica to its clients.
    pub replica_announced: bool,
    /// Bytes of the journal that are kept for replicas that reconnect (the backlog).
    pub repl_backlog_size: i64,
    /// Seconds without any replica after which the backlog is freed; 0 is never.
    pub repl_backlog_ttl: u64,
    /// Seconds without a byte from the other server after which a replication link is closed.
    pub repl_timeout: u32,
    /// Seconds between the PINGs that a primary sends to its replicas.
    pub repl_ping_replica_period: u32,
    /// Seconds that a full copy waits for more replicas to arrive.
    pub repl_diskless_sync_delay: u32,
    /// The delay ends when this many replicas wait for a full copy; 0 is no such number.
    pub repl_diskless_sync_max_replicas: u32,
    /// Writes are refused while fewer replicas than this are good; 0 is never.
    pub min_replicas_to_write: u32,
    /// A replica is good if it was heard of within this many seconds; 0 turns the check off.
    pub min_replicas_max_lag: u32,
    /// The limit on the pending output of an ordinary client.
    pub normal_limit: Limit,
    /// The limit on the pending output of a replica.
    pub replica_limit: Limit,
    /// The limit on the pending output of a client that is subscribed to something.
    pub pubsub_limit: Limit,
    /// Seconds that a shutdown waits for replicas that lag behind; 0 is not at all.
    pub shutdown_timeout: u32,
    /// The working directory.
    pub dir: PathBuf,
    /// The name of the RDB file, in `dir`.
    pub dbfilename: PathBuf,
    /// Log lines below this level are not written.
    pub loglevel: LogLevel,
    /// The log file; empty is standard output.
    pub logfile: PathBuf,
    /// Whether there is a log at all.
    pub log_to: LogTo,
    /// How often per second the cron runs.
    pub hz: u32,
    /// The longest argument that a client may send, in bytes.
    pub proto_max_bulk_len: i64,
    /// The largest unfinished request that a client may send, in bytes.
    pub client_query_buffer_limit: i64,
    /// The size in bytes at which a stream begins a new node; 0 is no limit.
    pub stream_node_max_bytes: i64,
    /// The number of entries at which a stream begins a new node; 0 is no limit.
    pub stream_node_max_entries: i64,
    /// Decides whether objects count their accesses (LFU policies) or note the time of the last one. Nothing is ever
    /// evicted.
    pub maxmemory_policy: &'static str,
    /// How slowly an LFU counter grows with accesses; 0 is by 1 per access.
    pub lfu_log_factor: u32,
    /// Minutes after which an LFU counter is lowered by 1; 0 is never.
    pub lfu_decay_time: u32,
    /// Who may use DEBUG: `no`, `yes`, or `local` for clients of this machine.
    pub enable_debug_command: &'static str,
    /// Commands that clients call by another name: the old name and the new one, in the order in which the renames
    /// apply. An empty new name removes the command.
    pub renamed_commands: Vec<(String, String)>,
    /// The configuration file, which CONFIG REWRITE writes.
    pub file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            port: 6379,
            bind: vec!["*".into(), "-::*".into()],
            tcp_backlog: 511,
            protected_mode: true,
            maxclients: 10_000,
            timeout: 0,
            tcp_keepalive: 300,
            databases: 16,
            requirepass: Vec::new(),
            replicaof: None,
            masterauth: Vec::new(),
            masteruser: Vec::new(),
            replica_read_only: true,
            replica_serve_stale_data: true,
            replica_priority: 100,
            replica_announce_ip: Vec::new(),
            replica_announce_port: 0,
            replica_announced: true,
            repl_backlog_size: 1 << 20,
            repl_backlog_ttl: 3600,
            repl_timeout: 60,
            repl_ping_replica_period: 10,
            repl_diskless_sync_delay: 5,
            repl_diskless_sync_max_replicas: 0,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,
            normal_limit: Limit::new(0, 0, 0),
            replica_limit: Limit::new(256 << 20, 64 << 20, 60),
            pubsub_limit: Limit::new(32 << 20, 8 << 20, 60),
            shutdown_timeout: 10,
            dir: std::env::current_dir().unwrap_or_default(),
            dbfilename: "dump.rdb".into(),
            loglevel: LogLevel::Notice,
            logfile: PathBuf::new(),
            log_to: LogTo::Nowhere,
            hz: 10,
            proto_max_bulk_len: 512 << 20,
            client_query_buffer_limit: 1 << 30,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            maxmemory_policy: "noeviction",
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            enable_debug_command: "no",
            renamed_commands: Vec::new(),
            file: None,
        }
    }
}

impl Config {
    /// The settings of a server inside a test: on the loopback interface, on a port that the system chooses.
    pub fn for_tests() -> Config {
        Config {
            port: 0,
            bind: vec!["127.0.0.1".into()],
            ..Config::default()
        }
    }

    /// When a stream begins a new node.
    pub fn node_limits(&self) -> NodeLimits {
        NodeLimits {
            bytes: self.stream_node_max_bytes as usize,
            entries: self.stream_node_max_entries,
        }
    }

    /// Whether objects count their accesses, for an LFU policy.
    pub fn is_lfu(&self) -> bool {
        self.maxmemory_policy.ends_with("lfu")
    }
}

/// The settings in force.
pub struct Settings {
    current: Lock<Arc<Config>>,
    version: AtomicU64,
}

impl Settings {
    /// The settings with which a server starts.
    pub fn new(config: Config) -> Settings {
        Settings {
            current: Lock::new(Rank::Settings, Arc::new(config)),
            version: AtomicU64::new(0),
        }
    }

    /// The settings in force now.
    pub fn current(&self) -> Arc<Config> {
        lock(&self.current).clone()
    }

    /// A number that every change of the settings raises.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Changes settings: `change` gets a copy, which is put in force if `change` returns `Ok`. Returns the settings that
    /// are in force then. Changes happen one after the other, under the lock; so `change` must not call
    /// [`Settings::current`]. A panic in `change` leaves the old settings in force.
    ///
    /// # Errors
    ///
    /// The error of `change`.
    pub fn update<E>(
        &self,
        change: impl FnOnce(&mut Config) -> Result<(), E>,
    ) -> Result<Arc<Config>, E> {
        let mut current = lock(&self.current);
        let mut next = Config::clone(&current);
        change(&mut next)?;
        *current = Arc::new(next);
        self.version.fetch_add(1, Ordering::Release);
        Ok(current.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let settings = Settings::new(Config::default());
        let version = settings.version();
        let failed = settings.update(|config| {
            config.timeout = 7;
            Err("no")
        });
        assert_eq!(failed.err(), Some("no"));
        assert_eq!(
            (settings.current().timeout, settings.version()),
            (0, version)
        );
        let before = settings.current();
        settings
            .update(|config| {
                config.timeout = 7;
                Ok::<(), ()>(())
            })
            .unwrap();
        assert_eq!((before.timeout, settings.current().timeout), (0, 7));
        assert_ne!(settings.version(), version);
    }
}
