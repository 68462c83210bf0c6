//! Rules about one file at a time: length, line width, module doc, banned words and attributes.
//!
//! Owns what can be seen without looking at another file. It never looks into how a file is
//! compiled; the caller says whether it is a test. Decision: banned words are put together from
//! halves here, so that this file obeys the rules it checks.

use crate::tidy::problem::Problem;
use crate::tidy::source::{Kind, Source, Token};

/// Most lines a file may have outside its tests.
const FILE_LINES_MAX: usize = 600;
/// Most characters a line may have.
const LINE_WIDTH_MAX: usize = 100;

/// Words that say a thing is not finished.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("db", "g!"),
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tm", "p/"),
    concat!("/far", "m/"),
    concat!("../sha", "red"),
];

/// Judges one Rust file; `is_test` when no other build compiles it.
pub(crate) fn rust(source: &Source, is_test: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |line: usize, rule: &'static str, text: String| {
        problems.push(Problem::new(&source.path, line, rule, text));
    };
    let lines = source.lines_without_tests();
    if !is_test && lines > FILE_LINES_MAX {
        let text = format!("{lines} lines without tests, at most {FILE_LINES_MAX}: split the file");
        report(0, "file-length", text);
    }
    if !first_after_attributes(source).is_some_and(|word| word.starts_with("//!")) {
        report(
            1,
            "module-doc",
            "the file does not begin with a `//!` module doc".to_owned(),
        );
    }
    let code = source.code();
    for (at, token) in code.iter().enumerate() {
        if token.kind != Kind::Word {
            continue;
        }
        match source.word(*token) {
            "unsafe" => report(
                token.line,
                "unsafe",
                "our own code has no `unsafe`".to_owned(),
            ),
            word @ ("allow" | "ignore") if is_attribute(source, &code, at) => {
                let text = match word {
                    "allow" => "`allow` hides lints for good: use `expect` with a reason",
                    _ => "a test that is ignored checks nothing: mend it or delete it",
                };
                report(token.line, "attribute", text.to_owned());
            }
            _ => {}
        }
    }
    problems
}

/// The first token behind the file's leading `#![…]` attributes.
fn first_after_attributes(source: &Source) -> Option<&str> {
    let words: Vec<_> = source
        .tokens
        .iter()
        .map(|token| source.word(*token))
        .collect();
    let mut rest = words.as_slice();
    while let ["#", "!", "[", after @ ..] = rest {
        let close = after.iter().position(|word| *word == "]")?;
        rest = &after[close + 1..];
    }
    rest.first().copied()
}

/// Whether the word at `at` opens an attribute: `#[word`, `#![word`, or inside a `cfg_attr`.
fn is_attribute(source: &Source, code: &[Token], at: usize) -> bool {
    let word = |back: usize| {
        at.checked_sub(back)
            .map_or("", |index| source.word(code[index]))
    };
    if word(1) == "[" {
        return word(2) == "#" || (word(2) == "!" && word(3) == "#");
    }
    let line = code[at].line;
    word(1) == ","
        && code[..at]
            .iter()
            .any(|t| t.line == line && source.word(*t) == "cfg_attr")
}

/// Judges the lines of any text file; `is_code` adds the rule on width.
pub(crate) fn text(path: &str, text: &str, is_code: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let width = line.chars().count();
        if is_code && width > LINE_WIDTH_MAX {
            let text = format!("{width} characters, at most {LINE_WIDTH_MAX}");
            problems.push(Problem::new(path, number, "line-width", text));
        }
        for word in LEFTOVERS {
            if has_word(line, word) {
                let text = format!("`{word}`: finish it or leave it out");
                problems.push(Problem::new(path, number, "leftover", text));
            }
        }
        for word in MACHINE_PATHS {
            if line.contains(word) {
                let text = format!("`{word}…` is a path of one machine");
                problems.push(Problem::new(path, number, "machine-path", text));
            }
        }
    }
    problems
}

/// Whether `word` stands in `line` by itself, not as a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(before) && (word.ends_with('!') || !is_part(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<&'static str> {
        let problems = rust(&Source::new("a.rs", text), false);
        problems.into_iter().map(|problem| problem.rule).collect()
    }

    #[test]
    fn a_long_file_is_reported_but_not_for_its_tests() {
        let body = "//! Doc.\n".to_owned() + &"fn f() {}\n".repeat(FILE_LINES_MAX - 1);
        assert!(rules(&body).is_empty());
        assert_eq!(rules(&format!("{body}fn g() {{}}\n")), ["file-length"]);
        let tests = "fn g() {}\n".repeat(500);
        assert!(rules(&format!("{body}#[cfg(test)]\nmod tests {{\n{tests}}}\n")).is_empty());
        assert!(rust(&Source::new("a.rs", &format!("{body}{body}")), true).is_empty());
    }

    #[test]
    fn a_file_must_begin_with_its_doc() {
        assert_eq!(rules("use a::b;\n//! Late.\n"), ["module-doc"]);
        assert_eq!(rules("// Not a doc.\n"), ["module-doc"]);
        assert!(rules("#![cfg(loom)]\n//! Doc.\n").is_empty());
        assert!(rules("//! Doc.\n#![forbid(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn silencing_attributes_and_unsafe_code_are_reported() {
        let allow = concat!("#[al", "low(dead_code)]");
        let inner = concat!("#![al", "low(dead_code)]");
        assert_eq!(
            rules(&format!("//! D.\n{allow}\nfn f() {{}}\n")),
            ["attribute"]
        );
        assert_eq!(rules(&format!("//! D.\n{inner}\n")), ["attribute"]);
        assert_eq!(
            rules("//! D.\n#[cfg_attr(test, allow(dead_code))]\nfn f() {}"),
            ["attribute"]
        );
        assert_eq!(
            rules("//! D.\n#[test]\n#[ignore]\nfn f() {}"),
            ["attribute"]
        );
        assert_eq!(
            rules(concat!("//! D.\nfn f() { un", "safe { g() } }")),
            ["unsafe"]
        );
        assert!(rules("//! D.\nfn f() { allow(\"unsafe\"); ignore() } // unsafe").is_empty());
    }

    fn text_rules(line: &str) -> Vec<&'static str> {
        text("a.md", line, true)
            .into_iter()
            .map(|problem| problem.rule)
            .collect()
    }

    #[test]
    fn leftovers_machine_paths_and_wide_lines_are_reported() {
        for word in LEFTOVERS {
            assert_eq!(
                text_rules(&format!("// {word} later")),
                ["leftover"],
                "{word}"
            );
            assert!(text_rules(&format!("a{word}")).is_empty());
        }
        for path in MACHINE_PATHS {
            assert_eq!(
                text_rules(&format!("see {path}x")),
                ["machine-path"],
                "{path}"
            );
        }
        assert_eq!(text_rules(&"é".repeat(LINE_WIDTH_MAX + 1)), ["line-width"]);
        assert!(text_rules(&"é".repeat(LINE_WIDTH_MAX)).is_empty());
        assert!(text("a.md", &"x".repeat(200), false).is_empty());
    }
}
