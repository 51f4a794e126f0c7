//! LCS: the longest common subsequence of two strings.
//!
//! # The table
//!
//! Cell (i, j) of the classic table is the length of the longest common subsequence of the first i bytes of one string
//! and the first j bytes of the other. A walk back from the last cell gives the subsequence, and its ranges in both
//! strings.
//!
//! Redis stores 4 bytes per cell. A cell exceeds the cell to its left by a *step* of 0 or 1, so this table stores one
//! bit per cell, 64 cells in a word, and computes the cells of a word with one addition (the algorithm of Hyyrö). For
//! two strings of 11 KB, the most that Redis accepts by default, this takes 16 MB and 15 ms (measured) in place of 512
//! MB and 450 ms. That matters because the executor holds the store's read lock, and because several clients may call
//! LCS at the same time.
//!
//! ```text
//!           long:    a b c        The row of "ac" is 0 1 1 2, and its steps are 1 0 1.
//!  short:  ""      0 0 0 0        A step of 1 is stored as a bit that is 0: ...11010.
//!          "a"     0 1 1 1        The first column is in the lowest bit.
//!          "ac"    0 1 1 2
//! ```
//!
//! # Invariants
//!
//! * There is a row for each byte of the shorter string, and a bit in each row for each byte of the longer one. So
//!   rounding rows up to whole words wastes little.
//! * Of several longest subsequences, the reply is the one that Redis finds: see [`Table::walk_back`].
//! * The limits are Redis's: the table that Redis would need must not exceed `proto-max-bulk-len` bytes.

use std::borrow::Cow;

use crate::commands::args::int;
use crate::commands::command::Handler::Read;
use crate::commands::command::flags::READONLY;
use crate::commands::command::{Command, acl, cmd};
use crate::commands::context::{CommandResult, Context};
use crate::commands::key_spec::flags::{ACCESS, RO};
use crate::commands::key_spec::keys;
use crate::resp::{Error, Reply};
use crate::store::{Db, Object};

/// The commands of this file.
#[rustfmt::skip]
pub static COMMANDS: &[Command] = &[
    cmd("lcs", -3, Read(lcs), READONLY, acl::STRING, &[keys(1, 1, 1, RO | ACCESS)])
        .doc("string", "7.0.0", "O(N*M)", "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]",
             "Finds the longest common subsequence of two strings."),
];

/// Both strings must have fewer bytes than this.
const MAX_LEN: usize = u32::MAX as usize - 1;
/// The size in bytes of a cell in Redis's table.
const REDIS_CELL: u128 = 4;
/// The error for a string of [`MAX_LEN`] bytes or more.
const TOO_LONG: Error = Error::text("ERR String too long for LCS");
/// The error if Redis's table would exceed `proto-max-bulk-len`.
const EXCEEDS: Error =
    Error::text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
/// The error if there is not enough memory for the table.
const FAILED: Error =
    Error::text("ERR Insufficient memory, failed allocating transient memory for LCS");

/// A part that both strings have in common.
#[derive(Debug, PartialEq)]
struct Match {
    /// The positions of its first and last byte in the first string.
    a: (usize, usize),
    /// The positions of its first and last byte in the second string.
    b: (usize, usize),
}

impl Match {
    /// The number of bytes.
    fn len(&self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

/// The options of the command.
#[derive(Default)]
struct LcsOptions {
    /// LEN: reply with the length only.
    len_only: bool,
    /// IDX: reply with the ranges.
    idx: bool,
    /// WITHMATCHLEN: with IDX, add the length of each range.
    with_len: bool,
    /// MINMATCHLEN: with IDX, leave out ranges of fewer bytes.
    min_len: usize,
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]`: compares two strings. An absent key is an empty
/// string.
///
/// Replies with their longest common subsequence; with its length (LEN); or with its length and its ranges in both
/// strings, from the last to the first (IDX). O(N*M) for strings of N and M bytes; one step computes 64 cells.
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

/// Reads the options.
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

/// Checks Redis's limits for strings of `a` and `b` bytes. `limit` is `proto-max-bulk-len`.
///
/// # Errors
///
/// [`TOO_LONG`], [`EXCEEDS`], or [`FAILED`] if the size of Redis's table does not fit into 64 bits.
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

/// The string of an object; empty for no object.
fn string_of(found: Option<&Object>) -> Result<Cow<'_, [u8]>, Error> {
    const WRONG: Error = Error::text("ERR The specified keys must contain string values");
    match found {
        Some(object) => object.value.as_string().map_err(|_| WRONG),
        None => Ok(Cow::Borrowed(b"")),
    }
}

/// Replies with a pair of positions.
fn reply_pair(reply: &mut Reply, (from, to): (usize, usize)) {
    reply.array(2);
    reply.int(from as i64);
    reply.int(to as i64);
}

/// The table as bits: see the head of this file. Row p belongs to the first p bytes of the shorter string.
struct Table {
    /// The words of the rows from row 1 on. Row 0 has no steps, and is left out.
    rows: Vec<u64>,
    /// The number of words in a row.
    width: usize,
    /// The command's first string is the longer one.
    first_is_long: bool,
}

/// For each byte value in the shorter string: its positions in the longer string, as bits.
struct Positions {
    /// A row of `width` words for each byte value. Bit q is 1 if the byte at position q of the longer string has this
    /// value.
    bits: Vec<u64>,
    /// The number of words in a row.
    width: usize,
    /// The index in `bits` at which the row of a byte value begins.
    of_byte: [usize; 256],
}

impl Positions {
    /// Finds the positions. O(N + M), and one row for each byte value in `short`.
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

    /// Computes the next row of the table from `row`, and stores it there. `byte` is the byte of the shorter string
    /// that the next row adds.
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

/// A vector of `words` zeros.
///
/// # Errors
///
/// [`FAILED`] if there is not enough memory.
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
    /// The length of the longest common subsequence. Stores only one row.
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

    /// Computes all rows.
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

    /// The value of cell (p, q): the sum of the steps up to it. O(q / 64).
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
    /// The walk begins at the last cell. If the last bytes of both strings are equal, they belong to the subsequence,
    /// and the walk drops both. If they differ, it drops the last byte of the first string if this leaves a longer
    /// subsequence, otherwise the last byte of the second string, as Redis does. In the loop, `here` is the value of
    /// cell (p, q), and `above` that of cell (p - 1, q).
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

    /// Computes the same as Redis does: with a number for each cell.
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
