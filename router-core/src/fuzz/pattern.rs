//! The pattern tree beside the plainest matcher there is.
//!
//! Owns that matcher. It never says which of several patterns is best, only whether one matches;
//! the tree's own tests know the order.

use crate::address::{PatternTree, trim_separators};

/// Patterns beyond these are left out.
const PATTERNS_MAX: usize = 32;
/// Longer inputs cost time and find nothing new.
const BYTES_MAX: usize = 1024;

/// Compares tree and matcher on patterns and an address, one a line.
pub(super) fn compare(data: &[u8]) {
    let Some(text) = std::str::from_utf8(data)
        .ok()
        .filter(|text| text.len() <= BYTES_MAX)
    else {
        return;
    };
    let mut lines: Vec<&str> = text.lines().collect();
    let address = lines.pop().unwrap_or_default();
    lines.truncate(PATTERNS_MAX);
    let mut tree = PatternTree::new();
    let taken: Vec<&str> = lines
        .into_iter()
        .filter(|pattern| tree.insert(pattern, *pattern).is_ok())
        .collect();
    check(&tree, &taken, address);
    for (gone, pattern) in taken.iter().enumerate() {
        assert_eq!(
            tree.remove(pattern),
            Some(*pattern),
            "what was taken can be taken out"
        );
        assert_eq!(tree.get(pattern), None, "what was taken out is not there");
        check(&tree, &taken[gone + 1..], address);
    }
}

fn check(tree: &PatternTree<&str>, patterns: &[&str], address: &str) {
    let found = tree.best_match(address).copied();
    let matching: Vec<&str> = patterns
        .iter()
        .copied()
        .filter(|pattern| matches(pattern, address))
        .collect();
    match found {
        Some(pattern) => assert!(matching.contains(&pattern), "{pattern} for {address:?}"),
        None => assert!(matching.is_empty(), "{matching:?} match {address:?}"),
    }
}

/// Whether a pattern matches an address, by the table of all their prefixes.
fn matches(pattern: &str, address: &str) -> bool {
    let pattern: Vec<&str> = trim_separators(pattern).split(['.', '/']).collect();
    let address = address.trim_start_matches(['.', '/']);
    let mut tokens: Vec<&str> = address.split(['.', '/']).collect();
    if tokens.last() == Some(&"") {
        tokens.pop();
    }
    let mut reached = vec![false; tokens.len() + 1];
    reached[0] = true;
    for part in pattern {
        let mut next = vec![false; tokens.len() + 1];
        for at in 0..=tokens.len() {
            next[at] = match part {
                "#" => reached[..=at].contains(&true),
                "*" => at > 0 && reached[at - 1],
                _ => at > 0 && reached[at - 1] && tokens[at - 1] == part,
            };
        }
        reached = next;
    }
    reached[tokens.len()]
}
