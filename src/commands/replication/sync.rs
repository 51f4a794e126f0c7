//! PSYNC and SYNC: a replica asks for the data, or for what it has missed.
//!
//! The handlers only decide whether that is possible. The client's own thread then starts a feeder, which does all the
//! rest: see [`crate::replication::primary`].

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
             "What a replica says to be sent the data, or what it has missed."),
    cmd("sync", 1, Plain(sync), ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, 0, &[])
        .doc("server", "1.0.0", "", "",
             "What an old replica says to be sent the data."),
];

/// `PSYNC replid offset [FAILOVER]`: asks for the log of the history `replid` from `offset` on, or for a copy of all data if
/// that is not possible; `PSYNC ? -1` asks for a copy. The feeder replies. With FAILOVER, a primary asks that hands over to
/// this server. That changes the role, so the handler has the store's write lock. O(1).
pub fn psync(ctx: &mut Context, _: &mut Store) -> CommandResult {
    if ctx.session.is_replica() {
        return Ok(());
    }
    let replid = String::from_utf8_lossy(&ctx.args[1]).into_owned();
    // Redis ignores any other word in its place, too.
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

/// `SYNC`: asks for a copy of all data, and what comes after it. For replicas that do not know PSYNC. O(1).
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

/// Whether this server can feed a replica, and the client can be one. The order is that of Redis.
fn check(ctx: &Context, takes_over: bool) -> CommandResult {
    let (server, session) = (ctx.server, &ctx.session);
    if server.failover.is_active() {
        return Err(Error::text("NOMASTERLINK Can't SYNC while failing over"));
    }
    // A replica can pass on only what it gets itself.
    if server.link.is_replica() && !server.link.is_connected() && !takes_over {
        return Err(Error::text(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    // Nothing but what the feeder sends may come from here on.
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

/// Takes the place of a primary that hands over to this server.
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

/// Makes the connection a replica's. Its thread starts the feeder when this command is done.
fn begin_sync(ctx: &mut Context, request: SyncRequest) {
    let replica = replica_of(ctx.session);
    replica.acked_at.store(ctx.now, Relaxed);
    replica.client.is_replica.store(true, Relaxed);
    ctx.session.sync = Some(request);
}
