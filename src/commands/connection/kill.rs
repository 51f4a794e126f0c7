//! CLIENT KILL: closes connections.
//!
//! There are two forms. The old one, `CLIENT KILL ip:port`, names one connection, which may be the caller's own. The
//! new one is a list of filters. It closes the connections that match all of them, but not the caller's own unless
//! `SKIPME no` is given:
//!
//! ```text
//!   CLIENT KILL TYPE normal ADDR 127.0.0.1:50000 SKIPME no
//! ```
//!
//! The executor closes the other connections after the handler has returned. The caller's own connection is closed by its
//! thread, after the reply has been sent.

use super::list::{TypeTest, type_test};
use crate::commands::args::{Cursor, c_text};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::clients::Client;
use crate::util::number;

/// Which connections to close: those that match every filter that is given.
#[derive(Default)]
struct KillFilter<'a> {
    /// ID: the connection's number.
    id: Option<u64>,
    /// ADDR: the client's address.
    addr: Option<&'a [u8]>,
    /// LADDR: the server's address.
    laddr: Option<&'a [u8]>,
    /// TYPE: a test for the type of the client.
    is_of_type: Option<TypeTest>,
    /// SKIPME: the number of the connection that is not closed.
    skipped: Option<u64>,
}

impl<'a> KillFilter<'a> {
    /// Reads the filters of the new form. `me` is the number of the caller's own connection.
    ///
    /// # Errors
    ///
    /// A syntax error, or Redis's error for an invalid ID, an unknown type or an unknown user.
    fn read(mut options: Cursor<'a, '_>, me: u64) -> Result<KillFilter<'a>, Error> {
        let mut filter = KillFilter {
            skipped: Some(me),
            ..KillFilter::default()
        };
        while let Some(option) = options.next() {
            let value = options.value()?;
            match option.to_ascii_uppercase().as_slice() {
                b"ID" => {
                    let id = number::parse_i64(value).filter(|&id| id > 0);
                    let error = Error::text("ERR client-id should be greater than 0");
                    filter.id = Some(id.ok_or(error)? as u64);
                }
                b"TYPE" => filter.is_of_type = Some(type_test(value)?),
                b"USER" if value == b"default" => {}
                b"USER" => {
                    let name = c_text(value, usize::MAX);
                    let text = [b"ERR No such user '", name, b"'"];
                    return Err(Error::new(text.concat()));
                }
                b"ADDR" => filter.addr = Some(value),
                b"LADDR" => filter.laddr = Some(value),
                b"SKIPME" if value.eq_ignore_ascii_case(b"yes") => filter.skipped = Some(me),
                b"SKIPME" if value.eq_ignore_ascii_case(b"no") => filter.skipped = None,
                _ => return Err(Error::SYNTAX),
            }
        }
        Ok(filter)
    }

    /// Whether the client matches all filters.
    fn matches(&self, client: &Client) -> bool {
        let is = |wanted: Option<&[u8]>, own: String| wanted.is_none_or(|w| w == own.as_bytes());
        self.id.is_none_or(|id| id == client.id)
            && self.skipped.is_none_or(|id| id != client.id)
            && self.is_of_type.is_none_or(|is_of_type| is_of_type(client))
            && is(self.addr, client.peer.to_string())
            && is(self.laddr, client.local.to_string())
    }
}

/// `CLIENT KILL <ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] |
/// [ADDR ip:port] | [LADDR ip:port] | [SKIPME yes/no]> ...>`
///
/// Closes the connections that match. The old form replies OK, or an error if none matches; the new one replies with
/// their number. O(N) for N connections.
pub fn kill(ctx: &mut Context) -> CommandResult {
    let me = ctx.session.client.id;
    let is_old_form = ctx.args.len() == 3;
    let filter = if is_old_form {
        KillFilter {
            addr: Some(&ctx.args[2]),
            ..KillFilter::default()
        }
    } else {
        KillFilter::read(Cursor::new(&ctx.args, 2), me)?
    };
    let mut chosen = ctx.server.clients.all();
    chosen.retain(|client| filter.matches(client));
    match chosen.len() {
        0 if is_old_form => return Err(Error::text("ERR No such client")),
        _ if is_old_form => ctx.reply.ok(),
        n => ctx.reply.int(n as i64),
    }
    let (own, others): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|client| client.id == me);
    if !own.is_empty() {
        ctx.session.close_after_reply = true;
    }
    ctx.action = Some(Action::Kill(others));
    Ok(())
}
