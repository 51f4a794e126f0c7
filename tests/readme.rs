//! The README keeps its word: every command of the table is in its list, and nothing else.

use std::collections::BTreeSet;

use redis_clone::commands::{INDEX, TABLE};

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
    let debug = ["sleep", "set-active-expire", "object"]; // DEBUG takes its words itself
    let names = INDEX.rows.iter().map(|r| r.command.name.to_string());
    let all: BTreeSet<String> = names.chain(debug.map(String::from)).collect();
    assert_eq!(listed, all);
    assert!(TABLE.iter().all(|c| listed.contains(c.name)));
}
