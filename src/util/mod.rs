//! Small tools. They know nothing of the server, and each file can be read alone:
//!
//! * [`glob`] matches the patterns of KEYS and SCAN;
//! * [`number`] reads and prints numbers as Redis does;
//! * [`long_double`] is the 80-bit floating point number of INCRBYFLOAT;
//! * [`words`] splits a line of text as redis-cli and redis.conf do;
//! * [`clock`] reads and prints the time;
//! * [`process`] reads memory and processor time of this process;
//! * [`random`] makes random numbers and names;
//! * [`crc64`] is the checksum of RDB files, and [`lzf`] is their compression.

pub mod clock;
pub mod crc64;
pub mod glob;
pub mod long_double;
pub mod lzf;
pub mod number;
pub mod process;
pub mod random;
pub mod words;
