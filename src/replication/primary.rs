//! Feeding a replica.
//!
//! When a client has sent PSYNC, its connection is a replica's. Its own thread goes on reading it, since the replica says
//! every second how far it has come; a thread of its own, the *feeder*, does all the writing: first the answer to PSYNC,
//! then a copy of all data if one is needed, and then the journal, for ever.
//!
//! Whether a copy is needed is decided under the store's lock, together with the offset at which the journal goes on. So
//! there is no change that is in neither of them, or in both.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::in_background;
use crate::persistence::rdb::save::Snapshot;
use crate::state::journal::Lost;
use crate::state::lock::may_wait;
use crate::state::replication::{History, Replica, Stage, lost};
use crate::state::session::SyncRequest;
use crate::state::{Handle, Shared, lock};
use crate::sys;
use crate::util::clock;
use crate::write::{Origin, WriteTxn};

/// How long changes are gathered before they are sent, and after how many rounds without any a feeder sleeps.
const ROUND: Duration = Duration::from_micros(400);
const IDLE_ROUNDS: u32 = 4;
/// How often a feeder with nothing to do looks round.
const LOOK_ROUND: Duration = Duration::from_millis(500);

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

/// How a replica is to go on.
enum Plan {
    /// From where it is.
    Partial,
    /// From a copy of everything.
    Full(Box<Snapshot>),
}

fn feed(shared: &Shared, replica: &Replica, request: SyncRequest) -> io::Result<()> {
    let config = shared.settings.current();
    let mut out = Outlet {
        shared,
        replica,
        stream: &replica.client.stream,
    };
    let (ip, port) = replica.address();
    let name = format!("{ip}:{port}");
    // A copy of a known length is made at once, as in Redis: several replicas cannot share it.
    let is_shareable = replica.eof.load(Relaxed);
    if is_shareable && !can_continue(shared, &request) {
        wait_for_others(&mut out, config.repl_diskless_sync_delay)?;
    }
    let plan = plan(shared, replica, &request);
    match plan {
        Plan::Partial => {
            shared.stats.sync_partial_ok.fetch_add(1, Relaxed);
            let replid = lock(&shared.history).replid.clone();
            shared.log.notice(&format!(
                "Partial resynchronization request from {name} accepted."
            ));
            let answer = if replica.psync2.load(Relaxed) {
                format!("+CONTINUE {replid}\r\n")
            } else {
                "+CONTINUE\r\n".into()
            };
            out.write_all(answer.as_bytes())?;
        }
        Plan::Full(snapshot) => {
            if request
                .wanted
                .as_ref()
                .is_some_and(|(replid, _)| replid != "?")
            {
                shared.stats.sync_partial_err.fetch_add(1, Relaxed);
            }
            shared.stats.sync_full.fetch_add(1, Relaxed);
            shared
                .log
                .notice(&format!("Full resync requested by replica {name}"));
            replica.set_stage(Stage::Sending);
            if request.psync {
                let (replid, offset) = (&snapshot.replid, snapshot.offset);
                out.write_all(format!("+FULLRESYNC {replid} {offset}\r\n").as_bytes())?;
            }
            // It takes long, and nobody but the replica waits for it.
            in_background(|| send_copy(&mut out, *snapshot))?;
            if replica.rdb_only.load(Relaxed) {
                return Ok(());
            }
            shared
                .log
                .notice(&format!("Synchronization with replica {name} succeeded"));
        }
    }
    replica.acked_at.store(clock::now_ms(), Relaxed);
    replica.set_stage(Stage::Online);
    follow(&mut out)
}

/// Whether the journal still has what a replica needs. Without the store's lock that may change.
fn can_continue(shared: &Shared, request: &SyncRequest) -> bool {
    let history = lock(&shared.history);
    request.wanted.as_ref().is_some_and(|(replid, have)| {
        history.includes(replid, have + 1) && shared.journal.reaches(*have)
    })
}

/// Decides how a replica goes on, and has the journal keep what it needs from there.
fn plan(shared: &Shared, replica: &Replica, request: &SyncRequest) -> Plan {
    let id = replica.client.id;
    let config = shared.settings.current();
    let limit = config.replica_limit;
    // No write is under way while this lock is held.
    let mut txn = WriteTxn::begin(shared, Origin::Local, clock::now_ms());
    if let Some((_, have)) = &request.wanted
        && can_continue(shared, request)
    {
        shared.journal.add_reader(id, *have, limit);
        return Plan::Partial;
    }
    let mut history = lock(&shared.history);
    if !shared.journal.is_active() {
        // What happened before was not recorded, so it is nobody's history.
        *history = History::new(shared.random.hex40());
        let (end, backlog) = (shared.journal.end(), config.repl_backlog_size as u64);
        shared.journal.begin(end, 0, backlog);
    }
    let offset = shared.journal.end();
    let replid = history.replid.clone();
    if !shared.link.is_replica() {
        // A replica need not read in the copy's notes which database is selected. (What we relay as a replica cannot be
        // changed; there the notes are all there is.)
        shared.journal.announce_selected();
    }
    shared.journal.add_reader(id, offset, limit);
    let selected = shared.journal.selected();
    let mut snapshot = Snapshot::take(
        txn.store_to_share(),
        clock::now_ms(),
        (replid, offset),
        selected,
        config.is_lfu(),
    );
    if replica.without_keys.load(Relaxed) {
        snapshot.leave_out_keys();
    }
    Plan::Full(Box::new(snapshot))
}

/// Waits as long as the configuration wants, for other replicas that need a copy too. The replica hears a line break now
/// and then, so that it knows we are there.
fn wait_for_others(out: &mut Outlet<'_>, seconds: u32) -> io::Result<()> {
    for _ in 0..seconds {
        if out.shared.stop.wait(Duration::from_secs(1)) {
            return Err(ErrorKind::Interrupted.into());
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Sends a copy of all data. A replica that can is told where it ends by a mark; others are told its length first, for
/// which the copy is made twice, the first time only to be counted.
fn send_copy(out: &mut Outlet<'_>, snapshot: Snapshot) -> io::Result<()> {
    let used_memory = sys::allocated_bytes();
    if !out.replica.eof.load(Relaxed) {
        let len = snapshot.len(used_memory);
        out.write_all(format!("${len}\r\n").as_bytes())?;
        return snapshot.write(out, used_memory);
    }
    let mark = out.shared.random.hex40();
    out.write_all(format!("$EOF:{mark}\r\n").as_bytes())?;
    snapshot.write(out, used_memory)?;
    drop(snapshot); // what it shares with the store need not be copied any more
    out.write_all(mark.as_bytes())?;
    if out.replica.rdb_only.load(Relaxed) {
        return Ok(());
    }
    // The replica looks for the mark at the end of what it has received: nothing may follow before it has seen it, and
    // said so by its first acknowledgement.
    out.replica.acked_at.store(clock::now_ms(), Relaxed);
    while !out.replica.wait_ready(LOOK_ROUND) {
        out.check_heard()?;
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
            LOOK_ROUND
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
}

impl Write for Outlet<'_> {
    /// Writes what the replica takes. It may take nothing for `repl-timeout` seconds.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        may_wait("wrote to a replica");
        let began = Instant::now();
        loop {
            match self.stream.write(bytes) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.check()?;
                    if self.shared.journal.is_lost(self.replica.client.id)
                        && self.replica.stage() != Stage::Waiting
                    {
                        return Err(lost());
                    }
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
