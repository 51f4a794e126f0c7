//! The server as a whole: its settings, statistics, databases, and its table of commands.

pub mod command;
pub mod command_docs;
pub mod config;
pub mod databases;
pub mod info;
pub mod memory;
pub mod shutdown;
