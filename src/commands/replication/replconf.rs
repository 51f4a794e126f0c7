//! REPLCONF: what a replica tells its primary about itself.
//!
//! Before PSYNC a replica announces its address and its capabilities. After that it acknowledges an offset of the log
//! every second, and when the primary asks with GETACK. The handler stores this in the connection's [`Replica`], which
//! other threads can see from PSYNC on.
//!
//! ```text
//!   replica                                   primary
//!   REPLCONF listening-port 6380     ────►    +OK
//!   REPLCONF capa eof capa psync2    ────►    +OK
//!   PSYNC replid offset              ────►    +CONTINUE, or +FULLRESYNC and a copy of the data
//!   REPLCONF ACK 4711                ────►    (no reply)
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::commands::args::{Cursor, c_text, int};
use crate::commands::command::Handler::Plain;
use crate::commands::command::flags::{ADMIN, ALLOW_BUSY, LOADING, NOSCRIPT, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::lock::lock;
use crate::state::replication::Replica;
use crate::state::session::Session;
use crate::util::{number, words};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("replconf", -1, Plain(replconf), ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY, 0, &[])
        .doc("server", "3.0.0", "O(1)", "",
             "A replica sends it to tell its primary about itself."),
];

/// An announced address must be shorter than this number of bytes.
const MAX_ADDRESS: usize = 256;

/// The [`Replica`] of this connection, which is created if it does not exist. The connection becomes a replica's with
/// PSYNC or SYNC.
pub fn replica_of(session: &mut Session) -> &Arc<Replica> {
    let client = &session.client;
    session
        .replica_info
        .get_or_insert_with(|| Arc::new(Replica::new(client.clone())))
}

/// `REPLCONF [option value [option value ...]]`
///
/// Stores what a replica says about itself. Replies OK; to ACK and GETACK there is no reply. O(N) for N options. After
/// ACK the executor serves the clients that wait for acknowledgements: O(W × R) for W waiting clients and R replicas.
pub fn replconf(ctx: &mut Context) -> CommandResult {
    if ctx.args.len().is_multiple_of(2) {
        return Err(Error::SYNTAX);
    }
    let follows = ctx.session.is_replica();
    let mut cursor = Cursor::new(&ctx.args, 1);
    while let Some(option) = cursor.next() {
        let value = cursor.value()?;
        let replica = replica_of(ctx.session);
        match option.to_ascii_lowercase().as_slice() {
            b"listening-port" => replica.port.store(int(value)? as u16, Relaxed),
            b"ip-address" => set_address(replica, value)?,
            b"capa" => set_capability(replica, value),
            b"rdb-only" => replica.rdb_only.store(zero_or_one(value)?, Relaxed),
            b"rdb-filter-only" => set_filter(replica, value)?,
            b"ack" => {
                if let (true, Some(offset)) = (follows, number::parse_i64(value)) {
                    let offset = u64::try_from(offset).unwrap_or(0);
                    let replica = replica.clone();
                    ctx.action = Some(Action::Acknowledge(replica, offset));
                }
                return Ok(());
            }
            // The thread that follows a primary answers the primary's GETACK. From other clients GETACK has no effect.
            b"getack" => return Ok(()),
            _ => {
                let text = b"ERR Unrecognized REPLCONF option: ";
                let option = c_text(option, usize::MAX);
                return Err(Error::new([text, option].concat()));
            }
        }
    }
    ctx.reply.ok();
    Ok(())
}

/// Stores the address that a replica announces.
///
/// # Errors
///
/// Redis's error if the address is too long.
fn set_address(replica: &Replica, address: &[u8]) -> CommandResult {
    if address.len() >= MAX_ADDRESS {
        return Err(Error::new(format!(
            "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
            address.len()
        )));
    }
    *lock(&replica.ip) = String::from_utf8_lossy(address).into_owned();
    Ok(())
}

/// Stores a capability of a replica. Ignores an unknown one, which a newer replica may have.
fn set_capability(replica: &Replica, name: &[u8]) {
    if name.eq_ignore_ascii_case(b"eof") {
        replica.eof.store(true, Relaxed);
    } else if name.eq_ignore_ascii_case(b"psync2") {
        replica.psync2.store(true, Relaxed);
    }
}

/// Reads which parts of the data a replica wants: `functions`, or nothing. This server has no functions, so in both
/// cases the copy has no data.
///
/// # Errors
///
/// Redis's error for an invalid value.
fn set_filter(replica: &Replica, value: &[u8]) -> CommandResult {
    let wanted = words::split(value).ok_or(Error::text("ERR Missing rdb-filter-only values"))?;
    let is_unknown = |word: &&Vec<u8>| !word.eq_ignore_ascii_case(b"functions");
    if let Some(word) = wanted.iter().find(is_unknown) {
        let text = b"ERR Unsupported rdb-filter-only option: ";
        return Err(Error::new([text, c_text(word, usize::MAX)].concat()));
    }
    replica.without_keys.store(true, Relaxed);
    Ok(())
}

/// Parses `0` or `1`.
///
/// # Errors
///
/// Redis's error for anything else.
fn zero_or_one(value: &[u8]) -> Result<bool, Error> {
    match int(value)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::text(
            "ERR value is out of range, value must between 0 and 1",
        )),
    }
}
