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
//! The feeder only reads the [journal](crate::state::journal), so no writer waits for a replica. A full copy is a
//! [snapshot](crate::persistence::rdb::save::Snapshot), so no writer waits for that either.
//!
//! A replica appends what it receives to a journal of its own, byte for byte. So offsets mean the same there, replicas
//! can follow replicas, and any of them can take the primary's place.

pub mod primary;
pub mod replica;
