//! The connection itself: greeting, logging in, choosing a database.

use super::args::{db_index, wrong_arity};
use super::client::set_name;
use super::{Cx, Done};
use crate::VERSION;
use crate::resp::Error;
use crate::state::session::ReplyMode;
use crate::util::number;

pub fn ping(cx: &mut Cx) -> Done {
    match cx.args.len() {
        1 => cx.reply.simple("PONG"),
        2 => cx.reply.bulk(&cx.args[1]),
        _ => return Err(wrong_arity("ping")),
    }
    Ok(())
}

pub fn echo(cx: &mut Cx) -> Done {
    cx.reply.bulk(&cx.args[1]);
    Ok(())
}

pub fn quit(cx: &mut Cx) -> Done {
    cx.session.close_after_reply = true;
    cx.reply.ok();
    Ok(())
}

pub fn reset(cx: &mut Cx) -> Done {
    let session = &mut *cx.session;
    session.set_multi(None);
    session.unwatch(cx.shared);
    session.select(0);
    session.set_resp3(false);
    session.reply_mode = ReplyMode::On;
    session.authenticated = cx.config.requirepass.is_empty();
    session.client.reset();
    cx.reply.resp3 = false;
    cx.reply.simple("RESET");
    Ok(())
}

pub fn select(cx: &mut Cx) -> Done {
    let db = db_index(cx, 1)?;
    cx.session.select(db);
    cx.reply.ok();
    Ok(())
}

/// Checks a name and a password. There is one user, `default`; without a password set, any will do.
fn log_in(cx: &mut Cx, user: &str, password: usize) -> Done {
    let wanted = cx.config.requirepass.as_bytes();
    let given = &cx.args[password];
    // Compared to the end whatever differs, so that the time taken tells nothing.
    let differs = given
        .iter()
        .zip(wanted)
        .fold(given.len() ^ wanted.len(), |d, (a, b)| {
            d | usize::from(a ^ b)
        });
    if user != "default" || !wanted.is_empty() && differs != 0 {
        return Err(Error::text(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    }
    cx.session.authenticated = true;
    Ok(())
}

pub fn auth(cx: &mut Cx) -> Done {
    match cx.args.len() {
        2 if cx.config.requirepass.is_empty() => {
            return Err(Error::text(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        2 => log_in(cx, "default", 1)?,
        3 => {
            let user = String::from_utf8_lossy(&cx.args[1]).into_owned();
            log_in(cx, &user, 2)?;
        }
        _ => return Err(Error::SYNTAX),
    }
    cx.reply.ok();
    Ok(())
}

pub fn hello(cx: &mut Cx) -> Done {
    let mut resp3 = cx.session.resp3;
    if cx.args.len() > 1 {
        let version = number::parse_i64(&cx.args[1]);
        resp3 = match version.ok_or(Error::text(
            "ERR Protocol version is not an integer or out of range",
        ))? {
            2 => false,
            3 => true,
            _ => return Err(Error::text("NOPROTO unsupported protocol version")),
        };
    }
    let (mut credentials, mut name, mut i) = (None, None, 2);
    while i < cx.args.len() {
        let more = cx.args.len() - 1 - i;
        if cx.args.is(i, "AUTH") && more >= 2 {
            credentials = Some((i + 1, i + 2));
            i += 2;
        } else if cx.args.is(i, "SETNAME") && more >= 1 {
            name = Some(i + 1);
            i += 1;
        } else {
            let option = String::from_utf8_lossy(&cx.args[i]);
            return Err(Error::new(format!(
                "ERR Syntax error in HELLO option '{option}'"
            )));
        }
        i += 1;
    }
    if let Some((user, password)) = credentials {
        let user = String::from_utf8_lossy(&cx.args[user]).into_owned();
        log_in(cx, &user, password)?;
    }
    if !cx.session.authenticated {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same \
             time",
        ));
    }
    if let Some(i) = name {
        set_name(&cx.session.client, &cx.args[i])?;
    }
    cx.session.set_resp3(resp3);
    let reply = &mut *cx.reply;
    reply.resp3 = resp3;
    reply.map(7);
    let text = |reply: &mut crate::resp::Reply, name: &str, value: &str| {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    };
    text(reply, "server", "redis");
    text(reply, "version", VERSION);
    reply.bulk(b"proto");
    reply.int(if resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.int(cx.session.client.id as i64);
    text(reply, "mode", "standalone");
    text(
        reply,
        "role",
        if cx.shared.link.is_replica() {
            "replica"
        } else {
            "master"
        },
    );
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}
