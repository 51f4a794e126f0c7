//! The sections `stats`, `commandstats` and `errorstats` of INFO. They show the counters of [`crate::state::stats`].

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use super::lines;
use crate::commands::context::Context;

/// The section `stats`: counters of the whole server. A session's own counters are added to the shared ones at the end
/// of each batch, so those of the batch that INFO is part of are added here.
pub fn stats(ctx: &Context, text: &mut String) {
    let s = &ctx.server.stats;
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

/// The section `commandstats`: a line for every command that was called or refused.
pub fn commandstats(ctx: &Context, text: &mut String) {
    for stats in &ctx.server.stats.commands {
        let [calls, nanos, rejected, failed] =
            [&stats.calls, &stats.nanos, &stats.rejected, &stats.failed].map(|f| f.load(Relaxed));
        if calls + rejected + failed == 0 {
            continue;
        }
        let usec = nanos / 1000;
        let each = nanos as f64 / 1000.0 / calls.max(1) as f64;
        let _ = write!(
            text,
            "cmdstat_{}:calls={calls},usec={usec},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}\r\n",
            stats.name
        );
    }
}

/// The section `errorstats`: a line for every error code that was sent.
pub fn errorstats(ctx: &Context, text: &mut String) {
    for (code, count) in ctx.server.stats.errors() {
        let code = String::from_utf8_lossy(&code);
        // Writing into a `String` cannot fail.
        let _ = write!(text, "errorstat_{code}:count={count}\r\n");
    }
}
