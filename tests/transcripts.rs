//! Replays the sessions under `tests/transcripts/` against this server, and against the real redis-server if it is
//! installed.
//!
//! A transcript is a session as redis-cli shows it. It consists of scenes, and the sentence above a scene tells what the
//! scene shows:
//!
//! ```text
//! # SET stores a string.
//! > SET greeting hello
//! OK
//!
//! # XREAD BLOCK waits for an entry. Here two clients, A and B, take part. "A<" shows the next reply to A.
//! A> XREAD BLOCK 0 STREAMS s $
//! (waiting)
//! B> XADD s 1-1 f v
//! "1-1"
//! A<
//! 1) 1) "s"
//!    ...
//! ```
//!
//! Each line of the syntax:
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | prose |
//! | `! --setting value` | an option for the server |
//! | `> GET k` | sends a command and shows the reply |
//! | `A> GET k` | the same on the connection A. A name has one or two letters, and may have a digit (`A2`). |
//! | `A<` | shows the next reply on the connection A |
//! | `~> TTL k` | shows the reply with `N` in place of every run of digits, because they hold a time |
//! | `raw> "GET k\r\n"` | sends the quoted bytes as they are, and shows the bytes that come back (also `raw2>`) |
//! | `wait 50` | waits for 50 milliseconds |
//! | `{A}` inside a command | the client ID of the connection A |
//! | `(waiting)` as a reply | no reply has arrived |
//! | `(closed)` as a reply | the server has closed the connection |
//!
//! Two names have a special meaning:
//!
//! ```text
//! # The first line of "replica" does the handshake of a replica. Each line shows the commands that the primary has sent.
//! replica<
//! "SELECT" "0"
//! "SET" "greeting" "hello"
//!
//! # "stats" shows the counters of a section of INFO, sorted, without times and without the commands that "stats" sends
//! # itself. "stats> reset" sets them to zero.
//! stats> commandstats
//! get: calls=1, rejected_calls=0, failed_calls=0
//! ```
//!
//! The expected text is recorded from the real redis-server, never typed. `RECORD=1 cargo test --test transcripts` rewrites
//! every file, and `RECORD=streams` only the files with `streams` in their path. `ONLY=streams` replays only these files.

mod common;

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::words;
use common::{Client, RealRedis, Reply, encode, show};
use redis_clone::{Config, Server};

/// A client that has received nothing for this time is shown as "(waiting)".
const PATIENCE: Duration = Duration::from_millis(150);

/// A step of a transcript.
enum Step {
    /// Prose, a blank line or an option.
    Text(String),
    /// `wait`, in milliseconds.
    Wait(u64),
    /// A line for a connection.
    Act {
        /// The line.
        line: String,
        /// The lines of the reply.
        expected: Vec<String>,
    },
}

/// The steps of a transcript.
fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = vec![];
    for line in text.lines() {
        let head = line.split([' ', '<', '>']).next().unwrap_or_default();
        let letters = head.trim_end_matches(|c: char| c == '~' || c.is_ascii_digit());
        let named = letters.len() <= 2 && letters.chars().all(|c| c.is_ascii_uppercase())
            || ["raw", "replica", "stats"].contains(&letters);
        let acts = named && line[head.len()..].starts_with(['>', '<']);
        if acts {
            steps.push(Step::Act {
                line: line.into(),
                expected: vec![],
            });
        } else if let Some(ms) = line.strip_prefix("wait ") {
            steps.push(Step::Wait(ms.parse().unwrap()));
        } else if line.is_empty() || line.starts_with('#') || line.starts_with('!') {
            steps.push(Step::Text(line.into()));
        } else if let Some(Step::Act { expected, .. }) = steps.last_mut() {
            expected.push(line.into());
        } else {
            panic!("an answer without a question: {line}");
        }
    }
    steps
}

/// The words of the lines that begin with `!`.
fn options(steps: &[Step]) -> Vec<String> {
    let lines = steps.iter().filter_map(|s| match s {
        Step::Text(line) => line.strip_prefix("! "),
        _ => None,
    });
    let words = lines.flat_map(|line| words::split(line.as_bytes()).unwrap());
    words.map(|w| String::from_utf8(w).unwrap()).collect()
}

/// Replaces every run of digits by `N`.
fn mask_digits(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_digit() { 'N' } else { c };
        if c != 'N' || !out.ends_with('N') {
            out.push(c);
        }
    }
    out
}

/// Plays a transcript against a server. Returns the transcript with the replies that came, in place of the expected ones.
/// While recording, every command may turn out to block, so the time to wait for its reply is shorter.
fn play(steps: &[Step], address: SocketAddr, recording: bool) -> String {
    let mut clients: HashMap<String, Client> = HashMap::new();
    // The replication offset up to which the connection "replica" has read.
    let mut offset = 0;
    let mut out = String::new();
    for step in steps {
        let (line, expected) = match step {
            Step::Text(line) => {
                out += &format!("{line}\n");
                continue;
            }
            Step::Wait(ms) => {
                std::thread::sleep(Duration::from_millis(*ms));
                out += &format!("wait {ms}\n");
                continue;
            }
            Step::Act { line, expected } => (line, expected),
        };
        let at = line.find(['>', '<']).unwrap();
        let (name, rest) = (&line[..at], line[at + 1..].trim());
        let (masked, name) = (name.contains('~'), name.replace('~', ""));
        clients.entry(name.clone()).or_insert_with(|| {
            let mut client = Client::connect(address);
            if name == "replica" {
                offset = follow(&mut client);
            }
            client
        });
        let rest = &with_ids(rest, &clients, address);
        let client = clients.get_mut(&name).unwrap();
        let words = words::split(rest.as_bytes()).unwrap_or_else(|| panic!("quotes: {line}"));
        let answer = if name.starts_with("raw") {
            raw_answer(client, words.first().map_or(b"", |w| w))
        } else if name == "replica" {
            changes(client, &mut offset, address)
        } else if name == "stats" {
            statistics(client, rest)
        } else {
            let sends = line.as_bytes()[at] == b'>';
            if sends {
                client.send(&words);
            }
            let may_wait = recording && sends || expected == &["(waiting)"];
            next_reply(client, if may_wait { PATIENCE } else { 20 * PATIENCE })
        };
        let answer = if masked { mask_digits(&answer) } else { answer };
        out += &format!("{line}\n");
        if !answer.is_empty() {
            out += &format!("{answer}\n");
        }
    }
    out
}

/// The next reply, if it arrives within this time.
fn next_reply(client: &mut Client, patience: Duration) -> String {
    if !client.has_reply(patience) {
        return "(waiting)".to_string();
    }
    let reply = client.reply();
    reply.map_or("(closed)".to_string(), |reply| show(&reply))
}

/// Replaces `{A}` by the client ID of the connection A. CLIENT LIST shows the ID together with the address.
fn with_ids(line: &str, clients: &HashMap<String, Client>, address: SocketAddr) -> String {
    let mut line = line.to_string();
    for (name, client) in clients {
        let place = format!("{{{name}}}");
        if name.is_empty() || !line.contains(&place) {
            continue;
        }
        let Reply::Bulk(Some(list)) = Client::connect(address).ask("CLIENT LIST") else {
            panic!("no CLIENT LIST");
        };
        let list = String::from_utf8(list).unwrap();
        let its_address = format!(" addr={} ", client.stream.local_addr().unwrap());
        let its_line = list.lines().find(|l| l.contains(&its_address)).unwrap();
        let id = its_line.split([' ', '=']).nth(1).unwrap();
        line = line.replace(&place, id);
    }
    line
}

/// Sends bytes as they are, and shows the bytes that come back and whether the connection is closed.
fn raw_answer(client: &mut Client, bytes: &[u8]) -> String {
    client.send_raw(bytes);
    let (bytes, closed) = client.raw_reply(PATIENCE);
    let quoted = bytes.split_inclusive(|&b| b == b'\n').map(words::quote);
    let lines: Vec<String> = quoted
        .chain(closed.then(|| "(closed)".to_string()))
        .collect();
    lines.join("\n")
}

/// Does the handshake of a replica. After that, the connection carries the replication stream. Returns the offset at which
/// the stream begins.
fn follow(client: &mut Client) -> usize {
    client.ask("REPLCONF listening-port 1");
    client.ask("REPLCONF capa psync2");
    client.send(&["PSYNC", "?", "-1"].map(|w| w.as_bytes().to_vec()));
    let Ok(Reply::Simple(answer)) = client.reply() else {
        panic!("no full resync");
    };
    assert!(answer.starts_with("FULLRESYNC"), "{answer}");
    let offset = answer.rsplit(' ').next().unwrap().parse().unwrap();
    // The primary sends empty lines while it prepares its snapshot.
    let mut line = client.line();
    while line.is_empty() {
        line = client.line();
    }
    client.bytes(line[1..].parse().unwrap());
    offset
}

/// The commands, without PING, in the primary's stream from `offset` up to the primary's current offset.
fn changes(client: &mut Client, offset: &mut usize, address: SocketAddr) -> String {
    let Reply::Bulk(Some(info)) = Client::connect(address).ask("INFO replication") else {
        panic!("no INFO");
    };
    let info = String::from_utf8(info).unwrap();
    let mut lines = info.lines();
    let its_offset = lines.find_map(|l| l.strip_prefix("master_repl_offset:"));
    let end: usize = its_offset.unwrap().parse().unwrap();
    let mut lines = vec![];
    while *offset < end {
        assert!(client.has_reply(20 * PATIENCE), "the stream ends too early");
        let Ok(Reply::List(_, Some(words))) = client.reply() else {
            panic!("no command");
        };
        let bytes = words.iter().map(|word| match word {
            Reply::Bulk(Some(bytes)) => bytes.clone(),
            other => panic!("no word: {other:?}"),
        });
        let bytes: Vec<Vec<u8>> = bytes.collect();
        *offset += encode(&bytes).len();
        if !bytes[0].eq_ignore_ascii_case(b"PING") {
            lines.push(words.iter().map(show).collect::<Vec<_>>().join(" "));
        }
    }
    lines.join("\n")
}

/// The counters of sections of INFO, sorted and without times. "reset" sets all counters to zero. "auth" with a password
/// authenticates.
fn statistics(client: &mut Client, sections: &str) -> String {
    if sections == "reset" {
        client.ask("CONFIG RESETSTAT");
        return String::new();
    }
    if sections.starts_with("auth ") {
        client.ask(sections);
        return String::new();
    }
    let Reply::Bulk(Some(text)) = client.ask(&format!("INFO {sections}")) else {
        panic!("no INFO");
    };
    let text = String::from_utf8(text).unwrap();
    let lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut shown: Vec<String> = lines
        .filter(|l| !l.starts_with("cmdstat_info:") && !l.starts_with("cmdstat_config|resetstat:"))
        .map(|line| {
            let (name, counts) = line.split_once(':').unwrap();
            let name = name.trim_start_matches("cmdstat_");
            let counts = counts.split(',').filter(|c| !c.starts_with("usec"));
            format!("{name}: {}", counts.collect::<Vec<_>>().join(", "))
        })
        .collect();
    shown.sort();
    shown.join("\n")
}

/// The paths of all transcripts.
fn transcripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let families = fs::read_dir(root).unwrap().map(|f| f.unwrap().path());
    let files = families.flat_map(|f| fs::read_dir(f).unwrap().map(|f| f.unwrap().path()));
    let mut files: Vec<_> = files
        .filter(|f| f.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Every line of a transcript with an unexpected reply, below the sentence of its scene.
fn differences(expected: &str, got: &str) -> String {
    let (expected, got) = (parse(expected), parse(got));
    let (mut scene, mut out) = ("", vec![]);
    for pair in expected.iter().zip(&got) {
        match pair {
            (Step::Text(text), _) if text.starts_with('#') => scene = text,
            (Step::Act { line, expected }, Step::Act { expected: got, .. }) if expected != got => {
                let (expected, got) = (expected.join("\n        "), got.join("\n        "));
                out.push(format!(
                    "  {scene}\n    {line}\n      expected\n        {expected}\n      got\n        {got}"
                ));
            }
            _ => {}
        }
    }
    out.join("\n")
}

/// Replays every transcript, four at a time, each against a server that `start` starts with the options of the transcript.
/// `start` returns `None` if there is no such server; then nothing is replayed.
fn replay(start: impl Fn(&[String]) -> Option<(Box<dyn Send>, SocketAddr)> + Sync) {
    let mut files = transcripts();
    let only = std::env::var("ONLY").unwrap_or_default();
    files.retain(|f| f.display().to_string().contains(&only));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = std::sync::Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(file) =
                    files.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let text = fs::read_to_string(file).unwrap();
                    let steps = parse(&text);
                    let Some((_server, address)) = start(&options(&steps)) else {
                        return;
                    };
                    let got = play(&steps, address, false);
                    if got != text {
                        let failure = format!("{}:\n{}", file.display(), differences(&text, &got));
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} differ:\n{}",
        failures.len(),
        files.len(),
        failures.join("\n\n")
    );
}

/// Starts this server with these options of a command line.
fn ours(options: &[String]) -> Server {
    let mut config = Config::for_tests();
    for group in options.chunk_by(|_, next| !next.starts_with("--")) {
        let mut words = group.to_vec();
        words[0] = words[0].trim_start_matches("--").to_string();
        config.apply_line(&words).unwrap();
    }
    Server::start(config).unwrap()
}

#[test]
fn this_server_plays_every_transcript() {
    if let Some(filter) = std::env::var_os("RECORD") {
        record(&filter.to_string_lossy());
    }
    replay(|options| {
        let server = ours(options);
        let address = server.address();
        Some((Box::new(server) as Box<dyn Send>, address))
    });
}

#[test]
fn the_real_redis_plays_every_transcript() {
    if std::env::var_os("RECORD").is_some() {
        return;
    }
    replay(|options| {
        let real = RealRedis::start(options)?;
        let address = real.address;
        Some((Box::new(real) as Box<dyn Send>, address))
    });
}

/// Rewrites the transcripts with the replies of the real redis-server.
fn record(filter: &str) {
    for file in transcripts() {
        if filter != "1" && !file.display().to_string().contains(filter) {
            continue;
        }
        let steps = parse(&fs::read_to_string(&file).unwrap());
        let real =
            RealRedis::start(&options(&steps)).expect("recording needs the real redis-server");
        fs::write(&file, play(&steps, real.address, true)).unwrap();
    }
}
