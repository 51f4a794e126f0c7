//! Following a primary.
//!
//! One thread does it all, for as long as the server runs. It connects, introduces this server ([`mod@handshake`]), takes in
//! a copy of the data if one is needed ([`copy`]), and then runs what the primary sends ([`stream`]). When anything goes
//! wrong it says why in the log, waits a second, and begins anew; it never gives up.
//!
//! ```text
//!   run ──► connect ──► handshake ──┬─ +CONTINUE ───────────────► stream, until the link breaks ──┐
//!    ▲                              └─ +FULLRESYNC ──► copy ────►                                 │
//!    └──────────────────────────────── a second later, or when there is another primary ◄─────────┘
//! ```
//!
//! # Not to be trusted
//!
//! A primary may stop in the midst of a word, lie about lengths, or be something else entirely. So the copy is read into
//! databases of its own, which take the place of the old ones when it has come whole; what is announced allocates nothing
//! before it comes; silence ends after `repl-timeout`; offsets that leave no room for sums are refused.
//!
//! # Invariants
//!
//! * REPLICAOF changes the link's *generation*, under the store's write lock. The link's thread changes data, history and
//!   journal under that lock too, and only after it has checked that the generation is still its own. So nothing of the
//!   old primary comes after the change.
//! * The journal ends where a unit of the primary's stream ends, so its end is always an offset to go on from.

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

/// How long to wait before the next try.
const RETRY: Duration = Duration::from_secs(1);
/// Digits of a replid, and of the mark that ends a copy.
const ID_LEN: usize = 40;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Follows the primary that the settings name, until the server stops. The body of the link's thread.
pub fn run(shared: &Shared) {
    let mut followed_somebody = false;
    while !shared.stop.is_requested() {
        let (link, generation) = (&shared.link, shared.link.generation());
        let primary = shared.settings.current().replicaof.clone();
        // Said here, and not where it was decided: that was under the store's lock.
        if std::mem::replace(&mut followed_somebody, primary.is_some()) && primary.is_none() {
            shared.log.notice("MASTER MODE enabled");
        }
        let Some((host, port)) = primary else {
            link.pause(Duration::from_secs(60), generation);
            continue;
        };
        let name = format!("{host}:{port}");
        shared.log.notice(&format!("Connecting to MASTER {name}"));
        link.update(generation, |s| s.state = LinkState::Connecting);
        // A panic is a bug in one command of the stream. It must not end the following for good.
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
        link.pause(RETRY, generation);
    }
}

/// The whole life of one connection. It ends with an error, or when it is not wanted any more.
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
                // The primary begins its stream when it has seen that.
                (true, true) => Acks::AtOnce,
                (true, false) => Acks::EverySecond,
            }
        }
    };
    // What many threads do at the primary this one does alone: as one among many it would fall behind.
    sys::set_nice(-10);
    let result = Stream::new(wire, acks).and_then(|mut stream| stream.run());
    sys::set_nice(0);
    result
}

/// Goes on with the history that there is, under its new name if it has one.
fn take_up(wire: &Wire<'_>, replid: &str) -> io::Result<()> {
    let shared = wire.shared;
    let _store = shared.write();
    wire.check()?;
    let mut history = lock(&shared.history);
    if history.replid != replid {
        let next = shared.journal.end() + 1;
        history.branch(replid.into(), next);
        drop(history);
        shared.replicas.disconnect(); // they learn of the name when they come back
    }
    wire.set_state(LinkState::Connected);
    Ok(())
}
