//! Replication: who follows whom, and what a replica says to its primary.

pub mod roles;
