//! Whether a request may run: the checks before a command's handler is called.
//!
//! A client sees only the first error, so the order of the checks is that of Redis's `processCommand`:
//!
//! | check | applies to | otherwise |
//! |---|---|---|
//! | the command and its subcommand are in the table | all | `unknown command`, `unknown subcommand` |
//! | it has the right number of arguments | all | `wrong number of arguments` |
//! | the client has authenticated | commands without NO_AUTH | `NOAUTH` |
//! | no transaction is open | commands with NO_MULTI | `Command not allowed inside a transaction` |
//! | enough replicas are connected | writes, on a primary | `NOREPLICAS` |
//! | this server takes writes | writes, on a replica | `READONLY` |
//! | the data is not stale | commands without STALE, on a replica | `MASTERDOWN` |
//! | the client is not a replica | commands that touch keys | `Replica can't interact with the keyspace` |
//! | writes are not paused | writes that are not queued | the client waits, and tries again |
//! | no transaction is open | commands without NOT_QUEUED | the command is queued |
//!
//! For EXEC, the queued commands count too: EXEC is a write if one of them is. The checks from NOREPLICAS to the pause do not
//! apply to what this server's primary sends.
//!
//! An error marks the open transaction, so that EXEC refuses all of it.
//!
//! # Invariants
//!
//! * If the role of the server, or a pause, decides whether a client's write is admitted, the write lock is held from that
//!   check to the end of the write. So neither can change in between.

use std::sync::atomic::Ordering::Relaxed;

use super::{Executor, Flow};
use crate::commands::args::{is_http, unknown_command, unknown_subcommand, wrong_arity};
use crate::commands::command::{Command, Flags, Handler, acl, flags};
use crate::resp::{Args, Error, Reply};
use crate::state::session::{Queued, Session};

impl Executor<'_> {
    /// Runs, queues, refuses or puts off a request.
    pub(super) fn admit(
        &mut self,
        session: &mut Session,
        args: Args<'_>,
        reply: &mut Reply,
    ) -> Flow {
        let start = reply.out.len();
        let number = match self.look_up(session, &args) {
            Ok(number) => number,
            Err(error) => {
                self.refuse(session, &args, reply, error);
                Self::apply_reply_mode(session, reply, start);
                return Flow::Next;
            }
        };
        session.client.last_command.store(number as u32, Relaxed);
        let command = self.index.rows[number].command;
        if self.shared.write_pause.is_active()
            && !session.is_primary
            && writes_now(session, command)
        {
            // The write lock is held, and a pause begins only under that lock, so no write passes this check later.
            return Flow::Again;
        }
        if session.multi.is_some() && !command.has(flags::NOT_QUEUED) {
            queue(session, number, command, &args);
            reply.simple("QUEUED");
            Self::apply_reply_mode(session, reply, start);
            return Flow::Next;
        }
        if matches!(command.handler, Handler::Exec) {
            self.exec(session, number, reply);
            return Flow::Next;
        }
        let waiter = self.call(session, number, args, reply, true);
        Self::apply_reply_mode(session, reply, start);
        let is_long = matches!(command.handler, Handler::ReadAll(_) | Handler::WriteAll(_))
            || command.acl & acl::DANGEROUS != 0;
        if is_long || self.lease.is_used_up(reply.out.len()) {
            self.end_lease();
        }
        match waiter {
            Some((waiter, deadline)) => Flow::Block(waiter, deadline),
            None => Flow::Next,
        }
    }

    /// Writes the error of a request that is refused, and marks the transaction that it belongs to.
    #[cold]
    fn refuse(&mut self, session: &mut Session, args: &Args<'_>, reply: &mut Reply, error: Error) {
        if is_http(args) {
            self.end_lease(); // a line of the server's own log may wait for a disk
            self.shared.log.warn_of_http(
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
                 This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis \
                 instance. Connection aborted.",
            );
            session.close_after_reply = true;
            return session.client.kill();
        }
        let command = self.index.find(&args[0]);
        let handler = command.map(|n| self.index.rows[n].command.handler);
        if matches!(handler, Some(Handler::Exec)) {
            // An EXEC that is refused ends the transaction and the watch of all keys, even if no transaction was open.
            session.set_multi(None);
            session.unwatch(&self.shared.watches);
            let why = error.0.strip_prefix(b"ERR ").unwrap_or(&error.0);
            let text = b"EXECABORT Transaction discarded because of: ";
            return self.reply_error(reply, &Error::new([text, why].concat()));
        }
        if let Some(multi) = &mut session.multi {
            multi.refused = true;
        }
        self.reply_error(reply, &error);
    }

    /// Finds the command's number in the table, and makes all checks that can refuse the command.
    ///
    /// # Errors
    ///
    /// The error of the first check that fails.
    fn look_up(&mut self, session: &Session, args: &Args<'_>) -> Result<usize, Error> {
        let top = self.index.find(&args[0]);
        let top = top.ok_or_else(|| unknown_command(args))?;
        let row = &self.index.rows[top];
        let number = match args.get(1) {
            Some(name) if !row.command.subcommands.is_empty() => {
                let sub = self.index.find_sub(top, name);
                sub.ok_or_else(|| unknown_subcommand(&args[0], name))?
            }
            _ => top,
        };
        let row = &self.index.rows[number];
        let refusal = if !row.command.accepts(args.len()) {
            Some(wrong_arity(&row.full_name))
        } else if !session.authenticated && !row.command.has(flags::NO_AUTH) {
            Some(Error::text("NOAUTH Authentication required."))
        } else if session.multi.is_some() && row.command.has(flags::NO_MULTI) {
            Some(Error::text("ERR Command not allowed inside a transaction"))
        } else {
            self.refusal_by_role(session, row.command)
        };
        match refusal {
            Some(error) => {
                let stats = &self.shared.stats.commands[number];
                stats.rejected.fetch_add(1, Relaxed);
                Err(error)
            }
            None => Ok(number),
        }
    }

    /// The error if the role of the server, or of the client, forbids the command. Takes the write lock if the command may
    /// change data now.
    #[inline]
    fn refusal_by_role(&mut self, session: &Session, command: &Command) -> Option<Error> {
        let (any, all) = effective_flags(session, command);
        let is_write = any & flags::WRITE != 0;
        let is_replica = self.shared.link.is_replica();
        if session.is_primary || !is_write && !is_replica && session.replica_info.is_none() {
            return None;
        }
        if writes_now(session, command) {
            // Under the lock, so that the role cannot change between this check and the write.
            self.write_txn(session);
        }
        let config = &self.config;
        if is_write && !self.shared.link.is_replica() {
            let wanted = config.min_replicas_to_write as usize;
            let lag = i64::from(config.min_replicas_max_lag);
            if wanted > 0 && lag > 0 && self.shared.replicas.good(lag, self.now) < wanted {
                return Some(Error::text("NOREPLICAS Not enough good replicas to write."));
            }
        }
        if self.shared.link.is_replica() {
            if is_write && config.replica_read_only {
                let text = "READONLY You can't write against a read only replica.";
                return Some(Error::text(text));
            }
            let is_down = !config.replica_serve_stale_data && !self.shared.link.is_connected();
            if is_down && all & flags::STALE == 0 {
                return Some(Error::text(
                    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                ));
            }
        }
        let touches_keys = any & (flags::WRITE | flags::READONLY) != 0;
        if touches_keys && session.is_replica() {
            return Some(Error::text("ERR Replica can't interact with the keyspace"));
        }
        None
    }
}

/// The flags that some part of a command has, and the flags that all parts have. The parts of EXEC are EXEC itself and the
/// queued commands; other commands have one part.
fn effective_flags(session: &Session, command: &Command) -> (Flags, Flags) {
    match (&session.multi, command.handler) {
        (Some(multi), Handler::Exec) => (
            command.flags | multi.any_flags,
            command.flags & multi.all_flags,
        ),
        _ => (command.flags, command.flags),
    }
}

/// Whether a command, if it is admitted, may change data now. A command that is only queued does not; EXEC does if a
/// queued command does.
fn writes_now(session: &Session, command: &Command) -> bool {
    match (&session.multi, command.handler) {
        (Some(multi), Handler::Exec) => multi.any_flags & flags::WRITE != 0,
        (None, _) => command.has(flags::WRITE),
        (Some(_), _) => false,
    }
}

/// Queues a command for EXEC.
fn queue(session: &mut Session, number: usize, command: &Command, args: &Args<'_>) {
    let args = args.to_owned();
    let client = &session.client;
    client.queued_memory.fetch_add(args.memory(), Relaxed);
    if let Some(multi) = &mut session.multi {
        multi.queue.push(Queued {
            command: number,
            args,
        });
        multi.any_flags |= command.flags;
        multi.all_flags &= command.flags;
        client.queued.store(multi.queue.len() as i64, Relaxed);
    }
}
