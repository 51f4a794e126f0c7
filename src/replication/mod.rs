//! Replication: the threads that carry a server's data to another.
//!
//! ```text
//!   primary                                          replica
//!   ───────                                          ───────
//!   a client's thread        ◄── PING ──────────────  its link's thread (replica.rs)
//!   (server/client.rs)       ─── +PONG ────────────►
//!                            ◄── REPLCONF listening-port 6380
//!                            ─── +OK ──────────────►
//!                            ◄── REPLCONF capa eof capa psync2
//!                            ─── +OK ──────────────►
//!                            ◄── PSYNC <replid> <the first byte it does not have>
//!        ┌─ a feeder's thread starts (primary.rs)
//!        ├─ either           ─── +CONTINUE <replid> ►                            it has the rest
//!        ├─ or               ─── +FULLRESYNC <replid> <offset> ►
//!        │                   ─── $EOF:<mark> <RDB> <mark> ──►                    new data replace the old
//!        └─ then the journal ─── SET … XADD … PING … ►                           it runs them as they come
//!   REPLCONF ACK counts      ◄── REPLCONF ACK <offset>  every second, and when asked by GETACK
//! ```
//!
//! The feeder only reads the [journal](crate::state::journal), so no writer waits for a replica. A full copy is made of
//! [snapshots](crate::state::copies), so no writer waits for that either.
//!
//! A replica appends what it receives to a journal of its own, byte for byte. So offsets mean the same there, replicas
//! can follow replicas, and any of them can take the primary's place.

pub mod primary;
pub mod replica;

use std::io;
use std::thread;

use crate::sys;

/// How far a thread that makes or takes in a copy gives way to others.
const NICE: i32 = 5;

/// Does something lengthy on a thread of its own that gives way to all others. (A thread that has given way may not be
/// allowed to take that back.)
///
/// # Errors
///
/// Those of `body`; or if there can be no thread, or it panics.
fn in_background<T: Send>(body: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let body = move || {
            sys::set_nice(NICE);
            body()
        };
        let thread = thread::Builder::new().name("copy".into());
        let done = thread.spawn_scoped(scope, body)?.join();
        done.unwrap_or_else(|_| Err(io::Error::other("its thread has panicked")))
    })
}
