//! Memory and processor time of this process, read from `/proc`. Where there is no `/proc`, they are 0.

use std::fs;

/// Figures of this process at one moment.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// The resident memory in bytes.
    pub resident_bytes: u64,
    /// The memory of the machine in bytes.
    pub total_memory: u64,
    /// The processor time in seconds: in user mode, and in the kernel.
    pub cpu_seconds: (f64, f64),
}

impl Figures {
    /// Reads the figures from three files under `/proc`.
    pub fn read() -> Figures {
        Figures {
            resident_bytes: resident_bytes(),
            total_memory: total_memory(),
            cpu_seconds: cpu_seconds(),
        }
    }
}

/// The resident memory in bytes: what is in RAM, without swapped and merely reserved memory. Assumes pages of 4096 bytes.
pub fn resident_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    pages * 4096
}

/// The memory of the machine in bytes.
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

/// The processor time in seconds: in user mode, and in the kernel.
fn cpu_seconds() -> (f64, f64) {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in brackets and may contain any character. So the fields are counted from
    // the last closing bracket; utime and stime are the 12th and 13th after it.
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
