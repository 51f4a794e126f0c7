//! RESP, the protocol between Redis and its clients.
//!
//! A request is an array of byte strings, `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`, or one line of words typed by a person.
//! [`request`] takes requests out of what has arrived so far, without copying an argument; [`args`] is
//! how the rest of the server sees one. [`reply`] writes the answers, in RESP2 or RESP3 as the client
//! chose. None of them knows a socket: bytes come in, bytes go out.

pub mod args;
pub mod reply;
pub mod request;

pub use args::{Args, OwnedArgs, Span};
pub use reply::{Error, Reply};
pub use request::{Limits, Parser, Requests};
