//! The patterns of KEYS, SCAN MATCH and CONFIG GET.
//!
//! `*` stands for any run of bytes, `?` for one byte, `[a-c]` for one byte of a class (`[^a-c]` for
//! one outside it) and `\` takes the special meaning of the byte after it away. It works on bytes,
//! as keys are bytes.
//!
//! The textbook matcher calls itself at every `*`, and then `a*a*a*a*b` against a long row of `a`
//! takes time beyond measure: a gift to whoever wants to stop the server. This one remembers only the
//! last `*` it passed. If matching fails later, it returns there and lets that star swallow one byte
//! more; an earlier star never needs a second try, since whatever it could reach the later one can
//! reach as well. So the cost is at most pattern × text.

/// Tells whether `text` matches `pattern` as a whole. With `fold` set, ASCII case does not matter.
///
/// Mirrors `stringmatchlen` of Redis, its treatment of broken patterns included: a class that is
/// never closed ends with the pattern, a trailing `\` stands for itself.
pub fn matches(pattern: &[u8], text: &[u8], fold: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star, and how much text it has swallowed up to.
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
                Some((after_star, swallowed)) => {
                    p = after_star;
                    t = swallowed + 1;
                    retry = Some((after_star, t));
                }
                None => return false,
            },
        }
    }
}

/// Matches one byte against the head of `pattern`, which is no star; tells how much pattern that took.
fn one(pattern: &[u8], byte: u8, fold: bool) -> Option<usize> {
    let low = |b: u8| if fold { b.to_ascii_lowercase() } else { b };
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let (hit, used) = class(&pattern[1..], low(byte), low);
            hit.then_some(used + 1)
        }
        b'\\' if pattern.len() >= 2 => (low(pattern[1]) == low(byte)).then_some(2),
        literal => (low(literal) == low(byte)).then_some(1),
    }
}

/// Matches a class, of which `pattern` is what follows the `[`; tells the length of the class too.
fn class(pattern: &[u8], byte: u8, low: impl Fn(u8) -> u8) -> (bool, usize) {
    let negated = pattern.first() == Some(&b'^');
    let mut i = usize::from(negated);
    let mut hit = false;
    loop {
        match pattern.get(i) {
            None => break,
            Some(b']') => {
                i += 1;
                break;
            }
            Some(b'\\') if i + 1 < pattern.len() => {
                hit |= low(pattern[i + 1]) == byte;
                i += 2;
            }
            Some(&from) if i + 2 < pattern.len() && pattern[i + 1] == b'-' => {
                let (from, to) = (low(from), low(pattern[i + 2]));
                hit |= (from.min(to)..=from.max(to)).contains(&byte);
                i += 3;
            }
            Some(&literal) => {
                hit |= low(literal) == byte;
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
        assert!(m("*", "") && m("*", "abc") && m("h*llo", "heeeello") && m("h?llo", "hello"));
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
                assert_eq!(matches(&p, &t, false), slow(&p, &t), "{p:?} {t:?}");
            }
        }
    }
}
