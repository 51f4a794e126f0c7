//! The table of settings: a row for each, with its name, what values it takes and whether it can be changed
//! while the server runs.
//!
//! The command line, the configuration file, CONFIG GET, SET and REWRITE all read this table and nothing else. A setting
//! of Redis that is not in it is unknown here and gets Redis's error for an unknown one; some are accepted at the one
//! value that says what this server does anyway (`save ""`).

use std::path::PathBuf;

use super::config::{Config, LogLevel};
use super::outbox::Limit;
use crate::util::number;

/// What values a setting takes, and where they are.
pub enum Kind {
    Int {
        get: fn(&Config) -> i64,
        set: fn(&mut Config, i64),
        min: i64,
        max: i64,
    },
    /// An integer that may have a unit, as `1gb`.
    Memory {
        get: fn(&Config) -> i64,
        set: fn(&mut Config, i64),
        min: i64,
    },
    Bool {
        get: fn(&Config) -> bool,
        set: fn(&mut Config, bool),
    },
    Text {
        get: fn(&Config) -> String,
        set: fn(&mut Config, &str),
    },
    Choice {
        get: fn(&Config) -> &'static str,
        set: fn(&mut Config, &'static str),
        of: &'static [&'static str],
    },
    /// Several words.
    List {
        get: fn(&Config) -> String,
        set: fn(&mut Config, &[String]) -> Result<(), String>,
    },
    /// One value, which is what this server does; anything else is refused.
    Fixed {
        value: &'static str,
        why: &'static str,
    },
}

/// A row of the table of settings.
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether CONFIG SET may change it.
    pub change: Change,
    /// The name it had before.
    pub alias: Option<&'static str>,
}

/// What CONFIG SET may do to a setting.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Change {
    Allowed,
    Immutable,
    Protected,
}

impl Setting {
    const fn alias(self, alias: &'static str) -> Setting {
        Setting {
            alias: Some(alias),
            ..self
        }
    }

    /// Its name, and the name it had before.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        [Some(self.name), self.alias].into_iter().flatten()
    }

    /// The value, as CONFIG GET shows it.
    pub fn get(&self, config: &Config) -> String {
        match &self.kind {
            Kind::Int { get, .. } | Kind::Memory { get, .. } => get(config).to_string(),
            Kind::Bool { get, .. } => if get(config) { "yes" } else { "no" }.to_string(),
            Kind::Text { get, .. } | Kind::List { get, .. } => get(config),
            Kind::Choice { get, .. } => get(config).to_string(),
            Kind::Fixed { value, .. } => value.to_string(),
        }
    }

    /// Sets the value from its text. Fails with Redis's words.
    pub fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        let bounded = |value: i64, min: i64, max: i64| {
            let fits = (min..=max).contains(&value);
            fits.then_some(value)
                .ok_or_else(|| format!("argument must be between {min} and {max} inclusive"))
        };
        match &self.kind {
            Kind::Int { set, min, max, .. } => {
                let value = number::parse_i64(text.as_bytes())
                    .ok_or("argument couldn't be parsed into an integer")?;
                set(config, bounded(value, *min, *max)?);
            }
            Kind::Memory { set, min, .. } => {
                let value = number::parse_memory(text)
                    .filter(|&n| n >= 0)
                    .ok_or("argument must be a memory value")?;
                set(config, bounded(value, *min, i64::MAX)?);
            }
            Kind::Bool { set, .. } => match text.to_ascii_lowercase().as_str() {
                "yes" => set(config, true),
                "no" => set(config, false),
                _ => return Err("argument must be 'yes' or 'no'".into()),
            },
            Kind::Text { set, .. } => set(config, text),
            Kind::Choice { set, of, .. } => {
                let choice = of.iter().find(|c| c.eq_ignore_ascii_case(text));
                let error = || {
                    format!(
                        "argument(s) must be one of the following: {}",
                        of.join(", ")
                    )
                };
                set(config, choice.ok_or_else(error)?);
            }
            Kind::List { set, .. } => {
                let words: Vec<String> = text.split_whitespace().map(str::to_string).collect();
                set(config, &words)?;
            }
            Kind::Fixed { value, why } => {
                if !text.eq_ignore_ascii_case(value) {
                    return Err(why.to_string());
                }
            }
        }
        Ok(())
    }
}

/// The setting with this name, in any case.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|s| s.names().any(|n| n.eq_ignore_ascii_case(name)))
}

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

macro_rules! memory {
    ($field:ident, $min:expr) => {
        Kind::Memory {
            get: |c| c.$field,
            set: |c, v| c.$field = v,
            min: $min,
        }
    };
}

macro_rules! text {
    ($field:ident) => {
        Kind::Text {
            get: |c| c.$field.clone(),
            set: |c, v| c.$field = v.to_string(),
        }
    };
}

const fn row(name: &'static str, change: Change, kind: Kind) -> Setting {
    Setting {
        name,
        kind,
        change,
        alias: None,
    }
}

const NO_SNAPSHOTS: &str = "this server keeps its data in memory only";
const YES_NO_LOCAL: &[&str] = &["no", "yes", "local"];
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
const LEVELS: &[&str] = &["debug", "verbose", "notice", "warning"];

use Change::{Allowed, Immutable, Protected};

/// `HOST PORT`, as two words or as one; `no one` is no primary.
fn set_replicaof(config: &mut Config, words: &[String]) -> Result<(), String> {
    let joined = words.join(" ");
    let words: Vec<&str> = joined.split_whitespace().collect();
    config.replicaof = match words.as_slice() {
        [] => None,
        [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => None,
        [host, port] => {
            let port = port
                .parse()
                .ok()
                .filter(|&p| p > 0)
                .ok_or("Invalid master port")?;
            Some((host.to_string(), port))
        }
        _ => return Err("wrong number of arguments".into()),
    };
    Ok(())
}

const PUBSUB_LIMIT: &str = "pubsub 33554432 8388608 60";

/// `class hard soft seconds`, for any number of classes. Only replicas have limits here; the others take what they have
/// always.
fn set_output_limits(config: &mut Config, words: &[String]) -> Result<(), String> {
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limit = config.replica_limit;
    for class in words.chunks_exact(4) {
        let bad = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        let bytes = |i: usize| {
            let n = number::parse_memory(&class[i]).and_then(|n| u64::try_from(n).ok());
            n.ok_or(bad)
        };
        let soft_seconds = class[3].parse().map_err(|_| bad)?;
        let (hard, soft) = (bytes(1)?, bytes(2)?);
        match class[0].to_ascii_lowercase().as_str() {
            "slave" | "replica" => {
                limit = Limit {
                    hard,
                    soft,
                    soft_seconds,
                }
            }
            "normal" if (hard, soft) == (0, 0) => {}
            "pubsub" if format!("pubsub {hard} {soft} {soft_seconds}") == PUBSUB_LIMIT => {}
            "normal" | "pubsub" => return Err("only replicas can be limited".into()),
            _ => {
                return Err("Invalid client class specified in buffer limit configuration.".into());
            }
        }
    }
    config.replica_limit = limit;
    Ok(())
}

/// Every setting, by name.
pub static SETTINGS: &[Setting] = &[
    row(
        "appendonly",
        Allowed,
        Kind::Fixed {
            value: "no",
            why: NO_SNAPSHOTS,
        },
    ),
    row(
        "bind",
        Immutable,
        Kind::List {
            get: |c| c.bind.join(" "),
            set: |c, words| {
                c.bind = words.to_vec();
                Ok(())
            },
        },
    ),
    row(
        "client-output-buffer-limit",
        Allowed,
        Kind::List {
            get: |c| {
                let Limit {
                    hard,
                    soft,
                    soft_seconds,
                } = c.replica_limit;
                format!("normal 0 0 0 slave {hard} {soft} {soft_seconds} {PUBSUB_LIMIT}")
            },
            set: set_output_limits,
        },
    ),
    row(
        "client-query-buffer-limit",
        Allowed,
        memory!(client_query_buffer_limit, 1 << 20),
    ),
    row(
        "daemonize",
        Immutable,
        Kind::Fixed {
            value: "no",
            why: "this server stays in the foreground",
        },
    ),
    row("databases", Immutable, int!(databases, 1, i32::MAX as i64)),
    row("dbfilename", Protected, text!(dbfilename)),
    row(
        "dir",
        Protected,
        Kind::Text {
            get: |c| c.dir.display().to_string(),
            set: |c, v| c.dir = PathBuf::from(v),
        },
    ),
    row(
        "enable-debug-command",
        Immutable,
        Kind::Choice {
            get: |c| c.enable_debug_command,
            set: |c, v| c.enable_debug_command = v,
            of: YES_NO_LOCAL,
        },
    ),
    row(
        "hz",
        Allowed,
        Kind::Int {
            get: |c| c.hz.into(),
            set: |c, v| c.hz = v.clamp(1, 500) as u32,
            min: 0,
            max: i32::MAX as i64,
        },
    ),
    row(
        "lfu-decay-time",
        Allowed,
        int!(lfu_decay_time, 0, i32::MAX as i64),
    ),
    row(
        "lfu-log-factor",
        Allowed,
        int!(lfu_log_factor, 0, i32::MAX as i64),
    ),
    row("logfile", Immutable, text!(logfile)),
    row(
        "loglevel",
        Allowed,
        Kind::Choice {
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
        },
    ),
    row("masterauth", Allowed, text!(masterauth)),
    row("masteruser", Allowed, text!(masteruser)),
    row("maxclients", Allowed, int!(maxclients, 1, u32::MAX as i64)),
    row(
        "maxmemory",
        Allowed,
        Kind::Fixed {
            value: "0",
            why: "this server does not limit its memory",
        },
    ),
    row(
        "maxmemory-policy",
        Allowed,
        Kind::Choice {
            get: |c| c.maxmemory_policy,
            set: |c, v| c.maxmemory_policy = v,
            of: POLICIES,
        },
    ),
    row(
        "min-replicas-max-lag",
        Allowed,
        int!(min_replicas_max_lag, 0, i32::MAX as i64),
    )
    .alias("min-slaves-max-lag"),
    row(
        "min-replicas-to-write",
        Allowed,
        int!(min_replicas_to_write, 0, i32::MAX as i64),
    )
    .alias("min-slaves-to-write"),
    row("port", Immutable, int!(port, 0, 65535)),
    row(
        "protected-mode",
        Allowed,
        Kind::Bool {
            get: |c| c.protected_mode,
            set: |c, v| c.protected_mode = v,
        },
    ),
    row(
        "proto-max-bulk-len",
        Allowed,
        memory!(proto_max_bulk_len, 1 << 20),
    ),
    row(
        "repl-backlog-size",
        Allowed,
        Kind::Memory {
            get: |c| c.repl_backlog_size,
            // Less is taken for a wish for as little as there can be.
            set: |c, bytes| c.repl_backlog_size = bytes.max(16 * 1024),
            min: 1,
        },
    ),
    row(
        "repl-backlog-ttl",
        Allowed,
        int!(repl_backlog_ttl, 0, i32::MAX as i64),
    ),
    row(
        "repl-diskless-sync-delay",
        Allowed,
        int!(repl_diskless_sync_delay, 0, i32::MAX as i64),
    ),
    row(
        "repl-ping-replica-period",
        Allowed,
        int!(repl_ping_replica_period, 1, i32::MAX as i64),
    )
    .alias("repl-ping-slave-period"),
    row(
        "repl-timeout",
        Allowed,
        int!(repl_timeout, 1, i32::MAX as i64),
    ),
    row("replica-announce-ip", Allowed, text!(replica_announce_ip)).alias("slave-announce-ip"),
    row(
        "replica-announce-port",
        Allowed,
        int!(replica_announce_port, 0, 65535),
    )
    .alias("slave-announce-port"),
    row(
        "replica-announced",
        Allowed,
        Kind::Bool {
            get: |c| c.replica_announced,
            set: |c, v| c.replica_announced = v,
        },
    ),
    row(
        "replica-priority",
        Allowed,
        int!(replica_priority, 0, i32::MAX as i64),
    )
    .alias("slave-priority"),
    row(
        "replica-read-only",
        Allowed,
        Kind::Bool {
            get: |c| c.replica_read_only,
            set: |c, v| c.replica_read_only = v,
        },
    )
    .alias("slave-read-only"),
    row(
        "replica-serve-stale-data",
        Allowed,
        Kind::Bool {
            get: |c| c.replica_serve_stale_data,
            set: |c, v| c.replica_serve_stale_data = v,
        },
    )
    .alias("slave-serve-stale-data"),
    row(
        "replicaof",
        Immutable,
        Kind::List {
            get: |c| {
                c.replicaof
                    .as_ref()
                    .map(|(host, port)| format!("{host} {port}"))
                    .unwrap_or_default()
            },
            set: set_replicaof,
        },
    )
    .alias("slaveof"),
    row("requirepass", Allowed, text!(requirepass)),
    row(
        "save",
        Allowed,
        Kind::Fixed {
            value: "",
            why: NO_SNAPSHOTS,
        },
    ),
    row(
        "stream-node-max-bytes",
        Allowed,
        memory!(stream_node_max_bytes, 0),
    ),
    row(
        "stream-node-max-entries",
        Allowed,
        int!(stream_node_max_entries, 0, i64::MAX),
    ),
    row(
        "tcp-backlog",
        Immutable,
        int!(tcp_backlog, 0, i32::MAX as i64),
    ),
    row(
        "tcp-keepalive",
        Allowed,
        int!(tcp_keepalive, 0, i32::MAX as i64),
    ),
    row("timeout", Allowed, int!(timeout, 0, i32::MAX as i64)),
];
