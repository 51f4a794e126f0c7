//! Writes replies.
//!
//! A [`Reply`] is the output buffer of a client, with one method for each type of reply. A handler names the type
//! (`null`, `map`, `set`), and the buffer writes it in the client's protocol version. A type that only RESP3 has is
//! replaced in RESP2 by the nearest older type, as Redis does: `map(1)` is `%1␍␊` in RESP3 and `*2␍␊` in RESP2.
//!
//! Errors are values: a handler returns an [`Error`] with `?`. The executor then removes what the handler has already
//! written and writes the error.
//!
//! Invariant: an error or a simple string is one line, so its text has no line break. [`Reply::error`] replaces line
//! breaks; [`Reply::simple`] takes only texts of the server itself.

use std::borrow::Cow;

use super::encode::push_header;
use crate::util::number;

/// An error reply: its code and text, without the leading `-`. For example, `ERR syntax error`.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(pub Cow<'static, [u8]>);

impl Error {
    /// The arguments do not fit the command's syntax.
    pub const SYNTAX: Error = Error::text("ERR syntax error");
    /// The key holds another type than the command works on.
    pub const WRONG_TYPE: Error =
        Error::text("WRONGTYPE Operation against a key holding the wrong kind of value");
    /// An argument or a stored value is not an integer of 64 bits.
    pub const NOT_INTEGER: Error = Error::text("ERR value is not an integer or out of range");
    /// An argument or a stored value is not a number.
    pub const NOT_FLOAT: Error = Error::text("ERR value is not a valid float");
    /// The command needs a key that exists.
    pub const NO_SUCH_KEY: Error = Error::text("ERR no such key");
    /// INCR and the like would leave the range of 64 bits.
    pub const OVERFLOW: Error = Error::text("ERR increment or decrement would overflow");

    /// An error whose text is fixed.
    pub const fn text(text: &'static str) -> Error {
        Error(Cow::Borrowed(text.as_bytes()))
    }

    /// An error whose text is made at run time and may hold bytes of a client. [`Reply::error`] replaces line breaks.
    pub fn new(text: impl Into<Vec<u8>>) -> Error {
        Error(Cow::Owned(text.into()))
    }

    /// The code, which is the first word. INFO counts errors by their codes.
    pub fn code(&self) -> &[u8] {
        self.0.split(|&b| b == b' ').next().unwrap_or_default()
    }
}

/// The output buffer of one client.
#[derive(Default)]
pub struct Reply {
    /// The bytes to send.
    pub out: Vec<u8>,
    /// Whether the client has chosen RESP3, with HELLO.
    pub resp3: bool,
}

impl Reply {
    /// Appends `<kind><n>\r\n`.
    fn header(&mut self, kind: u8, n: usize) {
        push_header(&mut self.out, kind, n);
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string: a short text without a line break.
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// An error. Line breaks in its text become blanks.
    pub fn error(&mut self, error: &Error) {
        self.out.push(b'-');
        self.out.extend(
            error
                .0
                .iter()
                .map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }),
        );
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    pub fn int(&mut self, value: i64) {
        self.out.push(b':');
        number::push_i64(&mut self.out, value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A bulk string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A bulk string with the decimal form of `value`.
    pub fn bulk_int(&mut self, value: i64) {
        self.header(b'$', number::digits_i64(value));
        number::push_i64(&mut self.out, value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A verbatim string: text for people, with a format of three letters (`txt`, `mkd`). RESP2 gets a bulk string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.resp3 {
            return self.bulk(text);
        }
        self.header(b'=', text.len() + 4);
        self.out.extend_from_slice(format.as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Null, in place of a bulk string.
    pub fn null(&mut self) {
        self.out
            .extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Null, in place of an array.
    pub fn null_array(&mut self) {
        self.out
            .extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The header of an array. The caller writes `n` replies after it.
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n);
    }

    /// The header of a map. The caller writes `n` keys after it, each followed by its value.
    pub fn map(&mut self, n: usize) {
        if self.resp3 {
            self.header(b'%', n)
        } else {
            self.header(b'*', n * 2)
        }
    }

    /// The header of a set: `n` replies without an order.
    pub fn set(&mut self, n: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, n);
    }

    /// An array of bulk strings.
    pub fn bulks<T: AsRef<[u8]>>(&mut self, items: &[T]) {
        self.array(items.len());
        for item in items {
            self.bulk(item.as_ref());
        }
    }

    /// An array whose length is known only after its elements are written. `body` writes the elements and returns their
    /// number, and so does this function. Cost: the elements are moved once, to make room for the header.
    pub fn array_of(&mut self, body: impl FnOnce(&mut Reply) -> usize) -> usize {
        let start = self.out.len();
        let n = body(self);
        self.insert(start, |reply| reply.array(n));
        n
    }

    /// Inserts what `write` writes at position `start` of the buffer. Cost: the bytes after `start` are moved once.
    pub fn insert(&mut self, start: usize, write: impl FnOnce(&mut Reply)) {
        let end = self.out.len();
        write(self);
        let len = self.out.len() - end;
        self.out[start..].rotate_right(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(resp3: bool, write: impl FnOnce(&mut Reply)) -> String {
        let mut reply = Reply {
            resp3,
            ..Reply::default()
        };
        write(&mut reply);
        String::from_utf8(reply.out).unwrap()
    }

    #[test]
    fn both_protocols() {
        assert_eq!(written(false, Reply::null), "$-1\r\n");
        assert_eq!(written(true, Reply::null), "_\r\n");
        assert_eq!(written(false, Reply::null_array), "*-1\r\n");
        assert_eq!(written(false, |r| r.map(2)), "*4\r\n");
        assert_eq!(written(true, |r| r.map(2)), "%2\r\n");
        assert_eq!(
            written(true, |r| r.verbatim("txt", b"hi")),
            "=6\r\ntxt:hi\r\n"
        );
        assert_eq!(written(false, |r| r.bulk_int(-12)), "$3\r\n-12\r\n");
    }

    #[test]
    fn an_error_stays_one_line() {
        assert_eq!(
            written(false, |r| r.error(&Error::new("ERR a\r\nb"))),
            "-ERR a  b\r\n"
        );
        assert_eq!(Error::WRONG_TYPE.code(), b"WRONGTYPE");
    }

    #[test]
    fn an_array_of_unknown_length() {
        let text = written(false, |r| {
            r.int(7);
            r.array_of(|r| {
                r.bulk(b"a");
                r.bulk(b"b");
                2
            });
        });
        assert_eq!(text, ":7\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    }
}
