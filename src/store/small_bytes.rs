//! A byte string that stores short contents in place, and shares long ones.
//!
//! Most keys and many values are shorter than 23 bytes. A `Vec<u8>` takes 24 bytes for pointer, length and capacity, and then
//! an allocation for the contents: at least 32 bytes, and a cache miss at each use. [`SmallBytes`] also takes 24 bytes, but
//! short contents are in these bytes: a tag, a length, and up to 22 bytes. Only longer strings have an allocation.
//!
//! ```text
//!            ┌───┬─────┬──────────────────────────────────────────┐
//!  Inline    │ 0 │ len │ up to 22 bytes, here                     │
//!            └───┴─────┴──────────────────────────────────────────┘
//!            ┌───┬─────────┬──────────────────┬───────────────────┐
//!  Heap      │ 1 │         │ pointer ─────────┼──► 23 to 1023 bytes
//!            └───┴─────────┴──────────────────┴── length ─────────┘
//!            ┌───┬─────────┬──────────────────┬───────────────────┐    ┌────────┬─────────┬────────┐
//!  Shared    │ 2 │         │ pointer ─────────┼───────────────────┼──► │ counts │ pointer │ length │
//!            └───┴─────────┴──────────────────┴───────────────────┘    └────────┴──│──────┴────────┘
//!                                                                                  └──► 1024 bytes or more
//! ```
//!
//! # Why long strings are shared
//!
//! If a snapshot shares a shard of the keyspace, a writer copies the shard with all strings in it (see [`super::sharded`]).
//! That must not take long. So a string of 1024 bytes or more has a reference counter, and its copy only increments the
//! counter. Copying a shorter string takes about as long as incrementing a counter that is in no cache, and a counter would
//! make the string larger.
//!
//! `Shared` has two pointers, so that a long string keeps the memory in which it arrived: a value of 512 MB is stored without
//! a copy. The second pointer costs one cache miss, and reading 1024 bytes costs sixteen anyway.
//!
//! # Invariants
//!
//! * Contents never change.
//! * The variant depends only on the length.
//!
//! # Cost
//!
//! | operation | time |
//! |---|---|
//! | `clone` | O(1); copies up to 1023 bytes |
//! | `From<&[u8]>` | O(n) |
//! | `From<Vec<u8>>` | O(1) if the vector is full or short; else its memory is cut to size |
//! | `take` | O(1), O(n) if a long string is shared |

use std::sync::Arc;

/// How many bytes are stored in place at most.
const INLINE: usize = 22;

/// Strings of this length or more share their bytes with their copies.
const SHARED: usize = 1024;

/// An immutable byte string of 24 bytes, or of 24 bytes and an allocation.
#[derive(Clone)]
pub enum SmallBytes {
    /// Up to 22 bytes, in place.
    Inline {
        /// How many of `bytes` are the string.
        len: u8,
        /// The string, and zeros behind it.
        bytes: [u8; INLINE],
    },
    /// 23 to 1023 bytes. A clone copies them.
    Heap(Box<[u8]>),
    /// 1024 bytes or more. Clones share them.
    Shared(Arc<Box<[u8]>>),
}

impl SmallBytes {
    /// The bytes of the string.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            SmallBytes::Inline { len, bytes } => &bytes[..usize::from(*len)],
            SmallBytes::Heap(bytes) => bytes,
            SmallBytes::Shared(bytes) => bytes,
        }
    }

    /// Takes the bytes out and leaves an empty string. The bytes are copied only if they are shared, or stored in place.
    pub fn take(&mut self) -> Vec<u8> {
        match std::mem::replace(self, SmallBytes::from(&b""[..])) {
            SmallBytes::Inline { len, bytes } => bytes[..usize::from(len)].to_vec(),
            SmallBytes::Heap(bytes) => bytes.into_vec(),
            SmallBytes::Shared(bytes) => Arc::unwrap_or_clone(bytes).into_vec(),
        }
    }

    /// How many bytes are allocated besides the 24 bytes of the value itself.
    pub fn heap_size(&self) -> usize {
        match self {
            SmallBytes::Inline { .. } => 0,
            SmallBytes::Heap(bytes) => bytes.len(),
            SmallBytes::Shared(bytes) => {
                2 * size_of::<usize>() + size_of::<Box<[u8]>>() + bytes.len()
            }
        }
    }

    /// The string for bytes that are too long to be stored in place.
    fn long(bytes: Box<[u8]>) -> SmallBytes {
        if bytes.len() < SHARED {
            SmallBytes::Heap(bytes)
        } else {
            SmallBytes::Shared(Arc::new(bytes))
        }
    }
}

impl From<&[u8]> for SmallBytes {
    #[inline]
    fn from(source: &[u8]) -> SmallBytes {
        if source.len() > INLINE {
            return SmallBytes::long(source.into());
        }
        let mut bytes = [0; INLINE];
        bytes[..source.len()].copy_from_slice(source);
        SmallBytes::Inline {
            len: source.len() as u8,
            bytes,
        }
    }
}

impl From<Vec<u8>> for SmallBytes {
    /// Keeps the vector's own memory if the string is long.
    fn from(source: Vec<u8>) -> SmallBytes {
        if source.len() > INLINE {
            SmallBytes::long(source.into_boxed_slice())
        } else {
            source.as_slice().into()
        }
    }
}

impl std::ops::Deref for SmallBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for SmallBytes {
    fn eq(&self, other: &SmallBytes) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl std::fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_comes_back() {
        assert_eq!(size_of::<SmallBytes>(), 24);
        for len in [0, 1, 21, 22, 23, 24, 1000, 1023, 1024, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut string = SmallBytes::from(bytes.as_slice());
            assert_eq!(&*string, bytes);
            assert_eq!(&*SmallBytes::from(bytes.clone()), bytes);
            let expected = match len {
                0..23 => 0,
                23..1024 => len,
                _ => len + 32,
            };
            assert_eq!(string.heap_size(), expected);
            let mut copy = string.clone();
            assert_eq!(copy.take(), bytes);
            assert_eq!((copy.len(), &*string), (0, bytes.as_slice()));
            assert_eq!((string.take(), string.len()), (bytes, 0));
        }
    }

    #[test]
    fn long_contents_are_never_copied() {
        let vector = vec![7; 100_000];
        let at = vector.as_ptr();
        let mut string = SmallBytes::from(vector);
        let copy = string.clone();
        assert_eq!((string.as_ptr(), copy.as_ptr()), (at, at));
        drop(copy);
        let taken = string.take();
        assert_eq!(taken.as_ptr(), at);
    }
}
