//! WAIT: until replicas have what a client has written.

use crate::commands::args::{int, timeout_ms};
use crate::commands::command::Handler::Plain;
use crate::commands::command::flags::NOSCRIPT;
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::blocking::{Acks, Wait};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("wait", 3, Plain(wait), NOSCRIPT, acl::CONNECTION, &[])
        .doc("generic", "3.0.0", "O(1)", "numreplicas timeout",
             "Waits until so many replicas have everything that this connection has written.")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

/// `WAIT numreplicas timeout`: waits until `numreplicas` replicas have acknowledged what this client has written, for
/// `timeout` milliseconds at most, 0 meaning for ever. Replies how many replicas have. Does not wait in a transaction. O(N)
/// for N replicas.
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
    let (server, offset) = (ctx.server, ctx.session.last_write_offset);
    let acked = server.replicas.count_acked(offset);
    if acked as i64 >= wanted || !ctx.may_block {
        ctx.reply.int(acked as i64);
        return Ok(());
    }
    ctx.action = Some(Action::Wait(Wait {
        keys: vec![],
        timeout,
        service: None,
        acks: Some(Acks {
            offset,
            replicas: usize::try_from(wanted).unwrap_or(0),
        }),
    }));
    Ok(())
}
