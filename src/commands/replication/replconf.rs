//! REPLCONF: what replicas tell their primary.
//!
//! Before PSYNC a replica says where it can be reached and what it understands; afterwards it says every second how far it
//! has come. What it says is kept in its [`Replica`], which other threads see once it has sent PSYNC.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::commands::args::{Cursor, c_text, int};
use crate::commands::command::Handler::Plain;
use crate::commands::command::flags::{ADMIN, ALLOW_BUSY, LOADING, NOSCRIPT, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{CommandResult, Context};
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
             "What a replica tells its primary about itself."),
];

/// An announced address may have so many bytes, less one.
const MAX_ADDRESS: usize = 256;

/// The replica that this connection belongs to, or will.
pub fn replica_of(session: &mut Session) -> &Arc<Replica> {
    let client = &session.client;
    session
        .replica_info
        .get_or_insert_with(|| Arc::new(Replica::new(client.clone())))
}

/// `REPLCONF [option value]...`: notes what a replica says of itself, and replies OK; to an acknowledgement, and to the
/// question for one, it does not reply. O(N) for N options and for N clients that wait for acknowledgements.
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
                    ctx.server.replicas.acknowledge(replica, offset, ctx.now);
                }
                return Ok(());
            }
            // A primary asks; the thread of the link to it answers. From any other client it means nothing.
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

/// An unknown capability is ignored: newer replicas may have it.
fn set_capability(replica: &Replica, name: &[u8]) {
    if name.eq_ignore_ascii_case(b"eof") {
        replica.eof.store(true, Relaxed);
    } else if name.eq_ignore_ascii_case(b"psync2") {
        replica.psync2.store(true, Relaxed);
    }
}

/// What a copy shall have at most. There are no functions here, so nothing is left in any case.
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

fn zero_or_one(value: &[u8]) -> Result<bool, Error> {
    match int(value)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::text(
            "ERR value is out of range, value must between 0 and 1",
        )),
    }
}
