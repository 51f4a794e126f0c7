//! A byte string that stores short contents in place, and shares long ones.
//!
//! Most keys and many values of a Redis are shorter than 23 bytes. A `Vec<u8>` spends 24 bytes on
//! where such a string is, and then an allocation (32 bytes at least, and a cache miss at each visit)
//! on the string. [`SmallBytes`] spends the same 24 bytes on the string itself: a tag, a length and 22 bytes in
//! place, and only longer strings go to the heap.
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
//! A writer copies a part of the keyspace that a snapshot shares, with the strings in it (see [`super::sharded`]). It must not
//! take long, so a long string is behind a counter, and a copy of it is one more count. A short one is copied as fast as a
//! counter in distant memory is changed, and a counter would make it larger. The second pointer lets a long string keep the
//! memory in which it arrived: a value of 512 MB is stored without a copy. It costs a cache miss, which a string of this
//! length costs sixteen times anyway.
//!
//! # Invariants
//!
//! * Contents never change. The variant depends on the length only.
//!
//! | operation | time |
//! |---|---|
//! | `clone` | O(1); copies up to 1023 bytes |
//! | `From<&[u8]>` | O(n) |
//! | `From<Vec<u8>>` | O(1) if the vector is full or short; else its memory is cut to size |
//! | `take` | O(1), O(n) if a long string is shared |

use std::sync::Arc;

/// How many bytes fit in place.
const INLINE: usize = 22;

/// From this length on, copies share the bytes.
const SHARED: usize = 1024;

/// An immutable byte string of 24 bytes, or of 24 bytes and an allocation.
#[derive(Clone)]
pub enum SmallBytes {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
    Shared(Arc<Box<[u8]>>),
}

impl SmallBytes {
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            SmallBytes::Inline { len, bytes } => &bytes[..usize::from(*len)],
            SmallBytes::Heap(bytes) => bytes,
            SmallBytes::Shared(bytes) => bytes,
        }
    }

    /// Takes the bytes out and leaves an empty string. They are copied only if they are shared or stand in place.
    pub fn take(&mut self) -> Vec<u8> {
        match std::mem::replace(self, SmallBytes::from(&b""[..])) {
            SmallBytes::Inline { len, bytes } => bytes[..usize::from(len)].to_vec(),
            SmallBytes::Heap(bytes) => bytes.into_vec(),
            SmallBytes::Shared(bytes) => Arc::unwrap_or_clone(bytes).into_vec(),
        }
    }

    /// Bytes allocated beside the value itself.
    pub fn heap_size(&self) -> usize {
        match self {
            SmallBytes::Inline { .. } => 0,
            SmallBytes::Heap(bytes) => bytes.len(),
            SmallBytes::Shared(bytes) => {
                2 * size_of::<usize>() + size_of::<Box<[u8]>>() + bytes.len()
            }
        }
    }

    /// A string too long to stand in place.
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
