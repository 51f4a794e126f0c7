//! Splitting a line into words, with quotes: the syntax of inline commands, of redis-cli and of
//! redis.conf.
//!
//! Words are parted by blanks. `"…"` keeps blanks and knows the escapes `\n \r \t \b \a \xHH \\ \"`; `'…'`
//! keeps everything but `\'`. A quote that is not closed, or is followed by something other than a blank, is
//! an error.

/// The words of `line`, or `None` if its quotes do not balance. Mirrors `sdssplitargs`.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = vec![];
    let mut at = 0;
    loop {
        while at < line.len() && is_blank(line[at]) {
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

/// Reads one word from the head of `line`; tells how many bytes it took.
fn word(line: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut word = vec![];
    let mut i = 0;
    while i < line.len() && !is_blank(line[i]) {
        match line[i] {
            b'"' => i += double_quoted(&line[i..], &mut word)?,
            b'\'' => i += single_quoted(&line[i..], &mut word)?,
            byte => {
                word.push(byte);
                i += 1;
                continue;
            }
        }
        // A closing quote ends the word, and something must part it from the next one.
        if i < line.len() && !is_blank(line[i]) {
            return None;
        }
    }
    Some((word, i))
}

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

/// The byte that two hexadecimal digits at `at` stand for.
fn hex(line: &[u8], at: usize) -> Option<u8> {
    let digit = |i| (*line.get(i)? as char).to_digit(16);
    Some((digit(at)? * 16 + digit(at + 1)?) as u8)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0)
}

/// Puts `word` in double quotes, such that [`split`] gives it back: the form of `sdscatrepr`, which
/// redis-cli and CONFIG REWRITE use.
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
    fn quoting_survives_splitting() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(split(quote(&all).as_bytes()).unwrap(), [all]);
    }
}
