//! Writing replies.
//!
//! A [`Reply`] is the client's output buffer with a method for each kind of answer. A handler says what it
//! means (`null`, `map`, `double`), and the buffer writes it in the protocol the client speaks: where RESP3
//! has a type of its own, RESP2 gets what Redis has always sent in its stead.
//!
//! Errors travel as values: a handler returns an [`Error`] with `?`, and the executor writes it,
//! in place of whatever the handler had begun to reply.

use std::borrow::Cow;

use crate::util::number;

/// An error reply: its code and text, without the leading `-`.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(pub Cow<'static, [u8]>);

impl Error {
    pub const SYNTAX: Error = Error::text("ERR syntax error");
    pub const WRONG_TYPE: Error =
        Error::text("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub const NOT_INTEGER: Error = Error::text("ERR value is not an integer or out of range");
    pub const NOT_FLOAT: Error = Error::text("ERR value is not a valid float");
    pub const NO_SUCH_KEY: Error = Error::text("ERR no such key");
    pub const OVERFLOW: Error = Error::text("ERR increment or decrement would overflow");

    /// An error whose text is fixed.
    pub const fn text(text: &'static str) -> Error {
        Error(Cow::Borrowed(text.as_bytes()))
    }

    /// An error whose text is put together, perhaps from what a client sent: bytes that would break the
    /// line are made blanks when it is written.
    pub fn new(text: impl Into<Vec<u8>>) -> Error {
        Error(Cow::Owned(text.into()))
    }

    /// The code: the first word, by which INFO counts errors.
    pub fn code(&self) -> &[u8] {
        self.0.split(|&b| b == b' ').next().unwrap_or_default()
    }
}

/// The output buffer of one client.
#[derive(Default)]
pub struct Reply {
    pub out: Vec<u8>,
    /// Whether the client asked for RESP3 by HELLO.
    pub resp3: bool,
}

impl Reply {
    fn header(&mut self, kind: u8, n: usize) {
        self.out.push(kind);
        number::push_u64(&mut self.out, n as u64);
        self.out.extend_from_slice(b"\r\n");
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A short text that has no line break in it.
    pub fn simple(&mut self, text: &str) {
        self.out.push(b'+');
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

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

    pub fn int(&mut self, value: i64) {
        self.out.push(b':');
        number::push_i64(&mut self.out, value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A byte string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// A byte string, the decimal form of `value`.
    pub fn bulk_int(&mut self, value: i64) {
        self.header(b'$', number::digits_i64(value));
        number::push_i64(&mut self.out, value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Text with a format, for people (`txt`, `mkd`); RESP2 gets a plain byte string.
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

    /// "There is none", where a byte string was asked for.
    pub fn null(&mut self) {
        self.out
            .extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// "There is none", where a list was asked for.
    pub fn null_array(&mut self) {
        self.out
            .extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The head of a list of `n` replies.
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n);
    }

    /// The head of `n` pairs.
    pub fn map(&mut self, n: usize) {
        if self.resp3 {
            self.header(b'%', n)
        } else {
            self.header(b'*', n * 2)
        }
    }

    /// The head of `n` replies whose order means nothing.
    pub fn set(&mut self, n: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, n);
    }

    /// A list of byte strings.
    pub fn bulks<T: AsRef<[u8]>>(&mut self, items: &[T]) {
        self.array(items.len());
        for item in items {
            self.bulk(item.as_ref());
        }
    }

    /// A list whose length is known only when it is written: `body` writes the elements and returns their number.
    pub fn array_of(&mut self, body: impl FnOnce(&mut Reply) -> usize) -> usize {
        let start = self.out.len();
        let n = body(self);
        self.insert(start, |reply| reply.array(n));
        n
    }

    /// Writes something in front of what was written since the buffer had `start` bytes. Moves those bytes once.
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
    fn a_list_counted_late() {
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
