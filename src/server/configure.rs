//! Reading settings: configuration files, and lines in their syntax.
//!
//! The command line becomes such lines too (`--port 7000` is `port "7000"`), and they are appended to the text of the file.
//! So there is one reader for all sources, and what comes later in the text wins:
//!
//! ```text
//!   redis-clone a.conf --hz 20 -      a.conf, standard input, and `hz "20"`, in this order
//! ```
//!
//! A line is a name and its words, with the quotes of [`crate::util::words`]. Beside the settings of the table there are two
//! directives: `include` reads another file in its place, and `rename-command` adds to `Config::renamed_commands`. The new
//! names are checked against the table of commands, which is why this file lies above both tables.
//!
//! Errors are those of Redis, in the form in which it prints them; see [`ConfigError`].

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

/// How deep files may include each other.
const MAX_DEPTH: usize = 16;

/// What is wrong with a configuration. It prints as Redis prints it: one line, or a block that names the place.
#[derive(Debug, PartialEq)]
pub enum ConfigError {
    /// A line cannot be applied.
    Line {
        /// The number of the line in its file; lines of the command line follow those of the file.
        number: usize,
        /// The line.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The settings cannot be used, although each line is right.
    Settings {
        /// What is wrong with them.
        why: String,
    },
    /// A file cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
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
    /// Fails, with Redis's words, if the name is unknown or the values do not fit.
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
    /// Fails at the first line that cannot be applied; the lines before it are applied.
    pub fn apply_text(&mut self, text: &[u8]) -> Result<(), ConfigError> {
        self.apply_included(text, 0)
    }

    /// Applies a configuration file, if there is one, and then a text in the same syntax, whose lines are counted on from the
    /// file's. The log file must be writable.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, or at the first line that cannot be applied.
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

    /// Applies the file, or the files that a pattern names.
    fn include(&mut self, pattern: &Path, depth: usize) -> Result<(), ConfigError> {
        for path in self.files_matching(pattern) {
            let text = read(&path)?;
            self.apply_included(&text, depth)?;
        }
        Ok(())
    }

    /// Adds a rename, if the table of commands allows it.
    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), String> {
        let text = |name| String::from_utf8_lossy(name).into_owned();
        self.renamed_commands.push((text(old), text(new)));
        let checked = table::renamed(&self.renamed_commands).map(drop);
        if checked.is_err() {
            self.renamed_commands.pop();
        }
        checked
    }

    /// The files that a path names: one, or all that match a pattern in the last part of the path. A relative path starts from
    /// the working directory that the lines before have set.
    fn files_matching(&self, pattern: &Path) -> Vec<PathBuf> {
        let parts = pattern.parent().zip(pattern.file_name());
        let parts = parts.filter(|(_, name)| name.as_bytes().iter().any(|b| b"*?[".contains(b)));
        let place = |path: &Path| match path.as_os_str().is_empty() {
            true => PathBuf::new(), // no file has an empty name
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

    /// Opens the log file as the log will.
    fn check_log_file(&self) -> io::Result<()> {
        if self.logfile.as_os_str().is_empty() {
            return Ok(());
        }
        let path = self.dir.join(&self.logfile);
        let opened = OpenOptions::new().create(true).append(true).open(path);
        opened.map(drop)
    }
}

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
