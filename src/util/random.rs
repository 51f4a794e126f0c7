//! Random numbers, fast ones and secret ones.
//!
//! * [`Random::next`] is fast but not secret. RANDOMKEY, for example, uses it. The generator is xorshift64*, seeded from
//!   the standard library's `RandomState`.
//! * [`Random::hex40`] makes names that nobody can guess, from bytes of the kernel (`/dev/urandom`). A peer that could
//!   guess a replication ID could ask for a partial resync. A client that could guess the mark at the end of a diskless
//!   copy could store it in a value, and a replica might take this value for the end.
//!
//! Invariant: the numbers of [`Random::next`] reveal nothing about the names of [`Random::hex40`].

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A generator that many threads may use at the same time. It holds the state of xorshift64*, which is never 0.
pub struct Random(AtomicU64);

impl Default for Random {
    fn default() -> Random {
        Random(AtomicU64::new(
            RandomState::new().build_hasher().finish() | 1,
        ))
    }
}

impl Random {
    /// The next number, which is not secret. Two threads that call at the same time may get the same number.
    pub fn next(&self) -> u64 {
        let mut x = self.0.load(Relaxed);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.store(x, Relaxed);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `bound` - 1, which is not secret; 0 if `bound` is 0.
    pub fn below(&self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Forty random hexadecimal digits that cannot be guessed: a run ID, a replication ID, the mark of a diskless copy.
    pub fn hex40(&self) -> String {
        let bytes = kernel_bytes().unwrap_or_else(|_| self.hashed_bytes());
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The substitute if `/dev/urandom` cannot be read (no such file, no free descriptor). The standard library's hashers
    /// have keys that come from the kernel, too, once per thread.
    fn hashed_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        for eight in bytes.chunks_mut(8) {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(self.next());
            eight.copy_from_slice(&hasher.finish().to_ne_bytes()[..eight.len()]);
        }
        bytes
    }
}

/// Twenty bytes from the kernel's generator.
fn kernel_bytes() -> io::Result<[u8; 20]> {
    let mut bytes = [0; 20];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_reaches_every_number_below_the_bound() {
        let random = Random::default();
        let mut seen = [false; 5];
        for _ in 0..500 {
            seen[random.below(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn names_do_not_follow_from_the_state_of_the_generator() {
        let names = || {
            let random = Random(AtomicU64::new(1));
            let hashed = random.hashed_bytes();
            (random.hex40(), hashed)
        };
        let (a, b) = (names(), names());
        assert!(a.0 != b.0 && a.1 != b.1);
        assert_eq!(a.0.len(), 40);
        assert!(a.0.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
        assert!(kernel_bytes().is_ok());
    }
}
