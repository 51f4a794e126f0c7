//! SHUTDOWN: stops the server. The handler only reads the options; [`crate::state::shutdown`] describes how the server
//! waits for its replicas.

use crate::commands::command::Handler::Plain;
use crate::commands::command::flags::{ADMIN, ALLOW_BUSY, LOADING, NO_MULTI, NOSCRIPT, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::Error;
use crate::state::shutdown::ShutdownOptions;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("shutdown", -1, Plain(shutdown), ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, 0, &[])
        .doc("server", "1.0.0", "O(N)", "[NOSAVE|SAVE] [NOW] [FORCE] [ABORT]",
             "Stops the server."),
];

/// `SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]`
///
/// Stops the server when its replicas have received all writes, or when `shutdown-timeout` has passed; with NOW, at
/// once. Replies only with an error, if the shutdown fails or is aborted. SAVE fails unless FORCE is given, because
/// this server saves no data. ABORT aborts a shutdown that is waiting, and replies OK, or an error if none is waiting.
/// O(N) for N replicas.
pub fn shutdown(ctx: &mut Context) -> CommandResult {
    let (mut options, mut no_save, mut abort) = (ShutdownOptions::default(), false, false);
    for word in ctx.args.iter_from(1) {
        match word.to_ascii_uppercase().as_slice() {
            b"SAVE" => options.save = true,
            b"NOSAVE" => no_save = true,
            b"NOW" => options.now = true,
            b"FORCE" => options.force = true,
            b"ABORT" => abort = true,
            _ => return Err(Error::SYNTAX),
        }
    }
    if abort && (no_save || options != ShutdownOptions::default()) || options.save && no_save {
        return Err(Error::SYNTAX);
    }
    ctx.action = Some(if abort {
        Action::AbortShutdown
    } else {
        Action::ShutDown(options)
    });
    Ok(())
}
