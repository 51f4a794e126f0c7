//! Replication: the threads that carry a server's data to another server.
//!
//! ```text
//!   primary                                           replica
//!   ───────                                           ───────
//!   a client's thread        ◄── PING ──────────────  the link's thread (replica/mod.rs)
//!   (server/client.rs)       ─── +PONG ────────────►
//!                            ◄── REPLCONF listening-port 6380
//!                            ─── +OK ──────────────►
//!                            ◄── REPLCONF capa eof capa psync2
//!                            ─── +OK ──────────────►
//!                            ◄── PSYNC <replid> <the first byte that the replica does not have>
//!        ┌─ a feeder's thread starts (primary.rs)
//!        ├─ either           ─── +CONTINUE <replid> ►                   it has a part of this history
//!        ├─ or               ─── +FULLRESYNC <replid> <offset> ►
//!        │                   ─── $EOF:<mark> <RDB> <mark> ──►           the copy replaces its data
//!        └─ then the journal ─── SET … XADD … PING … ►                  it runs the requests as they come
//!   WAIT counts these        ◄── REPLCONF ACK <offset>   every second, and when GETACK asks
//! ```
//!
//! A feeder only reads the [journal](crate::state::journal), so no writer waits for a replica. A full copy is made of
//! [snapshots](crate::state::copies), so no writer waits until it is sent.
//!
//! A replica appends what it receives to a journal of its own, byte for byte. So an offset means the same on all of them,
//! a replica can have replicas of its own, and each of them can take the primary's place.
//!
//! Read [`primary`] first, and then [`replica`].

pub mod primary;
pub mod replica;

use std::io;
use std::thread;

use crate::sys;

/// The niceness of a thread that makes or loads a copy: with 5, the system prefers the threads of clients, which have 0.
const NICE: i32 = 5;

/// Runs `body` on a new thread with the niceness [`NICE`], and waits for its end. The calling thread does not do this itself,
/// because without privileges a thread cannot lower its niceness again.
///
/// # Errors
///
/// Those of `body`. Also fails if the thread cannot be started, or if it panics.
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
