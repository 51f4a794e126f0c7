//! What INFO counts.
//!
//! Counters are atomics. A client's thread counts in memory of its own, and adds its figures to these counters once per batch
//! or per run of the same command, not once per command: see [`crate::execute`], `statistics.rs`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::lock::{Lock, Rank, lock};
use crate::util::process::Figures;

/// Figures of one command.
pub struct CommandStats {
    /// As INFO and CLIENT LIST show it.
    pub name: &'static str,
    pub calls: AtomicU64,
    pub nanos: AtomicU64,
    /// Calls refused before the command began, and calls that answered with an error.
    pub rejected: AtomicU64,
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

/// Figures of the whole server. Those that every batch adds to come first, and together: they are on one line of the
/// processor's cache, which a thread then has to fetch but once.
#[repr(C, align(64))]
pub struct Stats {
    pub processed: AtomicU64,
    pub input_bytes: AtomicU64,
    pub output_bytes: AtomicU64,
    pub hits: AtomicU64,
    pub misses: AtomicU64,
    /// Changes to the data since the server started.
    pub dirty: AtomicU64,
    pub commands: Vec<CommandStats>,
    pub connections: AtomicU64,
    pub rejected_connections: AtomicU64,
    pub expired: AtomicU64,
    pub expire_nanos: AtomicU64,
    /// Full resyncs, partial resyncs, and partial resyncs that were asked for and not possible.
    pub sync_full: AtomicU64,
    pub sync_partial_ok: AtomicU64,
    pub sync_partial_err: AtomicU64,
    /// Bytes from our primary, and to our replicas.
    pub repl_input_bytes: AtomicU64,
    pub repl_output_bytes: AtomicU64,
    pub peak_memory: AtomicU64,
    /// Error replies by their code.
    errors: Lock<BTreeMap<Vec<u8>, u64>>,
    rates: Lock<Rates>,
    /// What the system said about this process the last time it was asked.
    process: Lock<Figures>,
    /// The path of the program.
    pub executable: String,
}

/// How many codes of errors are counted separately. The bound keeps a client that causes ever new codes from filling the
/// memory.
const MAX_CODES: usize = 128;

impl Stats {
    /// No figures yet. `names` are those of the commands, by number.
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

    /// Counts the call of a command as failed. A call that waits is counted when the wait begins, so only its failure is
    /// left to count when the wait ends.
    pub fn count_failed_call(&self, command: usize) {
        if let Some(command) = self.commands.get(command) {
            command.failed.fetch_add(1, Relaxed);
        }
    }

    /// Counts an error reply.
    pub fn count_error(&self, code: &[u8]) {
        let mut errors = lock(&self.errors);
        if let Some(count) = errors.get_mut(code) {
            *count += 1;
        } else if errors.len() < MAX_CODES {
            errors.insert(code.to_vec(), 1);
        }
    }

    /// Error replies by code.
    pub fn errors(&self) -> BTreeMap<Vec<u8>, u64> {
        lock(&self.errors).clone()
    }

    /// Takes a sample for the rates. The cron calls this several times per second.
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

const SAMPLES: usize = 16;

/// The latest measured rates, in a ring.
#[derive(Default)]
struct Rates {
    last: Option<(Instant, [u64; 3])>,
    samples: [[f64; 3]; SAMPLES],
    next: usize,
}

impl Rates {
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
