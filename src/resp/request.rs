//! Taking requests out of the bytes that have arrived.
//!
//! Bytes arrive in pieces that have nothing to do with where requests begin and end. The [`Parser`]
//! looks at the read buffer and takes every complete request that lies in it. Of an
//! incomplete one it remembers how far it has come, so that no byte is looked at twice however small the pieces are. An
//! argument is not copied: the parser notes where it lies ([`Span`]).
//!
//! ```text
//!  *3 ␍␊ $3 ␍␊ SET ␍␊ $1 ␍␊ k ␍␊ $5 ␍␊ hello ␍␊ *2 ␍␊ $3 ␍␊ GET ␍␊ $1 ␍␊
//!               └─┘          └┘          └───┘               └─┘          ▲
//!  spans:      4+...                                                      at: two of the
//!  one complete request                           begun ─────────────────   second's parts are known
//! ```
//!
//! *Big* arguments take another way. When an argument of 32 KB or more is announced and has not come in
//! whole, the parser says so ([`Step::Big`]), and the caller reads it from the socket straight into
//! a `Vec` that grows as the bytes come: a length that is only announced allocates nothing. That
//! `Vec` becomes the stored value (see [`super::Args::take_big`]).
//!
//! Errors have the words of Redis's `networking.c`; after one, the connection cannot be used further, for
//! nobody knows where the next request begins.

use super::args::{Args, Span};
use crate::util::{number, words};

/// The longest line (an inline request, or a length) that may come without an end: 64 KB.
const MAX_LINE: usize = 64 * 1024;
/// What is big, for [`Limits::big`], unless there is a reason for something else.
pub const BIG_ARGUMENT: usize = 32 * 1024;
/// How many arguments one request may have.
const MAX_ARGUMENTS: i64 = i32::MAX as i64;

/// What a client may send. A client that has not logged in may send little: it is a stranger.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest argument, in bytes (`proto-max-bulk-len`).
    pub bulk_len: i64,
    /// Whether the client has logged in, or need not.
    pub authenticated: bool,
    /// An argument from this size on is read into a buffer of its own.
    pub big: usize,
}

/// Where parsing stands when it returns.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// All that is complete was taken; more bytes are needed.
    NeedMore,
    /// The next `len` bytes of the buffer and the socket are a big argument, and two more end it. Of
    /// them the buffer holds what follows `at`.
    Big { at: usize, len: usize },
    /// The client does not speak the protocol; the text is that of the error reply, without `ERR`.
    Broken(Vec<u8>),
}

/// The complete requests of a batch: spans of the read buffer, request after request.
#[derive(Default)]
pub struct Requests {
    spans: Vec<Span>,
    /// The index in `spans` at which each request ends.
    ends: Vec<usize>,
    /// Arguments with a buffer of their own: the big ones, and the words of inline requests, which quotes
    /// and escapes make differ from what was sent.
    big: Vec<Vec<u8>>,
}

impl Requests {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The arguments of request `i`; `buffer` is the one that was parsed.
    pub fn args<'a>(&'a mut self, i: usize, buffer: &'a [u8]) -> Args<'a> {
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        Args::new(buffer, &self.spans[from..self.ends[i]], &mut self.big)
    }
}

impl Requests {
    /// How many bytes the arguments of the last request have.
    pub fn last_size(&self) -> usize {
        let last = self.ends.len().saturating_sub(1);
        let begin = if last == 0 { 0 } else { self.ends[last - 1] };
        let end = self.ends.last().copied().unwrap_or(0);
        self.spans[begin..end].iter().map(|span| span.len).sum()
    }

    /// The first arguments, after the name, of the requests from `from` on; those that have none, or a big one, are left
    /// out.
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
}

/// Takes requests out of a buffer. It belongs to one connection.
#[derive(Default)]
pub struct Parser {
    /// How far the buffer has been understood.
    at: usize,
    /// Where the request that is being read began.
    begin: usize,
    /// Arguments that the current request still lacks; `None` between requests.
    missing: Option<usize>,
    /// The announced length of the argument that comes next.
    bulk: Option<usize>,
    /// The complete requests, and after them the spans of the one being read.
    requests: Requests,
}

impl Parser {
    /// Takes at most `limit` complete requests out of `buffer`, which must begin where [`Parser::consume`]
    /// left it and may only have grown since the last call.
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

    /// How many bytes at the head of the buffer belong to complete requests, or to nothing.
    pub fn complete(&self) -> usize {
        self.begin
    }

    /// True while a request has begun and is not complete.
    pub fn is_midway(&self) -> bool {
        self.missing.is_some()
    }

    /// Hands over a big argument that [`Step::Big`] asked for. The buffer must have been cut at `at`; what
    /// is appended to it from now on is what followed the argument, and the two bytes that end it, on the
    /// wire.
    pub fn put_big(&mut self, argument: Vec<u8>) {
        self.push_owned(argument);
        self.settle();
    }

    fn push_owned(&mut self, argument: Vec<u8>) {
        let start = self.requests.big.len();
        self.push(Span {
            start,
            len: argument.len(),
            big: true,
        });
        self.requests.big.push(argument);
    }

    /// Forgets the complete requests and tells how many bytes at the head of the buffer belonged to
    /// them: the caller removes those. Spans of the request being read move along.
    pub fn consume(&mut self) -> usize {
        let done = self.requests.ends.last().copied().unwrap_or(0);
        let gone = self.begin;
        self.requests.spans.drain(..done);
        self.requests.ends.clear();
        if self.requests.spans.is_empty() {
            self.requests.big.clear();
        }
        for span in self.requests.spans.iter_mut().filter(|s| !s.big) {
            span.start -= gone;
        }
        self.at -= gone;
        self.begin = 0;
        // One huge request must not keep its memory for ever.
        if self.requests.spans.capacity() > 8192 && self.requests.spans.is_empty() {
            self.requests.spans = Vec::new();
        }
        gone
    }

    /// Gives spare memory back while the connection is idle.
    pub fn shrink(&mut self) {
        self.requests.spans.shrink_to(16);
        self.requests.ends.shrink_to(8);
        self.requests.big.shrink_to(0);
    }

    /// `*<count>`: a request begins.
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
            _ => self.begin = next, // an empty request is no request
        }
        None
    }

    /// `$<length>` and the bytes: one argument.
    fn argument(&mut self, buffer: &[u8], limits: Limits) -> Option<Step> {
        let len = match self.bulk {
            Some(len) => len,
            None => {
                let (line, next) = match self.line(buffer, "too big bulk count string") {
                    Ok(found) => found,
                    Err(step) => return Some(step),
                };
                if buffer[self.at] != b'$' {
                    let mut why = b"Protocol error: expected '$', got ' '".to_vec();
                    let at = why.len() - 2;
                    why[at] = buffer[self.at];
                    return Some(Step::Broken(why));
                }
                let len = number::parse_i64(&buffer[self.at + 1..line])
                    .filter(|&n| n <= limits.bulk_len)
                    .and_then(|n| usize::try_from(n).ok());
                let Some(len) = len else {
                    return Some(broken("invalid bulk length"));
                };
                if len > 16384 && !limits.authenticated {
                    return Some(broken("unauthenticated bulk length"));
                }
                self.at = next;
                self.bulk = Some(len);
                len
            }
        };
        // The two bytes after an argument are skipped unread, as Redis does.
        if buffer.len() - self.at >= len + 2 {
            self.push(Span {
                start: self.at,
                len,
                big: false,
            });
            self.at += len + 2;
            self.settle();
            return None;
        }
        // While complete requests wait they are answered first; the caller asks again after that.
        if len >= limits.big && self.requests.is_empty() {
            return Some(Step::Big { at: self.at, len });
        }
        Some(Step::NeedMore)
    }

    /// One line of words, as typed into telnet.
    fn inline(&mut self, buffer: &[u8]) -> Option<Step> {
        let Some(len) = buffer[self.at..].iter().position(|&b| b == b'\n') else {
            let too_long = buffer.len() - self.at > MAX_LINE;
            return Some(if too_long {
                broken("too big inline request")
            } else {
                Step::NeedMore
            });
        };
        let line = &buffer[self.at..self.at + len];
        let Some(words) = words::split(line.strip_suffix(b"\r").unwrap_or(line)) else {
            return Some(broken("unbalanced quotes in request"));
        };
        self.at += len + 1;
        if words.is_empty() {
            self.begin = self.at; // an empty line is no request
            return None;
        }
        self.missing = Some(words.len());
        words.into_iter().for_each(|word| self.push_owned(word));
        self.settle();
        None
    }

    /// Finds the end of the line at `self.at`: where its `\r` is, and where the next line begins.
    fn line(&self, buffer: &[u8], too_long: &str) -> Result<(usize, usize), Step> {
        let rest = &buffer[self.at..];
        match rest.iter().position(|&b| b == b'\r') {
            Some(end) if end + 1 < rest.len() => Ok((self.at + end, self.at + end + 2)),
            None if rest.len() > MAX_LINE => Err(broken(too_long)),
            _ => Err(Step::NeedMore),
        }
    }

    fn push(&mut self, span: Span) {
        self.bulk = None;
        self.requests.spans.push(span);
        self.missing = self.missing.map(|n| n.saturating_sub(1));
    }

    /// Closes the current request if nothing of it is missing.
    fn settle(&mut self) {
        if self.missing == Some(0) {
            self.missing = None;
            self.begin = self.at;
            self.requests.ends.push(self.requests.spans.len());
        }
    }
}

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
    fn bad_input_has_the_words_of_redis() {
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
