//! A byte string that keeps itself where it stands if it is short.
//!
//! Most keys and many values of a Redis are shorter than 23 bytes. A `Vec<u8>` spends 24 bytes on
//! where such a string is, and then an allocation (32 bytes at least, and a cache miss at each visit)
//! on the string. [`SmallBytes`] spends the same 24 bytes on the string itself: a tag, a length and 22 bytes in
//! place, and only longer strings go to the heap. The name is Redis's: *simple dynamic string*.
//!
//! ```text
//!  ┌───┬─────┬──────────────────────────────────────────┐
//!  │ 0 │ len │ up to 22 bytes, here                     │
//!  └───┴─────┴──────────────────────────────────────────┘
//!  ┌───┬─────────┬──────────────────┬───────────────────┐
//!  │ 1 │         │ pointer ─────────┼──► bytes          │
//!  └───┴─────────┴──────────────────┴── length ─────────┘
//! ```

/// How many bytes fit in place.
const INLINE: usize = 22;

/// An immutable byte string of 24 bytes, or of 24 bytes and an allocation.
#[derive(Clone)]
pub enum SmallBytes {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<[u8]>),
}

impl SmallBytes {
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            SmallBytes::Inline { len, bytes } => &bytes[..usize::from(*len)],
            SmallBytes::Heap(bytes) => bytes,
        }
    }

    /// Bytes allocated beside the value itself.
    pub fn heap_size(&self) -> usize {
        match self {
            SmallBytes::Inline { .. } => 0,
            SmallBytes::Heap(bytes) => bytes.len(),
        }
    }
}

impl From<&[u8]> for SmallBytes {
    #[inline]
    fn from(source: &[u8]) -> SmallBytes {
        if source.len() > INLINE {
            return SmallBytes::Heap(source.into());
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
            SmallBytes::Heap(source.into_boxed_slice())
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
        for len in [0, 1, 21, 22, 23, 24, 1000] {
            let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
            assert_eq!(&*SmallBytes::from(bytes.as_slice()), bytes);
            assert_eq!(&*SmallBytes::from(bytes.clone()), bytes);
            assert_eq!(
                SmallBytes::from(bytes.as_slice()).heap_size(),
                if len > 22 { len } else { 0 }
            );
        }
    }
}
