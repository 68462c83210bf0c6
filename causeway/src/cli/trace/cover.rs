//! Which addresses a prefix or a pattern covers.
//!
//! Owns that question for the tool, which has no router's tables: `*` is one token, `#` any number,
//! tokens are divided by `.` or `/`.

/// Whether an address is the prefix or goes on behind it.
pub(super) fn prefix(prefix: &str, address: &str) -> bool {
    let prefix = tokens(prefix);
    let address = tokens(address);
    address.starts_with(&prefix)
}

/// Whether a pattern covers an address.
pub(super) fn pattern(pattern: &str, address: &str) -> bool {
    covers(&tokens(pattern), &tokens(address))
}

fn tokens(text: &str) -> Vec<&str> {
    text.trim_matches(['.', '/']).split(['.', '/']).collect()
}

fn covers(pattern: &[&str], address: &[&str]) -> bool {
    // Which tokens of the address may come next, after each token of the pattern: no search can
    // take longer than both are long.
    let mut open = vec![false; address.len() + 1];
    if let Some(first) = open.first_mut() {
        *first = true;
    }
    for wanted in pattern {
        let mut next = vec![false; address.len() + 1];
        let mut is_open = false;
        for (place, slot) in next.iter_mut().enumerate() {
            let at = |place: usize| open.get(place).copied().unwrap_or(false);
            *slot = match *wanted {
                "#" => {
                    is_open |= at(place);
                    is_open
                }
                wanted => place.checked_sub(1).is_some_and(|before| {
                    let token = address.get(before).copied();
                    at(before) && (wanted == "*" || token == Some(wanted))
                }),
            };
        }
        open = next;
    }
    open.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_whole_tokens() {
        assert!(prefix("a.b", "a.b") && prefix("a.b", "a/b/c") && prefix("/a", "a"));
        assert!(!prefix("a.b", "a.bc") && !prefix("a.b", "a"));
    }

    #[test]
    fn wildcards_cover_tokens() {
        for (wanted, address, expected) in [
            ("a/*/c", "a.b.c", true),
            ("a/*/c", "a.c", false),
            ("a/#", "a", true),
            ("a/#", "a.b.c", true),
            ("#", "x", true),
            ("*/#/c", "a.b.b.c", true),
            ("*/#/c", "c", false),
            ("#.b.#", "a.c", false),
        ] {
            assert_eq!(pattern(wanted, address), expected, "{wanted} {address}");
        }
    }
}
