//! Replication: whom to follow, and talking with those who follow us. The copying itself is done by the threads of
//! [`crate::replication`].

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::args::{int, timeout_ms};
use super::{Cx, Done};
use crate::resp::Error;
use crate::state::blocking::Wait;
use crate::state::failover::{Phase, Plan};
use crate::state::journal::push_request;
use crate::state::lock;
use crate::state::replication::Replica;
use crate::state::session::SyncRequest;
use crate::store::Store;
use crate::util::{number, words};

/// REPLICAOF host port, REPLICAOF NO ONE. It has the store's write lock, so that no write is under way while the server's
/// role changes.
pub fn replicaof(cx: &mut Cx, _: &mut Store) -> Done {
    let shared = cx.shared;
    if shared.failover.is_active() {
        return Err(Error::text("ERR REPLICAOF not allowed while failing over."));
    }
    let primary = if cx.args.is(1, "NO") && cx.args.is(2, "ONE") {
        None
    } else {
        let port = number::parse_i64(&cx.args[2]).and_then(|p| u16::try_from(p).ok());
        let port = port.ok_or(Error::text("ERR Invalid master port"))?;
        Some((String::from_utf8_lossy(&cx.args[1]).into_owned(), port))
    };
    if primary.is_some() && shared.settings.current().replicaof == primary {
        cx.reply.simple("OK Already connected to specified master");
        return Ok(());
    }
    // In a transaction there may be writes before and after this: each belongs to the history of its time.
    cx.effects.flush(&shared.journal);
    if primary.is_some() {
        shared.become_replica(primary);
    } else if shared.link.is_replica() {
        shared.become_primary();
    }
    let is_primary = !shared.link.is_replica();
    cx.effects.begin(&shared.journal, is_primary);
    cx.reply.ok();
    Ok(())
}

/// FAILOVER: hands over to a replica as soon as one has everything.
pub fn failover(cx: &mut Cx, _: &mut Store) -> Done {
    let (shared, failover) = (cx.shared, &cx.shared.failover);
    let refused = |text| Err(Error::text(text));
    if cx.args.len() == 2 && cx.args.is(1, "ABORT") {
        if !failover.is_active() {
            return refused("ERR No failover in progress.");
        }
        shared.end_failover();
        cx.reply.ok();
        return Ok(());
    }
    let (mut target, mut timeout, mut force) = (None, None, false);
    let mut i = 1;
    while i < cx.args.len() {
        let more = cx.args.len() - 1 - i;
        if cx.args.is(i, "TIMEOUT") && more >= 1 && timeout.is_none() {
            let ms = int(&cx.args[i + 1])?;
            match u64::try_from(ms) {
                Ok(ms @ 1..) => timeout = Some(Duration::from_millis(ms)),
                _ => return refused("ERR FAILOVER timeout must be greater than 0"),
            }
            i += 1;
        } else if cx.args.is(i, "TO") && more >= 2 && target.is_none() {
            let port = int(&cx.args[i + 2])?;
            let host = String::from_utf8_lossy(&cx.args[i + 1]).into_owned();
            target = Some((host, port));
            i += 2;
        } else if cx.args.is(i, "FORCE") && !force {
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
    failover.set(Phase::WaitingForSync(Plan {
        target,
        deadline,
        force,
    }));
    cx.reply.ok();
    Ok(())
}

pub fn role(cx: &mut Cx) -> Done {
    let shared = cx.shared;
    let primary = shared.settings.current().replicaof.clone();
    if let (true, Some((host, port))) = (shared.link.is_replica(), primary) {
        let state = shared.link.status().state;
        cx.reply.array(5);
        cx.reply.bulk(b"slave");
        cx.reply.bulk(host.as_bytes());
        cx.reply.int(port.into());
        cx.reply.bulk(state.name().as_bytes());
        cx.reply.int(if shared.link.is_connected() {
            shared.journal.end() as i64
        } else {
            -1
        });
        return Ok(());
    }
    cx.reply.array(3);
    cx.reply.bulk(b"master");
    cx.reply.int(shared.journal.end() as i64);
    let online = shared.replicas.all().into_iter().filter(|r| r.is_online());
    cx.reply.array_of(|reply| {
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
fn replica_of(cx: &mut Cx) -> Arc<Replica> {
    let client = cx.session.client.clone();
    cx.session
        .replica
        .get_or_insert_with(|| Arc::new(Replica::new(client)))
        .clone()
}

/// What a replica tells its primary about itself, and how far it has come.
pub fn replconf(cx: &mut Cx) -> Done {
    if cx.args.len().is_multiple_of(2) {
        return Err(Error::SYNTAX);
    }
    for i in (1..cx.args.len()).step_by(2) {
        if cx.args.is(i, "listening-port") {
            let port = int(&cx.args[i + 1])?;
            replica_of(cx).port.store(port as u16, Relaxed);
        } else if cx.args.is(i, "ip-address") {
            let address = &cx.args[i + 1];
            if address.len() >= 256 {
                let text = format!(
                    "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
                    address.len()
                );
                return Err(Error::new(text));
            }
            let address = String::from_utf8_lossy(address).into_owned();
            *lock(&replica_of(cx).ip) = address;
        } else if cx.args.is(i, "capa") {
            // What is not known is ignored: it is something that newer replicas can do.
            let replica = replica_of(cx);
            if cx.args.is(i + 1, "eof") {
                replica.eof.store(true, Relaxed);
            } else if cx.args.is(i + 1, "psync2") {
                replica.psync2.store(true, Relaxed);
            }
        } else if cx.args.is(i, "ack") {
            // Not answered, whoever says it.
            if let (Some(replica), Some(offset)) =
                (&cx.session.replica, number::parse_i64(&cx.args[i + 1]))
            {
                let offset = u64::try_from(offset).unwrap_or(0);
                cx.shared.replicas.acknowledge(replica, offset, cx.now);
            }
            return Ok(());
        } else if cx.args.is(i, "getack") {
            // Asked by a primary; its link answers. From anyone else it means nothing.
            return Ok(());
        } else if cx.args.is(i, "rdb-only") {
            let only = int(&cx.args[i + 1])? == 1;
            replica_of(cx).rdb_only.store(only, Relaxed);
        } else if cx.args.is(i, "rdb-filter-only") {
            // What a copy shall have at most. There are no functions here, so either way nothing is left.
            let Some(wanted) = words::split(&cx.args[i + 1]) else {
                return Err(Error::text("ERR Missing rdb-filter-only values"));
            };
            let unknown = |word: &&Vec<u8>| !word.eq_ignore_ascii_case(b"functions");
            if let Some(word) = wanted.iter().find(unknown) {
                let word = String::from_utf8_lossy(word);
                let text = format!("ERR Unsupported rdb-filter-only option: {word}");
                return Err(Error::new(text));
            }
            replica_of(cx).without_keys.store(true, Relaxed);
        } else {
            let name = String::from_utf8_lossy(&cx.args[i]);
            let text = format!("ERR Unrecognized REPLCONF option: {name}");
            return Err(Error::new(text));
        }
    }
    cx.reply.ok();
    Ok(())
}

/// PSYNC replid offset: a replica asks for what it has missed, or for everything. With FAILOVER its primary asks, who
/// becomes a replica itself: that changes this server's role, so the store's write lock is held.
pub fn psync(cx: &mut Cx, _: &mut Store) -> Done {
    let replid = String::from_utf8_lossy(&cx.args[1]).into_owned();
    if cx.session.is_replica() {
        return Ok(());
    }
    check_link(cx)?;
    // Redis, too, passes over anything else that stands there.
    if cx.args.len() > 3 && cx.args.is(3, "FAILOVER") {
        take_over(cx, &replid)?;
    }
    check_failover(cx)?;
    // A replica names the first byte that it does not have; they are counted from one.
    let wanted = u64::try_from(int(&cx.args[2])?)
        .ok()
        .and_then(|offset| offset.checked_sub(1))
        .map(|have| (replid, have));
    begin_sync(
        cx,
        SyncRequest {
            wanted,
            psync: true,
        },
    );
    Ok(())
}

/// SYNC: everything, for replicas that know of nothing else.
pub fn sync(cx: &mut Cx) -> Done {
    if cx.session.is_replica() {
        return Ok(());
    }
    check_link(cx)?;
    check_failover(cx)?;
    let (wanted, psync) = (None, false);
    begin_sync(cx, SyncRequest { wanted, psync });
    Ok(())
}

/// A replica can pass on only what it gets itself.
fn check_link(cx: &Cx) -> Done {
    let link = &cx.shared.link;
    if link.is_replica() && !link.is_connected() {
        return Err(Error::text(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    Ok(())
}

fn check_failover(cx: &Cx) -> Done {
    if cx.shared.failover.is_active() {
        return Err(Error::text("NOMASTERLINK Can't SYNC while failing over"));
    }
    Ok(())
}

/// Takes the place of a primary that hands over to us.
fn take_over(cx: &Cx, replid: &str) -> Done {
    let shared = cx.shared;
    if !shared.link.is_replica() {
        return Err(Error::text("ERR PSYNC FAILOVER can't be sent to a master."));
    }
    if !lock(&shared.history).replid.eq_ignore_ascii_case(replid) {
        return Err(Error::text(
            "ERR PSYNC FAILOVER replid must match my replid.",
        ));
    }
    shared.become_primary();
    Ok(())
}

/// The connection is a replica's from now on: its thread has the data sent when this command is done.
fn begin_sync(cx: &mut Cx, request: SyncRequest) {
    let replica = replica_of(cx);
    replica.acked_at.store(cx.now, Relaxed);
    replica.client.replica.store(true, Relaxed);
    cx.shared.replicas.add(&replica);
    cx.session.sync = Some(request);
}

/// WAIT: until so many replicas have all that this client has written.
pub fn wait(cx: &mut Cx) -> Done {
    if cx.shared.link.is_replica() {
        return Err(Error::text(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
             configured to be writable (which is not the default) writes to replicas are just local and are not \
             propagated.",
        ));
    }
    let wanted = int(&cx.args[1])?;
    let timeout = timeout_ms(&cx.args[2])?;
    let (shared, offset) = (cx.shared, cx.session.written);
    let acked = shared.replicas.count_acked(offset);
    if acked as i64 >= wanted || !cx.may_block {
        cx.reply.int(acked as i64);
        return Ok(());
    }
    ask_for_acks(cx, offset);
    cx.wait = Some(Wait {
        keys: vec![],
        timeout,
        service: Box::new(|_, _, _| false),
        // If time runs out the client gets how many there are then.
        on_timeout: Some(Box::new(move |shared, reply| {
            reply.int(shared.replicas.count_acked(offset) as i64);
        })),
        acks: Some((offset, usize::try_from(wanted).unwrap_or(0))),
    });
    Ok(())
}

/// Has the replicas tell how far they are; once for all who wait for the same.
fn ask_for_acks(cx: &Cx, offset: u64) {
    let shared = cx.shared;
    // Under the lock, nobody makes a replica of us in the meantime, whose journal is not its own.
    let store = shared.read();
    let asks = shared.journal.is_active() && !shared.link.is_replica();
    if !asks || !shared.replicas.must_ask(offset) {
        return;
    }
    let mut question = vec![];
    let words = [&b"REPLCONF"[..], b"GETACK", b"*"];
    push_request(&mut question, 3, words.into_iter());
    let end = shared.journal.append_quietly(&question);
    shared.replicas.asked(end);
    drop(store);
    // At once, and not by way of the feeders: somebody waits.
    shared
        .replicas
        .send_now(&shared.journal, shared.os.send_now);
    shared.journal.wake_readers();
}
