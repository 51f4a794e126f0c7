//! Going on after a panic.
//!
//! A panic is a bug. The cron and the threads that accept connections serve all clients, so a panic in one of their steps
//! must not end them: the step is lost, a line of the log says so, and the thread goes on. The panic's own message goes to
//! standard error, as in any Rust program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::state::Shared;

/// How long a thread waits after a panic. If a step panics each time, the thread does not use up a core, nor does it fill
/// the disk with lines of the log.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs a step of a thread. After a panic it logs that `what` has panicked, and waits for a second or until the server
/// stops.
pub fn survive(shared: &Shared, what: &str, step: impl FnOnce()) {
    // What the step left behind is consistent: its guards have released the locks (see the chapter on panics of the guide).
    if catch_unwind(AssertUnwindSafe(step)).is_err() {
        shared
            .log
            .warning(&format!("A bug: {what} has panicked, and goes on."));
        shared.stop.wait(PAUSE);
    }
}
