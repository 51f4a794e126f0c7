//! The string commands.
//!
//! A string is any sequence of bytes. It has three forms ([`StringValue`](crate::store::StringValue)), and a command may
//! change one into another:
//!
//! | after | value | OBJECT ENCODING |
//! |---|---|---|
//! | `SET n 10` | `Int(10)` | `int` |
//! | `SET s hello` | `Bytes("hello")` | `embstr`, or `raw` if longer than 44 bytes |
//! | `APPEND s !` | `Raw("hello!")` | `raw` |
//!
//! | file | commands |
//! |---|---|
//! | [`set`] | store one string: SET, SETNX, SETEX, PSETEX |
//! | [`get`] | read one string, and change its key in the same step: GET, GETSET, GETEX, GETDEL |
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
