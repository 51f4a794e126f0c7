//! Keys, whatever type of value they hold.

pub mod expire;
pub mod generic;
pub mod object;
