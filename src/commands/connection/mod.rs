//! Connections: logging in, choosing a database, looking at clients.

pub mod client;
pub mod session;
