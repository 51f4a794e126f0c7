//! Figures of this process, read from `/proc`. Without `/proc` they are 0.

use std::fs;

/// Figures of this process at one moment.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// Resident memory in bytes: neither swapped out nor only reserved.
    pub resident_bytes: u64,
    /// Bytes of memory that the machine has.
    pub total_memory: u64,
    /// Seconds of processor time spent in the program, and in the system on its behalf.
    pub cpu_seconds: (f64, f64),
}

impl Figures {
    /// Reads them. Costs three reads of files under `/proc`.
    pub fn read() -> Figures {
        Figures {
            resident_bytes: resident_bytes(),
            total_memory: total_memory(),
            cpu_seconds: cpu_seconds(),
        }
    }
}

/// Bytes of memory that are really there, not swapped out and not only promised.
pub fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    pages * 4096
}

/// Bytes of memory that the machine has.
fn total_memory() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo
        .lines()
        .find(|l| l.starts_with("MemTotal:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// Seconds of processor time spent in the program and in the system on its behalf.
fn cpu_seconds() -> (f64, f64) {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name comes second and may contain anything; count from its closing bracket.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name
        .split_whitespace()
        .skip(11)
        .map(|n| n.parse().unwrap_or(0.0));
    let mut next = || fields.next().unwrap_or(0.0) / TICKS_PER_SECOND;
    (next(), next())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_figures_are_plausible() {
        let figures = super::Figures::read();
        assert!(figures.resident_bytes > 100_000);
        assert!(figures.total_memory > figures.resident_bytes);
        let (user, system) = figures.cpu_seconds;
        assert!(user >= 0.0 && system >= 0.0 && user + system < 1e6);
    }
}
