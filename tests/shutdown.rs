//! Shutdown of a server that has replicas: no acknowledged write is lost.
//!
//! The servers are processes of their own, so that a test can suspend them with SIGSTOP and see their exit codes.

mod common;

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::prelude::*;
use common::{Client, Reply, free_port, show, wait_for};

/// A server in a process of its own. Dropping this value ends the process.
struct Running {
    process: Child,
    address: SocketAddr,
    /// The path of the server's log file.
    log: PathBuf,
}

impl Running {
    /// Starts this server with these settings, or the real redis-server if `real` is set. `None` if the machine has no
    /// redis-server.
    fn start(real: bool, settings: &[&str]) -> Option<Running> {
        loop {
            let mut running = Running::spawn(real, settings)?;
            let address = running.address;
            wait_for(|| TcpStream::connect(address).is_ok());
            // If the server has ended, another process has taken its port. Then try again.
            if !running.has_ended() {
                return Some(running);
            }
        }
    }

    fn spawn(real: bool, settings: &[&str]) -> Option<Running> {
        let port = free_port();
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("shutdown-{port}"));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let mut command = if real {
            Command::new("redis-server")
        } else {
            Command::new(assert_cmd::cargo::cargo_bin!("redis-clone"))
        };
        let spawned = command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--logfile", "log"])
            .args(["--repl-diskless-sync-delay", "0", "--dir"])
            .arg(&dir)
            .args(settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match spawned {
            Err(_) if real && std::env::var_os("CI").is_none() => return None,
            spawned => spawned.unwrap(),
        };
        Some(Running {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            log: dir.join("log"),
        })
    }

    fn client(&self) -> Client {
        Client::connect(self.address)
    }

    fn ask(&self, line: &str) -> String {
        show(&self.client().ask(line))
    }

    fn info(&self, field: &str) -> Option<String> {
        let Reply::Bulk(Some(text)) = self.client().ask("INFO everything") else {
            panic!("no INFO");
        };
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| *name == field);
        found.map(|(_, value)| value.to_string())
    }

    fn signal(&self, name: &str) {
        Command::new("kill")
            .args([&format!("-{name}"), &self.process.id().to_string()])
            .assert()
            .success();
    }

    fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// Waits until the process ends. Returns how long that took, and the exit code.
    fn ends(&mut self) -> (Duration, Option<i32>) {
        let began = Instant::now();
        wait_for(|| self.has_ended());
        (began.elapsed(), self.process.wait().unwrap().code())
    }

    /// Starts a replica of this server, and waits until it has acknowledged everything.
    fn replica(&self, real: bool) -> Option<Running> {
        let replica = Running::start(real, &[])?;
        let line = format!("REPLICAOF 127.0.0.1 {}", self.address.port());
        assert_eq!(replica.ask(&line), "OK");
        wait_for(|| {
            let end = self.info("master_repl_offset").unwrap();
            let slave = self.info("slave0").unwrap_or_default();
            replica.info("master_link_status").as_deref() == Some("up")
                && slave.contains(&format!("state=online,offset={end},"))
        });
        Some(replica)
    }

    fn logged(&self, text: &str) -> bool {
        fs::read_to_string(&self.log).unwrap().contains(text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Every pair of a primary and a replica of which at least one is this server.
fn pairs() -> Vec<(Running, Running)> {
    let mut pairs = vec![];
    for (real_primary, real_replica) in [(false, false), (true, false), (false, true)] {
        let primary = Running::start(real_primary, &[]);
        let Some(primary) = primary else { continue };
        if let Some(replica) = primary.replica(real_replica) {
            pairs.push((primary, replica));
        }
    }
    pairs
}

const NOT_SHUT_DOWN: &str = "(error) ERR Errors trying to SHUTDOWN. Check logs.";

#[test]
fn a_replica_that_is_far_behind_gets_everything() {
    for (mut primary, replica) in pairs() {
        let mut client = primary.client();
        client.ask("SET k 1");
        replica.signal("STOP");
        let line = format!("SET big {}", "x".repeat(1 << 20));
        (0..25).for_each(|_| drop(client.ask(&line)));
        client.ask("SET k 2");
        client.send_raw(b"SHUTDOWN\r\n");
        wait_for(|| primary.info("shutdown_in_milliseconds").is_some());
        std::thread::sleep(Duration::from_millis(500));
        assert!(!primary.has_ended());
        replica.signal("CONT");
        assert_eq!(primary.ends().1, Some(0));
        assert!(client.reply().is_err());
        assert_eq!(replica.ask("GET k"), "\"2\"");
        assert!(primary.logged("1 of 1 replicas are in sync when shutting down."));
    }
}

#[test]
fn replicas_that_have_everything_are_not_waited_for() {
    for how in ["SHUTDOWN", "SHUTDOWN NOSAVE FORCE"] {
        let mut primary = Running::start(false, &[]).unwrap();
        let replica = primary.replica(false).unwrap();
        let mut client = primary.client();
        client.ask("SET k 1");
        client.send_raw(format!("{how}\r\n").as_bytes());
        let (time, code) = primary.ends();
        assert_eq!(code, Some(0));
        assert!(time < Duration::from_millis(800), "{time:?}");
        assert_eq!(replica.ask("GET k"), "\"1\"");
    }
}

#[test]
fn a_server_that_waits_for_its_replicas_serves_reads_but_no_writes() {
    for (primary, replica) in pairs() {
        let mut client = primary.client();
        replica.signal("STOP");
        client.ask("SET k 2");
        let mut first = primary.client();
        first.send(&[b"SHUTDOWN".to_vec()]);
        wait_for(|| primary.info("shutdown_in_milliseconds").is_some());
        let mut second = primary.client();
        second.send(&[b"SHUTDOWN".to_vec(), b"NOW".to_vec()]);
        assert!(!second.has_reply(Duration::from_millis(100)));
        assert_eq!(primary.ask("GET k"), "\"2\"");
        let mut writer = primary.client();
        writer.send_raw(b"SET k 3\r\n");
        assert!(!writer.has_reply(Duration::from_millis(100)));
        assert_eq!(primary.ask("SHUTDOWN ABORT"), "OK");
        for client in [&mut first, &mut second] {
            assert_eq!(show(&client.reply().unwrap()), NOT_SHUT_DOWN);
        }
        assert_eq!(show(&writer.reply().unwrap()), "OK");
        assert_eq!(primary.ask("GET k"), "\"3\"");
        assert_eq!(primary.info("shutdown_in_milliseconds"), None);
        let none = "(error) ERR No shutdown in progress.";
        assert_eq!(primary.ask("SHUTDOWN ABORT"), none);
        replica.signal("CONT");
        wait_for(|| replica.ask("GET k") == "\"3\"");
    }
}

#[test]
fn keys_do_not_expire_while_a_server_waits_for_its_replicas() {
    let primary = Running::start(false, &[]).unwrap();
    let replica = primary.replica(false).unwrap();
    replica.signal("STOP");
    primary.ask("SET soon 1 PX 300");
    let mut client = primary.client();
    client.send(&[b"SHUTDOWN".to_vec()]);
    wait_for(|| primary.info("shutdown_in_milliseconds").is_some());
    // By now the question of the primary to its replicas (GETACK) is in the log of changes.
    std::thread::sleep(Duration::from_millis(50));
    let end = primary.info("master_repl_offset");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(primary.ask("GET soon"), "(nil)");
    assert_eq!(primary.info("master_repl_offset"), end);
    assert_eq!(primary.ask("SHUTDOWN ABORT"), "OK");
    wait_for(|| primary.info("expired_keys").as_deref() == Some("1"));
    // The client that sent SHUTDOWN can go on. (Redis 7.0 may crash at a later command of this client.)
    assert_eq!(show(&client.reply().unwrap()), NOT_SHUT_DOWN);
    assert_eq!(show(&client.ask("PING")), "PONG");
    replica.signal("CONT");
}

#[test]
fn a_shutdown_by_a_signal_waits_for_replicas_too() {
    for (mut primary, replica) in pairs() {
        replica.signal("STOP");
        primary.ask("SET k 2");
        for _ in 0..2 {
            primary.signal("TERM");
            wait_for(|| primary.info("shutdown_in_milliseconds").is_some());
            assert_eq!(primary.ask("SHUTDOWN ABORT"), "OK");
        }
        primary.signal("TERM");
        wait_for(|| primary.info("shutdown_in_milliseconds").is_some());
        primary.signal("TERM");
        std::thread::sleep(Duration::from_millis(300));
        assert!(!primary.has_ended());
        replica.signal("CONT");
        assert_eq!(primary.ends().1, Some(0));
        assert_eq!(replica.ask("GET k"), "\"2\"");
        assert!(primary.logged("Received SIGTERM scheduling shutdown..."));
        assert!(primary.logged("Waiting for replicas before shutting down."));
    }
}

#[test]
fn a_second_interrupt_does_not_wait() {
    for (mut primary, replica) in pairs() {
        replica.signal("STOP");
        primary.ask("SET k 2");
        primary.signal("INT");
        wait_for(|| primary.info("shutdown_in_milliseconds").is_some());
        primary.signal("INT");
        let (time, code) = primary.ends();
        assert!(time < Duration::from_secs(1) && code == Some(1));
        replica.signal("CONT");
    }
}

#[test]
fn waiting_for_replicas_has_a_time_limit() {
    for (settings, how, longest, in_time) in [
        (&["--shutdown-timeout", "1"][..], "SHUTDOWN", 2500, false),
        (&["--shutdown-timeout", "0"], "SHUTDOWN", 900, true),
        (&[], "SHUTDOWN NOW", 900, true),
    ] {
        let mut primary = Running::start(false, settings).unwrap();
        let replica = primary.replica(false).unwrap();
        replica.signal("STOP");
        let mut client = primary.client();
        client.ask("SET k 2");
        client.send_raw(format!("{how}\r\n").as_bytes());
        let (time, code) = primary.ends();
        assert_eq!(code, Some(0));
        assert!(time < Duration::from_millis(longest), "{how}: {time:?}");
        assert_eq!(
            time < Duration::from_millis(900),
            in_time,
            "{how}: {time:?}"
        );
        assert!(primary.logged("0 of 1 replicas are in sync when shutting down."));
        let lagging = format!("Lagging replica 127.0.0.1:{}", replica.address.port());
        assert!(primary.logged(&lagging));
        assert!(primary.logged("lag=0, state=online.") || primary.logged("lag=1, state=online."));
        replica.signal("CONT");
    }
}
