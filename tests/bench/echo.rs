//! The ceiling: a server of the same shape as ours that does nothing.
//!
//! One blocking thread a client; it reads, takes the requests apart with the same parser, and answers `+OK`
//! to each. What the real server takes beyond this is what its commands cost; what this takes is what the
//! shape costs. Usage: `echo <port>`.

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
