//! The same random commands for this server and for the real redis-server: every reply must be the same.
//!
//! (See `common/chance.rs` for how they come about.) There are two games:
//!
//! - One client, with commands whose replies can be compared as they are.
//! - Sessions of three clients: two that do anything, transactions and watched keys among it, and one that waits. Keys expire
//!   on the way and stay stored until a command meets them. When a reply differs, the session is cut down to the few commands
//!   that are needed for it, and the game goes on afresh; differences are listed once for each command.
//!
//! Both name the seed. `SEED=7 cargo test --test differential` plays one seed for longer, and `COMMANDS=200000` plays so many
//! commands.

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::chance::{Compare, Dice, any_command, command, waiting_command};
use common::words;
use common::{Client, RealRedis, Reply, show, wait_for};
use redis_clone::{Config, Server};

/// Seeds, and how many commands are played with each.
fn seeds_and_commands() -> (Vec<u64>, usize) {
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    match (number("SEED"), number("COMMANDS")) {
        (Some(seed), commands) => (vec![seed], commands.unwrap_or(100_000) as usize),
        (None, Some(commands)) => (vec![1], commands as usize),
        (None, None) => ((1..=12).collect(), 3000),
    }
}

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
    let (seeds, commands) = seeds_and_commands();
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

/// The names of a session's clients; the last one is the one that waits.
const NAMES: [&str; 3] = ["A", "B", "C"];
const WAITER: usize = 2;

/// How long a reply may take, in a game and while a session is cut down, which is full of replies that never come.
const PATIENCE: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(200)];

/// A line that a client sends.
#[derive(Clone)]
struct Step {
    client: usize,
    line: String,
    compare: Compare,
}

/// The three clients of a session at one server.
struct Side {
    clients: [Client; 3],
    /// Asks about the others.
    control: Client,
    patience: Duration,
    /// The client ID of the one that waits.
    waiter: String,
}

impl Side {
    /// Begins with nothing stored.
    fn new(address: SocketAddr) -> Side {
        let mut clients = NAMES.map(|_| Client::connect(address));
        clients[0].ask("DEBUG SET-ACTIVE-EXPIRE 0");
        clients[0].ask("FLUSHALL");
        let waiter = show(&clients[WAITER].ask("CLIENT ID"));
        let waiter = waiter.trim_start_matches("(integer) ").to_string();
        Side {
            clients,
            control: Client::connect(address),
            patience: PATIENCE[0],
            waiter,
        }
    }

    /// Waits until the waiting client either has its reply or is blocked: until then its command may not have begun. A
    /// wait of a few milliseconds is waited out, because they are not over at both servers at the same moment. Redis
    /// looks whether they are over after each event, so the questions save it from waiting for its next timer event.
    fn settle(&mut self, waits_out: bool) {
        let line = format!("CLIENT LIST ID {}", self.waiter);
        wait_for(|| {
            let blocked = show(&self.control.ask(&line)).contains(" flags=b ");
            blocked && !waits_out || self.clients[WAITER].has_reply(Duration::from_millis(1))
        });
    }

    fn send(&mut self, step: &Step) {
        let line = step.line.replace("{C}", &self.waiter);
        self.clients[step.client].send(&words::split(line.as_bytes()).unwrap());
    }

    fn reply(&mut self, client: usize) -> Reply {
        let closed = |e| Reply::Other(format!("(closed: {e})"));
        let client = &mut self.clients[client];
        match client.has_reply(self.patience) {
            true => client.reply().unwrap_or_else(closed),
            false => Reply::Other("(waiting)".into()),
        }
    }
}

impl Drop for Side {
    /// A server may notice late that a client has gone, which would still wait in the next session.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.control.ask(&format!("CLIENT UNBLOCK {}", self.waiter));
        }
    }
}

/// A session at both servers.
struct Session {
    ours: Side,
    real: Side,
    /// Whether a client has begun a transaction, and the loosest way in which its replies can be compared.
    transactions: [Option<Compare>; 2],
    waiting: bool,
    /// A key may expire in a millisecond.
    brief: bool,
}

impl Session {
    fn new(addresses: [SocketAddr; 2]) -> Session {
        let [ours, real] = addresses.map(Side::new);
        Session {
            ours,
            real,
            transactions: [None; 2],
            waiting: false,
            brief: false,
        }
    }

    /// Has both servers take a step. Returns the answers where they differ.
    fn take(&mut self, step: &Step) -> Option<[String; 2]> {
        self.ours.send(step);
        self.real.send(step);
        if step.client == WAITER {
            self.waiting = true;
            let short = |ms| step.line.contains(&format!(" BLOCK {ms} "));
            let waits_out = (1..=10).any(short);
            self.ours.settle(waits_out);
            self.real.settle(waits_out);
            return self.look_at_waiter();
        }
        let replies = [self.ours.reply(step.client), self.real.reply(step.client)];
        let compare = self.note_transaction(step, &replies[1]);
        let difference = different(replies, compare);
        self.brief |= step.line.starts_with("PEXPIRE") && step.line.contains(" 1");
        let sets_expiry = ["PEXPIRE", "EXEC"].iter().any(|w| step.line.starts_with(w));
        if self.brief && sets_expiry && self.transactions[step.client].is_none() {
            std::thread::sleep(Duration::from_millis(3));
            self.brief = self.transactions != [None; 2];
        }
        difference.or_else(|| self.look_at_waiter())
    }

    /// Whether the waiting client has got an answer from one of the servers, and the same from the other.
    fn look_at_waiter(&mut self) -> Option<[String; 2]> {
        if !self.waiting {
            return None;
        }
        let answered = [&mut self.ours, &mut self.real].map(|s| s.clients[WAITER].has_reply_now());
        if answered == [false, false] {
            return None;
        }
        self.waiting = false;
        different(
            [self.ours.reply(WAITER), self.real.reply(WAITER)],
            Compare::Exactly,
        )
    }

    /// Keeps account of a client's transaction. Returns how this reply is compared.
    fn note_transaction(&mut self, step: &Step, reply: &Reply) -> Compare {
        let transaction = &mut self.transactions[step.client];
        let word = step.line.split(' ').next().unwrap_or_default();
        match (word, &mut *transaction) {
            (_, Some(loosest)) if *reply == Reply::Simple("QUEUED".into()) => {
                *loosest = step.compare.max(*loosest);
                Compare::Exactly
            }
            ("MULTI", None) if *reply == Reply::Simple("OK".into()) => {
                *transaction = Some(Compare::Exactly);
                Compare::Exactly
            }
            // EXEC with arguments ends the transaction too: its reply is the error EXECABORT.
            ("EXEC", &mut Some(loosest)) => {
                *transaction = None;
                match loosest {
                    // What is within a list cannot be compared by kind.
                    Compare::ByKind => Compare::Never,
                    loosest => loosest,
                }
            }
            ("DISCARD" | "RESET", Some(_)) => {
                *transaction = None;
                Compare::Exactly
            }
            _ => step.compare,
        }
    }
}

/// Both answers, if they differ.
fn different(replies: [Reply; 2], compare: Compare) -> Option<[String; 2]> {
    let [ours, real] = &replies;
    let texts = match compare {
        Compare::Sorted => replies.each_ref().map(|reply| show(&sorted(reply))),
        _ => replies.each_ref().map(show),
    };
    let same = match compare {
        Compare::Exactly => ours == real,
        Compare::Never => true,
        Compare::ByKind => kind(ours) == kind(real),
        Compare::WithoutTimes => without_numbers(&texts[0], 3) == without_numbers(&texts[1], 3),
        Compare::WithoutNumbers => without_numbers(&texts[0], 1) == without_numbers(&texts[1], 1),
        Compare::Sorted => sorted(ours) == sorted(real),
    };
    let texts = match texts[0] == texts[1] {
        true => replies.each_ref().map(typed),
        false => texts,
    };
    (!same).then(|| excerpts(&texts))
}

/// A reply in one line, with the kinds of its parts, which redis-cli does not show.
fn typed(reply: &Reply) -> String {
    match reply {
        Reply::Simple(text) => format!("+{text}"),
        Reply::Bulk(None) => "$-1".into(),
        Reply::List(kind, None) => format!("{}-1", *kind as char),
        Reply::List(kind, Some(items)) => {
            let items: Vec<String> = items.iter().map(typed).collect();
            format!("{}({})", *kind as char, items.join(" "))
        }
        other => show(other),
    }
}

/// The first lines in which the texts differ, with those before them.
fn excerpts(texts: &[String; 2]) -> [String; 2] {
    let [ours, real] = texts.each_ref().map(|t| t.lines().collect::<Vec<_>>());
    let same = ours.iter().zip(&real).take_while(|(a, b)| a == b).count();
    [ours, real].map(|lines| {
        let some = lines.iter().skip(same.saturating_sub(4)).take(8);
        let some = some.map(|line| line.chars().take(300).collect::<String>());
        some.collect::<Vec<_>>().join("\n")
    })
}

fn kind(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => text.clone(),
        Reply::Bulk(None) | Reply::List(_, None) => "nothing".into(),
        Reply::Other(text) if text == "(nil)" => "nothing".into(),
        _ => "something".into(),
    }
}

/// The text, with `N` in place of numbers that have so many digits.
fn without_numbers(text: &str, digits: usize) -> String {
    let mut out = String::new();
    let mut number = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        out += if number.len() >= digits { "N" } else { &number };
        number.clear();
        out.push(c);
    }
    out
}

fn sorted(reply: &Reply) -> Reply {
    match reply {
        Reply::List(kind, Some(items)) => {
            let mut items: Vec<Reply> = items.iter().map(sorted).collect();
            items.sort_by_key(show);
            Reply::List(*kind, Some(items))
        }
        other => other.clone(),
    }
}

/// The next step. Two of three are of the first client, which so has longer stories.
fn next_step(dice: &mut Dice, clock: &mut usize, session: &Session) -> Step {
    if !session.waiting && dice.below(8) == 0 {
        return Step {
            client: WAITER,
            line: waiting_command(dice, clock),
            compare: Compare::Exactly,
        };
    }
    loop {
        let client = usize::from(dice.below(3) == 0);
        let (line, compare) = any_command(dice, clock);
        let in_transaction = session.transactions[client].is_some();
        // Such replies would leave a whole transaction without comparison. And a key that a transaction gives one
        // millisecond has a PTTL of 1 or 0 in it.
        let unfit = compare >= Compare::ByKind || line.starts_with("PTTL");
        if !(in_transaction && unfit) {
            return Step {
                client,
                line,
                compare,
            };
        }
    }
}

/// Whether the last step still differs when only these steps are taken.
fn still_differs(steps: &[Step], addresses: [SocketAddr; 2]) -> Option<[String; 2]> {
    let (last, before) = steps.split_last()?;
    let mut session = Session::new(addresses);
    session.ours.patience = PATIENCE[1];
    session.real.patience = PATIENCE[1];
    for step in before {
        if step.client == WAITER && session.waiting || session.take(step).is_some() {
            return None;
        }
    }
    session.take(last)
}

/// Leaves out steps, in ever smaller pieces, as long as the last one still differs.
fn shrink(mut steps: Vec<Step>, addresses: [SocketAddr; 2]) -> Vec<Step> {
    let mut piece = steps.len().next_power_of_two() / 2;
    let mut tries = 0;
    while piece > 0 && tries < 400 {
        let mut from = 0;
        while from + 1 < steps.len() {
            let to = (from + piece).min(steps.len() - 1);
            let mut fewer = steps.clone();
            fewer.drain(from..to);
            tries += 1;
            if still_differs(&fewer, addresses).is_some() {
                steps = fewer;
            } else {
                from = to;
            }
        }
        piece /= 2;
    }
    steps
}

/// What a difference is listed under: the commands that lead to it, and the kinds of both answers.
fn group(steps: &[Step], answers: &[String; 2]) -> String {
    let first = |text: &String| {
        let words = text.split([' ', '\n']).take(2);
        let words: String = words.collect::<Vec<_>>().join(" ");
        without_numbers(&words, 1)
            .chars()
            .take(20)
            .collect::<String>()
    };
    let commands = steps
        .iter()
        .map(|s| s.line.split(' ').next().unwrap_or_default());
    let commands = commands.collect::<Vec<_>>().join(", ");
    format!(
        "{commands}: {:?} {:?}",
        first(&answers[0]),
        first(&answers[1])
    )
}

/// Differences that have been found: those of one group once, with how often they came up.
#[derive(Default)]
struct Found {
    groups: BTreeMap<String, (usize, String)>,
    /// How often a last step of this kind has been cut down; after a while no more are.
    cut_down: BTreeMap<String, usize>,
}

impl Found {
    fn add(
        &mut self,
        seed: u64,
        steps: Vec<Step>,
        answers: [String; 2],
        addresses: [SocketAddr; 2],
    ) {
        let last = steps.len() - 1;
        let kind = group(&steps[last..], &answers);
        let times = self.cut_down.entry(kind.clone()).or_default();
        *times += 1;
        if *times > 10 {
            return;
        }
        let short = shrink(steps, addresses);
        let answers = still_differs(&short, addresses).unwrap_or(answers);
        let (count, example) = self.groups.entry(group(&short, &answers)).or_default();
        *count += 1;
        if example.is_empty() {
            let lines = short
                .iter()
                .map(|s| format!("{}> {}", NAMES[s.client], s.line));
            let lines = lines.collect::<Vec<_>>().join("\n");
            let [ours, real] = answers;
            *example = format!("seed {seed}:\n{lines}\n--- ours\n{ours}\n--- redis\n{real}");
        }
    }
}

/// Plays a seed, and collects differences by group: how often each came up, and the shortest session that shows it.
fn play_sessions(seed: u64, commands: usize, addresses: [SocketAddr; 2], found: &mut Found) {
    let (mut dice, mut clock) = (Dice(seed), 0);
    let (mut session, mut steps) = (Session::new(addresses), vec![]);
    for _ in 0..commands {
        // Long sessions are slow to cut down, and most of them have come to an end.
        if steps.len() == 400 {
            drop(session);
            (session, steps) = (Session::new(addresses), vec![]);
            clock = 0;
        }
        let step = next_step(&mut dice, &mut clock, &session);
        steps.push(step.clone());
        let Some(answers) = session.take(&step) else {
            continue;
        };
        // A client of this session that still waited for a key would take part in the next ones.
        drop(session);
        found.add(seed, steps, answers, addresses);
        (session, steps) = (Session::new(addresses), vec![]);
        clock = 0;
    }
}

#[test]
fn random_sessions_go_as_with_the_real_redis() {
    let options = ["--enable-debug-command", "yes"].map(String::from);
    let Some(redis) = RealRedis::start(&options) else {
        return;
    };
    let config = Config {
        enable_debug_command: "yes",
        ..Config::for_tests()
    };
    let server = Server::start(config).unwrap();
    let addresses = [server.address(), redis.address];
    let (seeds, commands) = seeds_and_commands();
    let mut found = Found::default();
    for seed in seeds {
        play_sessions(seed, commands, addresses, &mut found);
    }
    let found = found.groups;
    let listed: Vec<String> = found
        .values()
        .map(|(times, example)| format!("{times} times, {example}"))
        .collect();
    assert!(
        found.is_empty(),
        "{} differences:\n\n{}",
        found.len(),
        listed.join("\n\n")
    );
}
