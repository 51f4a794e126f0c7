//! Feeding a replica.
//!
//! When a client has sent PSYNC, its connection is a replica's. Its own thread goes on reading it, since the replica says
//! every second how far it has come; a thread of its own, the *feeder*, does all the writing: first the answer to PSYNC,
//! then a copy of all data if one is needed, and then the journal, for ever.
//!
//! Whether a copy is needed is decided under the store's lock, together with the offset at which the journal goes on. So
//! there is no change that is in neither of them, or in both. Replicas that come at about the same time
//! [share a copy](crate::state::copies), and each feeder sends it to its own.
//!
//! In each of these phases the feeder gives the replica up if it has fallen back further than
//! `client-output-buffer-limit replica` allows, or has not been heard of for `repl-timeout` seconds.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::in_background;
use crate::persistence::rdb::save::{self, Notes};
use crate::state::copies::FullCopy;
use crate::state::journal::Lost;
use crate::state::lock::may_wait;
use crate::state::replication::{History, Replica, Stage, lost};
use crate::state::session::SyncRequest;
use crate::state::{Handle, Shared, lock};
use crate::store::{Db, Store};
use crate::sys;
use crate::util::clock;
use crate::write::{Origin, WriteTxn};

/// How long changes are gathered before they are sent, and after how many rounds without any a feeder sleeps.
const ROUND: Duration = Duration::from_micros(400);
const IDLE_ROUNDS: u32 = 4;
/// How often a feeder with nothing to do looks round.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How often a replica that waits for its copy is told that we are there; and how often its feeder looks round then.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
const SHORT_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Starts the feeder of a connection that has asked for the data.
///
/// # Errors
///
/// If there can be no thread for it.
pub fn start(
    shared: &Handle,
    replica: &Arc<Replica>,
    request: SyncRequest,
) -> io::Result<JoinHandle<()>> {
    let (shared, replica) = (shared.clone(), replica.clone());
    replica.set_stage(Stage::Waiting);
    shared.replicas.add(&replica);
    thread::Builder::new().name("feeder".into()).spawn(move || {
        let id = replica.client.id;
        let (ip, port) = replica.address();
        let result = feed(&shared, &replica, request);
        shared.journal.remove_reader(id);
        shared.replicas.remove(id);
        // Its connection is of no use any more; its thread finds that out.
        replica.client.kill();
        let why = result.err().map_or_else(String::new, |e| format!(": {e}"));
        shared
            .log
            .warning(&format!("Connection with replica {ip}:{port} lost{why}."));
    })
}

fn feed(shared: &Shared, replica: &Arc<Replica>, request: SyncRequest) -> io::Result<()> {
    let mut out = Outlet {
        shared,
        replica,
        stream: &replica.client.stream,
    };
    if resume(shared, replica, &request) {
        send_continue(&mut out)?;
    } else {
        count_full(shared, replica, &request);
        let copy = get_copy(&mut out, replica)?;
        replica.set_stage(Stage::Sending);
        if request.psync {
            let (replid, offset) = (&copy.replid, copy.offset);
            out.write_all(format!("+FULLRESYNC {replid} {offset}\r\n").as_bytes())?;
        }
        // It takes long, and nobody but the replica waits for it.
        in_background(|| send_copy(&mut out, copy))?;
        if replica.rdb_only.load(Relaxed) {
            return Ok(());
        }
        let (ip, port) = replica.address();
        shared.log.notice(&format!(
            "Synchronization with replica {ip}:{port} succeeded"
        ));
    }
    replica.acked_at.store(clock::now_ms(), Relaxed);
    replica.set_stage(Stage::Online);
    follow(&mut out)
}

/// Has the journal keep what a replica needs that goes on from where it is. Returns false if it needs a copy.
fn resume(shared: &Shared, replica: &Replica, request: &SyncRequest) -> bool {
    let next = u64::try_from(request.next).ok();
    let Some(have) = next.and_then(|next| next.checked_sub(1)) else {
        return false;
    };
    let limit = shared.settings.current().replica_limit;
    // No write is under way while this lock is held, so the journal does not drop what it has just been asked for.
    let _store = shared.write();
    let is_known = lock(&shared.history).includes(&request.replid, have + 1);
    let resumes = is_known && shared.journal.reaches(have);
    if resumes {
        shared.journal.add_reader(replica.client.id, have, limit);
    }
    resumes
}

fn send_continue(out: &mut Outlet<'_>) -> io::Result<()> {
    let (shared, replica) = (out.shared, out.replica);
    shared.stats.sync_partial_ok.fetch_add(1, Relaxed);
    let (ip, port) = replica.address();
    shared.log.notice(&format!(
        "Partial resynchronization request from {ip}:{port} accepted."
    ));
    let replid = lock(&shared.history).replid.clone();
    let answer = if replica.psync2.load(Relaxed) {
        format!("+CONTINUE {replid}\r\n")
    } else {
        "+CONTINUE\r\n".into()
    };
    out.write_all(answer.as_bytes())
}

fn count_full(shared: &Shared, replica: &Replica, request: &SyncRequest) {
    if !request.replid.starts_with('?') {
        shared.stats.sync_partial_err.fetch_add(1, Relaxed);
    }
    shared.stats.sync_full.fetch_add(1, Relaxed);
    let (ip, port) = replica.address();
    shared
        .log
        .notice(&format!("Full resync requested by replica {ip}:{port}"));
}

/// The copy for a replica: shared with those that come within `repl-diskless-sync-delay`, if it can take a copy that ends
/// with a mark. Another one is taken at once, as in Redis.
fn get_copy(out: &mut Outlet<'_>, replica: &Arc<Replica>) -> io::Result<Arc<FullCopy>> {
    let shared = out.shared;
    let take = |store: &Store, members: &[Arc<Replica>]| take_copy(shared, store, members);
    if !replica.eof.load(Relaxed) {
        let mut txn = WriteTxn::begin(shared, Origin::Local, clock::now_ms());
        let members = std::slice::from_ref(replica);
        return Ok(Arc::new(take(txn.store_to_share(), members)));
    }
    let member = shared.copies.join(replica);
    let mut last_sign = Instant::now();
    loop {
        let config = shared.settings.current();
        let delay = Duration::from_secs(config.repl_diskless_sync_delay.into());
        let most = config.repl_diskless_sync_max_replicas as usize;
        if member.wait(SHORT_POLL_INTERVAL, delay, most) {
            break;
        }
        out.check()?;
        if shared.stop.is_requested() {
            return Err(ErrorKind::Interrupted.into());
        }
        if last_sign.elapsed() >= SIGN_OF_LIFE {
            last_sign = Instant::now();
            out.write_all(b"\n")?;
        }
    }
    let mut txn = WriteTxn::begin(shared, Origin::Local, clock::now_ms());
    Ok(member.take(|members| take(txn.store_to_share(), members)))
}

/// Takes a copy for some replicas, and has the journal keep for each of them what comes after it.
fn take_copy(shared: &Shared, store: &Store, members: &[Arc<Replica>]) -> FullCopy {
    let config = shared.settings.current();
    let (mut history, journal) = (lock(&shared.history), &shared.journal);
    if !journal.is_active() {
        // What happened before was not recorded, so it is nobody's history.
        *history = History::new(shared.random.hex40());
        journal.begin(journal.end(), 0, config.repl_backlog_size as u64);
    }
    if !shared.link.is_replica() {
        // A replica need not read in the copy's notes which database is selected. (What we relay as a replica cannot be
        // changed; there the notes are all there is.)
        journal.announce_selected();
    }
    let offset = journal.end();
    for replica in members.iter().filter(|r| !r.rdb_only.load(Relaxed)) {
        journal.add_reader(replica.client.id, offset, config.replica_limit);
    }
    FullCopy {
        dbs: store.dbs.iter().map(Db::snapshot).collect(),
        taken_at: clock::now_ms(),
        replid: history.replid.clone(),
        offset,
        selected: journal.selected(),
    }
}

/// Sends a copy of all data. A replica that can is told where it ends by a mark; others are told its length first, for
/// which the copy is made twice, the first time only to be counted.
fn send_copy(out: &mut Outlet<'_>, copy: Arc<FullCopy>) -> io::Result<()> {
    let notes = Notes {
        taken_at: copy.taken_at,
        used_memory: sys::allocated_bytes(),
        lfu: out.shared.settings.current().is_lfu(),
        replid: &copy.replid,
        offset: copy.offset,
        selected: copy.selected,
    };
    let without_keys = out.replica.without_keys.load(Relaxed);
    let dbs = if without_keys { &[] } else { &copy.dbs[..] };
    if !out.replica.eof.load(Relaxed) {
        let len = save::len(dbs, &notes);
        out.write_all(format!("${len}\r\n").as_bytes())?;
        return save::write(dbs, &notes, out);
    }
    let mark = out.shared.random.hex40();
    out.write_all(format!("$EOF:{mark}\r\n").as_bytes())?;
    save::write(dbs, &notes, out)?;
    drop(copy); // what it shares with the store need not be copied any more
    out.replica.expect_ready();
    out.write_all(mark.as_bytes())?;
    if out.replica.rdb_only.load(Relaxed) {
        return Ok(());
    }
    // The replica looks for the mark at the end of what it has received: nothing may follow before it has seen it, and
    // said so by its first acknowledgement.
    out.replica.acked_at.store(clock::now_ms(), Relaxed);
    while !out.replica.wait_ready(POLL_INTERVAL) {
        out.check_heard()?;
        out.check_kept()?;
    }
    Ok(())
}

/// Sends the journal as it grows. While it does, the feeder looks at it from time to time, and sends together what has
/// come in between: to be woken for each change would cost the writers and the replica more than the sending. Only
/// when nothing has come for some rounds does it sleep until it is woken. Who cannot wait for the next round sends for
/// itself (see [`Replicas::send_now`]).
///
/// [`Replicas::send_now`]: crate::state::replication::Replicas::send_now
fn follow(out: &mut Outlet<'_>) -> io::Result<()> {
    let (replica, journal) = (out.replica, &out.shared.journal);
    let (mut piece, mut idle_rounds) = (vec![], 0);
    loop {
        out.check_heard()?;
        let patience = if idle_rounds < IDLE_ROUNDS {
            thread::sleep(ROUND);
            Duration::ZERO
        } else {
            POLL_INTERVAL
        };
        match journal.wait(replica.client.id, patience) {
            Ok(true) => idle_rounds = 0,
            Ok(false) if out.shared.stop.is_requested() => return Ok(()),
            Ok(false) => {
                idle_rounds += 1;
                continue;
            }
            Err(Lost) => return out.check().and(Err(lost())),
        }
        replica.send_piece(lock(&replica.sending), journal, &mut piece, |bytes| {
            out.write_all(bytes).map(|()| bytes.len())
        })?;
    }
}

/// The way to a replica: gives up when the replica is gone, or too slow, or not wanted any more.
struct Outlet<'a> {
    shared: &'a Shared,
    replica: &'a Replica,
    stream: &'a TcpStream,
}

impl Outlet<'_> {
    /// Whether the replica is still there.
    fn check(&self) -> io::Result<()> {
        if self.replica.client.is_closing() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Whether it was heard of within `repl-timeout`.
    fn check_heard(&self) -> io::Result<()> {
        let timeout = i64::from(self.shared.settings.current().repl_timeout) * 1000;
        if self.replica.lag_ms(clock::now_ms()) > timeout {
            return Err(io::Error::other(
                "it was not heard of for too long (repl-timeout)",
            ));
        }
        self.check()
    }

    /// Whether the journal still has what the replica needs next. Before its copy is taken it needs nothing, and a replica
    /// that wants nothing but the copy never does.
    fn check_kept(&self) -> io::Result<()> {
        let replica = self.replica;
        let needs = replica.stage() != Stage::Waiting && !replica.rdb_only.load(Relaxed);
        if needs && self.shared.journal.is_lost(replica.client.id) {
            return Err(lost());
        }
        Ok(())
    }
}

impl Write for Outlet<'_> {
    /// Writes what the replica takes. It may take nothing for `repl-timeout` seconds.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        may_wait("wrote to a replica");
        let began = Instant::now();
        self.check_kept()?;
        loop {
            match self.stream.write(bytes) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.check()?;
                    self.check_kept()?;
                    let timeout = self.shared.settings.current().repl_timeout;
                    if began.elapsed() > Duration::from_secs(timeout.into()) {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Ok(n) => {
                    let sent = &self.shared.stats.repl_output_bytes;
                    sent.fetch_add(n as u64, Relaxed);
                    return Ok(n);
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
