//! Connections: logging in, choosing a database, looking at clients.
//!
//! | file | commands |
//! |---|---|
//! | [`session`] | the connection itself: PING, ECHO, QUIT, RESET, SELECT |
//! | [`login`] | who the client is, and which protocol it speaks: AUTH, HELLO |
//! | [`client`] | CLIENT, with [`list`] for LIST and INFO, and [`kill`] for KILL |

pub mod client;
mod kill;
mod list;
pub mod login;
pub mod session;
