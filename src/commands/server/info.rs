//! INFO: what the server is and does, in sections of `name:value` lines.

use crate::commands::command::Handler::ReadAll;
use crate::commands::command::flags::{LOADING, STALE};
use crate::commands::command::{Command, acl, cmd};
use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::VERSION;
use crate::commands::context::{CommandResult, Context};
use crate::state::lock;
use crate::state::replication::{LinkState, Stage};
use crate::store::Store;
use crate::sys;
use crate::util::{clock, number, process};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("info", -1, ReadAll(info), LOADING | STALE, acl::DANGEROUS, &[])
        .doc("server", "1.0.0", "O(1)", "[section]...",
             "Reports what the server is and does, section by section.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
];

/// The sections, in Redis's order, and whether plain INFO shows them.
const SECTIONS: &[(&str, bool)] = &[
    ("server", true),
    ("clients", true),
    ("memory", true),
    ("persistence", true),
    ("stats", true),
    ("replication", true),
    ("cpu", true),
    ("modules", true),
    ("commandstats", false),
    ("errorstats", true),
    ("cluster", true),
    ("keyspace", true),
];

pub fn info(ctx: &mut Context, store: &Store) -> CommandResult {
    let asked: Vec<String> = ctx
        .args
        .iter_from(1)
        .map(|a| String::from_utf8_lossy(a).to_lowercase())
        .collect();
    let shown = |&&(name, default): &&(&str, bool)| {
        asked
            .iter()
            .any(|a| a == name || a == "all" || a == "everything" || a == "default" && default)
            || asked.is_empty() && default
    };
    let mut text = String::new();
    for (name, _) in SECTIONS.iter().filter(shown) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        section(ctx, store, name, &mut text);
    }
    ctx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Appends `name:value` lines.
macro_rules! lines {
    ($text:expr, $($name:literal: $value:expr),* $(,)?) => {{
        // Writing into a `String` cannot fail.
        $(let _ = write!($text, concat!($name, ":{}\r\n"), $value);)*
    }};
}

fn section(ctx: &Context, store: &Store, name: &str, text: &mut String) {
    let shared = ctx.server;
    let mut title = name.to_string();
    title[..1].make_ascii_uppercase();
    let title = if name == "cpu" {
        "CPU".to_string()
    } else {
        title
    };
    let _ = write!(text, "# {title}\r\n");
    match name {
        "server" => {
            let uptime = shared.started.elapsed().as_secs();
            let path = |p: std::io::Result<std::path::PathBuf>| {
                p.map(|p| p.display().to_string()).unwrap_or_default()
            };
            lines!(text,
                "redis_version": VERSION,
                "redis_git_sha1": "00000000",
                "redis_git_dirty": 0,
                "redis_build_id": "0",
                "redis_mode": "standalone",
                "os": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
                "arch_bits": usize::BITS,
                "monotonic_clock": "POSIX clock_gettime",
                "multiplexing_api": "threads",
                "process_id": std::process::id(),
                "process_supervised": "no",
                "run_id": shared.run_id,
                "tcp_port": shared.port(),
                "server_time_usec": clock::since_epoch().as_micros(),
                "uptime_in_seconds": uptime,
                "uptime_in_days": uptime / 86400,
                "hz": ctx.config.hz,
                "configured_hz": ctx.config.hz,
                "lru_clock": (ctx.now / 1000) & 0xFF_FFFF,
                "executable": path(std::env::current_exe()),
                "config_file": ctx.config.file.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
                "io_threads_active": 0,
            );
            if let Some(time) = ctx.server.shutdown.time_left() {
                lines!(text, "shutdown_in_milliseconds": time.as_millis());
            }
        }
        "clients" => {
            let clients = shared.clients.all();
            let largest = |of: fn(&crate::state::clients::Client) -> usize| {
                clients.iter().map(|c| of(c)).max().unwrap_or(0)
            };
            lines!(text,
                "connected_clients": clients.len(),
                "cluster_connections": 0,
                "maxclients": ctx.config.maxclients,
                "client_recent_max_input_buffer": largest(|c| c.input_capacity.load(Relaxed)),
                "client_recent_max_output_buffer": largest(|c| c.output_capacity.load(Relaxed)),
                "blocked_clients": shared.blocking.len(),
                "tracking_clients": 0,
                "clients_in_timeout_table": clients.iter().filter(|c| c.is_blocked()).count(),
            );
        }
        "memory" => memory(ctx, text),
        "persistence" => {
            lines!(text,
                "loading": 0,
                "async_loading": 0,
                "rdb_changes_since_last_save": shared.stats.dirty.load(Relaxed),
                "rdb_bgsave_in_progress": 0,
                "rdb_last_save_time": shared.last_save.load(Relaxed),
                "rdb_last_bgsave_status": "ok",
                "rdb_last_bgsave_time_sec": -1,
                "rdb_current_bgsave_time_sec": -1,
                "rdb_saves": 0,
                "aof_enabled": 0,
                "aof_rewrite_in_progress": 0,
                "aof_rewrite_scheduled": 0,
                "aof_last_rewrite_time_sec": -1,
                "aof_current_rewrite_time_sec": -1,
                "aof_last_bgrewrite_status": "ok",
                "aof_last_write_status": "ok",
            );
        }
        "stats" => {
            let s = &shared.stats;
            let [commands, input, output] = s.rates();
            lines!(text,
                "total_connections_received": s.connections.load(Relaxed),
                "total_commands_processed": s.processed.load(Relaxed),
                "instantaneous_ops_per_sec": commands as u64,
                "total_net_input_bytes": s.input_bytes.load(Relaxed) + ctx.session.input_bytes.get(),
                "total_net_output_bytes": s.output_bytes.load(Relaxed) + ctx.session.output_bytes.get(),
                "total_net_repl_input_bytes": s.repl_input_bytes.load(Relaxed),
                "total_net_repl_output_bytes": s.repl_output_bytes.load(Relaxed),
                "instantaneous_input_kbps": format!("{:.2}", input / 1024.0),
                "instantaneous_output_kbps": format!("{:.2}", output / 1024.0),
                "rejected_connections": s.rejected_connections.load(Relaxed),
                "sync_full": s.sync_full.load(Relaxed),
                "sync_partial_ok": s.sync_partial_ok.load(Relaxed),
                "sync_partial_err": s.sync_partial_err.load(Relaxed),
                "expired_keys": s.expired.load(Relaxed),
                "expire_cycle_cpu_milliseconds": s.expire_nanos.load(Relaxed) / 1_000_000,
                "evicted_keys": 0,
                "evicted_clients": 0,
                "keyspace_hits": s.hits.load(Relaxed) + ctx.session.hits.get(),
                "keyspace_misses": s.misses.load(Relaxed) + ctx.session.misses.get(),
                "pubsub_channels": 0,
                "pubsub_patterns": 0,
                "latest_fork_usec": 0,
                "total_forks": 0,
                "migrate_cached_sockets": 0,
                "total_error_replies": s.errors().values().sum::<u64>(),
                "unexpected_error_replies": 0,
            );
        }
        "replication" => replication(ctx, text),
        "cpu" => {
            let (user, system) = process::cpu_seconds();
            lines!(text,
                "used_cpu_sys": format!("{system:.6}"),
                "used_cpu_user": format!("{user:.6}"),
            );
        }
        "commandstats" => {
            for stats in &shared.stats.commands {
                let [calls, nanos, rejected, failed] =
                    [&stats.calls, &stats.nanos, &stats.rejected, &stats.failed]
                        .map(|f| f.load(Relaxed));
                if calls + rejected + failed == 0 {
                    continue;
                }
                let usec = nanos / 1000;
                let each = if calls == 0 {
                    0.0
                } else {
                    nanos as f64 / 1000.0 / calls as f64
                };
                let _ = write!(
                    text,
                    "cmdstat_{}:calls={calls},usec={usec},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}\r\n",
                    stats.name
                );
            }
        }
        "errorstats" => {
            for (code, count) in shared.stats.errors() {
                let _ = write!(
                    text,
                    "errorstat_{}:count={count}\r\n",
                    String::from_utf8_lossy(&code)
                );
            }
        }
        "cluster" => {
            lines!(text, "cluster_enabled": 0);
        }
        "keyspace" => {
            for (i, db) in store
                .dbs
                .iter()
                .enumerate()
                .filter(|(_, db)| !db.is_empty())
            {
                let _ = write!(
                    text,
                    "db{i}:keys={},expires={},avg_ttl={}\r\n",
                    db.len(),
                    db.volatile_len(),
                    db.average_ttl(ctx.now)
                );
            }
        }
        _ => {}
    }
}

fn replication(ctx: &Context, text: &mut String) {
    let shared = ctx.server;
    let offset = shared.journal.end();
    let primary = shared.settings.current().replicaof.clone();
    if let Some((host, port)) = &primary {
        replica_side(ctx, text, host, *port);
    } else {
        lines!(text, "role": "master");
    }
    let replicas = shared.replicas.all();
    lines!(text, "connected_slaves": replicas.len());
    if ctx.config.min_replicas_to_write > 0 && ctx.config.min_replicas_max_lag > 0 {
        let lag = i64::from(ctx.config.min_replicas_max_lag);
        lines!(text, "min_slaves_good_slaves": shared.replicas.good(lag, ctx.now));
    }
    for (i, replica) in replicas.iter().enumerate() {
        let (ip, port) = replica.address();
        let acked = replica.acked.load(Relaxed);
        let stage = replica.stage();
        let lag = match stage {
            Stage::Online => replica.lag_ms(ctx.now) / 1000,
            _ => 0,
        };
        let stage = stage.name();
        let _ = write!(
            text,
            "slave{i}:ip={ip},port={port},state={stage},offset={acked},lag={lag}\r\n"
        );
    }
    let history = lock(&shared.history).clone();
    let active = shared.journal.is_active();
    let (first, len) = shared.journal.backlog();
    lines!(text,
        "master_failover_state": shared.failover.phase().name(),
        "master_replid": history.replid,
        "master_replid2": history.replid2,
        "master_repl_offset": offset,
        "second_repl_offset": history.second_offset.map_or(-1, |at| at as i64),
        "repl_backlog_active": i32::from(active),
        "repl_backlog_size": ctx.config.repl_backlog_size,
        "repl_backlog_first_byte_offset": if active { first + 1 } else { 0 },
        "repl_backlog_histlen": if active { len } else { 0 },
    );
}

/// What a replica says of its link.
fn replica_side(ctx: &Context, text: &mut String, host: &str, port: u16) {
    let (shared, config) = (ctx.server, ctx.config);
    let link = shared.link.status();
    let up = link.state == LinkState::Connected;
    let seconds = |since: Option<Instant>| since.map_or(-1, |at| at.elapsed().as_secs() as i64);
    let offset = shared.journal.end();
    lines!(text,
        "role": "slave",
        "master_host": host,
        "master_port": port,
        "master_link_status": if up { "up" } else { "down" },
        "master_last_io_seconds_ago": if up { seconds(link.last_io) } else { -1 },
        "master_sync_in_progress": i32::from(link.state == LinkState::Sync),
        "slave_read_repl_offset": offset,
        "slave_repl_offset": offset,
    );
    if link.state == LinkState::Sync {
        let read = link.sync_read;
        let left = link
            .sync_total
            .map_or(-1, |total| total.saturating_sub(read) as i64);
        let percent = link
            .sync_total
            .map_or(0.0, |all| read as f64 * 100.0 / all.max(1) as f64);
        lines!(text,
            "master_sync_total_bytes": link.sync_total.unwrap_or(0),
            "master_sync_read_bytes": read,
            "master_sync_left_bytes": left,
            "master_sync_perc": format!("{percent:.2}"),
            "master_sync_last_io_seconds_ago": seconds(link.last_io),
        );
    }
    if !up {
        lines!(text, "master_link_down_since_seconds": seconds(link.down_since));
    }
    lines!(text,
        "slave_priority": config.replica_priority,
        "slave_read_only": i32::from(config.replica_read_only),
        "replica_announced": i32::from(config.replica_announced),
    );
}

fn memory(ctx: &Context, text: &mut String) {
    let (used, rss) = (sys::allocated_bytes(), process::resident_bytes());
    let peak = ctx
        .server
        .stats
        .peak_memory
        .fetch_max(used, Relaxed)
        .max(used);
    let total = process::total_memory();
    let overhead: u64 = ctx
        .server
        .clients
        .all()
        .iter()
        .map(|c| c.input_capacity.load(Relaxed) as u64 + 4096)
        .sum();
    let dataset = used.saturating_sub(overhead);
    let percent =
        |part: u64, whole: u64| format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64);
    lines!(text,
        "used_memory": used,
        "used_memory_human": number::human_bytes(used),
        "used_memory_rss": rss,
        "used_memory_rss_human": number::human_bytes(rss),
        "used_memory_peak": peak,
        "used_memory_peak_human": number::human_bytes(peak),
        "used_memory_peak_perc": percent(used, peak),
        "used_memory_overhead": overhead,
        "used_memory_startup": 0,
        "used_memory_dataset": dataset,
        "used_memory_dataset_perc": percent(dataset, used),
        "allocator_allocated": used,
        "allocator_active": rss,
        "allocator_resident": rss,
        "total_system_memory": total,
        "total_system_memory_human": number::human_bytes(total),
        "used_memory_lua": 0,
        "used_memory_scripts": 0,
        "maxmemory": 0,
        "maxmemory_human": "0B",
        "maxmemory_policy": ctx.config.maxmemory_policy,
        "mem_fragmentation_ratio": format!("{:.2}", rss as f64 / used.max(1) as f64),
        "mem_fragmentation_bytes": rss as i64 - used as i64,
        "mem_not_counted_for_evict": 0,
        "mem_replication_backlog": ctx.server.journal.memory(),
        "mem_clients_slaves": 0,
        "mem_clients_normal": overhead,
        "mem_aof_buffer": 0,
        "mem_allocator": "libc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": 0,
    );
}
