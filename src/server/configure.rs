//! Reading settings: configuration files, and lines in their syntax.
//!
//! `main.rs` turns the command line into such lines too (`--port 7000` into `port "7000"`), and they are appended to the text
//! of the file. So there is one reader for all sources, and for most settings a later line replaces an earlier one:
//!
//! ```text
//!   redis-clone a.conf --hz 20 -      reads a.conf, then standard input, then `hz "20"`
//! ```
//!
//! A line is a name and its words, with the quotes of [`crate::util::words`]. Most names are those of the table of settings.
//! Two more are handled here: `include` reads another file at this place, and `rename-command` adds to
//! `Config::renamed_commands`. The new names are checked against the table of commands. So this file uses both tables, and
//! cannot be part of either.
//!
//! Errors have Redis's texts and print as Redis prints them; see [`ConfigError`].

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::VERSION;
use crate::commands::table;
use crate::state::config::Config;
use crate::state::settings::kind::system_text;
use crate::state::settings::table::find;
use crate::util::{glob, words};

/// How deep `include` may be nested.
const MAX_DEPTH: usize = 16;

/// The error of a configuration. It prints as in Redis: as one line, or as a block that names the place.
#[derive(Debug, PartialEq)]
pub enum ConfigError {
    /// A line cannot be applied.
    Line {
        /// The number of the line in its file, from 1. Lines from the command line are counted on from the file's last.
        number: usize,
        /// The line.
        text: String,
        /// The reason.
        why: String,
    },
    /// The settings cannot be used, although each line is correct.
    Settings {
        /// The reason.
        why: String,
    },
    /// A file cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!("*** FATAL CONFIG FILE ERROR (Redis {VERSION}) ***");
        match self {
            ConfigError::Line { number, text, why } => write!(
                f,
                "\n{title}\nReading the configuration file, at line {number}\n>>> '{text}'\n{why}"
            ),
            ConfigError::Settings { why } => write!(f, "\n{title}\n{why}"),
            ConfigError::File { path, why } => {
                let path = path.display();
                write!(f, "Fatal error, can't open config file '{path}': {why}")
            }
        }
    }
}

impl Config {
    /// Applies one line of a configuration file: a name and its words.
    ///
    /// # Errors
    ///
    /// Redis's text, if the name is unknown or the setting does not take the values.
    pub fn apply_line(&mut self, words: &[impl AsRef<[u8]>]) -> Result<(), String> {
        let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
        let Some((name, values)) = words.split_first() else {
            return Ok(());
        };
        if let Some((setting, _)) = find(name) {
            return setting.set_words(self, values);
        }
        match values {
            [old, new] if name.eq_ignore_ascii_case(b"rename-command") => self.rename(old, new),
            _ => Err("Bad directive or wrong number of arguments".into()),
        }
    }

    /// Applies a text in the syntax of a configuration file.
    ///
    /// # Errors
    ///
    /// Fails at the first line that cannot be applied, or if an included file cannot be read. The lines before it are applied.
    pub fn apply_text(&mut self, text: &[u8]) -> Result<(), ConfigError> {
        self.apply_included(text, 0)
    }

    /// Applies a configuration file, if `file` names one, and then the text `more` in the same syntax. Remembers the file for
    /// CONFIG REWRITE.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, at the first line that cannot be applied, or if the log file cannot be written.
    pub fn load(&mut self, file: Option<&Path>, more: &[u8]) -> Result<(), ConfigError> {
        let mut text = vec![];
        if let Some(file) = file {
            let path = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
            for path in self.files_matching(&path) {
                text.extend(read(&path)?);
            }
            self.file = Some(path);
        }
        text.extend_from_slice(more);
        self.apply_text(&text)?;
        self.check_log_file().map_err(|e| {
            let why = format!("Can't open the log file: {}", system_text(&e));
            ConfigError::Settings { why }
        })
    }

    /// Applies a text that stands inside of `depth` includes.
    fn apply_included(&mut self, text: &[u8], depth: usize) -> Result<(), ConfigError> {
        for (i, line) in text.split(|&b| b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.starts_with(b"#") {
                continue;
            }
            let fail = |why: String| ConfigError::Line {
                number: i + 1,
                text: String::from_utf8_lossy(line).into_owned(),
                why,
            };
            let words = words::split(line)
                .ok_or_else(|| fail("Unbalanced quotes in configuration line".into()))?;
            match words.as_slice() {
                [name, path] if name.eq_ignore_ascii_case(b"include") => {
                    if depth >= MAX_DEPTH {
                        return Err(fail("includes go too deep".into()));
                    }
                    self.include(Path::new(OsStr::from_bytes(path)), depth + 1)?;
                }
                words => self.apply_line(words).map_err(fail)?,
            }
        }
        Ok(())
    }

    /// Applies the file with this path, or the files that match it if it is a pattern.
    fn include(&mut self, pattern: &Path, depth: usize) -> Result<(), ConfigError> {
        for path in self.files_matching(pattern) {
            let text = read(&path)?;
            self.apply_included(&text, depth)?;
        }
        Ok(())
    }

    /// Adds a rename of a command, if the table of commands has the old name and not the new one.
    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), String> {
        let text = |name| String::from_utf8_lossy(name).into_owned();
        self.renamed_commands.push((text(old), text(new)));
        let checked = table::renamed(&self.renamed_commands).map(drop);
        if checked.is_err() {
            self.renamed_commands.pop();
        }
        checked
    }

    /// The files that a path names: one, or all that match if its last part is a pattern. A relative path starts from `dir`, as
    /// the lines so far have set it.
    fn files_matching(&self, pattern: &Path) -> Vec<PathBuf> {
        let parts = pattern.parent().zip(pattern.file_name());
        let parts = parts.filter(|(_, name)| name.as_bytes().iter().any(|b| b"*?[".contains(b)));
        let place = |path: &Path| match path.as_os_str().is_empty() {
            true => PathBuf::new(), // stays empty, so that reading it fails
            false => self.dir.join(path),
        };
        let Some((dir, name)) = parts else {
            return vec![place(pattern)];
        };
        let fits = |other: &OsStr| glob::matches(name.as_bytes(), other.as_bytes(), false);
        let entries = fs::read_dir(self.dir.join(dir)).into_iter().flatten();
        let files = entries.flatten().filter(|e| fits(&e.file_name()));
        let mut files: Vec<PathBuf> = files.map(|e| e.path()).collect();
        files.sort();
        files
    }

    /// Opens the log file, if there is one, as the server will, and closes it again.
    fn check_log_file(&self) -> io::Result<()> {
        if self.logfile.as_os_str().is_empty() {
            return Ok(());
        }
        let path = self.dir.join(&self.logfile);
        let opened = OpenOptions::new().create(true).append(true).open(path);
        opened.map(drop)
    }
}

/// The contents of a file.
fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|e| ConfigError::File {
        path: path.to_path_buf(),
        why: system_text(&e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_applied_line_by_line() {
        let mut config = Config::default();
        let text = b"# comment\n\n PORT 7000 \r\nbind 127.0.0.1 ::1\nrequirepass \"a b\"\nmasterauth \"\\xff\"\n\
            stream-node-max-bytes 8kb\nreplicaof \"h 1\"\nrename-command GET \"\"\nrename-command set SETTLE\n";
        config.apply_text(text).unwrap();
        assert_eq!((config.port, config.bind.len()), (7000, 2));
        assert_eq!(config.requirepass, b"a b");
        assert_eq!(config.masterauth, b"\xff");
        assert_eq!(config.stream_node_max_bytes, 8192);
        assert_eq!(config.replicaof, Some(("h".into(), 1)));
        let renames = [("GET", ""), ("set", "SETTLE")].map(|(o, n)| (o.into(), n.into()));
        assert_eq!(config.renamed_commands, renames);
    }

    #[test]
    fn what_is_wrong_names_the_line() {
        let bad = "Bad directive or wrong number of arguments";
        for (line, why) in [
            ("foo bar", bad),
            ("include", bad),
            ("rename-command GET", bad),
            (
                "rename-command NOSUCH x",
                "No such command in rename-command",
            ),
            (
                "rename-command GET SET",
                "Target command name already exists",
            ),
            ("port", "wrong number of arguments"),
            ("port x", "argument couldn't be parsed into an integer"),
            ("port 1 2", "wrong number of arguments"),
            ("timeout \"5", "Unbalanced quotes in configuration line"),
            ("save 900", "Invalid save parameters"),
            ("replicaof h", "wrong number of arguments"),
            ("replicaof h x", "Invalid master port"),
            ("dir /no/such", "No such file or directory"),
            (
                "dbfilename a/b",
                "dbfilename can't be a path, just a filename",
            ),
        ] {
            let mut config = Config::default();
            let failed = config.apply_text(format!("hz 20\n{line}\n").as_bytes());
            let (number, text, why) = (2, line.into(), why.into());
            assert_eq!(failed, Err(ConfigError::Line { number, text, why }));
            assert_eq!((config.hz, config.renamed_commands.len()), (20, 0));
        }
    }

    #[test]
    fn errors_print_as_those_of_redis() {
        let failed = Config::default()
            .apply_text(b"\nport \"abc\"\n")
            .unwrap_err();
        assert_eq!(
            failed.to_string(),
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line 2\n\
             >>> 'port \"abc\"'\nargument couldn't be parsed into an integer"
        );
    }
}
