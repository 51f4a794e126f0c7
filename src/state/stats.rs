//! The figures of INFO.
//!
//! Counters are atomics. A client's thread counts in memory of its own, and adds its figures to these counters once per
//! batch, or once per run of the same command, and not once per command: see [`crate::execute`], `statistics.rs`. So
//! threads rarely write to the same memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::lock::{Lock, Rank, lock};
use crate::sys;
use crate::util::process::Figures;

/// Figures of one command.
pub struct CommandStats {
    /// The name that INFO and CLIENT LIST show.
    pub name: &'static str,
    /// How often the command was run.
    pub calls: AtomicU64,
    /// Nanoseconds that these calls took.
    pub nanos: AtomicU64,
    /// Calls that were refused before the command ran.
    pub rejected: AtomicU64,
    /// Calls that ran and replied with an error.
    pub failed: AtomicU64,
}

impl CommandStats {
    fn new(name: &'static str) -> CommandStats {
        CommandStats {
            name,
            calls: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }
}

/// Figures of the whole server. The first six are those that batches add to. They share one cache line of 64 bytes, so a
/// thread that adds to them fetches one line from another processor, and not six.
#[repr(C, align(64))]
pub struct Stats {
    /// Requests that were processed.
    pub processed: AtomicU64,
    /// Bytes received from clients.
    pub input_bytes: AtomicU64,
    /// Bytes of replies to clients.
    pub output_bytes: AtomicU64,
    /// Lookups by readers that found a key.
    pub hits: AtomicU64,
    /// Lookups by readers that found no key.
    pub misses: AtomicU64,
    /// Changes to the data since the server started.
    pub dirty: AtomicU64,
    /// Figures of each command, by its number in the table of commands.
    pub commands: Vec<CommandStats>,
    /// Connections, those included that were refused.
    pub connections: AtomicU64,
    /// Connections that were refused because of `maxclients` or `protected-mode`.
    pub rejected_connections: AtomicU64,
    /// Keys that were deleted because they had expired.
    pub expired: AtomicU64,
    /// Nanoseconds that the cron has spent on expired keys.
    pub expire_nanos: AtomicU64,
    /// Replicas that were sent a full copy.
    pub sync_full: AtomicU64,
    /// Partial resynchronizations.
    pub sync_partial_ok: AtomicU64,
    /// Partial resynchronizations that were asked for and not possible.
    pub sync_partial_err: AtomicU64,
    /// Bytes received from the primary.
    pub repl_input_bytes: AtomicU64,
    /// Bytes sent to replicas.
    pub repl_output_bytes: AtomicU64,
    /// The most memory that was in use, in bytes.
    pub peak_memory: AtomicU64,
    /// The number of error replies by their code, the first word of the error.
    errors: Lock<BTreeMap<Vec<u8>, u64>>,
    /// Recent rates.
    rates: Lock<Rates>,
    /// What the system said about this process the last time it was asked.
    process: Lock<Figures>,
    /// The path of the program.
    pub executable: String,
}

/// How many codes of errors are counted. The bound keeps a client that causes ever new codes from filling the memory.
const MAX_CODES: usize = 128;

impl Stats {
    /// All figures are 0. `names` are those of the commands, by number.
    pub fn new(names: impl Iterator<Item = &'static str>) -> Stats {
        Stats {
            commands: names.map(CommandStats::new).collect(),
            connections: AtomicU64::new(0),
            rejected_connections: AtomicU64::new(0),
            dirty: AtomicU64::new(0),
            processed: AtomicU64::new(0),
            input_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            expire_nanos: AtomicU64::new(0),
            sync_full: AtomicU64::new(0),
            sync_partial_ok: AtomicU64::new(0),
            sync_partial_err: AtomicU64::new(0),
            repl_input_bytes: AtomicU64::new(0),
            repl_output_bytes: AtomicU64::new(0),
            peak_memory: AtomicU64::new(0),
            errors: Lock::new(Rank::Errors, BTreeMap::new()),
            rates: Lock::new(Rank::Rates, Rates::default()),
            process: Lock::new(Rank::Process, Figures::read()),
            executable: std::env::current_exe()
                .map(|path| path.display().to_string())
                .unwrap_or_default(),
        }
    }

    /// Asks the system about this process; the cron does so once per second. INFO must not, because it holds the store's
    /// lock and this reads files.
    pub fn sample_process(&self) {
        let figures = Figures::read();
        *lock(&self.process) = figures;
    }

    /// What the system said about this process the last time it was asked.
    pub fn process(&self) -> Figures {
        *lock(&self.process)
    }

    /// Bytes of memory that the process uses: the allocated bytes, or the resident ones in a program without the allocator
    /// that counts. Reads no file, because INFO asks under the store's lock.
    pub fn used_memory(&self) -> u64 {
        sys::allocated_bytes().unwrap_or_else(|| self.process().resident_bytes)
    }

    /// Sets everything back to zero (CONFIG RESETSTAT).
    pub fn reset(&self) {
        for command in &self.commands {
            for figure in [
                &command.calls,
                &command.nanos,
                &command.rejected,
                &command.failed,
            ] {
                figure.store(0, Relaxed);
            }
        }
        let all = [
            &self.connections,
            &self.rejected_connections,
            &self.processed,
            &self.input_bytes,
            &self.output_bytes,
            &self.hits,
            &self.misses,
            &self.expired,
            &self.expire_nanos,
            &self.sync_full,
            &self.sync_partial_ok,
            &self.sync_partial_err,
            &self.repl_input_bytes,
            &self.repl_output_bytes,
            &self.peak_memory,
        ];
        all.into_iter().for_each(|figure| figure.store(0, Relaxed));
        lock(&self.errors).clear();
        *lock(&self.rates) = Rates::default();
    }

    /// Counts a call of the command with this number as failed. A call that waits is counted when the wait begins, so
    /// only its failure is left to count when the wait ends.
    pub fn count_failed_call(&self, command: usize) {
        if let Some(command) = self.commands.get(command) {
            command.failed.fetch_add(1, Relaxed);
        }
    }

    /// Counts an error reply with this code.
    pub fn count_error(&self, code: &[u8]) {
        let mut errors = lock(&self.errors);
        if let Some(count) = errors.get_mut(code) {
            *count += 1;
        } else if errors.len() < MAX_CODES {
            errors.insert(code.to_vec(), 1);
        }
    }

    /// The number of error replies by code.
    pub fn errors(&self) -> BTreeMap<Vec<u8>, u64> {
        lock(&self.errors).clone()
    }

    /// Measures the rates since the last call. The cron calls this several times per second.
    pub fn sample(&self) {
        let now = [
            self.processed.load(Relaxed),
            self.input_bytes.load(Relaxed),
            self.output_bytes.load(Relaxed),
        ];
        lock(&self.rates).sample(Instant::now(), now);
    }

    /// Recent rates per second: commands, bytes in, bytes out.
    pub fn rates(&self) -> [f64; 3] {
        let rates = lock(&self.rates);
        std::array::from_fn(|i| rates.samples.iter().map(|s| s[i]).sum::<f64>() / SAMPLES as f64)
    }
}

/// How many samples a rate is the average of.
const SAMPLES: usize = 16;

/// The latest measured rates, in a ring.
#[derive(Default)]
struct Rates {
    /// When the last sample was taken, and the totals then: commands, bytes in, bytes out.
    last: Option<(Instant, [u64; 3])>,
    /// Rates per second.
    samples: [[f64; 3]; SAMPLES],
    /// Where the next sample goes.
    next: usize,
}

impl Rates {
    /// Adds a sample, unless the last one was taken less than 50 ms ago.
    fn sample(&mut self, at: Instant, totals: [u64; 3]) {
        if let Some((then, before)) = self.last {
            let seconds = at.duration_since(then).as_secs_f64();
            if seconds < 0.05 {
                return;
            }
            self.samples[self.next] =
                std::array::from_fn(|i| totals[i].saturating_sub(before[i]) as f64 / seconds);
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last = Some((at, totals));
    }
}
