//! Writes requests, the form in which commands travel to replicas and to a primary.
//!
//! `SET k hello` becomes
//!
//! ```text
//! *3 ␍␊ $3 ␍␊ SET ␍␊ $1 ␍␊ k ␍␊ $5 ␍␊ hello ␍␊
//! ```
//!
//! The changes in the journal and the commands of the replication handshake have this form. [`super::reply`] writes
//! replies.
//!
//! Invariant: [`super::Parser`] reads back what [`push_request`] writes.

use crate::util::number;

/// Appends a request of `words` arguments to `out`. `args` must yield exactly `words` items.
pub fn push_request<'a>(out: &mut Vec<u8>, words: usize, args: impl Iterator<Item = &'a [u8]>) {
    push_header(out, b'*', words);
    for arg in args {
        push_header(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the line that begins a RESP value: its kind (`*`, `$`, `%` …) and its length.
pub(super) fn push_header(out: &mut Vec<u8>, kind: u8, n: usize) {
    out.push(kind);
    number::push_u64(out, n as u64);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::push_request;
    use crate::resp::request::BIG_ARGUMENT;
    use crate::resp::{Limits, Parser};

    #[test]
    fn the_parser_reads_back_what_was_written() {
        let words = [&b"SET"[..], b"a\r\nb", b""];
        let mut out = vec![];
        push_request(&mut out, words.len(), words.into_iter());
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
        let limits = Limits {
            bulk_len: 100,
            authenticated: true,
            big: BIG_ARGUMENT,
        };
        let mut parser = Parser::default();
        parser.parse(&out, limits, 2);
        let args = parser.requests().args(0, &out);
        assert!(args.iter_from(0).eq(words));
    }
}
