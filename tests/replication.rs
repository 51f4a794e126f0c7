//! Replication between this server and the real redis-server, each as the primary, as the replica, and in the middle of a
//! chain.
//!
//! The tests break links, run transactions and promote replicas. In the end the contents of all servers must be equal.
//! Some tests play a primary or a replica themselves, on a plain socket.

mod common;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::chance::{Dice, command};
use common::words;
use common::{Client, RealRedis, Reply, encode, show, wait_for};
use redis_clone::{Config, Server};

/// A server of either kind. Dropping this value stops the server.
enum Node {
    /// This server, in the process of the test.
    Ours(Server),
    /// The real redis-server, in a process of its own.
    Real(RealRedis),
}

impl Node {
    /// Starts this server.
    fn ours() -> Node {
        let config = Config {
            enable_debug_command: "yes",
            repl_timeout: 600,
            repl_diskless_sync_delay: 0,
            ..Config::for_tests()
        };
        Node::Ours(Server::start(config).unwrap())
    }

    /// Starts the real redis-server, if it is installed.
    fn real() -> Option<Node> {
        let options = [
            "--repl-diskless-sync-delay",
            "0",
            "--repl-timeout",
            "600",
            "--enable-debug-command",
            "yes",
        ];
        RealRedis::start(&options.map(String::from)).map(Node::Real)
    }

    fn address(&self) -> SocketAddr {
        match self {
            Node::Ours(server) => server.address(),
            Node::Real(redis) => redis.address,
        }
    }

    fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// A field of INFO.
    fn info(&self, field: &str) -> String {
        let Reply::Bulk(Some(text)) = self.client().ask("INFO everything") else {
            panic!("no INFO");
        };
        let text = String::from_utf8(text).unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| *name == field);
        found.map_or(String::new(), |(_, value)| value.to_string())
    }

    /// Makes this server a replica of `primary`. Does not wait.
    fn follow(&self, primary: &Node) {
        let address = primary.address();
        let line = format!("REPLICAOF {} {}", address.ip(), address.port());
        assert_eq!(self.client().ask(&line), Reply::Simple("OK".into()));
    }

    /// Whether the link to the primary is up.
    fn follows(&self) -> bool {
        self.info("master_link_status") == "up"
    }

    /// Waits until this replica is at the same offset as `primary`.
    fn catch_up(&self, primary: &Node) {
        let began = std::time::Instant::now();
        let offset = |node: &Node| node.info("master_repl_offset");
        while !self.follows() || offset(self) != offset(primary) {
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "follows: {}, at offset {} while its primary is at {}",
                self.follows(),
                offset(self),
                offset(primary)
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything that the server holds.
    fn contents(&self) -> Contents {
        let (mut client, mut all) = (self.client(), BTreeMap::new());
        for db in 0..16 {
            client.ask(&format!("SELECT {db}"));
            let Reply::List(_, Some(keys)) = client.ask("KEYS *") else {
                panic!("no KEYS");
            };
            for key in keys {
                let Reply::Bulk(Some(key)) = key else {
                    panic!("no key");
                };
                let mut ask = |words: &[&[u8]]| {
                    client.send(&words.iter().map(|w| w.to_vec()).collect::<Vec<_>>());
                    client.reply().unwrap()
                };
                let kind = ask(&[b"TYPE", &key]);
                let mut facts = vec![show(&ask(&[b"PEXPIRETIME", &key]))];
                if kind == Reply::Simple("string".into()) {
                    facts.push(show(&ask(&[b"GET", &key])));
                } else {
                    facts.push(show(&ask(&[b"XRANGE", &key, b"-", b"+"])));
                    let full = ask(&[b"XINFO", b"STREAM", &key, b"FULL", b"COUNT", b"0"]);
                    if let Reply::List(_, Some(fields)) = full {
                        facts.extend(comparable(fields));
                    }
                }
                all.insert((db, key), facts);
            }
        }
        all
    }
}

/// For each database and key: the expiry, the value, and for a stream the facts that XINFO shows.
type Contents = BTreeMap<(usize, Vec<u8>), Vec<String>>;

/// The reply to XINFO STREAM FULL, without facts that differ between a primary and its replica in Redis, too: the size of the
/// radix tree, and facts that the replication stream does not carry (how many entries a group has read, and consumers
/// without pending entries).
fn comparable(mut full: Vec<Reply>) -> Vec<String> {
    let Some(Reply::List(_, Some(groups))) = full.pop() else {
        panic!("no groups");
    };
    full.drain(2..6);
    let mut facts: Vec<String> = full.iter().map(show).collect();
    for group in groups {
        let Reply::List(_, Some(fields)) = group else {
            panic!("no group");
        };
        let fields = fields
            .chunks(2)
            .map(|pair| (show(&pair[0]), show(&pair[1])));
        let left_out = ["\"entries-read\"", "\"lag\"", "\"consumers\""];
        let kept = fields.filter(|(name, _)| !left_out.contains(&name.as_str()));
        facts.extend(kept.map(|(name, value)| format!("{name} {value}")));
    }
    facts
}

/// Pairs of a primary and a replica of which at least one is this server: all kinds that this machine can start.
fn pairs() -> Vec<(Node, Node)> {
    let mut pairs = vec![(Node::ours(), Node::ours())];
    if let (Some(primary), Some(replica)) = (Node::real(), Node::real()) {
        pairs.push((primary, Node::ours()));
        pairs.push((Node::ours(), replica));
    }
    pairs
}

/// Panics if the contents of two servers differ, and shows the first difference.
fn assert_equal(a: &Node, b: &Node) {
    let (a, b) = (a.contents(), b.contents());
    assert!(a.keys().eq(b.keys()), "{:?}\n{:?}", a.keys(), b.keys());
    for (key, facts) in &a {
        for (fact, other) in facts.iter().zip(&b[key]) {
            let mut pairs = fact.lines().zip(other.lines());
            let differ = pairs.find(|(line, other)| line != other);
            assert_eq!(differ, None, "{key:?}");
        }
        assert_eq!(facts, &b[key]);
    }
}

/// Sends this many random commands on a connection of its own.
fn disturb(node: &Node, seed: u64, commands: usize) {
    let (mut client, mut dice, mut clock) = (node.client(), Dice(seed), 0);
    for _ in 0..commands {
        let line = command(&mut dice, &mut clock);
        client.send(&words::split(line.as_bytes()).unwrap());
        client.reply().unwrap();
    }
}

/// The seeds 1 to `usual`, or 1 to n if the environment has `SEEDS=n`.
fn seeds(usual: u64) -> impl Iterator<Item = u64> {
    let wanted = std::env::var("SEEDS").ok();
    1..=wanted.map_or(usual, |n| n.parse().unwrap())
}

/// Fills a server with data of every sort: both types, expiries, two databases, binary and big values, consumer groups with
/// entries in every state.
fn fill(node: &Node) {
    let mut client = node.client();
    let mut ask = |line: &str| {
        let reply = client.ask(line);
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
    };
    ask("FLUSHALL");
    for i in 0..2000 {
        ask(&format!("SET key:{i} value:{i}"));
    }
    ask("SET number -12345");
    ask("SET float 3.25");
    ask("SET soon 1 EX 1000");
    ask("SET \"\\x00\\xff\\r\\n\" \"\\x00\\x01\\xfe\"");
    ask(&format!("SET big {}", "0123456789abcdef".repeat(100_000)));
    for i in 1..=500 {
        ask(&format!("XADD s {i}-1 sensor {i} reading {}", i * i));
    }
    ask("XADD s 501-1 other fields here too");
    ask("XDEL s 7-1 400-1");
    ask("XTRIM s MAXLEN ~ 450 LIMIT 1000");
    ask("XADD s MAXLEN ~ 350 LIMIT 200 502-1 more fields");
    ask("XGROUP CREATE s g 0");
    ask("XGROUP CREATE s late $ ENTRIESREAD 5");
    ask("XREADGROUP GROUP g ann COUNT 120 STREAMS s >");
    ask("XREADGROUP GROUP g bob COUNT 3 STREAMS s >");
    ask("XREADGROUP GROUP g cid COUNT 1 NOACK STREAMS s >");
    ask("XACK s g 150-1");
    ask("XGROUP CREATECONSUMER s g idle");
    ask("XGROUP CREATE empty g $ MKSTREAM");
    ask("EXPIRE s 5000");
    ask("SELECT 9");
    ask("SET elsewhere 1");
    ask("XADD t * f v");
}

#[test]
fn a_replica_gets_everything_and_then_every_change() {
    for (primary, replica) in pairs() {
        fill(&primary);
        replica.client().ask("SET mine 1");
        replica.follow(&primary);
        replica.catch_up(&primary);
        assert_equal(&primary, &replica);
        assert_eq!(primary.info("connected_slaves"), "1");
        for seed in seeds(4) {
            disturb(&primary, seed, 2000);
            replica.catch_up(&primary);
            assert_equal(&primary, &replica);
        }
        fill(&primary);
        replica.catch_up(&primary);
        assert_equal(&primary, &replica);
        let refused = replica.client().ask("SET a 1");
        let text = "READONLY You can't write against a read only replica.";
        assert_eq!(refused, Reply::Error(text.into()));
    }
}

/// Plays a replica of `node`: reads the full copy. The next bytes on the connection are the replication stream.
fn listen(node: &Node) -> Client {
    listen_as(node.client())
}

/// The same on a connection that has already sent something.
fn listen_as(mut client: Client) -> Client {
    // Without `REPLCONF capa eof`, the primary announces the length of the copy, and sends the stream right after the copy.
    client.send_raw(b"PSYNC ? -1\r\n");
    while !client.line().starts_with("+FULLRESYNC") {}
    let announced = loop {
        if let Some(len) = client.line().strip_prefix('$') {
            break len.parse().unwrap();
        }
    };
    assert!(client.bytes(announced).starts_with(b"REDIS0010"));
    client
}

/// The commands in the replication stream so far, without times. To find the end, this function makes `node` send a SET of
/// the key `the-end`.
fn changes(stream: &mut Client, node: &Node) -> Vec<String> {
    node.client().ask("SET the-end 1");
    let mut changes = vec![];
    loop {
        let Reply::List(_, Some(words)) = stream.reply().unwrap() else {
            panic!("the stream has something that is no request");
        };
        let words = words.iter().map(show).map(|word| without_times(&word));
        let change = words.collect::<Vec<_>>().join(" ");
        if change.contains("the-end") {
            return changes;
        }
        if change != "\"ping\"" {
            changes.push(change);
        }
    }
}

/// Replaces every number of 13 digits, which is a time in milliseconds, by `TIME`.
fn without_times(text: &str) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut out = String::new();
    for run in text.split_inclusive(|c| !is_digit(c)) {
        let digits = run.trim_end_matches(|c| !is_digit(c));
        let masked = if digits.len() == 13 { "TIME" } else { digits };
        out.push_str(masked);
        out.push_str(&run[digits.len()..]);
    }
    out
}

/// Commands, most of which are propagated in a form that differs from the command that the client sent.
const TRANSLATED: &str = "
    SET a 1 EX 100
    SET a 2 PX 100000 NX
    SET a 2 KEEPTTL
    SET a 3 EXAT 9999999999 GET
    SET a 4 GET
    SETEX a 100 v
    PSETEX a 100000 v
    GETEX a EX 50
    GETEX a PERSIST
    GETEX a PXAT 1
    SET a 10
    GETSET a 11
    EXPIRE a 100
    EXPIRE a 100 NX
    PEXPIRE a 200000 GT
    EXPIREAT a 9999999999
    PEXPIREAT a 9999999999000
    PERSIST a
    EXPIRE a -1
    INCRBYFLOAT f 1.5
    INCRBYFLOAT f 1e2
    APPEND f x
    GETDEL f
    SELECT 5
    SET five 1
    MSET x 1 y 2
    MULTI
    SET x 2
    INCR y
    DEL nosuch
    EXEC
    MULTI
    SET x 3
    EXEC
    MULTI
    GET x
    EXEC
    MULTI
    SELECT 6
    SET six 1
    SELECT 7
    SET seven 1
    EXEC
    SELECT 0
    XADD s * f v
    XADD s 9999999999999-* f v
    XADD s MAXLEN ~ 1 9999999999999-100 f v
    XADD s MAXLEN 2 9999999999999-101 f v
    XADD s NOMKSTREAM MINID ~ 5 9999999999999-102 f v
    XADD t 1-1 f v
    XADD t 2-1 f v
    XADD t 3-1 f v
    XADD t 4-1 f v
    XTRIM t MAXLEN ~ 3
    XTRIM t MAXLEN 3
    XTRIM t MINID 2
    XDEL t 4-1 5-1
    XADD v 1-1 f v
    XADD v 2-1 f v
    XTRIM v MINID ~ 9
    XADD v MAXLEN ~ 9 LIMIT 5 2-2 f v
    XADD v 3-1 f v
    XTRIM v MAXLEN ~ 0 LIMIT 10
    XADD v 3-2 f v
    XADD v MINID ~ 9 4-1 f v
    XSETID t 9-9 ENTRIESADDED 20 MAXDELETEDID 4-1
    XGROUP CREATE t g 0
    XGROUP CREATE new g $ MKSTREAM
    XGROUP CREATECONSUMER t g zoe
    XGROUP CREATECONSUMER t g zoe
    XREADGROUP GROUP g ann COUNT 1 STREAMS t >
    XREADGROUP GROUP g ann STREAMS t 0
    XREADGROUP GROUP g bob COUNT 1 NOACK STREAMS t >
    XADD t * f v
    XREADGROUP GROUP g bob NOACK STREAMS t >
    XREADGROUP GROUP g ann STREAMS t >
    XADD t 9999999999999-7 f v
    XADD t 9999999999999-8 f v
    XREADGROUP GROUP g ann STREAMS t new > >
    XCLAIM t g cid 0 2-1 9999999999999-7 9999999999999-8
    XCLAIM t g cid 0 9999999999999-7 JUSTID
    XCLAIM t g cid 0 9999999999999-8 IDLE 1000 RETRYCOUNT 7
    XDEL t 9999999999999-7
    XAUTOCLAIM t g eve 0 0
    XAUTOCLAIM t g eve 0 0 JUSTID
    XACK t g 2-1 9999999999999-8
    XGROUP SETID t g 3-1 ENTRIESREAD 2
    XGROUP DELCONSUMER t g eve
    XGROUP DESTROY t g
    COPY t u
    RENAME u w
    MOVE w 3
    COPY t t DB 4 REPLACE
    SWAPDB 0 1
    SELECT 1
    GETEX x
    DEL x y
    UNLINK t nosuch
    FLUSHDB
    FLUSHDB ASYNC
    FLUSHALL
    FLUSHALL
    SET gone 1 PX 20
    DEBUG SLEEP 0.1
    GET gone
    SET gone 1 PX 20
    DEBUG SLEEP 0.1
    SET gone 2
    SET gone 1 PX 20
    SET gone2 1 PX 20
    DEBUG SLEEP 0.1
    MSET gone 1 gone2 2
    SET gone 1 PX 20
    DEBUG SLEEP 0.1
    MULTI
    GET gone
    SET other 1
    EXEC
    XADD gone * f v
    SELECT 0
";

#[test]
fn the_stream_of_changes_is_that_of_redis_byte_for_byte() {
    let Some(real) = Node::real() else {
        return;
    };
    let ours = Node::ours();
    let streams = [&ours, &real].map(|node| {
        let mut client = node.client();
        client.ask("DEBUG SET-ACTIVE-EXPIRE 0");
        let mut stream = listen(node);
        for line in TRANSLATED.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let reply = client.ask(line);
            assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
        }
        let mut all = changes(&mut stream, node);
        for seed in seeds(6) {
            disturb(node, seed, 2000);
            all.push(format!("--- seed {seed}"));
            all.extend(changes(&mut stream, node));
        }
        all
    });
    let [ours, real] = &streams;
    for (i, (ours, real)) in ours.iter().zip(real).enumerate() {
        let before = streams[1][i.saturating_sub(3)..i].join("\n");
        assert_eq!(ours, real, "after\n{before}");
    }
    assert_eq!(ours.len(), real.len());
}

#[test]
fn a_broken_link_is_mended_without_a_second_copy() {
    for (primary, replica) in pairs() {
        primary.client().ask("CONFIG SET repl-backlog-size 50mb");
        replica.follow(&primary);
        wait_for(|| replica.follows());
        let copies = primary.info("sync_full");
        thread::scope(|scope| {
            for seed in 1..=3 {
                let primary = &primary;
                scope.spawn(move || disturb(primary, seed, 4000));
            }
            let mut admin = primary.client();
            for times in 1..=5 {
                admin.ask("CLIENT KILL TYPE replica");
                wait_for(|| primary.info("sync_partial_ok") == times.to_string());
            }
        });
        replica.catch_up(&primary);
        assert_equal(&primary, &replica);
        assert_eq!(primary.info("sync_full"), copies);
    }
}

#[test]
fn a_replica_that_has_missed_too_much_gets_a_new_copy() {
    for (primary, replica) in pairs() {
        primary.client().ask("CONFIG SET repl-backlog-size 16384");
        replica.follow(&primary);
        wait_for(|| replica.follows());
        // While the replica follows a primary that does not answer, it misses the changes.
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = nobody.local_addr().unwrap().port();
        replica.client().ask(&format!("REPLICAOF 127.0.0.1 {port}"));
        wait_for(|| primary.info("connected_slaves") == "0");
        disturb(&primary, 1, 1000);
        primary
            .client()
            .ask(&format!("SET big {}", "x".repeat(500_000)));
        replica.follow(&primary);
        replica.catch_up(&primary);
        assert_equal(&primary, &replica);
        assert_eq!(primary.info("sync_full"), "2");
    }
}

#[test]
fn a_replica_logs_in_and_says_where_it_is() {
    for (primary, replica) in pairs() {
        primary.client().ask("SET a 1");
        primary.client().ask("CONFIG SET requirepass secret");
        let mut admin = primary.client();
        admin.ask("AUTH secret");
        let mut client = replica.client();
        client.ask("CONFIG SET replica-announce-ip 10.1.2.3");
        client.ask("CONFIG SET replica-announce-port 77");
        replica.follow(&primary);
        thread::sleep(Duration::from_millis(100));
        assert!(!replica.follows());
        client.ask("CONFIG SET masterauth secret");
        client.ask("CONFIG SET masteruser default");
        wait_for(|| replica.follows() && show(&client.ask("GET a")) == "\"1\"");
        let announced = "\"10.1.2.3\"\n      2) \"77\"";
        wait_for(|| show(&admin.ask("ROLE")).contains(announced));
    }
}

/// Three servers, in two arrangements of the real redis-server and this server, and all of this server.
fn rows() -> Vec<[Node; 3]> {
    let mut rows = vec![[Node::ours(), Node::ours(), Node::ours()]];
    if let (Some(a), Some(b), Some(c)) = (Node::real(), Node::real(), Node::real()) {
        rows.push([a, Node::ours(), b]);
        rows.push([Node::ours(), c, Node::ours()]);
    }
    rows
}

#[test]
fn replicas_of_replicas_have_the_same_offsets() {
    for [first, second, third] in rows() {
        fill(&first);
        second.follow(&first);
        third.follow(&second);
        thread::scope(|scope| {
            scope.spawn(|| disturb(&first, 7, 3000));
            scope.spawn(|| disturb(&first, 8, 3000));
            thread::sleep(Duration::from_millis(50));
            second.client().ask("CLIENT KILL TYPE master");
            thread::sleep(Duration::from_millis(50));
            second.client().ask("CLIENT KILL TYPE replica");
        });
        second.catch_up(&first);
        third.catch_up(&first);
        assert_equal(&first, &second);
        assert_equal(&first, &third);
        for field in ["master_replid", "master_repl_offset"] {
            assert_eq!(third.info(field), first.info(field));
        }
    }
}

#[test]
fn a_promoted_replica_is_followed_without_a_copy() {
    for [first, second, third] in rows() {
        disturb(&first, 1, 500);
        second.follow(&first);
        third.follow(&first);
        second.catch_up(&first);
        third.catch_up(&first);
        disturb(&first, 2, 500);
        second.catch_up(&first);
        third.catch_up(&first);
        let old = first.info("master_replid");
        second.client().ask("REPLICAOF NO ONE");
        assert_eq!(second.info("master_replid2"), old);
        disturb(&second, 3, 500);
        // Both the other replica and the old primary can continue without a copy: the old primary has accepted no write since.
        third.follow(&second);
        first.follow(&second);
        disturb(&second, 4, 500);
        for replica in [&first, &third] {
            replica.catch_up(&second);
            assert_equal(&second, replica);
        }
        assert_eq!(second.info("sync_full"), "0");
        assert_eq!(second.info("sync_partial_ok"), "2");
    }
}

#[test]
fn wait_counts_the_replicas_that_have_this_client_s_writes() {
    for [first, second, third] in rows() {
        // This client has written nothing, and there are no replicas.
        assert_eq!(first.client().ask("WAIT 0 100"), Reply::Int(0));
        assert_eq!(first.client().ask("WAIT 1 50"), Reply::Int(0));
        second.follow(&first);
        third.follow(&first);
        second.catch_up(&first);
        third.catch_up(&first);
        thread::scope(|scope| {
            for i in 0..20 {
                let (first, second) = (&first, &second);
                scope.spawn(move || {
                    let mut client = first.client();
                    for n in 0..50 {
                        client.ask(&format!("SET client:{i} {n}"));
                        assert_eq!(client.ask("WAIT 2 5000"), Reply::Int(2));
                        let there = second.client().ask(&format!("GET client:{i}"));
                        assert_eq!(show(&there), format!("\"{n}\""));
                    }
                });
            }
        });
        let mut client = first.client();
        client.ask("SET a 1");
        let began = Instant::now();
        assert_eq!(client.ask("WAIT 3 200"), Reply::Int(2));
        assert!(began.elapsed() >= Duration::from_millis(200));
        client.ask("MULTI");
        client.ask("SET a 2");
        client.ask("WAIT 2 0");
        let Reply::List(_, Some(replies)) = client.ask("EXEC") else {
            panic!("no list");
        };
        assert!(matches!(replies[1], Reply::Int(_)));
    }
}

#[test]
fn a_waiting_client_is_freed_by_unblock_and_by_a_change_of_roles() {
    let (server, other) = (Node::ours(), Node::ours());
    let mut client = server.client();
    let Reply::Int(id) = client.ask("CLIENT ID") else {
        panic!("no ID");
    };
    client.send_raw(b"SET a 1\r\nWAIT 1 0\r\n");
    client.reply().unwrap();
    let unblock = format!("CLIENT UNBLOCK {id}");
    wait_for(|| server.client().ask(&unblock) == Reply::Int(1));
    assert_eq!(client.reply().unwrap(), Reply::Int(0));
    client.send_raw(b"WAIT 1 0\r\n");
    wait_for(|| server.info("blocked_clients") == "1");
    server.follow(&other);
    assert!(show(&client.reply().unwrap()).contains("UNBLOCKED"));
}

/// A small RDB: one key, `k`.
const RDB: &[u8] = b"REDIS0010\xFE\x00\x00\x01k\x01v\xFF\0\0\0\0\0\0\0\0";

/// The announcement of a copy with an end mark.
fn eof(mark: &str) -> Vec<u8> {
    format!("$EOF:{mark}\r\n").into_bytes()
}

/// Announcements and copies that are invalid or incomplete.
fn broken_copies(mark: &str) -> Vec<Vec<u8>> {
    vec![
        vec![],
        b"-ERR no\r\n".to_vec(),
        b"rubbish\r\n".to_vec(),
        b"$abc\r\n".to_vec(),
        b"$-5\r\n".to_vec(),
        b"$99999999999999999\r\nREDIS".to_vec(),
        [b"$26\r\n".as_slice(), &RDB[..20]].concat(),
        [b"$8\r\n".as_slice(), RDB].concat(),
        b"$EOF:short\r\n".to_vec(),
        [eof(mark), RDB[..15].to_vec()].concat(),
        [eof(mark), RDB.to_vec(), b"n".repeat(40)].concat(),
        [eof(mark), b"REDIS0099".to_vec()].concat(),
        [
            eof(mark),
            b"REDIS0010\xFE\x00\x00\x81\x7f\xff\xff\xff\xff\xff\xff\xffx".to_vec(),
        ]
        .concat(),
        [
            eof(mark),
            b"REDIS0010\xFE\x00\x01\x01k\x01\x01a\xFF\0\0\0\0\0\0\0\0".to_vec(),
        ]
        .concat(),
        b"\n".repeat(100_000),
    ]
}

#[test]
fn a_copy_that_breaks_off_leaves_the_old_data() {
    let replica = Node::ours();
    replica.client().ask("SET mine 1");
    let mark = "m".repeat(40);
    let primary = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = primary.local_addr().unwrap().port();
    for body in &broken_copies(&mark) {
        // A new REPLICAOF makes the replica connect at once, without a pause after the failure.
        replica.client().ask("REPLICAOF NO ONE");
        replica.client().ask(&format!("REPLICAOF 127.0.0.1 {port}"));
        let (mut stream, _) = primary.accept().unwrap();
        shake_hands(&mut stream);
        stream.write_all(body).unwrap();
        drop(stream);
        wait_for(|| show(&replica.client().ask("ROLE")).contains("\"connect\""));
        assert_eq!(show(&replica.client().ask("GET mine")), "\"1\"", "{body:?}");
    }
    // Now a complete copy.
    replica.client().ask("REPLICAOF NO ONE");
    replica.client().ask(&format!("REPLICAOF 127.0.0.1 {port}"));
    let (mut stream, _) = primary.accept().unwrap();
    shake_hands(&mut stream);
    stream
        .write_all(&[eof(&mark), RDB.to_vec(), mark.clone().into_bytes()].concat())
        .unwrap();
    wait_for(|| show(&replica.client().ask("GET k")) == "\"v\"");
    assert_eq!(show(&replica.client().ask("GET mine")), "(nil)");
    // The replica skips an unknown command in the stream. Bytes that are not RESP end the link.
    stream
        .write_all(b"*2\r\n$7\r\nPUBLISH\r\n$1\r\nx\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nw\r\n")
        .unwrap();
    wait_for(|| show(&replica.client().ask("GET k")) == "\"w\"");
    for line in ["MULTI", "SET k x", "NOSUCH y", "SET k2 y", "EXEC"] {
        let words = words::split(line.as_bytes()).unwrap();
        stream.write_all(&encode(&words)).unwrap();
    }
    wait_for(|| show(&replica.client().ask("MGET k k2")) == "1) \"x\"\n2) \"y\"");
    stream.write_all(b"*1\r\n%3\r\n").unwrap();
    wait_for(|| !replica.follows());
    assert_eq!(show(&replica.client().ask("GET k")), "\"x\"");
}

/// Plays a primary: does the handshake and announces a full copy.
fn shake_hands(stream: &mut TcpStream) {
    hear_psync(stream);
    let answer = format!("+FULLRESYNC {} 0\r\n", "a".repeat(40));
    stream.write_all(answer.as_bytes()).unwrap();
}

/// Plays a primary: does the handshake up to the replica's PSYNC. Returns the replication ID and the offset of PSYNC.
fn hear_psync(stream: &mut TcpStream) -> (String, i64) {
    let mut piece = [0; 1024];
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    loop {
        let n = stream.read(&mut piece).unwrap();
        let request = String::from_utf8_lossy(&piece[..n]).into_owned();
        let words: Vec<&str> = request.split("\r\n").collect();
        if let Some(at) = words.iter().position(|word| *word == "PSYNC") {
            return (words[at + 2].into(), words[at + 4].parse().unwrap());
        }
        let answer = if request.contains("PING") {
            "+PONG\r\n"
        } else {
            "+OK\r\n"
        };
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

/// A full copy of one key, `k`, with an end mark.
fn small_copy() -> Vec<u8> {
    let mark = "m".repeat(40);
    let mut copy = eof(&mark);
    copy.extend_from_slice(RDB);
    copy.extend_from_slice(mark.as_bytes());
    copy
}

/// A full copy of one key, `k`, with its length at the beginning.
fn short_copy_of_known_length() -> Vec<u8> {
    [format!("${}\r\n", RDB.len()).as_bytes(), RDB].concat()
}

#[test]
fn the_first_acknowledgement_comes_at_once_only_after_an_end_mark() {
    for replica in [Some(Node::ours()), Node::real()].into_iter().flatten() {
        let primary = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = primary.local_addr().unwrap().port();
        let line = format!("REPLICAOF 127.0.0.1 {port}");
        replica.client().ask(&line);
        let full = format!("+FULLRESYNC {} 100\r\n", "a".repeat(40)).into_bytes();
        for (answer, at_once) in [
            ([&full[..], &small_copy()].concat(), true),
            (b"+CONTINUE\r\n".to_vec(), false),
            ([&full[..], &short_copy_of_known_length()].concat(), false),
        ] {
            let (mut stream, _) = primary.accept().unwrap();
            hear_psync(&mut stream);
            stream.write_all(&answer).unwrap();
            let (mut heard, began) = (vec![], Instant::now());
            // The replica may send empty lines before; they are signs of life.
            while !heard.ends_with(b"REPLCONF\r\n$3\r\nACK\r\n$3\r\n100\r\n") {
                let mut piece = [0; 100];
                let n = stream.read(&mut piece).unwrap();
                heard.extend_from_slice(&piece[..n]);
            }
            let time = began.elapsed();
            assert_eq!(time < Duration::from_millis(300), at_once, "{time:?}");
            assert!(time < Duration::from_millis(1900), "{time:?}");
        }
    }
}

#[test]
fn an_offset_that_leaves_no_room_is_refused() {
    let replica = Node::ours();
    replica.client().ask("SET mine 1");
    let primary = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = primary.local_addr().unwrap().port();
    for offset in ["18446744073709551615", "9223372036854775807", "-1"] {
        replica.client().ask("REPLICAOF NO ONE");
        replica.client().ask(&format!("REPLICAOF 127.0.0.1 {port}"));
        let (mut stream, _) = primary.accept().unwrap();
        hear_psync(&mut stream);
        let answer = format!("+FULLRESYNC {} {offset}\r\n", "a".repeat(40));
        stream.write_all(answer.as_bytes()).unwrap();
        stream.write_all(&small_copy()).unwrap();
        wait_for(|| show(&replica.client().ask("ROLE")).contains("\"connect\""));
        assert_eq!(show(&replica.client().ask("GET mine")), "\"1\"");
    }
}

#[test]
fn offsets_at_their_extremes_do_no_harm() {
    for primary in [Some(Node::ours()), Node::real()].into_iter().flatten() {
        primary
            .client()
            .ask("CONFIG SET repl-ping-replica-period 1000");
        drop(listen(&primary));
        let replid = primary.info("master_replid");
        let end: i64 = primary.info("master_repl_offset").parse().unwrap();
        for next in [i64::MIN, -1, 0, end + 1, end + 2, i64::MAX] {
            let mut client = primary.client();
            client.send_raw(format!("PSYNC {replid} {next}\r\n").as_bytes());
            let expected = if next == end + 1 {
                "+CONTINUE"
            } else {
                "+FULLRESYNC"
            };
            let answer = client.line();
            assert!(answer.starts_with(expected), "{next}: {answer}");
        }
        let mut replica = listen(&primary);
        for offset in [i64::MAX, i64::MIN, -1] {
            replica.send_raw(format!("REPLCONF ACK {offset}\r\n").as_bytes());
        }
        wait_for(|| show(&primary.client().ask("ROLE")).contains("9223372036854775807"));
        assert_eq!(primary.client().ask("WAIT 1 100"), Reply::Int(1));
        primary.client().ask("SET k v");
        assert!(
            primary
                .info("slave0")
                .contains("offset=9223372036854775807")
        );
    }
}

/// What a primary may send for a key `k` or a stream `s` that has expired by the clock of its replica. Each line begins
/// with both keys as they were.
const FOR_EXPIRED_KEYS: &str = "COPY k copy\nCOPY k k DB 1\nCOPY s copy\nCOPY s k REPLACE\nRENAME k new\nRENAMENX s new\n\
    MOVE k 1\nSET k w GET\nSET k w XX\nSET k w NX\nSET k w KEEPTTL\nSETNX k w\nGETSET k w\nGETDEL k\nGETEX k PERSIST\n\
    APPEND k w\nSETRANGE k 5 w\nINCR k\nINCRBYFLOAT k 1\nMSETNX k 1 other 2\nPERSIST k\nEXPIRE k 100000 XX\n\
    DEL k s\nUNLINK k\nXADD s NOMKSTREAM 7-1 f v\nXDEL s 1-1\nXTRIM s MAXLEN 1\nXSETID s 9-9\n\
    XGROUP CREATE s h 0\nXGROUP DESTROY s g\nXGROUP SETID s g 2\nXGROUP CREATECONSUMER s g bob\n\
    XREADGROUP GROUP g ann STREAMS s >\nXREADGROUP GROUP g ann STREAMS s 0\nXACK s g 1-1\n\
    XCLAIM s g bob 0 1-1 JUSTID\nXCLAIM s g bob 0 2-1 FORCE TIME 1700000000000 RETRYCOUNT 3\n\
    XAUTOCLAIM s g bob 0 0 JUSTID";

#[test]
fn for_the_primary_no_key_has_expired() {
    let nodes: Vec<Node> = [Some(Node::ours()), Node::real()]
        .into_iter()
        .flatten()
        .collect();
    let mut contents = vec![];
    for replica in &nodes {
        let primary = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = primary.local_addr().unwrap().port();
        replica.client().ask(&format!("REPLICAOF 127.0.0.1 {port}"));
        let (mut stream, _) = primary.accept().unwrap();
        shake_hands(&mut stream);
        stream.write_all(&small_copy()).unwrap();
        wait_for(|| replica.follows());
        let mut send = |line: &str| {
            let words = words::split(line.as_bytes()).unwrap();
            stream.write_all(&encode(&words)).unwrap();
        };
        let mut all = vec![];
        for (i, line) in FOR_EXPIRED_KEYS.lines().enumerate() {
            for line in [
                "FLUSHALL",
                "SET k 1",
                "XADD s 1-1 f v",
                "XADD s 2-1 f v",
                "XGROUP CREATE s g 0",
                "XREADGROUP GROUP g ann COUNT 1 STREAMS s >",
                "PEXPIREAT k 1",
                "PEXPIREAT s 1",
                line,
                "PERSIST k",
                "PERSIST s",
                "PERSIST copy",
                "PERSIST new",
                "SELECT 1",
                "PERSIST k",
                "SELECT 0",
            ] {
                send(line);
            }
            let done = format!("done{i}");
            send(&format!("SET done {done}"));
            let mut client = replica.client();
            wait_for(|| client.ask("GET done") == Reply::Bulk(Some(done.clone().into_bytes())));
            // The times of deliveries are those of each server.
            let facts = replica.contents();
            all.push(format!("{line}: {}", without_times(&format!("{facts:?}"))));
        }
        // A client of the replica that waits for an entry gets it, although the stream has expired.
        let mut reader = replica.client();
        send("XADD s 5-1 f v");
        send("PEXPIREAT s 1");
        wait_for(|| replica.info("db0").contains("expires=1"));
        reader.send(&words::split(b"XREAD BLOCK 0 STREAMS s 5-1").unwrap());
        wait_for(|| replica.info("blocked_clients") == "1");
        send("XADD s 6-1 f v");
        let got = reader
            .has_reply(Duration::from_secs(2))
            .then(|| reader.reply().unwrap());
        all.push(format!("{:?}", got.map(|reply| show(&reply))));
        contents.push(all);
    }
    if let [ours, real] = &contents[..] {
        for (ours, real) in ours.iter().zip(real) {
            assert_eq!(ours, real);
        }
    }
}

#[test]
fn a_replica_that_sends_a_command_with_a_reply_is_disconnected() {
    let commands = "SET a 1\nGET a\nQUIT\nPING\nNOSUCH\nMULTI\nSELECT 0\nROLE\nWAIT 1 0\n*1\nAUTH x\nRESET\n\
        REPLCONF listening-port 1";
    for primary in [Some(Node::ours()), Node::real()].into_iter().flatten() {
        for command in commands.lines() {
            let mut replica = listen(&primary);
            replica.send_raw(format!("{command}\r\nx\r\n").as_bytes());
            let (bytes, closed) = replica.raw_reply(Duration::from_secs(2));
            // The primary may send its own PING, but no reply.
            let text = String::from_utf8_lossy(&bytes);
            assert!(
                closed && !text.contains(['+', '-', ':']),
                "{command}: {text}"
            );
        }
        assert_eq!(show(&primary.client().ask("GET a")), "(nil)");
        // Commands without a reply are accepted.
        let mut replica = listen(&primary);
        replica.send_raw(b"CLIENT REPLY OFF\r\nPING\r\nPSYNC ? -1\r\nREPLCONF GETACK *\r\n");
        let (_, closed) = replica.raw_reply(Duration::from_millis(200));
        assert!(!closed);
    }
}

/// A replication stream with SELECTs outside and inside of transactions.
const STREAM: &[&str] = &[
    "SELECT 2", "SET s 0", "MULTI", "INCR x", "SELECT 5", "INCR y", "EXEC", "INCR z", "MULTI",
    "SELECT 3", "INCR a", "SELECT 4", "INCR b", "EXEC", "ping", "INCR c",
];

#[test]
fn a_stream_that_is_cut_anywhere_goes_on_in_its_database() {
    // The expected contents: a client runs the same commands.
    let model = Node::ours();
    let mut client = model.client();
    client.ask("SET k v");
    // The bytes of the stream, and the offsets between commands but outside of transactions. A replica must ask for the
    // rest of the stream from the last such offset before the cut.
    let (mut text, mut boundaries, mut open) = (vec![], vec![0], false);
    for line in STREAM {
        client.ask(line);
        text.extend_from_slice(&encode(&words::split(line.as_bytes()).unwrap()));
        open = (open || *line == "MULTI") && *line != "EXEC";
        if !open {
            boundaries.push(text.len());
        }
    }
    client.ask("INCR end");
    let expected = model.contents();
    const WORKERS: usize = 4;
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (text, boundaries, expected) = (&text, &boundaries, &expected);
            scope.spawn(move || {
                let chain = CutChain::new();
                for cut in (worker..=text.len()).step_by(WORKERS) {
                    let boundary = boundaries.iter().rfind(|&&b| b <= cut).unwrap();
                    chain.check(text, cut, *boundary, expected);
                }
            });
        }
    });
}

/// A replica of the test, and two replicas of that replica.
struct CutChain {
    /// The replica of the test.
    replica: Node,
    /// It follows `replica` before the cut.
    early: Node,
    /// It gets its copy from `replica` after the cut.
    late: Node,
    /// The two addresses of the test, which plays the primary. REPLICAOF with the other address makes the replica connect
    /// again at once.
    primaries: [TcpListener; 2],
}

impl CutChain {
    /// Starts the three servers.
    fn new() -> CutChain {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        CutChain {
            replica: Node::ours(),
            early: Node::ours(),
            late: Node::ours(),
            primaries: [listen(), listen()],
        }
    }

    /// Makes the replica connect to one of the addresses. Returns the connection, and the arguments of the replica's PSYNC.
    fn connect(&self, primary: usize) -> (TcpStream, (String, i64)) {
        let port = self.primaries[primary].local_addr().unwrap().port();
        let line = format!("REPLICAOF 127.0.0.1 {port}");
        self.replica.client().ask(&line);
        let (mut stream, _) = self.primaries[primary].accept().unwrap();
        let asked = hear_psync(&mut stream);
        (stream, asked)
    }

    /// Makes another server follow the replica with a new copy.
    fn add(&self, node: &Node, replid: &str) {
        node.client().ask("REPLICAOF NO ONE");
        node.follow(&self.replica);
        wait_for(|| node.follows() && node.info("master_replid") == replid);
    }

    /// Sends the stream up to `cut`, and the rest from `boundary` on another connection. All three servers must have the
    /// expected contents in the end.
    fn check(&self, text: &[u8], cut: usize, boundary: usize, expected: &Contents) {
        let replid = format!("{cut:040}");
        let (mut stream, _) = self.connect(0);
        let answer = format!("+FULLRESYNC {replid} 0\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        stream.write_all(&small_copy()).unwrap();
        wait_for(|| self.replica.follows());
        self.add(&self.early, &replid);
        stream.write_all(&text[..cut]).unwrap();
        drop(stream);
        wait_for(|| show(&self.replica.client().ask("ROLE")).contains("\"connect\""));
        let (mut stream, asked) = self.connect(1);
        assert_eq!(asked, (replid.clone(), boundary as i64 + 1));
        let answer = format!("+CONTINUE {replid}\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        wait_for(|| self.replica.follows());
        self.add(&self.late, &replid);
        stream.write_all(&text[boundary..]).unwrap();
        let end = encode(&[b"INCR".to_vec(), b"end".to_vec()]);
        stream.write_all(&end).unwrap();
        let offset = (text.len() + end.len()).to_string();
        for node in [&self.replica, &self.early, &self.late] {
            wait_for(|| node.info("master_repl_offset") == offset);
            assert_eq!(&node.contents(), expected, "cut at {cut}");
        }
    }
}

/// Writes for this time: in all databases, with and without transactions.
fn write_everywhere(node: &Node, seed: u64, time: Duration) {
    let (mut client, mut dice) = (node.client(), Dice(seed));
    let began = Instant::now();
    while began.elapsed() < time {
        let mut lines = vec![];
        let transaction = dice.below(2) == 0;
        if transaction {
            lines.push("MULTI".to_string());
        }
        for _ in 0..1 + dice.below(4) {
            if dice.below(2) == 0 {
                lines.push(format!("SELECT {}", dice.below(16)));
            }
            lines.push(format!("INCR {}", dice.pick(&["a", "b", "c", "d"])));
        }
        if transaction {
            lines.push("EXEC".into());
        }
        for line in &lines {
            client.send(&words::split(line.as_bytes()).unwrap());
        }
        for line in &lines {
            let reply = client.reply().unwrap();
            assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply:?}");
        }
    }
}

/// Makes a replica drop its link and connect again at once, by giving it the other name of the same primary.
fn reconnect(replica: &Node, primary: &Node, times: usize) {
    let host = ["localhost", "127.0.0.1"][times % 2];
    let line = format!("REPLICAOF {host} {}", primary.address().port());
    assert_eq!(replica.client().ask(&line), Reply::Simple("OK".into()));
}

#[test]
fn links_that_break_again_and_again_do_not_mix_databases_up() {
    const TIME: Duration = Duration::from_millis(2500);
    for (seed, [first, second, third]) in rows().into_iter().enumerate() {
        for node in [&first, &second] {
            node.client().ask("CONFIG SET repl-backlog-size 100mb");
        }
        second.follow(&first);
        third.follow(&second);
        wait_for(|| second.follows() && third.follows());
        thread::scope(|scope| {
            for i in 0..3 {
                let (first, seed) = (&first, (seed * 10 + i) as u64);
                scope.spawn(move || write_everywhere(first, seed, TIME));
            }
            let (mut dice, mut times, began) = (Dice(seed as u64), [0; 2], Instant::now());
            while began.elapsed() < TIME {
                thread::sleep(Duration::from_millis(10 + dice.below(40) as u64));
                let link = dice.below(2);
                let (replica, primary) = [(&second, &first), (&third, &second)][link];
                reconnect(replica, primary, times[link]);
                times[link] += 1;
            }
        });
        second.catch_up(&first);
        third.catch_up(&first);
        assert_equal(&first, &second);
        assert_equal(&first, &third);
        assert_eq!(first.info("sync_full"), "1");
    }
}

/// Plays a replica that accepts an end mark, and asks for a full copy.
fn ask_for_copy(node: &Node) -> Client {
    let mut client = node.client();
    client.ask("REPLCONF capa eof");
    client.send_raw(b"PSYNC ? -1\r\n");
    client
}

/// Reads the line that announces a copy. Returns it, and the number of empty lines before it, which are signs of life.
fn announcement(client: &mut Client) -> (String, usize) {
    let mut signs = 0;
    loop {
        let line = client.line();
        if !line.is_empty() {
            assert!(line.starts_with("+FULLRESYNC"), "{line}");
            return (line, signs);
        }
        signs += 1;
    }
}

/// Reads a copy up to its end mark.
fn read_copy(client: &mut Client) {
    let start = loop {
        let line = client.line();
        if !line.is_empty() {
            break line;
        }
    };
    let mark = start.strip_prefix("$EOF:").unwrap().as_bytes();
    let mut copy = vec![];
    while !copy.ends_with(mark) {
        copy.extend(client.bytes(1));
    }
    assert!(copy.starts_with(b"REDIS0010"));
}

#[test]
fn replicas_that_come_together_share_one_copy() {
    for primary in [Some(Node::ours()), Node::real()].into_iter().flatten() {
        let mut client = primary.client();
        client.ask("CONFIG SET repl-diskless-sync-delay 3");
        let began = Instant::now();
        let mut replicas = vec![];
        for i in 0..3 {
            replicas.push(ask_for_copy(&primary));
            wait_for(|| primary.info("connected_slaves") == (i + 1).to_string());
            client.ask("SET between 1");
        }
        assert!(primary.info("slave2").contains("state=wait_bgsave"));
        // A replica that disconnects does not matter.
        drop(ask_for_copy(&primary));
        let announced: Vec<_> = replicas.iter_mut().map(announcement).collect();
        let time = began.elapsed();
        assert!(time > Duration::from_millis(1900) && time < Duration::from_secs(8));
        for (line, signs) in &announced {
            assert_eq!(line, &announced[0].0);
            assert!((1..=7).contains(signs), "{signs}");
        }
        replicas.iter_mut().for_each(read_copy);
        client.ask("CONFIG SET repl-diskless-sync-delay 0");
        client.ask("SET after 1");
        assert_ne!(announcement(&mut ask_for_copy(&primary)).0, announced[0].0);
    }
}

#[test]
fn a_copy_begins_when_enough_replicas_have_come() {
    for primary in [Some(Node::ours()), Node::real()].into_iter().flatten() {
        let mut client = primary.client();
        client.ask("CONFIG SET repl-diskless-sync-delay 1000");
        client.ask("CONFIG SET repl-diskless-sync-max-replicas 2");
        let mut replicas = [ask_for_copy(&primary), ask_for_copy(&primary)];
        replicas.iter_mut().for_each(|replica| {
            announcement(replica);
            read_copy(replica);
        });
        // A replica that accepts no end mark gets its copy without a delay, as soon as no other copy is being sent.
        wait_for(|| primary.info("rdb_bgsave_in_progress") == "0");
        client.ask("CONFIG SET repl-diskless-sync-max-replicas 0");
        listen(&primary);
    }
}

#[test]
fn a_slow_replica_does_not_hold_up_those_that_share_its_copy() {
    let primary = Node::ours();
    let mut client = primary.client();
    client.ask("CONFIG SET repl-diskless-sync-delay 1");
    client.ask("CONFIG SET proto-max-bulk-len 64mb");
    for i in 0..40 {
        // A random value, because LZF cannot compress it.
        let mut dice = Dice(i);
        let value: String = (0..1 << 20)
            .map(|_| char::from(b'!' + dice.below(90) as u8))
            .collect();
        client.send(&[b"SET".to_vec(), format!("big:{i}").into(), value.into()]);
        client.reply().unwrap();
    }
    let mut slow = ask_for_copy(&primary);
    let other = Node::ours();
    other.follow(&primary);
    other.catch_up(&primary);
    assert!(primary.info("slave0").contains("state=send_bulk"));
    assert_equal(&primary, &other);
    announcement(&mut slow);
    read_copy(&mut slow);
}

#[test]
fn a_replica_that_does_not_read_costs_little_and_delays_no_other_client() {
    let big = format!("SET big {}", "x".repeat(1 << 20));
    // Three replicas stop reading at different moments: in the middle of the copy, before its end mark is confirmed, and
    // after the copy.
    let asks: [fn(&Node) -> Client; 3] = [
        |node| {
            (0..40).for_each(|i| {
                let line = format!("SET copied:{i} {}", "x".repeat(1 << 20));
                node.client().ask(&line);
            });
            let mut client = node.client();
            client.send_raw(b"PSYNC ? -1\r\n");
            client
        },
        ask_for_copy,
        listen,
    ];
    for ask in asks {
        let primary = Node::ours();
        let mut client = primary.client();
        client.ask("CONFIG SET client-output-buffer-limit \"replica 8mb 0 0\"");
        let _deaf = ask(&primary);
        wait_for(|| primary.info("connected_slaves") == "1");
        wait_for(|| !primary.info("slave0").contains("wait_bgsave"));
        for _ in 0..100 {
            client.ask(&big);
        }
        wait_for(|| primary.info("connected_slaves") == "0");
        let held: usize = primary.info("mem_replication_backlog").parse().unwrap();
        assert!(held < 16 << 20, "{held}");
    }
}

#[test]
fn the_backlog_keeps_nothing_for_a_client_that_wants_only_a_copy() {
    let primary = Node::ours();
    let mut client = primary.client();
    client.ask("SET k v");
    let mut copier = primary.client();
    copier.ask("REPLCONF rdb-only 1");
    copier.send_raw(b"PSYNC ? -1\r\n");
    wait_for(|| primary.info("sync_full") == "1");
    let line = format!("SET big {}", "x".repeat(1 << 20));
    (0..30).for_each(|_| drop(client.ask(&line)));
    let held: usize = primary.info("mem_replication_backlog").parse().unwrap();
    assert!(held < 4 << 20, "{held}");
    announcement(&mut copier);
}

#[test]
fn keys_expire_on_a_replica_when_the_primary_says_so() {
    for (primary, replica) in pairs() {
        replica.follow(&primary);
        replica.catch_up(&primary);
        let mut client = primary.client();
        client.ask("DEBUG SET-ACTIVE-EXPIRE 0");
        client.ask("SET soon 1 PX 1");
        replica.catch_up(&primary);
        thread::sleep(Duration::from_millis(20));
        let mut reader = replica.client();
        assert_eq!(show(&reader.ask("GET soon")), "(nil)");
        assert_eq!(reader.ask("DBSIZE"), Reply::Int(1));
        assert_eq!(show(&client.ask("GET soon")), "(nil)");
        replica.catch_up(&primary);
        assert_eq!(reader.ask("DBSIZE"), Reply::Int(0));
    }
}

#[test]
fn writes_can_be_made_to_need_replicas() {
    for (primary, replica) in pairs() {
        let mut client = primary.client();
        client.ask("CONFIG SET min-replicas-to-write 1");
        let refused = "NOREPLICAS Not enough good replicas to write.";
        assert_eq!(client.ask("SET a 1"), Reply::Error(refused.into()));
        replica.follow(&primary);
        wait_for(|| client.ask("SET a 1") == Reply::Simple("OK".into()));
        replica
            .client()
            .ask("CONFIG SET replica-serve-stale-data no");
        replica.client().ask("REPLICAOF 127.0.0.1 1");
        let stale =
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
        wait_for(|| replica.client().ask("GET a") == Reply::Error(stale.into()));
        wait_for(|| client.ask("SET a 1") == Reply::Error(refused.into()));
    }
}

#[test]
fn a_primary_hands_over_and_no_acknowledged_write_is_lost() {
    for (primary, replica) in pairs() {
        replica.follow(&primary);
        replica.catch_up(&primary);
        let written: Vec<usize> = thread::scope(|scope| {
            let writer = |i: usize| {
                let mut client = primary.client();
                let mut n = 0;
                // The writer stops at the first error, which comes when the server has become a replica. During the failover,
                // the server delays the writes.
                while client.ask(&format!("SET writer:{i}:{n} 1")) == Reply::Simple("OK".into()) {
                    n += 1;
                }
                n
            };
            let writers: Vec<_> = (0..4).map(|i| scope.spawn(move || writer(i))).collect();
            thread::sleep(Duration::from_millis(100));
            let address = replica.address();
            let line = format!(
                "FAILOVER TO {} {} TIMEOUT 8000",
                address.ip(),
                address.port()
            );
            assert_eq!(primary.client().ask(&line), Reply::Simple("OK".into()));
            writers.into_iter().map(|w| w.join().unwrap()).collect()
        });
        assert_eq!(replica.info("role"), "master");
        assert_eq!(primary.info("role"), "slave");
        primary.catch_up(&replica);
        assert_eq!(primary.info("master_failover_state"), "no-failover");
        let keys = replica.client().ask("DBSIZE");
        assert_eq!(keys, Reply::Int(written.iter().sum::<usize>() as i64));
        assert_equal(&primary, &replica);
        // The old primary continued with a partial resync.
        assert_eq!(replica.info("sync_full"), "0");
    }
}

#[test]
fn a_failover_to_a_replica_that_never_catches_up_is_given_up() {
    let (primary, replica) = (Node::ours(), Node::ours());
    replica.follow(&primary);
    replica.catch_up(&primary);
    let mut client = primary.client();
    // The test plays a replica that is online but never acknowledges anything.
    client.ask("SET a 0");
    let mut deaf = primary.client();
    deaf.ask("REPLCONF listening-port 7");
    let _deaf = listen_as(deaf);
    client.ask("SET a 1");
    wait_for(|| primary.info("slave1").contains("port=7,state=online"));
    assert_eq!(
        client.ask("FAILOVER TO 127.0.0.1 7 TIMEOUT 300"),
        Reply::Simple("OK".into())
    );
    assert_eq!(primary.info("master_failover_state"), "waiting-for-sync");
    let mut writer = primary.client();
    writer.send_raw(b"SET a 1\r\n");
    assert!(!writer.has_reply(Duration::from_millis(50)));
    let refused = client.ask("REPLICAOF NO ONE");
    assert_eq!(
        refused,
        Reply::Error("ERR REPLICAOF not allowed while failing over.".into())
    );
    assert_eq!(writer.reply().unwrap(), Reply::Simple("OK".into()));
    assert_eq!(primary.info("master_failover_state"), "no-failover");
    client.ask("FAILOVER TO 127.0.0.1 7");
    assert_eq!(client.ask("FAILOVER ABORT"), Reply::Simple("OK".into()));
    assert_eq!(client.ask("SET a 2"), Reply::Simple("OK".into()));
    assert_eq!(primary.info("role"), "master");
}
