//! LCS: the longest common subsequence of two strings.
//!
//! # The table
//!
//! Cell (i, j) of the classic table is the length of the longest common subsequence of the first i bytes of one
//! string and the first j bytes of the other. Walking back from the last cell gives the subsequence, and the
//! ranges in which both strings have it.
//!
//! Redis stores 4 bytes per cell. Two cells side by side differ by 0 or 1, so this table stores one bit per cell, 64
//! cells to a word, and computes the cells of a word with one addition (the algorithm of Hyyrö). For strings of 11 KB,
//! Redis's limit, this takes 16 MB and 15 ms (measured) in place of 512 MB and 450 ms. That matters because the handler
//! holds the store's read lock, and because several clients may call it at the same time.
//!
//! ```text
//!           long:  a b c          The row of "ac" is 0 1 1 2, the steps are 1 0 1. A step is stored as a *zero*
//!  short:  ""      0 0 0 0        bit: ...11010, the first column in the lowest bit.
//!          "a"     0 1 1 1
//!          "ac"    0 1 1 2
//! ```
//!
//! # Invariants
//!
//! * The rows belong to the shorter string, the bits of a row to the longer one. So little is lost to rounding up to
//!   whole words.
//! * Of several longest subsequences, the reply is the one that Redis finds: see [`Table::walk_back`].
//! * The limits are Redis's: the table that Redis would need must not exceed `proto-max-bulk-len`.

use crate::commands::command::Handler::Read;
use crate::commands::command::flags::READONLY;
use crate::commands::command::{Command, acl, cmd};
use crate::commands::key_spec::flags::{ACCESS, RO};
use crate::commands::key_spec::keys;
use std::borrow::Cow;

use crate::commands::args::int;
use crate::commands::context::{CommandResult, Context};
use crate::resp::{Error, Reply};
use crate::store::{Db, Object};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("lcs", -3, Read(lcs), READONLY, acl::STRING, &[keys(1, 1, 1, RO | ACCESS)])
        .doc("string", "7.0.0", "O(N*M)", "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]",
             "Finds the longest common subsequence of two strings."),
];

/// Both strings must be shorter than this.
const MAX_LEN: usize = u32::MAX as usize - 1;
/// The size of a cell in Redis's table.
const REDIS_CELL: u128 = 4;
const TOO_LONG: Error = Error::text("ERR String too long for LCS");
const EXCEEDS: Error =
    Error::text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
const FAILED: Error =
    Error::text("ERR Insufficient memory, failed allocating transient memory for LCS");

/// A range that both strings have in common: its first and last position in each.
#[derive(Debug, PartialEq)]
struct Match {
    a: (usize, usize),
    b: (usize, usize),
}

impl Match {
    fn len(&self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

/// The options of the command.
#[derive(Default)]
struct LcsOptions {
    len_only: bool,
    idx: bool,
    with_len: bool,
    min_len: usize,
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]`
///
/// Replies with the longest common subsequence of two strings, with its length (LEN), or with its ranges in both
/// strings from the last to the first (IDX). A key that does not exist is an empty string.
///
/// O(N*M). A word of the processor handles 64 cells at once.
pub fn lcs(ctx: &mut Context, db: &Db) -> CommandResult {
    // Both keys are looked up before the first error: a key that has expired is deleted in any case.
    let found = [1, 2].map(|i| ctx.find(db, &ctx.args[i]));
    let (a, b) = (string_of(found[0])?, string_of(found[1])?);
    let options = options(ctx)?;
    check_size(a.len(), b.len(), ctx.config.proto_max_bulk_len)?;
    if options.len_only {
        ctx.reply.int(Table::length(&a, &b)? as i64);
        return Ok(());
    }
    let (common, matches) = Table::build(&a, &b)?.walk_back(&a, &b);
    if !options.idx {
        ctx.reply.bulk(&common);
        return Ok(());
    }
    ctx.reply.map(2);
    ctx.reply.bulk(b"matches");
    let shown: Vec<_> = matches
        .iter()
        .filter(|m| m.len() >= options.min_len)
        .collect();
    ctx.reply.array(shown.len());
    for m in shown {
        ctx.reply.array(if options.with_len { 3 } else { 2 });
        reply_pair(ctx.reply, m.a);
        reply_pair(ctx.reply, m.b);
        if options.with_len {
            ctx.reply.int(m.len() as i64);
        }
    }
    ctx.reply.bulk(b"len");
    ctx.reply.int(common.len() as i64);
    Ok(())
}

fn options(ctx: &Context) -> Result<LcsOptions, Error> {
    let mut options = LcsOptions::default();
    let mut i = 3;
    while i < ctx.args.len() {
        if ctx.args.is(i, "IDX") {
            options.idx = true;
        } else if ctx.args.is(i, "LEN") {
            options.len_only = true;
        } else if ctx.args.is(i, "WITHMATCHLEN") {
            options.with_len = true;
        } else if ctx.args.is(i, "MINMATCHLEN") && i + 1 < ctx.args.len() {
            options.min_len = int(&ctx.args[i + 1])?.max(0) as usize;
            i += 1;
        } else {
            return Err(Error::SYNTAX);
        }
        i += 1;
    }
    if options.idx && options.len_only {
        return Err(Error::text(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    Ok(options)
}

/// Applies Redis's limits to the lengths of the strings: `limit` is `proto-max-bulk-len`.
fn check_size(a: usize, b: usize, limit: i64) -> Result<(), Error> {
    if a >= MAX_LEN || b >= MAX_LEN {
        return Err(TOO_LONG);
    }
    let bytes = (a as u128 + 1) * (b as u128 + 1) * REDIS_CELL;
    match u64::try_from(bytes) {
        Err(_) => Err(FAILED),
        Ok(bytes) if bytes > limit as u64 => Err(EXCEEDS),
        Ok(_) => Ok(()),
    }
}

fn string_of(found: Option<&Object>) -> Result<Cow<'_, [u8]>, Error> {
    const WRONG: Error = Error::text("ERR The specified keys must contain string values");
    match found {
        Some(object) => object.value.as_string().map_err(|_| WRONG),
        None => Ok(Cow::Borrowed(b"")),
    }
}

fn reply_pair(reply: &mut Reply, (from, to): (usize, usize)) {
    reply.array(2);
    reply.int(from as i64);
    reply.int(to as i64);
}

/// The bits of a table: see the head of this file.
struct Table {
    /// A row for each byte of the shorter string. The row of the empty string has no steps, and is left out.
    rows: Vec<u64>,
    /// The number of words in a row.
    width: usize,
    /// The first string is the longer one.
    first_is_long: bool,
}

/// For each byte of the shorter string: the positions of this byte in the longer string, as bits.
struct Positions {
    bits: Vec<u64>,
    width: usize,
    /// Where the bits of a byte begin.
    of_byte: [usize; 256],
}

impl Positions {
    fn build(short: &[u8], long: &[u8]) -> Result<Positions, Error> {
        const NONE: usize = usize::MAX;
        let width = long.len().div_ceil(64);
        let (mut of_byte, mut end) = ([NONE; 256], 0);
        for &byte in short {
            let place = &mut of_byte[usize::from(byte)];
            if *place == NONE {
                *place = end;
                end += width;
            }
        }
        let mut bits = zeros(end)?;
        for (at, &byte) in long.iter().enumerate() {
            let place = of_byte[usize::from(byte)];
            if place != NONE {
                bits[place + at / 64] |= 1 << (at % 64);
            }
        }
        Ok(Positions {
            bits,
            width,
            of_byte,
        })
    }

    /// Replaces a row by the one below it, which belongs to `byte` of the shorter string.
    fn next_row(&self, row: &mut [u64], byte: u8) {
        let from = self.of_byte[usize::from(byte)];
        let mut carry = false;
        for (word, &equal) in row.iter_mut().zip(&self.bits[from..from + self.width]) {
            let (sum, over) = word.overflowing_add(*word & equal);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            carry = over || over_again;
            *word = sum | (*word & !equal);
        }
    }
}

/// So many words, all zero; an error if there is not enough memory.
fn zeros(words: usize) -> Result<Vec<u64>, Error> {
    let mut bits = Vec::new();
    bits.try_reserve_exact(words).map_err(|_| FAILED)?;
    bits.resize(words, 0);
    Ok(bits)
}

/// The shorter string, and the longer one.
fn by_length<'s>(a: &'s [u8], b: &'s [u8]) -> (&'s [u8], &'s [u8]) {
    if a.len() > b.len() { (b, a) } else { (a, b) }
}

impl Table {
    /// The length of the subsequence. Needs one row only.
    fn length(a: &[u8], b: &[u8]) -> Result<usize, Error> {
        let (short, long) = by_length(a, b);
        let positions = Positions::build(short, long)?;
        let mut row = zeros(positions.width)?;
        row.fill(u64::MAX);
        for &byte in short {
            positions.next_row(&mut row, byte);
        }
        Ok(row.iter().map(|word| word.count_zeros() as usize).sum())
    }

    fn build(a: &[u8], b: &[u8]) -> Result<Table, Error> {
        let (short, long) = by_length(a, b);
        let positions = Positions::build(short, long)?;
        let width = positions.width;
        let mut rows = zeros(short.len() * width)?;
        for (p, &byte) in short.iter().enumerate() {
            let (above, row) = rows[..(p + 1) * width].split_at_mut(p * width);
            match p {
                0 => row.fill(u64::MAX),
                _ => row.copy_from_slice(&above[(p - 1) * width..]),
            }
            positions.next_row(row, byte);
        }
        Ok(Table {
            rows,
            width,
            first_is_long: a.len() > b.len(),
        })
    }

    /// The words of row `p`; none for row 0.
    fn row(&self, p: usize) -> &[u64] {
        match p {
            0 => &[],
            _ => &self.rows[(p - 1) * self.width..p * self.width],
        }
    }

    /// By how much cell (p, q) exceeds the cell to its left: 0 or 1.
    fn step(&self, p: usize, q: usize) -> usize {
        let word = self.row(p).get((q - 1) / 64);
        word.map_or(0, |word| usize::from(word >> ((q - 1) % 64) & 1 == 0))
    }

    /// The value of cell (p, q): the number of steps before it. O(q / 64).
    fn cell(&self, p: usize, q: usize) -> usize {
        let row = self.row(p);
        let whole = row.iter().take(q / 64).map(|word| word.count_zeros());
        let part = row.get(q / 64).map_or(0, |word| {
            let below = (1 << (q % 64)) - 1;
            (!word & below).count_ones()
        });
        (whole.sum::<u32>() + part) as usize
    }

    /// The subsequence, and its ranges from the last to the first.
    ///
    /// Where the last bytes differ, Redis drops the last byte of the first string if that leaves the longer subsequence,
    /// else the last byte of the second string. Here (p, q) is the cell of the shorter and the longer string, `here` is
    /// its value, and `above` is the value of (p - 1, q).
    fn walk_back(&self, a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
        let (short, long) = by_length(a, b);
        let (mut p, mut q) = (short.len(), long.len());
        let (mut common, mut matches) = (vec![], vec![]);
        let mut current: Option<Match> = None;
        let (mut here, mut above) = (self.cell(p, q), self.cell(p.saturating_sub(1), q));
        while p > 0 && q > 0 {
            let same = short[p - 1] == long[q - 1];
            let (left, up) = (here - self.step(p, q), above);
            let drop_long = if self.first_is_long {
                left > up
            } else {
                left >= up
            };
            if same {
                common.push(short[p - 1]);
                let (i, j) = if self.first_is_long { (q, p) } else { (p, q) };
                let m = current.get_or_insert(Match {
                    a: (i - 1, i - 1),
                    b: (j - 1, j - 1),
                });
                (m.a.0, m.b.0) = (i - 1, j - 1);
            } else {
                matches.extend(current.take());
            }
            if same || drop_long {
                above -= self.step(p - 1, q);
                here = left;
                q -= 1;
            }
            if same || !drop_long {
                p -= 1;
                here = above;
                above = self.cell(p.saturating_sub(1), q);
            }
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
        let (common, matches) = Table::build(a, b).unwrap().walk_back(a, b);
        assert_eq!(common, b"mytext");
        let spans: Vec<_> = matches.iter().map(|m| (m.a, m.b, m.len())).collect();
        assert_eq!(spans, [((4, 7), (5, 8), 4), ((2, 3), (0, 1), 2)]);
    }

    /// Redis's way: a number for each cell.
    fn plainly(a: &[u8], b: &[u8]) -> (usize, Vec<u8>, Vec<Match>) {
        let mut cells = vec![vec![0usize; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                cells[i][j] = if a[i - 1] == b[j - 1] {
                    cells[i - 1][j - 1] + 1
                } else {
                    cells[i - 1][j].max(cells[i][j - 1])
                };
            }
        }
        let (mut i, mut j) = (a.len(), b.len());
        let (mut common, mut matches, mut current) = (vec![], vec![], None::<Match>);
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                common.push(a[i]);
                let m = current.get_or_insert(Match {
                    a: (i, i),
                    b: (j, j),
                });
                (m.a.0, m.b.0) = (i, j);
                continue;
            }
            matches.extend(current.take());
            if cells[i - 1][j] > cells[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        matches.extend(current);
        common.reverse();
        (cells[a.len()][b.len()], common, matches)
    }

    #[test]
    fn bits_give_the_same_as_numbers() {
        let mut x = 1u64;
        let mut random = |bound: usize| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (x >> 33) as usize % bound
        };
        for round in 0..400 {
            let most = [3, 20, 70, 200][round % 4];
            let letters = [1, 2, 4, 26][round / 4 % 4];
            let mut text = || -> Vec<u8> {
                let len = random(most + 1);
                (0..len).map(|_| b'a' + random(letters) as u8).collect()
            };
            let (a, b) = (text(), text());
            let (len, common, matches) = plainly(&a, &b);
            assert_eq!(Table::length(&a, &b), Ok(len));
            let walked = Table::build(&a, &b).unwrap().walk_back(&a, &b);
            assert_eq!(walked, (common, matches), "{a:?} {b:?}");
        }
    }

    #[test]
    fn limits_are_those_of_redis() {
        // Tried with proto-max-bulk-len 1mb: 511 and 511 bytes are the most of equal length.
        assert_eq!(check_size(511, 511, 1 << 20), Ok(()));
        assert_eq!(check_size(512, 511, 1 << 20), Err(EXCEEDS));
        assert_eq!(check_size(0, 262_143, 1 << 20), Ok(()));
        assert_eq!(check_size(0, 262_144, 1 << 20), Err(EXCEEDS));
        assert_eq!(check_size(60 << 20, 60 << 20, 512 << 20), Err(EXCEEDS));
        assert_eq!(check_size(MAX_LEN, 1, 1 << 40), Err(TOO_LONG));
        assert_eq!(check_size(MAX_LEN - 1, MAX_LEN - 1, i64::MAX), Err(FAILED));
    }

    #[test]
    fn the_largest_table_is_small() {
        // The limit that proto-max-bulk-len sets by default, in its three shapes.
        for (a, b) in [(11_583, 11_583), (134_000, 1000), (1, 67_000_000)] {
            assert_eq!(check_size(a, b, 512 << 20), Ok(()));
            let (a, b) = (vec![b'x'; a], vec![b'x'; b]);
            let table = Table::build(&a, &b).unwrap();
            assert!(table.rows.len() * 8 < 17 << 20);
            assert_eq!(
                table.cell(a.len().min(b.len()), a.len().max(b.len())),
                a.len().min(b.len())
            );
        }
    }
}
