//! The replication commands.
//!
//! | file | commands |
//! |---|---|
//! | [`roles`] | which server this one follows: REPLICAOF, SLAVEOF, ROLE |
//! | [`replconf`] | what a replica tells its primary: REPLCONF |
//! | [`sync`] | a replica requests the data and the changes: PSYNC, SYNC |
//! | [`wait`] | a client waits for acknowledgements of replicas: WAIT |
//! | [`failover`] | a primary hands its role over to a replica: FAILOVER |
//!
//! The handlers only read arguments and check what is allowed. Threads in [`crate::replication`] send the data and
//! follow a primary, and [`crate::state::replication`] has the state that they share.

pub mod failover;
pub mod replconf;
pub mod roles;
pub mod sync;
pub mod wait;
