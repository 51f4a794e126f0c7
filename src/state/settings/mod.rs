//! The settings by name.
//!
//! [`super::config`] holds the values and knows no names. The files here are built on it, each on the ones before it:
//!
//! 1. [`kind`]: what a row of the table says, and how text becomes a value and back;
//! 2. [`table`]: a row per setting;
//! 3. [`change`], CONFIG SET: several settings at once, all of them or none; and [`rewrite`], CONFIG REWRITE: the text
//!    of the configuration file.
//!
//! `server/configure.rs` reads the command line and the configuration file. It is above the commands, because
//! `rename-command` needs the table of commands.
//!
//! To add a setting, add a field to [`Config`](super::config::Config) and a row to the table.

pub mod change;
pub mod kind;
pub mod rewrite;
pub mod table;
