//! RDB, Redis's format for a snapshot of all data.
//!
//! ```text
//!   "REDIS" "0010"             version 10, that of Redis 7.0
//!   FA name value              an aux field: facts about the file, such as the version of Redis and the replication ID
//!   FE 0                       the keys of database 0 follow
//!   FB keys expires              how many keys it has, and how many of them have an expiry
//!      FC time                     the next key expires at this Unix time in ms, little-endian
//!      F8 idle or F9 counter       its idle time in seconds, or its LFU counter
//!      type key value              the type is one byte
//!      type key value …
//!   FE 3   FB …
//!   FF checksum                CRC-64 of all bytes before, little-endian
//! ```
//!
//! A length takes one, two, five or nine bytes. Its first byte tells which:
//!
//! | first byte | length |
//! |---|---|
//! | `00xxxxxx` | the 6 bits: up to 63 |
//! | `01xxxxxx` | the 6 bits and 1 more byte, big-endian: up to 16383 |
//! | `10000000`, `10000001` | in the next 4 or 8 bytes, big-endian |
//! | `11000000`, `11000001`, `11000010` | none: the string is the decimal form of an integer in the next 1, 2 or 4 bytes, little-endian |
//! | `11000011` | none: a string compressed by [LZF](crate::util::lzf) follows, as its compressed length, its length and the compressed bytes |
//!
//! A string is a length and its bytes. So the key `k` with the value `7` is `00 01 6B C0 07`: the type string, a string of
//! one byte, an integer of one byte.
//!
//! A stream is its nodes as they are in memory, each with its master ID; then its counters, such as the last ID; then its
//! groups with their pending entries and consumers.
//!
//! [`save`] writes version 10. [`load`] reads versions 1 to 12, and trusts nothing in them.

pub mod load;
pub mod save;

/// The version that [`save`] writes.
pub const VERSION: u32 = 10;
/// The newest version that [`load`] reads.
pub const NEWEST: u32 = 12;

/// The byte that tells what comes next. A byte that is none of these is the type of a value ([`kind`]), and a key follows.
mod opcode {
    /// The size of a slot of a cluster: three lengths. Since version 12.
    pub const SLOT_INFO: u8 = 0xF4;
    /// A library of functions: its source as a string.
    pub const FUNCTION2: u8 = 0xF5;
    /// A function in the form of pre-releases of Redis 7.0.
    pub const FUNCTION_OLD: u8 = 0xF6;
    /// Data of a module that belongs to no key.
    pub const MODULE_AUX: u8 = 0xF7;
    /// The time in seconds since the next key was used: a length.
    pub const IDLE: u8 = 0xF8;
    /// The LFU counter of the next key: one byte.
    pub const FREQ: u8 = 0xF9;
    /// An aux field: two strings, a name and a value.
    pub const AUX: u8 = 0xFA;
    /// The number of keys in this database, and of those with an expiry: two lengths.
    pub const RESIZE_DB: u8 = 0xFB;
    /// The Unix time in milliseconds when the next key expires: 8 bytes, little-endian.
    pub const EXPIRE_MS: u8 = 0xFC;
    /// The Unix time in seconds when the next key expires: 4 bytes, little-endian.
    pub const EXPIRE_SECONDS: u8 = 0xFD;
    /// The number of the database of the keys that follow: a length.
    pub const SELECT_DB: u8 = 0xFE;
    /// The end. The checksum follows.
    pub const END: u8 = 0xFF;
}

/// The types of values that this server has.
mod kind {
    /// A string.
    pub const STRING: u8 = 0;
    /// A stream as before Redis 7.0.
    pub const STREAM_1: u8 = 15;
    /// Since Redis 7.0: with the first ID, the largest deleted ID, and counts of entries added and read.
    pub const STREAM_2: u8 = 19;
    /// Since Redis 7.2: with the time when each consumer was last active.
    pub const STREAM_3: u8 = 21;
}
