//! RDB: a snapshot of all data in one file, in Redis's format.
//!
//! ```text
//!   "REDIS" "0010"                                     version 10, that of Redis 7.0
//!   FA name value                                      notes: who wrote it, when, where in which history
//!   FE 0   FB keys expires                             database 0, and how large it is
//!      FC time                                           the next key expires then: Unix time in ms, little-endian
//!      F8 idle / F9 counter                              when it was used, or how often
//!      type key value
//!      type key value …
//!   FE 3   FB …
//!   FF checksum                                        CRC-64 of all before
//! ```
//!
//! Lengths take one, two, five or nine bytes; the first two bits tell:
//!
//! | | |
//! |---|---|
//! | `00xxxxxx` | up to 63 |
//! | `01xxxxxx` +1 | up to 16383 |
//! | `10000000` +4, `10000001` +8 | more, big-endian |
//! | `11000000` to `11000011` | no length: what follows is a string in another form, an integer of 1, 2 or 4 bytes or compressed by [LZF](crate::util::lzf) |
//!
//! A string is a length and its bytes. A stream is its nodes as they are in memory, each with its master ID, and then
//! what it remembers of its past, and its groups with their pending entries.
//!
//! [`save`] writes version 10. [`load`] reads versions 1 to 12, and trusts nothing in them.

pub mod load;
pub mod save;

/// The version that is written, and the newest that is read.
pub const VERSION: u32 = 10;
pub const NEWEST: u32 = 12;

/// What comes next.
mod opcode {
    pub const FUNCTION2: u8 = 0xF5;
    pub const FUNCTION_OLD: u8 = 0xF6;
    pub const MODULE_AUX: u8 = 0xF7;
    pub const IDLE: u8 = 0xF8;
    pub const FREQ: u8 = 0xF9;
    pub const AUX: u8 = 0xFA;
    pub const RESIZE_DB: u8 = 0xFB;
    pub const EXPIRE_MS: u8 = 0xFC;
    pub const EXPIRE_SECONDS: u8 = 0xFD;
    pub const SELECT_DB: u8 = 0xFE;
    pub const END: u8 = 0xFF;
    /// Since version 12: how large a slot of a cluster is.
    pub const SLOT_INFO: u8 = 0xF4;
}

/// Types of values.
mod kind {
    pub const STRING: u8 = 0;
    pub const STREAM_1: u8 = 15;
    pub const STREAM_2: u8 = 19;
    pub const STREAM_3: u8 = 21;
}
