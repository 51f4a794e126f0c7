//! LZF, the fast compression that Redis uses for long strings in RDB files.
//!
//! The compressed form is a list of pieces. A control byte begins each piece:
//!
//! | control byte | piece |
//! |---|---|
//! | `000LLLLL` | a literal: the next L + 1 bytes |
//! | `LLLooooo` o | a match: L + 2 bytes, copied from o + 1 bytes before (o has 13 bits) |
//! | `111ooooo` L o | a longer match: L + 9 bytes |
//!
//! For example, `aaaaaaaaaa` (10 bytes) is `00 61 E0 00 00`: the literal `a`, and a match of 9 bytes from one byte before.
//!
//! # Invariants
//!
//! * [`decompress`] restores the bytes that [`compress`] was given.
//! * [`decompress`] is safe for any input, because a file or a peer may send anything: it does not panic, and the memory
//!   that it allocates is at most 1 KB, or twice what it has restored.

/// The maximum length of a literal in bytes.
const MAX_LITERAL: usize = 32;
/// The maximum length of a match in bytes.
const MAX_MATCH: usize = 264;
/// The maximum distance in bytes from a match back to the bytes that it copies.
const MAX_DISTANCE: usize = 1 << 13;
/// The first allocation for the output, in bytes.
const FIRST_ROOM: usize = 1024;

/// Restores `len` bytes. `None` if `input` is not the compressed form of exactly `len` bytes.
///
/// `len` comes from the file, too, and may be false. So memory grows with the output, and the capacity never exceeds
/// `len`.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = input.iter();
    while let Some(&control) = rest.next() {
        let control = usize::from(control);
        if control < MAX_LITERAL {
            let bytes = rest.as_slice().get(..=control)?;
            make_room(&mut out, bytes.len(), len)?;
            out.extend_from_slice(bytes);
            rest = rest.as_slice()[control + 1..].iter();
        } else {
            let mut n = control >> 5;
            if n == 7 {
                n += usize::from(*rest.next()?);
            }
            let distance = ((control & 31) << 8 | usize::from(*rest.next()?)) + 1;
            let from = out.len().checked_sub(distance)?;
            make_room(&mut out, n + 2, len)?;
            // The source may overlap with the copy.
            for i in from..from + n + 2 {
                out.push(out[i]);
            }
        }
    }
    (out.len() == len).then_some(out)
}

/// Makes room for `more` bytes: doubles the capacity, up to `len`. `None` if the output would be longer than `len`, or
/// the memory cannot be allocated.
fn make_room(out: &mut Vec<u8>, more: usize, len: usize) -> Option<()> {
    let left = len - out.len();
    if more > left {
        return None;
    }
    if more > out.capacity() - out.len() {
        let room = more.max(out.len()).max(FIRST_ROOM).min(left);
        out.try_reserve_exact(room).ok()?;
    }
    Some(())
}

/// Compresses `input`. `None` if the result would not be shorter.
///
/// A table holds the last position of each hash of three bytes. If the same three bytes come again within
/// [`MAX_DISTANCE`], they and the equal bytes after them become a match. All other bytes become literals.
pub fn compress(input: &[u8]) -> Option<Vec<u8>> {
    const SLOTS: usize = 1 << 12;
    // The last position plus one; 0 means none.
    let mut seen = [0u32; SLOTS];
    let slot = |at: usize| {
        let three = u32::from_le_bytes([input[at], input[at + 1], input[at + 2], 0]);
        (three.wrapping_mul(0x9E37_79B1) >> 20) as usize
    };
    let mut out = Vec::with_capacity(input.len());
    let (mut at, mut literal) = (0, 0);
    while at + 2 < input.len() {
        let earlier = std::mem::replace(&mut seen[slot(at)], at as u32 + 1) as usize;
        let same = |from: usize| {
            let most = MAX_MATCH.min(input.len() - at);
            (0..most)
                .take_while(|i| input[from + i] == input[at + i])
                .count()
        };
        let distance = at + 1 - earlier;
        let n = if earlier > 0 && distance <= MAX_DISTANCE {
            same(earlier - 1)
        } else {
            0
        };
        if n < 3 {
            at += 1;
            continue;
        }
        push_literal(&mut out, &input[literal..at]);
        let (offset, n) = (distance - 1, n - 2);
        if n < 7 {
            out.push((n << 5 | offset >> 8) as u8);
        } else {
            out.push((7 << 5 | offset >> 8) as u8);
            out.push((n - 7) as u8);
        }
        out.push(offset as u8);
        at += n + 2;
        literal = at;
        if out.len() >= input.len() {
            return None;
        }
    }
    push_literal(&mut out, &input[literal..]);
    (out.len() < input.len()).then_some(out)
}

/// Appends `bytes` as literals of up to 32 bytes.
fn push_literal(out: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(MAX_LITERAL) {
        out.push(piece.len() as u8 - 1);
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back() {
        let mut x = 1u64;
        for len in (0..400).chain([1000, 9000, 70_000]) {
            let text: Vec<u8> = (0..len)
                .map(|_| {
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    b"aaabc"[(x >> 33) as usize % 5]
                })
                .collect();
            if let Some(short) = compress(&text) {
                assert!(short.len() < len);
                assert_eq!(decompress(&short, len), Some(text));
            }
        }
        let same = vec![b'a'; 100_000];
        let short = compress(&same).unwrap();
        assert!(short.len() < 2000);
        assert_eq!(decompress(&short, same.len()), Some(same));
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        // 1 MB that yields 8000 bytes, and then is wrong, claims 264 MB.
        let mut liar = vec![0, b'a'];
        liar.extend([0xE0, 0xFF, 0].repeat(30));
        let honest = decompress(&liar, 1 + 30 * MAX_MATCH).unwrap();
        assert_eq!(honest.capacity(), honest.len());
        let mut room = Vec::new();
        for n in 0..honest.len() {
            make_room(&mut room, 1, usize::MAX).unwrap();
            room.push(0);
            assert!(room.capacity() <= (2 * (n + 1)).max(FIRST_ROOM));
        }
        liar.resize(1 << 20, 0xFF);
        assert_eq!(decompress(&liar, 264 << 20), None);
        assert_eq!(make_room(&mut vec![0; 5], 6, 10), None);
    }

    #[test]
    fn invalid_input_is_rejected() {
        let short = compress(&[b'a'; 100]).unwrap();
        assert_eq!(decompress(&short, 99), None);
        assert_eq!(decompress(&short, 101), None);
        assert_eq!(decompress(&short, usize::MAX), None);
        assert_eq!(decompress(&short[..short.len() - 1], 100), None);
        assert_eq!(decompress(&[0xE0, 0xFF, 0xFF], 300), None);
        assert_eq!(decompress(&[5, b'a'], 6), None);
    }
}
