//! The dialogue with a primary before it sends data.
//!
//! ```text
//!   this server asks                          the primary answers
//!   PING                                      +PONG, or an error that asks for a password
//!   AUTH [masteruser] masterauth              +OK         only if masterauth is set
//!   REPLCONF listening-port 6380              +OK
//!   REPLCONF ip-address 10.0.0.7              +OK         only if replica-announce-ip is set
//!   REPLCONF capa eof capa psync2             +OK
//!   PSYNC <replid> <next offset> [FAILOVER]   +CONTINUE [<replid>]  or  +FULLRESYNC <replid> <offset>
//! ```
//!
//! This server waits for each answer before it sends the next request. With FAILOVER it asks the other server to become
//! the primary in its place: see [`crate::state::failover`]. If a primary does not know PSYNC, this server sends SYNC. Then
//! the primary sends the copy without an answer.

use std::io;

use super::wire::{ID_LEN, Wire, failed, superseded};
use crate::state::config::Config;
use crate::state::failover::Phase;
use crate::state::lock;

/// The largest offset from which a stream may begin. So much room is left above it that no sum of offsets overflows.
const MAX_OFFSET: u64 = 1 << 62;

/// The primary's decision about how replication begins.
pub enum Start {
    /// With the next byte that this server does not have. This is the replid from now on; it may be a new one.
    Continue(String),
    /// With a copy of all data, which the primary sends next.
    Full {
        /// The name of the primary's history.
        replid: String,
        /// The offset that the copy stands for.
        offset: u64,
        /// The primary knows PSYNC, and so expects acknowledgements.
        psync: bool,
    },
}

/// Holds the dialogue, and returns the primary's decision.
///
/// # Errors
///
/// Those of the connection; and if the primary refuses, or its answers are not understood.
pub fn handshake(wire: &mut Wire<'_>) -> io::Result<Start> {
    let config = wire.shared.settings.current();
    let answer = wire.ask(&[b"PING"])?;
    let alive = ["+", "-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
    if !alive.iter().any(|start| answer.starts_with(start)) {
        return failed(format!("Error reply to PING from master: '{answer}'"));
    }
    log_in(wire, &config)?;
    introduce(wire, &config)?;
    let (replid, answer) = ask_for_stream(wire)?;
    understand(wire, replid, &answer)
}

/// Sends AUTH, if `masterauth` is set.
fn log_in(wire: &mut Wire<'_>, config: &Config) -> io::Result<()> {
    if config.masterauth.is_empty() {
        return Ok(());
    }
    let mut words = vec![&b"AUTH"[..], &config.masteruser, &config.masterauth];
    words.retain(|word| !word.is_empty());
    let answer = wire.ask(&words)?;
    if answer.starts_with('-') {
        return failed(format!("Unable to AUTH to MASTER: {answer}"));
    }
    Ok(())
}

/// Sends REPLCONF: the address of this server and its capabilities. As in Redis, an error in reply is only logged.
fn introduce(wire: &mut Wire<'_>, config: &Config) -> io::Result<()> {
    let shared = wire.shared;
    let port = match config.replica_announce_port {
        0 => shared.port(),
        announced => announced,
    };
    let port = port.to_string();
    let ip = config.replica_announce_ip.as_slice();
    let mut about_us = vec![vec![&b"listening-port"[..], port.as_bytes()]];
    if !ip.is_empty() {
        about_us.push(vec![b"ip-address", ip]);
    }
    about_us.push(vec![b"capa", b"eof", b"capa", b"psync2"]);
    for words in about_us {
        let answer = wire.ask(&[&[&b"REPLCONF"[..]], words.as_slice()].concat())?;
        if answer.starts_with('-') {
            shared.log.notice(&format!(
                "(Non critical) Master does not understand REPLCONF {}: {answer}",
                String::from_utf8_lossy(words[0])
            ));
        }
    }
    Ok(())
}

/// Sends PSYNC: asks for the rest of the history, or for a copy if this server has no history. Returns the replid that PSYNC
/// named, and the answer.
fn ask_for_stream(wire: &mut Wire<'_>) -> io::Result<(String, String)> {
    let shared = wire.shared;
    let (replid, next) = if shared.journal.is_active() {
        let replid = lock(&shared.history).replid.clone();
        (replid, (shared.journal.end() + 1).to_string())
    } else {
        ("?".into(), "-1".into())
    };
    shared.log.notice(&format!(
        "Trying a partial resynchronization (request {replid}:{next})."
    ));
    let hands_over = shared.failover.is_active();
    let mut psync = vec![&b"PSYNC"[..], replid.as_bytes(), next.as_bytes()];
    if hands_over {
        psync.push(b"FAILOVER");
    }
    wire.send(&psync)?;
    let answer = wire.answer()?;
    if hands_over {
        conclude_hand_over(wire, &answer)?;
    }
    Ok((replid, answer))
}

/// Ends a FAILOVER: the other server is the primary now, unless its answer is an error.
fn conclude_hand_over(wire: &Wire<'_>, answer: &str) -> io::Result<()> {
    let shared = wire.shared;
    let refused = answer.starts_with('-');
    {
        let mut store = shared.write();
        wire.check()?;
        if refused {
            shared.end_failover(&mut store);
        } else {
            shared.set_failover(Phase::None);
        }
    }
    if refused {
        let text = "Aborting failover: Failover target rejected psync request";
        shared.log.notice(text);
        return Err(superseded());
    }
    Ok(())
}

/// Reads the answer to PSYNC. `asked` is the replid that PSYNC has named. If the answer is an error, sends SYNC.
fn understand(wire: &mut Wire<'_>, asked: String, answer: &str) -> io::Result<Start> {
    let shared = wire.shared;
    let mut words = answer.split(' ');
    match words.next() {
        Some("+FULLRESYNC") => {
            let replid = words.next().filter(|id| id.len() == ID_LEN);
            let offset = words.next().and_then(|n| n.parse().ok());
            let offset = offset.filter(|&offset: &u64| offset <= MAX_OFFSET);
            let (Some(replid), Some(offset)) = (replid, offset) else {
                return failed(format!(
                    "Master replied with wrong +FULLRESYNC syntax: '{answer}'"
                ));
            };
            let log = &shared.log;
            log.notice(&format!("Full resync from master: {replid}:{offset}"));
            Ok(Start::Full {
                replid: replid.into(),
                offset,
                psync: true,
            })
        }
        Some("+CONTINUE") if shared.journal.is_active() => {
            let renamed = words.next().filter(|id| id.len() == ID_LEN);
            Ok(Start::Continue(renamed.map_or(asked, String::from)))
        }
        Some("-NOMASTERLINK" | "-LOADING") => failed(format!(
            "Master is currently unable to PSYNC but should be in the future: {answer}"
        )),
        _ if answer.starts_with('-') => {
            shared.log.notice(&format!(
                "Retrying with SYNC, for PSYNC was answered with: {answer}"
            ));
            wire.send(&[b"SYNC"])?;
            Ok(Start::Full {
                replid: shared.random.hex40(),
                offset: 0,
                psync: false,
            })
        }
        _ => failed(format!("Unexpected reply to PSYNC from master: '{answer}'")),
    }
}
