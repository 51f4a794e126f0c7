//! The server as a whole: its settings, statistics, databases, and its table of commands.
//!
//! | file | commands |
//! |---|---|
//! | [`command`], [`command_docs`] | the table of commands, shown to clients: COMMAND |
//! | [`config`] | the settings: CONFIG |
//! | [`databases`] | the databases as a whole, and the clock: DBSIZE, FLUSHALL, FLUSHDB, SWAPDB, TIME |
//! | [`debug`] | tools for tests: DEBUG |
//! | [`info`] | figures and statistics: INFO |
//! | [`memory`] | how much memory a key takes: MEMORY |
//! | [`shutdown`] | stopping the server: SHUTDOWN |

pub mod command;
pub mod command_docs;
pub mod config;
pub mod databases;
pub mod debug;
pub mod info;
pub mod memory;
pub mod shutdown;
