//! Strings: values, counters, and the longest common subsequence.

pub mod counters;
pub mod lcs;
pub mod values;
