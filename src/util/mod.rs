//! Small tools that know nothing of the server.
//!
//! Each file is one idea: [`glob`] matches the patterns of KEYS and SCAN, [`number`] reads and
//! prints numbers exactly as Redis does, [`long_double`] is the 80-bit float behind INCRBYFLOAT,
//! [`words`] splits a line of text the way redis-cli and redis.conf do, [`clock`] tells and prints the time,
//! [`process`] asks the system about this process, [`random`] makes the dice, and [`crc64`] and [`lzf`] are the checksum
//! and the compression of RDB files.

pub mod clock;
pub mod crc64;
pub mod glob;
pub mod long_double;
pub mod lzf;
pub mod number;
pub mod process;
pub mod random;
pub mod words;
