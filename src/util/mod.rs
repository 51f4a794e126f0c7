//! Small tools that know nothing of the server. Each file is one idea and can be read alone:
//!
//! * [`glob`] matches the patterns of KEYS and SCAN;
//! * [`number`] reads and prints numbers as Redis does, and [`long_double`] is the 80-bit float of INCRBYFLOAT;
//! * [`words`] splits a line of text as redis-cli and redis.conf do;
//! * [`clock`] reads and prints the time;
//! * [`process`] reads figures of this process from the system;
//! * [`random`] makes random numbers and names;
//! * [`crc64`] and [`lzf`] are the checksum and the compression of RDB files.

pub mod clock;
pub mod crc64;
pub mod glob;
pub mod long_double;
pub mod lzf;
pub mod number;
pub mod process;
pub mod random;
pub mod words;
