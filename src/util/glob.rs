//! Glob patterns, as in KEYS, SCAN MATCH and CONFIG GET.
//!
//! | pattern | matches |
//! |---|---|
//! | `*` | any bytes, also none |
//! | `?` | any one byte |
//! | `[a-cx]` | one byte of the class: `a`, `b`, `c` or `x` |
//! | `[^a-cx]` | one byte outside the class |
//! | `\c` | the byte `c`, without a special meaning |
//!
//! Patterns and keys are bytes, not characters.
//!
//! # Cost
//!
//! A matcher that calls itself at every `*` takes exponential time for `a*a*a*a*b` and a long text of `a`. This
//! one remembers only the last `*`. When matching fails later, that star takes one more byte and matching goes on after
//! it. An earlier star needs no second try, because the later one can take the same bytes. So the cost is
//! O(pattern × text).
//!
//! # What Redis does with odd patterns
//!
//! The results are those of Redis's `stringmatchlen`:
//!
//! * A class without `]` ends at the end of the pattern; a trailing `\` stands for itself.
//! * An empty text matches only an empty pattern, not even `*`. (KEYS and SCAN treat the pattern `*` as "all" before they
//!   match.)
//! * The bounds of a range are signed bytes, and reversed bounds are swapped: `[\x01-\xff]` is the range from -1 to 1.
//! * Without case, bounds are swapped first and lowered after that: `[Z-a]` becomes the empty range `z` to `a`. An
//!   escaped byte in a class keeps its case.

/// True if the whole `text` matches `pattern`. If `fold` is set, upper and lower case of ASCII letters match.
pub fn matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    // The pattern after the last star, and the text up to which this star has taken bytes.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            while p < pattern.len() && pattern[p] == b'*' {
                p += 1;
            }
            if p == pattern.len() {
                return true;
            }
            retry = Some((p, t));
            continue;
        }
        if t == text.len() {
            return p == pattern.len();
        }
        match one(&pattern[p..], text[t], fold) {
            Some(used) => {
                p += used;
                t += 1;
            }
            None => match retry {
                Some((after_star, taken)) => {
                    p = after_star;
                    t = taken + 1;
                    retry = Some((after_star, t));
                }
                None => return false,
            },
        }
    }
}

/// Matches one byte against the start of `pattern`, which is not a star. Returns how many bytes of the pattern this used,
/// or `None` if the byte does not match or the pattern is empty.
fn one(pattern: &[u8], byte: u8, fold: bool) -> Option<usize> {
    let same = |literal: u8| lower(literal, fold) == lower(byte, fold);
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let (hit, used) = class(&pattern[1..], byte, fold);
            hit.then_some(used + 1)
        }
        b'\\' if pattern.len() >= 2 => same(pattern[1]).then_some(2),
        literal => same(literal).then_some(1),
    }
}

/// The byte in lower case if `fold` is set.
fn lower(byte: u8, fold: bool) -> u8 {
    if fold {
        byte.to_ascii_lowercase()
    } else {
        byte
    }
}

/// Matches `byte` against a class; `pattern` begins after the `[`. Returns whether the byte matches, and the length of the
/// class with its `]`.
fn class(pattern: &[u8], byte: u8, fold: bool) -> (bool, usize) {
    let signed = |b: u8| lower(b, fold).cast_signed();
    let negated = pattern.first() == Some(&b'^');
    let mut i = usize::from(negated);
    let mut hit = false;
    loop {
        match pattern.get(i) {
            None => break,
            Some(b'\\') if i + 1 < pattern.len() => {
                hit |= pattern[i + 1] == byte;
                i += 2;
            }
            Some(b']') => {
                i += 1;
                break;
            }
            Some(&from) if i + 2 < pattern.len() && pattern[i + 1] == b'-' => {
                let to = pattern[i + 2];
                let swap = from.cast_signed() > to.cast_signed();
                let (from, to) = if swap { (to, from) } else { (from, to) };
                hit |= (signed(from)..=signed(to)).contains(&signed(byte));
                i += 3;
            }
            Some(&literal) => {
                hit |= lower(literal, fold) == lower(byte, fold);
                i += 1;
            }
        }
    }
    (hit != negated, i)
}

#[cfg(test)]
mod tests {
    use super::matches;

    fn m(pattern: &str, text: &str) -> bool {
        matches(pattern.as_bytes(), text.as_bytes(), false)
    }

    #[test]
    fn stars_and_marks() {
        assert!(m("*", "x") && m("*", "abc") && m("h*llo", "heeeello") && m("h?llo", "hello"));
        assert!(m("a*b*c", "aXbYc") && m("a**c", "ac") && m("*c", "abc"));
        assert!(!m("h?llo", "hllo") && !m("", "a") && !m("a*b", "ac") && !m("abc", "ab"));
    }

    #[test]
    fn classes() {
        assert!(m("h[ae]llo", "hallo") && m("h[a-c]llo", "hbllo") && m("h[c-a]llo", "hbllo"));
        assert!(m("h[^e]llo", "hallo") && !m("h[^e]llo", "hello"));
        assert!(m("[\\]]", "]") && m("[abc", "c") && m("\\*", "*") && !m("\\*", "a"));
    }

    #[test]
    fn case_folds_on_request() {
        assert!(matches(b"MAX*", b"maxclients", true) && !matches(b"MAX*", b"maxclients", false));
        assert!(matches(b"[A-C]x", b"bX", true));
    }

    #[test]
    fn odd_patterns_are_treated_as_redis_does() {
        // Each was tried with KEYS or COMMAND LIST FILTERBY PATTERN of redis-server 7.0.15.
        assert!(m("", "") && !m("*", "") && !m("**", "") && m("**", "a") && m("a**", "a"));
        assert!(m("[^", "a") && !m("[", "a") && !m("[]", "a") && m("[^]", "a") && !m("[", "["));
        assert!(m("[a-", "-") && m("[a-]", "_") && m("[a-]", "]") && m("\\", "\\"));
        let range = |class: &[u8], byte: u8| matches(class, &[byte], false);
        assert!(range(b"[\x01-\xff]", 0) && !range(b"[\x01-\xff]", b'a'));
        assert!(range(b"[\x7f-\x80]", b'a') && range(b"[\x80-\xff]", 0x90));
        let folded = |class: &[u8], byte: u8| matches(class, &[byte], true);
        assert!(!folded(b"[Z-a]", b'z') && !folded(b"[Z-a]", b'_') && folded(b"[B-D]", b'c'));
        assert!(!folded(b"[\\A]", b'a') && folded(b"[A]", b'a') && folded(b"\\A", b'a'));
    }

    #[test]
    fn many_stars_cost_little() {
        let text = "a".repeat(5000);
        assert!(!m(&format!("{}b", "a*".repeat(50)), &text));
    }

    #[test]
    fn agrees_with_plain_backtracking() {
        // Every pattern of up to 4 and every text of up to 4 symbols, against the textbook matcher.
        fn slow(p: &[u8], t: &[u8]) -> bool {
            match p.first() {
                None => t.is_empty(),
                Some(b'*') => (0..=t.len()).any(|n| slow(&p[1..], &t[n..])),
                Some(b'?') => !t.is_empty() && slow(&p[1..], &t[1..]),
                Some(c) => t.first() == Some(c) && slow(&p[1..], &t[1..]),
            }
        }
        let words = |alphabet: &[u8]| {
            let mut all = vec![vec![]];
            let mut last: Vec<Vec<u8>> = vec![vec![]];
            for _ in 0..4 {
                last = last
                    .iter()
                    .flat_map(|w| alphabet.iter().map(move |c| [w.as_slice(), &[*c]].concat()))
                    .collect();
                all.extend(last.iter().cloned());
            }
            all
        };
        for p in words(b"ab*?") {
            for t in words(b"ab") {
                let expected = slow(&p, &t) && (p.is_empty() || !t.is_empty());
                assert_eq!(matches(&p, &t, false), expected, "{p:?} {t:?}");
            }
        }
    }
}
