//! The server as a whole: its clock, its databases, its end.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::args::{db_index_of, int32};
use super::object::idle_seconds;
use super::{Cx, Done};
use crate::resp::Error;
use crate::store::{Db, Store};
use crate::util::{clock, number};

pub fn time(cx: &mut Cx) -> Done {
    let now = clock::since_epoch();
    cx.reply.array(2);
    cx.reply.bulk(now.as_secs().to_string().as_bytes());
    cx.reply.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

pub fn dbsize(cx: &mut Cx, db: &Db) -> Done {
    cx.reply.int(db.len() as i64);
    Ok(())
}

/// ASYNC and SYNC are one here: the keys are dropped by this client's thread, after the lock is released.
fn check_flush_option(cx: &Cx) -> Done {
    match cx.args.len() {
        1 => Ok(()),
        2 if cx.args.is(1, "ASYNC") || cx.args.is(1, "SYNC") => Ok(()),
        _ => Err(Error::SYNTAX),
    }
}

pub fn flushall(cx: &mut Cx, store: &mut Store) -> Done {
    check_flush_option(cx)?;
    let removed: usize = store.dbs.iter_mut().map(Db::clear).sum();
    cx.dirty += removed as u64 + 1;
    cx.reply.ok();
    Ok(())
}

pub fn flushdb(cx: &mut Cx, store: &mut Store) -> Done {
    check_flush_option(cx)?;
    cx.dirty += store.dbs[cx.session.db].clear() as u64;
    cx.propagate_with(&[]); // even if there was nothing: a replica may differ
    cx.reply.ok();
    Ok(())
}

pub fn swapdb(cx: &mut Cx, store: &mut Store) -> Done {
    let index = |i: usize, error| int32(&cx.args[i]).map_err(|_| Error::text(error));
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    store.swap(db_index_of(first, cx)?, db_index_of(second, cx)?);
    cx.dirty += 1;
    cx.reply.ok();
    Ok(())
}

pub fn shutdown(cx: &mut Cx) -> Done {
    let (mut save, mut no_save, mut abort) = (false, false, false);
    for word in cx.args.iter_from(1) {
        match word.to_ascii_uppercase().as_slice() {
            b"SAVE" => save = true,
            b"NOSAVE" => no_save = true,
            b"NOW" | b"FORCE" => {}
            b"ABORT" => abort = true,
            _ => return Err(Error::SYNTAX),
        }
    }
    if save && no_save || abort && cx.args.len() > 2 {
        return Err(Error::SYNTAX);
    }
    if abort {
        return Err(Error::text("ERR No shutdown in progress."));
    }
    if save
        && !cx
            .args
            .iter_from(1)
            .any(|w| w.eq_ignore_ascii_case(b"FORCE"))
    {
        // There is nothing to save to, and it was asked for.
        cx.shared
            .log
            .warning("SHUTDOWN SAVE refused: this server keeps its data in memory only");
        return Err(Error::text("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    cx.shared.log.warning("User requested shutdown...");
    cx.shared.stop.request();
    cx.session.close_after_reply = true;
    Ok(())
}

pub fn debug(cx: &mut Cx, store: &mut Store) -> Done {
    let allowed = match cx.config.enable_debug_command {
        "yes" => true,
        "local" => cx.session.client.peer.ip().is_loopback(),
        _ => false,
    };
    if !allowed {
        return Err(Error::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
             from a local connection, otherwise you need to set this option in the configuration file, and then \
             restart the server.",
        ));
    }
    match (cx.args[1].to_ascii_lowercase().as_slice(), cx.args.len()) {
        (b"sleep", 3) => {
            // The whole server sleeps, as it does in Redis: the lock is held.
            let seconds = String::from_utf8_lossy(&cx.args[2])
                .parse::<f64>()
                .unwrap_or(0.0);
            let time = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
            cx.shared.stop.wait(time);
            cx.reply.ok();
        }
        (b"set-active-expire", 3) => {
            let on = number::parse_i64(&cx.args[2]).unwrap_or(0) != 0;
            cx.shared.active_expire.store(on, Relaxed);
            cx.reply.ok();
        }
        (b"object", 3) => {
            let object = store.dbs[cx.session.db]
                .get(&cx.args[2], cx.now)
                .ok_or(Error::NO_SUCH_KEY)?;
            let line = format!(
                "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
                object,
                object.value.encoding(),
                object.value.serialized_len(),
                object.used() & 0xFF_FFFF,
                idle_seconds(cx, object),
            );
            cx.reply.simple(&line);
        }
        (b"help", 2) => {
            let lines = [
                "DEBUG <subcommand> [<arg> ...], where <subcommand> is one of:",
                "SLEEP seconds",
                "    Stops the whole server for a while.",
                "SET-ACTIVE-EXPIRE <0|1>",
                "    Lets expired keys be deleted without being asked for, or not.",
                "OBJECT key",
                "    Shows how a value is kept.",
                "HELP",
                "    Prints this.",
            ];
            cx.reply.array(lines.len());
            lines.iter().for_each(|line| cx.reply.simple(line));
        }
        _ => {
            let name = String::from_utf8_lossy(&cx.args[1]);
            let text = format!(
                "ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
            );
            return Err(Error::new(text));
        }
    }
    Ok(())
}
