//! The settings.
//!
//! [`Config`] holds their values; the table in [`super::settings`] describes them.
//!
//! Threads read settings often and change them hardly ever, so [`Settings`] keeps an immutable
//! `Config` behind an `Arc`, replaced as a whole; a version number tells a thread whether the one it
//! holds is still current.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::lock;
use super::outbox::Limit;
use super::settings::{Kind, SETTINGS, Setting, find};
use crate::store::stream::NodeLimits;
use crate::util::{glob, words};

/// How loud a log line is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
}

/// Whether there is a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LogTo {
    /// None: the choice for a server inside another program.
    Nowhere,
    /// The file that `logfile` names, or standard output.
    Configured,
}

/// The values of all settings. The default is a server on port 6379 of every interface, without a log;
/// see [`Config::for_tests`] for one inside a test.
#[derive(Clone, Debug)]
pub struct Config {
    /// Port to listen on; 0 lets the system choose one.
    pub port: u16,
    /// Addresses to listen on; one that begins with `-` may be missing on this machine.
    pub bind: Vec<String>,
    pub tcp_backlog: i32,
    /// Refuse strangers from other machines while there is no password.
    pub protected_mode: bool,
    /// Connections beyond this number are refused.
    pub maxclients: u32,
    /// Seconds after which an idle connection is closed; 0 is never.
    pub timeout: u32,
    /// Seconds between probes of a silent connection; 0 is none.
    pub tcp_keepalive: u32,
    pub databases: usize,
    /// The password of the default user; empty is none.
    pub requirepass: String,
    /// The primary to be a replica of: host and port.
    pub replicaof: Option<(String, u16)>,
    /// How to log in to the primary; empty is not at all, or as the default user.
    pub masterauth: String,
    pub masteruser: String,
    pub replica_read_only: bool,
    /// Whether a replica answers from what it has while its primary is out of reach.
    pub replica_serve_stale_data: bool,
    pub replica_priority: u32,
    /// What a replica tells its primary to be reached at; empty and 0 are where it really is.
    pub replica_announce_ip: String,
    pub replica_announce_port: u16,
    pub replica_announced: bool,
    /// Bytes of the journal that are kept for replicas that come back, and the seconds without any replica after which
    /// they are not any more; 0 is for ever.
    pub repl_backlog_size: i64,
    pub repl_backlog_ttl: u32,
    /// Seconds of silence after which a link is given up, and how often a primary breaks its own.
    pub repl_timeout: u32,
    pub repl_ping_replica_period: u32,
    /// Seconds that a full copy waits for more replicas to come.
    pub repl_diskless_sync_delay: u32,
    /// Writes are refused with fewer replicas than this, heard of within so many seconds.
    pub min_replicas_to_write: u32,
    pub min_replicas_max_lag: u32,
    /// How far behind a replica may be.
    pub replica_limit: Limit,
    /// The working directory.
    pub dir: PathBuf,
    pub dbfilename: String,
    pub loglevel: LogLevel,
    /// Empty is standard output.
    pub logfile: String,
    pub log_to: LogTo,
    /// How often a second the cron runs.
    pub hz: u32,
    /// The longest argument a client may send, in bytes.
    pub proto_max_bulk_len: i64,
    /// The largest unfinished request a client may send, in bytes.
    pub client_query_buffer_limit: i64,
    pub stream_node_max_bytes: i64,
    pub stream_node_max_entries: i64,
    pub maxmemory_policy: &'static str,
    pub lfu_log_factor: u32,
    pub lfu_decay_time: u32,
    pub enable_debug_command: &'static str,
    /// The file the settings came from.
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
            requirepass: String::new(),
            replicaof: None,
            masterauth: String::new(),
            masteruser: String::new(),
            replica_read_only: true,
            replica_serve_stale_data: true,
            replica_priority: 100,
            replica_announce_ip: String::new(),
            replica_announce_port: 0,
            replica_announced: true,
            repl_backlog_size: 1 << 20,
            repl_backlog_ttl: 3600,
            repl_timeout: 60,
            repl_ping_replica_period: 10,
            repl_diskless_sync_delay: 0,
            min_replicas_to_write: 0,
            min_replicas_max_lag: 10,
            replica_limit: Limit {
                hard: 256 << 20,
                soft: 64 << 20,
                soft_seconds: 60,
            },
            dir: std::env::current_dir().unwrap_or_default(),
            dbfilename: "dump.rdb".into(),
            loglevel: LogLevel::Notice,
            logfile: String::new(),
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
            file: None,
        }
    }
}

impl Config {
    /// A server for a test: on the loopback interface, on a port that the system chooses.
    pub fn for_tests() -> Config {
        Config {
            port: 0,
            bind: vec!["127.0.0.1".into()],
            ..Config::default()
        }
    }

    pub fn node_limits(&self) -> NodeLimits {
        NodeLimits {
            bytes: self.stream_node_max_bytes as usize,
            entries: self.stream_node_max_entries,
        }
    }

    pub fn is_lfu(&self) -> bool {
        self.maxmemory_policy.ends_with("lfu")
    }

    /// Applies one line of a configuration file: a name and its values.
    ///
    /// Fails, with Redis's words, if the name is unknown or the values do not fit.
    pub fn apply_line(&mut self, words: &[String]) -> Result<(), String> {
        let Some((name, values)) = words.split_first() else {
            return Ok(());
        };
        let setting = find(name).ok_or("Bad directive or wrong number of arguments")?;
        match setting.kind {
            Kind::List { .. } if values.is_empty() => Err("wrong number of arguments".into()),
            Kind::List { set, .. } => set(self, values),
            _ if values.len() != 1 => Err("wrong number of arguments".into()),
            _ => setting.set(self, &values[0]),
        }
    }

    /// Applies a whole configuration text; `include` is how a file it includes is read.
    ///
    /// Fails with a line for a person, naming the place.
    pub fn apply_text(&mut self, text: &str, origin: &str, depth: usize) -> Result<(), String> {
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fail = |why: &str| format!("{origin}, line {}: '{line}': {why}", i + 1);
            let words = words::split(line.as_bytes())
                .ok_or_else(|| fail("Unbalanced quotes in configuration line"))?;
            let words: Vec<String> = words
                .iter()
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect();
            if words
                .first()
                .is_some_and(|w| w.eq_ignore_ascii_case("include"))
            {
                let [_, pattern] = words.as_slice() else {
                    return Err(fail("wrong number of arguments"));
                };
                if depth >= 16 {
                    return Err(fail("includes go too deep"));
                }
                for path in files_matching(pattern) {
                    let text = std::fs::read_to_string(&path)
                        .map_err(|e| fail(&format!("{}: {e}", path.display())))?;
                    self.apply_text(&text, &path.display().to_string(), depth + 1)?;
                }
                continue;
            }
            self.apply_line(&words).map_err(|why| fail(&why))?;
        }
        Ok(())
    }
}

/// The files that an `include` names: one, or all that match a pattern in the last part of the path.
fn files_matching(pattern: &str) -> Vec<PathBuf> {
    let path = PathBuf::from(pattern);
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return vec![path];
    };
    if !name.contains(['*', '?', '[']) {
        return vec![path];
    }
    let dir = if dir.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        dir.to_path_buf()
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let fits = |n: &std::ffi::OsStr| glob::matches(name.as_bytes(), n.as_encoded_bytes(), false);
    let mut found: Vec<_> = entries
        .filter(|e| fits(&e.file_name()))
        .map(|e| e.path())
        .collect();
    found.sort();
    found
}

/// The settings in force.
pub struct Settings {
    current: Mutex<Arc<Config>>,
    version: AtomicU64,
}

impl Settings {
    pub fn new(config: Config) -> Settings {
        Settings {
            current: Mutex::new(Arc::new(config)),
            version: AtomicU64::new(0),
        }
    }

    pub fn current(&self) -> Arc<Config> {
        lock(&self.current).clone()
    }

    /// Changes with every change of a setting.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Changes settings: `change` gets a copy, which is put in force if it returns `Ok`.
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

/// Writes the settings to their configuration file. The new file is written beside the old one and renamed, so a crash
/// in between loses neither.
///
/// # Errors
///
/// Those of the file system, or if the settings did not come from a file.
pub fn rewrite_file(config: &Config) -> std::io::Result<()> {
    let path = config.file.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
    let old = std::fs::read_to_string(path).unwrap_or_default();
    let mut beside = path.clone().into_os_string();
    beside.push(".tmp");
    std::fs::write(&beside, rewrite(&old, config))?;
    std::fs::rename(&beside, path)
}

/// The configuration file's new text: `old` with every setting brought up to date. Lines keep their place and comments
/// stay; what differs from the default and has no line yet is appended.
pub fn rewrite(old: &str, config: &Config) -> String {
    const MARK: &str = "# Generated by CONFIG REWRITE";
    let default = Config::default();
    let line_of = |setting: &Setting| {
        let value = setting.get(config);
        let plain = !value.is_empty()
            && value
                .bytes()
                .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\''));
        let list = matches!(setting.kind, Kind::List { .. });
        let value = if plain || list {
            value
        } else {
            words::quote(value.as_bytes())
        };
        format!("{} {value}", setting.name)
    };
    let mut written: Vec<&str> = vec![];
    let mut lines: Vec<String> = vec![];
    for line in old.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        match find(name) {
            Some(setting) if written.contains(&setting.name) => {}
            Some(setting) => {
                written.push(setting.name);
                lines.push(line_of(setting));
            }
            None => lines.push(line.to_string()),
        }
    }
    for setting in SETTINGS
        .iter()
        .filter(|s| !written.contains(&s.name) && s.get(config) != s.get(&default))
    {
        if !lines.iter().any(|l| l == MARK) {
            lines.push(MARK.to_string());
        }
        lines.push(line_of(setting));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_default_is_acceptable() {
        assert!(SETTINGS.is_sorted_by_key(|s| s.name));
        let mut config = Config::default();
        for setting in SETTINGS {
            let value = setting.get(&config);
            setting
                .set(&mut config, &value)
                .unwrap_or_else(|e| panic!("{}: {e}", setting.name));
        }
    }

    #[test]
    fn files_are_read() {
        let mut config = Config::default();
        let text = "# comment\n\nport 7000\nbind 127.0.0.1 ::1\nrequirepass \"a b\"\nstream-node-max-bytes 8kb\n";
        config.apply_text(text, "test", 0).unwrap();
        assert_eq!(
            (config.port, config.bind.len(), config.requirepass.as_str()),
            (7000, 2, "a b")
        );
        assert_eq!(config.stream_node_max_bytes, 8192);
        for bad in [
            "foo bar",
            "port",
            "port x",
            "port 1 2",
            "timeout \"5",
            "save 900 1",
        ] {
            assert!(config.apply_text(bad, "test", 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn rewriting_keeps_comments_and_adds_what_is_new() {
        let config = Config {
            timeout: 7,
            hz: 20,
            requirepass: "a b".into(),
            ..Config::default()
        };
        let text = rewrite("# mine\ntimeout 3\nport 6379\n", &config);
        assert_eq!(
            text,
            "# mine\ntimeout 7\nport 6379\n# Generated by CONFIG REWRITE\nhz 20\nrequirepass \"a b\"\n"
        );
        let mut again = Config::default();
        again.apply_text(&text, "test", 0).unwrap();
        assert_eq!(rewrite(&text, &again), text);
    }
}
