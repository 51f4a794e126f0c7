//! Following a primary.
//!
//! One thread, the link's thread, does this for as long as the server runs. It connects ([`wire`]), introduces this server
//! ([`mod@handshake`]), loads a copy of the data if it needs one ([`copy`]), and then runs the requests that the primary sends
//! ([`stream`]). When a step fails, the thread writes the reason to the server's own log, waits a second, and begins again.
//! While this server follows no primary, the thread sleeps.
//!
//! ```text
//!   run ──► connect ──► handshake ──┬─ +CONTINUE ───────────────► stream, until the link breaks ──┐
//!    ▲                              └─ +FULLRESYNC ──► copy ────►                                 │
//!    └───── after a second, or at once if there is another primary to follow ◄────────────────────┘
//! ```
//!
//! # No trust in the primary
//!
//! A primary may stop in the middle of a request, announce a wrong length, or be no Redis server. So
//!
//! * the copy is loaded into new databases, which replace the old ones only when the copy is complete;
//! * an announced length allocates nothing until the bytes arrive;
//! * the link ends when the primary has sent nothing for `repl-timeout` seconds;
//! * an offset so large that sums could overflow is refused.
//!
//! # Invariants
//!
//! * REPLICAOF changes the link's *generation*, a number, under the store's write lock. The link's thread changes data,
//!   history and journal under that lock too, and only after it has checked that the generation is still the one with which
//!   it connected. So nothing of the old primary is applied after the change.
//! * The journal ends where a unit of the primary's stream ends, so a replica can always go on from its end.

mod copy;
mod handshake;
mod stream;
mod wire;

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use super::in_background;
use crate::state::replication::LinkState;
use crate::state::{Shared, lock};
use crate::sys;
use copy::receive_copy;
use handshake::{Start, handshake};
use stream::{Acks, Stream};
use wire::{Wire, failed};

/// How long the link's thread waits before the next attempt.
const RETRY: Duration = Duration::from_secs(1);
/// How long the link's thread sleeps at most while there is no primary to follow.
const REST: Duration = Duration::from_secs(60);
/// The niceness of the link's thread while it runs the primary's stream. It runs alone what many threads of clients have run
/// on the primary, so the system should prefer it. Without privileges the system refuses this, and the niceness stays 0.
const STREAM_NICE: i32 = -10;

/// The body of the link's thread: follows the primary that the settings name, until the server stops.
pub fn run(shared: &Shared) {
    let mut had_primary = false;
    while !shared.stop.is_requested() {
        let (link, generation) = (&shared.link, shared.link.generation());
        let primary = shared.settings.current().replicaof.clone();
        // Logged here and not by the command that changed the role: that holds the store's lock.
        if std::mem::replace(&mut had_primary, primary.is_some()) && primary.is_none() {
            shared.log.notice("MASTER MODE enabled");
        }
        let Some((host, port)) = primary else {
            link.sleep(REST, generation);
            continue;
        };
        let name = format!("{host}:{port}");
        shared.log.notice(&format!("Connecting to MASTER {name}"));
        link.update(generation, |s| s.state = LinkState::Connecting);
        // A panic is a bug in one command of the stream. The thread goes on, and connects again.
        let attempt = || Wire::connect(shared, &host, port, generation).and_then(follow);
        let followed = panic::catch_unwind(AssertUnwindSafe(attempt))
            .unwrap_or_else(|_| failed("a command of the primary has caused a panic"));
        link.update(generation, |s| s.state = LinkState::Connect);
        if shared.stop.is_requested() {
            return;
        }
        if link.generation() != generation {
            continue; // there is another primary now, or none
        }
        if let Err(e) = followed {
            shared.log.warning(&format!("Link with MASTER {name}: {e}"));
        }
        link.sleep(RETRY, generation);
    }
}

/// Follows the primary over one connection, until that ends.
///
/// # Errors
///
/// Always ends with one: of the connection, of the primary's answers or data, or because the link was replaced.
fn follow(mut wire: Wire<'_>) -> io::Result<()> {
    let shared = wire.shared;
    wire.set_state(LinkState::Handshake);
    let acks = match handshake(&mut wire)? {
        Start::Continue(replid) => {
            take_up(&wire, &replid)?;
            shared
                .log
                .notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
            Acks::EverySecond
        }
        Start::Full {
            replid,
            offset,
            psync,
        } => {
            wire.set_state(LinkState::Sync);
            let receive = || receive_copy(&mut wire, replid, offset);
            let has_mark = in_background(receive)?;
            match (psync, has_mark) {
                (false, _) => Acks::None,
                // After a copy with a mark, the primary sends its stream only when it has got an acknowledgement.
                (true, true) => Acks::AtOnce,
                (true, false) => Acks::EverySecond,
            }
        }
    };
    sys::set_nice(STREAM_NICE);
    let result = Stream::new(wire, acks).and_then(|mut stream| stream.run());
    sys::set_nice(0);
    result
}

/// Goes on with the data and the history that this server has, under the replid that the primary has named.
fn take_up(wire: &Wire<'_>, replid: &str) -> io::Result<()> {
    let shared = wire.shared;
    let _store = shared.write();
    wire.check()?;
    let mut history = lock(&shared.history);
    if history.replid != replid {
        let next = shared.journal.end() + 1;
        history.branch(replid.into(), next);
        drop(history);
        shared.replicas.disconnect(); // they get the new replid when they connect again
    }
    wire.set_state(LinkState::Connected);
    Ok(())
}
