//! The string commands.
//!
//! A string is any sequence of bytes, and the value of most keys in most servers. The commands fall into groups, one
//! file each:
//!
//! | file | commands |
//! |---|---|
//! | [`set`] | store one string: SET, SETNX, SETEX, PSETEX |
//! | [`get`] | read one string, and perhaps change its key: GET, GETSET, GETEX, GETDEL |
//! | [`multi`] | store or read several strings at once: MSET, MSETNX, MGET |
//! | [`range`] | work on a part of a string: APPEND, STRLEN, SETRANGE, GETRANGE, SUBSTR |
//! | [`counters`] | take the string as a number: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT |
//! | [`lcs`] | compare two strings: LCS |
//!
//! [`options`] reads the options of SET and GETEX; [`value`] turns arguments into values and values into replies.

pub mod counters;
pub mod get;
pub mod lcs;
pub mod multi;
mod options;
pub mod range;
pub mod set;
mod value;
