//! Checks the README: its table of commands lists every command of the server, and nothing else.

use std::collections::BTreeSet;

use redis_clone::{Config, Server};

#[test]
fn the_readme_lists_every_command() {
    let readme = include_str!("../README.md");
    let rows = readme
        .lines()
        .skip_while(|l| *l != "## Commands")
        .take_while(|l| *l != "## Figures");
    let listed: BTreeSet<String> = rows
        .filter(|l| l.starts_with("| ") && !l.starts_with("| group"))
        .flat_map(|l| l.split('`').skip(1).step_by(2))
        .map(str::to_lowercase)
        .collect();
    let server = Server::start(Config::for_tests()).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let names: Vec<String> = redis::cmd("COMMAND")
        .arg("LIST")
        .query(&mut connection)
        .unwrap();
    // COMMAND LIST names a subcommand `container|name`; the README lists the name alone. The subcommands of DEBUG are not in
    // COMMAND LIST.
    let names = names.iter().map(|n| n.rsplit('|').next().unwrap());
    let debug = ["sleep", "set-active-expire", "object"];
    let all: BTreeSet<String> = names.chain(debug).map(String::from).collect();
    assert_eq!(listed, all);
}
