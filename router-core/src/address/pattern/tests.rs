//! The tree against what the reference says, and against a search that tries everything.

use proptest::prelude::*;

use super::*;

/// A tree of patterns, each its own value.
fn tree(patterns: &[&str]) -> PatternTree<String> {
    let mut tree = PatternTree::new();
    for pattern in patterns {
        tree.insert(pattern, (*pattern).to_owned()).unwrap();
    }
    tree
}

fn best<'a>(patterns: &'a PatternTree<String>, address: &str) -> Option<&'a str> {
    patterns.best_match(address).map(String::as_str)
}

#[test]
fn a_prefix_matches_whole_tokens() {
    let tree = tree(&["foo/#"]);
    for address in ["foo", "foo/x", "foo.x.y", "/foo", "./foo/", "foo/"] {
        assert_eq!(best(&tree, address), Some("foo/#"), "for {address:?}");
    }
    for address in ["foobar", "fo", "x/foo", "", "/"] {
        assert_eq!(best(&tree, address), None, "for {address:?}");
    }
}

#[test]
fn a_snapshot_stays_as_it_was_and_shares_what_did_not_change() {
    let mut changing = tree(&["a/b/c", "a/*/#", "x/y"]);
    let snapshot = changing.clone();
    assert_eq!(changing.remove("a/b/c").as_deref(), Some("a/b/c"));
    changing.insert("a/q", "a/q".to_owned()).unwrap();
    assert_eq!(best(&snapshot, "a/b/c"), Some("a/b/c"));
    assert_eq!(best(&changing, "a/b/c"), Some("a/*/#"));
    assert_eq!(best(&snapshot, "a/q"), Some("a/*/#"));
    assert_eq!(best(&changing, "a/q"), Some("a/q"));
    let untouched = |tree: &PatternTree<String>| Arc::clone(&tree.root.literal["x"]);
    assert!(Arc::ptr_eq(&untouched(&changing), &untouched(&snapshot)));
}

#[test]
fn an_asterisk_is_one_token() {
    let tree = tree(&["a/*/c"]);
    for address in ["a/b/c", "a.b.c", "a/b.c", "a//c"] {
        assert_eq!(best(&tree, address), Some("a/*/c"), "for {address:?}");
    }
    for address in ["a/c", "a/b/b/c", "a/b", "a/b/c/d"] {
        assert_eq!(best(&tree, address), None, "for {address:?}");
    }
}

#[test]
fn a_hash_is_any_number_of_tokens() {
    let tree = tree(&["a/#/z"]);
    for address in ["a/z", "a/b/z", "a/z/z", "a/z/b/z"] {
        assert_eq!(best(&tree, address), Some("a/#/z"), "for {address:?}");
    }
    for address in ["a", "z", "a/z/b", "b/z"] {
        assert_eq!(best(&tree, address), None, "for {address:?}");
    }
}

#[test]
fn wildcards_within_a_token_are_literal() {
    let tree = tree(&["a/b*", "#x"]);
    assert_eq!(best(&tree, "a/b*"), Some("a/b*"));
    assert_eq!(best(&tree, "a/bc"), None);
    assert_eq!(best(&tree, "#x"), Some("#x"));
    assert_eq!(best(&tree, "x"), None);
}

#[test]
fn from_the_left_the_literal_goes_before_one_before_many() {
    let tree = tree(&["#", "*/#", "a/#", "a/*", "a/b", "*/b", "a/b/*/d", "a/*/c/d"]);
    for (address, expected) in [
        ("a/b", "a/b"),
        ("a/c", "a/*"),
        ("a/c/d", "a/#"),
        ("x/b", "*/b"),
        ("x/c", "*/#"),
        ("a", "a/#"),
        ("a/b/c/d", "a/b/*/d"),
        ("a/x/c/d", "a/*/c/d"),
        ("", "#"),
    ] {
        assert_eq!(best(&tree, address), Some(expected), "for {address:?}");
    }
}

#[test]
fn a_dead_end_leads_back() {
    let tree = tree(&["a/b/c", "a/*/d", "#/e"]);
    assert_eq!(best(&tree, "a/b/d"), Some("a/*/d"));
    assert_eq!(best(&tree, "a/b/e"), Some("#/e"));
    assert_eq!(best(&tree, "a/b/f"), None);
}

#[test]
fn patterns_that_match_the_same_are_the_same() {
    for (one, other) in [
        ("a/b", "a.b"),
        ("a/#/#", "a/#"),
        ("a/#/*", "a/*/#"),
        ("#.*.#.*", "*.*.#"),
        ("/a/b/", "a/b"),
        ("./a", "a"),
    ] {
        let mut tree = tree(&[one]);
        assert_eq!(tree.insert(other, String::new()), Err(PatternError::Exists));
        assert_eq!(tree.get(other).map(String::as_str), Some(one));
        assert_eq!(tree.remove(other).as_deref(), Some(one));
        assert!(tree.root.is_empty(), "{other:?} left nodes behind");
    }
}

#[test]
fn removal_leaves_the_others() {
    let mut tree = tree(&["a", "a/b", "a/*/c", "a/#"]);
    assert_eq!(tree.remove("a/*"), None);
    assert_eq!(tree.remove("a/x"), None);
    assert_eq!(tree.remove("a/*/c").as_deref(), Some("a/*/c"));
    assert_eq!(best(&tree, "a/x/c"), Some("a/#"));
    assert_eq!(tree.remove("a").as_deref(), Some("a"));
    assert_eq!(best(&tree, "a"), Some("a/#"));
    assert_eq!(best(&tree, "a/b"), Some("a/b"));
}

#[test]
fn unusable_patterns_are_refused() {
    let mut tree = PatternTree::new();
    for pattern in ["", "/", "./.", "."] {
        assert_eq!(tree.insert(pattern, ()), Err(PatternError::NoTokens));
        assert_eq!(tree.remove(pattern), None);
    }
    let longest = vec!["a"; PATTERN_TOKENS].join("/");
    assert_eq!(tree.insert(&longest, ()), Ok(()));
    assert!(tree.best_match(&longest).is_some());
    assert_eq!(
        tree.insert(&format!("{longest}/#"), ()),
        Err(PatternError::TooManyTokens)
    );
    assert_eq!(
        tree.insert(&"#/*/".repeat(PATTERN_TOKENS), ()),
        Err(PatternError::TooManyTokens)
    );
}

/// Would take far longer than the age of the universe if each `#` tried every split.
#[test]
fn an_address_made_to_be_hard_is_decided_at_once() {
    let tree = tree(&[&"#/a/".repeat(40), &format!("{}c", "#/a/*/".repeat(30))]);
    let mut address = "a/".repeat(5000);
    address.push('b');
    assert_eq!(best(&tree, &address), None);
}

/// Tokens of patterns and addresses that meet often.
fn tokens(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(of), 1..6).prop_map(|tokens| tokens.join("/"))
}

/// A tree of patterns, without those that match the same as one before.
fn tree_of_distinct(patterns: &[String]) -> PatternTree<String> {
    let mut tree = PatternTree::new();
    for pattern in patterns {
        if tree.get(pattern).is_none() {
            tree.insert(pattern, pattern.clone()).unwrap();
        }
    }
    tree
}

/// Every way in which a pattern can take an address, each as one letter for a token: literal, one
/// or many; `|` ends a `#`, so that fewer tokens come first.
fn ways(pattern: &[&str], address: &[&str]) -> Vec<String> {
    let Some((first, rest)) = pattern.split_first() else {
        return if address.is_empty() {
            vec![String::new()]
        } else {
            Vec::new()
        };
    };
    let mut ways = Vec::new();
    let mut add = |letters: &str, more: Vec<String>| {
        ways.extend(more.into_iter().map(|more| format!("{letters}{more}")));
    };
    match (*first, address.split_first()) {
        (MANY, _) => {
            for taken in 0..=address.len() {
                // The last `#` of a pattern comes after all that goes on.
                let end = if rest.is_empty() { "z" } else { "" };
                add(
                    &format!("{}{end}", "m".repeat(taken)),
                    self::ways(rest, &address[taken..]),
                );
            }
        }
        (ONE, Some((_, others))) => add("l", self::ways(rest, others)),
        (token, Some((next, others))) if token == *next => add("a", self::ways(rest, others)),
        _ => {}
    }
    ways
}

proptest! {
    #[test]
    fn a_match_is_found_exactly_if_there_is_one(
        patterns in prop::collection::vec(tokens(&["a", "b", "*", "#"]), 0..8),
        address in tokens(&["a", "b", "c"]),
    ) {
        let tree = tree_of_distinct(&patterns);
        let split: Vec<&str> = address.split('/').collect();
        let takes = |pattern: &str| {
            !ways(&pattern.split('/').collect::<Vec<_>>(), &split).is_empty()
        };
        match best(&tree, &address) {
            Some(found) => prop_assert!(takes(found), "{} does not take {}", found, address),
            None => prop_assert!(!patterns.iter().any(|pattern| takes(pattern))),
        }
    }

    #[test]
    fn without_a_hash_the_first_difference_decides(
        patterns in prop::collection::vec(tokens(&["a", "b", "*"]), 0..8),
        address in tokens(&["a", "b"]),
    ) {
        let tree = tree_of_distinct(&patterns);
        let split: Vec<&str> = address.split('/').collect();
        let way = |pattern: &String| {
            ways(&pattern.split('/').collect::<Vec<_>>(), &split).into_iter().next()
        };
        let expected = patterns.iter().filter_map(way).min();
        prop_assert_eq!(best(&tree, &address).map(str::to_owned).as_ref().and_then(way), expected);
    }

    #[test]
    fn any_text_is_survived(pattern in ".{0,40}", address in ".{0,80}") {
        let mut tree = PatternTree::new();
        if tree.insert(&pattern, ()).is_ok() {
            let found = tree.best_match(&address).is_some();
            prop_assert!(!found || first_token(&address).is_some() || pattern.contains(MANY));
            prop_assert!(tree.get(&pattern).is_some());
            prop_assert_eq!(tree.remove(&pattern), Some(()));
        }
        prop_assert!(tree.root.is_empty());
    }
}
