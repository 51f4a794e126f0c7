//! RESP, the protocol between Redis and its clients.
//!
//! A request is an array of byte strings, or one line of words that a person types. `GET k` is
//!
//! ```text
//! *2\r\n$3\r\nGET\r\n$1\r\nk\r\n      two arguments: 3 bytes, GET; and 1 byte, k
//! GET k\r\n                           the same as a line
//! ```
//!
//! A reply begins with a byte that names its type: `+OK`, `-ERR syntax error`, `:7`, `$5` and 5 bytes, `*2` and two
//! replies.
//!
//! * [`request`] finds requests in the bytes that have arrived, without copying arguments;
//! * [`args`] is how handlers see one request;
//! * [`reply`] writes replies, in RESP2 or RESP3 as the client chose;
//! * [`encode`] writes requests, for replicas and primaries.
//!
//! # Invariants
//!
//! * No file here knows a socket: the functions take bytes and return bytes.
//! * No other part of the server reads or writes RESP by hand. The exception is `replication/`: some lines of the
//!   replication handshake are no ordinary replies (`+FULLRESYNC …`, `$EOF:…`).
//!
//! Read next: [`request`].

pub mod args;
pub mod encode;
pub mod reply;
pub mod request;

pub use args::{Args, OwnedArgs, Span};
pub use encode::push_request;
pub use reply::{Error, Reply};
pub use request::{Limits, Parser, Requests};
