//! The stream commands.
//!
//! | file | commands |
//! |---|---|
//! | [`add`] | XADD, XDEL, XTRIM, XLEN, XSETID: what a stream contains |
//! | [`range`] | XRANGE, XREVRANGE |
//! | [`read`] | XREAD, and what XREADGROUP shares with it |
//! | [`groups`] | XGROUP: consumer groups and their consumers |
//! | [`read_group`] | XREADGROUP, XACK: the work of a consumer |
//! | [`pending`] | XPENDING: which entries wait for their XACK |
//! | [`claim`] | XCLAIM, XAUTOCLAIM: another consumer takes pending entries over |
//! | [`info`] | XINFO |
//!
//! [`replies`] holds what several of them write: IDs, entries, the NOGROUP errors. The data structure is in
//! `store/stream/`.
//!
//! # How the life of an entry looks
//!
//! ```text
//!   XADD ──► stream ──► XREADGROUP > ──► pending with a consumer ──► XACK
//!               │                            │        ▲
//!               └──► XREAD, XRANGE           └────────┘ XCLAIM, XAUTOCLAIM
//! ```

pub mod add;
pub mod claim;
pub mod groups;
pub mod info;
pub mod pending;
pub mod range;
pub mod read;
pub mod read_group;
mod replies;

use crate::resp::{Args, Error};
use crate::store::stream::StreamId;

/// Reads all arguments from `from` on as IDs. A command does so before it changes anything.
///
/// # Errors
///
/// One of them is no ID.
fn ids(args: &Args<'_>, from: usize) -> Result<Vec<StreamId>, Error> {
    let ids = args.iter_from(from);
    ids.map(|id| Ok(StreamId::parse_strict(id, 0)?)).collect()
}
