//! The server's log, in the format of Redis's: `pid:role date * text`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use super::config::{Config, LogLevel, LogTo};
use super::lock::{Lock, Rank, lock, may_wait};
use crate::util::clock;

/// Where log lines go, and which of them.
pub struct Log {
    /// When an HTTP request was last warned of: Unix time in seconds.
    http_warning: AtomicU64,
    level: AtomicU8,
    sink: Sink,
}

enum Sink {
    Nowhere,
    Stdout,
    File(Lock<File>),
}

impl Log {
    /// Opens the log that the settings name. Fails if its file cannot be written.
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

    pub fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Relaxed);
    }

    /// Writes a line if its level is high enough. It may wait for a disk or a pipe, so the caller does not hold the store's
    /// lock. A line that cannot be written is lost.
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

    /// Warns of an HTTP request, at most once per minute, so that an attacker cannot fill the disk.
    pub fn warn_of_http(&self, text: &str) {
        let now = clock::since_epoch().as_secs();
        let last = self.http_warning.swap(now, Relaxed);
        if now.saturating_sub(last) >= 60 {
            self.warning(text);
        } else {
            self.http_warning.store(last, Relaxed);
        }
    }

    pub fn verbose(&self, text: &str) {
        self.write(LogLevel::Verbose, text);
    }

    pub fn notice(&self, text: &str) {
        self.write(LogLevel::Notice, text);
    }

    pub fn warning(&self, text: &str) {
        self.write(LogLevel::Warning, text);
    }
}
