//! The data in a form that outlives the process or leaves the machine.
//!
//! * [`rdb`], Redis's snapshot format: what a replica is given when it begins to follow.

pub mod rdb;
