//! A Redis server to read from front to back, and to run in earnest.
#![deny(unsafe_code)]

pub mod commands;
pub mod execute;
pub mod resp;
pub mod server;
pub mod state;
pub mod store;
pub mod util;

pub use server::Server;
pub use state::config::Config;

/// The version of Redis whose behaviour this server has.
pub const VERSION: &str = "7.0.15";
