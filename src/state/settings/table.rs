//! The table of settings: a row per setting.
//!
//! The command line, the configuration file, CONFIG GET, SET and REWRITE all read this table. A setting of Redis that is
//! not in the table gets Redis's error for an unknown setting. Some settings are accepted only at the one value that
//! says what this server does anyway (`save ""`).
//!
//! A row has the name, whether CONFIG SET may change the setting, and the kind of its values. For most rows a macro
//! makes the kind from the name of the field in `Config`:
//!
//! ```text
//!   S::new("timeout", Allowed, int!(timeout, 0, INT))    CONFIG SET timeout 30  →  config.timeout = 30
//! ```
//!
//! What a setting needs beyond its field (its own text form, an effect on the running server) is a function below the
//! table.
//!
//! # Invariants
//!
//! * The rows are sorted by name.
//! * Every default in `Config` is a value that its row accepts.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::kind::Change::{Allowed, Immutable, Protected};
use super::kind::{Kind, Setting, Syntax, system_text};
use crate::state::State;
use crate::state::config::{Config, Limit, LogLevel};
use crate::sys;
use crate::util::number;

/// The setting with this name in upper or lower case, and which of its names that is.
pub fn find(name: &[u8]) -> Option<(&'static Setting, &'static str)> {
    let mut named = SETTINGS.iter().flat_map(|s| s.names().map(move |n| (s, n)));
    named.find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name))
}

/// The kind of a setting whose field is an integer from `min` to `max`.
macro_rules! int {
    ($field:ident, $min:expr, $max:expr) => {
        Kind::Int {
            get: |c| c.$field as i64,
            set: |c, v| c.$field = v as _,
            min: $min,
            max: $max,
        }
    };
}

/// The kind of a setting whose field is a number of bytes, at least `min`.
macro_rules! memory {
    ($field:ident, $min:expr) => {
        Kind::Memory {
            get: |c| c.$field,
            set: |c, v| c.$field = v,
            min: $min,
        }
    };
}

/// The kind of a setting whose field is a `bool`.
macro_rules! boolean {
    ($field:ident) => {
        Kind::Bool {
            get: |c| c.$field,
            set: |c, v| c.$field = v,
        }
    };
}

/// The kind of a setting whose field is bytes; empty means no value.
macro_rules! text {
    ($field:ident) => {
        Kind::Text {
            get: |c| c.$field.clone(),
            set: |c, v| {
                c.$field = v.to_vec();
                Ok(())
            },
            optional: true,
        }
    };
}

/// The kind of a setting whose field is a path.
macro_rules! path {
    ($field:ident, $set:expr) => {
        Kind::Text {
            get: |c| c.$field.as_os_str().as_bytes().to_vec(),
            set: $set,
            optional: false,
        }
    };
}

/// The kind of a setting whose field is one of some words.
macro_rules! choice {
    ($field:ident, $of:expr) => {
        Kind::Choice {
            get: |c| c.$field,
            set: |c, v| c.$field = v,
            of: $of,
        }
    };
}

use Setting as S;

/// The largest value of a C `int`.
const INT: i64 = i32::MAX as i64;

/// Every setting, by name.
#[rustfmt::skip]
pub static SETTINGS: &[Setting] = &[
    S::new("appendonly", Allowed, Kind::Fixed { value: "no", syntax: Syntax::Bool, why: NO_FILES }),
    S::new("bind", Immutable, BIND),
    S::new("client-output-buffer-limit", Allowed, OUTPUT_LIMITS),
    S::new("client-query-buffer-limit", Allowed, memory!(client_query_buffer_limit, 1 << 20)),
    S::new("daemonize", Immutable, Kind::Fixed { value: "no", syntax: Syntax::Bool, why: "this server stays in the foreground" }),
    S::new("databases", Immutable, int!(databases, 1, INT)),
    S::new("dbfilename", Protected, path!(dbfilename, set_dbfilename)),
    S::new("dir", Protected, path!(dir, set_dir)),
    S::new("enable-debug-command", Immutable, choice!(enable_debug_command, YES_NO_LOCAL)),
    S::new("hz", Allowed, Kind::Int { get: |c| c.hz.into(), set: |c, v| c.hz = v.clamp(1, 500) as u32, min: 0, max: INT }),
    S::new("lfu-decay-time", Allowed, int!(lfu_decay_time, 0, INT)),
    S::new("lfu-log-factor", Allowed, int!(lfu_log_factor, 0, INT)),
    S::new("logfile", Immutable, path!(logfile, set_logfile)),
    S::new("loglevel", Allowed, LOG_LEVEL).apply(apply_log_level),
    S::new("masterauth", Allowed, text!(masterauth)),
    S::new("masteruser", Allowed, text!(masteruser)),
    S::new("maxclients", Allowed, int!(maxclients, 1, u32::MAX as i64)).apply(apply_maxclients),
    S::new("maxmemory", Allowed, Kind::Fixed { value: "0", syntax: Syntax::Memory, why: "this server does not limit its memory" }),
    S::new("maxmemory-policy", Allowed, choice!(maxmemory_policy, POLICIES)),
    S::new("min-replicas-max-lag", Allowed, int!(min_replicas_max_lag, 0, INT)).alias("min-slaves-max-lag"),
    S::new("min-replicas-to-write", Allowed, int!(min_replicas_to_write, 0, INT)).alias("min-slaves-to-write"),
    S::new("port", Immutable, int!(port, 0, 65535)),
    S::new("protected-mode", Allowed, boolean!(protected_mode)),
    S::new("proto-max-bulk-len", Allowed, memory!(proto_max_bulk_len, 1 << 20)),
    S::new("repl-backlog-size", Allowed, BACKLOG_SIZE).apply(apply_backlog_size),
    S::new("repl-backlog-ttl", Allowed, int!(repl_backlog_ttl, 0, i64::MAX)),
    S::new("repl-diskless-sync", Allowed, Kind::Fixed { value: "yes", syntax: Syntax::Bool, why: "this server sends full copies without a file" }),
    S::new("repl-diskless-sync-delay", Allowed, int!(repl_diskless_sync_delay, 0, INT)),
    S::new("repl-diskless-sync-max-replicas", Allowed, int!(repl_diskless_sync_max_replicas, 0, INT)),
    S::new("repl-ping-replica-period", Allowed, int!(repl_ping_replica_period, 1, INT)).alias("repl-ping-slave-period"),
    S::new("repl-timeout", Allowed, int!(repl_timeout, 1, INT)),
    S::new("replica-announce-ip", Allowed, text!(replica_announce_ip)).alias("slave-announce-ip"),
    S::new("replica-announce-port", Allowed, int!(replica_announce_port, 0, 65535)).alias("slave-announce-port"),
    S::new("replica-announced", Allowed, boolean!(replica_announced)),
    S::new("replica-priority", Allowed, int!(replica_priority, 0, INT)).alias("slave-priority"),
    S::new("replica-read-only", Allowed, boolean!(replica_read_only)).alias("slave-read-only"),
    S::new("replica-serve-stale-data", Allowed, boolean!(replica_serve_stale_data)).alias("slave-serve-stale-data"),
    S::new("replicaof", Immutable, REPLICAOF).alias("slaveof"),
    S::new("requirepass", Allowed, text!(requirepass)),
    S::new("save", Allowed, Kind::Fixed { value: "", syntax: Syntax::SavePoints, why: NO_FILES }),
    S::new("shutdown-timeout", Allowed, int!(shutdown_timeout, 0, INT)),
    S::new("stream-node-max-bytes", Allowed, memory!(stream_node_max_bytes, 0)),
    S::new("stream-node-max-entries", Allowed, int!(stream_node_max_entries, 0, i64::MAX)),
    S::new("tcp-backlog", Immutable, int!(tcp_backlog, 0, INT)),
    S::new("tcp-keepalive", Allowed, int!(tcp_keepalive, 0, INT)),
    S::new("timeout", Allowed, int!(timeout, 0, INT)),
];

/// Why `save` and `appendonly` cannot be turned on.
const NO_FILES: &str = "this server keeps its data in memory only";
/// The values of `enable-debug-command`.
const YES_NO_LOCAL: &[&str] = &["no", "yes", "local"];
/// The values of `maxmemory-policy`.
const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];
/// The values of `loglevel`, in the order of [`LogLevel`].
const LEVELS: &[&str] = &["debug", "verbose", "notice", "warning"];

/// A word as text, for addresses and names of hosts. Bytes that are not UTF-8 are replaced; no address has them.
fn text_of(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

/// `loglevel`.
const LOG_LEVEL: Kind = Kind::Choice {
    get: |c| LEVELS[c.loglevel as usize],
    set: |c, v| {
        c.loglevel = match v {
            "debug" => LogLevel::Debug,
            "verbose" => LogLevel::Verbose,
            "warning" => LogLevel::Warning,
            _ => LogLevel::Notice,
        }
    },
    of: LEVELS,
};

/// The log keeps its level itself.
fn apply_log_level(server: &State, config: &Config) -> Result<(), String> {
    server.log.set_level(config.loglevel);
    Ok(())
}

/// How many files may be open in addition to the connections of clients.
const OTHER_FILES: u64 = 32;

/// Raises the system's limit on open files, because each client is an open file.
fn apply_maxclients(_: &State, config: &Config) -> Result<(), String> {
    let wanted = u64::from(config.maxclients) + OTHER_FILES;
    let possible = sys::raise_open_files(wanted);
    if possible >= wanted {
        return Ok(());
    }
    Err(format!(
        "The operating system is not able to handle the specified number of clients, try with {}",
        possible.saturating_sub(OTHER_FILES)
    ))
}

/// `repl-backlog-size`, in bytes.
const BACKLOG_SIZE: Kind = Kind::Memory {
    get: |c| c.repl_backlog_size,
    // Smaller values are raised to the smallest backlog, as in Redis.
    set: |c, bytes| c.repl_backlog_size = bytes.max(16 * 1024),
    min: 1,
};

/// The journal keeps the size of the backlog itself.
fn apply_backlog_size(server: &State, config: &Config) -> Result<(), String> {
    server.journal.set_backlog(config.repl_backlog_size as u64);
    Ok(())
}

/// Accepts only a name, because the file lies in `dir`.
fn set_dbfilename(config: &mut Config, name: &[u8]) -> Result<(), String> {
    if name.iter().any(|b| matches!(b, b'/' | b'\\')) {
        return Err("dbfilename can't be a path, just a filename".into());
    }
    config.dbfilename = PathBuf::from(OsStr::from_bytes(name));
    Ok(())
}

/// Checks the directory, but does not change the working directory, which belongs to the process and not to one server.
/// A relative path starts from the old `dir`.
fn set_dir(config: &mut Config, path: &[u8]) -> Result<(), String> {
    if path.is_empty() {
        return Err("No such file or directory".into());
    }
    let path = config.dir.join(Path::new(OsStr::from_bytes(path)));
    let found = fs::metadata(&path).map_err(|e| system_text(&e))?;
    if !found.is_dir() {
        return Err("Not a directory".into());
    }
    config.dir = fs::canonicalize(&path).map_err(|e| system_text(&e))?;
    Ok(())
}

/// Accepts any path. The file is opened when the server starts.
fn set_logfile(config: &mut Config, path: &[u8]) -> Result<(), String> {
    config.logfile = PathBuf::from(OsStr::from_bytes(path));
    Ok(())
}

/// `bind`: addresses to listen on. One empty word means no address.
const BIND: Kind = Kind::List {
    get: |c| c.bind.join(" "),
    set: |c, words| {
        if words.len() > 16 {
            return Err("Too many bind addresses specified.".into());
        }
        let words = if words == [b""] { &[] } else { words };
        c.bind = words.iter().map(|w| text_of(w)).collect();
        Ok(())
    },
    lines: |c| {
        let none = c.bind.is_empty();
        vec![if none {
            "\"\"".into()
        } else {
            c.bind.join(" ")
        }]
    },
};

/// `replicaof host port`; `no one` means no primary.
const REPLICAOF: Kind = Kind::List {
    get: |c| replicaof_lines(c).pop().unwrap_or_default(),
    set: |c, words| {
        let [host, port] = words else {
            return Err("wrong number of arguments".into());
        };
        let no_one = host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one");
        c.replicaof = if no_one {
            None
        } else {
            let port = number::parse_i64_lenient(port).and_then(|p| u16::try_from(p).ok());
            Some((text_of(host), port.ok_or("Invalid master port")?))
        };
        Ok(())
    },
    lines: replicaof_lines,
};

/// The value of the line of `replicaof`; no line if there is no primary.
fn replicaof_lines(config: &Config) -> Vec<String> {
    let line = |(host, port): &(String, u16)| format!("{host} {port}");
    config.replicaof.iter().map(line).collect()
}

/// `client-output-buffer-limit class hard soft seconds`, for any number of classes.
const OUTPUT_LIMITS: Kind = Kind::List {
    get: |c| {
        let class = |name, l: Limit| format!("{name} {} {} {}", l.hard, l.soft, l.soft_seconds);
        let normal = class("normal", c.normal_limit);
        let replica = class("slave", c.replica_limit);
        format!("{normal} {replica} {}", class("pubsub", c.pubsub_limit))
    },
    set: set_output_limits,
    lines: |c| {
        let class = |name, l: Limit| {
            let (hard, soft) = (format_memory(l.hard), format_memory(l.soft));
            format!("{name} {hard} {soft} {}", l.soft_seconds)
        };
        vec![
            class("normal", c.normal_limit),
            class("replica", c.replica_limit),
            class("pubsub", c.pubsub_limit),
        ]
    },
};

/// Sets the limits of the classes that are named.
fn set_output_limits(config: &mut Config, words: &[&[u8]]) -> Result<(), String> {
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    // All classes are checked before one is changed.
    let mut next = (
        config.normal_limit,
        config.replica_limit,
        config.pubsub_limit,
    );
    for class in words.chunks_exact(4) {
        let limit = match class[0].to_ascii_lowercase().as_slice() {
            b"normal" => &mut next.0,
            b"slave" | b"replica" => &mut next.1,
            b"pubsub" => &mut next.2,
            _ => {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
        };
        let parsed = || {
            Some(Limit {
                hard: number::parse_memory(class[1])?,
                soft: number::parse_memory(class[2])?,
                soft_seconds: number::parse_i64_lenient(class[3])?.try_into().ok()?,
            })
        };
        *limit = parsed()
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    (
        config.normal_limit,
        config.replica_limit,
        config.pubsub_limit,
    ) = next;
    Ok(())
}

/// A number of bytes with the largest unit that keeps it exact, as CONFIG REWRITE writes it.
pub fn format_memory(bytes: u64) -> String {
    let units = [(1 << 30, "gb"), (1 << 20, "mb"), (1 << 10, "kb")];
    let fits = |(size, _): &&(u64, &str)| bytes > 0 && bytes.is_multiple_of(*size);
    match units.iter().find(fits) {
        Some((size, unit)) => format!("{}{unit}", bytes / size),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(config: &mut Config, name: &str, text: &str) -> Result<String, String> {
        let (setting, _) = find(name.as_bytes()).unwrap();
        setting.set_text(config, text.as_bytes())?;
        Ok(String::from_utf8(setting.get(config)).unwrap())
    }

    #[test]
    fn the_table_is_sorted_and_every_default_is_acceptable() {
        assert!(SETTINGS.is_sorted_by_key(|s| s.name));
        let mut config = Config::default();
        for setting in SETTINGS.iter().filter(|s| s.name != "replicaof") {
            let value = setting.get(&config);
            setting
                .set_text(&mut config, &value)
                .unwrap_or_else(|e| panic!("{}: {e}", setting.name));
            assert_eq!(setting.get(&config), value, "{}", setting.name);
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_by_their_old_name() {
        let name = |text: &[u8]| find(text).map(|(setting, name)| (setting.name, name));
        assert_eq!(name(b"TimeOut"), Some(("timeout", "timeout")));
        assert_eq!(name(b"SLAVEOF"), Some(("replicaof", "slaveof")));
        assert_eq!(name(b"nosuch"), None);
    }

    #[test]
    fn a_fixed_setting_tells_a_bad_value_from_one_that_is_not_supported() {
        let mut c = Config::default();
        let memory = "argument must be a memory value";
        assert_eq!(set(&mut c, "maxmemory", "abc"), Err(memory.into()));
        assert_eq!(set(&mut c, "maxmemory", "0kb"), Ok("0".into()));
        let no_limit = "this server does not limit its memory";
        assert_eq!(set(&mut c, "maxmemory", "1gb"), Err(no_limit.into()));
        let bad = "Invalid save parameters";
        for text in ["900", "0 1", "900 abc", "900 -1", "900  1"] {
            assert_eq!(set(&mut c, "save", text), Err(bad.into()), "{text}");
        }
        assert_eq!(set(&mut c, "save", "900 1"), Err(NO_FILES.into()));
        assert_eq!(set(&mut c, "save", ""), Ok("".into()));
        let yes_no = "argument must be 'yes' or 'no'";
        assert_eq!(set(&mut c, "repl-diskless-sync", "x"), Err(yes_no.into()));
        assert_eq!(set(&mut c, "repl-diskless-sync", "YES"), Ok("yes".into()));
        assert!(set(&mut c, "repl-diskless-sync", "no").is_err());
    }

    #[test]
    fn output_limits_are_set_by_class_and_all_or_none() {
        let mut c = Config::default();
        let get = set(
            &mut c,
            "client-output-buffer-limit",
            "normal 1mb 2kb 60 REPLICA 4 5 6",
        );
        let expected = "normal 1048576 2048 60 slave 4 5 6 pubsub 33554432 8388608 60";
        assert_eq!(get, Ok(expected.into()));
        for bad in [
            "normal 9 9",
            "normal 9 9 9 nosuch 1 2 3",
            "normal 9 9 -1",
            "normal  9 9 9",
        ] {
            assert!(set(&mut c, "client-output-buffer-limit", bad).is_err());
        }
        assert_eq!(
            set(&mut c, "client-output-buffer-limit", ""),
            Ok(expected.into())
        );
    }

    #[test]
    fn sizes_are_written_with_a_unit_if_that_is_exact() {
        let sizes = [0, 1, 1024, 1 << 20, 3 << 30, (1 << 20) + 1];
        let texts = sizes.map(format_memory);
        assert_eq!(texts, ["0", "1", "1kb", "1mb", "3gb", "1048577"]);
    }
}
