//! What a key holds.
//!
//! [`Value`] has one variant per Redis type. The rest of the server uses a value in two ways:
//!
//! * A command of a certain type asks for that type: [`Type::of`] and [`Type::of_mut`] return the value as its own Rust
//!   type, or [`WrongType`].
//! * Code for all types (OBJECT ENCODING, MEMORY USAGE, the reports of changes) calls [`Value::as_type`], and then
//!   methods of the trait [`Contents`], which each type implements in its own file.
//!
//! ```text
//!   XLEN key               Stream::of(&value)           Ok(&Stream), or Err(WrongType) if the key holds a string
//!   OBJECT ENCODING key    value.as_type().encoding()   "embstr", "stream", …
//! ```
//!
//! # How to add a type
//!
//! Write its file with an `impl Contents`. Here, add a variant to [`Value`], an `impl Type`, and an arm to the macro
//! `with_type`. The compiler then demands an arm in `persistence/rdb/save.rs`, which writes the value to an RDB. Then add the
//! type's byte to `persistence/rdb/mod.rs`, and read it in `load.rs`: the compiler does not ask for that.
//!
//! # Invariants
//!
//! * A value takes 24 bytes. So an entry of the keyspace (key, value, expiry, last use) fills 64 bytes, a cache line.
//! * A clone of a value, made for a snapshot, copies at most 1023 bytes of a string, and shares everything else. The
//!   exception is a string that was changed in place: see [`StringValue::Raw`].

use std::borrow::Cow;
use std::sync::Arc;

use super::contents::Contents;
use super::stream::Stream;
use super::string::StringValue;

/// What a key holds.
#[derive(Clone)]
pub enum Value {
    /// A string.
    String(StringValue),
    /// A stream. Shared with a snapshot until one of both changes.
    Stream(Arc<Stream>),
}

/// The error of a command that finds a value of another type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WrongType;

/// A Rust type that is one of the variants of [`Value`].
pub trait Type: Contents + Sized {
    /// The value as this type.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the value is of another type.
    fn of(value: &Value) -> Result<&Self, WrongType>;

    /// The value as this type, to be changed. If a snapshot shares the value, it is copied first.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the value is of another type.
    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType>;

    /// A value that holds `self`.
    fn into_value(self) -> Value;
}

impl Type for StringValue {
    #[inline]
    fn of(value: &Value) -> Result<&StringValue, WrongType> {
        match value {
            Value::String(string) => Ok(string),
            _ => Err(WrongType),
        }
    }

    #[inline]
    fn of_mut(value: &mut Value) -> Result<&mut StringValue, WrongType> {
        match value {
            Value::String(string) => Ok(string),
            _ => Err(WrongType),
        }
    }

    #[inline]
    fn into_value(self) -> Value {
        Value::String(self)
    }
}

impl Type for Stream {
    fn of(value: &Value) -> Result<&Stream, WrongType> {
        match value {
            Value::Stream(stream) => Ok(stream),
            _ => Err(WrongType),
        }
    }

    fn of_mut(value: &mut Value) -> Result<&mut Stream, WrongType> {
        match value {
            Value::Stream(stream) => Ok(Arc::make_mut(stream)),
            _ => Err(WrongType),
        }
    }

    fn into_value(self) -> Value {
        Value::Stream(Arc::new(self))
    }
}

/// Evaluates an expression with the value as its own Rust type. This is the only `match` over all types in the store.
macro_rules! with_type {
    ($value:expr, $typed:ident => $result:expr) => {
        match $value {
            Value::String($typed) => $result,
            Value::Stream(shared) => {
                let $typed = &**shared;
                $result
            }
        }
    };
}

impl Value {
    /// The value as what all types have in common.
    #[inline]
    pub fn as_type(&self) -> &dyn Contents {
        with_type!(self, typed => typed)
    }

    /// [`Contents::can_be_awaited`]. Called for each SET, so without a dynamic call.
    #[inline]
    pub fn can_be_awaited(&self) -> bool {
        with_type!(self, typed => typed.can_be_awaited())
    }

    /// [`Contents::is_costly_to_drop`]. Called for each SET, so without a dynamic call.
    #[inline]
    pub fn is_costly_to_drop(&self) -> bool {
        with_type!(self, typed => typed.is_costly_to_drop())
    }

    /// The value for a string that a client sent. It is stored as an integer if it is the decimal form of one.
    #[inline]
    pub fn string(bytes: &[u8]) -> Value {
        StringValue::from(bytes).into_value()
    }

    /// The same for bytes that the caller gives away. A long string keeps their memory.
    pub fn string_owned(bytes: Vec<u8>) -> Value {
        StringValue::from(bytes).into_value()
    }

    /// The value for an integer.
    #[inline]
    pub fn int(n: i64) -> Value {
        StringValue::Int(n).into_value()
    }

    /// The bytes of a string.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the value is no string.
    #[inline]
    pub fn as_string(&self) -> Result<Cow<'_, [u8]>, WrongType> {
        StringValue::of(self).map(StringValue::bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_of_one_type() {
        assert_eq!(size_of::<Value>(), 24);
        let mut value = Stream::default().into_value();
        assert!(Stream::of(&value).is_ok() && Stream::of_mut(&mut value).is_ok());
        assert_eq!(value.as_string(), Err(WrongType));
        assert_eq!(value.as_type().name(), "stream");
        value = Value::string(b"x");
        assert!(Stream::of(&value).is_err() && Stream::of_mut(&mut value).is_err());
        assert_eq!(value.as_string().unwrap(), &b"x"[..]);
        assert_eq!(value.as_type().name(), "string");
    }
}
