//! Replication: whom to follow, and talking with the replicas that follow this server.

pub mod failover;
pub mod replconf;
pub mod roles;
pub mod sync;
pub mod wait;
