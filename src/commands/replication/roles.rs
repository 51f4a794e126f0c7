//! REPLICAOF, SLAVEOF and ROLE: which server this one follows. The handlers change and show the role; the thread of
//! [`crate::replication::replica`] connects to the primary and applies its changes.

use std::sync::atomic::Ordering::Relaxed;

use crate::commands::command::Handler::{Plain, WriteAll};
use crate::commands::command::flags::{ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NOSCRIPT, STALE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::store::Store;
use crate::util::number;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("replicaof", 3, WriteAll(replicaof), ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, 0, &[])
        .doc("server", "5.0.0", "O(1)", "host port",
             "Makes the server a replica of another one, or a primary with NO ONE."),
    cmd("slaveof", 3, WriteAll(replicaof), ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, 0, &[])
        .doc("server", "1.0.0", "O(1)", "host port",
             "The old name of REPLICAOF."),
    cmd("role", 1, Plain(role), NOSCRIPT | LOADING | STALE | FAST, acl::ADMIN | acl::DANGEROUS, &[])
        .doc("server", "2.8.12", "O(1)", "",
             "Tells whether the server is a primary or a replica, and of whom."),
];

/// `REPLICAOF host port`, `REPLICAOF NO ONE`, and SLAVEOF with the same arguments
///
/// Makes this server a replica of the primary at that address, or a primary. Replies OK at once; the connection to the
/// primary follows later. Clients that wait for keys or acknowledgements get an error when the server becomes a
/// replica. O(N) for N of them and for N replicas. Propagates nothing.
///
/// The handler changes no data. It has the store's write lock so that no write is in progress while the role changes.
pub fn replicaof(ctx: &mut Context, _: &mut Store) -> CommandResult {
    let server = ctx.server;
    if server.failover.is_active() {
        return Err(Error::text("ERR REPLICAOF not allowed while failing over."));
    }
    let primary = if ctx.args.is(1, "NO") && ctx.args.is(2, "ONE") {
        None
    } else {
        let port = number::parse_i64(&ctx.args[2]).and_then(|p| u16::try_from(p).ok());
        let port = port.ok_or(Error::text("ERR Invalid master port"))?;
        Some((String::from_utf8_lossy(&ctx.args[1]).into_owned(), port))
    };
    if primary.is_some() && server.settings.current().replicaof == primary {
        ctx.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    if primary.is_some() || server.link.is_replica() {
        ctx.action = Some(Action::Follow(primary));
    }
    ctx.reply.ok();
    Ok(())
}

/// `ROLE`: replies with the server's role. A primary adds its offset and, for each online replica, the replica's
/// address and acknowledged offset. A replica adds its primary's address, the state of the link, and its own offset (-1
/// while it is not connected). O(N) for N replicas.
pub fn role(ctx: &mut Context) -> CommandResult {
    let server = ctx.server;
    let primary = server.settings.current().replicaof.clone();
    if let (true, Some((host, port))) = (server.link.is_replica(), primary) {
        let state = server.link.status().state;
        ctx.reply.array(5);
        ctx.reply.bulk(b"slave");
        ctx.reply.bulk(host.as_bytes());
        ctx.reply.int(port.into());
        ctx.reply.bulk(state.name().as_bytes());
        ctx.reply.int(if server.link.is_connected() {
            server.journal.end() as i64
        } else {
            -1
        });
        return Ok(());
    }
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.int(server.journal.end() as i64);
    let online = server.replicas.all().into_iter().filter(|r| r.is_online());
    ctx.reply.array_of(|reply| {
        let shown = online.map(|replica| {
            let (ip, port) = replica.address();
            reply.array(3);
            reply.bulk(ip.as_bytes());
            reply.bulk(port.to_string().as_bytes());
            reply.bulk(replica.acked.load(Relaxed).to_string().as_bytes());
        });
        shown.count()
    });
    Ok(())
}
