//! The ID of a stream entry: `<milliseconds>-<sequence>`.
//!
//! An ID is a time and a counter for entries of the same millisecond, 128 bits together. IDs of a stream only ever
//! grow, so they serve as order, as address and as clock at once: "everything after the last one I
//! saw" is a range.

use crate::store::shared_map::Key;
use crate::util::number;

/// The ID of an entry. Ordered by time, then by sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Unix time in milliseconds, or whatever the writer uses for it.
    pub ms: u64,
    /// Number within the millisecond.
    pub seq: u64,
}

/// The error for a text that is no ID.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidId;

/// What an ID given to XADD leaves open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NewId {
    /// `*`: the server's clock.
    Auto,
    /// `ms-*`: the next sequence within this time.
    AutoSeq(u64),
    Exact(StreamId),
}

impl StreamId {
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    pub const MAX: StreamId = StreamId {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    #[cfg(test)]
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The smallest larger ID, if there is one.
    pub fn next(self) -> Option<StreamId> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The largest smaller ID, if there is one.
    pub fn previous(self) -> Option<StreamId> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Reads an ID where `-` and `+` stand for the smallest and the largest. If the sequence is left out it is
    /// `missing_seq`.
    pub fn parse(text: &[u8], missing_seq: u64) -> Result<StreamId, InvalidId> {
        match text {
            b"-" => Ok(StreamId::MIN),
            b"+" => Ok(StreamId::MAX),
            _ => StreamId::parse_strict(text, missing_seq),
        }
    }

    /// Reads an ID that must be one, `-` and `+` not allowed.
    pub fn parse_strict(text: &[u8], missing_seq: u64) -> Result<StreamId, InvalidId> {
        match split(text)? {
            (ms, None) => Ok(StreamId {
                ms,
                seq: missing_seq,
            }),
            (ms, Some(seq)) => Ok(StreamId {
                ms,
                seq: number::parse_u64_lenient(seq).ok_or(InvalidId)?,
            }),
        }
    }

    /// Reads the ID argument of XADD.
    pub fn parse_new(text: &[u8]) -> Result<NewId, InvalidId> {
        if text == b"*" {
            return Ok(NewId::Auto);
        }
        match split(text)? {
            (ms, Some(b"*")) => Ok(NewId::AutoSeq(ms)),
            _ => StreamId::parse_strict(text, 0).map(NewId::Exact),
        }
    }

    /// The form in which IDs are compared byte by byte.
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.ms) << 64) | u128::from(self.seq)).to_be_bytes()
    }

    /// Appends the text form.
    pub fn push(self, out: &mut Vec<u8>) {
        number::push_u64(out, self.ms);
        out.push(b'-');
        number::push_u64(out, self.seq);
    }
}

impl Key for StreamId {
    type View = StreamId;

    fn view(&self) -> &StreamId {
        self
    }

    /// IDs grow about evenly with time, or with the sequence where all are of one millisecond.
    #[inline]
    fn fraction(key: &StreamId, first: &StreamId, last: &StreamId) -> f64 {
        let (whole, part) = if first.ms == last.ms {
            (last.seq - first.seq, key.seq.saturating_sub(first.seq))
        } else {
            (last.ms - first.ms, key.ms.saturating_sub(first.ms))
        };
        part as f64 / whole as f64
    }
}

/// The time of an ID, and what follows the dash if there is one.
fn split(text: &[u8]) -> Result<(u64, Option<&[u8]>), InvalidId> {
    if text.len() > 127 {
        return Err(InvalidId);
    }
    let text = number::until_zero(text);
    let dash = text.iter().position(|&b| b == b'-');
    let (ms, seq) = match dash {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    Ok((number::parse_u64_lenient(ms).ok_or(InvalidId)?, seq))
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading() {
        let id = |ms, seq| Ok(StreamId { ms, seq });
        assert_eq!(StreamId::parse(b"5-3", 0), id(5, 3));
        assert_eq!(StreamId::parse(b"5", 9), id(5, 9));
        assert_eq!(StreamId::parse(b"-", 0), id(0, 0));
        assert!(StreamId::parse_strict(b"+", 0).is_err());
        for bad in ["", "a", "5-", "5-x", "-5", "5-3-1", "5-*"] {
            assert!(StreamId::parse(bad.as_bytes(), 0).is_err(), "{bad}");
        }
        assert_eq!(StreamId::parse_new(b"5-*"), Ok(NewId::AutoSeq(5)));
        assert_eq!(
            StreamId::parse_strict(b"1\0-5", 7),
            Ok(StreamId { ms: 1, seq: 7 })
        );
        assert_eq!(StreamId::parse_new(b"*"), Ok(NewId::Auto));
        assert_eq!(
            StreamId::parse_new(b"7"),
            Ok(NewId::Exact(StreamId { ms: 7, seq: 0 }))
        );
    }

    #[test]
    fn neighbours() {
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(
            StreamId::new(2, 0).previous(),
            Some(StreamId::new(1, u64::MAX))
        );
        assert_eq!(
            (StreamId::MAX.next(), StreamId::MIN.previous()),
            (None, None)
        );
    }
}
