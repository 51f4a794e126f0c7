//! The section `replication` of INFO. One part is about the link to the primary; only a replica shows it. The other
//! part is about the replicas of this server, and about the log and its history; every server shows it, because a
//! replica can have replicas too.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::lines;
use crate::commands::context::Context;
use crate::state::lock;
use crate::state::replication::{LinkState, Stage};

/// The section `replication`: the role of the server, its replicas, and the history of the log.
pub fn replication(ctx: &Context, text: &mut String) {
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

/// Appends what only a replica shows: its primary and the state of the link to it.
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
