//! Loading a copy of all data.
//!
//! A primary announces the copy in one of two ways, and then sends an RDB:
//!
//! ```text
//!   $<length>     <length bytes>
//!   $EOF:<mark>   <RDB> <mark>       the primary does not know the length; the mark is 40 random digits
//! ```
//!
//! The RDB is loaded into new databases while it arrives.
//!
//! # Invariants
//!
//! * Data, history and journal change only when the copy is complete and correct; then all three change under one write
//!   lock.

use std::io::{self, Read};

use super::wire::{ID_LEN, Wire, failed};
use crate::persistence::rdb::load::{Loaded, load};
use crate::state::lock;
use crate::state::replication::{History, LinkState};
use crate::util::clock;
use crate::write::{Origin, WriteTxn};

/// Loads a copy that the primary sends, and replaces all data with it. Returns whether the copy ended with a mark. `replid` and
/// `offset` are the history and the offset that the copy stands for.
///
/// # Errors
///
/// Those of the connection; if the announcement or the RDB is wrong; and if the link was replaced in the meantime.
pub fn receive_copy(wire: &mut Wire<'_>, replid: String, offset: u64) -> io::Result<bool> {
    let announcement = wire.answer()?;
    if announcement.starts_with('-') {
        return failed(format!(
            "MASTER aborted replication with an error: {announcement}"
        ));
    }
    let Some(length) = announcement.strip_prefix('$') else {
        return failed(format!(
            "Bad protocol from MASTER, the first byte is not '$' (we received '{announcement}')"
        ));
    };
    let mark = length.strip_prefix("EOF:");
    let loaded = match mark {
        Some(mark) => load_to_mark(wire, mark)?,
        None => load_length(wire, length)?,
    };
    wire.end_copy();
    take_over(wire, loaded, replid, offset)?;
    Ok(mark.is_some())
}

/// Loads an RDB that ends with `mark`.
fn load_to_mark(wire: &mut Wire<'_>, mark: &str) -> io::Result<Loaded> {
    if mark.len() != ID_LEN {
        return failed("the announced mark has not 40 bytes");
    }
    let log = &wire.shared.log;
    log.notice("MASTER <-> REPLICA sync: receiving streamed RDB from master");
    wire.begin_copy(None);
    let (databases, fresh) = load_parameters(wire);
    let loaded = load(wire, databases, fresh)?;
    let mut end = [0; ID_LEN];
    wire.read_exact(&mut end)?;
    if end != mark.as_bytes() {
        return failed("the copy of the data does not end with the mark that was announced");
    }
    Ok(loaded)
}

/// Loads an RDB of `length` bytes.
fn load_length(wire: &mut Wire<'_>, length: &str) -> io::Result<Loaded> {
    let Ok(length) = length.parse() else {
        return failed(format!("the announced length is no number: '{length}'"));
    };
    wire.shared.log.notice(&format!(
        "MASTER <-> REPLICA sync: receiving {length} bytes from master"
    ));
    wire.begin_copy(Some(length));
    let (databases, fresh) = load_parameters(wire);
    let mut source = Read::take(&mut *wire, length);
    let loaded = load(&mut source, databases, fresh)?;
    io::copy(&mut source, &mut io::sink())?; // ignores the announced bytes after the end of the RDB, if any
    Ok(loaded)
}

/// The number of databases, and the Unix time in seconds that counts as the last use of each key.
fn load_parameters(wire: &Wire<'_>) -> (usize, u32) {
    let databases = wire.shared.settings.current().databases;
    (databases, (clock::now_ms() / 1000) as u32)
}

/// Replaces all data with the copy, and begins the copy's history.
fn take_over(wire: &Wire<'_>, loaded: Loaded, replid: String, offset: u64) -> io::Result<()> {
    let shared = wire.shared;
    for warning in &loaded.warnings {
        shared.log.warning(warning);
    }
    {
        let mut txn = WriteTxn::begin(shared, Origin::Primary, clock::now_ms());
        wire.check()?;
        txn.replace_all(loaded.dbs);
        *lock(&shared.history) = History::new(replid);
        let backlog = shared.settings.current().repl_backlog_size as u64;
        let selected = loaded.stream_db.unwrap_or(0);
        shared.journal.begin(offset, selected, backlog);
        // The replicas of this server have followed another history so far, so they must ask for a copy.
        shared.replicas.disconnect();
        wire.set_state(LinkState::Connected);
    }
    shared.log.notice(&format!(
        "MASTER <-> REPLICA sync: Finished with success, {} keys",
        loaded.keys
    ));
    Ok(())
}
