//! The server's log, in the format of Redis's: `pid:role date * text`.
//!
//! The role is always `M`, on a replica too; Redis writes `S` there. The mark after the date is the level: `.` debug,
//! `-` verbose, `*` notice, `#` warning.
//!
//! # Invariants
//!
//! * A line is written without the store's lock, because the file or the pipe may block.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use super::config::{Config, LogLevel, LogTo};
use super::lock::{Lock, Rank, lock, may_wait};
use crate::util::clock;

/// The server's log.
pub struct Log {
    /// When the last warning about an HTTP request was written: Unix time in seconds.
    http_warning: AtomicU64,
    /// Lines below this [`LogLevel`] are not written.
    level: AtomicU8,
    sink: Sink,
}

/// Where the lines go.
enum Sink {
    Nowhere,
    Stdout,
    File(Lock<File>),
}

impl Log {
    /// Opens the log that the settings name.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened for writing.
    pub fn open(config: &Config) -> std::io::Result<Log> {
        let sink = match config.log_to {
            LogTo::Nowhere => Sink::Nowhere,
            LogTo::Configured if config.logfile.as_os_str().is_empty() => Sink::Stdout,
            LogTo::Configured => Sink::File(Lock::new(
                Rank::LogFile,
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&config.logfile)?,
            )),
        };
        Ok(Log {
            http_warning: AtomicU64::new(0),
            level: AtomicU8::new(config.loglevel as u8),
            sink,
        })
    }

    /// Changes the level below which lines are not written.
    pub fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Relaxed);
    }

    /// Writes a line if its level is high enough. This may wait for a disk or a pipe, so the caller does not hold the
    /// store's lock. A line that cannot be written is lost.
    pub fn write(&self, level: LogLevel, text: &str) {
        if (level as u8) < self.level.load(Relaxed) {
            return;
        }
        may_wait("wrote to the log");
        let mark = ['.', '-', '*', '#'][level as usize];
        let stamp = clock::log_stamp(clock::since_epoch());
        let line = format!("{}:M {stamp} {mark} {text}\n", std::process::id());
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Stdout => drop(std::io::stdout().write_all(line.as_bytes())),
            Sink::File(file) => drop(lock(file).write_all(line.as_bytes())),
        }
    }

    /// Writes a warning about an HTTP request, at most once per minute, so that an attacker cannot fill the disk.
    pub fn warn_of_http(&self, text: &str) {
        let now = clock::since_epoch().as_secs();
        let last = self.http_warning.swap(now, Relaxed);
        if now.saturating_sub(last) >= 60 {
            self.warning(text);
        } else {
            self.http_warning.store(last, Relaxed);
        }
    }

    /// Writes a line of level verbose.
    pub fn verbose(&self, text: &str) {
        self.write(LogLevel::Verbose, text);
    }

    /// Writes a line of level notice.
    pub fn notice(&self, text: &str) {
        self.write(LogLevel::Notice, text);
    }

    /// Writes a line of level warning.
    pub fn warning(&self, text: &str) {
        self.write(LogLevel::Warning, text);
    }
}
