//! The checksum of RDB files: CRC-64 with the polynomial of Jones, reflected, beginning with zero.

const POLYNOMIAL: u64 = 0x95AC_9329_AC4B_C9B5;

/// For each byte the checksum of it, and of it followed by one to seven zero bytes: so eight bytes are taken at a time.
static TABLES: [[u64; 256]; 8] = tables();

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

/// The checksum of what had the checksum `crc` so far, followed by `bytes`. The checksum of nothing is 0.
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
    fn the_value_everyone_checks() {
        assert_eq!(update(0, b"123456789"), 0xE9C6_D914_C4B8_D9CA);
        let text = b"This is a test of the emergency broadcast system.";
        let whole = update(0, text);
        for cut in 0..text.len() {
            assert_eq!(update(update(0, &text[..cut]), &text[cut..]), whole);
        }
    }
}
