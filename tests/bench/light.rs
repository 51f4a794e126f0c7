//! How long a light client waits for its replies while heavy clients load the same server.
//!
//! `cargo run --release --example light PORT SECONDS` sends a SET and a GET in turn, one request every half millisecond,
//! and prints the 50th, 99th and 99.9th percentile of the reply times, in milliseconds. `run.sh light` starts the heavy
//! clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The time from one request to the next. A reply that takes longer delays the next request.
const INTERVAL: Duration = Duration::from_micros(500);

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = || args.next().and_then(|word| word.parse::<u64>().ok());
    let (Some(port), Some(seconds)) = (number(), number()) else {
        eprintln!("usage: light PORT SECONDS");
        std::process::exit(1);
    };
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).expect("a server at that port");
    stream.set_nodelay(true).expect("a socket");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut times = vec![];
    let mut buffer = [0; 256];
    for request in [&b"SET light 1\r\n"[..], b"GET light\r\n"].iter().cycle() {
        let start = Instant::now();
        if start > end {
            break;
        }
        stream.write_all(request).expect("a peer");
        let n = stream.read(&mut buffer).expect("a reply");
        assert!(n > 0 && buffer[0] != b'-', "a reply, not an error");
        times.push(start.elapsed());
        std::thread::sleep(INTERVAL.saturating_sub(start.elapsed()));
    }
    times.sort();
    for per_mille in [500, 990, 999] {
        let time = times[(times.len() * per_mille / 1000).min(times.len() - 1)];
        print!("{:.2} ", time.as_secs_f64() * 1000.0);
    }
    println!();
}
