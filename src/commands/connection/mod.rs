//! Commands about connections.
//!
//! | file | commands |
//! |---|---|
//! | [`session`] | the connection itself: PING, ECHO, QUIT, RESET, SELECT |
//! | [`login`] | authentication and the protocol version: AUTH, HELLO |
//! | [`client`] | CLIENT; LIST and INFO are in [`list`], KILL is in [`kill`] |

pub mod client;
mod kill;
mod list;
pub mod login;
pub mod session;
