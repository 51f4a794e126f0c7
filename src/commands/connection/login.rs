//! AUTH and HELLO: authentication and the protocol version.
//!
//! There is one user, `default`. Its password is the setting `requirepass`, a sequence of any bytes. If `requirepass`
//! is empty, every connection is authenticated from the start, and the user `default` is accepted with any password.
//!
//! HELLO does the work of several commands. It applies its options from left to right and stops at the first error. As in
//! Redis, the options before the error stay applied:
//!
//! ```text
//!   HELLO 3 SETNAME worker FOO     -ERR Syntax error in HELLO option 'FOO'
//!   CLIENT GETNAME                 "worker"
//! ```
//!
//! # Invariant
//!
//! * The protocol changes last, so an error of HELLO is written in the protocol that the client spoke before.

use super::client::set_name;
use crate::VERSION;
use crate::commands::args::{Cursor, c_text};
use crate::commands::command::Handler::Plain;
use crate::commands::command::flags::{ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE};
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::resp::Error;
use crate::state::config::Config;
use crate::state::session::Session;
use crate::util::number;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("hello", -1, Plain(hello), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "6.0.0", "O(1)", "[protover [AUTH username password] [SETNAME clientname]]",
             "Negotiates the protocol version, and can log in and name the connection too."),
    cmd("auth", -2, Plain(auth), NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, acl::CONNECTION, &[])
        .doc("connection", "1.0.0", "O(N)", "[username] password",
             "Logs the connection in."),
];

/// Authenticates the connection.
///
/// # Errors
///
/// WRONGPASS for a user other than `default`, and for a wrong password.
fn log_in(session: &mut Session, config: &Config, user: &[u8], password: &[u8]) -> CommandResult {
    let wanted = config.requirepass.as_slice();
    let is_right = wanted.is_empty() || is_same(password, wanted);
    if user != b"default" || !is_right {
        return Err(Error::text(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    }
    session.authenticated = true;
    Ok(())
}

/// Compares passwords in a time that does not depend on where they differ. So an attacker cannot find a password byte
/// by byte by measuring the time.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    let pairs = given.iter().zip(wanted);
    let differences = pairs.fold(given.len() ^ wanted.len(), |d, (a, b)| {
        d | usize::from(a ^ b)
    });
    differences == 0
}

/// `AUTH [username] password`: authenticates the connection. Replies OK, or WRONGPASS. O(N) for a password of N bytes.
pub fn auth(ctx: &mut Context) -> CommandResult {
    let (user, password) = match ctx.args.len() {
        2 if ctx.config.requirepass.is_empty() => {
            return Err(Error::text(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                 your configuration is correct?",
            ));
        }
        2 => (&b"default"[..], &ctx.args[1]),
        3 => (&ctx.args[1], &ctx.args[2]),
        _ => return Err(Error::SYNTAX),
    };
    log_in(ctx.session, ctx.config, user, password)?;
    ctx.reply.ok();
    Ok(())
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]`
///
/// Authenticates the connection, sets its name, and chooses the protocol version. Replies with a map that describes the
/// server and the connection; with NOPROTO for an unknown version, with NOAUTH if the connection is not authenticated.
/// O(1).
pub fn hello(ctx: &mut Context) -> CommandResult {
    let mut resp3 = ctx.session.resp3;
    let mut options = Cursor::new(&ctx.args, 1);
    if let Some(version) = options.next() {
        let error = Error::text("ERR Protocol version is not an integer or out of range");
        resp3 = match number::parse_i64(version).ok_or(error)? {
            2 => false,
            3 => true,
            _ => return Err(Error::text("NOPROTO unsupported protocol version")),
        };
    }
    while options.remaining() > 0 {
        if options.remaining() > 2 && options.keyword("AUTH") {
            let (user, password) = (options.value()?, options.value()?);
            log_in(ctx.session, ctx.config, user, password)?;
        } else if options.remaining() > 1 && options.keyword("SETNAME") {
            set_name(&ctx.session.client, options.value()?)?;
        } else {
            return Err(unknown_option(options.value()?));
        }
    }
    if !ctx.session.authenticated {
        return Err(Error::text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same \
             time",
        ));
    }
    ctx.session.set_resp3(resp3);
    reply_greeting(ctx);
    Ok(())
}

/// Redis's error for an option of HELLO that is unknown or lacks its values. It shows the option up to its first zero
/// byte.
fn unknown_option(option: &[u8]) -> Error {
    let option = c_text(option, usize::MAX);
    let text = [b"ERR Syntax error in HELLO option '", option, b"'"];
    Error::new(text.concat())
}

/// Writes the reply to HELLO, in the protocol version that was chosen.
fn reply_greeting(ctx: &mut Context) {
    let is_replica = ctx.server.link.is_replica();
    let reply = &mut *ctx.reply;
    reply.resp3 = ctx.session.resp3;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(if ctx.session.resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.int(ctx.session.client.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(if is_replica { b"replica" } else { b"master" });
    reply.bulk(b"modules");
    reply.array(0);
}
