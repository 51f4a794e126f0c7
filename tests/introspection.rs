//! What a server tells about itself in INFO, CLIENT LIST, DEBUG OBJECT and its log, where the exact moment matters; a
//! transcript cannot express that.
//!
//! Each test runs against this server and, if it is installed, against the real redis-server.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::{Client, RealRedis, Reply, encode, free_port, wait_for};
use redis_clone::{Config, Server};

/// Runs a test against both servers.
fn on_both(test: impl Fn(SocketAddr)) {
    let options = ["--enable-debug-command", "yes"].map(String::from);
    if let Some(real) = RealRedis::start(&options) {
        println!("against the real redis-server:");
        test(real.address);
    }
    let config = Config {
        enable_debug_command: "yes",
        ..Config::for_tests()
    };
    let ours = Server::start(config).unwrap();
    println!("against this server:");
    test(ours.address());
}

fn text(reply: Reply) -> String {
    match reply {
        Reply::Bulk(Some(bytes)) => String::from_utf8(bytes).unwrap(),
        Reply::Simple(text) => text,
        other => panic!("no text: {other:?}"),
    }
}

/// A field of INFO clients.
fn info(client: &mut Client, field: &str) -> String {
    let info = text(client.ask("INFO clients"));
    let mut fields = info.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(name, _)| *name == field);
    found.map(|(_, value)| value.to_string()).unwrap()
}

/// A field of the line that CLIENT LIST shows for the client `of`.
fn listed(client: &mut Client, of: &Client, field: &str) -> String {
    let its_address = format!(" addr={} ", of.stream.local_addr().unwrap());
    let list = text(client.ask("CLIENT LIST"));
    let line = list.lines().find(|l| l.contains(&its_address)).unwrap();
    let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
    let found = fields.find(|(name, _)| *name == field);
    found.map(|(_, value)| value.to_string()).unwrap()
}

#[test]
fn a_client_that_has_its_reply_is_blocked_no_more() {
    on_both(|address| {
        let mut waiting = Client::connect(address);
        let mut writer = Client::connect(address);
        for n in 1..=300 {
            let line = format!("XREAD BLOCK 0 STREAMS s {}-0", n - 1);
            waiting.send(
                &line
                    .split(' ')
                    .map(|w| w.as_bytes().to_vec())
                    .collect::<Vec<_>>(),
            );
            wait_for(|| info(&mut writer, "blocked_clients") == "1");
            writer.ask(&format!("XADD s {n}-0 f v"));
            waiting.reply().unwrap();
            assert_eq!(info(&mut writer, "blocked_clients"), "0", "entry {n}");
        }
    });
}

#[test]
fn a_client_whose_time_has_run_out_is_blocked_no_more() {
    on_both(|address| {
        let (mut waiting, mut other) = (Client::connect(address), Client::connect(address));
        for n in 1..=100 {
            waiting.ask("XREAD BLOCK 1 STREAMS s $");
            assert_eq!(info(&mut other, "blocked_clients"), "0", "try {n}");
            waiting.ask("WAIT 1 1");
            assert_eq!(info(&mut other, "blocked_clients"), "0", "try {n}");
        }
    });
}

#[test]
fn a_client_that_has_been_unblocked_or_killed_is_blocked_no_more() {
    on_both(|address| {
        let mut other = Client::connect(address);
        for n in 1..=100 {
            let mut waiting = Client::connect(address);
            let Reply::Int(id) = waiting.ask("CLIENT ID") else {
                panic!("no ID");
            };
            waiting
                .send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"].map(|w| w.as_bytes().to_vec()));
            wait_for(|| info(&mut other, "blocked_clients") == "1");
            if n % 2 == 0 {
                assert_eq!(other.ask(&format!("CLIENT UNBLOCK {id}")), Reply::Int(1));
            } else {
                assert_eq!(other.ask(&format!("CLIENT KILL ID {id}")), Reply::Int(1));
            }
            assert_eq!(info(&mut other, "blocked_clients"), "0", "try {n}");
        }
    });
}

#[test]
fn only_clients_with_a_timeout_are_in_the_timeout_table() {
    on_both(|address| {
        let mut other = Client::connect(address);
        let mut forever = Client::connect(address);
        forever.send(&["XREAD", "BLOCK", "0", "STREAMS", "s", "$"].map(|w| w.as_bytes().to_vec()));
        wait_for(|| info(&mut other, "blocked_clients") == "1");
        assert_eq!(info(&mut other, "clients_in_timeout_table"), "0");
        let mut for_long = Client::connect(address);
        for_long.send(
            &["XREAD", "BLOCK", "100000", "STREAMS", "s", "$"].map(|w| w.as_bytes().to_vec()),
        );
        wait_for(|| info(&mut other, "blocked_clients") == "2");
        assert_eq!(info(&mut other, "clients_in_timeout_table"), "1");
    });
}

#[test]
fn an_idle_client_holds_no_arguments() {
    on_both(|address| {
        let (mut big, mut other) = (Client::connect(address), Client::connect(address));
        big.send(&[b"SET".to_vec(), b"k".to_vec(), vec![b'x'; 1 << 20]]);
        big.reply().unwrap();
        for (field, value) in [
            ("argv-mem", "0"),
            ("qbuf", "0"),
            ("multi-mem", "0"),
            ("cmd", "set"),
        ] {
            assert_eq!(listed(&mut other, &big, field), value, "{field}");
        }
        // The input buffer shrinks after the client has been idle for a while.
        wait_for(|| {
            let total = listed(&mut other, &big, "tot-mem");
            total.parse::<usize>().unwrap() < 100_000
        });
    });
}

#[test]
fn the_memory_of_a_transaction_is_shown_until_it_ends() {
    on_both(|address| {
        let (mut big, mut other) = (Client::connect(address), Client::connect(address));
        big.ask("MULTI");
        big.send(&[b"SET".to_vec(), b"k".to_vec(), vec![b'x'; 1 << 20]]);
        big.reply().unwrap();
        let held: usize = listed(&mut other, &big, "multi-mem").parse().unwrap();
        assert!((1 << 20..1 << 21).contains(&held), "multi-mem={held}");
        assert_eq!(listed(&mut other, &big, "argv-mem"), "0");
        big.ask("EXEC");
        assert_eq!(listed(&mut other, &big, "multi-mem"), "0");
        assert_eq!(listed(&mut other, &big, "argv-mem"), "0");
    });
}

#[test]
fn debug_object_shows_an_expired_key_that_is_still_stored() {
    on_both(|address| {
        let mut client = Client::connect(address);
        client.ask("DEBUG SET-ACTIVE-EXPIRE 0");
        client.ask("SET k v PX 1");
        std::thread::sleep(Duration::from_millis(20));
        let shown = text(client.ask("DEBUG OBJECT k"));
        assert!(shown.starts_with("Value at:0x"), "{shown}");
        assert_eq!(client.ask("DBSIZE"), Reply::Int(1));
        assert_eq!(client.ask("EXISTS k"), Reply::Int(0));
        assert!(matches!(client.ask("DEBUG OBJECT k"), Reply::Error(_)));
    });
}

/// A server in a process of its own, so that its log can be read. Dropping this value ends the process.
struct Logged(Child);

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Commands, each with the keyspace hits and misses that it counts. `k` is a string, `s` a stream with the group `g`, and
/// `no` does not exist. Writers count too if they read the key as a reader does.
const LOOKUPS: &[(&str, i64, i64)] = &[
    ("GET k", 1, 0),
    ("MGET k no s", 2, 1),
    ("EXISTS k k no", 2, 1),
    ("OBJECT ENCODING no", 0, 1),
    ("SCAN 0 TYPE stream", 2, 0),
    ("SET k 1", 0, 0),
    ("SET k 1 GET", 1, 0),
    ("SET no 1 XX GET", 0, 1),
    ("GETSET k 1", 1, 0),
    ("GETEX no", 0, 1),
    ("GETDEL no", 0, 1),
    ("INCR k", 0, 0),
    ("APPEND k 1", 0, 0),
    ("EXPIRE no 100", 0, 0),
    ("COPY k k REPLACE DB 1", 1, 0),
    ("COPY no k", 0, 1),
    ("RENAME k k", 0, 0),
    ("LCS k no", 1, 1),
    ("XREAD STREAMS s no 0 0", 2, 2),
    ("XREAD STREAMS k 0", 1, 0),
    ("XREADGROUP GROUP g ann STREAMS s >", 2, 0),
    ("XREADGROUP GROUP g ann STREAMS no >", 0, 1),
    ("XACK s g 1-1", 1, 0),
    ("XACK no g 1-1", 0, 1),
    ("XCLAIM s g bob 0 1-1", 1, 0),
    ("XCLAIM no g bob 0 1-1", 0, 1),
    ("XAUTOCLAIM s g bob 0 0", 1, 0),
    ("XAUTOCLAIM no g bob x 0", 0, 1),
    ("XPENDING s g", 1, 0),
    ("XADD s * f v", 0, 0),
    ("XDEL s 1-1", 0, 0),
    ("XGROUP SETID s g $", 0, 0),
    ("XINFO GROUPS s", 1, 0),
];

#[test]
fn lookups_of_readers_are_counted() {
    on_both(|address| {
        let mut c = Client::connect(address);
        c.ask("SET k 1");
        c.ask("XADD s 1-1 f v");
        c.ask("XGROUP CREATE s g 0");
        for &(line, hits, misses) in LOOKUPS {
            c.ask("CONFIG RESETSTAT");
            c.ask(line);
            let info = text(c.ask("INFO stats"));
            let lookups = info.lines().filter(|l| l.starts_with("keyspace_"));
            let expected = [
                format!("keyspace_hits:{hits}"),
                format!("keyspace_misses:{misses}"),
            ];
            assert_eq!(lookups.collect::<Vec<_>>(), expected, "{line}");
        }
    });
}

/// The complexity of each command and subcommand in COMMAND DOCS; empty if it has none.
fn complexities(docs: Reply, found: &mut BTreeMap<String, String>) {
    let pairs = |reply: Reply| match reply {
        Reply::List(_, Some(items)) => {
            let pair = |pair: &[Reply]| (text(pair[0].clone()), pair[1].clone());
            items.chunks(2).map(pair).collect()
        }
        _ => vec![],
    };
    for (name, facts) in pairs(docs) {
        found.insert(name.clone(), String::new());
        for (fact, value) in pairs(facts) {
            match fact.as_str() {
                "complexity" => drop(found.insert(name.clone(), text(value))),
                "subcommands" => complexities(value, found),
                _ => {}
            }
        }
    }
}

#[test]
fn complexities_are_those_of_redis() {
    let Some(real) = RealRedis::start(&[]) else {
        return;
    };
    let server = Server::start(Config::for_tests()).unwrap();
    let [ours, real] = [server.address(), real.address].map(|address| {
        let mut found = BTreeMap::new();
        complexities(Client::connect(address).ask("COMMAND DOCS"), &mut found);
        found
    });
    assert!(ours.len() > 100);
    for (name, ours) in &ours {
        // Redis's text goes on with explanations; ours is only the fact.
        if let Some(real) = real.get(name) {
            assert!(
                real.contains(ours.as_str()) && real.is_empty() == ours.is_empty(),
                "{name}: {ours}, {real}"
            );
        }
    }
}

#[test]
fn the_log_warns_once_of_requests_of_http() {
    for program in ["redis-server", env!("CARGO_BIN_EXE_redis-clone")] {
        let port = free_port();
        let started = Command::new(program)
            .args(["--port", &port.to_string(), "--save", ""])
            .stdout(Stdio::piped())
            .spawn();
        let Ok(process) = started else {
            continue;
        };
        let mut server = Logged(process);
        let log = BufReader::new(server.0.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        while !lines.recv().unwrap().contains("Ready to accept") {}
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for _ in 0..3 {
            let mut client = Client::connect(address);
            client.send_raw(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n");
            let (bytes, closed) = client.raw_reply(Duration::from_secs(2));
            assert_eq!((bytes, closed), (vec![], true), "{program}");
        }
        let expected = "# Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. Connection aborted.";
        let mut warnings = vec![];
        while let Ok(line) = lines.recv_timeout(Duration::from_millis(300)) {
            if line.contains("SECURITY") {
                warnings.push(line);
            }
        }
        assert_eq!(warnings.len(), 1, "{program}: {warnings:?}");
        assert!(warnings[0].contains(expected), "{program}: {warnings:?}");
    }
}

/// Four writers add entries while a reader blocks for them. The reader must get each entry once, and lose no wake-up.
#[test]
fn a_waiting_reader_misses_nothing_while_many_write() {
    on_both(|address| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut client = Client::connect(address);
                    for _ in 0..250 {
                        client.send_raw(&encode(
                            &["XADD", "s", "*", "f", "v"].map(|w| w.as_bytes().to_vec()),
                        ));
                        client.reply().unwrap();
                    }
                })
            })
            .collect();
        let (mut reader, mut last, mut seen) = (Client::connect(address), "0".to_string(), 0);
        while seen < 1000 {
            let Reply::List(_, Some(streams)) =
                reader.ask(&format!("XREAD BLOCK 5000 STREAMS s {last}"))
            else {
                panic!("nothing came after {seen} entries");
            };
            let Reply::List(_, Some(parts)) = &streams[0] else {
                panic!("no stream");
            };
            let Reply::List(_, Some(entries)) = &parts[1] else {
                panic!("no entries");
            };
            assert!(!entries.is_empty());
            seen += entries.len();
            let Some(Reply::List(_, Some(entry))) = entries.last() else {
                panic!("no entry");
            };
            last = text(entry[0].clone());
        }
        assert_eq!(seen, 1000);
        writers.into_iter().for_each(|w| w.join().unwrap());
    });
}

/// Only the client whose output exceeds the limit of its class is closed.
#[test]
fn a_normal_client_with_too_much_output_is_closed() {
    on_both(|address| {
        let mut client = Client::connect(address);
        client.send(&[b"SET".to_vec(), b"big".to_vec(), vec![b'x'; 8_000_000]]);
        client.reply().unwrap();
        let limit = "normal 1000000 0 0";
        client.ask(&format!("CONFIG SET client-output-buffer-limit '{limit}'"));
        let mut greedy = Client::connect(address);
        for _ in 0..20 {
            greedy.send(&[b"GET".to_vec(), b"big".to_vec()]);
        }
        wait_for(|| {
            let Reply::Bulk(Some(list)) = client.ask("CLIENT LIST") else {
                return false;
            };
            String::from_utf8(list).unwrap().lines().count() == 1
        });
        assert_eq!(client.ask("EXISTS big"), Reply::Int(1));
    });
}

/// A big argument counts as part of the query buffer.
#[test]
fn a_client_whose_argument_exceeds_the_query_buffer_is_closed() {
    on_both(|address| {
        let mut client = Client::connect(address);
        client.ask("CONFIG SET client-query-buffer-limit 1mb");
        let mut wordy = Client::connect(address);
        wordy.send_raw(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n");
        // The server may close the connection before everything is written.
        let _ = wordy.stream.write_all(&[b'x'; 2_000_000]);
        assert!(wordy.raw_reply(Duration::from_secs(10)).1);
        client.ask("CONFIG SET client-query-buffer-limit 1gb");
    });
}

/// After a protocol error of a client with CLIENT REPLY OFF, Redis keeps the connection open until the peer closes it. This
/// server closes it at once.
#[test]
fn a_silenced_client_gets_no_protocol_error() {
    on_both(|address| {
        for mode in ["OFF", "SKIP"] {
            let mut client = Client::connect(address);
            client.send_raw(format!("CLIENT REPLY {mode}\r\n*abc\r\n").as_bytes());
            let _ = client.stream.shutdown(std::net::Shutdown::Write);
            let (bytes, closed) = client.raw_reply(Duration::from_secs(10));
            assert!(bytes.is_empty() && closed);
        }
    });
}
