//! RESP, the protocol between Redis and its clients.
//!
//! A request is an array of byte strings, `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`, or one line of words that a person types.
//!
//! * [`request`] finds requests in the bytes that have arrived, without copying arguments;
//! * [`args`] is how handlers see one request;
//! * [`reply`] writes replies, in RESP2 or RESP3 as the client chose;
//! * [`encode`] writes requests, for replicas and primaries.
//!
//! Invariants: no file here knows a socket (bytes come in, bytes go out), and no other part of the server
//! reads or writes RESP by hand. The exceptions are the lines of the replication handshake that are no ordinary replies
//! (`+FULLRESYNC …`, `$EOF:…`): they are in `replication/`.

pub mod args;
pub mod encode;
pub mod reply;
pub mod request;

pub use args::{Args, OwnedArgs, Span};
pub use encode::push_request;
pub use reply::{Error, Reply};
pub use request::{Limits, Parser, Requests};
