//! Reads the system's clock, and prints a time as Redis's log does.
//!
//! All times in the store are Unix times in milliseconds. The log prints UTC, and not local time as Redis does, because
//! the standard library knows no time zones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since the Unix epoch. Zero if the machine's clock shows an earlier time.
pub fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The Unix time in milliseconds.
pub fn now_ms() -> i64 {
    since_epoch().as_millis() as i64
}

/// Prints a time, given as the time since the Unix epoch, in the form of Redis's log: `23 Nov 2026 07:01:47.470`.
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

/// The year, month (from 1) and day of the month, `days` days after 1970-01-01.
///
/// The calculation uses years that begin in March, so that the leap day is the last day of a year. Then the number of
/// days before a month is a linear function of the month: `(153 * m + 2) / 5`, with March as month 0. An era is 400
/// years, after which the calendar repeats.
fn civil(days: u64) -> (u64, u64, u64) {
    let days_since_year_0 = days + 719_468; // since 0000-03-01
    let era = days_since_year_0 / 146_097;
    let day_of_era = days_since_year_0 % 146_097;
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
