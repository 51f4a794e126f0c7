//! FAILOVER: a primary hands its role over to a replica. The handler checks the request and makes a [`Plan`] of it;
//! [`crate::state::failover`] describes the steps of a failover.

use std::time::{Duration, Instant};

use crate::commands::args::Cursor;
use crate::commands::command::Handler::WriteAll;
use crate::commands::command::flags::{ADMIN, NOSCRIPT, STALE};
use crate::commands::command::{Command, cmd};
use crate::commands::context::{Action, CommandResult, Context};
use crate::resp::{Args, Error};
use crate::state::State;
use crate::state::failover::{Address, Plan};
use crate::store::Store;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("failover", -1, WriteAll(failover), ADMIN | NOSCRIPT | STALE, 0, &[])
        .doc("server", "6.2.0", "O(1)", "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
             "Hands the role of the primary over to a replica."),
];

/// The options of FAILOVER as the client gave them.
#[derive(Default)]
struct FailoverOptions {
    /// TO: a host, and a port that may be out of range.
    target: Option<(String, i64)>,
    /// TIMEOUT.
    timeout: Option<Duration>,
    /// FORCE: when the time is over, hand over to the target even if it does not have all writes.
    force: bool,
}

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]`
///
/// Pauses writes, and hands the role of the primary over to a replica as soon as the replica, or the one that TO names,
/// has all writes. Without FORCE the failover is aborted after TIMEOUT; with FORCE the target then takes over although
/// it lacks writes. ABORT aborts a failover that is in progress. Replies OK at once. O(N) for N replicas.
///
/// The handler changes no data. It has the store's write lock because the pause of writes begins under that lock.
pub fn failover(ctx: &mut Context, _: &mut Store) -> CommandResult {
    let server = ctx.server;
    if ctx.args.len() == 2 && ctx.args.is(1, "ABORT") {
        if !server.failover.is_active() {
            return Err(Error::text("ERR No failover in progress."));
        }
        ctx.action = Some(Action::AbortHandOver);
    } else {
        let options = parse(&ctx.args)?;
        ctx.action = Some(Action::HandOver(plan(server, options)?));
    }
    ctx.reply.ok();
    Ok(())
}

/// Reads the options.
///
/// # Errors
///
/// A syntax error, or Redis's error for an invalid number.
fn parse(args: &Args<'_>) -> Result<FailoverOptions, Error> {
    let mut options = FailoverOptions::default();
    let mut cursor = Cursor::new(args, 1);
    while cursor.remaining() > 0 {
        if options.timeout.is_none() && cursor.remaining() > 1 && cursor.keyword("TIMEOUT") {
            let ms = u64::try_from(cursor.int()?).unwrap_or(0);
            if ms == 0 {
                let text = "ERR FAILOVER timeout must be greater than 0";
                return Err(Error::text(text));
            }
            options.timeout = Some(Duration::from_millis(ms));
        } else if options.target.is_none() && cursor.remaining() > 2 && cursor.keyword("TO") {
            let host = String::from_utf8_lossy(cursor.value()?).into_owned();
            options.target = Some((host, cursor.int()?));
        } else if !options.force && cursor.keyword("FORCE") {
            options.force = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    Ok(options)
}

/// Makes the plan of a failover.
///
/// # Errors
///
/// Redis's error if a failover is not possible now, or not with these options.
fn plan(server: &State, options: FailoverOptions) -> Result<Plan, Error> {
    let refused = |text| Err(Error::text(text));
    if server.failover.is_active() {
        return refused("ERR FAILOVER already in progress.");
    }
    if server.link.is_replica() {
        return refused("ERR FAILOVER is not valid when server is a replica.");
    }
    if server.replicas.is_empty() {
        return refused("ERR FAILOVER requires connected replicas.");
    }
    if options.force && (options.timeout.is_none() || options.target.is_none()) {
        return refused(
            "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
        );
    }
    let target = options.target.map(|target| find(server, &target));
    let deadline = options
        .timeout
        .and_then(|time| Instant::now().checked_add(time));
    Ok(Plan {
        target: target.transpose()?,
        deadline,
        force: options.force,
    })
}

/// The address of the online replica that has this host and port.
///
/// # Errors
///
/// Redis's error if there is no such replica, or it is not online.
fn find(server: &State, (host, port): &(String, i64)) -> Result<Address, Error> {
    let is_target = |(ip, p): (String, u16)| ip == *host && i64::from(p) == *port;
    let replicas = server.replicas.all();
    match replicas.iter().find(|replica| is_target(replica.address())) {
        None => Err(Error::text(
            "ERR FAILOVER target HOST and PORT is not a replica.",
        )),
        Some(replica) if !replica.is_online() => {
            Err(Error::text("ERR FAILOVER target replica is not online."))
        }
        Some(replica) => Ok(replica.address()),
    }
}
