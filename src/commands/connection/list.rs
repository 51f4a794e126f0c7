//! CLIENT LIST and CLIENT INFO: one line per connection.
//!
//! A line is a list of `field=value`. The fields and their order are Redis's, because programs parse them. Some have a
//! meaning of their own here:
//!
//! | field | meaning |
//! |---|---|
//! | `qbuf` | bytes in the read buffer |
//! | `qbuf-free` | bytes of the read buffer that are free |
//! | `argv-mem` | bytes of the arguments of the running command; 0 while the connection is idle |
//! | `multi-mem` | bytes of the commands that MULTI has queued |
//! | `rbs`, `rbp` | capacity in bytes of the buffer for replies |
//! | `obl` | always 0: there is no reply buffer of fixed size |
//! | `oll` | 1 if replies wait to be sent, else 0 |
//! | `omem` | bytes of replies that wait to be sent |
//! | `events` | `r`: the server reads from the connection; `w`: replies wait to be sent |
//!
//! The client's own thread updates the figures, and this command reads them one after the other. So the figures
//! of a line may belong to slightly different moments.

use std::sync::atomic::Ordering::Relaxed;

use crate::commands::args::{Cursor, c_text, int};
use crate::commands::context::{CommandResult, Context};
use crate::resp::Error;
use crate::state::clients::Client;
use crate::state::lock;

/// The field `flags`: a letter for each state of the client that Redis has a letter for, or `N` for none.
fn flags(client: &Client) -> String {
    let marks = [
        (client.is_replica.load(Relaxed), 'S'),
        (client.is_primary.load(Relaxed), 'M'),
        (client.queued.load(Relaxed) >= 0, 'x'),
        (client.is_blocked(), 'b'),
        (client.watch_flag.load(Relaxed), 'd'),
        (client.is_closing(), 'A'),
        (client.no_evict.load(Relaxed), 'e'),
        (client.no_touch.load(Relaxed), 'T'),
    ];
    let set = marks.iter().filter(|(is_set, _)| *is_set);
    let letters: String = set.map(|(_, letter)| *letter).collect();
    if letters.is_empty() {
        return "N".to_string();
    }
    letters
}

/// The fields about memory, from `qbuf` to `tot-mem`. All of them are in bytes but `oll`.
fn memory(client: &Client) -> String {
    let used = client.input_used.load(Relaxed);
    let input = client.input_capacity.load(Relaxed);
    let output = client.output_capacity.load(Relaxed);
    let args = client.args_memory.load(Relaxed);
    let queued = client.queued_memory.load(Relaxed);
    let pending = client.outbox.pending();
    format!(
        "qbuf={used} qbuf-free={} argv-mem={args} multi-mem={queued} rbs={output} rbp={output} obl=0 oll={} \
         omem={pending} tot-mem={}",
        input.saturating_sub(used),
        usize::from(pending > 0),
        size_of::<Client>() + input + output + pending + args + queued,
    )
}

/// The line of one connection.
fn describe(ctx: &Context, client: &Client) -> Vec<u8> {
    let seconds = |since: i64| (ctx.now - since).max(0) / 1000;
    let commands = &ctx.server.stats.commands;
    let command = commands.get(client.last_command.load(Relaxed) as usize);
    let is_primary = client.is_primary.load(Relaxed);
    let mut line = format!(
        "id={} addr={} laddr={} fd={} name=",
        client.id,
        client.peer,
        client.local,
        client.fd()
    )
    .into_bytes();
    line.extend_from_slice(&lock(&client.name));
    let rest = format!(
        " age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi={} {} events={} cmd={} user={} redir=-1 resp={}",
        seconds(client.created),
        seconds(client.last_seen.load(Relaxed)),
        flags(client),
        client.db.load(Relaxed),
        client.queued.load(Relaxed),
        memory(client),
        if client.outbox.pending() > 0 {
            "rw"
        } else {
            "r"
        },
        command.map_or("NULL", |stats| stats.name),
        if is_primary { "(superuser)" } else { "default" },
        if client.resp3.load(Relaxed) { 3 } else { 2 },
    );
    line.extend_from_slice(rest.as_bytes());
    let library = lock(&client.library);
    if !library.0.is_empty() || !library.1.is_empty() {
        let parts = [
            b" lib-name=",
            library.0.as_slice(),
            b" lib-ver=",
            &library.1,
        ];
        line.extend(parts.concat());
    }
    line.push(b'\n');
    line
}

/// A function that tells whether a client is of a certain type.
pub type TypeTest = fn(&Client) -> bool;

/// The test for a type of clients, by its name in CLIENT LIST and CLIENT KILL. No client is of type `pubsub`, because
/// there are no subscribers yet.
///
/// # Errors
///
/// Redis's error for an unknown name.
pub fn type_test(name: &[u8]) -> Result<TypeTest, Error> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(|client| !client.is_peer()),
        b"master" => Ok(|client| client.is_primary.load(Relaxed)),
        b"slave" | b"replica" => Ok(|client| client.is_replica.load(Relaxed)),
        b"pubsub" => Ok(|_| false),
        _ => {
            let name = c_text(name, usize::MAX);
            let text = [b"ERR Unknown client type '", name, b"'"];
            Err(Error::new(text.concat()))
        }
    }
}

/// `CLIENT LIST [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]`
///
/// Replies with one line per connection: of all, of those of a type, or of those with these numbers. O(N) for N
/// connections; O(M log N) for M numbers.
pub fn list(ctx: &mut Context) -> CommandResult {
    let clients = &ctx.server.clients;
    let mut options = Cursor::new(&ctx.args, 2);
    let mut chosen = vec![];
    if options.remaining() == 0 {
        chosen = clients.all();
    } else if options.remaining() == 2 && options.keyword("TYPE") {
        let is_wanted = type_test(options.value()?)?;
        chosen = clients.all();
        chosen.retain(|client| is_wanted(client));
    } else if options.remaining() >= 2 && options.keyword("ID") {
        while let Some(text) = options.next() {
            let id = int(text).map_err(|_| Error::text("ERR Invalid client ID"))?;
            chosen.extend(clients.get(id as u64));
        }
    } else {
        return Err(Error::SYNTAX);
    }
    let lines: Vec<Vec<u8>> = chosen.iter().map(|client| describe(ctx, client)).collect();
    ctx.reply.verbatim("txt", &lines.concat());
    Ok(())
}

/// `CLIENT INFO`: replies with the line of this connection. O(1).
pub fn info(ctx: &mut Context) -> CommandResult {
    let line = describe(ctx, &ctx.session.client);
    ctx.reply.verbatim("txt", &line);
    Ok(())
}
