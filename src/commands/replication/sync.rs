//! PSYNC and SYNC: a replica requests the data, or the part of the log that it lacks.
//!
//! The handlers only decide whether the client may become a replica. The client's own thread then starts a *feeder*, a
//! thread that replies and sends the copy and the log: see [`crate::replication::primary`].

use std::sync::atomic::Ordering::Relaxed;

use super::replconf::replica_of;
use crate::commands::args::int;
use crate::commands::command::Handler::{Plain, WriteAll};
use crate::commands::command::flags::{ADMIN, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::lock::lock;
use crate::state::session::SyncRequest;
use crate::store::Store;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("psync", -3, WriteAll(psync), ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, 0, &[])
        .doc("server", "2.8.0", "", "replicationid offset",
             "A replica sends it to receive the data, or the changes that it lacks."),
    cmd("sync", 1, Plain(sync), ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, 0, &[])
        .doc("server", "1.0.0", "", "",
             "A replica of an old version sends it to receive the data."),
];

/// `PSYNC replicationid offset [FAILOVER]`
///
/// Requests the log of the history `replicationid` from `offset` on. If this server no longer has that part, it sends a
/// copy of all data and the log after it; `PSYNC ? -1` requests such a copy. The feeder replies: `+CONTINUE` or
/// `+FULLRESYNC`. O(1) for the handler.
///
/// A primary that hands over to this server sends FAILOVER, which makes this server the primary. The role changes only
/// under the store's write lock, so the handler has that lock.
pub fn psync(ctx: &mut Context, _: &mut Store) -> CommandResult {
    if ctx.session.is_replica() {
        return Ok(());
    }
    let replid = String::from_utf8_lossy(&ctx.args[1]).into_owned();
    // As in Redis, another word in this place is ignored.
    let takes_over = ctx.args.len() > 3 && ctx.args.is(3, "FAILOVER");
    if takes_over {
        take_over(ctx, &replid)?;
    }
    check(ctx, takes_over)?;
    let next = int(&ctx.args[2])?;
    let psync = true;
    begin_sync(
        ctx,
        SyncRequest {
            replid,
            next,
            psync,
        },
    );
    Ok(())
}

/// `SYNC`: requests a copy of all data, and the log after it. For replicas that do not know PSYNC. The feeder sends the
/// copy without a reply before it. O(1) for the handler.
pub fn sync(ctx: &mut Context) -> CommandResult {
    if ctx.session.is_replica() {
        return Ok(());
    }
    check(ctx, false)?;
    begin_sync(
        ctx,
        SyncRequest {
            replid: "?".into(),
            next: -1,
            psync: false,
        },
    );
    Ok(())
}

/// Checks in Redis's order whether this server can have a replica now, and whether the client can become one.
///
/// # Errors
///
/// Redis's error for the first check that fails.
fn check(ctx: &Context, takes_over: bool) -> CommandResult {
    let (server, session) = (ctx.server, &ctx.session);
    if server.failover.is_active() {
        return Err(Error::text("NOMASTERLINK Can't SYNC while failing over"));
    }
    // A replica passes on the log of its own primary, so without a primary it has nothing to send.
    if server.link.is_replica() && !server.link.is_connected() && !takes_over {
        return Err(Error::text(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    // The feeder writes to the socket itself, so no earlier reply may be left to send.
    if !ctx.reply.out.is_empty() || session.client.outbox.pending() > 0 {
        return Err(Error::text(
            "ERR SYNC and PSYNC are invalid with pending output",
        ));
    }
    let cannot_filter = session
        .replica_info
        .as_ref()
        .is_some_and(|replica| replica.without_keys.load(Relaxed) && !replica.eof.load(Relaxed));
    if cannot_filter {
        return Err(Error::text("ERR Filtered replica requires EOF capability"));
    }
    Ok(())
}

/// Becomes the primary in place of the primary that sent PSYNC FAILOVER.
///
/// # Errors
///
/// Redis's error if this server is a primary, or has another history.
fn take_over(ctx: &mut Context, replid: &str) -> CommandResult {
    let server = ctx.server;
    if !server.link.is_replica() {
        return Err(Error::text("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !lock(&server.history).replid.eq_ignore_ascii_case(replid) {
        return Err(Error::text(
            "ERR PSYNC FAILOVER replid must match my replid.",
        ));
    }
    ctx.action = Some(Action::Follow(None));
    Ok(())
}

/// Makes the client a replica. The client's thread starts the feeder after the command.
fn begin_sync(ctx: &mut Context, request: SyncRequest) {
    let replica = replica_of(ctx.session);
    replica.acked_at.store(ctx.now, Relaxed);
    replica.client.is_replica.store(true, Relaxed);
    ctx.session.sync = Some(request);
}
