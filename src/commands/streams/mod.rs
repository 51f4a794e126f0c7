//! The stream commands.
//!
//! | file | commands |
//! |---|---|
//! | [`add`] | XADD, XDEL, XTRIM, XLEN, XSETID: what a stream contains |
//! | [`range`] | XRANGE, XREVRANGE |
//! | [`read`] | XREAD, and the arguments that XREADGROUP shares with it |
//! | [`groups`] | XGROUP: consumer groups and their consumers |
//! | [`read_group`] | XREADGROUP, XACK: a consumer reads entries and acknowledges them |
//! | [`pending`] | XPENDING: the entries that no XACK has acknowledged yet |
//! | [`claim`] | XCLAIM, XAUTOCLAIM: another consumer takes over pending entries |
//! | [`info`] | XINFO |
//!
//! [`replies`] writes what several of these commands reply: IDs, entries, the NOGROUP errors. The data structure is in
//! [`crate::store::stream`].
//!
//! # The life of an entry
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

/// Reads all arguments from `from` on as IDs. XDEL and XACK call it before they change anything, so one invalid ID means
/// that nothing changes.
///
/// # Errors
///
/// Redis's error if one of the arguments is not an ID.
fn ids(args: &Args<'_>, from: usize) -> Result<Vec<StreamId>, Error> {
    let ids = args.iter_from(from);
    ids.map(|id| Ok(StreamId::parse_strict(id, 0)?)).collect()
}
