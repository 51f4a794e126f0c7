//! The server as an application uses it: through the `redis` crate, in the same process.

mod common;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::{Client, Reply, encode, show, wait_for};
use redis::streams::{StreamRangeReply, StreamReadOptions, StreamReadReply};
use redis::{Commands, Connection, RedisResult};
use redis_clone::{Config, Server};

/// Starts a server with the settings for tests.
fn start() -> Server {
    Server::start(Config::for_tests()).unwrap()
}

fn connect(server: &Server) -> Connection {
    redis::Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap()
}

/// A field of INFO.
fn info(connection: &mut Connection, field: &str) -> String {
    let text: String = redis::cmd("INFO")
        .arg("everything")
        .query(connection)
        .unwrap();
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(&format!("{field}:")));
    line.unwrap_or_else(|| panic!("INFO has no {field}"))
        .to_string()
}

#[test]
fn strings_keys_and_expiry() {
    let server = start();
    let mut c = connect(&server);
    let _: () = c.set("name", "value").unwrap();
    assert_eq!(c.get::<_, String>("name").unwrap(), "value");
    assert_eq!(c.get::<_, Option<String>>("nothing").unwrap(), None);
    let _: () = c.set_ex("brief", 1, 100).unwrap();
    assert!((99..=100).contains(&c.ttl::<_, i64>("brief").unwrap()));
    assert_eq!(c.incr::<_, _, i64>("n", 5).unwrap(), 5);
    let _: () = c.mset(&[("a", 1), ("b", 2)]).unwrap();
    assert_eq!(
        c.mget::<_, Vec<Option<i32>>>(&["a", "x", "b"]).unwrap(),
        [Some(1), None, Some(2)]
    );
    assert_eq!(c.del::<_, i32>(&["a", "b", "x"]).unwrap(), 2);
    let error = c.incr::<_, _, i64>("name", 1).unwrap_err();
    assert!(error.to_string().contains("not an integer"), "{error}");
}

#[test]
fn a_scan_finds_every_key() {
    let server = start();
    let mut c = connect(&server);
    let mut pipe = redis::pipe();
    for i in 0..5000 {
        pipe.set(format!("key:{i}"), i).ignore();
    }
    let _: () = pipe.query(&mut c).unwrap();
    let found: HashSet<String> = c
        .scan_match::<_, String>("key:*")
        .unwrap()
        .map(|k| k.unwrap())
        .collect();
    assert_eq!(found.len(), 5000);
}

#[test]
fn streams_through_the_typed_interface() {
    let server = start();
    let mut c = connect(&server);
    let id: String = c
        .xadd("events", "*", &[("kind", "click"), ("user", "7")])
        .unwrap();
    let _: String = c.xadd("events", "*", &[("kind", "key")]).unwrap();
    assert_eq!(c.xlen::<_, i32>("events").unwrap(), 2);
    let all: StreamRangeReply = c.xrange_all("events").unwrap();
    assert_eq!(all.ids[0].id, id);
    assert_eq!(all.ids[0].get::<String>("kind").unwrap(), "click");
    let options = StreamReadOptions::default().count(10).block(10);
    let read: StreamReadReply = c.xread_options(&["events"], &[&id], &options).unwrap();
    assert_eq!(read.keys[0].ids.len(), 1);
    let none: Option<StreamReadReply> = c.xread_options(&["events"], &["$"], &options).unwrap();
    assert!(none.is_none_or(|r| r.keys.is_empty()));
}

#[test]
fn the_last_entry_can_be_read_again() {
    let server = start();
    let mut c = Client::connect(server.address());
    c.ask("XADD s 1-1 f v");
    c.ask("XADD s 2-1 f v");
    c.ask("XADD s 3-1 f v");
    c.ask("XDEL s 3-1");
    assert_eq!(
        show(&c.ask("XREAD STREAMS s +")),
        "1) 1) \"s\"\n   2) 1) 1) \"2-1\"\n         2) 1) \"f\"\n            2) \"v\""
    );
    assert_eq!(show(&c.ask("XREAD STREAMS nothing +")), "(nil)");
}

#[test]
fn a_client_with_no_touch_sees_the_use_of_keys_and_does_not_change_it() {
    let server = start();
    let mut c = connect(&server);
    let mut ask = |line: &str| -> redis::Value {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        command.query(&mut c).unwrap()
    };
    ask("CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 0");
    ask("CLIENT NO-TOUCH ON");
    ask("SET k v");
    ask("GET k");
    ask("APPEND k w");
    assert_eq!(ask("OBJECT FREQ k"), redis::Value::Int(5));
    ask("TOUCH k");
    assert_eq!(ask("OBJECT FREQ k"), redis::Value::Int(6));
    ask("CLIENT NO-TOUCH OFF");
    ask("GET k");
    assert_eq!(ask("OBJECT FREQ k"), redis::Value::Int(7));
}

#[test]
fn transfers_between_accounts_lose_nothing() {
    // Four threads move money with WATCH, MULTI and EXEC. The sum must stay the same.
    let server = start();
    let mut c = connect(&server);
    let _: () = c.mset(&[("from", 400), ("to", 0)]).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut c = connect(&server);
                for _ in 0..100 {
                    let _: () = redis::transaction(&mut c, &["from", "to"], |c, pipe| {
                        let from: i64 = c.get("from")?;
                        pipe.set("from", from - 1)
                            .ignore()
                            .incr("to", 1)
                            .ignore()
                            .query(c)
                    })
                    .unwrap();
                }
            });
        }
    });
    assert_eq!(c.mget::<_, Vec<i64>>(&["from", "to"]).unwrap(), [0, 400]);
}

#[test]
fn counters_from_many_connections_add_up() {
    let server = start();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut c = connect(&server);
                for _ in 0..200 {
                    let _: i64 = c.incr("hits", 1).unwrap();
                }
            });
        }
    });
    assert_eq!(connect(&server).get::<_, i64>("hits").unwrap(), 4000);
}

#[test]
fn every_reader_gets_every_entry_once_and_in_order() {
    let server = start();
    let (readers, entries) = (10, 300);
    let ready = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..readers {
            scope.spawn(|| {
                let mut c = connect(&server);
                let (mut last, mut seen) = ("0".to_string(), 0);
                ready.fetch_add(1, SeqCst);
                while seen < entries {
                    let options = StreamReadOptions::default().block(0);
                    let reply: StreamReadReply =
                        c.xread_options(&["log"], &[&last], &options).unwrap();
                    for id in &reply.keys[0].ids {
                        assert_eq!(id.get::<i32>("n").unwrap(), seen);
                        seen += 1;
                        last.clone_from(&id.id);
                    }
                }
            });
        }
        wait_for(|| ready.load(SeqCst) == readers);
        let mut c = connect(&server);
        for n in 0..entries {
            let _: String = c.xadd("log", "*", &[("n", n)]).unwrap();
        }
    });
    assert_eq!(info(&mut connect(&server), "blocked_clients"), "0");
}

#[test]
fn each_job_is_handed_to_one_worker() {
    // Twenty workers of one consumer group block for jobs and acknowledge them. Every job must be done exactly once.
    let server = start();
    let (workers, jobs) = (20, 500);
    let mut c = Client::connect(server.address());
    c.ask("XGROUP CREATE jobs team $ MKSTREAM");
    let done: Vec<String> = thread::scope(|scope| {
        let work = |name: usize| {
            let mut c = connect(&server);
            let mut done = vec![];
            loop {
                let options = StreamReadOptions::default()
                    .group("team", name)
                    .count(3)
                    .block(500);
                let reply: Option<StreamReadReply> =
                    c.xread_options(&["jobs"], &[">"], &options).unwrap();
                let Some(key) = reply.and_then(|r| r.keys.into_iter().next()) else {
                    return done;
                };
                for job in key.ids {
                    let _: i64 = c.xack("jobs", "team", &[&job.id]).unwrap();
                    done.push(job.id);
                }
            }
        };
        let threads: Vec<_> = (0..workers)
            .map(|name| scope.spawn(move || work(name)))
            .collect();
        for n in 0..jobs {
            c.ask(&format!("XADD jobs * n {n}"));
        }
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    assert_eq!(done.len(), jobs);
    assert_eq!(done.iter().collect::<HashSet<_>>().len(), jobs);
    assert_eq!(
        show(&c.ask("XPENDING jobs team")),
        "1) (integer) 0\n2) (nil)\n3) (nil)\n4) (nil)"
    );
}

#[test]
fn memory_usage_grows_with_what_is_pending() {
    let server = start();
    let mut c = Client::connect(server.address());
    let usage = |c: &mut Client| match c.ask("MEMORY USAGE s") {
        Reply::Int(n) => n,
        other => panic!("{other:?}"),
    };
    c.ask("XGROUP CREATE s g $ MKSTREAM");
    let empty = usage(&mut c);
    for n in 0..1000 {
        c.ask(&format!("XADD s * n {n}"));
    }
    let filled = usage(&mut c);
    c.ask("XREADGROUP GROUP g c STREAMS s >");
    assert!(empty < 1000 && filled > empty + 10_000 && usage(&mut c) > filled + 40_000);
}

#[test]
fn waits_can_be_ended_from_outside() {
    let server = start();
    let (mut control, mut waiter) = (
        Client::connect(server.address()),
        Client::connect(server.address()),
    );
    let Reply::Int(id) = waiter.ask("CLIENT ID") else {
        panic!()
    };
    let block = |waiter: &mut Client, control: &mut Client| {
        waiter.send_raw(b"XREAD BLOCK 0 STREAMS s $\r\n");
        wait_for(|| {
            let Reply::Bulk(Some(text)) = control.ask("INFO clients") else {
                panic!()
            };
            String::from_utf8_lossy(&text).contains("blocked_clients:1")
        });
    };
    block(&mut waiter, &mut control);
    assert_eq!(control.ask(&format!("CLIENT UNBLOCK {id}")), Reply::Int(1));
    assert_eq!(waiter.reply().unwrap(), Reply::List(b'*', None));
    block(&mut waiter, &mut control);
    assert_eq!(
        control.ask(&format!("CLIENT UNBLOCK {id} ERROR")),
        Reply::Int(1)
    );
    let text = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
    assert_eq!(waiter.reply().unwrap(), Reply::Error(text.into()));
    block(&mut waiter, &mut control);
    assert_eq!(control.ask(&format!("CLIENT KILL ID {id}")), Reply::Int(1));
    assert!(waiter.reply().is_err());
    assert_eq!(control.ask(&format!("CLIENT UNBLOCK {id}")), Reply::Int(0));
}

#[test]
fn a_client_that_has_its_reply_is_no_longer_counted_as_waiting() {
    const TRIES: usize = 300;
    let server = start();
    let [mut waiting, mut other] = [(); 2].map(|()| Client::connect(server.address()));
    let mut c = connect(&server);
    other.ask("XGROUP CREATE s g $ MKSTREAM");
    for i in 0..TRIES {
        let command = match i % 3 {
            0 => "XREAD BLOCK 0 STREAMS s $",
            1 => "XREADGROUP GROUP g a BLOCK 0 STREAMS s >",
            _ => "XREAD BLOCK 1 STREAMS s $",
        };
        waiting.send(&command.split(' ').map(|w| w.into()).collect::<Vec<_>>());
        if i % 3 < 2 {
            wait_for(|| info(&mut c, "blocked_clients") == "1");
            other.ask("XADD s * f v");
        }
        waiting.reply().unwrap();
        assert_eq!(info(&mut c, "blocked_clients"), "0", "after {command}");
        other.ask("XREADGROUP GROUP g b STREAMS s >");
    }
}

#[test]
fn a_call_that_waits_is_counted_once_and_its_failure_when_it_ends() {
    let server = start();
    let [mut waiting, mut other] = [(); 2].map(|()| Client::connect(server.address()));
    let mut c = connect(&server);
    let figures = |c: &mut Connection, command: &str| {
        let text = info(c, &format!("cmdstat_{command}"));
        let figure = |name: &str| {
            text.split(',')
                .find_map(|f| f.strip_prefix(name))
                .unwrap()
                .to_string()
        };
        (figure("calls="), figure("failed_calls="))
    };
    let pair = |calls: &str, failed: &str| (calls.to_string(), failed.to_string());
    other.ask("XGROUP CREATE s g $ MKSTREAM");
    let read = encode(
        &"XREADGROUP GROUP g a BLOCK 0 STREAMS s >"
            .split(' ')
            .map(|w| w.into())
            .collect::<Vec<_>>(),
    );
    for (ends, failed) in [("XADD s * f v", "0"), ("XGROUP DESTROY s g", "1")] {
        waiting.send_raw(&read);
        wait_for(|| info(&mut c, "blocked_clients") == "1");
        other.ask(ends);
        waiting.reply().unwrap();
        let calls = if failed == "0" { "1" } else { "2" };
        assert_eq!(figures(&mut c, "xreadgroup"), pair(calls, failed));
    }
    assert!(info(&mut c, "errorstat_NOGROUP").contains("count=1"));
    let id = waiting.ask("CLIENT ID");
    for how in ["TIMEOUT", "ERROR"] {
        waiting.send(
            &"XREAD BLOCK 0 STREAMS s $"
                .split(' ')
                .map(|w| w.into())
                .collect::<Vec<_>>(),
        );
        wait_for(|| info(&mut c, "blocked_clients") == "1");
        let unblock = format!(
            "CLIENT UNBLOCK {} {how}",
            show(&id).replace("(integer) ", "")
        );
        assert_eq!(show(&other.ask(&unblock)), "(integer) 1");
        waiting.reply().unwrap();
    }
    // As in Redis, a call that CLIENT UNBLOCK ends counts as failed, and so does CLIENT UNBLOCK ERROR itself.
    assert_eq!(figures(&mut c, "xread"), pair("2", "2"));
    assert_eq!(figures(&mut c, "client|unblock"), pair("2", "1"));
}

#[test]
fn a_blocked_client_that_hangs_up_is_noticed_within_two_seconds() {
    let server = start();
    let mut c = connect(&server);
    let mut waiter = Client::connect(server.address());
    // The request behind the blocking one must not hide the end of the connection.
    waiter.send_raw(b"XREAD BLOCK 0 STREAMS s $\r\nPING\r\n");
    wait_for(|| info(&mut c, "blocked_clients") == "1");
    let began = Instant::now();
    drop(waiter);
    wait_for(|| info(&mut c, "blocked_clients") == "0");
    wait_for(|| info(&mut c, "connected_clients") == "1");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_pipeline_waits_in_its_order() {
    let server = start();
    let mut a = Client::connect(server.address());
    a.send_raw(b"PING\r\nXREAD BLOCK 0 STREAMS s $\r\nECHO after\r\n");
    assert_eq!(a.reply().unwrap(), Reply::Simple("PONG".into()));
    assert!(!a.has_reply(Duration::from_millis(50)));
    Client::connect(server.address()).ask("XADD s 1-1 f v");
    assert!(matches!(a.reply().unwrap(), Reply::List(..)));
    assert_eq!(a.reply().unwrap(), Reply::Bulk(Some(b"after".to_vec())));
}

#[test]
fn a_pipeline_may_be_longer_than_all_buffers() {
    // The client sends 64 MB of requests before it reads the first reply. The replies are as large.
    let server = start();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let value = vec![b'x'; 64 * 1024];
    let request = [
        encode(&[b"SET".to_vec(), b"k".to_vec(), value.clone()]),
        b"GET k\r\n".to_vec(),
    ]
    .concat();
    for _ in 0..1000 {
        stream.write_all(&request).unwrap();
    }
    let expected = [b"+OK\r\n$65536\r\n".as_slice(), &value, b"\r\n"].concat();
    let mut reply = vec![0; expected.len()];
    for _ in 0..1000 {
        stream.read_exact(&mut reply).unwrap();
        assert!(reply == expected);
    }
}

#[test]
fn big_values_come_back_whole() {
    let server = start();
    let mut c = connect(&server);
    for size in [32 * 1024 - 1, 32 * 1024, 1 << 20, 50 << 20] {
        let value: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
        let _: () = redis::pipe()
            .set("big", &value)
            .ignore()
            .set("after", 1)
            .ignore()
            .query(&mut c)
            .unwrap();
        assert!(c.get::<_, Vec<u8>>("big").unwrap() == value);
        assert_eq!(c.get::<_, i32>("after").unwrap(), 1);
    }
}

#[test]
fn an_announced_length_costs_nothing_until_the_bytes_come() {
    let server = start();
    let mut c = connect(&server);
    let memory = |c: &mut Connection| info(c, "used_memory").parse::<u64>().unwrap();
    let before = memory(&mut c);
    let liars: Vec<Client> = (0..50)
        .map(|_| {
            let mut liar = Client::connect(server.address());
            liar.send_raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nabc");
            liar.send_raw(b"def");
            liar
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    // The limit is loose, because other tests run in the same process. The announced lengths add up to 25 GB.
    assert!(memory(&mut c) < before + (2 << 30));
    drop(liars);
}

#[test]
fn a_half_closed_peer_still_gets_its_replies() {
    let server = start();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"SET k v\r\nGET k\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    assert_eq!(all, "+OK\r\n$1\r\nv\r\n");
}

#[test]
fn a_client_that_disconnects_in_the_middle_of_a_request_does_no_harm() {
    let server = start();
    for piece in [
        &b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$10\r\nabc"[..],
        b"*1000000\r\n",
        b"*2\r\n$3\r\nGET\r\n$100000\r\nx",
    ] {
        let mut c = Client::connect(server.address());
        c.send_raw(piece);
    }
    let mut c = connect(&server);
    wait_for(|| info(&mut c, "connected_clients") == "1");
    assert_eq!(c.get::<_, Option<String>>("k").unwrap(), None);
}

#[test]
fn many_keys_that_expire_together_are_deleted_by_the_expiry_cycle() {
    let server = start();
    let mut c = connect(&server);
    for batch in 0..50 {
        let mut pipe = redis::pipe();
        for i in 0..2000 {
            pipe.cmd("SET")
                .arg(format!("k{batch}:{i}"))
                .arg("v")
                .arg("PX")
                .arg(1500)
                .ignore();
        }
        let _: () = pipe.query(&mut c).unwrap();
    }
    wait_for(|| redis::cmd("DBSIZE").query::<i64>(&mut c).unwrap() == 0);
    assert_eq!(info(&mut c, "expired_keys"), "100000");
}

#[test]
fn too_many_clients_are_refused_and_told_so() {
    let server = Server::start(Config {
        maxclients: 3,
        ..Config::for_tests()
    })
    .unwrap();
    let mut inside: Vec<Client> = (0..3).map(|_| Client::connect(server.address())).collect();
    assert_eq!(inside[2].ask("PING"), Reply::Simple("PONG".into()));
    let mut outside = Client::connect(server.address());
    assert_eq!(
        outside.reply().unwrap(),
        Reply::Error("ERR max number of clients reached".into())
    );
    inside.pop();
    wait_for(|| {
        let mut again = Client::connect(server.address());
        again.send_raw(b"PING\r\n");
        again
            .reply()
            .is_ok_and(|r| r == Reply::Simple("PONG".into()))
    });
}

#[test]
fn idle_clients_are_closed() {
    let server = Server::start(Config {
        timeout: 1,
        ..Config::for_tests()
    })
    .unwrap();
    let mut idle = Client::connect(server.address());
    let mut waiting = Client::connect(server.address());
    waiting.send_raw(b"XREAD BLOCK 0 STREAMS s $\r\n");
    assert!(idle.reply().is_err());
    // A blocked client is not idle.
    Client::connect(server.address()).ask("XADD s 1-1 f v");
    assert!(waiting.reply().is_ok());
}

#[test]
fn servers_live_side_by_side_and_leave_nothing_behind() {
    let servers: Vec<Server> = (0..5).map(|_| start()).collect();
    for (i, server) in servers.iter().enumerate() {
        let _: () = connect(server).set("who", i).unwrap();
    }
    for (i, server) in servers.iter().enumerate() {
        assert_eq!(connect(server).get::<_, usize>("who").unwrap(), i);
    }
    let addresses: Vec<_> = servers.iter().map(Server::address).collect();
    let mut open = Client::connect(addresses[0]);
    open.send_raw(b"XREAD BLOCK 0 STREAMS s $\r\n");
    thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    drop(servers);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(open.reply().is_err());
    for address in addresses {
        assert!(TcpStream::connect(address).is_err());
        drop(
            Server::start(Config {
                port: address.port(),
                ..Config::for_tests()
            })
            .unwrap(),
        );
    }
}

#[test]
fn shutdown_is_noticed() {
    let server = start();
    assert!(!server.wait(Duration::from_millis(1)));
    let mut c = Client::connect(server.address());
    c.send_raw(b"SHUTDOWN\r\n");
    assert!(server.wait(Duration::from_secs(5)));
    assert!(c.reply().is_err());
}

#[test]
fn figures_are_true() {
    let server = start();
    let mut c = connect(&server);
    let _: () = c.set("k", "v").unwrap();
    let _: RedisResult<String> = c.get("k");
    let _: RedisResult<Option<String>> = c.get("nothing");
    let _: RedisResult<i64> = c.incr("k", 1);
    let _: RedisResult<()> = redis::cmd("GET").query(&mut c);
    assert_eq!(
        (
            info(&mut c, "keyspace_hits").as_str(),
            info(&mut c, "keyspace_misses").as_str()
        ),
        ("1", "1")
    );
    assert!(info(&mut c, "cmdstat_get").starts_with("calls=2,"));
    assert!(info(&mut c, "cmdstat_get").ends_with(",rejected_calls=1,failed_calls=0"));
    assert!(info(&mut c, "cmdstat_incrby").ends_with(",rejected_calls=0,failed_calls=1"));
    assert_eq!(info(&mut c, "errorstat_ERR"), "count=2");
    assert_eq!(info(&mut c, "db0"), "keys=1,expires=0,avg_ttl=0");
    assert_eq!(info(&mut c, "role"), "master");
    assert_eq!(info(&mut c, "redis_version"), "7.0.15");
    let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query(&mut c).unwrap();
    assert_eq!(info(&mut c, "keyspace_hits"), "0");
}

#[test]
fn clients_are_listed() {
    let server = start();
    let mut c = Client::connect(server.address());
    c.ask("CLIENT SETNAME me");
    c.ask("CLIENT SETINFO LIB-NAME mylib");
    c.ask("CLIENT SETINFO LIB-VER 1.2.3");
    assert_eq!(
        c.ask("CLIENT SETINFO NOSUCH x"),
        Reply::Error("ERR Unrecognized option 'NOSUCH'".into())
    );
    c.ask("SELECT 3");
    c.ask("CLIENT NO-EVICT ON");
    let Reply::Bulk(Some(line)) = c.ask("CLIENT INFO") else {
        panic!()
    };
    let line = String::from_utf8(line).unwrap();
    for part in [
        " name=me ",
        " db=3 ",
        " multi=-1 ",
        " cmd=client|info ",
        " flags=e ",
        " resp=2 ",
        " lib-name=mylib ",
        " lib-ver=1.2.3",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let Reply::Bulk(Some(all)) = c.ask("CLIENT LIST") else {
        panic!()
    };
    assert_eq!(all.iter().filter(|&&b| b == b'\n').count(), 1);
}

/// The value of a field in the line of CLIENT LIST about the client with this name.
fn listed(c: &mut Client, name: &str, field: &str) -> String {
    let Reply::Bulk(Some(all)) = c.ask("CLIENT LIST") else {
        panic!()
    };
    let all = String::from_utf8(all).unwrap();
    let line = all.lines().find(|l| l.contains(&format!(" name={name} ")));
    let words = line.unwrap().split(' ');
    let mut values = words.filter_map(|word| word.strip_prefix(&format!("{field}=")));
    values.next().unwrap().to_string()
}

#[test]
fn an_idle_client_is_listed_with_what_it_holds() {
    let server = start();
    let (mut c, mut idle) = (
        Client::connect(server.address()),
        Client::connect(server.address()),
    );
    idle.ask("CLIENT SETNAME idle");
    wait_for(|| listed(&mut c, "idle", "argv-mem") == "0");
    assert_eq!(listed(&mut c, "idle", "qbuf"), "0");
    idle.send_raw(b"SET k");
    wait_for(|| listed(&mut c, "idle", "qbuf") == "5");
    idle.send_raw(b" v\r\n");
    idle.reply().unwrap();
    idle.ask("WATCH k");
    assert_eq!(listed(&mut c, "idle", "flags"), "N");
    c.ask("SET k w");
    assert_eq!(listed(&mut c, "idle", "flags"), "d");
    idle.ask("UNWATCH");
    assert_eq!(listed(&mut c, "idle", "flags"), "N");
    assert_eq!(listed(&mut c, "idle", "events"), "r");
}

#[test]
fn debug_object_shows_a_key_that_has_expired() {
    let mut config = Config::for_tests();
    config.enable_debug_command = "yes";
    let server = Server::start(config).unwrap();
    let mut c = Client::connect(server.address());
    c.ask("DEBUG SET-ACTIVE-EXPIRE 0");
    c.ask("SET k v PX 1");
    std::thread::sleep(Duration::from_millis(20));
    let Reply::Simple(line) = c.ask("DEBUG OBJECT k") else {
        panic!()
    };
    assert!(line.contains(" encoding:embstr "), "{line}");
    assert_eq!(c.ask("DBSIZE"), Reply::Int(1));
}

#[test]
fn help_and_docs_have_their_shape() {
    let server = start();
    let mut c = Client::connect(server.address());
    for container in [
        "CLIENT", "CONFIG", "COMMAND", "OBJECT", "MEMORY", "XGROUP", "XINFO",
    ] {
        let Reply::List(_, Some(lines)) = c.ask(&format!("{container} HELP")) else {
            panic!("{container}")
        };
        assert!(lines.len() > 4 && lines.iter().all(|l| matches!(l, Reply::Simple(_))));
    }
    let Reply::List(_, Some(docs)) = c.ask("COMMAND DOCS") else {
        panic!()
    };
    let Reply::Int(count) = c.ask("COMMAND COUNT") else {
        panic!()
    };
    assert_eq!(docs.len() as i64, count * 2);
    let Reply::List(_, Some(all)) = c.ask("COMMAND") else {
        panic!()
    };
    assert_eq!(all.len() as i64, count);
}

#[test]
fn a_client_that_does_not_read_stops_no_other_client() {
    let server = start();
    let mut big = connect(&server);
    let _: () = big.set("big", vec![b'x'; 10 << 20]).unwrap();
    let mut deaf = TcpStream::connect(server.address()).unwrap();
    for _ in 0..20 {
        deaf.write_all(b"GET big\r\n").unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut c = connect(&server);
            (0..200).for_each(|i| c.set::<_, _, ()>("k", i).unwrap());
            done.store(true, SeqCst);
        });
        wait_for(|| done.load(SeqCst));
    });
}
