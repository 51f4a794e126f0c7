//! A value, and what the keyspace knows about it.
//!
//! [`Value`] is what a key holds: one variant for each representation, which OBJECT ENCODING names. The
//! short string stands in the value itself; everything larger is behind one pointer. [`Object`] adds what every
//! key has: when it expires and when it was last used. Key and object together take 64 bytes, one
//! line of the processor's cache: a GET of a short string touches that line and one slot of the index.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::small_bytes::SmallBytes;
use super::stream::Stream;
use crate::util::number;

/// An expiry that never comes.
pub const NEVER: i64 = i64::MAX;

/// Strings up to this length are `embstr` to OBJECT ENCODING, longer ones `raw`.
const EMBSTR: usize = 44;

/// What a key holds.
#[derive(Clone)]
pub enum Value {
    /// A string stored as it came.
    Str(SmallBytes),
    /// A string that is the decimal form of an integer.
    Int(i64),
    /// A string that was changed in place (APPEND, SETRANGE), with room to grow. Boxed, so that a value has 24 bytes.
    #[allow(
        clippy::box_collection,
        reason = "a `Vec` here would make every value larger"
    )]
    Raw(Box<Vec<u8>>),
    /// Shared with a snapshot for as long as neither changes.
    Stream(Arc<Stream>),
}

impl Value {
    /// The value for a string that a client sent: an integer if it looks like one.
    #[inline]
    pub fn string(bytes: &[u8]) -> Value {
        match integer(bytes) {
            Some(n) => Value::Int(n),
            None => Value::Str(bytes.into()),
        }
    }

    /// The same for bytes that we own, and that need not be copied if they are many.
    pub fn string_owned(bytes: Vec<u8>) -> Value {
        match integer(&bytes) {
            Some(n) => Value::Int(n),
            None => Value::Str(bytes.into()),
        }
    }

    /// What TYPE answers.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Str(_) | Value::Int(_) | Value::Raw(_) => "string",
            Value::Stream(_) => "stream",
        }
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Str(s) if s.len() <= EMBSTR => "embstr",
            Value::Str(_) | Value::Raw(_) => "raw",
            Value::Stream(_) => "stream",
        }
    }

    /// The bytes of a string.
    #[inline]
    pub fn as_string(&self) -> Result<Cow<'_, [u8]>, WrongType> {
        match self {
            Value::Str(s) => Ok(Cow::Borrowed(s)),
            Value::Raw(s) => Ok(Cow::Borrowed(s)),
            Value::Int(n) => Ok(Cow::Owned(decimal(*n))),
            _ => Err(WrongType),
        }
    }

    /// The string as bytes that can be changed in place; it is `raw` from then on.
    pub fn as_raw_mut(&mut self) -> Result<&mut Vec<u8>, WrongType> {
        let bytes = match self {
            Value::Raw(_) => None,
            Value::Str(s) => Some(s.take()),
            Value::Int(n) => Some(decimal(*n)),
            _ => return Err(WrongType),
        };
        if let Some(bytes) = bytes {
            *self = Value::Raw(Box::new(bytes));
        }
        match self {
            Value::Raw(bytes) => Ok(bytes),
            _ => Err(WrongType),
        }
    }

    /// Bytes allocated for the value beside the 24 of its own.
    pub fn heap_size(&self) -> usize {
        match self {
            Value::Int(_) => 0,
            Value::Str(s) => s.heap_size(),
            Value::Raw(bytes) => size_of::<Vec<u8>>() + bytes.capacity(),
            Value::Stream(stream) => stream.memory(),
        }
    }

    /// About how many bytes the value takes in an RDB file.
    pub fn serialized_len(&self) -> usize {
        let string = |len: usize| match len {
            0..64 => len + 1,
            64..16384 => len + 2,
            _ => len + 5,
        };
        match self {
            Value::Int(-0x80..=0x7F) => 2,
            Value::Int(-0x8000..=0x7FFF) => 3,
            Value::Int(-0x8000_0000..=0x7FFF_FFFF) => 5,
            Value::Int(n) => string(number::digits_i64(*n)),
            Value::Str(s) => string(s.len()),
            Value::Raw(s) => string(s.len()),
            Value::Stream(stream) => stream.memory(),
        }
    }

    /// Whether clients can wait for keys that hold such a value.
    pub fn can_be_awaited(&self) -> bool {
        matches!(self, Value::Stream(_))
    }

    /// A number that is another one when the value is: debug builds notice unreported changes by it. Long
    /// strings are compared only by their length and their beginning.
    #[cfg(debug_assertions)]
    pub fn fingerprint(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        match self {
            Value::Stream(stream) => stream.fingerprint(&mut hasher),
            string => {
                let bytes = string.as_string().unwrap_or_default();
                bytes.len().hash(&mut hasher);
                bytes[..bytes.len().min(4096)].hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// Whether dropping the value takes long enough to be done outside the lock.
    pub fn is_costly_to_drop(&self) -> bool {
        match self {
            Value::Int(_) => false,
            Value::Str(_) | Value::Raw(_) => self.heap_size() > 64 * 1024,
            Value::Stream(_) => true,
        }
    }
}

fn integer(bytes: &[u8]) -> Option<i64> {
    // 20 characters at most, and the first one tells nearly every other string.
    match bytes.first() {
        Some(b'0'..=b'9' | b'-') if bytes.len() <= 20 => number::parse_i64(bytes),
        _ => None,
    }
}

fn decimal(n: i64) -> Vec<u8> {
    let mut text = Vec::with_capacity(20);
    number::push_i64(&mut text, n);
    text
}

/// The error of a command that meets a value of another type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WrongType;

/// A type of values with a Rust type of its own, for typed access to keys.
pub trait Type: Sized {
    /// The value as this type.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    fn of(value: &Value) -> Result<&Self, WrongType>;

    /// The same for a change. A value that a snapshot shares is copied first.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if it is of another type.
    fn of_mut(value: &mut Value) -> Result<&mut Self, WrongType>;

    /// A value that holds this.
    fn into_value(self) -> Value;
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

/// A value with its expiry and its last use.
pub struct Object {
    pub value: Value,
    /// Unix time in milliseconds, or [`NEVER`]. Only [`super::Db`] changes it, since it counts such keys.
    pub(super) expire: i64,
    /// See [`AccessPolicy`]. Readers note their visit under a shared lock, hence the atomic.
    used: AtomicU32,
}

impl Object {
    pub fn new(value: Value, expire: i64) -> Object {
        Object {
            value,
            expire,
            used: AtomicU32::new(0),
        }
    }

    /// When the key expires, if it does.
    pub fn expiry(&self) -> Option<i64> {
        (self.expire != NEVER).then_some(self.expire)
    }

    #[inline]
    pub fn is_expired(&self, now: i64) -> bool {
        self.expire <= now
    }

    /// Notes a visit.
    #[inline]
    pub fn visit(&self, usage: AccessPolicy) {
        let old = self.used.load(Relaxed);
        let new = usage.visited(old);
        if new != old {
            self.used.store(new, Relaxed);
        }
    }

    /// The mark of the last use: a time for LRU, a time and a counter for LFU.
    pub fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    pub fn set_used(&self, used: u32) {
        self.used.store(used, Relaxed);
    }
}

impl Clone for Object {
    fn clone(&self) -> Object {
        Object {
            value: self.value.clone(),
            expire: self.expire,
            used: AtomicU32::new(self.used()),
        }
    }
}

/// How visits to keys are noted: as the time of the last one, or, under an LFU policy, as a
/// counter that grows ever more slowly and decays.
#[derive(Clone, Copy, Debug)]
pub enum AccessPolicy {
    /// Seconds of Unix time.
    Lru { now: u32 },
    /// Bits 8 to 23 are minutes of Unix time, the low 8 the counter.
    Lfu {
        minute: u16,
        log_factor: u32,
        decay_time: u32,
        dice: u32,
    },
}

impl AccessPolicy {
    /// The counter of a key that was just made.
    const LFU_INIT: u32 = 5;

    #[inline]
    fn visited(self, old: u32) -> u32 {
        match self {
            AccessPolicy::Lru { now } => now,
            AccessPolicy::Lfu {
                minute,
                log_factor,
                dice,
                ..
            } => {
                let mut counter = self.frequency(old);
                let above = counter.saturating_sub(Self::LFU_INIT);
                // Up by one with probability 1 / (above × factor + 1).
                let chance = u64::from(u32::MAX) / (u64::from(above) * u64::from(log_factor) + 1);
                if counter < 255 && u64::from(dice) <= chance {
                    counter += 1;
                }
                (u32::from(minute) << 8) | counter
            }
        }
    }

    /// The mark of a new key.
    pub fn fresh(self) -> u32 {
        match self {
            AccessPolicy::Lru { now } => now,
            AccessPolicy::Lfu { minute, .. } => (u32::from(minute) << 8) | Self::LFU_INIT,
        }
    }

    /// The LFU counter of a mark, less its decay since then. OBJECT FREQ replies this.
    pub fn frequency(self, used: u32) -> u32 {
        match self {
            AccessPolicy::Lfu {
                minute, decay_time, ..
            } => {
                let elapsed = u32::from(minute.wrapping_sub((used >> 8) as u16));
                let periods = elapsed.checked_div(decay_time).unwrap_or(0);
                (used & 255).saturating_sub(periods)
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_object_fill_a_cache_line() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(size_of::<super::super::dict::Entry<Object>>(), 64);
    }

    #[test]
    fn encodings() {
        let encoding = |s: &str| Value::string(s.as_bytes()).encoding();
        assert_eq!(encoding("12"), "int");
        assert_eq!(encoding("012"), "embstr");
        assert_eq!(encoding(&"x".repeat(44)), "embstr");
        assert_eq!(encoding(&"x".repeat(45)), "raw");
        let mut value = Value::Int(7);
        value.as_raw_mut().unwrap().push(b'0');
        assert_eq!(
            (value.encoding(), &*value.as_string().unwrap()),
            ("raw", &b"70"[..])
        );
    }

    #[test]
    fn lfu_counts_and_decays() {
        let at = |minute| AccessPolicy::Lfu {
            minute,
            log_factor: 10,
            decay_time: 1,
            dice: 0,
        };
        let object = Object::new(Value::Int(1), NEVER);
        object.set_used(at(100).fresh());
        for _ in 0..3 {
            object.visit(at(100));
        }
        assert_eq!(at(100).frequency(object.used()), 8);
        assert_eq!(at(106).frequency(object.used()), 2);
        assert_eq!(at(500).frequency(object.used()), 0);
    }
}
