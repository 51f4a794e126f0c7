//! The section `memory` of INFO.
//!
//! `used_memory` comes from the counting allocator of this project's program. A program that embeds the server without
//! that allocator shows the resident size of the process instead.

use std::sync::atomic::Ordering::Relaxed;

use super::lines;
use crate::commands::context::Context;
use crate::util::number;

/// Bytes by which a client is counted in `used_memory_overhead` besides its read buffer. An estimate.
const BYTES_PER_CLIENT: u64 = 4096;

/// The section `memory`. The cron reads the resident size once per second.
pub fn memory(ctx: &Context, text: &mut String) {
    let process = ctx.server.stats.process();
    let (used, rss) = (ctx.server.stats.used_memory(), process.resident_bytes);
    let peak = ctx
        .server
        .stats
        .peak_memory
        .fetch_max(used, Relaxed)
        .max(used);
    let total = process.total_memory;
    let overhead: u64 = ctx
        .server
        .clients
        .all()
        .iter()
        .map(|c| c.input_capacity.load(Relaxed) as u64 + BYTES_PER_CLIENT)
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
