//! Commands about roles: REPLICAOF, FAILOVER, ROLE, WAIT, and the commands that a replica sends to its primary (REPLCONF,
//! PSYNC, SYNC). The threads of [`crate::replication`] carry the data.

use crate::commands::command::Handler::{Plain, WriteAll};
use crate::commands::command::flags::{
    ADMIN, ALLOW_BUSY, FAST, LOADING, NO_ASYNC_LOADING, NO_MULTI, NOSCRIPT, STALE,
};
use crate::commands::command::{Command, acl, cmd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::commands::args::{int, timeout_ms};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::blocking::Wait;
use crate::state::failover::Plan;
use crate::state::lock;
use crate::state::replication::Replica;
use crate::state::session::SyncRequest;
use crate::store::Store;
use crate::util::{number, words};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("replicaof", 3, WriteAll(replicaof), ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, 0, &[])
        .doc("server", "5.0.0", "O(1)", "host port",
             "Makes the server a replica of another one, or a primary with NO ONE."),
    cmd("slaveof", 3, WriteAll(replicaof), ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, 0, &[])
        .doc("server", "1.0.0", "O(1)", "host port",
             "The old name of REPLICAOF."),
    cmd("failover", -1, WriteAll(failover), ADMIN | NOSCRIPT | STALE, 0, &[])
        .doc("server", "6.2.0", "O(1)", "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
             "Hands over to a replica that has everything."),
    cmd("role", 1, Plain(role), NOSCRIPT | LOADING | STALE | FAST, acl::ADMIN | acl::DANGEROUS, &[])
        .doc("server", "2.8.12", "O(1)", "",
             "Tells whether the server is a primary or a replica, and of whom."),
    cmd("psync", -3, WriteAll(psync), ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, 0, &[])
        .doc("server", "2.8.0", "", "replicationid offset",
             "What a replica says to be sent the data, or what it has missed."),
    cmd("sync", 1, Plain(sync), ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI, 0, &[])
        .doc("server", "1.0.0", "", "",
             "What an old replica says to be sent the data."),
    cmd("replconf", -1, Plain(replconf), ADMIN | NOSCRIPT | LOADING | STALE | ALLOW_BUSY, 0, &[])
        .doc("server", "3.0.0", "O(1)", "",
             "What a replica tells its primary about itself."),
    cmd("wait", 3, Plain(wait), NOSCRIPT, acl::CONNECTION, &[])
        .doc("generic", "3.0.0", "O(1)", "numreplicas timeout",
             "Waits until so many replicas have everything that this connection has written.")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

/// REPLICAOF host port, REPLICAOF NO ONE. It has the store's write lock, so that no write is under way while the server's
/// role changes.
pub fn replicaof(ctx: &mut Context, _: &mut Store) -> CommandResult {
    let shared = ctx.server;
    if shared.failover.is_active() {
        return Err(Error::text("ERR REPLICAOF not allowed while failing over."));
    }
    let primary = if ctx.args.is(1, "NO") && ctx.args.is(2, "ONE") {
        None
    } else {
        let port = number::parse_i64(&ctx.args[2]).and_then(|p| u16::try_from(p).ok());
        let port = port.ok_or(Error::text("ERR Invalid master port"))?;
        Some((String::from_utf8_lossy(&ctx.args[1]).into_owned(), port))
    };
    if primary.is_some() && shared.settings.current().replicaof == primary {
        ctx.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    if primary.is_some() || shared.link.is_replica() {
        ctx.action = Some(Action::Follow(primary));
    }
    ctx.reply.ok();
    Ok(())
}

/// FAILOVER: hands over to a replica as soon as one has everything.
pub fn failover(ctx: &mut Context, _: &mut Store) -> CommandResult {
    let (shared, failover) = (ctx.server, &ctx.server.failover);
    let refused = |text| Err(Error::text(text));
    if ctx.args.len() == 2 && ctx.args.is(1, "ABORT") {
        if !failover.is_active() {
            return refused("ERR No failover in progress.");
        }
        ctx.action = Some(Action::AbortHandOver);
        ctx.reply.ok();
        return Ok(());
    }
    let (mut target, mut timeout, mut force) = (None, None, false);
    let mut i = 1;
    while i < ctx.args.len() {
        let more = ctx.args.len() - 1 - i;
        if ctx.args.is(i, "TIMEOUT") && more >= 1 && timeout.is_none() {
            let ms = int(&ctx.args[i + 1])?;
            match u64::try_from(ms) {
                Ok(ms @ 1..) => timeout = Some(Duration::from_millis(ms)),
                _ => return refused("ERR FAILOVER timeout must be greater than 0"),
            }
            i += 1;
        } else if ctx.args.is(i, "TO") && more >= 2 && target.is_none() {
            let port = int(&ctx.args[i + 2])?;
            let host = String::from_utf8_lossy(&ctx.args[i + 1]).into_owned();
            target = Some((host, port));
            i += 2;
        } else if ctx.args.is(i, "FORCE") && !force {
            force = true;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 1;
    }
    if failover.is_active() {
        return refused("ERR FAILOVER already in progress.");
    }
    if shared.link.is_replica() {
        return refused("ERR FAILOVER is not valid when server is a replica.");
    }
    let replicas = shared.replicas.all();
    if replicas.is_empty() {
        return refused("ERR FAILOVER requires connected replicas.");
    }
    if force && (timeout.is_none() || target.is_none()) {
        return refused(
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        );
    }
    let target = match target {
        None => None,
        Some((host, port)) => {
            let is_it = |(ip, p): (String, u16)| ip == host && i64::from(p) == port;
            match replicas.iter().find(|r| is_it(r.address())) {
                None => return refused("ERR FAILOVER target HOST and PORT is not a replica."),
                Some(r) if !r.is_online() => {
                    return refused("ERR FAILOVER target replica is not online.");
                }
                Some(r) => Some(r.address()),
            }
        }
    };
    let deadline = timeout.and_then(|time| Instant::now().checked_add(time));
    ctx.action = Some(Action::HandOver(Plan {
        target,
        deadline,
        force,
    }));
    ctx.reply.ok();
    Ok(())
}

pub fn role(ctx: &mut Context) -> CommandResult {
    let shared = ctx.server;
    let primary = shared.settings.current().replicaof.clone();
    if let (true, Some((host, port))) = (shared.link.is_replica(), primary) {
        let state = shared.link.status().state;
        ctx.reply.array(5);
        ctx.reply.bulk(b"slave");
        ctx.reply.bulk(host.as_bytes());
        ctx.reply.int(port.into());
        ctx.reply.bulk(state.name().as_bytes());
        ctx.reply.int(if shared.link.is_connected() {
            shared.journal.end() as i64
        } else {
            -1
        });
        return Ok(());
    }
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.int(shared.journal.end() as i64);
    let online = shared.replicas.all().into_iter().filter(|r| r.is_online());
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

/// The replica that this connection belongs to, or will.
fn replica_of(ctx: &mut Context) -> Arc<Replica> {
    let client = ctx.session.client.clone();
    ctx.session
        .replica
        .get_or_insert_with(|| Arc::new(Replica::new(client)))
        .clone()
}

/// A replica tells its primary about itself, and up to which offset it has the log.
pub fn replconf(ctx: &mut Context) -> CommandResult {
    if ctx.args.len().is_multiple_of(2) {
        return Err(Error::SYNTAX);
    }
    for i in (1..ctx.args.len()).step_by(2) {
        if ctx.args.is(i, "listening-port") {
            let port = int(&ctx.args[i + 1])?;
            replica_of(ctx).port.store(port as u16, Relaxed);
        } else if ctx.args.is(i, "ip-address") {
            let address = &ctx.args[i + 1];
            if address.len() >= 256 {
                let text = format!(
                    "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
                    address.len()
                );
                return Err(Error::new(text));
            }
            let address = String::from_utf8_lossy(address).into_owned();
            *lock(&replica_of(ctx).ip) = address;
        } else if ctx.args.is(i, "capa") {
            // Unknown capabilities are ignored: newer replicas have more of them.
            let replica = replica_of(ctx);
            if ctx.args.is(i + 1, "eof") {
                replica.eof.store(true, Relaxed);
            } else if ctx.args.is(i + 1, "psync2") {
                replica.psync2.store(true, Relaxed);
            }
        } else if ctx.args.is(i, "ack") {
            // Never has a reply, whichever client sends it.
            if let (Some(replica), Some(offset)) =
                (&ctx.session.replica, number::parse_i64(&ctx.args[i + 1]))
            {
                let offset = u64::try_from(offset).unwrap_or(0);
                ctx.server.replicas.acknowledge(replica, offset, ctx.now);
            }
            return Ok(());
        } else if ctx.args.is(i, "getack") {
            // A primary sends this, and the link to the primary answers. From other clients it is ignored.
            return Ok(());
        } else if ctx.args.is(i, "rdb-only") {
            let only = int(&ctx.args[i + 1])? == 1;
            replica_of(ctx).rdb_only.store(only, Relaxed);
        } else if ctx.args.is(i, "rdb-filter-only") {
            // Limits the copy to these parts. This server has no functions, so the copy is empty in any case.
            let Some(wanted) = words::split(&ctx.args[i + 1]) else {
                return Err(Error::text("ERR Missing rdb-filter-only values"));
            };
            let unknown = |word: &&Vec<u8>| !word.eq_ignore_ascii_case(b"functions");
            if let Some(word) = wanted.iter().find(unknown) {
                let word = String::from_utf8_lossy(word);
                let text = format!("ERR Unsupported rdb-filter-only option: {word}");
                return Err(Error::new(text));
            }
            replica_of(ctx).without_keys.store(true, Relaxed);
        } else {
            let name = String::from_utf8_lossy(&ctx.args[i]);
            let text = format!("ERR Unrecognized REPLCONF option: {name}");
            return Err(Error::new(text));
        }
    }
    ctx.reply.ok();
    Ok(())
}

/// PSYNC replid offset: a replica asks for what it has missed, or for everything. With FAILOVER its primary asks, who
/// becomes a replica itself: that changes this server's role, so the store's write lock is held.
pub fn psync(ctx: &mut Context, _: &mut Store) -> CommandResult {
    let replid = String::from_utf8_lossy(&ctx.args[1]).into_owned();
    if ctx.session.is_replica() {
        return Ok(());
    }
    check_link(ctx)?;
    // Redis, too, passes over anything else that stands there.
    if ctx.args.len() > 3 && ctx.args.is(3, "FAILOVER") {
        take_over(ctx, &replid)?;
    }
    check_failover(ctx)?;
    // A replica names the first byte that it does not have; they are counted from one.
    let wanted = u64::try_from(int(&ctx.args[2])?)
        .ok()
        .and_then(|offset| offset.checked_sub(1))
        .map(|have| (replid, have));
    begin_sync(
        ctx,
        SyncRequest {
            wanted,
            psync: true,
        },
    );
    Ok(())
}

/// SYNC: everything, for replicas that know of nothing else.
pub fn sync(ctx: &mut Context) -> CommandResult {
    if ctx.session.is_replica() {
        return Ok(());
    }
    check_link(ctx)?;
    check_failover(ctx)?;
    let (wanted, psync) = (None, false);
    begin_sync(ctx, SyncRequest { wanted, psync });
    Ok(())
}

/// A replica can pass on only what it gets itself.
fn check_link(ctx: &Context) -> CommandResult {
    let link = &ctx.server.link;
    if link.is_replica() && !link.is_connected() {
        return Err(Error::text(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    Ok(())
}

fn check_failover(ctx: &Context) -> CommandResult {
    if ctx.server.failover.is_active() {
        return Err(Error::text("NOMASTERLINK Can't SYNC while failing over"));
    }
    Ok(())
}

/// Takes the place of a primary that hands over to us.
fn take_over(ctx: &mut Context, replid: &str) -> CommandResult {
    let shared = ctx.server;
    if !shared.link.is_replica() {
        return Err(Error::text("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !lock(&shared.history).replid.eq_ignore_ascii_case(replid) {
        return Err(Error::text(
            "ERR PSYNC FAILOVER replid must match my replid.",
        ));
    }
    ctx.action = Some(Action::Follow(None));
    Ok(())
}

/// The connection is a replica's from now on: its thread has the data sent when this command is done.
fn begin_sync(ctx: &mut Context, request: SyncRequest) {
    let replica = replica_of(ctx);
    replica.acked_at.store(ctx.now, Relaxed);
    replica.client.replica.store(true, Relaxed);
    ctx.session.sync = Some(request);
}

/// `WAIT numreplicas timeout`: waits until `numreplicas` replicas have acknowledged this client's writes. Replies the number
/// of replicas that have. O(N) in the number of replicas.
pub fn wait(ctx: &mut Context) -> CommandResult {
    if ctx.server.link.is_replica() {
        return Err(Error::text(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
             configured to be writable (which is not the default) writes to replicas are just local and are not \
             propagated.",
        ));
    }
    let wanted = int(&ctx.args[1])?;
    let timeout = timeout_ms(&ctx.args[2])?;
    let (shared, offset) = (ctx.server, ctx.session.written);
    let acked = shared.replicas.count_acked(offset);
    if acked as i64 >= wanted || !ctx.may_block {
        ctx.reply.int(acked as i64);
        return Ok(());
    }
    ctx.action = Some(Action::Wait(Wait {
        keys: vec![],
        timeout,
        service: None,
        // If time runs out the client gets how many there are then.
        on_timeout: Some(Box::new(move |shared, reply| {
            reply.int(shared.replicas.count_acked(offset) as i64);
        })),
        acks: Some((offset, usize::try_from(wanted).unwrap_or(0))),
    }));
    Ok(())
}
