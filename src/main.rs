//! The program: reads the settings from the command line, starts a server, and stops it at a signal.
//!
//! The arguments are those of redis-server. A first argument that does not begin with `-` is the configuration file. The
//! others are settings; `-` as the first or the last argument stands for standard input. This file turns the settings into
//! lines in the syntax of the configuration file, which are applied after that file:
//!
//! ```text
//!   --port 7000 --bind 127.0.0.1 ::1       port "7000"
//!                                          bind "127.0.0.1" "::1"
//!   "--replicaof 127.0.0.1 6379"           replicaof 127.0.0.1 6379
//!   --requirepass --my--pass --hz 20       requirepass "--my--pass"
//!                                          hz "20"
//!   --save --port 7000                     save ""
//!                                          port "7000"
//! ```
//!
//! An argument that begins with `--` is the name of a setting, except directly after a name: then it is that setting's
//! value. `--save` may stand without a value, so another name may follow it directly. Errors go to standard error, and the
//! exit code is then 1.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use redis_clone::process as sys;
use redis_clone::{Config, LogTo};
use redis_clone::{Server, VERSION};

/// Counts the allocated memory, which INFO shows.
#[global_allocator]
static ALLOCATOR: sys::Counting = sys::Counting;

/// The answer to `--help`.
const HELP: &str = "\
Usage: redis-clone [/path/to/redis.conf] [--setting value ...] [-]

  -v, --version    print the version and exit
  -h, --help       print this text and exit
  -                read settings from standard input, if it is the first or the last argument

Every setting of the configuration file can be given as an option:
  redis-clone --port 7000 --bind 127.0.0.1 ::1 --requirepass secret
  redis-clone /etc/redis.conf --loglevel verbose
CONFIG GET * lists the settings of a running server.
";

fn main() -> ExitCode {
    let args: Vec<Vec<u8>> = std::env::args_os()
        .skip(1)
        .map(OsString::into_vec)
        .collect();
    if let Some(code) = answer(args.first().map_or(b"", Vec::as_slice)) {
        return code;
    }
    let server = configure(&args).and_then(|config| {
        // Before the first client can connect, because from then on a signal must not just kill the process.
        sys::watch_signals();
        Server::start(config).map_err(|e| e.to_string())
    });
    let server = match server {
        Ok(server) => server,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let mut interrupted = false;
    while !server.wait(Duration::from_millis(50)) {
        let Some(signal) = sys::take_signal() else {
            continue;
        };
        let is_interrupt = signal == sys::Signal::Interrupt;
        if interrupted && is_interrupt && server.is_shutting_down() {
            // The second Ctrl-C: stop without waiting for the replicas.
            server.log("You insist... exiting now.");
            return ExitCode::FAILURE;
        }
        interrupted = is_interrupt;
        server.log(match signal {
            sys::Signal::Interrupt => "Received SIGINT scheduling shutdown...",
            sys::Signal::Terminate => "Received SIGTERM scheduling shutdown...",
        });
        server.shut_down();
    }
    server.stop();
    ExitCode::SUCCESS
}

/// Answers a first argument that starts no server, such as `--help`, and returns the exit code. `None` for any other argument.
fn answer(first: &[u8]) -> Option<ExitCode> {
    match first {
        b"-v" | b"--version" => println!(
            "Redis server v={VERSION} (redis-clone {})",
            env!("CARGO_PKG_VERSION")
        ),
        b"-h" | b"--help" => print!("{HELP}"),
        b"--test-memory" | b"--check-system" => {
            let option = String::from_utf8_lossy(first);
            eprintln!("{option} is not supported: redis-clone only runs a server");
            return Some(ExitCode::FAILURE);
        }
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// Reads the settings that the command line asks for, and changes into the working directory (`dir`).
///
/// # Errors
///
/// A text to print: a setting or a file is wrong, or the directory does not exist.
fn configure(args: &[Vec<u8>]) -> Result<Config, String> {
    let mut config = Config {
        log_to: LogTo::Configured,
        ..Config::default()
    };
    let file = args.first().filter(|first| !first.starts_with(b"-"));
    let file = file.map(|path| PathBuf::from(OsString::from_vec(path.clone())));
    let (from_stdin, options) = parse_options(args, usize::from(file.is_some()));
    if options.split(|&b| b == b'\n').any(is_sentinel) {
        return Err("--sentinel is not supported: redis-clone only runs a server".into());
    }
    let mut more = vec![];
    if from_stdin {
        io::stdin()
            .read_to_end(&mut more)
            .map_err(|e| format!("standard input: {e}"))?;
    }
    if !options.is_empty() {
        more.push(b'\n');
        more.extend(options);
    }
    config
        .load(file.as_deref(), &more)
        .map_err(|e| e.to_string())?;
    let dir = &config.dir;
    std::env::set_current_dir(dir)
        .map_err(|e| format!("Can't chdir to '{}': {e}", dir.display()))?;
    Ok(config)
}

/// The argument without the space around it, if it is one word: a name with its dashes and no value.
fn lone_name(arg: &[u8]) -> Option<&[u8]> {
    let mut words = arg.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    let name = words.next();
    name.filter(|_| words.next().is_none())
}

/// Turns the arguments from `first` on into lines of a configuration file. Returns whether standard input is to be read, and
/// the lines.
fn parse_options(args: &[Vec<u8>], first: usize) -> (bool, Vec<u8>) {
    let mut from_stdin = false;
    let mut text: Vec<u8> = vec![];
    // The last name has its value, so an argument with dashes is the next name.
    let mut complete = true;
    for (at, arg) in args.iter().enumerate().skip(first) {
        let last = at + 1 == args.len();
        if arg == b"-" && (at == 0 || last) {
            from_stdin = true;
        } else if let Some(name) = arg.strip_prefix(b"--").filter(|_| complete) {
            if !text.is_empty() {
                text.push(b'\n');
            }
            text.extend_from_slice(name);
            text.push(b' ');
            // `--save` and `--sentinel` may stand without a value.
            let next_is_name = last || args[at + 1].starts_with(b"--");
            let bare = |name: &[u8]| arg.eq_ignore_ascii_case(name) && next_is_name;
            if bare(b"--save") {
                text.extend_from_slice(b"\"\"");
            }
            complete = lone_name(arg).is_none() || bare(b"--save") || bare(b"--sentinel");
        } else {
            text.extend(quote(arg));
            text.push(b' ');
            complete = true;
        }
    }
    (from_stdin, text)
}

/// Whether a line of a configuration file is the setting `sentinel`.
fn is_sentinel(line: &[u8]) -> bool {
    let name = line.split(u8::is_ascii_whitespace).next();
    name.is_some_and(|name| name.eq_ignore_ascii_case(b"sentinel"))
}

/// The argument in quotes, so that it becomes one word of a line.
fn quote(arg: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in arg {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(args: &[&str]) -> (bool, String) {
        let args: Vec<Vec<u8>> = args.iter().map(|a| a.as_bytes().to_vec()).collect();
        let (from_stdin, text) = parse_options(&args, 0);
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.split('\n').map(str::trim).collect();
        (from_stdin, lines.join("|"))
    }

    #[test]
    fn arguments_become_lines() {
        for (args, expected) in [
            (&["--port", "7", "--hz", "20"][..], "port \"7\"|hz \"20\""),
            (&["--hz 20", "--port", "7"], "hz 20|port \"7\""),
            (
                &["--requirepass", "--my--pass", "--hz", "3"],
                "requirepass \"--my--pass\"|hz \"3\"",
            ),
            (&["--hz", "--port", "7"], "hz \"--port\" \"7\""),
            (&["--save", "--port", "7"], "save \"\"|port \"7\""),
            (&["--port", "7", "--SAVE"], "port \"7\"|SAVE \"\""),
            (&["--save", "900", "1"], "save \"900\" \"1\""),
            (&["--port", "7", "--"], "port \"7\"|"),
            (&["--", "--port", "7"], "\"--port\" \"7\""),
            (
                &["--requirepass", "a\"\\\n\u{e9}"],
                "requirepass \"a\\\"\\\\\\n\\xc3\\xa9\"",
            ),
        ] {
            assert_eq!(lines(args), (false, expected.to_string()), "{args:?}");
        }
    }

    #[test]
    fn standard_input_is_the_first_or_the_last_argument() {
        assert_eq!(lines(&["-", "--hz", "3"]), (true, "hz \"3\"".into()));
        assert_eq!(lines(&["--hz", "3", "-"]), (true, "hz \"3\"".into()));
        assert_eq!(
            lines(&["--hz", "-", "--port", "3"]),
            (false, "hz \"-\"|port \"3\"".into())
        );
    }
}
