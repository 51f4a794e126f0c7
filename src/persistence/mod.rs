//! The data in a form that outlives the process or leaves the machine.
//!
//! * [`rdb`], Redis's snapshot format: a full copy for a replica.

pub mod rdb;
