//! Finds requests in the bytes that have arrived.
//!
//! A client's bytes arrive in pieces, and a piece may end anywhere inside a request. The [`Parser`] reads the caller's
//! buffer and finds every complete request in it. It does not copy arguments: it records where each argument lies
//! ([`Span`]).
//!
//! ```text
//!  *3 ␍␊ $3 ␍␊ SET ␍␊ $1 ␍␊ k ␍␊ $5 ␍␊ hello ␍␊ *2 ␍␊ $3 ␍␊ GET ␍␊ $1 ␍␊
//!               └─┘          └┘          └───┘               └─┘          ▲
//!               span        span         span               span          at
//!  one complete request                           one incomplete request: 1 of its 2 arguments is known
//! ```
//!
//! The parser keeps what it knows of an incomplete request. The next call continues at `at`, and a search for the end of
//! a line continues where the last search stopped. So the cost of parsing is O(bytes), however small the pieces are.
//!
//! # The life of a batch
//!
//! 1. [`Parser::parse`] finds requests, and the caller runs them.
//! 2. [`Parser::forget`] drops those requests and leaves the buffer as it is, so that the caller can repeat step 1 with
//!    the same buffer. Requests before authentication are parsed one by one, because AUTH changes the limits.
//! 3. [`Parser::consume`] tells how many bytes at the start of the buffer are used up, and the caller removes them. It
//!    does so only when they fill half of the buffer, so each byte moves at most once on average.
//!
//! # Big arguments
//!
//! An announced length allocates nothing. If an argument of 32 KB or more has not arrived completely, the parser returns
//! [`Step::Big`]. The caller then reads the argument from the socket into a `Vec` of its own, which grows as the bytes
//! arrive. A handler can store this `Vec` as the value (see [`super::Args::take_big`]).
//!
//! # Invariants
//!
//! * `begin <= at <= buffer.len()`. The bytes before `begin` belong to complete requests, or to no request.
//! * The spans of complete requests come first in `spans`, and the spans of the incomplete request follow. The arguments
//!   in `big` have the same order.
//! * `searched` never decreases between two calls of [`Parser::consume`].
//! * The error texts are those of Redis's `networking.c`. After an error the caller must close the connection, because
//!   nobody knows where the next request starts.
//!
//! Read next: [`super::args`] for how handlers see a request.

use super::args::{Args, Span};
use crate::util::{number, words};

/// The maximum length in bytes of an unfinished line: an inline request, or a line with a length.
const MAX_LINE: usize = 64 * 1024;
/// The usual value of [`Limits::big`], in bytes.
pub const BIG_ARGUMENT: usize = 32 * 1024;
/// The maximum number of arguments in one request.
const MAX_ARGUMENTS: i64 = i32::MAX as i64;
/// An empty list of spans, or of big arguments, is freed if it has room for more than this many.
const KEEP_SPANS: usize = 8192;

/// What a client may send. A client that has not authenticated may send requests of at most 10 arguments of at most
/// 16 KB each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum length of an argument in bytes (`proto-max-bulk-len`).
    pub bulk_len: i64,
    /// Whether the client has authenticated, or needs no password.
    pub authenticated: bool,
    /// An argument of at least this many bytes gets a `Vec` of its own if it has not arrived completely ([`Step::Big`]).
    pub big: usize,
}

/// Why [`Parser::parse`] returned.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Every complete request was found, or as many as the caller asked for. Only in the first case more bytes are
    /// needed.
    NeedMore,
    /// A big argument comes next, followed by two more bytes (`\r\n`). The buffer holds only its first bytes.
    Big {
        /// The position in the buffer where the argument begins.
        at: usize,
        /// The length of the argument in bytes.
        len: usize,
    },
    /// The bytes are not RESP. Holds the text of the error reply, without `ERR`.
    Broken(Vec<u8>),
}

/// The complete requests of a batch.
#[derive(Default)]
pub struct Requests {
    /// The place of each argument, one request after the other.
    spans: Vec<Span>,
    /// The index in `spans` at which each complete request ends.
    ends: Vec<usize>,
    /// The arguments with a `Vec` of their own: big arguments, and the words of inline requests (because of quotes and
    /// escapes, a word can differ from the bytes that were sent).
    big: Vec<Vec<u8>>,
}

impl Requests {
    /// The number of complete requests.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is no complete request.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The arguments of request `i`. `buffer` must be the buffer that was parsed.
    pub fn args<'a>(&'a mut self, i: usize, buffer: &'a [u8]) -> Args<'a> {
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        Args::new(buffer, &self.spans[from..self.ends[i]], &mut self.big)
    }

    /// The total length in bytes of the arguments of the last complete request.
    pub fn last_size(&self) -> usize {
        let last = self.ends.len().saturating_sub(1);
        let begin = if last == 0 { 0 } else { self.ends[last - 1] };
        let end = self.ends.last().copied().unwrap_or(0);
        self.spans[begin..end].iter().map(|span| span.len).sum()
    }

    /// The first argument after the command's name, for each request from `from` on. It usually is a key, so that the
    /// caller can look ahead. Requests without such an argument, or with a big one, are skipped.
    pub fn first_arguments<'a>(
        &'a self,
        from: usize,
        buffer: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> {
        let begins = (from..self.ends.len()).map(|i| if i == 0 { 0 } else { self.ends[i - 1] });
        let seconds = begins
            .zip(&self.ends[from..])
            .filter(|&(begin, &end)| end - begin > 1);
        let spans = seconds
            .map(|(begin, _)| self.spans[begin + 1])
            .filter(|span| !span.big);
        spans.map(|span| &buffer[span.start..span.start + span.len])
    }

    /// Removes the complete requests. The spans that remain belong to the incomplete one.
    fn clear_complete(&mut self) {
        let Some(done) = self.ends.last().copied() else {
            return;
        };
        self.spans.drain(..done);
        self.ends.clear();
        // The big arguments of complete requests come first. Those that remain get new indexes.
        let kept = self.spans.iter().filter(|span| span.big).count();
        let gone = self.big.len() - kept;
        self.big.drain(..gone);
        for span in self.spans.iter_mut().filter(|span| span.big) {
            span.start -= gone;
        }
        if self.spans.is_empty() && self.spans.capacity() > KEEP_SPANS {
            self.spans = Vec::new();
        }
        if self.big.is_empty() && self.big.capacity() > KEEP_SPANS {
            self.big = Vec::new();
        }
    }
}

/// Finds requests in a buffer. Each connection has one parser.
#[derive(Default)]
pub struct Parser {
    /// The position up to which the buffer has been parsed.
    at: usize,
    /// The position where the current request begins.
    begin: usize,
    /// The search for the end of the line at `at` has come to this position.
    searched: usize,
    /// How many arguments of the current request are still to come. `None` between requests.
    missing: Option<usize>,
    /// The length of the next argument in bytes. `None` if its `$` line is still to come.
    bulk: Option<usize>,
    /// The complete requests, and after them the spans of the current request.
    requests: Requests,
}

impl Parser {
    /// Finds complete requests in `buffer` until there are `limit` of them. Between two calls, the caller may append bytes
    /// to the buffer, and must remove from its start exactly as many bytes as [`Parser::consume`] returned.
    pub fn parse(&mut self, buffer: &[u8], limits: Limits, limit: usize) -> Step {
        loop {
            if self.requests.len() == limit {
                return Step::NeedMore;
            }
            let step = match (self.missing, buffer.get(self.at)) {
                (_, None) => Some(Step::NeedMore),
                (None, Some(b'*')) => self.header(buffer, limits),
                (None, Some(_)) => self.inline(buffer),
                (Some(_), Some(_)) => self.argument(buffer, limits),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// The complete requests found so far.
    pub fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// How many bytes at the start of the buffer belong to complete requests, or to no request.
    pub fn complete(&self) -> usize {
        self.begin
    }

    /// True if the header of a request has arrived, and the request is not complete.
    pub fn is_midway(&self) -> bool {
        self.missing.is_some()
    }

    /// Adds a big argument that [`Step::Big`] asked for. The caller must cut the buffer at `at` before, and the next byte
    /// that it appends must be the first one after the argument and its `\r\n`.
    pub fn put_big(&mut self, argument: Vec<u8>) {
        self.push_owned(argument);
        self.end_if_complete();
    }

    /// Adds an argument with a `Vec` of its own to the current request.
    fn push_owned(&mut self, argument: Vec<u8>) {
        let start = self.requests.big.len();
        self.push(Span {
            start,
            len: argument.len(),
            big: true,
        });
        self.requests.big.push(argument);
    }

    /// Drops the complete requests. The buffer stays as it is, so parsing can continue in it.
    pub fn forget(&mut self) {
        self.requests.clear_complete();
    }

    /// Drops the complete requests, and returns how many bytes at the start of the buffer are used up. The caller must
    /// remove exactly these bytes, because the spans of the incomplete request are moved by as many.
    pub fn consume(&mut self) -> usize {
        self.forget();
        let gone = std::mem::take(&mut self.begin);
        if gone > 0 {
            for span in self.requests.spans.iter_mut().filter(|s| !s.big) {
                span.start -= gone;
            }
            self.at -= gone;
            self.searched = self.searched.saturating_sub(gone);
        }
        gone
    }

    /// Frees spare memory of an idle connection.
    pub fn shrink(&mut self) {
        self.requests.spans.shrink_to(16);
        self.requests.ends.shrink_to(8);
        self.requests.big.shrink_to(0);
    }

    /// Reads `*<count>`, the header of a request. Returns why parsing cannot go on, or `None`.
    fn header(&mut self, buffer: &[u8], limits: Limits) -> Option<Step> {
        let (line, next) = match self.line(buffer, "too big mbulk count string") {
            Ok(found) => found,
            Err(step) => return Some(step),
        };
        let count = number::parse_i64(&buffer[self.at + 1..line]).filter(|&n| n <= MAX_ARGUMENTS);
        let Some(count) = count else {
            return Some(broken("invalid multibulk length"));
        };
        if count > 10 && !limits.authenticated {
            return Some(broken("unauthenticated multibulk length"));
        }
        self.at = next;
        match usize::try_from(count) {
            Ok(count @ 1..) => self.missing = Some(count),
            _ => self.begin = next, // a count of zero or less is skipped
        }
        None
    }

    /// Reads one argument: `$<length>` and the bytes. Returns why parsing cannot go on, or `None`.
    fn argument(&mut self, buffer: &[u8], limits: Limits) -> Option<Step> {
        let len = match self.bulk {
            Some(len) => len,
            None => match self.bulk_length(buffer, limits) {
                Ok(len) => len,
                Err(step) => return Some(step),
            },
        };
        // The two bytes after an argument are skipped without a check, as in Redis.
        if buffer.len() - self.at >= len + 2 {
            self.push(Span {
                start: self.at,
                len,
                big: false,
            });
            self.at += len + 2;
            self.end_if_complete();
            return None;
        }
        // If there are complete requests, the caller runs them first and then calls again.
        if len >= limits.big && self.requests.is_empty() {
            return Some(Step::Big { at: self.at, len });
        }
        Some(Step::NeedMore)
    }

    /// Reads `$<length>` and moves to the first byte of the argument.
    fn bulk_length(&mut self, buffer: &[u8], limits: Limits) -> Result<usize, Step> {
        let (line, next) = self.line(buffer, "too big bulk count string")?;
        if buffer[self.at] != b'$' {
            let mut why = b"Protocol error: expected '$', got ' '".to_vec();
            let at = why.len() - 2;
            why[at] = buffer[self.at];
            return Err(Step::Broken(why));
        }
        let len = number::parse_i64(&buffer[self.at + 1..line])
            .filter(|&n| n <= limits.bulk_len)
            .and_then(|n| usize::try_from(n).ok());
        let Some(len) = len else {
            return Err(broken("invalid bulk length"));
        };
        if len > 16384 && !limits.authenticated {
            return Err(broken("unauthenticated bulk length"));
        }
        self.at = next;
        self.bulk = Some(len);
        Ok(len)
    }

    /// Reads an inline request: one line of words, as a person types it into telnet. Returns why parsing cannot go on, or
    /// `None`.
    fn inline(&mut self, buffer: &[u8]) -> Option<Step> {
        let Some(end) = self.find(buffer, b'\n') else {
            let too_long = buffer.len() - self.at > MAX_LINE;
            return Some(if too_long {
                broken("too big inline request")
            } else {
                Step::NeedMore
            });
        };
        let line = &buffer[self.at..end];
        let Some(words) = words::split(line.strip_suffix(b"\r").unwrap_or(line)) else {
            return Some(broken("unbalanced quotes in request"));
        };
        self.at = end + 1;
        if words.is_empty() {
            self.begin = self.at; // an empty line is skipped
            return None;
        }
        self.missing = Some(words.len());
        words.into_iter().for_each(|word| self.push_owned(word));
        self.end_if_complete();
        None
    }

    /// Finds the end of the line at `self.at`. Returns the position of its `\r` and the start of the next line.
    fn line(&mut self, buffer: &[u8], too_long: &str) -> Result<(usize, usize), Step> {
        match self.find(buffer, b'\r') {
            Some(end) if end + 1 < buffer.len() => Ok((end, end + 2)),
            None if buffer.len() - self.at > MAX_LINE => Err(broken(too_long)),
            _ => Err(Step::NeedMore),
        }
    }

    /// Finds the byte `end` in the line at `self.at`. The search begins where the last one stopped. A zero byte stops the
    /// search for good, because Redis searches with `strchr`: such a line never ends, and becomes too long in time.
    fn find(&mut self, buffer: &[u8], end: u8) -> Option<usize> {
        let from = self.at.max(self.searched);
        let stop = buffer[from..].iter().position(|&b| b == end || b == 0);
        self.searched = stop.map_or(buffer.len(), |i| from + i);
        stop.map(|i| from + i).filter(|&at| buffer[at] == end)
    }

    /// Adds an argument to the current request.
    fn push(&mut self, span: Span) {
        self.bulk = None;
        self.requests.spans.push(span);
        self.missing = self.missing.map(|n| n.saturating_sub(1));
    }

    /// Ends the current request if all its arguments are known.
    fn end_if_complete(&mut self) {
        if self.missing == Some(0) {
            self.missing = None;
            self.begin = self.at;
            self.requests.ends.push(self.requests.spans.len());
        }
    }
}

/// A protocol error.
fn broken(why: &str) -> Step {
    Step::Broken(format!("Protocol error: {why}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Limits = Limits {
        bulk_len: 512 << 20,
        authenticated: true,
        big: BIG_ARGUMENT,
    };

    /// Feeds `bytes` in pieces of `size` and returns the requests, or the error, that come out.
    fn feed(bytes: &[u8], size: usize, limits: Limits) -> Result<Vec<Vec<Vec<u8>>>, String> {
        let (mut parser, mut buffer, mut out) = (Parser::default(), vec![], vec![]);
        let mut source = bytes.chunks(size);
        loop {
            let step = parser.parse(&buffer, limits, usize::MAX);
            let requests = parser.requests();
            for i in 0..requests.len() {
                out.push(
                    requests
                        .args(i, &buffer)
                        .iter_from(0)
                        .map(<[u8]>::to_vec)
                        .collect(),
                );
            }
            buffer.drain(..parser.consume());
            match step {
                Step::Broken(why) => return Err(String::from_utf8(why).unwrap()),
                Step::Big { at, len } => {
                    let mut big = buffer.split_off(at);
                    while big.len() < len + 2 {
                        big.extend_from_slice(source.next().unwrap());
                    }
                    buffer = [&buffer, &big[len + 2..]].concat();
                    big.truncate(len);
                    parser.put_big(big);
                    continue;
                }
                Step::NeedMore => {}
            }
            match source.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return Ok(out),
            }
        }
    }

    #[test]
    fn requests_split_at_any_byte() {
        let big = vec![b'x'; BIG_ARGUMENT + 7];
        let mut bytes =
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*0\r\nPING \"a b\"\r\n\r\n*-1\r\n*3\r\n$3\r\nSET\r\n"
                .to_vec();
        bytes.extend_from_slice(format!("${}\r\n", big.len()).as_bytes());
        bytes.extend_from_slice(&big);
        bytes.extend_from_slice(b"\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n");
        let expected: Vec<Vec<Vec<u8>>> = vec![
            vec![b"GET".to_vec(), b"k".to_vec()],
            vec![b"PING".to_vec(), b"a b".to_vec()],
            vec![b"SET".to_vec(), big, vec![]],
            vec![b"PING".to_vec()],
        ];
        for size in [1, 2, 3, 7, 64, 1000, 1 << 20] {
            assert!(
                feed(&bytes, size, OPEN).as_ref() == Ok(&expected),
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn errors_have_the_texts_of_redis() {
        let stranger = Limits {
            authenticated: false,
            ..OPEN
        };
        let long = "x".repeat(MAX_LINE + 2);
        for (bytes, limits, why) in [
            ("*abc\r\n", OPEN, "invalid multibulk length"),
            ("*9999999999\r\n", OPEN, "invalid multibulk length"),
            ("*1\r\nPING\r\n", OPEN, "expected '$', got 'P'"),
            ("*1\r\n$-1\r\n", OPEN, "invalid bulk length"),
            ("*1\r\n$536870913\r\n", OPEN, "invalid bulk length"),
            ("*11\r\n", stranger, "unauthenticated multibulk length"),
            ("*1\r\n$16385\r\n", stranger, "unauthenticated bulk length"),
            ("get 'a\r\n", OPEN, "unbalanced quotes in request"),
            (&long, OPEN, "too big inline request"),
            (&format!("*{long}"), OPEN, "too big mbulk count string"),
            (&format!("*1\r\n${long}"), OPEN, "too big bulk count string"),
        ] {
            assert_eq!(
                feed(bytes.as_bytes(), 1 << 20, limits),
                Err(format!("Protocol error: {why}"))
            );
        }
    }

    #[test]
    fn a_line_is_searched_once() {
        // 60 KB byte by byte: searching from the start each time would read 1.8 GB per line.
        for head in [&b"x"[..], b"*", b"*1\r\n$"] {
            let mut bytes = head.to_vec();
            bytes.resize(60_000, b'1');
            let mut parser = Parser::default();
            let (mut stops, mut last) = (0, 0);
            for n in 1..=bytes.len() {
                assert_eq!(parser.parse(&bytes[..n], OPEN, 10), Step::NeedMore);
                stops += usize::from(parser.searched == n);
                assert!(parser.searched >= last);
                last = parser.searched;
            }
            assert!(stops > 59_990);
        }
    }

    #[test]
    fn a_zero_byte_hides_the_end_of_a_line() {
        for line in ["PING\0\r\n", "*1\0\r\n", "*1\r\n\0\r\n"] {
            let waits = feed(format!("{line}PING\r\n").as_bytes(), 3, OPEN);
            assert_eq!(waits, Ok(vec![]), "{line:?}");
            assert!(feed(line.repeat(20_000).as_bytes(), 1 << 20, OPEN).is_err());
        }
    }

    #[test]
    fn owned_arguments_are_dropped_with_their_request() {
        // Each inline request is complete while the request after it is not.
        let (mut parser, mut buffer) = (Parser::default(), vec![]);
        for round in 0..1000 {
            let rest: &[u8] = if round == 0 { b"" } else { b"$1\r\nv\r\n" };
            buffer.extend_from_slice(rest);
            buffer.extend_from_slice(b"SET inline x\r\n*2\r\n$1\r\nk\r\n");
            assert_eq!(parser.parse(&buffer, OPEN, usize::MAX), Step::NeedMore);
            let last = parser.requests().len() - 1;
            assert_eq!(&parser.requests().args(last, &buffer)[1], b"inline");
            buffer.drain(..parser.consume());
            assert!(parser.requests.big.len() <= 3);
        }
        assert!(buffer.len() < 100);
    }

    #[test]
    fn a_big_argument_outlives_the_requests_before_it() {
        let limits = Limits { big: 4, ..OPEN };
        let mut parser = Parser::default();
        let mut buffer = b"PING\r\n*2\r\n$5\r\nf".to_vec();
        parser.parse(&buffer, limits, usize::MAX);
        parser.forget();
        let step = parser.parse(&buffer, limits, usize::MAX);
        assert_eq!(step, Step::Big { at: 14, len: 5 });
        buffer.truncate(14);
        parser.put_big(b"first".to_vec());
        buffer.drain(..parser.consume());
        buffer.extend_from_slice(b"$1\r\nx\r\n");
        assert_eq!(parser.parse(&buffer, limits, 9), Step::NeedMore);
        let args = parser.requests().args(0, &buffer);
        assert!(&args[0] == b"first" && &args[1] == b"x");
    }

    #[test]
    fn requests_are_taken_one_by_one_without_moving_the_buffer() {
        let (mut parser, buffer) = (Parser::default(), b"*1\r\n$1\r\nk\r\n".repeat(500));
        for i in 0..500 {
            assert_eq!(parser.parse(&buffer, OPEN, 1), Step::NeedMore);
            assert_eq!(&parser.requests().args(0, &buffer)[0], b"k");
            parser.forget();
            assert_eq!(parser.complete(), (i + 1) * 11);
        }
        assert_eq!(parser.consume(), buffer.len());
    }

    #[test]
    fn an_announced_length_waits_for_its_bytes() {
        let mut parser = Parser::default();
        let head = b"*2\r\n$3\r\nGET\r\n$500000000\r\n";
        assert_eq!(
            parser.parse(head, OPEN, 10),
            Step::Big {
                at: head.len(),
                len: 500_000_000
            }
        );
        assert!(parser.is_midway());
    }
}
