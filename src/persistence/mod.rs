//! The data in a form that can leave the process.
//!
//! * [`rdb`] is Redis's snapshot format. A primary sends its replicas a full copy in this form.

pub mod rdb;
