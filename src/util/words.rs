//! Splits a line into words, with quotes: the syntax of inline commands, of redis-cli and of redis.conf.
//!
//! White space separates words. Between `"` white space belongs to the word, and there are the escapes
//! `\n \r \t \b \a \xHH \\ \"`. Between `'` every byte stands for itself; the only escape is `\'`. For example,
//! `SET "a b" 'it\'s'` has the words `SET`, `a b` and `it's`.
//!
//! The rules are those of Redis's `sdssplitargs`, with its peculiarities:
//!
//! * Between words, and after a closing quote, every byte of C's `isspace` is white space.
//! * Only blank, tab, CR and LF end a word without quotes. VT (`\x0b`) and FF do not: `a\x0bb` is one word.
//! * A zero byte ends the line. A zero byte inside quotes makes the line unbalanced.
//! * A quote may begin inside a word (`pre"fix"`). A closing quote ends the word: white space or the end of the line must
//!   follow.

/// The words of `line`, or `None` if a quote is not closed or the closing quote is not followed by white space.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = line.iter().position(|&b| b == 0).unwrap_or(line.len());
    let line = &line[..end];
    let mut words = vec![];
    let mut at = 0;
    loop {
        while at < line.len() && is_space(line[at]) {
            at += 1;
        }
        if at == line.len() {
            return Some(words);
        }
        let (word, used) = word(&line[at..])?;
        words.push(word);
        at += used;
    }
}

/// Reads one word from the start of `line`. Returns the word and how many bytes of the line this used.
fn word(line: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut word = vec![];
    let mut i = 0;
    while i < line.len() {
        let quoted = match line[i] {
            b' ' | b'\n' | b'\r' | b'\t' => break,
            b'"' => double_quoted(&line[i..], &mut word)?,
            b'\'' => single_quoted(&line[i..], &mut word)?,
            byte => {
                word.push(byte);
                i += 1;
                continue;
            }
        };
        i += quoted;
        let ends = line.get(i).is_none_or(|&next| is_space(next));
        return ends.then_some((word, i));
    }
    Some((word, i))
}

/// Reads `"…"` from the start of `line` and appends the bytes that it stands for to `word`. Returns how many bytes of the
/// line this used, or `None` if there is no closing quote.
fn double_quoted(line: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let mut i = 1;
    loop {
        match (*line.get(i)?, line.get(i + 1)) {
            (b'"', _) => return Some(i + 1),
            (b'\\', Some(b'x')) if hex(line, i + 2).is_some() => {
                word.push(hex(line, i + 2)?);
                i += 4;
            }
            (b'\\', Some(&escaped)) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => other,
                });
                i += 2;
            }
            (byte, _) => {
                word.push(byte);
                i += 1;
            }
        }
    }
}

/// Reads `'…'` in the same way as [`double_quoted`] reads `"…"`.
fn single_quoted(line: &[u8], word: &mut Vec<u8>) -> Option<usize> {
    let mut i = 1;
    loop {
        match (*line.get(i)?, line.get(i + 1)) {
            (b'\'', _) => return Some(i + 1),
            (b'\\', Some(b'\'')) => {
                word.push(b'\'');
                i += 2;
            }
            (byte, _) => {
                word.push(byte);
                i += 1;
            }
        }
    }
}

/// The byte that the two hexadecimal digits at `at` stand for. `None` if there are no such digits.
fn hex(line: &[u8], at: usize) -> Option<u8> {
    let digit = |i| (*line.get(i)? as char).to_digit(16);
    Some((digit(at)? * 16 + digit(at + 1)?) as u8)
}

/// C's `isspace`: blank, tab, LF, VT, FF, CR.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Puts `word` in double quotes, so that [`split`] returns it unchanged. This is the form of Redis's `sdscatrepr`, which
/// redis-cli and CONFIG REWRITE print.
pub fn quote(word: &[u8]) -> String {
    let mut out = String::from("\"");
    for &byte in word {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(byte as char),
            other => out.push_str(&format!("\\x{other:02x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(line: &str) -> Option<Vec<String>> {
        let words = split(line.as_bytes())?;
        Some(
            words
                .into_iter()
                .map(|w| String::from_utf8_lossy(&w).into_owned())
                .collect(),
        )
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(s("  set  k v ").unwrap(), ["set", "k", "v"]);
        assert_eq!(
            s(r#"set "a b" '' 'it\'s' "\x41\n""#).unwrap(),
            ["set", "a b", "", "it's", "A\n"]
        );
        assert_eq!(s(r#"a"b c"d"#), None);
        assert_eq!(s(r#"pre"quoted""#).unwrap(), ["prequoted"]);
        assert_eq!(s("\"open"), None);
        assert_eq!(s("\"a\"b"), None);
        assert_eq!(s("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn white_space_is_what_redis_takes_for_it() {
        // Each line was sent to redis-server 7.0.15 after COMMAND GETKEYS MGET.
        let words = |line: &str| s(line).unwrap_or_default();
        for separator in ["\n", "\r", "\t", " "] {
            assert_eq!(words(&format!("a{separator}b")), ["a", "b"]);
            assert_eq!(words(&format!("\"a\"{separator}b")), ["a", "b"]);
        }
        for inner in ["\x0b", "\x0c"] {
            let joined = format!("a{inner}b");
            assert_eq!(words(&joined), [joined.as_str()]);
            assert_eq!(words(&format!("a {inner}b {inner}")), ["a", "b"]);
            assert_eq!(words(&format!("\"a\"{inner}b")), ["a", "b"]);
        }
        assert_eq!(words("a\0b c"), ["a"]);
        assert_eq!(s("\"a\0b\""), None);
        assert_eq!(s("\"a\"\x1cb"), None);
    }

    #[test]
    fn quoting_survives_splitting() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split(quote(&all).as_bytes()).unwrap(), [all]);
    }
}
