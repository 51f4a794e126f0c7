//! A small source of chance, for RANDOMKEY and for names that must differ.
//!
//! Nothing here needs to be secret: where a secret is needed (the seed of every hash), the standard
//! library's `RandomState` provides it. The generator is xorshift64*, seeded from `RandomState`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A generator that many threads may ask at once.
pub struct Random(AtomicU64);

impl Default for Random {
    fn default() -> Random {
        Random(AtomicU64::new(
            RandomState::new().build_hasher().finish() | 1,
        ))
    }
}

impl Random {
    /// The next number. Two threads that ask in the same instant may get the same one; that is no
    /// harm where any number will do.
    pub fn next(&self) -> u64 {
        let mut x = self.0.load(Relaxed);
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0.store(x, Relaxed);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 up to, not including, `bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// Forty hexadecimal digits, the form of a run ID or a replication ID.
    pub fn hex40(&self) -> String {
        let digits = (0..3)
            .map(|_| format!("{:016x}", self.next()))
            .collect::<String>();
        digits[..40].to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn stays_below_the_bound_and_reaches_it() {
        let random = Random::default();
        let mut seen = [false; 5];
        for _ in 0..500 {
            seen[random.below(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
        assert_eq!(random.hex40().len(), 40);
    }
}
