//! Reading arguments: a cursor over them, and parsers for the values that many commands take, with Redis's errors.
//!
//! A handler takes its fixed arguments by position and reads its options with a [`Cursor`]. SCAN, for example, has the
//! cursor at argument 1, and options from argument 2 on:
//!
//! ```text
//!   let mut options = Cursor::new(&ctx.args, 2);
//!   while let Some(word) = options.next() {
//!       match word.to_ascii_uppercase().as_slice() {
//!           b"COUNT" => count = options.int()?,
//!           b"MATCH" => pattern = options.value()?,
//!           _ => return Err(Error::SYNTAX),
//!       }
//!   }
//! ```
//!
//! # Invariants
//!
//! * Error texts are Redis's, byte for byte, even where Redis cuts an argument off at a zero byte ([`c_text`]).
//! * A cursor never panics: a missing argument is `None` or a syntax error.

use std::time::Duration;

use super::command::Command;
use super::context::{CommandResult, Context};
use crate::resp::{Args, Error};
use crate::util::number;

/// Reads arguments from left to right.
#[derive(Clone, Copy)]
pub struct Cursor<'a, 'b> {
    args: &'a Args<'b>,
    /// The position of the argument that comes next.
    at: usize,
}

#[allow(
    dead_code,
    reason = "the forms that commands to come need are complete here"
)]
impl<'a, 'b> Cursor<'a, 'b> {
    /// A cursor whose first argument is the one at `from`.
    pub fn new(args: &'a Args<'b>, from: usize) -> Cursor<'a, 'b> {
        Cursor { args, at: from }
    }

    /// The next argument, if there is one.
    pub fn next(&mut self) -> Option<&'a [u8]> {
        let word = self.args.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    /// The position of the argument that comes next.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many arguments are left.
    pub fn remaining(&self) -> usize {
        self.args.len().saturating_sub(self.at)
    }

    /// Moves past the next argument if it is `word`, and returns whether it is. ASCII case does not matter.
    pub fn keyword(&mut self, word: &str) -> bool {
        let found = self.at < self.args.len() && self.args.is(self.at, word);
        self.at += usize::from(found);
        found
    }

    /// The next argument, which must exist: the value of an option.
    ///
    /// # Errors
    ///
    /// A syntax error if there is none.
    pub fn value(&mut self) -> Result<&'a [u8], Error> {
        self.next().ok_or(Error::SYNTAX)
    }

    /// The next argument as an integer of 64 bits.
    ///
    /// # Errors
    ///
    /// A syntax error if there is no argument; that of [`int`] if it is not an integer.
    pub fn int(&mut self) -> Result<i64, Error> {
        int(self.value()?)
    }
}

/// Parses an integer of 64 bits in the form in which Redis prints it: no spaces, no `+`, no leading zeros.
///
/// # Errors
///
/// `ERR value is not an integer or out of range`.
pub fn int(text: &[u8]) -> Result<i64, Error> {
    number::parse_i64(text).ok_or(Error::NOT_INTEGER)
}

/// Parses a timeout in milliseconds. `None` stands for 0, which means no limit. The executor computes the deadline, and
/// sets no limit either if the clock cannot represent it.
///
/// # Errors
///
/// Redis's errors for a timeout that is not an integer, or is negative.
pub fn timeout_ms(text: &[u8]) -> Result<Option<Duration>, Error> {
    const NOT_INTEGER: Error = Error::text("ERR timeout is not an integer or out of range");
    let ms = number::parse_i64(text).ok_or(NOT_INTEGER)?;
    match u64::try_from(ms) {
        Ok(0) => Ok(None),
        Ok(ms) => Ok(Some(Duration::from_millis(ms))),
        Err(_) => Err(Error::text("ERR timeout is negative")),
    }
}

/// Parses an integer of 32 bits, such as the number of a database.
///
/// # Errors
///
/// That of [`int`], or Redis's error for an integer of more than 32 bits.
pub fn int32(text: &[u8]) -> Result<i32, Error> {
    const RANGE: Error =
        Error::text("ERR value is out of range, value must between -2147483648 and 2147483647");
    i32::try_from(int(text)?).map_err(|_| RANGE)
}

/// The number of a database, from argument `i`.
///
/// # Errors
///
/// Those of [`int32`] and [`db_index_of`].
pub fn db_index(ctx: &Context, i: usize) -> Result<usize, Error> {
    db_index_of(int32(&ctx.args[i])?, ctx)
}

/// The number of a database, from an integer.
///
/// # Errors
///
/// `ERR DB index is out of range` if there is no such database.
pub fn db_index_of(index: i32, ctx: &Context) -> Result<usize, Error> {
    usize::try_from(index)
        .ok()
        .filter(|&i| i < ctx.config.databases)
        .ok_or(Error::text("ERR DB index is out of range"))
}

/// Parses `ON` or `OFF`. ASCII case does not matter.
///
/// # Errors
///
/// A syntax error for any other word.
pub fn on_off(text: &[u8]) -> Result<bool, Error> {
    match text {
        t if t.eq_ignore_ascii_case(b"on") => Ok(true),
        t if t.eq_ignore_ascii_case(b"off") => Ok(false),
        _ => Err(Error::SYNTAX),
    }
}

/// Redis's error for a wrong number of arguments. `full_name` is `get` or `client|id`.
pub fn wrong_arity(full_name: &str) -> Error {
    Error::new(format!(
        "ERR wrong number of arguments for '{full_name}' command"
    ))
}

/// Writes the reply of a HELP subcommand: the subcommands of `container` with their syntax and summary, line by line.
pub fn help(ctx: &mut Context, container: &str, subcommands: &[Command]) -> CommandResult {
    let name = container.to_uppercase();
    let mut lines = vec![format!(
        "{name} <subcommand> [<arg> ...], where <subcommand> is one of:"
    )];
    for sub in subcommands {
        let space = if sub.syntax.is_empty() { "" } else { " " };
        lines.push(format!("{}{space}{}", sub.name.to_uppercase(), sub.syntax));
        lines.push(format!("    {}", sub.summary));
    }
    ctx.reply.array(lines.len());
    lines.iter().for_each(|line| ctx.reply.simple(line));
    Ok(())
}

/// Whether a request is a line of HTTP. A hostile web page can make a browser send an HTTP request to this port, with
/// commands in its body.
pub fn is_http(args: &Args<'_>) -> bool {
    args.is(0, "POST") || args.is(0, "Host:")
}

/// An argument as most of Redis's errors quote it: up to the first zero byte, because Redis prints a C string, and at
/// most `most` bytes.
pub fn c_text(argument: &[u8], most: usize) -> &[u8] {
    let end = argument.iter().position(|&b| b == 0);
    &argument[..end.unwrap_or(argument.len()).min(most)]
}

/// Redis's error for a command that is not in the table. It quotes up to 128 bytes of the name, and as many of the
/// arguments.
pub fn unknown_command(args: &Args<'_>) -> Error {
    let mut beginning = vec![];
    for word in args.iter_from(1) {
        if beginning.len() >= 128 {
            break;
        }
        let word = c_text(word, 128 - beginning.len());
        beginning.extend([b"'", word, b"' "].concat());
    }
    let name = c_text(&args[0], 128);
    Error::new(
        [
            b"ERR unknown command '",
            name,
            b"', with args beginning with: ",
            &beginning,
        ]
        .concat(),
    )
}

/// Redis's error for an unknown subcommand.
pub fn unknown_subcommand(container: &[u8], name: &[u8]) -> Error {
    let name = c_text(name, 128);
    let container = container.to_ascii_uppercase();
    let text = [
        b"ERR unknown subcommand '",
        name,
        b"'. Try ",
        &container,
        b" HELP.",
    ];
    Error::new(text.concat())
}

/// Redis's error of the commands that do not distinguish an unknown subcommand from a wrong number of arguments.
pub fn subcommand_syntax(args: &Args<'_>) -> Error {
    let name = args.get(1).unwrap_or_default();
    let text = [
        b"ERR unknown subcommand or wrong number of arguments for '",
        c_text(name, 128),
        b"'. Try ",
        &args[0].to_ascii_uppercase(),
        b" HELP.",
    ];
    Error::new(text.concat())
}
