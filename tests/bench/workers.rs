//! Measures how fast twenty workers of a consumer group empty a stream. Each worker has a connection of its own. It reads
//! entries with a pipeline of XREADGROUP commands and acknowledges them with a pipeline of XACK commands.
//!
//! `cargo run --release --example workers PORT ENTRIES PIPELINE` fills the stream with ENTRIES entries, starts the workers,
//! and prints how many entries per second they have handled. PIPELINE is the length of a worker's pipeline. The program fails
//! if the workers did not receive as many entries as there were.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

const WORKERS: usize = 20;

/// A connection to the server.
struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a server at that port");
        stream.set_nodelay(true).expect("a socket");
        Connection {
            stream: BufReader::with_capacity(1 << 16, stream),
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("a peer");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a reply");
        line.trim_end().to_string()
    }

    /// Reads a reply, and calls `see` with every bulk string in it. Panics on an error.
    fn reply(&mut self, see: &mut impl FnMut(Vec<u8>)) {
        let line = self.line();
        let n: i64 = line.get(1..).and_then(|n| n.parse().ok()).unwrap_or(0);
        match line.as_bytes().first() {
            Some(b'$') if n >= 0 => {
                let mut bytes = vec![0; n as usize + 2];
                self.stream.read_exact(&mut bytes).expect("a reply");
                bytes.truncate(n as usize);
                see(bytes);
            }
            Some(b'*') => (0..n).for_each(|_| self.reply(see)),
            Some(b'-') => panic!("{line}"),
            _ => {}
        }
    }
}

/// The bytes of a request of these words.
fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend(format!("${}\r\n", word.len()).bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A worker: works until the stream has no new entries. Returns how many entries it has handled.
fn work(port: u16, name: &str, pipeline: usize) -> usize {
    let mut connection = Connection::open(port);
    let read = [
        b"XREADGROUP",
        &b"GROUP"[..],
        b"team",
        name.as_bytes(),
        b"COUNT",
        b"1",
    ];
    let read = command(&[&read[..], &[b"STREAMS", b"work", b">"]].concat()).repeat(pipeline);
    let mut done = 0;
    loop {
        connection.send(&read);
        let mut acks = vec![];
        let mut got = 0;
        for _ in 0..pipeline {
            let mut i = 0;
            connection.reply(&mut |word| {
                if i == 1 {
                    // The first bulk string is the stream's name, and the second is the entry's ID.
                    acks.extend(command(&[b"XACK", b"work", b"team", &word]));
                    got += 1;
                }
                i += 1;
            });
        }
        if got == 0 {
            return done;
        }
        connection.send(&acks);
        (0..got).for_each(|_| connection.reply(&mut |_| {}));
        done += got;
    }
}

fn main() {
    let args: Vec<usize> = std::env::args()
        .skip(1)
        .map(|a| a.parse().expect("a number"))
        .collect();
    let [port, entries, pipeline] = args[..] else {
        panic!("usage: workers PORT ENTRIES PIPELINE");
    };
    let port = port as u16;
    let mut first = Connection::open(port);
    first.send(&command(&[b"DEL", b"work"]));
    first.reply(&mut |_| {});
    for from in (0..entries).step_by(1000) {
        let n = 1000.min(entries - from);
        first.send(&command(&[b"XADD", b"work", b"*", b"job", b"17"]).repeat(n));
        (0..n).for_each(|_| first.reply(&mut |_| {}));
    }
    first.send(&command(&[b"XGROUP", b"CREATE", b"work", b"team", b"0"]));
    first.reply(&mut |_| {});
    let began = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|i| std::thread::spawn(move || work(port, &format!("worker{i}"), pipeline)))
        .collect();
    let done: usize = workers
        .into_iter()
        .map(|w| w.join().expect("a worker"))
        .sum();
    assert_eq!(done, entries, "every entry goes to one worker");
    println!("{:.0}", entries as f64 / began.elapsed().as_secs_f64());
}
