//! Streams: entries, ranges, reading and waiting, consumer groups.

pub mod entries;
pub mod groups;
pub mod pending;
pub mod xinfo;
