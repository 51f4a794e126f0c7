//! The program as a person starts it: flags, files, signals, errors.

mod common;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::prelude::*;
use common::{Client, Reply, free_port, show, wait_for};

/// The program, with these arguments.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("redis-clone"));
    command.args(args);
    command
}

/// A running program, which ends with this value.
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

    /// Waits for the end, and tells how long that took and the exit code.
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

/// A directory of this test's own.
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

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = directory("wrong");
    let bad = dir.join("bad.conf");
    fs::write(&bad, "port 7000\nnosuch setting\n").unwrap();
    for args in [
        &["--nosuch", "1"][..],
        &["--port", "abc"],
        &["--port", "70000"],
        &["--port"],
        &["--port", "1", "2"],
        &["--save", "900 1", "--port", "0"],
        &["--appendonly", "yes", "--port", "0"],
        &["--dir", "/no/such/directory", "--port", "0"],
        &["--bind", "not-an-address", "--port", "0"],
        &["--bind", "127.0.0.1", "--port", &port],
        &["--logfile", "/no/such/directory/log", "--port", "0"],
        &["/no/such/file.conf"],
        &[bad.to_str().unwrap()],
        &["--port", "0", "stray", "--hz", "abc"],
    ] {
        let began = Instant::now();
        let failed = program(args).assert().failure().code(1);
        assert!(began.elapsed() < Duration::from_secs(1));
        let stderr = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
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
fn a_replica_is_one_from_its_first_moment() {
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
    program(&["--replicaof", "localhost"])
        .assert()
        .failure()
        .code(1);
    program(&["--replicaof", "localhost", "abc"])
        .assert()
        .failure()
        .code(1);
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
    let port = free_port();
    let mut process = program(&["-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    process
        .stdin
        .take()
        .unwrap()
        .write_all(format!("port {port}\nmaxclients 12\n").as_bytes())
        .unwrap();
    let running = Running {
        process,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
    };
    wait_for(|| TcpStream::connect(running.address).is_ok());
    assert_eq!(
        show(&running.client().ask("CONFIG GET maxclients")),
        "1) \"maxclients\"\n2) \"12\""
    );
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
    // Building it in release mode is the script's own business; here its last line counts.
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
