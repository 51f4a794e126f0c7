//! The ID of a stream entry: `<milliseconds>-<sequence>`.
//!
//! An ID is a time, and a counter for entries of the same millisecond; each has 64 bits. The IDs that a stream gives out always
//! increase. So an ID gives an entry its order, its address and its time, and "all entries after the last one that I read" is
//! a range of IDs.
//!
//! | text | in XADD | in XRANGE, as a start | as an end |
//! |---|---|---|---|
//! | `5-3` | 5-3 | 5-3 | 5-3 |
//! | `5` | 5-0 | 5-0 | 5-18446744073709551615 |
//! | `5-*` | 5 and the next sequence | an error | an error |
//! | `*` | the server's clock | an error | an error |
//! | `-`, `+` | an error | the smallest, the largest | the smallest, the largest |

use crate::store::shared_map::Key;
use crate::util::number;

/// The ID of an entry. Ordered by time, then by sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Unix time in milliseconds, unless the client chose another number.
    pub ms: u64,
    /// The sequence: the number within the millisecond.
    pub seq: u64,
}

/// The error for a text that is not an ID.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidId;

/// The ID argument of XADD: what the client wants the new entry's ID to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NewId {
    /// `*`: the present time, and the next sequence.
    Auto,
    /// `ms-*`: this time, and the next sequence.
    AutoSeq(u64),
    /// This ID.
    Exact(StreamId),
}

impl StreamId {
    /// The smallest ID, 0-0. No entry has it.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };

    /// The largest ID.
    pub const MAX: StreamId = StreamId {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    /// The ID `ms`-`seq`.
    #[cfg(test)]
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The next larger ID. `None` for [`StreamId::MAX`].
    pub fn next(self) -> Option<StreamId> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The next smaller ID. `None` for [`StreamId::MIN`].
    pub fn previous(self) -> Option<StreamId> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(StreamId { seq, ..self }),
            (None, Some(ms)) => Some(StreamId { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Reads an ID, or `-` for the smallest one, or `+` for the largest. If the text has no sequence, the sequence is
    /// `missing_seq`.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] if the text is none of these.
    pub fn parse(text: &[u8], missing_seq: u64) -> Result<StreamId, InvalidId> {
        match text {
            b"-" => Ok(StreamId::MIN),
            b"+" => Ok(StreamId::MAX),
            _ => StreamId::parse_strict(text, missing_seq),
        }
    }

    /// Reads an ID. If the text has no sequence, the sequence is `missing_seq`.
    ///
    /// # Errors
    ///
    /// [`InvalidId`] if the text is not an ID; `-` and `+` are not.
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
    ///
    /// # Errors
    ///
    /// [`InvalidId`] if the text is not a [`NewId`].
    pub fn parse_new(text: &[u8]) -> Result<NewId, InvalidId> {
        if text == b"*" {
            return Ok(NewId::Auto);
        }
        match split(text)? {
            (ms, Some(b"*")) => Ok(NewId::AutoSeq(ms)),
            _ => StreamId::parse_strict(text, 0).map(NewId::Exact),
        }
    }

    /// The ID as bytes in big-endian order. Comparing such bytes compares the IDs.
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

    /// Assumes that IDs are spread evenly in time, or in sequence if all of them have the same time.
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

/// The time of an ID, and the text after the dash, if there is a dash.
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
