//! Counting and timing commands.
//!
//! The end of one call is the beginning of the next, so the clock is read once per call. The time of a call includes its wait
//! for the store's lock. Calls of one FAST command in a row are timed together: such a command costs O(1) or O(log N), so
//! no single call of it is slow. With 20 clients that pipeline 256 PINGs each, a reading of the clock per call costs about a
//! tenth of the throughput.
//!
//! All threads write to the shared counters, so each addition costs a transfer between the processors' caches. Therefore
//! the figures of a run of calls of the same command are summed up here, and added to the shared counters together.
//!
//! A call that waits is counted when the wait begins, as in Redis. If the wait ends with an error, the failure is added to
//! the shared counters then.
//!
//! # Invariants
//!
//! * Between two batches, everything counted here is in the shared counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::state::session::Session;
use crate::state::stats::Stats;

/// The calls of one command in a row.
struct Run {
    /// The command's number in the table.
    command: usize,
    calls: u64,
    /// How many of the calls failed.
    failed: u64,
    /// How long the calls took, in nanoseconds.
    nanos: u64,
}

/// What an executor has counted and not yet added to the shared counters.
#[derive(Default)]
pub struct CallCounter {
    /// The run that the last call belongs to.
    run: Option<Run>,
    /// When the clock was last read: at the end of a call or the beginning of the batch.
    last: Option<Instant>,
    /// The call that is running counts as failed, although its own reply is no error.
    pub fails: bool,
    /// The number of requests.
    pub processed: u64,
    /// The number of changes to the data.
    pub dirty: u64,
}

impl CallCounter {
    /// Begins a batch: the time from here on belongs to the next call.
    #[inline]
    pub fn start(&mut self) {
        self.last = Some(Instant::now());
    }

    /// Counts a call that has ended, or that begins to wait. `is_fast` says whether the command has the FAST flag.
    #[inline]
    pub fn count(&mut self, stats: &Stats, command: usize, failed: bool, is_fast: bool) {
        let failed = std::mem::take(&mut self.fails) || failed;
        if self.run.as_ref().is_none_or(|run| run.command != command) {
            self.close_run(stats);
            self.run = Some(Run {
                command,
                calls: 0,
                failed: 0,
                nanos: 0,
            });
        }
        if let Some(run) = &mut self.run {
            run.calls += 1;
            run.failed += u64::from(failed);
        }
        if !is_fast {
            self.lap();
        }
    }

    /// Adds the time since the last reading of the clock to the current run.
    fn lap(&mut self) {
        if let (Some(run), Some(last)) = (&mut self.run, self.last) {
            let now = Instant::now();
            run.nanos += (now - last).as_nanos() as u64;
            self.last = Some(now);
        }
    }

    /// Adds the current run to the shared counters.
    fn close_run(&mut self, stats: &Stats) {
        self.lap();
        if let Some(run) = self.run.take() {
            let shared = &stats.commands[run.command];
            shared.calls.fetch_add(run.calls, Relaxed);
            shared.nanos.fetch_add(run.nanos, Relaxed);
            add(&shared.failed, run.failed);
        }
    }

    /// Ends a batch: adds everything counted here and in the session to the shared counters.
    pub fn publish(&mut self, stats: &Stats, session: &Session) {
        self.close_run(stats);
        self.last = None;
        add(&stats.processed, std::mem::take(&mut self.processed));
        add(&stats.dirty, std::mem::take(&mut self.dirty));
        add(&stats.input_bytes, session.input_bytes.take());
        add(&stats.output_bytes, session.output_bytes.take());
        add(&stats.hits, session.hits.take());
        add(&stats.misses, session.misses.take());
    }
}

/// Adds `n`, if it is not 0, to a shared counter.
fn add(figure: &AtomicU64, n: u64) {
    if n > 0 {
        figure.fetch_add(n, Relaxed);
    }
}
