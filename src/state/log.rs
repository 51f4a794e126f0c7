//! The server's log, in the format of Redis's: `pid:role date * text`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::config::{Config, LogLevel, LogTo};
use super::lock;
use crate::util::clock;

/// Where log lines go, and which of them.
pub struct Log {
    level: AtomicU8,
    sink: Sink,
}

enum Sink {
    Nowhere,
    Stdout,
    File(Mutex<File>),
}

impl Log {
    /// Opens the log that the settings name. Fails if its file cannot be written.
    pub fn open(config: &Config) -> std::io::Result<Log> {
        let sink = match config.log_to {
            LogTo::Nowhere => Sink::Nowhere,
            LogTo::Configured if config.logfile.as_os_str().is_empty() => Sink::Stdout,
            LogTo::Configured => Sink::File(Mutex::new(
                OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&config.logfile)?,
            )),
        };
        Ok(Log {
            level: AtomicU8::new(config.loglevel as u8),
            sink,
        })
    }

    pub fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Relaxed);
    }

    /// Writes a line if its level is loud enough. A line that cannot be written is lost: there is nobody to tell.
    pub fn write(&self, level: LogLevel, text: &str) {
        if (level as u8) < self.level.load(Relaxed) {
            return;
        }
        let mark = ['.', '-', '*', '#'][level as usize];
        let stamp = clock::log_stamp(clock::since_epoch());
        let line = format!("{}:M {stamp} {mark} {text}\n", std::process::id());
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Stdout => drop(std::io::stdout().write_all(line.as_bytes())),
            Sink::File(file) => drop(lock(file).write_all(line.as_bytes())),
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
