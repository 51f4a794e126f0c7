//! The talk with a primary before it sends anything.
//!
//! ```text
//!   PING                                      +PONG, or an error that says that it is alive
//!   AUTH [masteruser] masterauth              if there is a masterauth
//!   REPLCONF listening-port 6380
//!   REPLCONF ip-address 10.0.0.7              if it is announced
//!   REPLCONF capa eof capa psync2
//!   PSYNC <replid> <next offset> [FAILOVER]   +CONTINUE [<replid>]  or  +FULLRESYNC <replid> <offset>
//! ```
//!
//! Each thing is said when the one before has been answered. FAILOVER hands this server's place over: see
//! [`crate::state::failover`].

use std::io;

use super::ID_LEN;
use super::wire::{Wire, failed, superseded};
use crate::state::config::Config;
use crate::state::failover::Phase;
use crate::state::lock;

/// The largest offset from which a stream may begin. It leaves room for all that can ever come after it, so no sum of
/// offsets overflows.
const MAX_OFFSET: u64 = 1 << 62;

/// How the primary wants us to begin.
pub enum Start {
    /// From where we are; the history may have another name now.
    Continue(String),
    /// From a copy of everything, which is about to come.
    Full {
        replid: String,
        offset: u64,
        /// It speaks PSYNC, and so wants to know how far we are.
        psync: bool,
    },
}

/// Says who we are and what we want. Each thing is said when the one before has been answered.
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

/// Tells the primary where we can be reached, and what we understand.
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

/// Asks for what we have missed, or for everything if we have no history. Returns the replid that was asked for, and the
/// answer.
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

/// Ends the handing over: the other server has taken our place, unless its answer is an error.
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

/// How the primary's answer to PSYNC wants us to begin; `asked` is the replid that we have named. An old primary does not
/// know PSYNC: it is asked for everything.
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
