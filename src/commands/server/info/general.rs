//! The sections `server`, `clients`, `persistence` and `cpu` of INFO.

use std::sync::atomic::Ordering::Relaxed;

use super::lines;
use crate::VERSION;
use crate::commands::context::Context;
use crate::state::clients::Client;
use crate::util::clock;

/// The section `server`: version, process, port and uptime.
pub fn server(ctx: &Context, text: &mut String) {
    let shared = ctx.server;
    let uptime = shared.started.elapsed().as_secs();
    let config_file = ctx.config.file.as_ref();
    let config_file = config_file.map(|path| path.display().to_string());
    let config_file = config_file.unwrap_or_default();
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
        "executable": shared.stats.executable,
        "config_file": config_file,
        "io_threads_active": 0,
    );
    if let Some(time) = shared.shutdown.time_left() {
        lines!(text, "shutdown_in_milliseconds": time.as_millis());
    }
}

/// The section `clients`: numbers of connections, and the largest buffers in bytes.
pub fn clients(ctx: &Context, text: &mut String) {
    let shared = ctx.server;
    let clients = shared.clients.all();
    let largest = |of: fn(&Client) -> usize| clients.iter().map(|c| of(c)).max().unwrap_or(0);
    lines!(text,
        "connected_clients": clients.len(),
        "cluster_connections": 0,
        "maxclients": ctx.config.maxclients,
        "client_recent_max_input_buffer": largest(|c| c.input_capacity.load(Relaxed)),
        "client_recent_max_output_buffer": largest(|c| c.output_capacity.load(Relaxed)),
        "blocked_clients": shared.blocking.len(),
        "tracking_clients": 0,
        "clients_in_timeout_table": clients.iter().filter(|c| c.is_blocked_with_timeout()).count(),
    );
}

/// The section `persistence`. This server saves no data yet, so most values are constants. `rdb_last_save_time` is the
/// time of its start, and `rdb_changes_since_last_save` counts since then.
pub fn persistence(ctx: &Context, text: &mut String) {
    lines!(text,
        "loading": 0,
        "async_loading": 0,
        "rdb_changes_since_last_save": ctx.server.stats.dirty.load(Relaxed),
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": ctx.server.last_save.load(Relaxed),
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

/// The section `cpu`: seconds of processor time that the process has used in user mode and in the kernel. The cron
/// reads them once per second.
pub fn cpu(ctx: &Context, text: &mut String) {
    let (user, system) = ctx.server.stats.process().cpu_seconds;
    lines!(text,
        "used_cpu_sys": format!("{system:.6}"),
        "used_cpu_user": format!("{user:.6}"),
    );
}
