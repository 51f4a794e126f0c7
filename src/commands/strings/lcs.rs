//! LCS: the longest common subsequence of two strings.
//!
//! The classic table: cell (i, j) is the length of the longest common subsequence of the first i bytes of one string and
//! the first j of the other. Walking back from the last cell gives the subsequence, and the
//! stretches in which both strings run along it.

use crate::commands::command::Handler::Read;
use crate::commands::command::flags::READONLY;
use crate::commands::command::{Command, acl, cmd};
use crate::commands::key_spec::flags::{ACCESS, RO};
use crate::commands::key_spec::keys;
use std::borrow::Cow;

use crate::commands::args::int;
use crate::commands::context::{CommandResult, Context};
use crate::resp::{Error, Reply};
use crate::store::Db;

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("lcs", -3, Read(lcs), READONLY, acl::STRING, &[keys(1, 1, 1, RO | ACCESS)])
        .doc("string", "7.0.0", "O(N*M)", "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]",
             "Finds the longest common subsequence of two strings."),
];

/// Tables larger than this are refused: 512 million cells.
const MAX_CELLS: usize = 512 << 20;

/// A stretch of both strings: the first and last position in each.
struct Match {
    a: (usize, usize),
    b: (usize, usize),
}

impl Match {
    fn len(&self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

pub fn lcs(ctx: &mut Context, db: &Db) -> CommandResult {
    // Looked at where they are: many clients at once may ask for the longest strings there can be.
    let a = string_at(ctx, db, 1)?;
    let b = string_at(ctx, db, 2)?;
    let (mut len_only, mut idx, mut with_len, mut min_len) = (false, false, false, 0);
    let mut i = 3;
    while i < ctx.args.len() {
        if ctx.args.is(i, "IDX") {
            idx = true;
        } else if ctx.args.is(i, "LEN") {
            len_only = true;
        } else if ctx.args.is(i, "WITHMATCHLEN") {
            with_len = true;
        } else if ctx.args.is(i, "MINMATCHLEN") && i + 1 < ctx.args.len() {
            min_len = int(&ctx.args[i + 1])?.max(0) as usize;
            i += 1;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 1;
    }
    if idx && len_only {
        return Err(Error::text(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    let table = Table::build(&a, &b)?;
    if len_only {
        ctx.reply.int(i64::from(table.at(a.len(), b.len())));
        return Ok(());
    }
    let (common, matches) = table.walk_back(&a, &b);
    if !idx {
        ctx.reply.bulk(&common);
        return Ok(());
    }
    ctx.reply.map(2);
    ctx.reply.bulk(b"matches");
    let shown: Vec<_> = matches.iter().filter(|m| m.len() >= min_len).collect();
    ctx.reply.array(shown.len());
    for m in shown {
        ctx.reply.array(if with_len { 3 } else { 2 });
        reply_pair(ctx.reply, m.a);
        reply_pair(ctx.reply, m.b);
        if with_len {
            ctx.reply.int(m.len() as i64);
        }
    }
    ctx.reply.bulk(b"len");
    ctx.reply.int(common.len() as i64);
    Ok(())
}

fn string_at<'d>(ctx: &Context, db: &'d Db, i: usize) -> Result<Cow<'d, [u8]>, Error> {
    const WRONG: Error = Error::text("ERR The specified keys must contain string values");
    match ctx.find(db, &ctx.args[i]) {
        Some(object) => object.value.as_string().map_err(|_| WRONG),
        None => Ok(Cow::Borrowed(b"")),
    }
}

fn reply_pair(reply: &mut Reply, (from, to): (usize, usize)) {
    reply.array(2);
    reply.int(from as i64);
    reply.int(to as i64);
}

struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn build(a: &[u8], b: &[u8]) -> Result<Table, Error> {
        let width = b.len() + 1;
        let size = (a.len() + 1).saturating_mul(width);
        let mut cells = Vec::new();
        if size > MAX_CELLS || cells.try_reserve_exact(size).is_err() {
            return Err(Error::text(
                "ERR Insufficient memory, failed allocating transient memory for LCS",
            ));
        }
        cells.resize(size, 0);
        for i in 1..=a.len() {
            let (above, row) = cells[(i - 1) * width..(i + 1) * width].split_at_mut(width);
            for j in 1..width {
                row[j] = if a[i - 1] == b[j - 1] {
                    above[j - 1] + 1
                } else {
                    above[j].max(row[j - 1])
                };
            }
        }
        Ok(Table { cells, width })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    /// The subsequence, and the matching stretches from the last to the first.
    fn walk_back(&self, a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
        let (mut i, mut j) = (a.len(), b.len());
        let (mut common, mut matches) = (vec![], vec![]);
        let mut current: Option<Match> = None;
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                i -= 1;
                j -= 1;
                common.push(a[i]);
                let m = current.get_or_insert(Match {
                    a: (i, i),
                    b: (j, j),
                });
                m.a.0 = i;
                m.b.0 = j;
                continue;
            }
            if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
            matches.extend(current.take());
        }
        matches.extend(current);
        common.reverse();
        (common, matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_manual() {
        let (a, b) = (b"ohmytext", b"mynewtext");
        let table = Table::build(a, b).unwrap();
        let (common, matches) = table.walk_back(a, b);
        assert_eq!(common, b"mytext");
        let spans: Vec<_> = matches.iter().map(|m| (m.a, m.b, m.len())).collect();
        assert_eq!(spans, [((4, 7), (5, 8), 4), ((2, 3), (0, 1), 2)]);
    }
}
