//! One Rust source file as tokens: enough of the language to judge its form.
//!
//! Owns the text, its tokens and the marks that say which of them are compiled for tests only. It
//! never builds a syntax tree and never expands a macro. Decision: a hand-written lexer instead of
//! a parser library, because every rule here is about words, paths and lines, and the task that
//! guards the dependencies should have none.

/// What a token is. Whitespace is dropped; comments are kept because rules read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword; a raw identifier without its `r#`.
    Word,
    /// A lifetime or loop label.
    Lifetime,
    /// One character of punctuation.
    Punct,
    /// A string, character or number.
    Literal,
    /// A comment of any form, its markers included.
    Comment,
}

/// One token: its kind, its bytes in the text, the line it starts on (from 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) line: usize,
    /// The token belongs to an item that only a test build compiles.
    pub(crate) test: bool,
}

/// A file of the workspace: its path relative to the root, with `/`, and what stands in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
}

impl Source {
    /// Splits `text` into tokens and marks those of `#[cfg(test)]` items.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut tokens = Lexer::new(text).run();
        mark_tests(text, &mut tokens);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens,
        }
    }

    /// The characters of a token.
    pub(crate) fn word(&self, token: Token) -> &str {
        &self.text[token.start..token.end]
    }

    /// The tokens that are not comments, in order.
    pub(crate) fn code(&self) -> Vec<Token> {
        self.tokens
            .iter()
            .copied()
            .filter(|token| token.kind != Kind::Comment)
            .collect()
    }

    /// Lines that stand outside test items, blank lines and comments included.
    pub(crate) fn lines_without_tests(&self) -> usize {
        let total = self.text.lines().count();
        let mut hidden = 0;
        let mut at = 0;
        while at < self.tokens.len() {
            if !self.tokens[at].test {
                at += 1;
                continue;
            }
            let first = self.tokens[at].line;
            while at < self.tokens.len() && self.tokens[at].test {
                at += 1;
            }
            let last = self.tokens[at - 1];
            let inside = self.text[last.start..last.end].matches('\n').count();
            hidden += last.line + inside - first + 1;
        }
        total - hidden
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
            tokens: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Token> {
        while self.at < self.bytes.len() {
            let byte = self.bytes[self.at];
            if byte == b'\n' {
                self.line += 1;
                self.at += 1;
            } else if byte.is_ascii_whitespace() {
                self.at += 1;
            } else {
                let start = self.at;
                let line = self.line;
                let kind = self.token(byte);
                self.line += self.text[start..self.at].matches('\n').count();
                let start = if kind == Kind::Word && self.text[start..].starts_with("r#") {
                    start + 2
                } else {
                    start
                };
                self.tokens.push(Token {
                    kind,
                    start,
                    end: self.at,
                    line,
                    test: false,
                });
            }
        }
        self.tokens
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Moves `at` behind the token that starts here and says what it was.
    fn token(&mut self, byte: u8) -> Kind {
        match byte {
            b'/' if self.peek(1) == b'/' => {
                let rest = &self.text[self.at..];
                self.at += rest.find('\n').unwrap_or(rest.len());
                Kind::Comment
            }
            b'/' if self.peek(1) == b'*' => {
                self.block_comment();
                Kind::Comment
            }
            b'"' => {
                self.quoted(b'"');
                Kind::Literal
            }
            b'\'' => self.quote(),
            b'0'..=b'9' => {
                self.number();
                Kind::Literal
            }
            _ if is_word_start(byte) => self.word_or_prefixed(),
            _ => {
                self.at += self.text[self.at..]
                    .chars()
                    .next()
                    .map_or(1, char::len_utf8);
                Kind::Punct
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// A string or character from its opening quote; escapes skip one byte.
    fn quoted(&mut self, quote: u8) {
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.bytes[self.at] {
                b'\\' => self.at += 2,
                byte if byte == quote => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.bytes.len();
    }

    /// An apostrophe opens a character or a lifetime: a character closes after one scalar.
    fn quote(&mut self) -> Kind {
        let mut ahead = self.text[self.at + 1..].chars();
        let first = ahead.next();
        if first == Some('\\') || ahead.next() == Some('\'') {
            self.quoted(b'\'');
            return Kind::Literal;
        }
        self.at += 1;
        self.skip_word();
        Kind::Lifetime
    }

    fn number(&mut self) {
        self.skip_word();
        if self.peek(0) == b'.' && self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.skip_word();
        }
    }

    fn skip_word(&mut self) {
        while self.at < self.bytes.len() && is_word(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    /// A word, or one of the literals that begin with letters: `b""`, `r#""#`, `br""`, `c""`.
    fn word_or_prefixed(&mut self) -> Kind {
        let start = self.at;
        self.skip_word();
        let prefix = &self.text[start..self.at];
        let raw = matches!(prefix, "r" | "br" | "cr");
        let hashes = self.bytes[self.at..]
            .iter()
            .take_while(|byte| **byte == b'#')
            .count();
        if raw && self.peek(hashes) == b'"' {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = self.at + hashes + 1;
            let length = self.text[body..]
                .find(&close)
                .map(|found| found + close.len());
            self.at = body + length.unwrap_or(self.bytes.len() - body);
            return Kind::Literal;
        }
        if prefix == "r" && hashes == 1 && is_word_start(self.peek(1)) {
            self.at += 1;
            self.skip_word();
            return Kind::Word;
        }
        if matches!(prefix, "b" | "c") && self.peek(0) == b'"' {
            self.quoted(b'"');
            return Kind::Literal;
        }
        if prefix == "b" && self.peek(0) == b'\'' {
            self.quoted(b'\'');
            return Kind::Literal;
        }
        Kind::Word
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit()
}

/// Marks every token of an item behind `#[cfg(test)]`, its attributes included.
fn mark_tests(text: &str, tokens: &mut [Token]) {
    let code: Vec<usize> = (0..tokens.len())
        .filter(|index| tokens[*index].kind != Kind::Comment)
        .collect();
    let word = |at: usize| {
        code.get(at)
            .map_or("", |i| &text[tokens[*i].start..tokens[*i].end])
    };
    let mut marks = Vec::new();
    let mut at = 0;
    while at < code.len() {
        if !(word(at) == "#" && word(at + 1) == "[" && word(at + 2) == "cfg") {
            at += 1;
            continue;
        }
        let close = closing(&word, at + 1, code.len());
        if means_test(&(at + 3..close).map(&word).collect::<Vec<_>>()) {
            let end = item_end(&word, close + 1, code.len());
            marks.push((code[at], code[end.min(code.len() - 1)]));
            at = end + 1;
        } else {
            at = close + 1;
        }
    }
    for (first, last) in marks {
        for token in &mut tokens[first..=last] {
            token.test = true;
        }
    }
}

/// Whether a `cfg` predicate, given in words with its parentheses, holds in a test build only.
fn means_test(predicate: &[&str]) -> bool {
    let inner = |words: &[&str]| -> Vec<bool> {
        let parts = arguments(words);
        parts
            .into_iter()
            .map(|(from, to)| means_test(&words[from..to]))
            .collect()
    };
    match predicate {
        ["test"] => true,
        ["(", words @ .., ")"] => means_test(words),
        ["all", "(", words @ .., ")"] => inner(words).contains(&true),
        ["any", "(", words @ .., ")"] => !inner(words).contains(&false),
        _ => false,
    }
}

/// The ranges between the commas of a list, commas within parentheses aside.
fn arguments(words: &[&str]) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (at, word) in words.iter().enumerate() {
        match *word {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                ranges.push((from, at));
                from = at + 1;
            }
            _ => {}
        }
    }
    if from < words.len() {
        ranges.push((from, words.len()));
    }
    ranges
}

/// Index of the bracket that closes the one at `open`; the last index if none does.
fn closing<'a>(word: &impl Fn(usize) -> &'a str, open: usize, end: usize) -> usize {
    let mut depth = 0_usize;
    for at in open..end {
        match word(at) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    end.saturating_sub(1)
}

/// Index of the last token of the item that starts at `at`: its `;` or its closing brace.
fn item_end<'a>(word: &impl Fn(usize) -> &'a str, mut at: usize, end: usize) -> usize {
    while at < end {
        match word(at) {
            "(" | "[" => at = closing(word, at, end) + 1,
            "{" => {
                let close = closing(word, at, end);
                // `use a::{b, c};` and `static X: T = T { .. };` go on to their semicolon.
                return if word(close + 1) == ";" {
                    close + 1
                } else {
                    close
                };
            }
            ";" => return at,
            "}" => return at.saturating_sub(1),
            _ => at += 1,
        }
    }
    end.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let source = Source::new("a.rs", text);
        source
            .tokens
            .iter()
            .map(|token| source.word(*token).to_owned())
            .collect()
    }

    #[test]
    fn literals_hide_what_stands_in_them() {
        assert_eq!(
            words(r####"a("x // y", r#"b " c"#, b'"', '\'', 'q') b"####),
            [
                "a",
                "(",
                "\"x // y\"",
                ",",
                "r#\"b \" c\"#",
                ",",
                "b'\"'",
                ",",
                "'\\''",
                ",",
                "'q'",
                ")",
                "b"
            ]
        );
    }

    #[test]
    fn lifetimes_and_raw_words_are_told_from_characters_and_raw_strings() {
        assert_eq!(
            words("&'a str 'b: loop r#type 1.5e3 0..9"),
            [
                "&", "'a", "str", "'b", ":", "loop", "type", "1.5e3", "0", ".", ".", "9"
            ]
        );
    }

    #[test]
    fn comments_nest_and_count_their_lines() {
        let source = Source::new("a.rs", "/* a /* b\n */ c */ x\n// y\nz");
        let lines: Vec<_> = source.tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
        assert_eq!(source.code().len(), 2);
    }

    #[test]
    fn test_items_are_marked_to_their_end_and_not_further() {
        let text =
            "fn a() {}\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n fn b() {}\n}\nfn c() {}\n";
        let source = Source::new("a.rs", text);
        let marked: Vec<_> = source
            .tokens
            .iter()
            .filter(|token| token.test)
            .map(|t| source.word(*t))
            .collect();
        assert_eq!(marked.first(), Some(&"#"));
        assert_eq!(marked.last(), Some(&"}"));
        assert!(!marked.contains(&"c"));
        assert_eq!(source.lines_without_tests(), 2);
    }

    #[test]
    fn only_predicates_that_need_a_test_build_mark_a_test() {
        let is_test = |predicate: &str| {
            let source = Source::new("a.rs", &format!("#[cfg({predicate})] use a::{{b}}; mod c;"));
            let unmarked = source.tokens.iter().filter(|token| !token.test).count();
            assert!(
                unmarked == source.tokens.len() || unmarked == 3,
                "{predicate}"
            );
            unmarked == 3
        };
        for predicate in [
            "test",
            "all(test, loom)",
            "all(test, not(loom))",
            "any(test, all(x, test),)",
        ] {
            assert!(is_test(predicate), "{predicate}");
        }
        for predicate in [
            "any(test, fuzzing)",
            "not(test)",
            "loom",
            "feature = \"test\"",
        ] {
            assert!(!is_test(predicate), "{predicate}");
        }
    }
}
