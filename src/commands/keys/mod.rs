//! The commands for keys of any type.
//!
//! | file | commands |
//! |---|---|
//! | [`generic`] | DEL, UNLINK, EXISTS, TOUCH, TYPE |
//! | [`scan`] | find keys: KEYS, SCAN, RANDOMKEY |
//! | [`naming`] | rename, copy and move keys: RENAME, RENAMENX, COPY, MOVE |
//! | [`expire`] | when keys expire: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, PERSIST, TTL, PTTL, EXPIRETIME, PEXPIRETIME |
//! | [`object`] | how a value is stored and used: OBJECT |
//!
//! A stream that is removed, or that appears at a key, is reported as *ready* ([`crate::store::reports`]): clients may
//! wait for it in XREAD or XREADGROUP. The methods of [`Db`](crate::store::Db) do that, so no handler here calls
//! `Db::ready`.

pub mod expire;
pub mod generic;
pub mod naming;
pub mod object;
pub mod scan;
