//! The echo server: it has the design of this server, but runs no commands.
//!
//! One blocking thread per client reads, finds the requests with the same parser, and replies `+OK` to each. Its time is the
//! cost of the design, and the upper limit for the throughput. The difference to this server is the cost of the commands.
//!
//! Usage: `echo PORT`. Without a port, or with port 0, the system chooses a free one. The program prints the port.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use redis_clone::resp::request::{BIG_ARGUMENT, Step};
use redis_clone::resp::{Limits, Parser};

fn main() -> std::io::Result<()> {
    let port = std::env::args()
        .nth(1)
        .and_then(|p| p.parse().ok())
        .unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("listening on {}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::Builder::new()
            .stack_size(256 * 1024)
            .spawn(move || drop(serve(&stream)))?;
    }
    Ok(())
}

/// Replies to the requests of one client until it disconnects or sends something that is no request.
fn serve(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let limits = Limits {
        bulk_len: 512 << 20,
        authenticated: true,
        big: BIG_ARGUMENT,
    };
    let (mut parser, mut input, mut filled, mut output) =
        (Parser::default(), vec![0; 64 * 1024], 0, vec![]);
    loop {
        let n = stream.read(&mut input[filled..])?;
        if n == 0 {
            return Ok(());
        }
        filled += n;
        if parser.parse(&input[..filled], limits, usize::MAX) != Step::NeedMore {
            return Ok(());
        }
        for _ in 0..parser.requests().len() {
            output.extend_from_slice(b"+OK\r\n");
        }
        let gone = parser.consume();
        input.copy_within(gone..filled, 0);
        filled -= gone;
        stream.write_all(&output)?;
        output.clear();
    }
}
