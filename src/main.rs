//! The command line: settings in, a server up, signals heeded.
//!
//! The arguments are those of redis-server: a configuration file first if there is one (`-` is standard input), then
//! settings as `--name value…`. Whatever is wrong with them is said in one line, and the exit code is 1.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use redis_clone::process as sys;
use redis_clone::{Config, LogTo};
use redis_clone::{Server, VERSION};

/// So that INFO can tell how much memory is used.
#[global_allocator]
static ALLOCATOR: sys::Counting = sys::Counting;

const HELP: &str = "\
Usage: redis-clone [/path/to/redis.conf | -] [--setting value ...]

  -v, --version    tell the version and exit
  -h, --help       tell this and exit
  -                read the configuration from standard input

Every setting of the configuration file can be given as an option:
  redis-clone --port 7000 --bind 127.0.0.1 ::1 --requirepass secret
  redis-clone /etc/redis.conf --loglevel verbose
CONFIG GET * lists the settings of a running server.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    match args.first().map(String::as_str) {
        Some("-v" | "--version") => {
            println!(
                "Redis server v={VERSION} (redis-clone {})",
                env!("CARGO_PKG_VERSION")
            );
            return ExitCode::SUCCESS;
        }
        Some("-h" | "--help") => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let server =
        configure(&args).and_then(|config| Server::start(config).map_err(|e| e.to_string()));
    let server = match server {
        Ok(server) => server,
        Err(why) => {
            eprintln!("redis-clone: {why}");
            return ExitCode::FAILURE;
        }
    };
    sys::watch_signals();
    while !server.wait(Duration::from_millis(50)) {
        if sys::signalled() {
            server.log("Received a signal, scheduling shutdown...");
            break;
        }
    }
    server.stop();
    ExitCode::SUCCESS
}

/// The settings that the command line asks for. Fails with a line for a person.
fn configure(args: &[String]) -> Result<Config, String> {
    let mut config = Config {
        log_to: LogTo::Configured,
        ..Config::default()
    };
    let mut options = args;
    if let Some((first, rest)) = args
        .split_first()
        .filter(|(first, _)| !first.starts_with("--"))
    {
        options = rest;
        if first == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| format!("standard input: {e}"))?;
            config.apply_text(&text, "standard input", 0)?;
        } else {
            let text = std::fs::read_to_string(first)
                .map_err(|e| format!("can't open config file '{first}': {e}"))?;
            config.apply_text(&text, first, 0)?;
            config.file = Some(std::path::absolute(first).unwrap_or_else(|_| PathBuf::from(first)));
        }
    }
    apply_options(&mut config, options)?;
    enter(&mut config)?;
    Ok(config)
}

/// Applies `--name value…` groups. A value that begins with `--` would be the next name, unless it is the first of its
/// group.
fn apply_options(config: &mut Config, options: &[String]) -> Result<(), String> {
    let mut at = 0;
    while at < options.len() {
        let name = options[at]
            .strip_prefix("--")
            .ok_or_else(|| format!("unexpected argument '{}'", options[at]))?;
        let mut words = vec![name.to_string()];
        at += 1;
        while at < options.len() && !options[at].starts_with("--") {
            words.push(options[at].clone());
            at += 1;
        }
        config
            .apply_line(&words)
            .map_err(|why| format!("'--{}': {why}", words.join(" ")))?;
    }
    Ok(())
}

/// Makes `dir` the working directory, as it is for redis-server.
fn enter(config: &mut Config) -> Result<(), String> {
    let fail = |e| format!("Can't chdir to '{}': {e}", config.dir.display());
    std::env::set_current_dir(Path::new(&config.dir)).map_err(fail)?;
    config.dir = std::env::current_dir().map_err(fail)?;
    Ok(())
}
