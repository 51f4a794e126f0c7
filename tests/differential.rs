//! The same random commands for this server and for the real redis-server: every reply must be the same.
//!
//! (See `common/chance.rs` for how they come about.) A failure names its seed; `SEED=n cargo test --test differential` plays
//! one seed again, and for longer.

mod common;

use common::chance::{Dice, command};
use common::words;
use common::{Client, RealRedis, Reply, show};
use redis_clone::{Config, Server};

/// Plays one seed, and tells what differed.
fn play(seed: u64, commands: usize, ours: &mut Client, real: &mut Client) -> Option<String> {
    let (mut dice, mut clock) = (Dice(seed), 0);
    for client in [&mut *ours, &mut *real] {
        client.ask("RESET");
        client.ask("FLUSHALL");
    }
    for step in 0..commands {
        let line = command(&mut dice, &mut clock);
        let words = words::split(line.as_bytes()).unwrap();
        let mut replies: [Reply; 2] = [&mut *ours, &mut *real].map(|client| {
            client.send(&words);
            client
                .reply()
                .unwrap_or_else(|e| panic!("seed {seed}, step {step}: {line}: {e}"))
        });
        if replies[0] != replies[1] {
            let [ours, real] = replies.each_mut().map(|r| show(r));
            return Some(format!(
                "seed {seed}, step {step}: {line}\n--- ours\n{ours}\n--- redis\n{real}"
            ));
        }
    }
    None
}

#[test]
fn random_commands_have_the_replies_of_the_real_redis() {
    let Some(redis) = RealRedis::start(&[]) else {
        return;
    };
    let server = Server::start(Config::for_tests()).unwrap();
    let (mut ours, mut real) = (
        Client::connect(server.address()),
        Client::connect(redis.address),
    );
    let (seeds, commands) = match std::env::var("SEED") {
        Ok(seed) => (vec![seed.parse().unwrap()], 100_000),
        Err(_) => ((1..=12).collect(), 3000),
    };
    let failures: Vec<String> = seeds
        .into_iter()
        .filter_map(|s| play(s, commands, &mut ours, &mut real))
        .collect();
    assert!(
        failures.is_empty(),
        "{} seeds differ:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}
