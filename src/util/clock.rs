//! What time it is, and how the log prints it.
//!
//! All times in the store are Unix times in milliseconds. Redis's log prints local time; the standard
//! library knows no time zones, so ours prints UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since the Unix epoch; zero should the machine's clock stand before it.
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The Unix time in milliseconds.
pub fn now_ms() -> i64 {
    since_epoch().as_millis() as i64
}

/// The form of Redis's log: `23 Nov 2026 07:01:47.470`.
pub fn log_stamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    format!(
        "{day:02} {} {year} {:02}:{:02}:{:02}.{:03}",
        months[month as usize - 1],
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since_epoch.subsec_millis()
    )
}

/// Year, month and day of a day counted from 1970-01-01. The year is taken to begin in March, so that
/// the leap day is its last and the months' lengths follow one line.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468; // days since 0000-03-01
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let m = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let stamp = |s| log_stamp(Duration::from_secs(s));
        assert_eq!(stamp(0), "01 Jan 1970 00:00:00.000");
        assert_eq!(stamp(951_782_400), "29 Feb 2000 00:00:00.000");
        assert_eq!(stamp(1_795_417_307), "23 Nov 2026 07:01:47.000");
    }
}
