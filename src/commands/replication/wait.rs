//! WAIT: a client waits until replicas have its writes.
//!
//! Every replica acknowledges an offset of the log. The session knows the offset after the client's last write, so WAIT
//! counts the online replicas that have acknowledged at least that offset. Example: the client's last write ends at
//! offset 900, and three replicas have acknowledged 950, 900 and 850. `WAIT 2 0` replies 2 at once; `WAIT 3 100` waits
//! until the third replica acknowledges 900, for 100 ms at most.
//!
//! The handler needs no data and no lock of the store. If the client must wait, the executor registers it
//! ([`Action::Wait`]) and asks the replicas for their offsets.

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
             "Waits until a number of replicas have all writes of this connection.")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

/// `WAIT numreplicas timeout`
///
/// Waits until `numreplicas` replicas have acknowledged the client's writes, for `timeout` milliseconds at most; 0
/// means for ever. Replies with the number of replicas that have. Does not wait in a transaction. O(N) for N replicas.
/// Propagates nothing; but if the client must wait, the log gets a REPLCONF GETACK, unless the replicas have been asked
/// since that write.
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
