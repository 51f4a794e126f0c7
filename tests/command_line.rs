//! The program as a person starts it: options, configuration files, signals and errors.

mod common;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::prelude::*;
use common::{Client, Reply, free_port, show, wait_for};

/// This program with these arguments.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("redis-clone"));
    command.args(args);
    command
}

/// A server in a process of its own. Dropping this value ends the process.
struct Running {
    process: Child,
    address: SocketAddr,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let port = free_port();
        let mut command = program(args);
        command.args(["--port", &port.to_string()]);
        Running::spawn(command, port)
    }

    fn spawn(mut command: Command, port: u16) -> Running {
        let process = command
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(|| TcpStream::connect(address).is_ok());
        Running { process, address }
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn signal(&self, name: &str) {
        Command::new("kill")
            .args([&format!("-{name}"), &self.process.id().to_string()])
            .assert()
            .success();
    }

    /// Waits until the process ends. Returns how long that took, and the exit code.
    fn ends(&mut self) -> (Duration, Option<i32>) {
        let began = Instant::now();
        let status = self.process.wait().unwrap();
        (began.elapsed(), status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An empty directory for one test.
fn directory(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn version_and_help() {
    let version = program(&["--version"]).assert().success();
    assert!(String::from_utf8_lossy(&version.get_output().stdout).contains("v=7.0.15"));
    let help = program(&["--help"]).assert().success();
    assert!(String::from_utf8_lossy(&help.get_output().stdout).contains("Usage"));
}

/// Runs a program that must fail with exit code 1, within a second. Returns the text that it writes to standard error.
fn failure(mut command: Command) -> String {
    let began = Instant::now();
    let failed = command.stdin(Stdio::null()).assert().failure().code(1);
    assert!(began.elapsed() < Duration::from_secs(1));
    String::from_utf8(failed.get_output().stderr.clone()).unwrap()
}

/// The real redis-server with these arguments, if it is installed.
fn real(args: &[&str]) -> Option<Command> {
    let mut command = Command::new("redis-server");
    let exists = Command::new("redis-server").arg("--version").output();
    assert!(exists.is_ok() || std::env::var_os("CI").is_none());
    command.args(args);
    exists.is_ok().then_some(command)
}

// Error texts of Redis.
const DIRECTIVE: &str = "Bad directive or wrong number of arguments";
const INTEGER: &str = "argument couldn't be parsed into an integer";
const NUMBER: &str = "wrong number of arguments";

/// Invalid arguments. Redis turns arguments into lines of a configuration file; for each, the error shows the number of the
/// line, the line, and what is wrong with it.
const BAD_ARGUMENTS: &[(&[&str], usize, &str, &str)] = &[
    (&["--nosuch", "1"], 2, "nosuch \"1\"", DIRECTIVE),
    (&["--port", "abc"], 2, "port \"abc\"", INTEGER),
    (&["--hz", "20", "--port", ""], 3, "port \"\"", INTEGER),
    (
        &["--port", "70000"],
        2,
        "port \"70000\"",
        "argument must be between 0 and 65535 inclusive",
    ),
    (&["--port"], 2, "port", NUMBER),
    (&["--port", "1", "2"], 2, "port \"1\" \"2\"", NUMBER),
    (
        &["--port", "1", "-", "--hz", "20"],
        2,
        "port \"1\" \"-\"",
        NUMBER,
    ),
    (&["--hz", "--port", "1"], 2, "hz \"--port\" \"1\"", NUMBER),
    (&["--", "--port", "1"], 2, "\"--port\" \"1\"", DIRECTIVE),
    (&["-x"], 2, "\"-x\"", DIRECTIVE),
    (
        &["--save", "900", "abc"],
        2,
        "save \"900\" \"abc\"",
        "Invalid save parameters",
    ),
    (
        &["--requirepass a\"b"],
        2,
        "requirepass a\"b",
        "Unbalanced quotes in configuration line",
    ),
    (
        &["--dir", "/no/such"],
        2,
        "dir \"/no/such\"",
        "No such file or directory",
    ),
    (
        &["--dbfilename", "a/b"],
        2,
        "dbfilename \"a/b\"",
        "dbfilename can't be a path, just a filename",
    ),
    (
        &["--replicaof", "localhost"],
        2,
        "replicaof \"localhost\"",
        NUMBER,
    ),
    (
        &["--replicaof", "localhost", "abc"],
        2,
        "replicaof \"localhost\" \"abc\"",
        "Invalid master port",
    ),
    (
        &["--rename-command", "NOSUCH", "x"],
        2,
        "rename-command \"NOSUCH\" \"x\"",
        "No such command in rename-command",
    ),
    (
        &["--rename-command", "get", "SET"],
        2,
        "rename-command \"get\" \"SET\"",
        "Target command name already exists",
    ),
    (
        &["--rename-command", "get"],
        2,
        "rename-command \"get\"",
        DIRECTIVE,
    ),
];

/// Checks that this program and the real redis-server fail with the same error, which shows line number `line`, its text
/// `shown`, and the reason `why`.
fn assert_shown(args: &[&str], line: usize, shown: &str, why: &str) {
    let expected = format!(
        "\n*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***\nReading the configuration file, at line {line}\n\
         >>> '{shown}'\n{why}\n"
    );
    for command in [Some(program(args)), real(args)].into_iter().flatten() {
        assert_eq!(failure(command), expected, "{args:?}");
    }
}

#[test]
fn a_bad_argument_is_shown_as_redis_shows_it() {
    for (args, line, shown, why) in BAD_ARGUMENTS {
        assert_shown(args, *line, shown, why);
    }
}

#[test]
fn a_bad_line_of_a_file_is_shown_as_redis_shows_it() {
    let dir = directory("bad");
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let bad = write("bad.conf", "port 7000\n# comment\n \tnosuch setting \n");
    let including = write("including.conf", &format!("\n\n\ninclude {bad}\n"));
    let quotes = write("quotes.conf", "timeout \"5\n");
    let renaming = write(
        "renaming.conf",
        "rename-command GET \"\"\nrename-command get x\n",
    );
    for (args, line, shown, why) in [
        (
            &["--dir", &bad][..],
            2,
            format!("dir \"{bad}\"").as_str(),
            "Not a directory",
        ),
        (&[bad.as_str()], 3, "nosuch setting", DIRECTIVE),
        (&[&bad, "--port", "x"], 3, "nosuch setting", DIRECTIVE),
        (&[&including], 3, "nosuch setting", DIRECTIVE),
        (
            &[&quotes],
            1,
            "timeout \"5",
            "Unbalanced quotes in configuration line",
        ),
        (
            &[&renaming],
            2,
            "rename-command get x",
            "No such command in rename-command",
        ),
    ] {
        assert_shown(args, line, shown, why);
    }
}

#[test]
fn other_failures_are_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for args in [
        &["--bind", "not-an-address", "--port", "0"][..],
        &["--bind", "", "--port", "0"],
        &["--bind", "127.0.0.1", "--port", &port],
        &["/no/such/file.conf"],
        &["/tmp"],
        &["--include", "/no/such/file.conf"],
        &["--test-memory", "100"],
        &["--check-system"],
        &["--sentinel"],
        &["--port", "0", "--sentinel"],
    ] {
        let stderr = failure(program(args));
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
    let log = failure(program(&["--logfile", "/no/such/directory/log"]));
    assert!(log.ends_with("Can't open the log file: No such file or directory\n"));
}

#[test]
fn what_this_server_does_not_do_is_refused_with_a_reason() {
    for (args, why) in [
        (
            &["--save", "900", "1"],
            "this server keeps its data in memory only",
        ),
        (&["--appendonly", "yes", ""], "wrong number of arguments"),
        (
            &["--maxmemory 1gb", "--port", "0"],
            "this server does not limit its memory",
        ),
        (
            &["--repl-diskless-sync no", "--port", "0"],
            "this server sends full copies without a file",
        ),
    ] {
        let stderr = failure(program(args));
        assert!(
            stderr.ends_with(&format!("\n{why}\n")),
            "{args:?}: {stderr}"
        );
    }
}

/// The value of a setting, as CONFIG GET shows it.
fn setting(client: &mut Client, name: &str) -> String {
    match client.ask(&format!("CONFIG GET {name}")) {
        Reply::List(_, Some(pair)) if pair.len() == 2 => show(&pair[1]),
        other => show(&other),
    }
}

/// Arguments, the name of a setting, and the value that the setting has with these arguments.
const GOOD_ARGUMENTS: &[(&[&str], &str, &str)] = &[
    (&["--hz 20"], "hz", "20"),
    (&["--HZ", "20"], "hz", "20"),
    (&["--hz ", "20"], "hz", "20"),
    (&["--hz", "20", "--hz", "30"], "hz", "30"),
    (&["--replicaof '127.0.0.1' 1"], "replicaof", "127.0.0.1 1"),
    (&["--slaveof", "127.0.0.1 1"], "replicaof", "127.0.0.1 1"),
    (&["--replicaof", "no", "one"], "replicaof", ""),
    (
        &["--masterauth", "--my--pass", "--hz", "20"],
        "masterauth",
        "--my--pass",
    ),
    (&["--masterauth", "-x"], "masterauth", "-x"),
    (
        &["--masterauth", "a\"b 'c\\"],
        "masterauth",
        "a\\\"b 'c\\\\",
    ),
    (&["--masterauth \"a b\""], "masterauth", "a b"),
    (&["--masterauth", "h\u{e9}"], "masterauth", "h\\xc3\\xa9"),
    (&["--save"], "save", ""),
    (&["--save", "--hz", "20"], "hz", "20"),
    (&["--save", ""], "save", ""),
    (&["--"], "hz", "10"),
    (&["--# a comment"], "hz", "10"),
    (&["--bind", "127.0.0.1 ::1"], "bind", "127.0.0.1 ::1"),
    (&["--bind", "127.0.0.1", "::1"], "bind", "127.0.0.1 ::1"),
    (
        &[
            "--client-output-buffer-limit",
            "normal 1 2 3",
            "--client-output-buffer-limit",
            "pubsub",
            "4",
            "5",
            "6",
        ],
        "client-output-buffer-limit",
        "normal 1 2 3 slave 268435456 67108864 60 pubsub 4 5 6",
    ),
];

#[test]
fn arguments_are_joined_as_redis_joins_them() {
    for (args, name, value) in GOOD_ARGUMENTS {
        let port = free_port();
        let port_flag = format!("--port {port}");
        let mut all = vec![port_flag.as_str()];
        all.extend(*args);
        for command in [Some(program(&all)), real(&all)].into_iter().flatten() {
            let server = Running::spawn(command, port);
            let got = setting(&mut server.client(), name);
            assert_eq!(got, format!("\"{value}\""), "{args:?}");
        }
    }
}

#[test]
fn a_password_is_bytes() {
    let dir = directory("bytes");
    let file = dir.join("redis.conf");
    let port = free_port();
    let mut text = format!("# \u{e9}\nport {port}\nrequirepass ").into_bytes();
    text.extend_from_slice(b"\xff\x80\n");
    fs::write(&file, &text).unwrap();
    let file_name = file.to_str().unwrap();
    {
        let server = Running::spawn(program(&[file_name]), port);
        let mut c = server.client();
        let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
        assert_eq!(c.ask(r#"AUTH "\xff\x81""#), Reply::Error(wrong.into()));
        assert_eq!(c.ask(r#"AUTH "\xff\x80""#), Reply::Simple("OK".into()));
        let set = r#"CONFIG SET requirepass "\xfe\"" masterauth "\xfd""#;
        assert_eq!(c.ask(set), Reply::Simple("OK".into()));
        assert_eq!(c.ask("CONFIG REWRITE"), Reply::Simple("OK".into()));
    }
    // CONFIG REWRITE has kept the comment, and a new server reads the new passwords.
    let rewritten = fs::read_to_string(&file).unwrap();
    assert!(rewritten.starts_with("# \u{e9}\n"), "{rewritten}");
    let server = Running::spawn(program(&[file_name]), port);
    let mut c = server.client();
    assert_eq!(c.ask(r#"AUTH "\xfe\"""#), Reply::Simple("OK".into()));
    assert_eq!(setting(&mut c, "masterauth"), r#""\xfd""#);
}

#[test]
fn the_working_directory_changes_at_the_line_dir_of_the_file() {
    let dir = directory("enter").canonicalize().unwrap();
    fs::create_dir(dir.join("inner")).unwrap();
    fs::write(dir.join("inner/more.conf"), "hz 33\n").unwrap();
    let port = free_port();
    let text = format!("port {port}\ndir inner\ninclude more.conf\nlogfile here.log\n");
    fs::write(dir.join("redis.conf"), text).unwrap();
    let mut command = program(&["redis.conf"]);
    command.current_dir(&dir);
    let server = Running::spawn(command, port);
    let mut c = server.client();
    let inner = dir.join("inner");
    assert_eq!(setting(&mut c, "dir"), format!("\"{}\"", inner.display()));
    assert_eq!(setting(&mut c, "hz"), "\"33\"");
    assert!(inner.join("here.log").exists());
    // The server was started with a relative path of the file, and must find the file from the new directory.
    assert_eq!(c.ask("CONFIG REWRITE"), Reply::Simple("OK".into()));
}

#[test]
fn signals_end_the_server_in_order() {
    for name in ["TERM", "INT"] {
        let mut server = Running::start(&[]);
        let mut blocked = server.client();
        blocked.send_raw(b"XREAD BLOCK 0 STREAMS s $\r\n");
        let mut idle = server.client();
        assert_eq!(idle.ask("PING"), Reply::Simple("PONG".into()));
        server.signal(name);
        let (time, code) = server.ends();
        assert_eq!(code, Some(0));
        assert!(time < Duration::from_secs(1), "{time:?}");
        assert!(blocked.reply().is_err() && idle.reply().is_err());
    }
}

#[test]
fn shutdown_ends_the_server() {
    let mut server = Running::start(&[]);
    server.client().send_raw(b"SHUTDOWN NOSAVE\r\n");
    assert_eq!(server.ends().1, Some(0));
}

#[test]
fn settings_come_from_flags() {
    let dir = directory("flags");
    let dir_flag = dir.to_str().unwrap();
    let server = Running::start(&[
        "--bind",
        "127.0.0.1",
        "::1",
        "--dir",
        dir_flag,
        "--dbfilename",
        "x.rdb",
        "--maxclients",
        "50",
        "--timeout",
        "30",
        "--databases",
        "4",
        "--requirepass",
        "secret word",
        "--save",
        "",
        "--appendonly",
        "no",
    ]);
    let mut c = server.client();
    assert_eq!(
        c.ask("PING"),
        Reply::Error("NOAUTH Authentication required.".into())
    );
    assert_eq!(c.ask("AUTH 'secret word'"), Reply::Simple("OK".into()));
    for (name, value) in [
        ("bind", "127.0.0.1 ::1"),
        ("dir", dir_flag),
        ("dbfilename", "x.rdb"),
        ("maxclients", "50"),
        ("timeout", "30"),
    ] {
        assert_eq!(
            show(&c.ask(&format!("CONFIG GET {name}"))),
            format!("1) \"{name}\"\n2) \"{value}\"")
        );
    }
    assert_eq!(
        c.ask("SELECT 4"),
        Reply::Error("ERR DB index is out of range".into())
    );
}

#[test]
fn a_server_started_as_a_replica_never_accepts_writes() {
    for flags in [
        &["--replicaof", "127.0.0.1 1"][..],
        &["--replicaof", "127.0.0.1", "1"],
    ] {
        let server = Running::start(flags);
        let mut c = server.client();
        let Reply::Bulk(Some(text)) = c.ask("INFO replication") else {
            panic!()
        };
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.contains(
                "role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:1\r\nmaster_link_status:down"
            ),
            "{text}"
        );
        let refusal = "READONLY You can't write against a read only replica.";
        assert_eq!(c.ask("SET k v"), Reply::Error(refusal.into()));
        assert_eq!(show(&c.ask("GET k")), "(nil)");
    }
}

#[test]
fn settings_come_from_a_file_and_go_back_to_it() {
    let dir = directory("file");
    let port = free_port();
    fs::write(dir.join("more.conf"), "timeout 55\n").unwrap();
    let file = dir.join("redis.conf");
    let text = format!(
        "# my server\nport {port}\ninclude {}/more*.conf\nmaxclients 77 \nrequirepass \"\"\n",
        dir.display()
    );
    fs::write(&file, &text).unwrap();
    let server = Running::spawn(program(&[file.to_str().unwrap(), "--hz", "20"]), port);
    let mut c = server.client();
    assert_eq!(
        show(&c.ask("CONFIG GET timeout")),
        "1) \"timeout\"\n2) \"55\""
    );
    assert_eq!(show(&c.ask("CONFIG GET hz")), "1) \"hz\"\n2) \"20\"");
    c.ask("CONFIG SET maxclients 88");
    assert_eq!(c.ask("CONFIG REWRITE"), Reply::Simple("OK".into()));
    let rewritten = fs::read_to_string(&file).unwrap();
    assert!(
        rewritten.starts_with("# my server\n") && rewritten.contains("\nmaxclients 88\n"),
        "{rewritten}"
    );
    assert!(rewritten.contains("\nhz 20\n"), "{rewritten}");
}

#[test]
fn settings_come_from_standard_input() {
    for args in [&["-", "--timeout", "7"][..], &["--timeout", "7", "-"]] {
        let port = free_port();
        let mut process = program(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let text = format!("port {port}\nmaxclients 12\ntimeout 5\n");
        let mut stdin = process.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let running = Running { process, address };
        wait_for(|| TcpStream::connect(address).is_ok());
        let mut c = running.client();
        assert_eq!(setting(&mut c, "maxclients"), "\"12\"");
        // Options override what is read from standard input.
        assert_eq!(setting(&mut c, "timeout"), "\"7\"");
    }
}

#[test]
fn the_log_has_the_form_of_redis() {
    let dir = directory("log");
    let log = dir.join("server.log");
    let mut server = Running::start(&["--logfile", log.to_str().unwrap(), "--loglevel", "verbose"]);
    server.client().ask("PING");
    server.signal("TERM");
    server.ends();
    let text = fs::read_to_string(&log).unwrap();
    assert!(
        text.contains("* Ready to accept connections\n") && text.contains("- Accepted 127.0.0.1:"),
        "{text}"
    );
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(
            words[0].ends_with(":M") && words[4].len() == 12 && ".-*#".contains(words[5]),
            "{line}"
        );
    }
}

#[test]
fn the_script_runs_the_server_where_it_is_called() {
    let dir = directory("elsewhere");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("your_program.sh");
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.starts_with("#!/bin/sh\n"));
    // The test does not run the script, which would build in release mode. It checks the script's last line.
    assert!(text.trim_end().ends_with("\"$@\""));
    let port = free_port();
    let mut command = program(&["--port", &port.to_string()]);
    command.current_dir(&dir);
    let server = Running::spawn(command, port);
    let shown = show(&server.client().ask("CONFIG GET dir"));
    assert_eq!(
        shown,
        format!(
            "1) \"dir\"\n2) \"{}\"",
            dir.canonicalize().unwrap().display()
        )
    );
}
