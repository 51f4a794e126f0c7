//! Keys, whatever type of value they hold.
//!
//! | file | commands |
//! |---|---|
//! | [`generic`] | DEL, UNLINK, EXISTS, TOUCH, TYPE |
//! | [`scan`] | find keys: KEYS, SCAN, RANDOMKEY |
//! | [`naming`] | rename, copy and move: RENAME, RENAMENX, COPY, MOVE |
//! | [`expire`] | when keys expire: EXPIRE, TTL and their relatives |
//! | [`object`] | how a value is kept: OBJECT |

pub mod expire;
pub mod generic;
pub mod naming;
pub mod object;
pub mod scan;
