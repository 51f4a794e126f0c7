//! The examples that the README gives to authors of tests. `tests/readme.rs` checks that the README shows them as they are
//! here.

use redis::Commands;
use redis_clone::{Config, Server};

/// A server with its own port and no keys. It stops when the value is dropped.
fn start(config: Config) -> Server {
    Server::start(config).unwrap()
}

fn connect(url: &str) -> redis::Connection {
    let client = redis::Client::open(url).unwrap();
    client.get_connection().unwrap()
}

#[test]
fn visits_are_counted() {
    let server = start(Config::for_tests());
    let mut c = connect(&server.url());
    assert_eq!(c.incr::<_, _, i64>("visits", 1).unwrap(), 1);
    assert_eq!(c.incr::<_, _, i64>("visits", 1).unwrap(), 2);
}

#[test]
fn a_client_without_the_password_is_refused() {
    let server = start(Config {
        requirepass: b"secret".to_vec(),
        ..Config::for_tests()
    });
    let with_password = format!("redis://:secret@{}/", server.address());
    let _: () = connect(&with_password).set("k", "v").unwrap();
    let refused = connect(&server.url()).get::<_, String>("k");
    assert_eq!(refused.unwrap_err().code(), Some("NOAUTH"));
}

#[test]
fn a_replica_has_what_the_primary_wrote() {
    let primary = start(Config {
        repl_diskless_sync_delay: 0, // by default a copy waits 5 seconds for more replicas
        ..Config::for_tests()
    });
    let address = primary.address();
    let replica = start(Config {
        replicaof: Some((address.ip().to_string(), address.port())),
        ..Config::for_tests()
    });
    let mut c = connect(&primary.url());
    let _: () = c.set("k", "v").unwrap();
    let wait = redis::cmd("WAIT").arg(1).arg(10_000).query::<i64>(&mut c);
    assert_eq!(wait.unwrap(), 1);
    let mut r = connect(&replica.url());
    assert_eq!(r.get::<_, String>("k").unwrap(), "v");
    assert_eq!(
        r.set::<_, _, ()>("k", "w").unwrap_err().code(),
        Some("READONLY")
    );
}
