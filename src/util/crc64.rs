//! CRC-64, the checksum at the end of an RDB file.
//!
//! Redis uses the Jones polynomial in reflected form (the lowest bit comes first), and the initial value 0. The usual
//! implementation looks up one byte at a time in a table of 256 checksums. This one has eight tables and takes eight
//! bytes at a time, because the eight look-ups do not depend on each other.
//!
//! Invariant: `update(update(0, a), b)` equals `update(0, ab)`, so a file can be checked piece by piece.

/// The Jones polynomial, reflected.
const POLYNOMIAL: u64 = 0x95AC_9329_AC4B_C9B5;

/// `TABLES[zeros][byte]` is the checksum of `byte` followed by `zeros` zero bytes.
static TABLES: [[u64; 256]; 8] = tables();

/// Computes [`TABLES`] at compile time.
const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let (mut crc, mut bit) = (i as u64, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][i] = crc;
        i += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut i = 0;
        while i < 256 {
            let shorter = tables[zeros - 1][i];
            tables[zeros][i] = tables[0][(shorter & 255) as usize] ^ (shorter >> 8);
            i += 1;
        }
        zeros += 1;
    }
    tables
}

/// Continues a checksum: `crc` is the checksum of the bytes so far (0 if there are none), and `bytes` come next.
pub fn update(mut crc: u64, bytes: &[u8]) -> u64 {
    let mut eights = bytes.chunks_exact(8);
    for eight in &mut eights {
        for (i, byte) in eight.iter().enumerate() {
            crc ^= u64::from(*byte) << (8 * i);
        }
        let old = crc.to_le_bytes();
        crc = (0..8).fold(0, |sum, i| sum ^ TABLES[7 - i][usize::from(old[i])]);
    }
    for byte in eights.remainder() {
        crc = TABLES[0][usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_check_value_and_any_cut() {
        assert_eq!(update(0, b"123456789"), 0xE9C6_D914_C4B8_D9CA);
        let text = b"This is a test of the emergency broadcast system.";
        let whole = update(0, text);
        for cut in 0..text.len() {
            assert_eq!(update(update(0, &text[..cut]), &text[cut..]), whole);
        }
    }
}
